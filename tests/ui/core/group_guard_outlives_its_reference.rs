use framealloc::GroupAllocator;

fn main() {
    let groups = GroupAllocator::new();
    let value = groups.alloc_val(groups.create_group("level"), 1);
    let guard = value.read().unwrap();
    drop(value);
    println!("{guard}");
}

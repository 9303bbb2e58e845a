use framealloc::GroupAllocator;

fn main() {
    let groups = GroupAllocator::new();
    let group = groups.create_group("level");
    let name = String::from("short-lived");
    groups.alloc_val(group, name.as_str());
}

use std::cell::Cell;

use framealloc::GroupAllocator;

fn main() {
    let groups = GroupAllocator::new();
    let value = groups.alloc_val(groups.create_group("level"), Cell::new(1));
    std::thread::spawn(move || value.read().unwrap().set(2));
}

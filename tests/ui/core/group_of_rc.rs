use std::rc::Rc;

use framealloc::GroupAllocator;

fn main() {
    let groups = GroupAllocator::new();
    let group = groups.create_group("level");
    groups.alloc_val(group, Rc::new(1));
}

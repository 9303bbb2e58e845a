use std::cell::Cell;

use framealloc::HandleAllocator;

fn main() {
    let handles = HandleAllocator::new();
    let _ = handles.insert(Cell::new(1));
}

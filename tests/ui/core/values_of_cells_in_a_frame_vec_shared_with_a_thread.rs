use std::cell::Cell;

use framealloc::SmartAlloc;

fn main() {
    let alloc = SmartAlloc::with_defaults();
    alloc.begin_frame();
    let mut cells = alloc.frame_vec(1);
    cells.push(Cell::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| cells[0].set(1));
    });
}

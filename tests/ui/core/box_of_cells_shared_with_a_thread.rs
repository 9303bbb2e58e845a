use std::cell::Cell;

use framealloc::SmartAlloc;

fn main() {
    let alloc = SmartAlloc::with_defaults();
    alloc.begin_frame();
    let boxed = alloc.frame_box(Cell::new(1)).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| boxed.set(2));
    });
}

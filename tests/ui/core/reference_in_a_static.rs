use std::cell::Cell;

use framealloc::SmartAlloc;

thread_local! {
    static KEPT: Cell<Option<&'static mut u32>> = const { Cell::new(None) };
}

fn main() {
    let alloc = SmartAlloc::with_defaults();
    let frame = alloc.frame();
    KEPT.set(Some(frame.alloc(1)));
}

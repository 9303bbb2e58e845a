use std::rc::Rc;

use framealloc::SmartAlloc;

fn main() {
    let alloc = SmartAlloc::with_defaults();
    let boxed = alloc.pool_box(Rc::new(1)).unwrap();
    std::thread::spawn(move || drop(boxed));
}

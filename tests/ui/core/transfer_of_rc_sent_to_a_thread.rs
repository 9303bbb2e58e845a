use std::rc::Rc;

use framealloc::SmartAlloc;

fn main() {
    let alloc = SmartAlloc::with_defaults();
    let handle = alloc.frame_box_for_transfer(Rc::new(1));
    std::thread::spawn(move || handle.receive());
}

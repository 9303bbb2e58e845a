//! A box is as sendable as its value.
use std::rc::Rc;

use framealloc::ScratchPool;

fn main() {
    let boxed = ScratchPool::new("pool", 1024).alloc_box(Rc::new(7));
    std::thread::spawn(move || drop(boxed));
}

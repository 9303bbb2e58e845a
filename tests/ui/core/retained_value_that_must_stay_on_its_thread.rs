//! The end of a frame may come on another thread.
use std::rc::Rc;

use framealloc::{RetentionPolicy, SmartAlloc};

fn main() {
    let alloc = SmartAlloc::with_defaults();
    alloc.begin_frame();
    drop(alloc.frame_retained_with(RetentionPolicy::Discard, Rc::new(7)));
}

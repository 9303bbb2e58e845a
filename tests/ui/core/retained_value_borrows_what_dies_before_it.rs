//! A retained value may be kept for ever.
use framealloc::{RetentionPolicy, SmartAlloc};

fn main() {
    let alloc = SmartAlloc::with_defaults();
    alloc.begin_frame();
    let result = {
        let local = 7;
        drop(alloc.frame_retained_with(RetentionPolicy::PromoteToPool, &local));
        alloc.end_frame_with_promotions()
    };
    drop(result);
}

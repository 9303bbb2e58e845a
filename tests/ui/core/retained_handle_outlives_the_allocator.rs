//! A handle reaches into its allocator's memory.
use framealloc::{RetentionPolicy, SmartAlloc};

fn main() {
    let alloc = SmartAlloc::with_defaults();
    alloc.begin_frame();
    let value = alloc.frame_retained::<u64>(RetentionPolicy::PromoteToPool);
    drop(alloc);
    assert_eq!(*value, 0);
}

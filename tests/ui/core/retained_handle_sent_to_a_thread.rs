//! Dropping a handle touches its thread's arena.
use framealloc::{RetentionPolicy, SmartAlloc};

fn main() {
    let alloc = SmartAlloc::with_defaults();
    alloc.begin_frame();
    let value = alloc.frame_retained::<u64>(RetentionPolicy::PromoteToPool);
    std::thread::scope(|scope| {
        scope.spawn(move || drop(value));
    });
}

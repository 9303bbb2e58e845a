use framealloc::SmartAlloc;

fn main() {
    let alloc = SmartAlloc::with_defaults();
    let guard = alloc.checkpoint_guard();
    std::thread::scope(|scope| {
        scope.spawn(move || guard.commit());
    });
}

use framealloc::SmartAlloc;

fn main() {
    let alloc = SmartAlloc::with_defaults();
    let checkpoint = alloc.frame_checkpoint();
    std::thread::scope(|scope| {
        scope.spawn(move || checkpoint.head());
    });
}

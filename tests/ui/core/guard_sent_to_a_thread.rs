use framealloc::SmartAlloc;

fn main() {
    let alloc = SmartAlloc::with_defaults();
    let frame = alloc.frame();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            frame.alloc(1);
        });
    });
}

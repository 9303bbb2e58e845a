use framealloc::SmartAlloc;

fn main() {
    let alloc = SmartAlloc::with_defaults();
    let frame = alloc.frame();
    let mut numbers = frame.vec();
    std::thread::scope(|scope| {
        scope.spawn(move || numbers.push(1));
    });
}

use framealloc::SmartAlloc;

fn main() {
    let alloc = SmartAlloc::with_defaults();
    alloc.begin_frame();
    let mut numbers = alloc.frame_vec(4);
    std::thread::scope(|scope| {
        scope.spawn(move || numbers.push(1));
    });
}

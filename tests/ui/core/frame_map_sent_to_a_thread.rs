use framealloc::SmartAlloc;

fn main() {
    let alloc = SmartAlloc::with_defaults();
    alloc.begin_frame();
    let mut map = alloc.frame_map(4);
    std::thread::scope(|scope| {
        scope.spawn(move || map.insert(1, 1));
    });
}

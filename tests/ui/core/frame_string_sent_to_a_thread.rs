use framealloc::SmartAlloc;

fn main() {
    let alloc = SmartAlloc::with_defaults();
    alloc.begin_frame();
    let mut text = alloc.frame_string(4);
    std::thread::scope(|scope| {
        scope.spawn(move || text.push('1'));
    });
}

use framealloc::SmartAlloc;

fn main() {
    let alloc = SmartAlloc::with_defaults();
    alloc.begin_frame();
    let mut map = alloc.frame_map(4);
    let mut text = alloc.frame_string(4);
    let values = alloc.frame_slice_copy(&[1, 2]).unwrap().into_iter();
    std::thread::scope(|scope| {
        scope.spawn(move || map.insert(1, 1));
        scope.spawn(move || text.push('1'));
        scope.spawn(move || values.sum::<i32>());
    });
}

use framealloc::SmartAlloc;

fn main() {
    let alloc = SmartAlloc::with_defaults();
    alloc.begin_frame();
    let values = alloc.frame_slice_copy(&[1, 2]).unwrap().into_iter();
    std::thread::scope(|scope| {
        scope.spawn(move || values.sum::<i32>());
    });
}

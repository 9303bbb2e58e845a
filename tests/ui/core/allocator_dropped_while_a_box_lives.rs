use framealloc::SmartAlloc;

fn main() {
    let alloc = SmartAlloc::with_defaults();
    alloc.begin_frame();
    let boxed = alloc.frame_box(1).unwrap();
    drop(alloc);
    println!("{boxed}");
}

use framealloc::SmartAlloc;

fn main() {
    let alloc = SmartAlloc::with_defaults();
    alloc.begin_frame();
    let mut map = alloc.frame_map(4);
    map.insert(1, "one");
    drop(alloc);
    println!("{map:?}");
}

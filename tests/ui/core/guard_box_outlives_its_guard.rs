use framealloc::SmartAlloc;

fn main() {
    let alloc = SmartAlloc::with_defaults();
    let frame = alloc.frame();
    let name = frame.alloc_box(String::from("scout"));
    drop(frame);
    drop(name);
}

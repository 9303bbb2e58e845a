use framealloc::SmartAlloc;

fn main() {
    let alloc = SmartAlloc::with_defaults();
    let frame = alloc.frame();
    let text = frame.alloc_str("scout");
    drop(frame);
    println!("{text}");
}

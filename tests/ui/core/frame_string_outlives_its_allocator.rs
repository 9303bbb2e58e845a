use framealloc::SmartAlloc;

fn main() {
    let mut kept = None;
    {
        let alloc = SmartAlloc::with_defaults();
        alloc.begin_frame();
        kept = Some(alloc.frame_string(4).into_boxed_str());
    }
    println!("{kept:?}");
}

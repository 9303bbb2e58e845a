use framealloc::SmartAlloc;

fn main() {
    let alloc = SmartAlloc::with_defaults();
    alloc.begin_frame();
    // All zeroes are no reference.
    alloc.frame_alloc::<&'static str>().zeroed();
}

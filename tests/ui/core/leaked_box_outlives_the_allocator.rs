use framealloc::SmartAlloc;

fn leaked(alloc: SmartAlloc) -> &'static mut u32 {
    alloc.begin_frame();
    alloc.frame_box(1).unwrap().leak()
}

fn main() {
    leaked(SmartAlloc::with_defaults());
}

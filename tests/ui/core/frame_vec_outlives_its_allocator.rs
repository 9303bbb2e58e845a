use framealloc::{FrameVec, SmartAlloc};

fn numbers() -> FrameVec<'static, u32> {
    let alloc = SmartAlloc::with_defaults();
    alloc.begin_frame();
    alloc.frame_vec(4)
}

fn main() {
    numbers();
}

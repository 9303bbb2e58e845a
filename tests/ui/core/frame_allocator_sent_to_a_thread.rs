use allocator_api2::vec::Vec;
use framealloc::{FrameAllocator, SmartAlloc};

fn main() {
    let alloc = SmartAlloc::with_defaults();
    alloc.begin_frame();
    let mut numbers = Vec::new_in(FrameAllocator::new());
    let place = alloc.frame_allocator();
    std::thread::spawn(move || numbers.push(1));
    std::thread::scope(|scope| {
        scope.spawn(|| Vec::<u8, _>::with_capacity_in(1, &place).len());
    });
}

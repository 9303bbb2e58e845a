use allocator_api2::vec::Vec;
use framealloc::FrameAllocator;

fn main() {
    let place = FrameAllocator::new();
    std::thread::scope(|scope| {
        scope.spawn(|| Vec::<u8, _>::with_capacity_in(1, &place).len());
    });
}

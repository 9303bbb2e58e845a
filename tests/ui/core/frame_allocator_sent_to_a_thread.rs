use allocator_api2::vec::Vec;
use framealloc::FrameAllocator;

fn main() {
    let mut numbers = Vec::new_in(FrameAllocator::new());
    std::thread::spawn(move || numbers.push(1));
}

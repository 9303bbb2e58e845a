use framealloc::{ScratchVec, SmartAlloc};

fn numbers(alloc: &SmartAlloc) -> ScratchVec<'_, u32> {
    let frame = alloc.frame();
    let mut numbers = frame.vec();
    numbers.push(1);
    numbers
}

fn main() {
    numbers(&SmartAlloc::with_defaults());
}

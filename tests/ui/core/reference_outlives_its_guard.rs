use framealloc::SmartAlloc;

fn main() {
    let alloc = SmartAlloc::with_defaults();
    let number = {
        let frame = alloc.frame();
        frame.alloc(1)
    };
    *number += 1;
}

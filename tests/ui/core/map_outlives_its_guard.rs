use framealloc::SmartAlloc;

fn main() {
    let alloc = SmartAlloc::with_defaults();
    let mut names;
    {
        let frame = alloc.frame();
        names = frame.map();
        names.insert(1, "scout");
    }
    println!("{}", names.len());
}

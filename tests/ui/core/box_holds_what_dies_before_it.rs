use framealloc::SmartAlloc;

struct Speaks<'a>(&'a str);

impl Drop for Speaks<'_> {
    fn drop(&mut self) {
        println!("{}", self.0);
    }
}

fn main() {
    let alloc = SmartAlloc::with_defaults();
    alloc.begin_frame();
    let boxed;
    let name = String::from("scout");
    boxed = alloc.frame_box(Speaks(&name)).unwrap();
}

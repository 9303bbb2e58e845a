use framealloc::SmartAlloc;

struct Report<'a>(&'a str);

impl Drop for Report<'_> {
    fn drop(&mut self) {
        println!("{}", self.0);
    }
}

fn main() {
    let alloc = SmartAlloc::with_defaults();
    alloc.begin_frame();
    let mut reports = alloc.frame_vec(1);
    let text = String::from("gone");
    reports.push(Report(&text));
}

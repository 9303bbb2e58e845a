use framealloc::tags::{TagId, TagScope};

fn main() {
    let scope = TagScope::enter(TagId::ROOT);
    std::thread::spawn(move || drop(scope));
}

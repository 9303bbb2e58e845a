use framealloc::{Handle, HandleAllocator};

fn short<'a>(_: &'a str, handle: Handle<&'static str>) -> Handle<&'a str> {
    handle
}

fn main() {
    let handles = HandleAllocator::new();
    let handle = handles.insert("for ever").unwrap();
    let text = String::from("short-lived");
    *handles.resolve_mut(short(&text, handle)).unwrap() = &text;
}

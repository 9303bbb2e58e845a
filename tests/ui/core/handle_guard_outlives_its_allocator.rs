use framealloc::HandleAllocator;

fn main() {
    let handles = HandleAllocator::new();
    let handle = handles.insert(1).unwrap();
    let guard = handles.resolve(handle).unwrap();
    drop(handles);
    println!("{guard}");
}

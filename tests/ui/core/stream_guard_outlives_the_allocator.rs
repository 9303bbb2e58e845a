use framealloc::{StreamPriority, StreamingAllocator};

fn main() {
    let streaming = StreamingAllocator::new(1 << 20);
    let id = streaming.reserve(100, StreamPriority::Normal).unwrap();
    let guard = streaming.access(id).unwrap();
    drop(streaming);
    assert_eq!(guard.len(), 100);
}

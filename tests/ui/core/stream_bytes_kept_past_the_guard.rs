use framealloc::{StreamPriority, StreamingAllocator};

fn main() {
    let streaming = StreamingAllocator::new(1 << 20);
    let id = streaming.reserve(100, StreamPriority::Normal).unwrap();
    let first = streaming.access(id).unwrap().first().unwrap();
    streaming.free(id);
    assert_eq!(*first, 0);
}

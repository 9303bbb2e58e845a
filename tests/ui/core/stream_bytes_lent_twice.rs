use framealloc::{StreamPriority, StreamingAllocator};

fn main() {
    let streaming = StreamingAllocator::new(1 << 20);
    let id = streaming.reserve(100, StreamPriority::Normal).unwrap();
    let mut writer = streaming.begin_load(id).unwrap();
    let mut first = writer.chunk_mut(50).unwrap();
    let mut second = writer.as_mut_slice();
    first.fill(1);
    second.fill(2);
}

use framealloc::{StreamPriority, StreamingAllocator};

fn main() {
    let streaming = StreamingAllocator::new(1 << 20);
    let id = streaming.reserve(100, StreamPriority::Normal).unwrap();
    let mut writer = streaming.begin_load(id).unwrap();
    let mut bytes = writer.as_mut_slice();
    writer.finish().unwrap();
    bytes.fill(1);
}

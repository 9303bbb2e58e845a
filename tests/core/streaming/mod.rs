//! Streams: reserved, loaded, borrowed, freed, evicted.

mod borrows;
mod budgets;
mod eviction;
mod figures;
mod loading;
mod model;
mod refusals;
mod threads;

use std::sync::{Arc, Mutex};

use framealloc::tags::{TagId, TagTotals};
use framealloc::{StreamErrorKind, StreamId, StreamPriority, StreamingAllocator};

/// A ready stream whose bytes are all `fill`.
fn ready(
    streaming: &StreamingAllocator,
    size: usize,
    priority: StreamPriority,
    fill: u8,
) -> StreamId {
    let id = streaming.reserve(size, priority).unwrap();
    load(streaming, id, fill);
    id
}

fn load(streaming: &StreamingAllocator, id: StreamId, fill: u8) {
    let mut writer = streaming.begin_load(id).unwrap();
    writer.as_mut_slice().fill(fill);
    writer.finish().unwrap();
}

/// Collects what is evicted, in order.
fn evictions(streaming: &StreamingAllocator) -> Arc<Mutex<Vec<StreamId>>> {
    let evicted = Arc::new(Mutex::new(Vec::new()));
    let log = evicted.clone();
    streaming.set_eviction_callback(move |id| log.lock().unwrap().push(id));
    evicted
}

/// Live heap bytes of a tag that only one test uses.
fn live_bytes(tag: &str) -> i64 {
    TagTotals::capture()
        .of(TagId::from_path(tag))
        .heap
        .live_bytes()
}

fn access_fails(streaming: &StreamingAllocator, id: StreamId) -> StreamErrorKind {
    assert!(streaming.access(id).is_none());
    streaming.try_access(id).unwrap_err().kind()
}

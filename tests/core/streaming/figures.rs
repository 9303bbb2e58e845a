//! Memory, tags, frames and statistics.

use framealloc::tags::{TagId, TagScope};
use framealloc::{AllocConfig, SmartAlloc, StreamPriority::*, StreamState, StreamingAllocator};

use super::{live_bytes, load, ready};
use crate::common::*;

#[test]
fn memory_is_charged_when_it_is_reserved_and_freed_from_any_thread() {
    let streaming = StreamingAllocator::new(1 << 20);
    let (current, given) = ("streaming_charged::current", "streaming_charged::given");
    let scope = TagScope::enter(TagId::from_path(current));
    let a = streaming.reserve(1000, Normal).unwrap();
    let b = streaming
        .reserve_tagged(100_000, Normal, Some(given))
        .unwrap();
    let c = streaming.reserve_tagged(10, Normal, None).unwrap();
    assert_eq!(TagId::current().path(), current);
    drop(scope);
    assert_eq!((live_bytes(current), live_bytes(given)), (1010, 100_000));
    assert!(
        streaming
            .streams()
            .iter()
            .any(|stream| stream.id == b && stream.tag.path() == given)
    );
    on_a_thread(|| {
        load(&streaming, a, 1);
        load(&streaming, b, 2);
        assert!(streaming.free(a) && streaming.free(b) && streaming.free(c));
    });
    assert_eq!((live_bytes(current), live_bytes(given)), (0, 0));
}

#[test]
fn blocks_are_aligned_for_casts() {
    let streaming = StreamingAllocator::new(16 << 20);
    for size in [1, 17, 1000, 65535, 65536, 65537, 1 << 20] {
        let ids: Vec<_> = (0..3).map(|n| ready(&streaming, size, Normal, n)).collect();
        for (n, id) in ids.iter().enumerate() {
            let data = streaming.access(*id).unwrap();
            let align = if size >= 64 << 10 { 4096 } else { 16 };
            assert_eq!(address(&*data) % align, 0, "{size}");
            assert!(data.len() == size && data.iter().all(|byte| usize::from(*byte) == n));
        }
    }
}

#[test]
fn a_stream_of_no_bytes_is_a_stream_like_others() {
    let streaming = StreamingAllocator::new(0);
    let id = streaming.reserve(0, Low).unwrap();
    let mut writer = streaming.begin_load(id).unwrap();
    assert!(writer.is_empty() && writer.as_mut_slice().is_empty());
    streaming.finish_load(id);
    assert!(streaming.access(id).unwrap().is_empty());
    assert!(streaming.access_mut(id).unwrap().is_empty());
    assert!(writer.finish().is_ok());
    assert_eq!(streaming.progress(id).unwrap().fraction(), 1.0);
    // Evicting it would free nothing.
    assert!(streaming.reserve(1, Critical).is_err());
    assert_eq!(streaming.state(id), Some(StreamState::Ready));
    let guard = streaming.access(id).unwrap();
    assert!(streaming.free(id) && guard.is_empty());
}

#[test]
fn statistics_add_up() {
    let streaming = StreamingAllocator::new(1000);
    assert_eq!(streaming.stats().load_progress_percent(), 100.0);
    let reserved = streaming.reserve(100, Normal).unwrap();
    let loading = streaming.reserve(300, Normal).unwrap();
    let mut writer = streaming.begin_load(loading).unwrap();
    writer.report_progress(25);
    let used = ready(&streaming, 100, Normal, 1);
    let stats = streaming.stats();
    assert_eq!(
        (stats.budget, stats.total_reserved, stats.total_loaded),
        (1000, 500, 125)
    );
    assert_eq!((stats.allocation_count, stats.reserved_count), (3, 1));
    assert_eq!((stats.loading_count, stats.ready_count), (1, 1));
    assert_eq!(
        (stats.utilization_percent(), stats.load_progress_percent()),
        (50.0, 25.0)
    );
    assert!(stats.to_string().contains("500 B of 1000 B reserved"));
    let mut streams = streaming.streams();
    streams.sort_by_key(|stream| stream.id.raw());
    assert!(
        streams
            .iter()
            .map(|stream| stream.id)
            .eq([reserved, loading, used])
    );
    assert_eq!(
        (streams[1].size, streams[1].loaded, streams[1].state),
        (300, 25, StreamState::Loading)
    );
    drop(writer);
    assert_eq!(
        (
            streaming.stats().total_loaded,
            streaming.stats().loading_count
        ),
        (100, 0)
    );
    streaming.reserve(900, Normal).unwrap();
    let stats = streaming.stats();
    assert_eq!((stats.evictions, stats.evicted_bytes), (1, 100));
    assert_eq!(
        StreamingAllocator::new(0).stats().utilization_percent(),
        0.0
    );
}

#[test]
fn an_allocator_has_streams_of_its_own_with_the_configured_budget() {
    let alloc = SmartAlloc::with_defaults();
    assert_eq!(alloc.streaming().budget(), 256 << 20);
    let config = AllocConfig::minimal().with_streaming_budget(5000);
    assert_eq!(config.streaming_budget, 5000);
    let alloc = SmartAlloc::new(config);
    let clone = alloc.clone();
    let id = ready(alloc.streaming(), 4000, Normal, 9);
    assert_eq!(clone.streaming().available(), 1000);
    assert_eq!(*clone.streaming().access(id).unwrap(), [9; 4000]);
    assert!(std::ptr::eq(alloc.streaming(), clone.streaming()));
}

#[test]
fn an_allocators_frame_ends_age_its_streams() {
    let idle = |alloc: &SmartAlloc| alloc.streaming().streams()[0].idle_frames;
    let alloc = small();
    let id = alloc.streaming().reserve(10, Normal).unwrap();
    busy_frames(&alloc, 3);
    assert_eq!(idle(&alloc), 0);
    load(alloc.streaming(), id, 1);
    busy_frames(&alloc, 3);
    assert_eq!(idle(&alloc), 3);
    // A boundary that is refused ends no frame.
    let _ = alloc.try_end_frame();
    assert_eq!(idle(&alloc), 3);
    drop(alloc.streaming().access(id));
    assert_eq!(idle(&alloc), 0);
    let mut frames = alloc.shared_frames().unwrap();
    for _ in 0..2 {
        frames.begin().unwrap();
        frames.end().unwrap();
    }
    assert_eq!(idle(&alloc), 2);
    alloc.streaming().next_frame();
    drop(alloc.streaming().access_mut(id));
    assert_eq!(idle(&alloc), 0);
}

#[test]
fn everything_may_be_used_from_any_thread() {
    fn send_and_sync<T: Send + Sync>() {}
    send_and_sync::<StreamingAllocator>();
    send_and_sync::<framealloc::StreamWriter>();
    send_and_sync::<framealloc::StreamGuard<'_>>();
    send_and_sync::<framealloc::StreamGuardMut<'_>>();
    send_and_sync::<framealloc::StreamBytes<'_>>();
    send_and_sync::<framealloc::StreamError>();
    fn outlives_everything<T: 'static>() {}
    outlives_everything::<framealloc::StreamWriter>();
}

//! Who makes room for whom.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use framealloc::{StreamErrorKind, StreamId, StreamPriority::*, StreamState, StreamingAllocator};

use super::{evictions, live_bytes, load, ready};
use crate::common::*;

fn touch(streaming: &StreamingAllocator, id: StreamId) {
    assert!(streaming.access(id).is_some());
}

#[test]
fn among_equals_the_least_recently_used_goes_first() {
    let streaming = StreamingAllocator::new(400);
    let evicted = evictions(&streaming);
    let ids: [_; 4] = std::array::from_fn(|n| ready(&streaming, 100, Normal, n as u8));
    touch(&streaming, ids[1]);
    drop(streaming.access_mut(ids[0]));
    // A frame is no use.
    streaming.next_frame();
    for (expected, round) in [(ids[2], 0), (ids[3], 1), (ids[1], 2), (ids[0], 3)] {
        let id = streaming.reserve(100, Normal).unwrap();
        assert_eq!(
            *evicted.lock().unwrap().last().unwrap(),
            expected,
            "{round}"
        );
        assert_eq!(streaming.state(expected), None);
        streaming.pin(id).unwrap();
    }
    assert_eq!(evicted.lock().unwrap().len(), 4);
}

#[test]
fn lower_priorities_go_first_however_recently_they_were_used() {
    let streaming = StreamingAllocator::new(400);
    let evicted = evictions(&streaming);
    let critical = ready(&streaming, 100, Critical, 0);
    let high = ready(&streaming, 100, High, 0);
    let normal = ready(&streaming, 100, Normal, 0);
    let low = ready(&streaming, 100, Low, 0);
    let next = || streaming.reserve(100, Critical).unwrap();
    for expected in [low, normal, high, critical] {
        next();
        assert_eq!(evicted.lock().unwrap().last(), Some(&expected));
    }
    assert!(streaming.reserve(1, Critical).is_err());
}

#[test]
fn higher_priorities_are_never_evicted_and_equal_ones_are() {
    let streaming = StreamingAllocator::new(200);
    let (high, normal) = (
        ready(&streaming, 100, High, 1),
        ready(&streaming, 100, Normal, 2),
    );
    touch(&streaming, normal);
    assert_eq!(streaming.reserve(1, Low).unwrap_err().evictable(), 0);
    assert_eq!(streaming.reserve(101, Normal).unwrap_err().evictable(), 100);
    let replaced = streaming.reserve(100, Normal).unwrap();
    assert_eq!(streaming.state(normal), None);
    assert_eq!(*streaming.access(high).unwrap(), [1; 100]);
    assert!(streaming.free(replaced));
}

#[test]
fn only_what_is_ready_and_free_of_pins_and_borrows_is_evicted() {
    let streaming = StreamingAllocator::new(600);
    let reserved = streaming.reserve(100, Low).unwrap();
    let loading = streaming.reserve(100, Low).unwrap();
    let mut writer = streaming.begin_load(loading).unwrap();
    let pinned = ready(&streaming, 100, Low, 3);
    streaming.pin(pinned).unwrap();
    let read = ready(&streaming, 100, Low, 4);
    let guard = streaming.access(read).unwrap();
    let written = ready(&streaming, 100, Low, 5);
    let exclusive = streaming.access_mut(written).unwrap();
    let free = ready(&streaming, 100, Normal, 6);
    assert_eq!(
        streaming.reserve(101, Critical).unwrap_err().evictable(),
        100
    );
    let evicted = evictions(&streaming);
    let replaced = streaming.reserve(100, Critical).unwrap();
    assert_eq!(*evicted.lock().unwrap(), [free]);
    assert!(streaming.reserve(1, Critical).is_err());
    assert_eq!((&*guard, &*exclusive), (&[4; 100][..], &[5; 100][..]));
    // Each of them may go as soon as it is let go, in the order of use.
    writer.as_mut_slice().fill(2);
    writer.finish().unwrap();
    drop(guard);
    drop(exclusive);
    streaming.unpin(pinned).unwrap();
    streaming.reserve(400, Critical).unwrap();
    assert_eq!(
        *evicted.lock().unwrap(),
        [free, pinned, read, written, loading]
    );
    assert_eq!(streaming.state(reserved), Some(StreamState::Reserved));
    assert_eq!(streaming.state(replaced), Some(StreamState::Reserved));
}

#[test]
fn no_more_is_evicted_than_needed() {
    let streaming = StreamingAllocator::new(1000);
    let evicted = evictions(&streaming);
    let ids: Vec<_> = (0..10).map(|n| ready(&streaming, 100, Normal, n)).collect();
    streaming.reserve(250, Normal).unwrap();
    assert_eq!(*evicted.lock().unwrap(), ids[..3]);
    assert_eq!(streaming.available(), 50);
    streaming.reserve(50, Normal).unwrap();
    assert_eq!(evicted.lock().unwrap().len(), 3);
}

#[test]
fn a_reservation_that_fails_changes_nothing() {
    let streaming = StreamingAllocator::new(1000);
    let evicted = evictions(&streaming);
    let ids: Vec<_> = (0..5).map(|n| ready(&streaming, 100, Normal, n)).collect();
    let blocking = ready(&streaming, 500, Normal, 9);
    touch(&streaming, ids[0]);
    let guard = streaming.access(blocking).unwrap();
    let before = (streaming.streams(), streaming.total_reserved());
    for size in [501, 600, 1000, 1001] {
        assert_eq!(
            streaming.reserve(size, Critical).unwrap_err().kind(),
            StreamErrorKind::BudgetExhausted
        );
    }
    assert_eq!((streaming.streams(), streaming.total_reserved()), before);
    assert_eq!(*evicted.lock().unwrap(), []);
    drop(guard);
    // Nor the order of use.
    streaming.pin(blocking).unwrap();
    streaming.reserve(500, Normal).unwrap();
    assert_eq!(
        *evicted.lock().unwrap(),
        [ids[1], ids[2], ids[3], ids[4], ids[0]]
    );
}

#[test]
fn a_changed_priority_counts_at_once() {
    let streaming = StreamingAllocator::new(300);
    let evicted = evictions(&streaming);
    let ids: [_; 3] = std::array::from_fn(|n| ready(&streaming, 100, Normal, n as u8));
    streaming.set_priority(ids[0], High).unwrap();
    streaming.set_priority(ids[2], Low).unwrap();
    assert_eq!(streaming.reserve(300, Normal).unwrap_err().evictable(), 200);
    streaming.reserve(200, Normal).unwrap();
    assert_eq!(*evicted.lock().unwrap(), [ids[2], ids[1]]);
    streaming.set_priority(ids[0], Low).unwrap();
    streaming.reserve(100, Low).unwrap();
    assert_eq!(evicted.lock().unwrap().len(), 3);
}

#[test]
fn a_lowered_budget_evicts_what_is_above_it_and_lets_nothing_in() {
    let streaming = StreamingAllocator::new(1000);
    let evicted = evictions(&streaming);
    let high = ready(&streaming, 300, High, 1);
    let low = ready(&streaming, 300, Low, 1);
    let pinned = ready(&streaming, 300, Low, 1);
    streaming.pin(pinned).unwrap();
    streaming.set_budget(700);
    assert_eq!(*evicted.lock().unwrap(), [low]);
    streaming.set_budget(100);
    assert_eq!(*evicted.lock().unwrap(), [low, high]);
    assert_eq!(
        (
            streaming.total_reserved(),
            streaming.available(),
            streaming.budget()
        ),
        (300, 0, 100)
    );
    // What is above the budget has to go first.
    streaming.unpin(pinned).unwrap();
    let last = streaming.reserve(100, Normal).unwrap();
    assert_eq!(*evicted.lock().unwrap(), [low, high, pinned]);
    streaming.set_budget(50);
    assert_eq!(streaming.reserve(0, Normal).map(|_| ()), Ok(()));
    assert!(streaming.reserve(1, Critical).is_err());
    assert!(streaming.free(last));
    assert!(streaming.reserve(50, Low).is_ok());
}

#[test]
fn evicted_memory_is_free_before_the_new_is_taken() {
    let tag = "streaming_never_more_than_the_budget";
    let streaming = StreamingAllocator::new(3 << 20);
    let highest = Arc::new(AtomicUsize::new(0));
    let seen = highest.clone();
    streaming.on_evicted(move |stream| {
        assert_eq!((stream.size, stream.tag.path()), (1 << 20, tag));
        seen.fetch_max(live_bytes(tag) as usize, Relaxed);
    });
    for n in 0..20 {
        let id = streaming
            .reserve_tagged(1 << 20, Normal, Some(tag))
            .unwrap();
        load(&streaming, id, n);
        assert!(live_bytes(tag) <= 3 << 20);
    }
    assert_eq!(highest.load(Relaxed), 3 << 20);
    assert_eq!(streaming.stats().evictions, 17);
}

// ---- Callbacks ---------------------------------------------------------------------------------------------------

#[test]
fn a_callback_may_do_as_it_likes() {
    let streaming = Arc::new(StreamingAllocator::new(300));
    let log = Arc::new(Mutex::new(Vec::new()));
    let weak = Arc::downgrade(&streaming);
    let seen = log.clone();
    streaming.set_eviction_callback(move |id| {
        let streaming = weak.upgrade().unwrap();
        seen.lock().unwrap().push(id);
        // The evicted one is gone by now.
        assert_eq!(streaming.state(id), None);
        assert!(streaming.access(id).is_none() && !streaming.free(id));
        assert!(streaming.total_reserved() <= streaming.budget());
        // A reservation that evicts again, until there is nothing left.
        if let Ok(more) = streaming.reserve(100, High) {
            load(&streaming, more, 1);
            streaming.pin(more).unwrap();
        }
        // Even itself it may replace.
        if seen.lock().unwrap().len() == 3 {
            streaming.set_eviction_callback(|_| {});
            streaming.on_evicted(|_| {});
            streaming.set_budget(300);
        }
    });
    let ids: [_; 3] = std::array::from_fn(|n| ready(&streaming, 100, Normal, n as u8));
    let new = streaming.reserve(100, Normal).unwrap();
    assert_eq!(*log.lock().unwrap(), ids);
    assert_eq!(streaming.state(new), Some(StreamState::Reserved));
    assert_eq!(streaming.total_reserved(), 300);
}

#[test]
fn a_callback_that_panics_leaves_everything_right_and_the_others_are_told() {
    let streaming = StreamingAllocator::new(300);
    let told = Arc::new(AtomicUsize::new(0));
    let (first, second) = (told.clone(), told.clone());
    streaming.set_eviction_callback(move |_| {
        first.fetch_add(1, Relaxed);
        panic!("first");
    });
    streaming.on_evicted(move |_| {
        second.fetch_add(100, Relaxed);
        panic!("second");
    });
    let ids: [_; 3] = std::array::from_fn(|n| ready(&streaming, 100, Normal, n as u8));
    let unwound = catch_unwind(AssertUnwindSafe(|| streaming.reserve(200, Normal)));
    assert_eq!(
        *unwound.unwrap_err().downcast_ref::<&str>().unwrap(),
        "first"
    );
    // Both streams went and everybody heard of both; the new one is not there.
    assert_eq!(told.load(Relaxed), 202);
    assert!(
        streaming
            .streams()
            .iter()
            .map(|stream| stream.id)
            .eq([ids[2]])
    );
    assert_eq!(streaming.total_reserved(), 100);
    panics(|| streaming.set_budget(50));
    assert_eq!((streaming.total_reserved(), streaming.budget()), (0, 50));
    assert!(streaming.reserve(50, Low).is_ok());
}

#[test]
fn a_callback_runs_under_the_callers_tag() {
    let streaming = StreamingAllocator::new(100);
    let seen = Arc::new(Mutex::new(None));
    let slot = seen.clone();
    streaming.set_eviction_callback(move |_| {
        *slot.lock().unwrap() = Some(framealloc::tags::TagId::current());
    });
    ready(&streaming, 100, Normal, 1);
    streaming
        .reserve_tagged(100, Normal, Some("streaming_not_the_callers"))
        .unwrap();
    assert_eq!(seen.lock().unwrap().unwrap(), framealloc::tags::TagId::ROOT);
}

#[test]
fn a_callback_that_frees_itself_with_its_allocator_is_dropped_once() {
    struct Counts(Arc<AtomicUsize>);
    impl Drop for Counts {
        fn drop(&mut self) {
            self.0.fetch_add(1, Relaxed);
        }
    }
    let drops = Arc::new(AtomicUsize::new(0));
    let callback = || {
        let counts = Counts(drops.clone());
        move |_: StreamId| {
            let _ = &counts;
        }
    };
    let streaming = StreamingAllocator::new(100);
    streaming.set_eviction_callback(callback());
    streaming.set_eviction_callback(callback());
    assert_eq!(drops.load(Relaxed), 1);
    drop(streaming);
    assert_eq!(drops.load(Relaxed), 2);
}

// ---- Size ----------------------------------------------------------------------------------------------------------

#[test]
fn an_eviction_among_a_hundred_thousand_looks_at_few() {
    const STREAMS: usize = 100_000;
    let streaming = StreamingAllocator::new(STREAMS * 16);
    let ids: Vec<_> = (0..STREAMS)
        .map(|n| ready(&streaming, 16, if n % 4 == 0 { Low } else { Normal }, 1))
        .collect();
    let steps = || streaming.stats().eviction_steps;
    let replace = |times: usize| {
        let before = steps();
        for _ in 0..times {
            ready(&streaming, 16, Normal, 1);
        }
        steps() - before
    };
    assert_eq!(steps(), 0);
    // Nothing was used since it was made ready: one look each.
    assert_eq!(replace(1000), 1000);
    // Each use is paid for once, when an eviction comes across it.
    let used = &ids[STREAMS / 2..][..2000];
    let low = used.len() / 4;
    for _ in 0..5 {
        used.iter().for_each(|id| touch(&streaming, *id));
    }
    assert!(replace(1000) <= 1000 + used.len() as u64);
    // All Low ones that were not used go before those that were.
    let untouched = STREAMS / 4 - 2000 - low;
    let cost = replace(untouched);
    assert!(cost <= untouched as u64 + low as u64, "{cost}");
    assert!(used.iter().all(|id| streaming.state(*id).is_some()));
    // A refused reservation looks at none if it cannot fit.
    let before = steps();
    assert!(streaming.reserve(STREAMS * 16 + 1, Critical).is_err());
    assert_eq!(steps(), before);
}

#[test]
fn a_gibibyte_streams_through_64_mebibytes_and_memory_stays_flat() {
    const CHUNK: usize = 256 << 10;
    const BUDGET: usize = 64 << 20;
    let tag = "streaming_gibibyte";
    let streaming = StreamingAllocator::new(BUDGET);
    let mut ids = Vec::new();
    for n in 0..(1 << 30) / CHUNK {
        let id = streaming.reserve_tagged(CHUNK, Normal, Some(tag)).unwrap();
        let mut writer = streaming.begin_load(id).unwrap();
        // A touch of each: the memory is the system's until then, and the test is to be quick.
        writer.chunk_mut(64).unwrap().fill(n as u8);
        writer.report_progress(CHUNK);
        // Its bytes are not all there yet: finishing writes the rest.
        if n % 64 == 0 {
            writer.finish().unwrap();
            assert_eq!(
                streaming.access(id).unwrap()[..65],
                [[n as u8; 64].as_slice(), &[0]].concat()
            );
        } else {
            writer.cancel();
            continue;
        }
        ids.push(id);
    }
    assert_eq!(streaming.total_reserved(), ids.len() * CHUNK);
    // And one whole pass, every byte written.
    let sources: Vec<Vec<u8>> = (0..4).map(|n| vec![n + 1; CHUNK]).collect();
    for n in 0..(1 << 30) / CHUNK {
        let id = streaming.reserve_tagged(CHUNK, Normal, Some(tag)).unwrap();
        let mut writer = streaming.begin_load(id).unwrap();
        std::io::Write::write_all(&mut writer, &sources[n % 4]).unwrap();
        writer.finish().unwrap();
        let data = streaming.access(id).unwrap();
        assert_eq!(
            (data[0], data[CHUNK - 1]),
            (n as u8 % 4 + 1, n as u8 % 4 + 1)
        );
        assert!(live_bytes(tag) <= BUDGET as i64);
        assert!(streaming.total_reserved() <= BUDGET);
    }
    assert!(ids.iter().all(|id| streaming.state(*id).is_none()));
    assert_eq!(streaming.stats().ready_count, BUDGET / CHUNK);
    drop(streaming);
    assert_eq!(live_bytes(tag), 0);
}

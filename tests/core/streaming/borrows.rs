//! Guards and pins.

use std::thread;

use framealloc::{StreamErrorKind, StreamPriority::*, StreamState, StreamingAllocator};

use super::{access_fails, live_bytes, load, ready};
use crate::common::*;

#[test]
fn guards_share_and_an_exclusive_one_does_not() {
    let streaming = StreamingAllocator::new(1000);
    let id = ready(&streaming, 100, Normal, 1);
    let (a, b) = (streaming.access(id).unwrap(), streaming.access(id).unwrap());
    assert_eq!(
        streaming.try_access_mut(id).unwrap_err().kind(),
        StreamErrorKind::InUse
    );
    assert!(a[..] == b[..] && a.id() == id);
    drop(a);
    assert!(streaming.access_mut(id).is_none());
    drop(b);
    let mut exclusive = streaming.access_mut(id).unwrap();
    assert_eq!(access_fails(&streaming, id), StreamErrorKind::InUse);
    assert!(streaming.access_mut(id).is_none());
    exclusive[0] = 9;
    drop(exclusive);
    assert_eq!(streaming.access(id).unwrap()[..2], [9, 1]);
}

#[test]
fn bytes_freed_while_they_are_borrowed_stay_until_the_last_guard_drops() {
    let streaming = StreamingAllocator::new(1000);
    let tag = "streaming_freed_while_borrowed";
    let make = || {
        let id = streaming.reserve_tagged(600, Normal, Some(tag)).unwrap();
        load(&streaming, id, 8);
        id
    };
    let id = make();
    let (first, last) = (streaming.access(id).unwrap(), streaming.access(id).unwrap());
    assert!(streaming.free(id));
    assert!(!streaming.free(id));
    assert_eq!(streaming.state(id), None);
    assert_eq!(access_fails(&streaming, id), StreamErrorKind::UnknownStream);
    assert_eq!(streaming.stats().allocation_count, 0);
    // The budget goes with the memory.
    assert_eq!(streaming.total_reserved(), 600);
    assert_eq!(streaming.reserve(500, Critical).unwrap_err().evictable(), 0);
    drop(first);
    assert_eq!(*last, [8; 600]);
    assert_eq!((streaming.total_reserved(), live_bytes(tag)), (600, 600));
    on_a_thread(|| drop(last));
    assert_eq!(
        (
            streaming.total_reserved(),
            streaming.total_loaded(),
            live_bytes(tag)
        ),
        (0, 0, 0)
    );

    let id = make();
    let mut exclusive = streaming.access_mut(id).unwrap();
    assert!(streaming.free(id));
    exclusive.fill(1);
    assert_eq!(*exclusive, [1; 600]);
    drop(exclusive);
    assert_eq!((streaming.total_reserved(), live_bytes(tag)), (0, 0));
}

#[test]
fn a_forgotten_guard_keeps_its_stream_as_long_as_the_allocator() {
    let tag = "streaming_forgotten_guard";
    let streaming = StreamingAllocator::new(1000);
    for exclusive in [false, true] {
        let id = streaming.reserve_tagged(300, Normal, Some(tag)).unwrap();
        load(&streaming, id, 1);
        if exclusive {
            std::mem::forget(streaming.access_mut(id));
        } else {
            std::mem::forget(streaming.access(id));
        }
        assert!(streaming.reserve(1000, Critical).is_err());
        assert!(streaming.free(id));
    }
    assert_eq!((streaming.total_reserved(), live_bytes(tag)), (600, 600));
    drop(streaming);
    assert_eq!(live_bytes(tag), 0);
}

#[test]
fn guards_may_be_sent_and_shared() {
    let streaming = StreamingAllocator::new(1000);
    let id = ready(&streaming, 100, Normal, 6);
    let guard = streaming.access(id).unwrap();
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| assert_eq!(*guard, [6; 100]));
        }
    });
    thread::scope(|scope| {
        scope.spawn(move || assert_eq!(*guard, [6; 100]));
    });
    let mut exclusive = streaming.access_mut(id).unwrap();
    thread::scope(|scope| {
        scope.spawn(|| exclusive.fill(7));
    });
    drop(exclusive);
    assert_eq!(*streaming.access(id).unwrap(), [7; 100]);
}

#[test]
fn pins_are_counted() {
    let streaming = StreamingAllocator::new(100);
    let id = ready(&streaming, 100, Low, 1);
    assert_eq!(
        streaming.unpin(id).unwrap_err().kind(),
        StreamErrorKind::NotPinned
    );
    streaming.pin(id).unwrap();
    streaming.pin(id).unwrap();
    streaming.unpin(id).unwrap();
    assert_eq!(streaming.streams()[0].pins, 1);
    assert_eq!(streaming.reserve(1, Critical).unwrap_err().evictable(), 0);
    streaming.unpin(id).unwrap();
    assert_eq!(
        streaming.unpin(id).unwrap_err().kind(),
        StreamErrorKind::NotPinned
    );
    let next = streaming.reserve(1, Critical).unwrap();
    assert_eq!(streaming.state(id), None);
    assert_eq!(streaming.state(next), Some(StreamState::Reserved));
}

#[test]
fn a_stream_may_be_pinned_before_it_is_ready_and_freed_while_it_is_pinned() {
    let streaming = StreamingAllocator::new(100);
    let id = streaming.reserve(100, Low).unwrap();
    streaming.pin(id).unwrap();
    load(&streaming, id, 2);
    assert!(streaming.reserve(1, Critical).is_err());
    assert!(streaming.free(id));
    assert_eq!(streaming.total_reserved(), 0);
    // Its pins are gone with it.
    let next = ready(&streaming, 100, Low, 3);
    assert!(streaming.reserve(1, Low).is_ok());
    assert_eq!(streaming.state(next), None);
}

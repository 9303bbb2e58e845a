//! Bad input: refused with the reason, and nothing has changed.

use std::error::Error;

use framealloc::diagnostics::DiagnosticCode;
use framealloc::{StreamErrorKind as Kind, StreamPriority::*, StreamState, StreamingAllocator};

use super::{access_fails, ready};
use crate::common::*;

#[test]
fn what_is_unknown_or_anothers_is_refused_by_every_call() {
    let (streaming, other) = (StreamingAllocator::new(1000), StreamingAllocator::new(1000));
    // The very same place in both.
    let kept = ready(&streaming, 10, Normal, 1);
    let foreign = ready(&other, 10, Normal, 2);
    assert_eq!(kept.raw(), foreign.raw());
    assert_ne!(kept, foreign);
    let freed = streaming.reserve(10, Normal).unwrap();
    assert!(streaming.free(freed));
    let before = streaming.streams();
    for (id, kind) in [(freed, Kind::UnknownStream), (foreign, Kind::ForeignStream)] {
        let ((), codes) = reported(|| {
            assert_eq!(streaming.begin_load(id).unwrap_err().kind(), kind);
            assert_eq!(access_fails(&streaming, id), kind);
            assert_eq!(streaming.try_access_mut(id).unwrap_err().kind(), kind);
            for refused in [
                streaming.try_finish_load(id),
                streaming.cancel(id),
                streaming.pin(id),
                streaming.unpin(id),
                streaming.set_priority(id, Low),
            ] {
                let error = refused.unwrap_err();
                assert_eq!((error.kind(), error.id()), (kind, Some(id)));
                assert_eq!((error.code(), error.state()), (DiagnosticCode::FA401, None));
            }
            assert!(!streaming.free(id));
            assert!(!streaming.report_progress(id, 10));
            assert_eq!((streaming.state(id), streaming.progress(id)), (None, None));
        });
        // Those were returned, so they are not reported as well; this one is.
        assert_eq!(codes, []);
        let ((), codes) = reported(|| streaming.finish_load(id));
        assert_eq!(codes, [DiagnosticCode::FA401]);
    }
    assert_eq!(streaming.streams(), before);
    assert_eq!(*other.access(foreign).unwrap(), [2; 10]);
}

#[test]
fn a_stream_is_loaded_once_and_in_order() {
    let streaming = StreamingAllocator::new(1000);
    let id = streaming.reserve(10, Normal).unwrap();
    let wrong = |error: framealloc::StreamError| {
        assert_eq!(error.kind(), Kind::WrongState);
        error.state().unwrap()
    };
    assert_eq!(
        wrong(streaming.try_access(id).unwrap_err()),
        StreamState::Reserved
    );
    assert_eq!(
        wrong(streaming.try_finish_load(id).unwrap_err()),
        StreamState::Reserved
    );
    assert!(!streaming.report_progress(id, 10));
    let writer = streaming.begin_load(id).unwrap();
    assert_eq!(
        wrong(streaming.begin_load(id).unwrap_err()),
        StreamState::Loading
    );
    assert_eq!(
        wrong(streaming.try_access_mut(id).unwrap_err()),
        StreamState::Loading
    );
    writer.finish().unwrap();
    assert_eq!(
        wrong(streaming.begin_load(id).unwrap_err()),
        StreamState::Ready
    );
    assert!(!streaming.report_progress(id, 1));
    // Said once more, as after a writer's own `finish`.
    let ((), codes) = reported(|| streaming.finish_load(id));
    assert_eq!(codes, []);
}

#[test]
fn ids_are_never_used_again() {
    let streaming = StreamingAllocator::new(1000);
    let mut seen = std::collections::HashSet::new();
    for round in 0..2000 {
        let id = streaming.reserve(100, Normal).unwrap();
        assert!(seen.insert(id) && seen.len() == round + 1);
        match round % 3 {
            0 => assert!(streaming.free(id)),
            1 => drop(streaming.begin_load(id).unwrap()),
            _ => {
                streaming.begin_load(id).unwrap().finish().unwrap();
                streaming.set_budget(0);
                streaming.set_budget(1000);
            }
        }
        assert!(seen.iter().all(|id| streaming.state(*id).is_none()));
    }
}

#[test]
fn what_does_not_fit_is_told_with_its_figures() {
    let streaming = StreamingAllocator::new(1000);
    let reserved = streaming.reserve(200, Normal).unwrap();
    let low = ready(&streaming, 100, Low, 1);
    let normal = ready(&streaming, 200, Normal, 1);
    let high = ready(&streaming, 300, High, 1);
    let guard = streaming.access(normal).unwrap();
    let before = streaming.streams();
    let (error, codes) = reported(|| {
        streaming
            .reserve_tagged(500, Normal, Some("streaming_too_much"))
            .unwrap_err()
    });
    assert_eq!(codes, [DiagnosticCode::FA402]);
    assert_eq!(
        (error.kind(), error.code()),
        (Kind::BudgetExhausted, DiagnosticCode::FA402)
    );
    // `normal` could be evicted once nobody reads it, but would make enough room then.
    assert_eq!(
        (error.requested(), error.available(), error.evictable()),
        (500, 200, 100)
    );
    assert_eq!(error.tag().unwrap().path(), "streaming_too_much");
    let text = error.to_string();
    for part in [
        "FA402",
        "streaming_too_much",
        "500",
        "200",
        "100",
        "normal priority",
        "budget",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert!(error.kind().is_budget() && error.source().is_none());
    drop(guard);
    // More than could ever fit.
    let error = streaming.reserve(1001, Critical).unwrap_err();
    assert_eq!((error.available(), error.evictable()), (200, 600));
    assert_eq!(streaming.streams(), before);
    let _ = (reserved, low, high);
}

#[test]
fn sizes_that_cannot_be_are_refused_and_change_nothing() {
    let streaming = StreamingAllocator::new(usize::MAX);
    let kept = ready(&streaming, 1000, Low, 1);
    for size in [
        usize::MAX,
        usize::MAX - 4096,
        isize::MAX as usize + 1,
        isize::MAX as usize,
    ] {
        let (error, codes) = reported(|| streaming.reserve(size, Critical).unwrap_err());
        assert_eq!(
            (error.kind(), error.requested()),
            (Kind::SizeOverflow, size)
        );
        assert_eq!(codes, [FA004]);
    }
    // It can be, but nobody has so much.
    for size in [isize::MAX as usize - (1 << 20), 1 << 60] {
        let (error, codes) = reported(|| streaming.reserve(size, Critical).unwrap_err());
        assert_eq!((error.kind(), error.requested()), (Kind::OutOfMemory, size));
        assert_eq!(codes, [DiagnosticCode::FA005]);
    }
    let small = StreamingAllocator::new(1000);
    let used = ready(&small, 1000, Low, 1);
    assert_eq!(
        small.reserve(usize::MAX, Critical).unwrap_err().kind(),
        Kind::SizeOverflow
    );
    assert_eq!(
        small.reserve(1 << 60, Critical).unwrap_err().kind(),
        Kind::BudgetExhausted
    );
    for (streaming, id) in [(streaming, kept), (small, used)] {
        assert_eq!(streaming.total_reserved(), 1000);
        assert_eq!(*streaming.access(id).unwrap(), [1; 1000]);
    }
}

#[test]
fn errors_say_what_to_do() {
    let streaming = StreamingAllocator::new(100);
    let id = streaming.reserve(10, Normal).unwrap();
    let early = streaming.try_access(id).unwrap_err();
    let text = early.to_string();
    for part in ["FA401", "`access`", "is reserved", "begin_load"] {
        assert!(text.contains(part), "{part} in {text}");
    }
    streaming.free(id);
    let late = streaming.begin_load(id).unwrap_err();
    assert!(late.to_string().contains("freed, cancelled or evicted"));
    assert!(format!("{late:?}").contains("UnknownStream"));
    let io: std::io::Error = late.into();
    assert_eq!(io.kind(), std::io::ErrorKind::NotFound);
    assert_eq!(io.get_ref().unwrap().downcast_ref(), Some(&late));
}

//! Sinks that do what they like in the middle of the allocator's work.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex};

use framealloc::diagnostics::{self, DiagnosticCode};
use framealloc::{AllocConfig, SmartAlloc, StreamPriority, StreamingAllocator};

use crate::alone;

fn small() -> SmartAlloc {
    SmartAlloc::new(AllocConfig::minimal())
}

/// Sets a sink, and counts its calls.
fn sink(f: impl Fn(DiagnosticCode) + Send + Sync + 'static) -> Arc<AtomicUsize> {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = calls.clone();
    diagnostics::set_sink(move |report| {
        counted.fetch_add(1, Ordering::Relaxed);
        f(report.code);
    });
    calls
}

fn overwrite(alloc: &SmartAlloc) {
    let blocks: Vec<_> = (0..40)
        .map(|_| alloc.frame_slice_copy(&[0xEE_u8; 8 << 10]).unwrap())
        .collect();
    drop(blocks);
}

/// Repeats `f` until the sink was called once more: the same code is sent at its 1st, 2nd, 4th, 8th … time only.
fn until_called(calls: &AtomicUsize, mut f: impl FnMut()) {
    let before = calls.load(Ordering::Relaxed);
    while calls.load(Ordering::Relaxed) == before {
        f();
    }
}

#[test]
fn a_sink_may_allocate_from_the_allocator_that_reports_and_end_its_frames() {
    let _alone = alone();
    static ALLOC: LazyLock<SmartAlloc> = LazyLock::new(small);
    let calls = sink(|_| {
        let _ = ALLOC.try_begin_frame();
        overwrite(&ALLOC);
        let frame = ALLOC.frame();
        frame.alloc_slice_fill(1000, 0xEE_u8);
        ALLOC.try_end_frame().unwrap();
    });
    // From the end of a frame.
    until_called(&calls, || {
        ALLOC.begin_frame();
        let kept = ALLOC.frame_box([1_u64; 20]).unwrap();
        ALLOC.end_frame();
        let _ = ALLOC.try_begin_frame();
        overwrite(&ALLOC);
        assert_eq!(*kept, [1; 20]);
        ALLOC.try_end_frame().unwrap();
    });
    // From a refused allocation, in and out of a guard.
    until_called(&calls, || {
        let _ = ALLOC.try_begin_frame();
        let kept = ALLOC.frame_box([2_u64; 20]).unwrap();
        assert!(ALLOC.frame_slice_fill(1 << 40, 1_u8).is_err());
        let frame = ALLOC.frame();
        let scratch = frame.alloc([3_u64; 20]);
        assert!(frame.try_alloc_slice_uninit::<u64>(1 << 40).is_err());
        let more = frame.alloc([4_u64; 20]);
        assert_eq!((*kept, *scratch, *more), ([2; 20], [3; 20], [4; 20]));
    });
    // While a slice is being made.
    until_called(&calls, || {
        let _ = ALLOC.try_begin_frame();
        let made = Arc::new(());
        let endless = std::iter::repeat_with(|| made.clone()).filter(|_| true);
        assert!(ALLOC.frame_slice_from_iter(endless).is_err());
        assert_eq!(Arc::strong_count(&made), 1);
    });
    diagnostics::set_sink(|_| {});
}

#[test]
fn a_sink_may_use_another_allocator_while_a_thread_joins_a_shared_frame() {
    let _alone = alone();
    static LOG: Mutex<Option<SmartAlloc>> = Mutex::new(None);
    let calls = sink(|_| {
        if let Some(log) = &*LOG.lock().unwrap() {
            let _ = log.try_begin_frame();
            drop(log.frame_str("logged").unwrap());
        }
    });
    let alloc = small();
    let mut frames = alloc.shared_frames().unwrap();
    until_called(&calls, || {
        *LOG.lock().unwrap() = Some(small());
        frames.begin().unwrap();
        let escapes = alloc.frame_box([1_u64; 20]).unwrap();
        // Another thread moves the frame on, so that this one finds out in its next allocation.
        std::thread::scope(|scope| {
            scope.spawn(|| {
                frames.end().unwrap();
                frames.begin().unwrap();
            });
        });
        let mine = alloc.frame_box([2_u64; 20]).unwrap();
        // It must not lie in the other's memory, which goes now.
        *LOG.lock().unwrap() = None;
        let other = small();
        other.begin_frame();
        let overwriting = other.frame_slice_copy(&[0xEE_u8; 60_000]).unwrap();
        assert_eq!((*escapes, *mine), ([1; 20], [2; 20]));
        drop((escapes, mine));
        assert!(overwriting.iter().all(|&b| b == 0xEE));
        frames.end().unwrap();
    });
    diagnostics::set_sink(|_| {});
}

#[test]
fn a_sink_may_use_another_allocator_at_every_boundary() {
    let _alone = alone();
    static LOG: LazyLock<SmartAlloc> = LazyLock::new(small);
    let calls = sink(|_| {
        let _ = LOG.try_begin_frame();
        drop(LOG.frame_str("logged").unwrap());
    });
    let alloc = small();
    until_called(&calls, || {
        // Frames that go from hand to hand change their key each time.
        let mut frames = alloc.shared_frames().unwrap();
        frames.begin().unwrap();
        let escapes = alloc.frame_box([1_u64; 20]).unwrap();
        drop(frames);
        alloc.begin_frame();
        let mine = alloc.frame_box([2_u64; 20]).unwrap();
        LOG.try_end_frame().ok();
        LOG.begin_frame();
        overwrite(&LOG);
        assert_eq!((*escapes, *mine), ([1; 20], [2; 20]));
        drop(mine);
        drop(escapes);
        alloc.end_frame();
    });
    until_called(&calls, || {
        let mut frames = alloc.shared_frames().unwrap();
        frames.begin().unwrap();
        let escapes = alloc.frame_box([1_u64; 20]).unwrap();
        frames.end().unwrap();
        frames.begin().unwrap();
        let mine = alloc.frame_box([2_u64; 20]).unwrap();
        let frame = alloc.frame();
        let scratch = frame.alloc([3_u64; 20]);
        LOG.try_end_frame().ok();
        LOG.begin_frame();
        overwrite(&LOG);
        assert_eq!((*escapes, *mine, *scratch), ([1; 20], [2; 20], [3; 20]));
    });
    diagnostics::set_sink(|_| {});
}

#[test]
fn a_sink_may_panic_and_nothing_is_lost() {
    let _alone = alone();
    let calls = sink(|code| panic!("the sink was told of {code}"));
    let alloc = small();
    let panicking = |f: &mut dyn FnMut()| {
        let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(f));
    };
    until_called(&calls, || {
        let _ = alloc.try_begin_frame();
        let kept = alloc.frame_box([1_u64; 20]).unwrap();
        panicking(&mut || alloc.end_frame());
        assert!(!alloc.frame_is_open());
        alloc.begin_frame();
        overwrite(&alloc);
        assert_eq!(*kept, [1; 20]);
        drop(kept);
        alloc.end_frame();
    });
    until_called(&calls, || {
        alloc.begin_frame();
        let frame = alloc.frame();
        let before = frame.alloc([2_u64; 20]);
        panicking(&mut || drop(frame.try_alloc_slice_uninit::<u64>(1 << 40)));
        panicking(&mut || drop(alloc.frame_slice_fill(1 << 40, 0_u8)));
        assert_eq!((*before, *frame.alloc([3_u64; 20])), ([2; 20], [3; 20]));
        drop(frame);
        alloc.end_frame();
        assert_eq!(alloc.arenas()[0].retired_chunks, 0);
    });
    diagnostics::set_sink(|_| {});
}

#[test]
fn a_sink_that_makes_reports_of_its_own_is_not_called_for_them() {
    let _alone = alone();
    static ALLOC: LazyLock<SmartAlloc> = LazyLock::new(small);
    let calls = sink(|_| {
        for _ in 0..100 {
            ALLOC.end_frame();
        }
    });
    let before = diagnostics::count(DiagnosticCode::FA006);
    until_called(&calls, || ALLOC.end_frame());
    assert_eq!(calls.load(Ordering::Relaxed), 1);
    assert!(diagnostics::count(DiagnosticCode::FA006) > before + 100);
    diagnostics::set_sink(|_| {});
}

#[test]
fn a_sink_that_is_replaced_may_report_and_set_sinks_while_it_is_dropped() {
    let _alone = alone();
    struct Last(Arc<AtomicUsize>);
    impl Drop for Last {
        fn drop(&mut self) {
            diagnostics::set_sink(|_| {});
            // Every power of two in reach, so that one report is sent.
            let alloc = small();
            for _ in 0..100 {
                alloc.end_frame();
            }
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    let dropped = Arc::new(AtomicUsize::new(0));
    let last = Last(dropped.clone());
    diagnostics::set_sink(move |_| {
        let _ = &last;
    });
    diagnostics::set_sink(|_| {});
    assert_eq!(dropped.load(Ordering::Relaxed), 1);
}

#[test]
fn a_sink_that_panics_while_a_stream_is_refused_leaves_nothing_reserved() {
    let _alone = alone();
    let streaming = StreamingAllocator::new(usize::MAX);
    let mut reserved = Vec::new();
    let calls = sink(|code| {
        if [DiagnosticCode::FA005, DiagnosticCode::FA402].contains(&code) {
            panic!("strict");
        }
    });
    let refused = || {
        catch_unwind(AssertUnwindSafe(|| {
            streaming
                .reserve(1 << 60, StreamPriority::High)
                .unwrap_err();
        }))
    };
    // No memory.
    until_called(&calls, || {
        let _ = refused();
        reserved.push(streaming.total_reserved());
    });
    // No room.
    streaming.set_budget(1000);
    until_called(&calls, || {
        let _ = refused();
        reserved.push(streaming.total_reserved());
    });
    diagnostics::set_sink(|_| {});
    assert!(reserved.iter().all(|reserved| *reserved == 0));
    assert!(streaming.reserve(1000, StreamPriority::Low).is_ok());
}

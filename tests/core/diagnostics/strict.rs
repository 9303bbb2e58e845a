//! Strict mode: a report panics, and what it is about is in order afterwards.

use std::panic::{AssertUnwindSafe, catch_unwind};

use framealloc::diagnostics::{DiagnosticCode, capture, count, strict_mode};
use framealloc::{AllocConfig, SmartAlloc, StrictMode, StrictModeGuard, fa_emit};

use crate::common::{busy_frames, codes, on_a_thread, overwrite, retired, small};

/// Runs `f`, which panics, and returns what with.
fn panic_text<R>(f: impl FnOnce() -> R) -> String {
    let payload = catch_unwind(AssertUnwindSafe(f))
        .err()
        .expect("it was to panic");
    *payload.downcast::<String>().expect("panics carry text")
}

#[test]
fn an_allocation_outside_a_frame_panics_and_the_next_frame_works() {
    let alloc = small();
    let strict = StrictModeGuard::panic_on_error();
    let text = panic_text(|| drop(alloc.frame_box(7_u32)));
    assert!(
        text.starts_with("[framealloc][FA001] frame memory (4 bytes"),
        "{text}"
    );
    assert!(text.contains("\n  help: call `begin_frame()`"), "{text}");
    drop(strict);
    assert!(!alloc.frame_is_open());
    busy_frames(&alloc, 3);
}

#[test]
fn a_value_that_finds_no_room_is_dropped_once_by_the_panic() {
    let alloc = small();
    let value = std::rc::Rc::new(());
    let _strict = StrictModeGuard::panic_on_error();
    panic_text(|| alloc.frame_box(value.clone()));
    assert_eq!(std::rc::Rc::strong_count(&value), 1);
}

#[test]
fn a_frame_that_ends_with_boxes_in_use_panics_after_it_has_ended() {
    let alloc = small();
    alloc.begin_frame();
    let kept = alloc.frame_box([1_u64; 20]).unwrap();
    {
        let _strict = StrictModeGuard::panic_on_error();
        let text = panic_text(|| alloc.end_frame());
        assert!(text.starts_with("[framealloc][FA002] 160 bytes"), "{text}");
    }
    assert!(!alloc.frame_is_open());
    assert_eq!(retired(&alloc), 1);
    busy_frames(&alloc, 3);
    assert_eq!(*kept, [1; 20]);
    drop(kept);
    assert_eq!(retired(&alloc), 0);
    busy_frames(&alloc, 3);
}

#[test]
fn all_boxes_that_escape_a_frame_are_reported_before_it_panics() {
    let alloc = small();
    alloc.begin_frame();
    // Each gets a chunk of its own.
    let kept: Vec<_> = (0..3)
        .map(|n| alloc.frame_slice_fill(300 << 10, n as u8).unwrap())
        .collect();
    let (text, reports) = capture(|| {
        let _strict = StrictModeGuard::panic_on_error();
        panic_text(|| alloc.end_frame())
    });
    assert_eq!(codes(&reports), [DiagnosticCode::FA002; 3]);
    assert!(text.starts_with("[framealloc][FA002]"), "{text}");
    assert_eq!(retired(&alloc), 3);
    drop(kept);
    assert_eq!(retired(&alloc), 0);
}

#[test]
fn joining_a_shared_frame_panics_after_the_arena_has_joined() {
    let alloc = small();
    let mut frames = alloc.shared_frames().unwrap();
    frames.begin().unwrap();
    let kept = alloc.frame_box([1_u64; 20]).unwrap();
    // Another thread moves the frame on, so that this one finds out in its next allocation.
    on_a_thread(|| {
        frames.end().unwrap();
        frames.begin().unwrap();
    });
    {
        let _strict = StrictModeGuard::panic_on_error();
        let text = panic_text(|| alloc.frame_box(2));
        assert!(text.starts_with("[framealloc][FA002]"), "{text}");
    }
    overwrite(&alloc);
    assert_eq!(*kept, [1; 20]);
    drop(kept);
    assert_eq!(retired(&alloc), 0);
    frames.end().unwrap();
    assert!(!frames.is_open());
}

#[test]
fn ending_a_shared_frame_panics_after_it_has_ended() {
    let alloc = small();
    let mut frames = alloc.shared_frames().unwrap();
    frames.begin().unwrap();
    let kept = alloc.frame_box([1_u64; 20]).unwrap();
    {
        let _strict = StrictModeGuard::panic_on_error();
        panic_text(|| frames.end());
    }
    assert!(!frames.is_open());
    for _ in 0..3 {
        frames.begin().unwrap();
        overwrite(&alloc);
        frames.end().unwrap();
    }
    assert_eq!(*kept, [1; 20]);
}

#[test]
fn an_exhausted_arena_panics_only_where_warnings_do_and_stays_usable() {
    let alloc = SmartAlloc::new(
        AllocConfig::minimal()
            .with_frame_arena_size(256 << 10)
            .with_max_frame_arena_size(256 << 10),
    );
    alloc.begin_frame();
    let kept = alloc.frame_box([1_u64; 20]).unwrap();
    let frame = alloc.frame();
    {
        let _strict = StrictModeGuard::panic_on_error();
        assert!(alloc.frame_slice_fill(1 << 20, 0_u8).is_err());
    }
    {
        let _strict = StrictModeGuard::panic_on_warning();
        let texts = [
            panic_text(|| alloc.frame_slice_fill(1 << 20, 0_u8)),
            panic_text(|| drop(frame.try_alloc_slice_uninit::<u8>(1 << 20))),
            panic_text(|| alloc.frame_slice_from_iter((0_u64..).filter(|_| true))),
            panic_text(|| frame.vec().extend((0_u64..).filter(|_| true))),
        ];
        for text in texts {
            assert!(text.starts_with("[framealloc][FA003]"), "{text}");
        }
    }
    assert_eq!(*kept, [1; 20]);
    assert_eq!(*frame.alloc([2_u64; 20]), [2; 20]);
    drop((kept, frame));
    alloc.end_frame();
    assert_eq!(retired(&alloc), 0);
}

#[test]
fn boundaries_that_do_not_fit_panic_and_change_nothing() {
    let alloc = small();
    let _strict = StrictModeGuard::panic_on_error();
    let text = panic_text(|| alloc.end_frame());
    assert!(
        text.starts_with("[framealloc][FA006] a frame was ended"),
        "{text}"
    );
    alloc.begin_frame();
    let kept = alloc.frame_box(1).unwrap();
    let text = panic_text(|| alloc.begin_frame());
    assert!(
        text.starts_with("[framealloc][FA006] a frame was begun"),
        "{text}"
    );
    assert!(alloc.frame_is_open());
    assert_eq!(alloc.frame_number(), 1);
    drop(kept);
    alloc.end_frame();
    // The ones that return the error report nothing.
    assert!(alloc.try_end_frame().is_err());
}

#[test]
fn nothing_panics_while_the_thread_panics_already() {
    /// Makes an error of each kind while it is dropped.
    struct Careless<'a>(&'a SmartAlloc);
    impl Drop for Careless<'_> {
        fn drop(&mut self) {
            let escapes = self.0.frame_box(1);
            self.0.end_frame();
            self.0.end_frame();
            drop(escapes);
        }
    }
    let alloc = small();
    let before = count(DiagnosticCode::FA006);
    alloc.begin_frame();
    let _strict = StrictModeGuard::panic_on_warning();
    // A second panic would end the process.
    let text = panic_text(|| {
        let _careless = Careless(&alloc);
        panic!("{}", String::from("the first panic"));
    });
    assert_eq!(text, "the first panic");
    assert!(count(DiagnosticCode::FA006) > before);
}

#[test]
fn guards_nest_and_drop_in_any_order() {
    assert_eq!(strict_mode(), StrictMode::Warn);
    let first = StrictModeGuard::panic_on_error();
    let second = StrictModeGuard::new(StrictMode::Warn);
    let third = StrictModeGuard::panic_on_warning();
    assert_eq!(strict_mode(), StrictMode::PanicOnWarning);
    drop(second);
    assert_eq!(strict_mode(), StrictMode::PanicOnWarning);
    drop(third);
    assert_eq!(strict_mode(), StrictMode::PanicOnError);
    let fourth = StrictModeGuard::new(StrictMode::Warn);
    drop(first);
    assert_eq!(strict_mode(), StrictMode::Warn);
    fa_emit!(FA001);
    drop(fourth);
    assert_eq!(strict_mode(), StrictMode::Warn);
}

#[test]
fn a_guard_ends_with_a_panic_through_it() {
    panic_text(|| {
        let _strict = StrictModeGuard::panic_on_error();
        fa_emit!(FA001);
    });
    assert_eq!(strict_mode(), StrictMode::Warn);
}

#[test]
fn a_guard_is_its_threads_alone() {
    let _strict = StrictModeGuard::panic_on_warning();
    on_a_thread(|| {
        assert_eq!(strict_mode(), StrictMode::Warn);
        small().end_frame();
    });
}

#[test]
fn captured_reports_do_not_panic_unless_a_guard_inside_says_so() {
    let _strict = StrictModeGuard::panic_on_error();
    let (text, reports) = capture(|| {
        fa_emit!(FA001);
        let _inner = StrictModeGuard::panic_on_error();
        panic_text(|| fa_emit!(FA002))
    });
    assert!(text.starts_with("[framealloc][FA002]"), "{text}");
    assert_eq!(
        codes(&reports),
        [DiagnosticCode::FA001, DiagnosticCode::FA002]
    );
    assert_eq!(strict_mode(), StrictMode::PanicOnError);
}

//! What reports say, and how they are counted.

use std::thread;

use framealloc::diagnostics::{
    DiagContext, Diagnostic, DiagnosticCode, DiagnosticKind, DiagnosticLevel, capture, count,
};
use framealloc::fa_diagnostic;
use framealloc::tags::TagId;
use proptest::prelude::*;

use crate::common::{on_a_thread, small};

#[test]
fn a_report_names_the_tag_that_it_is_about() {
    let alloc = small();
    let ((), reports) = capture(|| {
        alloc.with_tag("reports", |alloc| drop(alloc.frame_box(1)));
        alloc.begin_frame();
        let kept = alloc.with_tag("keeper", |_| alloc.frame_box(1).unwrap());
        alloc.end_frame();
        drop(kept);
    });
    let tags: Vec<_> = reports.iter().map(|report| report.tag.path()).collect();
    assert_eq!(tags, ["reports", "keeper"]);
}

#[test]
fn counts_are_by_code_and_tag() {
    let report = |tag: &'static str| {
        let tag = TagId::from_path(tag);
        let report = Diagnostic::error(DiagnosticCode::Custom("COUNT1"), "again").with_tag(tag);
        let ((), reports) = capture(|| framealloc::diagnostics::emit(report));
        reports[0].count
    };
    assert_eq!(
        [report("count::a"), report("count::a"), report("count::b")],
        [1, 2, 1]
    );
    assert_eq!(count(DiagnosticCode::Custom("COUNT1")), 3);
    assert_eq!(count(DiagnosticCode::Custom("COUNT2")), 0);
}

#[test]
fn threads_that_count_together_lose_nothing() {
    let code = DiagnosticCode::Custom("COUNT3");
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                capture(|| {
                    for _ in 0..1_000 {
                        fa_diagnostic!(Note, code = "COUNT3", message = "again");
                    }
                });
            });
        }
    });
    assert_eq!(count(code), 4_000);
    let ((), reports) = capture(|| fa_diagnostic!(Note, code = "COUNT3", message = "again"));
    assert_eq!(reports[0].count, 4_001);
}

#[test]
fn captures_nest() {
    let (inner, outer) = capture(|| {
        fa_diagnostic!(Note, code = "NEST1", message = "outside");
        let ((), inner) = capture(|| fa_diagnostic!(Note, code = "NEST2", message = "inside"));
        fa_diagnostic!(Note, code = "NEST3", message = "outside");
        inner
    });
    let names = |reports: &[Diagnostic]| -> Vec<_> {
        reports.iter().map(|report| report.code.name()).collect()
    };
    assert_eq!(names(&inner), ["NEST2"]);
    assert_eq!(names(&outer), ["NEST1", "NEST3"]);
}

#[test]
fn the_context_is_that_of_the_allocator_in_use() {
    on_a_thread(|| {
        let context = DiagContext::capture();
        assert_eq!((context.frame_number, context.frame_active), (0, false));
        assert_eq!(context.thread_id, thread::current().id());
        assert_eq!((context.thread_name, context.is_main_thread), (None, false));

        let (one, two) = (small(), small());
        for _ in 0..5 {
            one.begin_frame();
            one.end_frame();
        }
        two.begin_frame();
        let frame = || {
            let context = DiagContext::capture();
            (context.frame_number, context.frame_active)
        };
        assert_eq!(frame(), (1, true));
        one.begin_frame();
        assert_eq!(frame(), (6, true));
        one.end_frame();
        assert_eq!(frame(), (6, false));
        drop(two.frame_box(1).unwrap());
        assert_eq!(frame(), (1, true));
        two.end_frame();
        drop(two);
        assert_eq!(frame(), (0, false), "the allocator is gone");
        assert!(!one.frame_is_open());
        assert_eq!(frame(), (6, false));
    });
}

#[test]
fn the_context_of_a_shared_frame_is_the_owners() {
    let alloc = small();
    let mut frames = alloc.shared_frames().unwrap();
    for _ in 0..3 {
        frames.begin().unwrap();
        drop(alloc.frame_box(1).unwrap());
        frames.end().unwrap();
    }
    on_a_thread(|| {
        assert!(!alloc.frame_is_open());
        let context = DiagContext::capture();
        assert_eq!((context.frame_number, context.frame_active), (3, false));
        frames.begin().unwrap();
        let context = DiagContext::capture();
        assert_eq!((context.frame_number, context.frame_active), (4, true));
    });
}

#[test]
fn a_context_leaves_out_what_is_false() {
    let text = on_a_thread(|| DiagContext::capture().to_string());
    assert!(text.starts_with("frame=0, thread=ThreadId("), "{text}");
}

#[test]
fn levels_and_kinds_agree() {
    for code in DiagnosticCode::ALL {
        assert_eq!(code.kind().level(), code.level(), "{code}");
        assert_eq!(DiagnosticKind::from(code.level()), code.kind(), "{code}");
    }
    assert_eq!(DiagnosticCode::FA003.level(), DiagnosticLevel::Warning);
    assert_eq!(DiagnosticCode::FA510.kind().prefix(), "note");
    assert!(DiagnosticLevel::Hint < DiagnosticLevel::Warning);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Against a plain stack of guards: the newest one that is alive counts.
    #[test]
    fn the_mode_is_that_of_the_newest_guard(steps in proptest::collection::vec((0..3_u8, any::<prop::sample::Index>(), any::<bool>()), 0..40)) {
        use framealloc::{StrictMode, StrictModeGuard, diagnostics::strict_mode};
        let modes = [StrictMode::Warn, StrictMode::PanicOnError, StrictMode::PanicOnWarning];
        let mut alive: Vec<(StrictMode, StrictModeGuard)> = Vec::new();
        for (mode, which, make) in steps {
            if make || alive.is_empty() {
                let mode = modes[usize::from(mode)];
                alive.push((mode, StrictModeGuard::new(mode)));
            } else {
                let which = which.index(alive.len());
                drop(alive.remove(which));
            }
            let expected = alive.last().map_or(StrictMode::Warn, |guard| guard.0);
            prop_assert_eq!(strict_mode(), expected);
        }
    }
}

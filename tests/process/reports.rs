//! What reaches the sink: the rate limit, what turns reports off and up, and the sink that collects.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::thread;

use framealloc::diagnostics::{self, CollectingSink, Diagnostic, DiagnosticCode, count};
use framealloc::tags::TagId;
use framealloc::{
    AllocConfig, SmartAlloc, StrictMode, StrictModeGuard, fa_debug, fa_diagnostic, fa_emit,
    set_strict_mode,
};

use crate::alone;

/// Runs `f`, and returns what the sink was told meanwhile.
fn sent(f: impl FnOnce()) -> Vec<Diagnostic> {
    let log = CollectingSink::new();
    log.install();
    f();
    diagnostics::reset_sink();
    log.take()
}

fn counts(reports: &[Diagnostic]) -> Vec<u64> {
    reports.iter().map(|report| report.count).collect()
}

#[test]
fn the_same_report_is_sent_at_powers_of_two() {
    let _alone = alone();
    let reports = sent(|| {
        for _ in 0..1_000 {
            fa_diagnostic!(Warning, code = "LIMIT1", message = "again");
        }
    });
    assert_eq!(counts(&reports), [1, 2, 4, 8, 16, 32, 64, 128, 256, 512]);
    assert_eq!(count(DiagnosticCode::Custom("LIMIT1")), 1_000);
    assert!(
        reports[3].to_string().contains("again (time 8)"),
        "{}",
        reports[3]
    );
}

#[test]
fn a_flood_from_one_tag_does_not_hide_the_first_report_of_another() {
    let _alone = alone();
    let alloc = SmartAlloc::new(AllocConfig::minimal());
    let reports = sent(|| {
        alloc.with_tag("flooding", |alloc| {
            for _ in 0..1_000 {
                drop(alloc.frame_box(1));
            }
        });
        alloc.with_tag("quiet", |alloc| drop(alloc.frame_box(1)));
        alloc.with_tag("flooding", |alloc| drop(alloc.frame_box(1)));
    });
    let last = reports.last().unwrap();
    assert_eq!((last.tag.path(), last.count), ("quiet", 1));
    assert_eq!(reports.len(), 11, "ten of the flood");
}

#[test]
fn suppressed_reports_are_counted_and_panic_in_strict_mode_all_the_same() {
    let _alone = alone();
    let reports = sent(|| {
        diagnostics::suppress_diagnostics(true);
        fa_diagnostic!(Error, code = "QUIET1", message = "said to nobody");
        let strict = StrictModeGuard::panic_on_error();
        let outcome = catch_unwind(|| {
            fa_diagnostic!(Error, code = "QUIET2", message = "said to nobody");
        });
        drop(strict);
        assert!(outcome.is_err());
        let ((), captured) = diagnostics::capture(|| fa_emit!(FA001));
        assert_eq!(captured.len(), 1);
        diagnostics::suppress_diagnostics(false);
        fa_diagnostic!(Error, code = "QUIET3", message = "said");
    });
    let names: Vec<_> = reports.iter().map(|report| report.code.name()).collect();
    assert_eq!(names, ["QUIET3"]);
    assert_eq!(count(DiagnosticCode::Custom("QUIET1")), 1);
}

#[test]
fn recent_reports_are_kept_wherever_they_went() {
    let _alone = alone();
    let newest = || diagnostics::recent().pop().map(|report| report.code.name());
    fa_diagnostic!(
        Note,
        code = "RECENT1",
        message = "to standard error or nowhere"
    );
    assert_eq!(newest(), Some("RECENT1"));
    let sent = sent(|| {
        for _ in 0..3 {
            fa_diagnostic!(Note, code = "RECENT2", message = "to the sink");
        }
    });
    assert_eq!(newest(), Some("RECENT2"));
    let recent = diagnostics::recent();
    assert_eq!(counts(&recent[recent.len() - 2..]), [1, 2]);
    assert_eq!(sent, recent[recent.len() - 2..]);
    diagnostics::suppress_diagnostics(true);
    fa_diagnostic!(Note, code = "RECENT3", message = "to nobody");
    diagnostics::suppress_diagnostics(false);
    assert_eq!(newest(), Some("RECENT3"));
    diagnostics::capture(|| fa_diagnostic!(Note, code = "RECENT4", message = "captured"));
    assert_eq!(newest(), Some("RECENT3"));
}

#[test]
fn verbose_reports_say_where_and_debug_messages_are_sent() {
    let _alone = alone();
    let evaluated = RefCell::new(0);
    let say = || {
        fa_debug!("{} agents", {
            *evaluated.borrow_mut() += 1;
            12
        });
    };
    let reports = sent(|| {
        diagnostics::set_verbose(true);
        fa_diagnostic!(Note, code = "VERBOSE1", message = "here");
        say();
        say();
        say();
        diagnostics::set_verbose(false);
        say();
        fa_diagnostic!(Note, code = "VERBOSE2", message = "here");
    });
    let texts: Vec<_> = reports.iter().map(ToString::to_string).collect();
    assert!(texts[0].contains("\n  context: frame="), "{}", texts[0]);
    assert_eq!(texts.last().unwrap(), "[framealloc][VERBOSE2] note: here");
    if cfg!(debug_assertions) {
        assert!(
            texts[1].starts_with("[framealloc][debug] note: 12 agents"),
            "{}",
            texts[1]
        );
        assert_eq!(texts.len(), 5, "they are not limited");
    } else {
        assert_eq!((texts.len(), *evaluated.borrow()), (2, 0));
    }
}

#[test]
fn the_process_has_a_mode_for_all_threads_that_guards_override() {
    let _alone = alone();
    set_strict_mode(StrictMode::PanicOnError);
    let here = catch_unwind(|| fa_emit!(FA002));
    let there = thread::spawn(|| fa_emit!(FA002)).join();
    let lenient = {
        let _guard = StrictModeGuard::new(StrictMode::Warn);
        catch_unwind(|| fa_emit!(FA002))
    };
    set_strict_mode(StrictMode::Warn);
    assert!(here.is_err() && there.is_err() && lenient.is_ok());
    fa_emit!(FA002);
}

#[test]
fn what_is_reported_inside_a_sink_does_not_panic() {
    let _alone = alone();
    let before = count(DiagnosticCode::FA002);
    diagnostics::set_sink(|_| fa_emit!(FA002));
    let _strict = StrictModeGuard::panic_on_error();
    fa_diagnostic!(Note, code = "INSIDE1", message = "calls the sink");
    diagnostics::reset_sink();
    assert_eq!(count(DiagnosticCode::FA002), before + 1);
}

#[test]
fn a_strict_panic_comes_after_its_report() {
    let _alone = alone();
    let reports = sent(|| {
        let _strict = StrictModeGuard::panic_on_error();
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            fa_diagnostic!(Error, code = "AFTER1", message = "said first");
        }));
        assert!(outcome.is_err());
    });
    assert_eq!(reports[0].message, "said first");
}

#[test]
fn a_collecting_sink_keeps_the_newest_reports_of_all_threads() {
    let _alone = alone();
    let log = CollectingSink::new();
    log.install();
    assert!(log.is_empty());
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for n in 0..1_000 {
                    let tag = TagId::from_path(&format!("kept::{}", n % 7));
                    log.emit(&Diagnostic::of(DiagnosticCode::FA003).with_tag(tag));
                }
            });
        }
    });
    fa_diagnostic!(Note, code = "KEPT1", message = "the newest");
    diagnostics::reset_sink();
    assert_eq!(log.len(), 1_024);
    assert!(log.contains(DiagnosticCode::FA003));
    assert_eq!(log.reports().last().unwrap().message, "the newest");
    assert_eq!(log.clone().take().len(), 1_024);
    assert!(log.is_empty());
}

#[test]
fn memory_asked_for_after_a_threads_state_is_gone_is_fa202() {
    /// Asks for memory of each kind.
    struct Late;
    impl Drop for Late {
        fn drop(&mut self) {
            let alloc = SmartAlloc::new(AllocConfig::minimal());
            for what in ["frame", "pool", "heap"] {
                let before = count(DiagnosticCode::FA202);
                alloc.with_tag("fa202", |alloc| match what {
                    "frame" => alloc.begin_frame(),
                    "pool" => drop(alloc.pool_box([1_u8; 20]).unwrap()),
                    _ => drop(alloc.heap_box([1_u8; 20]).unwrap()),
                });
                let raised = count(DiagnosticCode::FA202) - before;
                LATE.lock().unwrap().push((what, raised));
            }
        }
    }
    static LATE: Mutex<Vec<(&str, u64)>> = Mutex::new(Vec::new());
    thread_local! {
        static FIRST: Late = const { Late };
        static LAST: Late = const { Late };
    }
    let _alone = alone();
    // Were it to panic there, the process would end.
    set_strict_mode(StrictMode::PanicOnWarning);
    let log = CollectingSink::new();
    log.install();
    thread::spawn(|| {
        // Thread-locals are destroyed in some order of their first use: one of the two outlives the allocator's.
        FIRST.with(|_| ());
        drop(SmartAlloc::with_defaults().pool_box(1).unwrap());
        LAST.with(|_| ());
    })
    .join()
    .unwrap();
    set_strict_mode(StrictMode::Warn);
    diagnostics::reset_sink();
    assert!(log.is_empty(), "a sink could not use thread-locals there");
    let mut late = LATE.lock().unwrap().clone();
    late.sort_unstable();
    assert_eq!(
        late,
        [
            ("frame", 0),
            ("frame", 1),
            ("heap", 0),
            ("heap", 1),
            ("pool", 0),
            ("pool", 1)
        ]
    );
}

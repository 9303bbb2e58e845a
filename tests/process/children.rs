//! What a process does by itself: reads `FRAMEALLOC_STRICT`, and writes reports to standard error.
//!
//! Each test starts this test program again, with one test alone in it and the environment that it is about.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use framealloc::diagnostics::{self, Diagnostic, count, strict_mode};
use framealloc::tags::TagId;
use framealloc::{
    AllocConfig, DiagnosticCode, SmartAlloc, StrictMode, fa_diagnostic, fa_emit, set_strict_mode,
};

const CHILD: &str = "FRAMEALLOC_TESTS_CHILD";

/// Runs a test of this module in a process of its own.
fn run(test: &str, strict: Option<&str>) -> Output {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args([
            "--exact",
            &format!("children::{test}"),
            "--nocapture",
            "--include-ignored",
        ])
        .env(CHILD, "1")
        .env("RUST_BACKTRACE", "0")
        .env_remove("FRAMEALLOC_STRICT");
    if let Some(strict) = strict {
        command.env("FRAMEALLOC_STRICT", strict);
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    output
}

fn stdout(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

fn stderr(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}

fn is_child() -> bool {
    std::env::var_os(CHILD).is_some()
}

#[test]
#[ignore = "started by other tests, in a process of its own"]
fn child_says_what_panics() {
    assert!(is_child());
    let alloc = SmartAlloc::new(AllocConfig::minimal());
    let panics = |f: &dyn Fn()| catch_unwind(AssertUnwindSafe(f)).is_err();
    // Strict mode is first asked for by a report, not by name.
    let error = panics(&|| alloc.end_frame());
    let warning = panics(&|| {
        let _ = alloc.try_begin_frame();
        drop(alloc.frame_slice_fill(1 << 30, 0_u8));
    });
    println!("error={error} warning={warning} mode={:?};", strict_mode());
    println!("unknown={};", count(DiagnosticCode::FA902));
}

#[test]
fn the_environment_says_what_panics() {
    use StrictMode::{PanicOnError, PanicOnWarning, Warn};
    let cases = [
        (None, Warn),
        (Some(""), Warn),
        (Some("warn"), Warn),
        (Some("0"), Warn),
        (Some("False"), Warn),
        (Some("error"), PanicOnError),
        (Some("ERROR"), PanicOnError),
        (Some("1"), PanicOnError),
        (Some("true"), PanicOnError),
        (Some(" warning "), PanicOnWarning),
        (Some("2"), PanicOnWarning),
        (Some("ALL"), PanicOnWarning),
    ];
    for (value, mode) in cases {
        let output = run("child_says_what_panics", value);
        let expected = format!(
            "error={} warning={} mode={mode:?};",
            mode >= PanicOnError,
            mode >= PanicOnWarning
        );
        assert!(stdout(&output).contains(&expected), "{value:?}: {output:?}");
        assert!(
            stdout(&output).contains("unknown=0;"),
            "{value:?}: {output:?}"
        );
    }
}

#[test]
fn a_value_that_is_no_mode_is_reported_once_and_means_warn() {
    let output = run("child_says_what_panics", Some("pedantic"));
    let text = stdout(&output);
    assert!(
        text.contains("error=false warning=false mode=Warn;"),
        "{output:?}"
    );
    assert!(text.contains("unknown=1;"), "{output:?}");
    if cfg!(debug_assertions) {
        let report = "[framealloc][FA902] warning: FRAMEALLOC_STRICT is \"pedantic\"";
        assert_eq!(stderr(&output).matches(report).count(), 1, "{output:?}");
    }
}

#[test]
#[ignore = "started by other tests, in a process of its own"]
fn child_sets_its_own_mode() {
    assert!(is_child());
    set_strict_mode(StrictMode::Warn);
    fa_emit!(FA001);
    assert_eq!(strict_mode(), StrictMode::Warn);
    diagnostics::init_from_env();
    assert_eq!(strict_mode(), StrictMode::PanicOnError);
    println!("done;");
}

#[test]
fn a_mode_that_the_program_sets_counts_more_than_the_environment() {
    let output = run("child_sets_its_own_mode", Some("error"));
    assert!(stdout(&output).contains("done;"), "{output:?}");
}

#[test]
#[ignore = "started by other tests, in a process of its own"]
fn child_makes_mistakes() {
    assert!(is_child());
    let alloc = SmartAlloc::new(AllocConfig::minimal());
    for _ in 0..3 {
        drop(alloc.frame_box(7_u32));
    }
    println!("done;");
}

#[test]
fn without_a_sink_debug_builds_write_to_standard_error_and_release_builds_do_not() {
    let output = run("child_makes_mistakes", None);
    assert!(stdout(&output).contains("done;"), "{output:?}");
    let info = DiagnosticCode::FA001.info();
    let details = format!("\n  note: {}\n  help: {}\n", info.cause, info.remedy);
    let error = "[framealloc][FA001] error: frame memory (4 bytes for (untagged)) was asked for while no frame is open";
    let expected = format!("{error}{details}{error} (time 2){details}");
    if cfg!(debug_assertions) {
        assert_eq!(stderr(&output), expected);
    } else {
        assert_eq!(stderr(&output), "");
    }
}

#[test]
#[ignore = "started by other tests, in a process of its own"]
fn child_reports_for_more_tags_than_are_told_apart() {
    assert!(is_child());
    let code = DiagnosticCode::FA008;
    let sent = [const { AtomicUsize::new(0) }; 4];
    let sent: &'static [AtomicUsize; 4] = Box::leak(Box::new(sent));
    static ROUND: AtomicUsize = AtomicUsize::new(0);
    diagnostics::set_sink(move |_| {
        sent[ROUND.load(Relaxed)].fetch_add(1, Relaxed);
    });
    let tags: Vec<_> = (0..5_000)
        .map(|n| TagId::from_path(&format!("many::{n}")))
        .collect();
    for round in 0..4 {
        ROUND.store(round, Relaxed);
        for &tag in &tags {
            diagnostics::emit(Diagnostic::of(code).with_tag(tag));
        }
        assert_eq!(count(code), 5_000 * (round as u64 + 1));
    }
    let [first, _, third, fourth] = sent.each_ref().map(|sent| sent.load(Relaxed));
    // Those that are told apart, and some of the others.
    assert!((1_000..3_000).contains(&first), "{first} first reports");
    // No tag that is told apart is at a power of two.
    assert!(third < 100, "{third} third reports");
    assert!(fourth >= first - 100, "{fourth} fourth reports");
    // Another code is not affected.
    fa_emit!(FA007);
    fa_diagnostic!(Note, code = "MANY1", message = "once");
    let ((), reports) = diagnostics::capture(|| {
        fa_emit!(FA007);
        fa_diagnostic!(Note, code = "MANY1", message = "twice");
    });
    assert!(reports.iter().all(|report| report.count == 2));
    println!("done;");
}

#[test]
fn more_tags_than_are_told_apart_are_counted_and_limited_all_the_same() {
    let output = run("child_reports_for_more_tags_than_are_told_apart", None);
    assert!(stdout(&output).contains("done;"), "{output:?}");
}

mod registry {
    include!(concat!(env!("OUT_DIR"), "/examples.rs"));
}

/// Runs the registry's examples for FA202, of which the wrong one reports where a thread ends.
#[test]
#[ignore = "started by other tests, in a process of its own"]
fn child_asks_for_memory_too_late() {
    assert!(is_child());
    let code = DiagnosticCode::FA202;
    let row = registry::EXAMPLES.iter().find(|row| row.0 == code);
    let &(_, wrong, right) = row.unwrap();
    right();
    let right = count(code);
    wrong();
    println!("right={right} wrong={};", count(code));
}

/// Which destructor of a thread-local runs first is the system's affair: here it is the youngest's.
#[cfg(target_os = "linux")]
#[test]
fn the_wrong_example_of_fa202_reports_it_and_the_right_one_does_not() {
    let output = run("child_asks_for_memory_too_late", None);
    assert!(stdout(&output).contains("right=0 wrong=1;"), "{output:?}");
    if cfg!(debug_assertions) {
        let report =
            "[framealloc][FA202] warning: pool memory was asked for where this thread has no state";
        assert!(stderr(&output).starts_with(report), "{output:?}");
    }
}

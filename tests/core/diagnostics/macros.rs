//! What users write to report something of their own.

use std::cell::Cell;

use framealloc::diagnostics::{Diagnostic, DiagnosticCode, DiagnosticLevel, capture};
use framealloc::{
    DiagnosticKind, SmartAlloc, StrictModeGuard, fa_assert, fa_debug, fa_diagnostic,
    fa_diagnostic_ctx, fa_emit, fa_emit_ctx,
};

use crate::common::panics;

fn only(reports: Vec<Diagnostic>) -> Diagnostic {
    let [report] = <[_; 1]>::try_from(reports).expect("one report");
    report
}

#[test]
fn a_predefined_code_is_printed_as_documented() {
    let ((), reports) = capture(|| fa_emit!(FA001));
    let mut report = only(reports);
    report.count = 1;
    assert_eq!(
        report.to_string(),
        "[framealloc][FA001] error: frame memory asked for outside a frame\n  \
         note: an allocation before `begin_frame`, after `end_frame`, or on a thread whose frame was never begun\n  \
         help: call `begin_frame()` on this thread first, open a guard with `frame()`, or use `pool_box()` or `heap_box()`"
    );
}

#[test]
fn a_report_of_ones_own_is_printed_as_documented() {
    let ((), reports) = capture(|| {
        fa_diagnostic!(
            Error,
            code = "MACRO1",
            message = "frame allocation used outside an active frame",
            note = "this allocation was requested after end_frame()",
            help = "call alloc.begin_frame() before allocating"
        );
        fa_diagnostic!(Help, code = "MACRO2", message = String::from("no parts"),);
    });
    let texts: Vec<_> = reports.iter().map(ToString::to_string).collect();
    assert_eq!(
        texts,
        [
            "[framealloc][MACRO1] error: frame allocation used outside an active frame\n  \
             note: this allocation was requested after end_frame()\n  \
             help: call alloc.begin_frame() before allocating",
            "[framealloc][MACRO2] help: no parts",
        ]
    );
}

#[test]
fn a_text_that_names_a_predefined_code_is_that_code() {
    let ((), reports) = capture(|| {
        fa_diagnostic!(Error, code = "FA301", message = "too much");
        fa_diagnostic!(Warning, code = DiagnosticCode::FA302, message = "too much");
        fa_diagnostic!(Note, code = "MACRO3", message = "as much as ever");
    });
    let seen: Vec<_> = reports.iter().map(|r| (r.kind, r.code)).collect();
    assert_eq!(
        seen,
        [
            (DiagnosticKind::Error, DiagnosticCode::FA301),
            (DiagnosticKind::Warning, DiagnosticCode::FA302),
            (DiagnosticKind::Note, DiagnosticCode::Custom("MACRO3")),
        ]
    );
    assert_eq!(reports[2].kind.level(), DiagnosticLevel::Hint);
}

#[test]
fn with_context_a_report_tells_thread_and_frame() {
    let alloc = SmartAlloc::with_defaults();
    let lines = std::thread::Builder::new()
        .name("loader".to_owned())
        .spawn(move || {
            let ((), reports) = capture(|| {
                fa_emit_ctx!(FA003);
                alloc.begin_frame();
                fa_diagnostic_ctx!(Note, code = "MACRO4", message = "here");
                fa_assert!(1 > 2, FA003, ctx);
                alloc.end_frame();
            });
            reports
                .iter()
                .map(|report| report.to_string().lines().last().unwrap().to_owned())
                .collect::<Vec<_>>()
        })
        .unwrap()
        .join()
        .unwrap();
    assert_eq!(
        lines,
        [
            "  context: frame=0, thread=\"loader\"",
            "  context: frame=1, frame_active=true, thread=\"loader\"",
            "  context: frame=1, frame_active=true, thread=\"loader\"",
        ]
    );
}

#[test]
fn an_assertion_reports_if_it_fails_and_evaluates_its_condition_once() {
    let asked = Cell::new(0);
    let ask = |answer: bool| {
        asked.set(asked.get() + 1);
        answer
    };
    let ((), reports) = capture(|| {
        fa_assert!(ask(true), FA001);
        fa_assert!(ask(true), FA001, ctx);
        fa_assert!(ask(false), FA008);
    });
    assert_eq!(asked.get(), 3);
    assert_eq!(only(reports).code, DiagnosticCode::FA008);
}

#[test]
fn macros_obey_strict_mode() {
    let _strict = StrictModeGuard::panic_on_error();
    panics(|| fa_emit!(FA001));
    panics(|| fa_emit_ctx!(FA001));
    panics(|| fa_assert!(1 > 2, FA001));
    panics(|| fa_diagnostic!(Error, code = "MACRO5", message = "an error"));
    fa_diagnostic!(Warning, code = "MACRO6", message = "a warning");
    fa_emit!(FA003);
}

#[test]
fn debug_messages_cost_nothing_unless_asked_for() {
    // Verbose is the process's, and off here: `process` turns it on.
    let ((), reports) = capture(|| fa_debug!("{} agents", 12));
    assert_eq!(reports, []);
}

/// If the macro said nothing, there would be nothing to expect.
#[expect(deprecated)]
mod said_at_compile_time {
    framealloc::fa_compile_warning!(
        code = "MACRO7",
        message = "this test is a warning",
        help = "leave it"
    );
}

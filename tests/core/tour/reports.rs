//! Diagnostics of one's own, assertions, the guard of strict mode, and the context.

use framealloc::diagnostics::{DiagContext, capture};
use framealloc::{DiagnosticKind, StrictModeGuard, fa_assert, fa_diagnostic, fa_emit, fa_emit_ctx};

use crate::common::{panics, small};

#[test]
fn reports_are_made_with_macros() {
    let ((), mut reports) = capture(|| {
        fa_diagnostic!(
            Error,
            code = "FA001",
            message = "frame memory without a frame",
            note = "asked for after the end of one",
            help = "begin one first"
        );
        fa_emit!(FA001);
        fa_emit_ctx!(FA001);
    });
    assert!(reports.iter().all(|r| r.kind == DiagnosticKind::Error));
    let context: Vec<_> = reports.iter().map(|r| r.context.is_some()).collect();
    assert_eq!(context, [false, false, true]);
    // Other tests report this code as well.
    reports[0].count = 1;
    assert_eq!(
        reports[0].to_string(),
        "[framealloc][FA001] error: frame memory without a frame\n  \
         note: asked for after the end of one\n  \
         help: begin one first"
    );
}

#[test]
fn assertions_report_what_does_not_hold() {
    let alloc = small();
    alloc.begin_frame();
    let ((), reports) = capture(|| {
        let frame_active = alloc.frame_is_open();
        fa_assert!(frame_active, FA001);
        fa_assert!(frame_active, FA001, ctx);
        fa_assert!(!frame_active, FA001, ctx);
    });
    alloc.end_frame();
    assert_eq!(reports.len(), 1);
}

#[test]
fn a_scope_can_be_strict() {
    {
        let _guard = StrictModeGuard::panic_on_error();
        panics(|| fa_emit!(FA001));
    }
    fa_emit!(FA001);
}

#[test]
fn the_context_tells_thread_and_frame() {
    let alloc = small();
    alloc.begin_frame();
    let ctx = DiagContext::capture();
    let line = format!("Frame: {}, Thread: {:?}", ctx.frame_number, ctx.thread_id);
    assert!(line.starts_with("Frame: 1, Thread: ThreadId("), "{line}");
    assert!(ctx.frame_active && !ctx.is_main_thread);
    assert_eq!(ctx.thread_name.as_deref(), std::thread::current().name());
    alloc.end_frame();
    assert!(!DiagContext::capture().frame_active);
}

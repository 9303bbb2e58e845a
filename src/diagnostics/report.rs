//! The way of a report: counted, captured or sent, and in strict mode a panic at its end.

use core::fmt;

use framealloc_codes::{DiagnosticCode, DiagnosticKind, DiagnosticLevel};

use super::diagnostic::{Diagnostic, PanicText};
use super::sink::{self, Route};
use super::{counts, strict};
use crate::error::AllocError;
use crate::tags::TagId;

/// Reports that something happened, with the usual cause and the remedy from the registry.
///
/// Call it last, with no lock and no borrow held: sinks do what they like, and in strict mode it panics.
#[cold]
pub(crate) fn report(code: DiagnosticCode, message: fmt::Arguments<'_>) {
    let tag = TagId::current();
    finish(deliver(code, code.level(), tag, || {
        Diagnostic::explained(code, message.to_string())
    }));
}

/// Reports the same code about several tags. In strict mode it panics once all of them have been reported.
#[cold]
pub(crate) fn report_each<M: fmt::Display>(
    code: DiagnosticCode,
    messages: impl Iterator<Item = (TagId, M)>,
) {
    report_all(messages.map(|(tag, message)| (code, tag, message)));
}

/// Reports several codes about several tags. In strict mode it panics once all of them have been reported.
#[cold]
pub(crate) fn report_all<M: fmt::Display>(
    messages: impl Iterator<Item = (DiagnosticCode, TagId, M)>,
) {
    let mut first = None;
    for (code, tag, message) in messages {
        let fatal = deliver(code, code.level(), tag, || {
            Diagnostic::explained(code, message.to_string()).with_tag(tag)
        });
        first = first.or(fatal);
    }
    finish(first);
}

/// Reports a refused allocation and passes it on.
#[cold]
pub(crate) fn refused(error: AllocError) -> AllocError {
    struct Message<'a>(&'a AllocError);
    impl fmt::Display for Message<'_> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            self.0.fmt_message(f)
        }
    }
    report(error.code(), format_args!("{}", Message(&error)));
    error
}

/// FA202: memory is asked for where this thread has no state. No user's code runs, and nothing panics.
#[cold]
pub(crate) fn thread_state_missing(what: &str) {
    report(
        DiagnosticCode::FA202,
        format_args!("{what} was asked for where this thread has no state of its own"),
    );
}

/// FA901: what cannot be has happened.
///
/// It counts and panics, and does not go by the sink: borrows and locks may be held where it is called.
#[cold]
#[inline(never)]
#[track_caller]
pub(crate) fn bug(what: &str) -> ! {
    let code = DiagnosticCode::FA901;
    counts::add(code, TagId::current());
    let info = code.info();
    panic!(
        "[framealloc][{code}] {}: {what}\n  help: {}",
        info.meaning, info.remedy
    );
}

/// Reports what the program itself has found, by the same way as the allocator's own reports: it is rate-limited by code and
/// tag, and strict mode applies.
///
/// The macros [`fa_emit!`](crate::fa_emit) and [`fa_diagnostic!`](crate::fa_diagnostic) write this shorter.
///
/// ```
/// use framealloc::diagnostics::{self, Diagnostic, DiagnosticCode};
///
/// let (_, reports) = diagnostics::capture(|| {
///     diagnostics::emit(Diagnostic::of(DiagnosticCode::FA003));
/// });
/// assert_eq!(reports[0].message, "frame arena exhausted");
/// ```
pub fn emit(report: Diagnostic) {
    let (code, level, tag) = (report.code, report.kind.level(), report.tag);
    finish(deliver(code, level, tag, || report));
}

/// [`emit`], however often it was said already: for what is new each time, and seldom.
pub fn emit_always(report: Diagnostic) {
    let (code, level, tag) = (report.code, report.kind.level(), report.tag);
    finish(deliver_if(code, level, tag, |_| true, || report));
}

/// [`emit`] with the thread and frame that it happens in.
pub fn emit_with_context(report: Diagnostic) {
    emit(report.with_context());
}

/// What `fa_debug!` sends: neither counted nor limited.
#[doc(hidden)]
pub fn debug(message: fmt::Arguments<'_>) {
    if !sink::is_verbose() || sink::is_sending() {
        return;
    }
    let report = || {
        let code = DiagnosticCode::Custom("debug");
        Diagnostic::new(DiagnosticKind::Note, code, message.to_string())
    };
    if sink::is_capturing() {
        sink::push_captured(report());
    } else if let Some(route) = Route::find() {
        route.send(&report());
    }
}

/// Counts a report, and captures or sends it, unless it has been sent often. Returns what strict mode is to panic with.
fn deliver(
    code: DiagnosticCode,
    level: DiagnosticLevel,
    tag: TagId,
    report: impl FnOnce() -> Diagnostic,
) -> Option<String> {
    deliver_if(code, level, tag, u64::is_power_of_two, report)
}

/// [`deliver`] by another rule of when it has been sent often.
fn deliver_if(
    code: DiagnosticCode,
    level: DiagnosticLevel,
    tag: TagId,
    is_due: impl FnOnce(u64) -> bool,
    report: impl FnOnce() -> Diagnostic,
) -> Option<String> {
    let count = counts::add(code, tag);
    let captured = sink::is_capturing();
    if !captured && sink::is_sending() {
        return None;
    }
    let fatal = strict::must_panic(level);
    let limited = !captured && !is_due(count);
    if limited && !fatal {
        return None;
    }
    let mut report = report();
    report.count = count;
    if sink::is_verbose() && report.context.is_none() {
        report = report.with_context();
    }
    let text = fatal.then(|| PanicText(&report).to_string());
    if captured {
        sink::push_captured(report);
    } else if !limited {
        sink::keep(&report);
        if let Some(route) = Route::find() {
            route.send(&report);
        }
    }
    text
}

/// Panics, if strict mode is to.
fn finish(fatal: Option<String>) {
    if let Some(text) = fatal {
        panic!("{text}");
    }
}

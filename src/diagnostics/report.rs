//! Where diagnostics go.

use core::cell::{Cell, RefCell};
use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::Arc;

use super::code::{DiagnosticCode, DiagnosticKind};
use crate::error::AllocError;
use crate::sync::Mutex;

/// One report.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Diagnostic {
    /// The code.
    pub code: DiagnosticCode,
    /// What happened.
    pub message: String,
    /// How often this code has been reported in this process, this time included.
    pub count: u64,
}

impl Diagnostic {
    /// How serious it is.
    pub fn kind(&self) -> DiagnosticKind {
        self.code.kind()
    }

    /// What to do.
    pub fn help(&self) -> &'static str {
        self.code.info().remedy
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            code,
            message,
            count,
        } = self;
        write!(f, "[framealloc][{code}] {}: {message}", code.kind())?;
        if *count > 1 {
            write!(f, " (time {count})")?;
        }
        write!(f, "\n  help: {}", self.help())
    }
}

type Sink = Arc<dyn Fn(&Diagnostic) + Send + Sync>;

static SINK: Mutex<Option<Sink>> = Mutex::new(None);
static COUNTS: [AtomicU64; DiagnosticCode::ALL.len()] =
    [const { AtomicU64::new(0) }; DiagnosticCode::ALL.len()];

thread_local! {
    static CAPTURED: RefCell<Option<Vec<Diagnostic>>> = const { RefCell::new(None) };
    static REPORTING: Cell<bool> = const { Cell::new(false) };
}

/// Sends reports to `sink` from now on.
///
/// The sink runs on the thread that has something to report, with no lock held: it may allocate, also from the allocator
/// that reports. What happens to be reported inside a sink is counted, not sent.
///
/// ```
/// use framealloc::diagnostics;
///
/// diagnostics::set_sink(|report| println!("{report}"));
/// ```
pub fn set_sink(sink: impl Fn(&Diagnostic) + Send + Sync + 'static) {
    let sink: Sink = Arc::new(sink);
    let replaced = SINK.lock().replace(sink);
    // Its destructor is the user's code: it runs with the lock released.
    drop(replaced);
}

/// How often `code` has been reported in this process, rate limit or not.
pub fn count(code: DiagnosticCode) -> u64 {
    COUNTS[code as usize].load(Relaxed)
}

/// Runs `f` and returns every report made meanwhile on this thread, instead of sending them to the sink: for tests.
///
/// ```
/// use framealloc::{SmartAlloc, diagnostics::{self, DiagnosticCode}};
///
/// let alloc = SmartAlloc::with_defaults();
/// let (_, reports) = diagnostics::capture(|| alloc.end_frame());
/// assert_eq!(reports[0].code, DiagnosticCode::FA006);
/// ```
pub fn capture<R>(f: impl FnOnce() -> R) -> (R, Vec<Diagnostic>) {
    struct Restore(Option<Vec<Diagnostic>>);
    impl Drop for Restore {
        fn drop(&mut self) {
            CAPTURED.set(self.0.take());
        }
    }
    let restore = Restore(CAPTURED.replace(Some(Vec::new())));
    let result = f();
    let reports = CAPTURED.take().unwrap_or_default();
    drop(restore);
    (result, reports)
}

/// Counts a report, and sends it unless it has been sent often.
#[cold]
pub(crate) fn report(code: DiagnosticCode, message: fmt::Arguments<'_>) {
    let count = COUNTS[code as usize].fetch_add(1, Relaxed) + 1;
    let diagnostic = || Diagnostic {
        code,
        message: message.to_string(),
        count,
    };
    // Thread-locals are gone in the last destructors of a thread; what is reported there is only counted.
    let captured = CAPTURED.try_with(|captured| match &mut *captured.borrow_mut() {
        Some(reports) => {
            reports.push(diagnostic());
            true
        }
        None => false,
    });
    if captured != Ok(false) || !count.is_power_of_two() {
        return;
    }
    let sink = SINK.lock().clone();
    if sink.is_none() && !cfg!(debug_assertions) {
        return;
    }
    if REPORTING.try_with(|reporting| reporting.replace(true)) != Ok(false) {
        return;
    }
    struct Done;
    impl Drop for Done {
        fn drop(&mut self) {
            let _ = REPORTING.try_with(|reporting| reporting.set(false));
        }
    }
    let _done = Done;
    match sink {
        Some(sink) => sink(&diagnostic()),
        None => eprintln!("{}", diagnostic()),
    }
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

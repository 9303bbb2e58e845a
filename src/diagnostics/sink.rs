//! Where reports go.

use core::cell::{Cell, RefCell};
use core::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::{Arc, LazyLock};

use framealloc_codes::DiagnosticCode;

use super::diagnostic::Diagnostic;
use super::strict::{StrictMode, StrictModeGuard};
use crate::allocators::thread::{Local, local};
use crate::sync::Mutex;

type Sink = Arc<dyn Fn(&Diagnostic) + Send + Sync>;

static SINK: Mutex<Option<Sink>> = Mutex::new(None);
static SUPPRESSED: AtomicBool = AtomicBool::new(false);
static VERBOSE: AtomicBool = AtomicBool::new(false);

thread_local! {
    static CAPTURED: RefCell<Option<Vec<Diagnostic>>> = const { RefCell::new(None) };
    static SENDING: Cell<bool> = const { Cell::new(false) };
}

/// Sends reports to `sink` from now on, and nowhere else.
///
/// The sink runs on the thread that has something to report, with no lock held: it may allocate, also from the allocator
/// that reports. What happens to be reported inside a sink is counted, not sent. What is reported in a thread's last
/// destructors, where a sink could not use thread-locals any more, does not reach it.
///
/// ```
/// use framealloc::diagnostics;
///
/// diagnostics::set_sink(|report| println!("{report}"));
/// # diagnostics::reset_sink();
/// ```
pub fn set_sink(sink: impl Fn(&Diagnostic) + Send + Sync + 'static) {
    replace_sink(Some(Arc::new(sink)));
}

/// Sends reports where they go without a sink: see [`diagnostics`](crate::diagnostics).
pub fn reset_sink() {
    replace_sink(None);
}

fn replace_sink(sink: Option<Sink>) {
    let replaced = core::mem::replace(&mut *SINK.lock(), sink);
    // Its destructor is the user's code: it runs with the lock released.
    drop(replaced);
}

/// Stops reports from being sent anywhere, for the whole process, or lets them through again.
///
/// They are still counted and captured, and strict mode still panics.
pub fn suppress_diagnostics(suppress: bool) {
    SUPPRESSED.store(suppress, Relaxed);
}

/// Whether each report says where it happened (see [`DiagContext`](super::DiagContext)), and whether
/// [`fa_debug!`](crate::fa_debug) says anything. Off at first.
pub fn set_verbose(verbose: bool) {
    VERBOSE.store(verbose, Relaxed);
}

pub(super) fn is_verbose() -> bool {
    VERBOSE.load(Relaxed)
}

/// Runs `f` and returns every report made meanwhile on this thread, instead of sending them to the sink: for tests.
///
/// What is expected must not panic, so strict mode is off inside, unless a [`StrictModeGuard`] made by `f` says otherwise.
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
            swap_captured(self.0.take());
        }
    }
    let _lenient = StrictModeGuard::new(StrictMode::Warn);
    let restore = Restore(swap_captured(Some(Vec::new())));
    let result = f();
    let reports = swap_captured(None).unwrap_or_default();
    drop(restore);
    (result, reports)
}

/// Fails silently in the last destructors of a thread, where nothing is captured any more.
fn swap_captured(reports: Option<Vec<Diagnostic>>) -> Option<Vec<Diagnostic>> {
    CAPTURED
        .try_with(|captured| captured.replace(reports))
        .ok()
        .flatten()
}

/// Whether somebody captures this thread's reports.
pub(super) fn is_capturing() -> bool {
    CAPTURED
        .try_with(|captured| captured.borrow().is_some())
        .unwrap_or(false)
}

/// Hands a report to who captures them.
pub(super) fn push_captured(report: Diagnostic) {
    let _ = CAPTURED.try_with(|captured| {
        if let Some(reports) = &mut *captured.borrow_mut() {
            reports.push(report);
        }
    });
}

/// Whether a sink is running on this thread.
pub(super) fn is_sending() -> bool {
    SENDING.get()
}

/// Where a report would be sent from here.
pub(super) enum Route {
    Sink(Sink),
    #[cfg(feature = "tracing")]
    Tracing,
    StandardError,
}

impl Route {
    /// `None` if nobody is to be told.
    pub(super) fn find() -> Option<Self> {
        if SUPPRESSED.load(Relaxed) {
            return None;
        }
        let is_late = local(Local::is_past_its_end);
        if let Some(sink) = SINK.lock().clone() {
            return (!is_late).then_some(Self::Sink(sink));
        }
        #[cfg(feature = "tracing")]
        if !is_late && subscriber_listens() {
            return Some(Self::Tracing);
        }
        cfg!(debug_assertions).then_some(Self::StandardError)
    }

    /// Sends it. The caller holds no lock and no borrow.
    pub(super) fn send(self, report: &Diagnostic) {
        struct Done;
        impl Drop for Done {
            fn drop(&mut self) {
                SENDING.set(false);
            }
        }
        SENDING.set(true);
        let _done = Done;
        match self {
            Self::Sink(sink) => sink(report),
            #[cfg(feature = "tracing")]
            Self::Tracing => trace(report),
            Self::StandardError => write_to_standard_error(report),
        }
    }
}

fn write_to_standard_error(report: &Diagnostic) {
    if local(Local::is_past_its_end) {
        // A destructor of a thread-local must not panic, not even because standard error is closed.
        let _ = writeln!(io::stderr(), "{report}");
    } else {
        eprintln!("{report}");
    }
}

/// Whether this thread's events go anywhere. A program without a subscriber reads standard error.
#[cfg(feature = "tracing")]
fn subscriber_listens() -> bool {
    tracing::dispatcher::get_default(|dispatch| !dispatch.is::<tracing::subscriber::NoSubscriber>())
}

#[cfg(feature = "tracing")]
fn trace(report: &Diagnostic) {
    use framealloc_codes::DiagnosticLevel;

    macro_rules! event {
        ($level:ident) => {
            tracing::event!(
                target: "framealloc",
                tracing::Level::$level,
                code = report.code.name(),
                tag = report.tag.path(),
                count = report.count,
                note = report.note.as_deref(),
                help = report.help.as_deref(),
                context = report.context.as_ref().map(tracing::field::display),
                "{}",
                report.message
            )
        };
    }
    match report.kind.level() {
        DiagnosticLevel::Error => event!(ERROR),
        DiagnosticLevel::Warning => event!(WARN),
        DiagnosticLevel::Hint => event!(INFO),
    }
}

static RECENT: LazyLock<CollectingSink> = LazyLock::new(CollectingSink::new);

/// The newest reports of the process, oldest first, wherever they went: for panels and snapshots, which leave the sink to the
/// program. Like what is sent they are limited by code and tag; there are 1,024 of them at most. What is captured is not
/// among them.
///
/// ```
/// framealloc::fa_emit!(FA003);
/// let newest = framealloc::diagnostics::recent().pop().unwrap();
/// assert_eq!(newest.code.name(), "FA003");
/// ```
pub fn recent() -> Vec<Diagnostic> {
    RECENT.reports()
}

/// What `f` makes of the newest `max` reports that [`recent`] would give, oldest first. It runs under a lock.
#[cfg(feature = "snapshots")]
pub(crate) fn newest<R>(max: usize, f: impl FnMut(&Diagnostic) -> R) -> Vec<R> {
    let kept = RECENT.0.lock();
    let skipped = kept.len().saturating_sub(max);
    kept.iter().skip(skipped).map(f).collect()
}

/// Remembers a report for [`recent`].
pub(super) fn keep(report: &Diagnostic) {
    RECENT.emit(report);
}

/// Reports are kept by a [`CollectingSink`] up to this number; then the oldest ones go.
const KEPT: usize = 1024;

/// A sink that keeps reports: for tools, panels, and tests across threads. Clones share what they keep, the newest 1,024.
///
/// ```
/// use framealloc::diagnostics::{self, CollectingSink, DiagnosticCode};
///
/// let log = CollectingSink::new();
/// log.install();
/// framealloc::fa_emit!(FA003);
/// assert!(log.contains(DiagnosticCode::FA003));
/// # diagnostics::reset_sink();
/// ```
///
/// To keep reports and send them on, call [`emit`](Self::emit) from a sink of your own.
#[derive(Clone)]
pub struct CollectingSink(Arc<Mutex<VecDeque<Diagnostic>>>);

impl CollectingSink {
    /// A sink that has kept nothing yet.
    pub fn new() -> Self {
        Self(Arc::new(Mutex::new(VecDeque::new())))
    }

    /// Makes it the process's sink.
    pub fn install(&self) {
        let this = self.clone();
        set_sink(move |report| this.emit(report));
    }

    /// Keeps a report.
    pub fn emit(&self, report: &Diagnostic) {
        let report = report.clone();
        let mut kept = self.0.lock();
        let oldest = if kept.len() == KEPT {
            kept.pop_front()
        } else {
            None
        };
        kept.push_back(report);
        drop(kept);
        drop(oldest);
    }

    /// What it keeps, oldest first.
    pub fn reports(&self) -> Vec<Diagnostic> {
        self.0.lock().iter().cloned().collect()
    }

    /// Takes what it keeps, oldest first.
    pub fn take(&self) -> Vec<Diagnostic> {
        core::mem::take(&mut *self.0.lock()).into()
    }

    /// Whether it keeps a report of this code.
    pub fn contains(&self, code: DiagnosticCode) -> bool {
        self.0.lock().iter().any(|report| report.code == code)
    }

    /// How many reports it keeps.
    pub fn len(&self) -> usize {
        self.0.lock().len()
    }

    /// Whether it keeps none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Default for CollectingSink {
    fn default() -> Self {
        Self::new()
    }
}

impl core::fmt::Debug for CollectingSink {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_list().entries(self.reports()).finish()
    }
}

//! Strict mode: reports that panic, for tests and continuous integration.
//!
//! The mode of a thread is that of its newest guard; without one, the process's, which `FRAMEALLOC_STRICT` sets until the
//! program does.

use core::cell::RefCell;
use core::marker::PhantomData;
use core::sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed};
use std::thread;

use framealloc_codes::{DiagnosticCode, DiagnosticLevel};

use super::report::report;
use crate::allocators::thread::{Local, local};

/// The environment variable that says how strict a process is.
const VARIABLE: &str = "FRAMEALLOC_STRICT";

/// Which reports panic, after they have been sent where reports go.
///
/// The process starts with what the environment variable `FRAMEALLOC_STRICT` says when it is first asked for:
///
/// | value | mode |
/// |---|---|
/// | `warn`, `0`, `false`, not set | [`Warn`](Self::Warn) |
/// | `error`, `1`, `true` | [`PanicOnError`](Self::PanicOnError) |
/// | `warning`, `2`, `all` | [`PanicOnWarning`](Self::PanicOnWarning) |
///
/// in capitals or not. Anything else is reported once (FA902), and stands for `warn`.
///
/// A report that panics has been counted and sent, and what it is about is in order: an allocation that was refused has changed
/// nothing, and a frame that ends has ended. Nothing panics while the thread panics already, in a report sink, within
/// [`capture`](super::capture), or once the thread's own state is gone in its last destructors. A thread-local's destructor
/// that runs before that must not panic, by Rust's rules: a report there ends the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[repr(u8)]
pub enum StrictMode {
    /// None.
    #[default]
    Warn = 0,
    /// Errors.
    PanicOnError = 1,
    /// Errors and warnings.
    PanicOnWarning = 2,
}

impl StrictMode {
    const ALL: [Self; 3] = [Self::Warn, Self::PanicOnError, Self::PanicOnWarning];

    fn panics_on(self, level: DiagnosticLevel) -> bool {
        match self {
            Self::Warn => false,
            Self::PanicOnError => level >= DiagnosticLevel::Error,
            Self::PanicOnWarning => level >= DiagnosticLevel::Warning,
        }
    }

    fn from_text(text: &str) -> Option<Self> {
        Some(match text.trim().to_ascii_lowercase().as_str() {
            "" | "0" | "warn" | "false" => Self::Warn,
            "1" | "error" | "true" => Self::PanicOnError,
            "2" | "warning" | "all" => Self::PanicOnWarning,
            _ => return None,
        })
    }
}

/// Not a mode: nobody has set one, and the environment has not been asked.
const UNREAD: u8 = u8::MAX;
static PROCESS: AtomicU8 = AtomicU8::new(UNREAD);

thread_local! {
    /// The guards of this thread, oldest first, by number.
    static GUARDS: RefCell<Vec<(u64, StrictMode)>> = const { RefCell::new(Vec::new()) };
}

/// Sets the process's mode: that of every thread without a [`StrictModeGuard`]. `FRAMEALLOC_STRICT` counts no more.
///
/// ```
/// use framealloc::{StrictMode, set_strict_mode};
///
/// set_strict_mode(StrictMode::PanicOnError);
/// # set_strict_mode(StrictMode::Warn);
/// ```
pub fn set_strict_mode(mode: StrictMode) {
    PROCESS.store(mode as u8, Relaxed);
}

/// The mode that holds on the calling thread.
pub fn strict_mode() -> StrictMode {
    let newest = GUARDS.try_with(|guards| guards.borrow().last().map(|&(_, mode)| mode));
    newest.ok().flatten().unwrap_or_else(process_mode)
}

/// Sets the process's mode to what `FRAMEALLOC_STRICT` says now. It is read by itself on first use; this is for a program
/// that sets the variable, or the mode, later.
pub fn init_from_env() {
    PROCESS.store(UNREAD, Relaxed);
    process_mode();
}

fn process_mode() -> StrictMode {
    match PROCESS.load(Relaxed) {
        UNREAD => read_environment(),
        mode => StrictMode::ALL[usize::from(mode)],
    }
}

#[cold]
fn read_environment() -> StrictMode {
    let text = std::env::var_os(VARIABLE).unwrap_or_default();
    let mode = text.to_str().and_then(StrictMode::from_text);
    let wanted = mode.unwrap_or_default();
    match PROCESS.compare_exchange(UNREAD, wanted as u8, Relaxed, Relaxed) {
        Ok(_) => {
            if mode.is_none() {
                report(
                    DiagnosticCode::FA902,
                    format_args!("{VARIABLE} is {text:?}, which is no strict mode; `warn` holds"),
                );
            }
            wanted
        }
        // Another thread was first, and has reported what there was to report.
        Err(mode) => StrictMode::ALL[usize::from(mode)],
    }
}

/// Whether a report of this level is to panic, here and now.
pub(super) fn must_panic(level: DiagnosticLevel) -> bool {
    strict_mode().panics_on(level) && !thread::panicking() && !local(Local::is_past_its_end)
}

/// Sets the mode of the calling thread until it drops.
///
/// Guards nest, the newest one counts, and they may be dropped in any order. One that is forgotten holds until its thread ends.
///
/// ```
/// use framealloc::{SmartAlloc, StrictModeGuard};
///
/// let _strict = StrictModeGuard::panic_on_error();
/// let outcome = std::panic::catch_unwind(|| SmartAlloc::with_defaults().end_frame());
/// assert!(outcome.is_err());
/// ```
#[derive(Debug)]
#[must_use = "it holds until it is dropped"]
pub struct StrictModeGuard {
    number: u64,
    /// Neither `Send` nor `Sync`: it is its thread's.
    _here: PhantomData<*const ()>,
}

impl StrictModeGuard {
    /// Sets this mode.
    pub fn new(mode: StrictMode) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Relaxed);
        // Fails in the last destructors of a thread, where nothing panics.
        let _ = GUARDS.try_with(|guards| guards.borrow_mut().push((number, mode)));
        Self {
            number,
            _here: PhantomData,
        }
    }

    /// Errors panic.
    pub fn panic_on_error() -> Self {
        Self::new(StrictMode::PanicOnError)
    }

    /// Errors and warnings panic.
    pub fn panic_on_warning() -> Self {
        Self::new(StrictMode::PanicOnWarning)
    }
}

impl Drop for StrictModeGuard {
    fn drop(&mut self) {
        let _ = GUARDS.try_with(|guards| {
            guards
                .borrow_mut()
                .retain(|&(number, _)| number != self.number);
        });
    }
}

//! What the allocator has to say: codes, reports, and where they go.
//!
//! A report has a [code](DiagnosticCode), and every code one meaning; `docs/codes/` explains each. Reports go to
//!
//! 1. the sink of [`set_sink`], if there is one;
//! 2. `tracing`, with the feature of that name (which `bevy` turns on), if a subscriber listens on this thread: errors and
//!    warnings then stand in Bevy's log beside all others, with target `framealloc` and the fields `code` and `tag`;
//! 3. standard error, in debug builds.
//!
//! The same code for the same tag is reported at its 1st, 2nd, 4th, 8th … time, with the count, so that a mistake made every
//! frame does not drown the log; [`count`] knows the exact number, and [`recent`] the newest reports, wherever they went. In
//! [strict mode](StrictMode) a report panics as well.
//!
//! ```
//! use framealloc::{SmartAlloc, StrictModeGuard, fa_assert, fa_emit};
//!
//! let alloc = SmartAlloc::with_defaults();
//! let _ci = StrictModeGuard::panic_on_error();
//! fa_emit!(FA003); // a warning: said, and no more
//! alloc.begin_frame();
//! fa_assert!(alloc.frame_is_open(), FA001);
//! ```
//!
//! Invariants: no lock and no borrow is held while a sink runs; a panic of strict mode is the last thing that a report does, and
//! a report is the last thing that an operation does, so whatever was operated on is whole.

mod context;
mod counts;
mod diagnostic;
mod macros;
mod report;
mod sink;
mod strict;

pub use crate::events::{
    DiagnosticsEvent, DiagnosticsHooks, MemoryEvent, MemoryGraphData, MemorySample, ProfilerHooks,
    ProfilerZone,
};
pub use context::{DiagContext, is_bevy_context, set_bevy_context};
pub use counts::count;
pub use diagnostic::Diagnostic;
pub use framealloc_codes::{
    Category, CodeInfo, DiagnosticCode, DiagnosticKind, DiagnosticLevel, Example, RaisedBy,
};
pub use report::{emit, emit_always, emit_with_context};
#[cfg(feature = "snapshots")]
pub(crate) use sink::newest;
pub use sink::{
    CollectingSink, capture, recent, reset_sink, set_sink, set_verbose, suppress_diagnostics,
};
pub use strict::{StrictMode, StrictModeGuard, init_from_env, set_strict_mode, strict_mode};

#[doc(hidden)]
pub use report::debug;
pub(crate) use report::{bug, refused, report, report_all, report_each, thread_state_missing};

//! What an app tells of its memory: Bevy diagnostics, snapshots, behaviour reports, and a report at its exit.
//!
//! | file | what it is |
//! |---|---|
//! | `plugin.rs` | [`DiagnosticsPlugin`]: what a game adds |
//! | `measures.rs` | Bevy diagnostics, by frame |
//! | `snapshots.rs` | [`Snapshots`]: files for tools that ask, and for code that does |
//! | `behavior.rs` | [`BehaviorReportRequest`] and its answer |
//! | `exit_report.rs` | [`ExitReport`]: what is still alive that was not at start-up |
//! | `perf_ui.rs` | entries for `iyes_perf_ui` |
//!
//! What must hold: everything is done after the frame has ended; a diagnostic that is not enabled is not measured, and what
//! nobody asked for is not looked at.

mod behavior;
mod exit_report;
mod measures;
#[cfg(feature = "perf_ui")]
mod perf_ui;
mod plugin;
mod snapshots;

pub use behavior::{BehaviorReportReady, BehaviorReportRequest};
pub use exit_report::{ExitReport, ExitReportRow, ExitReportSettings};
#[cfg(feature = "perf_ui")]
pub use perf_ui::{
    PerfUiEntryArenaFill, PerfUiEntryFrameBytes, PerfUiEntryHeapAllocs, PerfUiEntryWorstBudget,
};
pub use plugin::DiagnosticsPlugin;
pub use snapshots::{SnapshotRequest, Snapshots};

//! The Bevy plugins. Each lives in a folder of its own under `plugins/` and is mounted here.
//!
//! The plugins use the allocator through its public API; nothing in the allocator knows of them.

#[path = "../plugins/budgets/mod.rs"]
mod budgets;
#[path = "../plugins/diagnostics/mod.rs"]
mod diagnostics;
#[path = "../plugins/group.rs"]
mod group;
#[cfg(feature = "inspector")]
#[path = "../plugins/inspector/mod.rs"]
mod inspector;
#[path = "../plugins/smart_alloc/mod.rs"]
mod smart_alloc;
#[path = "../plugins/streaming/mod.rs"]
mod streaming;

pub use budgets::{
    BudgetChanged, BudgetFile, BudgetFileError, BudgetFileMessage, BudgetKind, BudgetLimits,
    BudgetPlugin, BudgetRow, BudgetSet, BudgetSetError, BudgetSystems, Budgets, ShedSettings,
    budget_exceeded, budget_strained, budget_within, shed_over_budget, shed_over_budget_with,
};
pub use diagnostics::{
    BehaviorReportReady, BehaviorReportRequest, DiagnosticsPlugin, ExitReport, ExitReportRow,
    ExitReportSettings, SnapshotRequest, Snapshots,
};
#[cfg(feature = "perf_ui")]
pub use diagnostics::{
    PerfUiEntryArenaFill, PerfUiEntryFrameBytes, PerfUiEntryHeapAllocs, PerfUiEntryWorstBudget,
};
pub use group::FrameAllocPlugins;
#[cfg(feature = "inspector")]
pub use inspector::{
    Corner, InspectedAlloc, InspectorTab, MemoryInspector, MemoryInspectorPlugin,
    MemoryInspectorSystems, ui_for_memory,
};
pub use smart_alloc::{
    AllocResource, FrameAlloc, SharedFrameAlloc, SmartAllocPlugin, SmartAllocSystems, SubAppAllocs,
    TaskFrame, system_tags,
};
pub use streaming::{
    StreamEvicted, StreamFailed, StreamFailure, StreamFailureKind, StreamFocus, StreamProgress,
    StreamReady, StreamUrgency, StreamedAsset, StreamedAssets, StreamedState, StreamingPlugin,
    StreamingSettings, StreamingSystems, StreamingTotals,
};

use smart_alloc::{AllocIdentity, plugin_missing};

#![cfg_attr(feature = "nightly", feature(allocator_api))]
#![cfg_attr(feature = "bevy", doc = include_str!("../README.md"))]
#![cfg_attr(
    not(feature = "bevy"),
    doc = "Frame-lifetime memory for Rust engines. [`SmartAlloc`] is where to start."
)]

#[expect(
    unsafe_code,
    reason = "the one place of the allocator where memory is handled"
)]
mod allocators;
mod behavior;
mod budgets;
mod checkpoints;
pub mod collections;
mod config;
pub mod diagnostics;
mod error;
mod events;
mod groups;
mod handles;
#[cfg(feature = "debug")]
mod leaks;
mod not_stored;
mod parts;
mod phases;
mod profiling;
mod retention;
mod scratch;
mod shared_frames;
mod smart_alloc;
#[cfg(feature = "snapshots")]
mod snapshots;
mod stats;
mod streaming;
mod sync;
pub mod tags;
mod threads;

pub use allocators::audit::HeapAudit;
pub use allocators::collections::FrameString;
pub use allocators::groups::{GroupRead, GroupRef, GroupWrite};
pub use allocators::guard::{Frame, GuardBox, Scratch, ScratchMap, ScratchVec};
pub use allocators::handles::{Handle, HandleMut, HandleRef};
pub use allocators::heap::HeapBox;
pub use allocators::lease::{FrameBox, FrameSlice, FrameStr};
pub use allocators::pool::PoolBox;
pub use allocators::retained::FrameRetained;
pub use allocators::scratch::{ScratchBox, ScratchSlice};
pub use allocators::traits::{FrameAllocator, HeapAllocator, PoolAllocator};
pub use behavior::{
    AllocKind, BehaviorFilter, BehaviorIssue, BehaviorReport, BehaviorThresholds, TagBehaviorStats,
};
pub use budgets::{
    AllocationTag, BudgetCharge, BudgetEvent, BudgetExceededPolicy, BudgetManager, BudgetProbe,
    BudgetStatus, TagBudget, ThreadBudgetConfig, ThreadBudgetManager, ThreadBudgetStats,
    ThreadBudgetWindow,
};
pub use checkpoints::{CheckpointGuard, FrameCheckpoint, RollbackError, RollbackErrorKind};
pub use collections::{FrameMap, FrameVec};
pub use config::AllocConfig;
pub use diagnostics::{
    DiagnosticCode, DiagnosticKind, StrictMode, StrictModeGuard, set_strict_mode,
};
pub use error::{AllocError, AllocErrorKind, FrameError};
pub use events::{
    DiagnosticsEvent, DiagnosticsHooks, FrameEvent, LifecycleManager, LifecycleSummary, ListenerId,
    MemoryEvent, MemoryGraphData, MemorySample, ProfilerHooks, ProfilerZone, ThreadFrameStats,
};
pub use groups::{FreedGroup, GroupAllocator, GroupError, GroupHandle, GroupId, GroupStats};
pub use handles::{HandleAllocator, HandleAllocatorStats, HandleError, HandleOptions, PinGuard};
#[cfg(feature = "debug")]
pub use leaks::{LeakGroup, LeakReport, LeakTotals, LeakTracker, StackFrame};
pub use not_stored::NotStored;
pub use phases::{Phase, PhaseGuard};
pub use profiling::{MemoryProfiler, PlotUnit, Profiler, ProfilerName, ProfilingConfig};
pub use retention::{
    DowncastError, DowncastErrorKind, FailureBreakdown, FrameSummary, Importance, InPool,
    InScratch, Kept, OnHeap, PhaseSummary, Promoted, PromotedAllocation, PromotionFailure,
    PromotionResult, RetainedId, RetainedMeta, RetentionPolicy, TagSummary,
};
pub use scratch::{
    ScratchInUse, ScratchPool, ScratchPoolHandle, ScratchPoolStats, ScratchRefused, ScratchRegistry,
};
pub use shared_frames::SharedFrames;
pub use smart_alloc::SmartAlloc;
#[cfg(feature = "snapshots")]
pub use snapshots::{
    BudgetInfo, GrowthVerdict, RuntimeDiagnostic, SNAPSHOT_VERSION, Snapshot, SnapshotConfig,
    SnapshotDeferredStats, SnapshotDiff, SnapshotEmitter, SnapshotPromotionStats, SnapshotSummary,
    SnapshotTransferStats, TagBudgetSnapshot, TagGrowth, TagSnapshot, ThreadSnapshot,
};
pub use stats::{AllocStats, ArenaStats, ArenaTotals, Bytes, PoolClassStats};
pub use streaming::{
    EvictedStream, StreamBytes, StreamError, StreamErrorKind, StreamGuard, StreamGuardMut,
    StreamId, StreamInfo, StreamPriority, StreamProgress, StreamState, StreamWriter,
    StreamingAllocator, StreamingStats,
};
pub use threads::{
    BarrierError, BarrierErrorKind, BarrierMember, BarrierStats, DeferredConfig,
    DeferredConfigBuilder, DeferredControlStats, DeferredProcessing, FrameBarrier,
    FrameBarrierBuilder, QueueFullPolicy, TransferError, TransferHandle, TransferId,
    TransferRegistry, TransferState, TransferStats,
};

#[cfg(feature = "bevy")]
pub mod bevy;

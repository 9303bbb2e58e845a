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
mod budgets;
mod config;
pub mod diagnostics;
mod error;
mod parts;
mod phases;
mod retention;
mod scratch;
mod shared_frames;
mod smart_alloc;
mod stats;
mod sync;
pub mod tags;

pub use allocators::audit::HeapAudit;
pub use allocators::guard::{Frame, GuardBox, Scratch, ScratchMap, ScratchVec};
pub use allocators::heap::HeapBox;
pub use allocators::lease::{FrameBox, FrameSlice, FrameStr};
pub use allocators::pool::PoolBox;
pub use allocators::retained::FrameRetained;
pub use allocators::scratch::{ScratchBox, ScratchSlice};
pub use budgets::{
    AllocationTag, BudgetCharge, BudgetEvent, BudgetExceededPolicy, BudgetManager, BudgetStatus,
    TagBudget, ThreadBudgetConfig, ThreadBudgetManager, ThreadBudgetStats,
};
pub use config::AllocConfig;
pub use diagnostics::{
    DiagnosticCode, DiagnosticKind, StrictMode, StrictModeGuard, set_strict_mode,
};
pub use error::{AllocError, AllocErrorKind, FrameError};
pub use phases::{Phase, PhaseGuard};
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
pub use stats::{AllocStats, ArenaStats, Bytes};

#[cfg(feature = "bevy")]
pub mod bevy;

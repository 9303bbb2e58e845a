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
mod checkpoints;
mod config;
pub mod diagnostics;
mod error;
mod parts;
mod phases;
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
pub use budgets::{
    AllocationTag, BudgetCharge, BudgetEvent, BudgetExceededPolicy, BudgetManager, BudgetStatus,
    TagBudget, ThreadBudgetConfig, ThreadBudgetManager, ThreadBudgetStats,
};
pub use checkpoints::{CheckpointGuard, FrameCheckpoint, RollbackError, RollbackErrorKind};
pub use config::AllocConfig;
pub use diagnostics::{
    DiagnosticCode, DiagnosticKind, StrictMode, StrictModeGuard, set_strict_mode,
};
pub use error::{AllocError, AllocErrorKind, FrameError};
pub use phases::{Phase, PhaseGuard};
pub use shared_frames::SharedFrames;
pub use smart_alloc::SmartAlloc;
pub use stats::{AllocStats, ArenaStats, Bytes};

#[cfg(feature = "bevy")]
pub mod bevy;

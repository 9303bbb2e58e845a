//! Snapshots: what an allocator holds, as data; and the way of that data to tools that look on.
//!
//! ```text
//!  frame's thread                                      writer's thread
//!  counters -> capture -> Snapshot -> SnapshotEmitter ==queue==> file, rename, prune
//!                             |
//!                             `-> SnapshotDiff, inspectors, reports
//! ```
//!
//! | file | what it is |
//! |---|---|
//! | `model.rs` | [`Snapshot`] and its parts: schema v1 |
//! | `capture.rs` | fills one from the allocator's counters |
//! | `promotions.rs` | counts promotions from one snapshot to the next |
//! | `config.rs`, `emitter.rs` | when a snapshot is written |
//! | `writer.rs`, `files.rs` | the thread that writes, and what it may touch |
//! | `diff.rs` | what grew between snapshots |
//!
//! Invariants: the frame's thread neither waits for the disk nor for the writer; a snapshot's file is there whole or not at
//! all; no file is removed or replaced whose name, and kind, are not those of a snapshot.
//!
//! `docs/snapshots.md` tells people who write readers what the fields mean, and `docs/snapshot.schema.json` tells programs.

mod capture;
mod config;
mod diff;
mod emitter;
mod files;
mod model;
mod promotions;
mod writer;

pub use config::SnapshotConfig;
pub use diff::{GrowthVerdict, SnapshotDiff, TagGrowth};
pub use emitter::SnapshotEmitter;
pub use model::{
    BudgetInfo, RuntimeDiagnostic, SNAPSHOT_VERSION, Snapshot, SnapshotDeferredStats,
    SnapshotPromotionStats, SnapshotSummary, SnapshotTransferStats, TagBudgetSnapshot, TagSnapshot,
    ThreadSnapshot,
};

pub(crate) use capture::LastCapture;
pub(crate) use promotions::PromotionTally;

//! Rolling back in the middle of a frame.

mod blocks;
mod memory;
mod model;
mod nesting;
mod rollbacks;
mod validity;

use framealloc::{FrameCheckpoint, RollbackErrorKind, SmartAlloc};

/// Why a rollback to `checkpoint` is refused.
fn refused(alloc: &SmartAlloc, checkpoint: FrameCheckpoint) -> RollbackErrorKind {
    alloc.try_rollback_to(checkpoint).unwrap_err().kind()
}

/// Where the next allocation will lie.
fn head(alloc: &SmartAlloc) -> usize {
    alloc.checkpoint_guard().checkpoint().head()
}

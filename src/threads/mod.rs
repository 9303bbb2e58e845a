//! Threads among themselves: values that move from one to another, frames that end together, and memory that one frees for
//! another.

mod barrier;
mod deferred;
mod rounds;
mod transfer;

pub use barrier::{
    BarrierError, BarrierErrorKind, BarrierMember, BarrierStats, FrameBarrier, FrameBarrierBuilder,
};
pub use deferred::{
    DeferredConfig, DeferredConfigBuilder, DeferredControlStats, DeferredProcessing,
    QueueFullPolicy,
};
pub use transfer::{
    TransferError, TransferHandle, TransferId, TransferRegistry, TransferState, TransferStats,
};

use core::cell::Cell;
use std::thread::{self, ThreadId};

/// The calling thread's id. Asking the standard library costs ten times as much.
#[inline]
pub(crate) fn this_thread() -> ThreadId {
    thread_local! {
        static ID: Cell<Option<ThreadId>> = const { Cell::new(None) };
    }
    ID.get().unwrap_or_else(|| {
        let id = thread::current().id();
        ID.set(Some(id));
        id
    })
}

//! Streaming: memory for assets that are loaded piece by piece, under a budget.
//!
//! A stream is reserved, loaded once through a [`StreamWriter`], and then read through guards, until it is freed or evicted.
//! Reserving takes the memory. When the budget is used up, ready streams make room for new ones: those of lower priority
//! first, and the least recently used first among equals. What is pinned, borrowed, or not loaded yet stays.
//!
//! [`StreamingAllocator`] tells how it is used.

mod access;
mod allocator;
mod call;
mod error;
mod eviction;
mod guard;
mod id;
mod ledger;
mod listeners;
mod loading;
mod priority;
mod reserve;
mod state;
mod stats;
mod writer;

pub use allocator::StreamingAllocator;
pub use error::{StreamError, StreamErrorKind};
pub use guard::{StreamGuard, StreamGuardMut};
pub use id::StreamId;
pub use listeners::EvictedStream;
pub use priority::StreamPriority;
pub use state::{StreamProgress, StreamState};
pub use stats::{StreamInfo, StreamingStats};
pub use writer::{StreamBytes, StreamWriter};

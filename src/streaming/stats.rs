//! Figures, for people and tests.

use core::fmt;

use super::{StreamId, StreamPriority, StreamState};
use crate::stats::Bytes;
use crate::tags::TagId;

/// What a streaming allocator holds. See [`StreamingAllocator::stats`](crate::StreamingAllocator::stats).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StreamingStats {
    /// The most bytes that may be reserved.
    pub budget: usize,
    /// Bytes that are reserved: of every stream, and of freed ones whose bytes are still borrowed.
    pub total_reserved: usize,
    /// Bytes of these that are loaded.
    pub total_loaded: usize,
    /// Streams that there are.
    pub allocation_count: usize,
    /// Of these, streams that are not loading yet.
    pub reserved_count: usize,
    /// Of these, streams that are loading.
    pub loading_count: usize,
    /// Of these, streams that are ready.
    pub ready_count: usize,
    /// Streams that were ever evicted.
    pub evictions: u64,
    /// Bytes of all streams that were ever evicted.
    pub evicted_bytes: u64,
    /// Streams that evictions have looked at. About as many as were evicted, plus one for each that was used since an
    /// eviction last looked at it, or is borrowed.
    pub eviction_steps: u64,
}

impl StreamingStats {
    /// Reserved bytes, in per cent of the budget. 0 for a budget of 0.
    pub fn utilization_percent(&self) -> f64 {
        percent(self.total_reserved, self.budget, 0.0)
    }

    /// Loaded bytes, in per cent of the reserved ones. 100 if nothing is reserved.
    pub fn load_progress_percent(&self) -> f64 {
        percent(self.total_loaded, self.total_reserved, 100.0)
    }
}

fn percent(part: usize, whole: usize, of_nothing: f64) -> f64 {
    match whole {
        0 => of_nothing,
        whole => part as f64 / whole as f64 * 100.0,
    }
}

impl fmt::Display for StreamingStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} of {} reserved, {} loaded, in {} streams ({} reserved, {} loading, {} ready); {} evicted",
            Bytes(self.total_reserved as u64),
            Bytes(self.budget as u64),
            Bytes(self.total_loaded as u64),
            self.allocation_count,
            self.reserved_count,
            self.loading_count,
            self.ready_count,
            self.evictions,
        )
    }
}

/// One stream. See [`StreamingAllocator::streams`](crate::StreamingAllocator::streams).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct StreamInfo {
    /// The stream.
    pub id: StreamId,
    /// Bytes reserved.
    pub size: usize,
    /// Bytes loaded.
    pub loaded: usize,
    /// Its priority.
    pub priority: StreamPriority,
    /// How far it is.
    pub state: StreamState,
    /// What its memory is charged to.
    pub tag: TagId,
    /// How often it is pinned.
    pub pins: u32,
    /// Frames since it was last used: made ready, or accessed. 0 until it is ready.
    pub idle_frames: u64,
}

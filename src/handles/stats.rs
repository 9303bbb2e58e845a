//! Figures of a handle allocator.

use core::fmt;

use crate::stats::Bytes;

/// What a [`HandleAllocator`](crate::HandleAllocator) holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct HandleAllocatorStats {
    /// Values stored since it was made.
    pub total_allocated: u64,
    /// Values that it holds.
    pub active_handles: u32,
    /// Slots that were ever used.
    pub total_slots: u32,
    /// Of those, slots that will be used again.
    pub free_slots: u32,
    /// Of those, slots that will not, since their generations have run out.
    pub retired_slots: u32,
    /// Values that compaction may move when nobody uses or pins them.
    pub relocatable_count: u32,
    /// Values that are pinned.
    pub pinned_count: u32,
    /// Moves made since it was made.
    pub relocation_count: u64,
    /// Bytes of the values.
    pub live_bytes: usize,
    /// Of those, bytes of values in segments.
    pub segment_live_bytes: usize,
    /// Bytes of the segments.
    pub segment_bytes: usize,
    /// Bytes of values that are too large for segments and have blocks of their own.
    pub large_bytes: usize,
}

impl HandleAllocatorStats {
    /// Bytes of segments and large values: what the allocator has taken for values.
    pub fn reserved_bytes(&self) -> usize {
        self.segment_bytes + self.large_bytes
    }

    /// The part of the segments that holds no value, from 0 to 1. Zero without segments.
    pub fn fragmentation(&self) -> f64 {
        match self.segment_bytes {
            0 => 0.0,
            bytes => 1.0 - self.segment_live_bytes as f64 / bytes as f64,
        }
    }
}

impl fmt::Display for HandleAllocatorStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} of {} in {} values ({} pinned), {:.0} % fragmented, {} moves",
            Bytes(self.live_bytes as u64),
            Bytes(self.reserved_bytes() as u64),
            self.active_handles,
            self.pinned_count,
            self.fragmentation() * 100.0,
            self.relocation_count,
        )
    }
}

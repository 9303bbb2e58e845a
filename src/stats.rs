//! Totals, for people and tests.

use core::fmt;

use crate::allocators::domain::Domain;
use crate::allocators::pool;
use crate::tags::TagTotals;

/// What an allocator holds and has handed out. See [`SmartAlloc::stats`](crate::SmartAlloc::stats).
///
/// Pools and the heap are shared by all allocators of the process, so their figures are the process's, and may be asked for at
/// any time, from any thread. Threads are counted one after another: what others allocate and free meanwhile may be in one
/// figure and not yet in another. A frame allocation has no free of its own, so frame memory is told in bytes only.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AllocStats {
    /// Live bytes: `frame_allocated + pool_allocated + heap_allocated`.
    pub total_allocated: usize,
    /// Values allocated from pools and heap since the program began.
    pub allocation_count: u64,
    /// Of those, values freed.
    pub deallocation_count: u64,
    /// Bytes of frame memory in the frame that was last ended (or joined, where frames are shared), over all threads of this allocator.
    pub frame_allocated: usize,
    /// Live bytes in pools, rounded up to size classes.
    pub pool_allocated: usize,
    /// Bytes of the pools' pages, live or free.
    pub pool_reserved: usize,
    /// Live bytes on the heap.
    pub heap_allocated: usize,
    /// Bytes that this allocator's arenas may use without growing.
    pub frame_reserved: usize,
}

impl AllocStats {
    pub(crate) fn of(domain: &Domain) -> Self {
        let mut stats = pool::stats();
        let heap = TagTotals::sum().heap;
        stats.allocation_count += heap.allocs;
        stats.deallocation_count += heap.frees;
        stats.heap_allocated = heap.live_bytes().max(0) as usize;
        let arenas = domain.arena_totals();
        stats.frame_allocated = arenas.frame_bytes;
        stats.frame_reserved = arenas.capacity;
        stats.total_allocated = stats.frame_allocated + stats.pool_allocated + stats.heap_allocated;
        stats
    }

    /// Values that are live in pools and heap.
    pub fn active_allocations(&self) -> u64 {
        self.allocation_count
            .saturating_sub(self.deallocation_count)
    }
}

impl fmt::Display for AllocStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} live in {} allocations (frame {} of {}, pools {} of {}, heap {})",
            Bytes(self.total_allocated as u64),
            self.active_allocations(),
            Bytes(self.frame_allocated as u64),
            Bytes(self.frame_reserved as u64),
            Bytes(self.pool_allocated as u64),
            Bytes(self.pool_reserved as u64),
            Bytes(self.heap_allocated as u64),
        )
    }
}

/// One thread's frame arena. See [`SmartAlloc::arenas`](crate::SmartAlloc::arenas).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ArenaStats {
    /// The thread's name, or its id.
    pub thread: String,
    /// Whether the arena serves a thread. Otherwise it waits for the next one.
    pub alive: bool,
    /// Bytes that it may use without growing.
    pub capacity: usize,
    /// Bytes that its last frame used, leases and guards together.
    pub frame_bytes: usize,
    /// The most bytes that a frame used.
    pub peak_frame_bytes: usize,
    /// Chunks that are kept apart because something in them is leased.
    pub retired_chunks: usize,
    /// Bytes handed out since it was made, up to the last frame's end for leases.
    pub total_bytes: u64,
}

/// All frame arenas of an allocator. See [`SmartAlloc::arena_totals`](crate::SmartAlloc::arena_totals).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ArenaTotals {
    /// How many there are.
    pub arenas: usize,
    /// Bytes that they may use without growing.
    pub capacity: usize,
    /// Bytes that the last frame of each used.
    pub frame_bytes: usize,
    /// Of these, the bytes of the one that used most.
    pub fullest: usize,
    /// Chunks that are kept apart because something in them is leased.
    pub retired_chunks: usize,
    /// Bytes handed out since they were made, up to the last frame's end for leases.
    pub total_bytes: u64,
}

/// One size class of the pools: what the blocks of one size are doing. See [`SmartAlloc::pool_classes`](crate::SmartAlloc::pool_classes).
///
/// Blocks are counted on the threads that take and free them, so the figures of a running program may be off by what happens
/// meanwhile.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolClassStats {
    /// Bytes of a block: what a value of this class takes, its own size rounded up.
    pub block_size: usize,
    /// Blocks handed out since the program began.
    pub allocs: u64,
    /// Of those, blocks freed.
    pub frees: u64,
    /// Blocks that the class's pages hold, live or free.
    pub blocks: u64,
    /// Bytes of the class's pages.
    pub reserved: usize,
}

impl PoolClassStats {
    /// Blocks that are live.
    pub fn live(&self) -> u64 {
        self.allocs.saturating_sub(self.frees)
    }

    /// Bytes of the blocks that are live.
    pub fn live_bytes(&self) -> usize {
        self.live() as usize * self.block_size
    }
}

/// A number of bytes, written in binary units: `1.5 MiB`.
///
/// ```
/// assert_eq!(framealloc::Bytes(1536 * 1024).to_string(), "1.5 MiB");
/// assert_eq!(framealloc::Bytes(17).to_string(), "17 B");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bytes(pub u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
        if self.0 < 1024 {
            return f.pad(&format!("{} B", self.0));
        }
        let mut value = self.0 as f64 / 1024.0;
        let mut unit = 0;
        while value >= 1024.0 && unit + 1 < UNITS.len() {
            value /= 1024.0;
            unit += 1;
        }
        f.pad(&format!("{value:.1} {}", UNITS[unit]))
    }
}

//! The chunk: a header and the blocks behind it.
//!
//! ```text
//! standard: aligned to 256 KiB                         big, alignment below 256 KiB      big, alignment A >= 256 KiB
//! +--------+------------------------------+            +--------+-----------+            +-----------+------+---------+
//! | header | blocks, bumped upwards ->    |            | header | one block |            | unused    |header| block   |
//! +--------+------------------------------+            +--------+-----------+            +-----------+------+---------+
//! ^ block & !(256 KiB - 1)         limit ^             ^ block & !(256 KiB - 1)                      ^ block - 64 (block % A == 0)
//! ```
//!
//! **Balance.** While an arena bumps in a chunk, allocation counts nothing, and each lease that drops adds its bytes to
//! the balance: when the balance equals the bytes bumped, nothing is leased. A chunk that the arena has left (*retired*)
//! has the negative of its leased bytes as balance, and is recycled by the drop that brings it to zero. A *sealed* one, that
//! the arena may come back to (see `arena::seals`), is balanced like the active one. A chunk of a guard has no leases; there
//! the balance says how much of a full chunk was used. It means nothing in a cached chunk.

use core::alloc::Layout;
use core::cell::Cell;
use core::ptr::null_mut;

use super::arena::{Arena, GuardMeter};
use super::layout::{CHUNK, HEADER, MIN_ALIGN, footprint, header_is_adjacent};
use super::record::MAX_TAGS;
use super::thread::{NO_TAG, NotedTags};

#[repr(C)]
pub(crate) struct Chunk {
    pub balance: Cell<isize>,
    /// Where the payload ends; in a big chunk, where its block starts.
    pub limit: Cell<usize>,
    /// The next chunk of the list that this one is in: the arena's cache or retired list, or its guard's chunks.
    pub next: Cell<*mut Chunk>,
    /// The previous chunk of the retired list. In a guard's first chunk, its meter: see [`meter`](Self::meter).
    prev: Cell<*mut ()>,
    /// Valid as long as the chunk is mapped: both belong to the domain.
    pub home: *const Arena,
    pub state: Cell<State>,
    pub is_big: bool,
    /// When it was retired, in checkpoints: see `arena::seals`.
    pub retired_at: Cell<u32>,
    /// The tags that made leases in it, as their lower halves: there are fewer tags than those can tell apart.
    tags: Cell<[u16; 4]>,
    /// Bytes leased past the frame on purpose, by retained values whose handles live: in units of [`MIN_ALIGN`].
    pub kept: Cell<u32>,
    /// In a big chunk: which of its arena's big chunks it is.
    pub index: Cell<u32>,
}

const _: () = assert!(size_of::<Chunk>() <= HEADER);
const _: () = assert!(MAX_TAGS <= u16::MAX as usize);

/// What a chunk is used for, where the arena has to tell.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum State {
    /// In the cache, active, sealed, or a guard's.
    Plain,
    /// Retired in the present frame; its leases may still end in time.
    Retired,
    /// The same, with room left, since a seal was released: see `arena::seals`.
    Split,
    /// Retired in a frame that has ended, and reported.
    Escaped,
}

impl Chunk {
    pub(crate) fn new(home: *const Arena, limit: usize, is_big: bool) -> Self {
        Self {
            balance: Cell::new(0),
            limit: Cell::new(limit),
            next: Cell::new(null_mut()),
            prev: Cell::new(null_mut()),
            home,
            state: Cell::new(State::Plain),
            is_big,
            retired_at: Cell::new(0),
            tags: Cell::new([u16::MAX; 4]),
            kept: Cell::new(0),
            index: Cell::new(0),
        }
    }

    /// The previous chunk of the retired list, for a chunk that is on it.
    pub(crate) fn prev(&self) -> *mut Self {
        self.prev.get().cast()
    }

    pub(crate) fn set_prev(&self, prev: *mut Self) {
        self.prev.set(prev.cast());
    }

    /// The tags that made leases in it when it was left.
    pub(crate) fn tags(&self) -> NotedTags {
        self.tags.get().map(|tag| match tag {
            u16::MAX => NO_TAG,
            tag => u32::from(tag),
        })
    }

    pub(crate) fn set_tags(&self, tags: NotedTags) {
        self.tags.set(tags.map(|tag| tag as u16));
    }

    /// What counts a guard's allocations, for its first chunk; null if nothing does.
    pub(crate) fn meter(&self) -> *const GuardMeter {
        self.prev.get().cast()
    }

    pub(crate) fn set_meter(&self, meter: *const GuardMeter) {
        self.prev.set(meter.cast_mut().cast());
    }

    /// Bytes leased by those who did not mean to, in a retired chunk.
    pub(crate) fn escaping_bytes(&self) -> usize {
        let leased = -self.balance.get() as usize;
        leased.saturating_sub(self.kept.get() as usize * MIN_ALIGN)
    }

    /// The big chunk that follows in a guard's list, and null if none does.
    ///
    /// # Safety
    ///
    /// `chunk` is a guard's first chunk, or was, or a big chunk in such a list; it and what it links to are mapped.
    pub(crate) unsafe fn next_big(chunk: *mut Self) -> *mut Self {
        // SAFETY: the caller's contract.
        unsafe {
            let next = (*chunk).next.get();
            if next.is_null() || !(*next).is_big {
                return null_mut();
            }
            next
        }
    }
}

/// Where a chunk's first block starts; a big chunk's only one.
///
/// # Safety
///
/// The chunk is mapped.
pub(crate) unsafe fn first_block(chunk: *mut Chunk) -> usize {
    // SAFETY: the caller's contract.
    let (is_big, limit) = unsafe { ((*chunk).is_big, (*chunk).limit.get()) };
    if is_big { limit } else { payload_start(chunk) }
}

/// Where the blocks of a standard chunk start.
#[inline(always)]
pub(crate) fn payload_start(chunk: *mut Chunk) -> usize {
    chunk as usize + HEADER
}

/// The chunk that a block lies in.
#[inline(always)]
pub(crate) fn of_block(block: usize, align: usize) -> *mut Chunk {
    if header_is_adjacent(align) {
        (block - HEADER) as *mut Chunk
    } else {
        (block & !(CHUNK - 1)) as *mut Chunk
    }
}

/// Counts bytes of a chunk as dropped that nobody leased: padding before an aligned block, or the end of a block that shrank.
///
/// # Safety
///
/// `block` lies in the active chunk of the calling thread's arena.
#[inline(always)]
pub(crate) unsafe fn credit(block: usize, bytes: usize) {
    // SAFETY: the chunk is mapped (I1) and this thread's (I2).
    let balance = unsafe { &(*of_block(block, 1)).balance };
    balance.set(balance.get() + bytes as isize);
}

/// Notes that a leased block outlives its frame on purpose.
///
/// # Safety
///
/// As for [`end_lease`], with the block's layout.
pub(crate) unsafe fn keep(block: usize, layout: Layout) {
    // SAFETY: a leased block's chunk is mapped (I1), and this thread's (I2).
    let kept = unsafe { &(*of_block(block, layout.align())).kept };
    kept.set(kept.get().saturating_add(units(layout)));
}

/// Takes back what [`keep`] noted.
///
/// # Safety
///
/// As for [`keep`].
pub(crate) unsafe fn keep_no_more(block: usize, layout: Layout) {
    // SAFETY: as above.
    let kept = unsafe { &(*of_block(block, layout.align())).kept };
    kept.set(kept.get().saturating_sub(units(layout)));
}

/// Saturates at 32 GiB, which only a big chunk can hold, and that holds one block.
fn units(layout: Layout) -> u32 {
    u32::try_from(footprint(layout.size()) / MIN_ALIGN).unwrap_or(u32::MAX)
}

/// Ends the lease on a block of `size` bytes. The value in it is dropped already.
///
/// # Safety
///
/// The block is leased by the caller, on its arena's thread, and `size` is not zero.
#[inline(always)]
pub(crate) unsafe fn end_lease(block: usize, size: usize, align: usize) {
    // SAFETY: a leased block's chunk is mapped (I1), and this thread's (I2).
    unsafe {
        let chunk = of_block(block, align);
        let balance = (*chunk).balance.get() + footprint(size) as isize;
        (*chunk).balance.set(balance);
        if balance == 0 {
            last_lease_ended(chunk);
        }
    }
}

#[cold]
#[inline(never)]
unsafe fn last_lease_ended(chunk: *mut Chunk) {
    // SAFETY: the balance of an active chunk with dropped bytes is positive, so this one is retired; its arena is alive,
    // since the lease that just ended borrowed the domain.
    unsafe { (*(*chunk).home).recycle_retired(chunk) }
}

//! What a stream is called.

use core::fmt;
use core::num::NonZeroU64;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A stream of one allocator. Cheap to copy and compare.
///
/// An id is never used again: once its stream was freed or evicted it names nothing. One allocator refuses the ids of
/// another.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId {
    allocator: u64,
    /// `generation << 32 | index`; generations start at 1.
    raw: NonZeroU64,
}

impl StreamId {
    pub(super) fn new(allocator: u64, index: u32, generation: u32) -> Self {
        let raw = u64::from(generation) << 32 | u64::from(index);
        Self {
            allocator,
            raw: NonZeroU64::new(raw).expect("generations start at 1"),
        }
    }

    /// A number that no other stream of the same allocator has or will have.
    pub fn raw(self) -> u64 {
        self.raw.get()
    }

    #[inline]
    pub(super) fn allocator(self) -> u64 {
        self.allocator
    }

    #[inline]
    pub(super) fn index(self) -> u32 {
        self.raw.get() as u32
    }

    #[inline]
    pub(super) fn generation(self) -> u32 {
        (self.raw.get() >> 32) as u32
    }
}

/// `4.1`: the place, and how many streams it has had.
impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.index(), self.generation())
    }
}

impl fmt::Debug for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StreamId({self} of {})", self.allocator)
    }
}

/// A number for a new allocator.
pub(super) fn next_allocator() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Relaxed)
}

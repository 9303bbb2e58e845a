//! Where a guard gives its chunks back.
//!
//! Closing a guard has to cost next to nothing, and must not ask what kind of guard it is. So it does the same for all: it
//! pushes its chunks onto the cache of its *home*, and adds its bytes there. Most guards' home is their arena, whose free
//! chunks these are. A guard whose allocations are counted has a home of its own, in its
//! [`GuardMeter`](super::GuardMeter): empty while the guard is open, and not when it has closed, which other threads see too.

use core::ptr::null_mut;
use core::sync::atomic::{
    AtomicPtr, AtomicU64, Ordering::Acquire, Ordering::Relaxed, Ordering::Release,
};

use crate::allocators::chunk::Chunk;
use crate::allocators::record::add;

pub(crate) struct GuardHome {
    /// A stack of chunks. Written by the arena's thread alone.
    cache: AtomicPtr<Chunk>,
    /// Bytes of blocks in guards, once the guard has closed or left their chunk.
    pub(super) bytes: AtomicU64,
}

impl GuardHome {
    pub(super) const fn new() -> Self {
        Self {
            cache: AtomicPtr::new(null_mut()),
            bytes: AtomicU64::new(0),
        }
    }

    /// The first chunk, for the arena's thread.
    #[inline(always)]
    pub(crate) fn cache(&self) -> *mut Chunk {
        self.cache.load(Relaxed)
    }

    /// Publishes what was written before: a guard that has closed has been counted.
    #[inline(always)]
    pub(crate) fn set_cache(&self, chunk: *mut Chunk) {
        self.cache.store(chunk, Release);
    }

    /// Whether a chunk has been given back, for any thread.
    pub(super) fn is_empty(&self) -> bool {
        self.cache.load(Acquire).is_null()
    }

    /// Counts bytes in guards.
    #[inline(always)]
    pub(crate) fn count(&self, bytes: usize) {
        add(&self.bytes, bytes as u64);
    }
}

//! Blocks that are loaded, shared, borrowed and evicted: the memory of the streaming allocator.
//!
//! What is here is sound by itself: whatever order its methods are called in, from whatever thread, no byte is freed while
//! it is borrowed, none is read that is not initialised, and none is written while someone else sees it. What may be
//! evicted, in which order, and what counts against the budget is the ledger's business, in `src/streaming`.
//!
//! - **slot**: the place of one stream after the other. Each has a word that says who may touch the block in it.
//! - **borrow**: [`Shared`] or [`Exclusive`] use of a ready stream, counted in the word.
//! - **load**: the right to fill a stream. There is one a stream. It lends bytes as [`Exposed`].
//!
//! The invariant that the SAFETY comments lean on:
//!
//! - **S1** A block belongs to its slot from `Reserved` on until a change of the word takes it out. Its bytes are touched
//!   only by holders of what the word grants: readers while they are counted, the exclusive borrow, or the writer while they
//!   are exposed; and no change takes the block while there are any. `Ready` is reached only when every byte is initialised.

mod atomics;
mod block;
mod borrow;
mod load;
mod slot;
mod word;

use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};

pub(crate) use block::Block;
pub(crate) use borrow::{Exclusive, Shared};
pub(crate) use load::{Exposed, Load};
pub(crate) use slot::{Freed, Slot, Slots};
pub(crate) use word::{Phase, View};

/// What has to be told when something ends without the ledger's lock.
pub(crate) trait Settle: Sized {
    /// Called with no lock held when a freed stream is borrowed no longer, or when the writer of a stream that is to be
    /// finished has let go of its bytes. Called too often it does no harm.
    fn settle(streams: &Streams<Self>, index: u32, generation: u32);
}

/// The slots, and the ledger that keeps account of them.
pub(crate) struct Streams<L> {
    slots: Slots,
    /// Bytes that count as loaded, over all slots.
    loaded: AtomicUsize,
    ledger: L,
}

impl<L> Streams<L> {
    pub(crate) fn new(ledger: L) -> Self {
        Self {
            slots: Slots::new(),
            loaded: AtomicUsize::new(0),
            ledger,
        }
    }

    pub(crate) fn slots(&self) -> &Slots {
        &self.slots
    }

    pub(crate) fn ledger(&self) -> &L {
        &self.ledger
    }

    pub(crate) fn loaded(&self) -> usize {
        self.loaded.load(Relaxed)
    }

    /// Counts bytes as loaded. The caller keeps the stream from changing hands, by the ledger's lock or as its writer.
    pub(crate) fn raise_loaded(&self, slot: &Slot, to: usize) {
        self.loaded.fetch_add(slot.raise_loaded(to), Relaxed);
    }

    /// Takes what a stream counted as loaded off the sum, under the ledger's lock, when its block has been taken.
    pub(crate) fn forget_loaded(&self, slot: &Slot) {
        self.loaded.fetch_sub(slot.loaded(), Relaxed);
    }
}

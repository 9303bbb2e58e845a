//! The list on which threads leave blocks for others: many push, and whoever takes takes all.
//!
//! ```text
//!  head --> block --> block --> ... --> null        (the link is the first word of the freed block)
//! ```
//!
//! Taking swaps the head for null, so no thread ever pops a single block, and a block cannot come back between another's
//! load and compare-exchange unnoticed (no ABA). A push publishes the links written before it (release), and the take that
//! sees it acquires them.
//!
//! The file is also compiled by the model checker's package, with its own `atomics`.

use core::ptr::null_mut;

use super::atomics::{AtomicPtr, Link, Ordering};

/// A free block.
#[repr(C)]
pub(crate) struct Block {
    link: Link<*mut Block>,
}

impl Block {
    /// # Safety
    ///
    /// `block` is a free block that the caller owns.
    #[inline(always)]
    pub(crate) unsafe fn next(block: *mut Block) -> *mut Block {
        // SAFETY: the caller's contract.
        unsafe { (*block).link.read() }
    }

    /// # Safety
    ///
    /// `block` is a free block that the caller owns.
    #[inline(always)]
    pub(crate) unsafe fn set_next(block: *mut Block, next: *mut Block) {
        // SAFETY: the caller's contract.
        unsafe { (*block).link.write(next) }
    }
}

/// See the module's documentation.
pub(crate) struct RemoteList {
    pub(super) head: AtomicPtr<Block>,
}

impl RemoteList {
    /// Adds the blocks from `first` to `last`, which are linked already.
    ///
    /// # Safety
    ///
    /// The caller owns the blocks, and gives them up.
    pub(crate) unsafe fn push_chain(&self, first: *mut Block, last: *mut Block) {
        let mut head = self.head.load(Ordering::Relaxed);
        loop {
            // SAFETY: the caller owns `last` until the exchange succeeds.
            unsafe { Block::set_next(last, head) };
            match self
                .head
                .compare_exchange_weak(head, first, Ordering::Release, Ordering::Relaxed)
            {
                Ok(_) => return,
                Err(now) => head = now,
            }
        }
    }

    /// The first block, not to be looked into; null if there is none.
    #[inline(always)]
    pub(crate) fn first(&self) -> *mut Block {
        self.head.load(Ordering::Relaxed)
    }

    /// Takes all blocks. They are the caller's.
    #[inline]
    pub(crate) fn take(&self) -> *mut Block {
        self.head.swap(null_mut(), Ordering::Acquire)
    }
}

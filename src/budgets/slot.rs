//! Credit: how a thread pays for an allocation without touching what other threads touch.
//!
//! A budget is a counter that all threads share, and changing one costs as much as the allocation itself. So a thread charges
//! its budgets a little more than it needs, and keeps the difference as *credit* in a slot of its own, which the next allocations
//! are paid from and frees are paid into. What is used is what the budgets were charged, less all credit.
//!
//! Budgets stay exact all the same: credit is only given where budgets are far from their limits, and whoever would be
//! refused takes all of it back first, from every thread.
//!
//! ```text
//!   its thread, at each allocation and free           who takes the credit back
//!   busy = true                                       revoked = true
//!   (nothing: the compiler keeps the order)           fence on every processor of the process
//!   revoked? then the slow way                        wait while busy
//!   credit changes                                    take the credit
//!   busy = false                                      revoked = false
//! ```
//!
//! The fence on every processor ([`os::fence_all_threads`]) stands in for the one that the thread leaves out: either the thread
//! sees `revoked`, or it is seen to be `busy`. Where the system has no such fence, no credit is given.
//!
//! The protocol is also compiled by the model checker's package, with fences on both sides.

use super::atomics::{
    AtomicBool, AtomicU64, AtomicUsize,
    Ordering::{Acquire, Relaxed, Release},
    light_fence, pause,
};

/// Bytes of credit that a thread takes at a time.
pub(super) const GRANT: usize = 4096;
/// More than this is given back.
const MOST: usize = 4 * GRANT;

/// One thread's credit with one account. Never freed; reused by another thread when its own has ended.
pub(crate) struct Slot {
    pub(super) busy: AtomicBool,
    /// The credit is being taken back, or nobody's.
    pub(super) revoked: AtomicBool,
    pub(super) credit: AtomicUsize,
    /// Blocks allocated and freed, counted by the slot's thread.
    pub(super) allocs: AtomicU64,
    pub(super) frees: AtomicU64,
}

impl Slot {
    /// Runs `change` on the credit, unless it is being taken back. Only for the slot's thread.
    #[inline(always)]
    fn locked<R>(&self, change: impl FnOnce(usize) -> (usize, R)) -> Option<R> {
        self.busy.store(true, Relaxed);
        light_fence();
        let result = if self.revoked.load(Acquire) {
            None
        } else {
            let (credit, result) = change(self.credit.load(Relaxed));
            self.credit.store(credit, Relaxed);
            Some(result)
        };
        self.busy.store(false, Release);
        result
    }

    /// Takes `bytes` out of the credit, if that is enough and not being taken back. As [`locked`](Self::locked), but it
    /// branches where that would compute with both outcomes, which takes registers that the fast paths do not have.
    #[inline(always)]
    fn take_out(&self, bytes: usize) -> bool {
        self.busy.store(true, Relaxed);
        light_fence();
        let mut taken = false;
        if !self.revoked.load(Acquire) {
            let credit = self.credit.load(Relaxed);
            if credit >= bytes {
                self.credit.store(credit - bytes, Relaxed);
                taken = true;
            }
        }
        self.busy.store(false, Release);
        taken
    }

    /// Pays for a block from the credit, if that is enough.
    #[inline(always)]
    pub(crate) fn spend(&self, bytes: usize) -> bool {
        let paid = self.take_out(bytes);
        if paid {
            self.count_alloc();
        }
        paid
    }

    /// Adds a grant to the credit. Returns what was too much, and has to go back to the budgets.
    pub(super) fn give(&self, bytes: usize) -> usize {
        self.locked(|credit| cap(credit.saturating_add(bytes)))
            .unwrap_or(bytes)
    }

    /// Takes the charge of a freed block back into the credit, if there is any: where there is none, budgets may be near their
    /// limits. Returns what has to go back to them.
    #[inline(always)]
    pub(super) fn take_back(&self, bytes: usize) -> usize {
        self.locked(|credit| match credit {
            0 => (0, bytes),
            credit => cap(credit.saturating_add(bytes)),
        })
        .unwrap_or(bytes)
    }

    #[inline(always)]
    pub(super) fn count_alloc(&self) {
        self.allocs.store(self.allocs.load(Relaxed) + 1, Relaxed);
    }

    #[inline(always)]
    pub(super) fn count_free(&self) {
        self.frees.store(self.frees.load(Relaxed) + 1, Relaxed);
    }

    /// Whether credit is kept from it, for now or for ever.
    #[inline(always)]
    pub(crate) fn is_revoked(&self) -> bool {
        self.revoked.load(Relaxed)
    }

    /// The credit at this moment, for any thread.
    pub(super) fn credit(&self) -> usize {
        self.credit.load(Acquire)
    }

    /// Blocks allocated and freed.
    pub(super) fn counts(&self) -> (u64, u64) {
        (self.allocs.load(Relaxed), self.frees.load(Relaxed))
    }

    /// Keeps its thread from using the credit. To be followed by a fence on every processor.
    pub(super) fn revoke(&self) {
        self.revoked.store(true, Release);
    }

    /// Takes the credit. [`revoke`](Self::revoke) and a fence on every processor came before.
    pub(super) fn take(&self) -> usize {
        while self.busy.load(Acquire) {
            pause();
        }
        self.credit.swap(0, Relaxed)
    }

    /// Lets its thread, or another, have credit again.
    pub(super) fn restore(&self) {
        self.revoked.store(false, Release);
    }
}

/// The credit of a slot that would have `sum`, and what is too much.
#[inline(always)]
fn cap(sum: usize) -> (usize, usize) {
    if sum > MOST {
        (GRANT, sum - GRANT)
    } else {
        (sum, 0)
    }
}

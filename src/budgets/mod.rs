//! Budgets: how much memory an allocator, a tag or a thread may use.
//!
//! | file | what it is |
//! |---|---|
//! | `policy.rs` | the words: what happens to what exceeds a budget, and what is told of it |
//! | `node.rs` | one budget: a counter with limits |
//! | `account.rs` | the budgets that hold a tag; what a block remembers |
//! | `known.rs` | what a thread knows of accounts |
//! | `slot.rs` | a thread's credit, from which it pays without touching the budgets |
//! | `ledger.rs` | the budgets of one allocator, and the way in |
//! | `manager.rs` | their front |
//! | `probe.rs` | what happened to a budget since somebody last looked |
//! | `threads.rs` | the budgets of threads |
//!
//! Only what has a budget pays for it: an allocator without budgets never comes here. One that has any takes the slow path of
//! every allocation ([metering](crate::allocators)), and a tag without limits stops there at a look into a cache.

mod account;
mod known;
mod ledger;
mod manager;
mod node;
mod policy;
mod probe;
mod slot;
mod threads;

/// What [`slot`] is built from; the model checker puts its own in this place.
mod atomics {
    pub(super) use core::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

    /// Keeps the compiler from changing the order; the processor is kept from it by who takes credit back.
    #[inline(always)]
    pub(super) fn light_fence() {
        core::sync::atomic::compiler_fence(Ordering::SeqCst);
    }

    /// The slot's thread is between two instructions; or it was stopped there, and has to be let on.
    pub(super) fn pause() {
        std::thread::yield_now();
    }
}

pub use manager::{BudgetCharge, BudgetManager, TagBudget};
pub use policy::{AllocationTag, BudgetEvent, BudgetExceededPolicy, BudgetStatus};
pub use probe::BudgetProbe;
pub use threads::{ThreadBudgetConfig, ThreadBudgetManager, ThreadBudgetStats, ThreadBudgetWindow};

pub(crate) use account::{Account, Room};
pub(crate) use known::{Payee, payee};
pub(crate) use ledger::{Admission, Ledger, Memory, close_pools, pools_are_closed};
pub(crate) use threads::ThreadBudget;

use crate::smart_alloc::SmartAlloc;

impl SmartAlloc {
    /// The budgets of this allocator, if it was made with any (see
    /// [`AllocConfig::with_budgets`](crate::AllocConfig::with_budgets)) or was given some since
    /// ([`enable_budgets`](Self::enable_budgets)).
    pub fn budgets(&self) -> Option<&BudgetManager> {
        let ledger = self.domain().ledger();
        ledger.is_on().then(|| {
            self.parts()
                .budgets
                .get_or_init(|| BudgetManager::of(ledger.clone()))
        })
    }

    /// Gives this allocator [`budgets`](Self::budgets), unless it has them. They count what is allocated from now on.
    ///
    /// The calling thread counts at once, and every other one with its next frame. Pool boxes count at once on all threads
    /// where they are made through a handle that was cloned since. From here on, pool boxes of all allocators of the process
    /// take a slower path, so say [`with_budgets`](crate::AllocConfig::with_budgets) if you know beforehand.
    ///
    /// ```
    /// use framealloc::SmartAlloc;
    ///
    /// let alloc = SmartAlloc::with_defaults();
    /// assert!(alloc.budgets().is_none());
    /// alloc.enable_budgets().register_tag_budget("ai", 500, 1000);
    /// alloc.with_tag("ai", |alloc| assert!(alloc.heap_box([0u8; 2000]).is_err()));
    /// ```
    pub fn enable_budgets(&self) -> &BudgetManager {
        self.domain().turn_budgets_on();
        self.budgets().expect("they have just been turned on")
    }
}

//! What a thread knows of accounts: which one a tag has, and where its credit with it is.

use core::cell::RefCell;
use std::sync::{Arc, Weak};

use hashbrown::HashMap;

use super::account::Account;
use super::atomics::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use super::ledger::Ledger;
use super::slot::Slot;
use crate::allocators::thread::local;
use crate::sync::Mutex;
use crate::tags::TagId;

/// No thread's, without credit for ever: for what has no thread that could keep a slot.
pub(super) static NOBODYS: Slot = Slot::new(true);

/// Slots that no thread knows and no ledger has, for the next ones.
static SPARE: Mutex<Vec<&'static Slot>> = Mutex::new(Vec::new());

/// A slot without credit.
pub(super) fn new_slot() -> &'static Slot {
    match SPARE.lock().pop() {
        Some(spare) => {
            spare.start_over();
            spare
        }
        None => Box::leak(Box::new(Slot::new(false))),
    }
}

/// Leaves a slot to whoever needs one. Its thread knows it no longer, and its ledger is gone, or going.
fn retire_slot(slot: &'static Slot) {
    SPARE.lock().push(slot);
}

/// Runs `last`, the last thing that a ledger does with its slots, and leaves those that it returns to whoever needs one. Until
/// then nobody gets one that its thread has left meanwhile.
pub(super) fn retire_slots(last: impl FnOnce() -> Vec<&'static Slot>) {
    let mut spare = SPARE.lock();
    spare.extend(last());
}

impl Slot {
    /// Counts anew, and may have credit.
    fn start_over(&self) {
        self.credit.store(0, Relaxed);
        self.allocs.store(0, Relaxed);
        self.frees.store(0, Relaxed);
        self.restore();
    }

    pub(super) const fn new(revoked: bool) -> Self {
        Self {
            busy: AtomicBool::new(false),
            revoked: AtomicBool::new(revoked),
            credit: AtomicUsize::new(0),
            allocs: AtomicU64::new(0),
            frees: AtomicU64::new(0),
        }
    }
}

/// An account, and the calling thread's credit with it.
#[derive(Clone, Copy)]
pub(crate) struct Payee {
    pub(crate) account: &'static Account,
    pub(crate) slot: &'static Slot,
}

impl Payee {
    /// Takes the charge of one block back into the credit.
    #[inline]
    pub(crate) fn take_back(self, bytes: usize) {
        self.slot.count_free();
        let rest = self.slot.take_back(bytes);
        if rest != 0 {
            self.account.release_frames(rest);
        }
    }
}

#[derive(Default)]
struct Known {
    /// By the state of a ledger, and the tag.
    payees: HashMap<(u64, u32), Payee>,
    slots: Vec<(Weak<Ledger>, Payee)>,
}

/// Older states of ledgers are forgotten with the rest when there are so many.
const MOST: usize = 4096;

struct Thread(RefCell<Known>);

impl Drop for Thread {
    fn drop(&mut self) {
        // What is freed from here on goes back to the budgets, not to a credit that another thread may get.
        local(|local| local.known_payee.set(None));
        for (ledger, payee) in self.0.get_mut().slots.drain(..) {
            match ledger.upgrade() {
                Some(ledger) => ledger.close_slot(payee.slot),
                None => retire_slot(payee.slot),
            }
        }
    }
}

thread_local! {
    static KNOWN: Thread = Thread(RefCell::default());
}

/// The account of `tag` in this state of the ledger, and the calling thread's credit with it.
pub(crate) fn payee(ledger: &Arc<Ledger>, version: u64, tag: u32) -> Payee {
    let known = KNOWN.try_with(|thread| {
        let mut known = thread.0.borrow_mut();
        if let Some(payee) = known.payees.get(&(version, tag)) {
            return *payee;
        }
        let account = ledger.account(TagId::from_index(tag));
        let payee = known.payee(ledger, account);
        if known.payees.len() >= MOST {
            known.payees.clear();
        }
        known.payees.insert((version, tag), payee);
        payee
    });
    // In the last destructors of a thread.
    known.unwrap_or_else(|_| Payee {
        account: ledger.account(TagId::from_index(tag)),
        slot: &NOBODYS,
    })
}

impl Known {
    fn payee(&mut self, ledger: &Arc<Ledger>, account: &'static Account) -> Payee {
        let mine = |of: &Weak<Ledger>| core::ptr::eq(of.as_ptr(), Arc::as_ptr(ledger));
        let open = self
            .slots
            .iter()
            .find(|(of, payee)| mine(of) && core::ptr::eq(payee.account, account));
        if let Some((_, payee)) = open {
            return *payee;
        }
        let payee = Payee {
            account,
            slot: ledger.open_slot(account),
        };
        self.forget_dead_ledgers();
        self.slots.push((Arc::downgrade(ledger), payee));
        payee
    }

    /// Lets go of slots whose ledgers are gone, and of whatever knows them.
    fn forget_dead_ledgers(&mut self) {
        if self.slots.iter().all(|(of, _)| of.strong_count() > 0) {
            return;
        }
        self.payees.clear();
        local(|local| local.known_payee.set(None));
        self.slots.retain(|(of, payee)| {
            let alive = of.strong_count() > 0;
            if !alive {
                retire_slot(payee.slot);
            }
            alive
        });
    }
}

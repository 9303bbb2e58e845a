//! Credit is neither lost nor spent twice while it is taken back, in every interleaving.

use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering, fence};
use loom::thread;

use crate::slot::Slot;

fn slot(credit: usize) -> Arc<Slot> {
    Arc::new(Slot {
        busy: AtomicBool::new(false),
        revoked: AtomicBool::new(false),
        credit: AtomicUsize::new(credit),
        allocs: AtomicU64::new(0),
        frees: AtomicU64::new(0),
    })
}

/// What a thread does that would be refused: it has all the credit in hand when this returns.
fn take_back(slot: &Slot) -> usize {
    slot.revoke();
    fence(Ordering::SeqCst);
    let taken = slot.take();
    slot.restore();
    taken
}

#[test]
fn credit_that_is_taken_back_is_not_spent_and_what_is_spent_is_not_taken_back() {
    loom::model(|| {
        let slot = slot(20);
        let spender = {
            let slot = slot.clone();
            thread::spawn(move || [slot.spend(8), slot.spend(8)])
        };
        let taken = take_back(&slot);
        let spent = spender.join().unwrap();
        let spent = spent.iter().filter(|&&paid| paid).count() * 8;
        assert_eq!(taken + spent + slot.credit(), 20);
    });
}

#[test]
fn a_block_freed_while_credit_is_taken_back_is_counted_once() {
    loom::model(|| {
        let slot = slot(20);
        let owner = {
            let slot = slot.clone();
            thread::spawn(move || {
                let paid = slot.spend(8);
                // To the budgets, if there is no credit to add to.
                let rest = if paid { slot.take_back(8) } else { 0 };
                (paid, rest)
            })
        };
        let taken = take_back(&slot);
        let (_, rest) = owner.join().unwrap();
        assert_eq!(taken + rest + slot.credit(), 20);
    });
}

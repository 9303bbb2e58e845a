//! Threads read, write, move, claim and doom one value: never two at once that exclude each other, and it is let go of once.

#![expect(unsafe_code, reason = "the word guards a cell")]

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;

use crate::borrow_word::{Refusal, Word};

/// A value in one of two places, and how often it was let go of.
struct Shared {
    word: Word,
    /// Which place. Relaxed, as the address of a slot is: the word orders it.
    at: AtomicUsize,
    places: [UnsafeCell<u32>; 2],
    dropped: AtomicUsize,
}

impl Shared {
    fn new() -> Arc<Self> {
        let shared = Self {
            word: Word::vacant(3),
            at: AtomicUsize::new(0),
            places: [UnsafeCell::new(1), UnsafeCell::new(0)],
            dropped: AtomicUsize::new(0),
        };
        assert_eq!(shared.word.publish(), 3);
        Arc::new(shared)
    }

    /// Access that loom checks: two that exclude each other and are not ordered fail the model.
    fn get(&self) -> u32 {
        // SAFETY: the word's rules, which loom checks.
        self.places[self.at.load(Ordering::Relaxed)].with(|value| unsafe { *value })
    }

    fn set(&self, value: u32) {
        // SAFETY: as above.
        self.places[self.at.load(Ordering::Relaxed)].with_mut(|place| unsafe { *place = value });
    }

    fn read(&self) -> Result<(), Refusal> {
        self.word.read(3)?;
        assert!(self.get() > 0, "read where the value is not");
        if self.word.end_read() {
            self.let_go();
        }
        Ok(())
    }

    fn write(&self) -> Result<(), Refusal> {
        self.word.write(3)?;
        self.set(self.get() + 1);
        if self.word.end_write() {
            self.let_go();
        }
        Ok(())
    }

    fn relocate(&self) -> bool {
        let begun = self.word.begin_move();
        if begun {
            let value = self.get();
            self.set(0);
            self.at
                .store(1 - self.at.load(Ordering::Relaxed), Ordering::Relaxed);
            self.set(value);
            self.word.end_move(false);
        }
        begun
    }

    fn free(&self) -> Result<(), Refusal> {
        assert_eq!(self.word.claim(3)?, Some(4));
        self.let_go();
        Ok(())
    }

    /// The value is ours alone.
    fn let_go(&self) {
        assert!(self.get() > 0);
        self.set(0);
        self.dropped.fetch_add(1, Ordering::Relaxed);
    }

    fn drops(&self) -> usize {
        self.dropped.load(Ordering::Relaxed)
    }
}

/// Runs each part on a thread of its own, and `after` when they are done.
fn model(parts: &'static [fn(&Shared)], after: fn(&Shared)) {
    let mut model = loom::model::Builder::new();
    if parts.len() > 2 {
        // Every interleaving with so many switches away from a thread that could go on: all of them take minutes. Two
        // threads need no bound, and must not have one where one of them waits for a move of the other's.
        model.preemption_bound = Some(3);
    }
    model.check(move || {
        let shared = Shared::new();
        let threads: Vec<_> = parts
            .iter()
            .map(|part| {
                let shared = shared.clone();
                thread::spawn(move || part(&shared))
            })
            .collect();
        threads
            .into_iter()
            .for_each(|thread| thread.join().unwrap());
        after(&shared);
    });
}

#[test]
fn readers_never_see_a_value_that_moves_and_are_never_refused_for_it() {
    model(
        &[
            |shared| shared.read().unwrap(),
            |shared| {
                shared.relocate();
            },
        ],
        |shared| assert_eq!(shared.get(), 1),
    );
}

#[test]
fn writers_exclude_movers() {
    model(
        &[
            |shared| shared.write().unwrap(),
            |shared| {
                shared.relocate();
            },
        ],
        |shared| assert_eq!(shared.get(), 2),
    );
}

#[test]
fn writers_exclude_readers_and_each_other() {
    fn write(shared: &Shared) {
        let _ = shared.write();
    }
    fn read(shared: &Shared) {
        let _ = shared.read();
    }
    model(&[write, write, read], |shared| {
        assert!((1..=3).contains(&shared.get()));
    });
}

#[test]
fn a_pinned_value_does_not_move() {
    model(
        &[
            |shared| {
                shared.word.pin(3).unwrap();
                let at = shared.at.load(Ordering::Relaxed);
                shared.read().unwrap();
                assert_eq!(shared.at.load(Ordering::Relaxed), at);
                shared.word.unpin(3).unwrap();
            },
            |shared| {
                shared.relocate();
            },
        ],
        |shared| {
            assert_eq!(shared.get(), 1);
            assert_eq!(shared.word.uses(), (0, false));
        },
    );
}

#[test]
fn a_value_is_not_freed_while_it_moves() {
    model(
        &[
            |shared| shared.free().unwrap(),
            |shared| {
                shared.relocate();
            },
        ],
        |shared| assert_eq!(shared.drops(), 1),
    );
}

#[test]
fn a_value_is_freed_by_one_and_not_while_it_is_used() {
    fn free(shared: &Shared) {
        if shared.free() == Err(Refusal::Gone) {
            assert_eq!(shared.read(), Err(Refusal::Gone));
        }
    }
    fn read(shared: &Shared) {
        let _ = shared.read();
    }
    model(&[free, free, read], |shared| {
        let gone = shared.word.state() == (4, false);
        assert_eq!(shared.drops(), usize::from(gone));
    });
}

#[test]
fn a_doomed_value_is_let_go_of_once_by_the_group_or_its_last_user() {
    fn doom(shared: &Shared) {
        if shared.word.doom(|| {}) {
            shared.let_go();
        }
    }
    model(
        &[
            |shared| {
                let _ = shared.read();
            },
            |shared| {
                let _ = shared.read();
            },
            doom,
        ],
        |shared| {
            assert_eq!(shared.drops(), 1);
            assert_eq!(shared.read(), Err(Refusal::Gone));
        },
    );
    model(
        &[
            |shared| {
                let _ = shared.write();
            },
            doom,
        ],
        |shared| {
            assert_eq!(shared.drops(), 1);
        },
    );
}

//! Who uses a value, in one word that is only changed by compare-and-exchange.
//!
//! ```text
//!  63              32  31    30      29      28     27    16  15      0
//!  +------------------+------+--------+--------+--------+--------+---------+
//!  | generation       | LIVE | DOOMED | MOVING | WRITER | pins   | readers |
//!  +------------------+------+--------+--------+--------+--------+---------+
//! ```
//!
//! What holds:
//! - `readers > 0` and `WRITER` exclude each other; `MOVING` excludes both, and pins.
//! - While `MOVING` is set, whoever set it runs no code of the user's; others wait for it, which is a copy's time.
//! - A value without `LIVE` is nobody's but whoever took the flag away, until that thread sets it again.
//! - `DOOMED` is never taken away: no borrow begins any more, and the one that ends last tells its caller so.
//! - The generation changes with every [`claim`](Word::claim), and never repeats.
//!
//! Every exchange that begins a use acquires what the ones that ended earlier uses released.
//!
//! The file is also compiled by the model checker's package, with its own `atomics`.

use super::atomics::{AtomicU64, Ordering, wait};

const READER: u64 = 1;
const READERS: u64 = (1 << 16) - 1;
const PIN: u64 = 1 << 16;
const PINS: u64 = ((1 << 12) - 1) << 16;
const WRITER: u64 = 1 << 28;
const MOVING: u64 = 1 << 29;
const DOOMED: u64 = 1 << 30;
const LIVE: u64 = 1 << 31;

const fn with_generation(generation: u32, state: u64) -> u64 {
    (generation as u64) << 32 | state
}

const fn generation_of(word: u64) -> u32 {
    (word >> 32) as u32
}

/// Why a use was refused. The word has not changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Of another generation, not live, or doomed.
    Gone,
    /// Somebody writes it, or reads it, in a way that excludes the use.
    Borrowed,
    /// It is pinned.
    Pinned,
    /// It is not pinned.
    NotPinned,
    /// Too many borrows or pins at once. They were forgotten, most likely.
    TooMany,
}

/// See the module's documentation.
pub(crate) struct Word(AtomicU64);

impl Word {
    /// Of a place without a value.
    pub(crate) fn vacant(generation: u32) -> Self {
        Self(AtomicU64::new(with_generation(generation, 0)))
    }

    /// The generation, and whether there is a value.
    pub(crate) fn state(&self) -> (u32, bool) {
        let word = self.0.load(Ordering::Acquire);
        (generation_of(word), word & LIVE != 0 && word & DOOMED == 0)
    }

    /// How many pins there are, and whether the value is read or written.
    pub(crate) fn uses(&self) -> (u32, bool) {
        let word = self.0.load(Ordering::Relaxed);
        (((word & PINS) / PIN) as u32, word & (READERS | WRITER) != 0)
    }

    /// Exchanges the word for what `next` makes of it, once nothing moves. `next` may be called several times.
    #[inline(always)]
    fn change(
        &self,
        generation: u32,
        next: impl Fn(u64) -> Result<u64, Refusal>,
    ) -> Result<u64, Refusal> {
        let mut spins = 0;
        let mut word = self.0.load(Ordering::Relaxed);
        loop {
            if generation_of(word) != generation || word & (LIVE | DOOMED) != LIVE {
                return Err(Refusal::Gone);
            }
            if word & MOVING != 0 {
                word = wait(&self.0, &mut spins);
                continue;
            }
            let wanted = next(word)?;
            match self
                .0
                .compare_exchange_weak(word, wanted, Ordering::AcqRel, Ordering::Relaxed)
            {
                Ok(_) => return Ok(wanted),
                Err(now) => word = now,
            }
        }
    }

    /// Begins to read.
    #[inline]
    pub(crate) fn read(&self, generation: u32) -> Result<(), Refusal> {
        self.change(generation, |word| match word {
            word if word & WRITER != 0 => Err(Refusal::Borrowed),
            word if word & READERS == READERS => Err(Refusal::TooMany),
            word => Ok(word + READER),
        })
        .map(drop)
    }

    /// Ends a read. Whether it was the last use of a doomed value, which is the caller's then.
    #[inline]
    #[must_use]
    pub(crate) fn end_read(&self) -> bool {
        let before = self.0.fetch_sub(READER, Ordering::AcqRel);
        before & (DOOMED | READERS) == DOOMED | READER
    }

    /// Begins to write.
    #[inline]
    pub(crate) fn write(&self, generation: u32) -> Result<(), Refusal> {
        self.change(generation, |word| match word & (WRITER | READERS) {
            0 => Ok(word | WRITER),
            _ => Err(Refusal::Borrowed),
        })
        .map(drop)
    }

    /// Ends a write. Whether it was the last use of a doomed value, which is the caller's then.
    #[inline]
    #[must_use]
    pub(crate) fn end_write(&self) -> bool {
        let before = self.0.fetch_and(!WRITER, Ordering::AcqRel);
        before & DOOMED != 0
    }

    /// Pins once more.
    pub(crate) fn pin(&self, generation: u32) -> Result<(), Refusal> {
        self.change(generation, |word| match word & PINS {
            PINS => Err(Refusal::TooMany),
            _ => Ok(word + PIN),
        })
        .map(drop)
    }

    /// Takes one pin back.
    pub(crate) fn unpin(&self, generation: u32) -> Result<(), Refusal> {
        self.change(generation, |word| match word & PINS {
            0 => Err(Refusal::NotPinned),
            _ => Ok(word - PIN),
        })
        .map(drop)
    }

    /// Makes the value and its place the caller's, and the generation the next one. That is `None` after the last: then the
    /// place must not be used again.
    pub(crate) fn claim(&self, generation: u32) -> Result<Option<u32>, Refusal> {
        let next = generation.checked_add(1);
        self.change(generation, |word| {
            if word & (WRITER | READERS) != 0 {
                Err(Refusal::Borrowed)
            } else if word & PINS != 0 {
                Err(Refusal::Pinned)
            } else {
                Ok(with_generation(next.unwrap_or(generation), 0))
            }
        })
        .map(|_| next)
    }

    /// Lets others use a value that the caller has put into its own, vacant place. Returns the generation.
    pub(crate) fn publish(&self) -> u32 {
        // Nobody changes a word that is not live.
        let generation = generation_of(self.0.load(Ordering::Relaxed));
        self.0
            .store(with_generation(generation, LIVE), Ordering::Release);
        generation
    }

    /// Begins to move the value, if nobody uses or pins it. The caller runs no code of the user's until it ends the move.
    pub(crate) fn begin_move(&self) -> bool {
        let word = self.0.load(Ordering::Relaxed);
        let idle = word & (u64::from(u32::MAX) ^ LIVE) == 0 && word & LIVE != 0;
        idle && self
            .0
            .compare_exchange(word, word | MOVING, Ordering::AcqRel, Ordering::Relaxed)
            .is_ok()
    }

    /// Ends a move; with `writing`, the caller writes the value from then on.
    pub(crate) fn end_move(&self, writing: bool) {
        // Nobody else changes a word that moves.
        let word = self.0.load(Ordering::Relaxed);
        let after = if writing { WRITER } else { 0 };
        self.0.store(word & !MOVING | after, Ordering::Release);
    }

    /// Lets no further use begin. Whether there is none: then the value is the caller's. `before_waiting` is called before
    /// it becomes somebody else's.
    #[must_use]
    pub(crate) fn doom(&self, before_waiting: impl FnOnce()) -> bool {
        let word = self.0.load(Ordering::Relaxed);
        if word & (READERS | WRITER) == 0
            && self
                .0
                .compare_exchange(word, word | DOOMED, Ordering::AcqRel, Ordering::Relaxed)
                .is_ok()
        {
            return true;
        }
        before_waiting();
        let before = self.0.fetch_or(DOOMED, Ordering::AcqRel);
        before & (READERS | WRITER) == 0
    }
}

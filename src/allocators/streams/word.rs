//! The state of one stream in one word: which stream it is, what may be done with it, and who is doing it.
//!
//! ```text
//!  63             32 31    28 27                 0
//! +-----------------+--------+--------------------+
//! | generation      | phase  | holds              |
//! +-----------------+--------+--------------------+
//!                              Ready, Doomed: readers, or all ones for one exclusive borrow
//!                              Loading:       EXPOSED (its writer is at the bytes), ENDING (ready once whole)
//!
//!  Vacant -> Filling
//!               | open
//!               v     begin            finish           claim            evict
//!            Reserved -------> Loading -------> Ready <---------> Claimed -------> Evicting
//!               |                 |               |     unclaim                       |
//!               | remove          | remove        | remove                            |
//!               |                 v               v                                   |
//!               |             Abandoned         Doomed, until the last hold ends      |
//!               v                 v               v                                   v
//!             Empty <-------------+---------------+       Empty or Evicting -> Vacant, of the next generation
//! ```
//!
//! Who moves the word into `Empty` or `Evicting` takes the block; who moves it into `Claimed` decides alone. The bytes are
//! shared while readers are counted, exclusive while all holds are set, and the writer's while `EXPOSED` is. Each of these
//! ends with a release and begins with an acquire on this one word, so one's accesses are over before the next one's begin.
//!
//! The file is also compiled by the model checker's package, with its own `atomics`.

use super::atomics::{
    AtomicU64,
    Ordering::{AcqRel, Acquire, Relaxed, Release},
};

const PHASE_SHIFT: u32 = 28;
const GENERATION_SHIFT: u32 = 32;
const HOLDS: u64 = (1 << PHASE_SHIFT) - 1;
/// All holds at once: the exclusive borrow.
const EXCLUSIVE: u64 = HOLDS;

/// Of a loading stream: its writer is at the bytes.
const EXPOSED: u64 = 1;
/// Of a loading stream: it is to become ready as soon as it is whole.
const ENDING: u64 = 2;

/// What a slot is in the middle of. See the module's drawing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Phase {
    /// No stream. The generation is that of the next one.
    Vacant,
    Reserved,
    Loading,
    Ready,
    /// An eviction considers it, under the lock; it may be ready again in a moment.
    Claimed,
    /// Its block was taken by an eviction.
    Evicting,
    /// Freed while borrowed; the last borrow takes the block.
    Doomed,
    /// Freed while its writer lives, which takes the block.
    Abandoned,
    /// Its block was taken.
    Empty,
    /// Its block is being put in.
    Filling,
}

impl Phase {
    const ALL: [Self; 10] = [
        Self::Vacant,
        Self::Reserved,
        Self::Loading,
        Self::Ready,
        Self::Claimed,
        Self::Evicting,
        Self::Doomed,
        Self::Abandoned,
        Self::Empty,
        Self::Filling,
    ];
}

/// What the word said at one moment.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct View(u64);

impl View {
    #[inline]
    const fn new(generation: u32, phase: Phase, holds: u64) -> Self {
        Self((generation as u64) << GENERATION_SHIFT | (phase as u64) << PHASE_SHIFT | holds)
    }

    #[inline]
    pub(crate) const fn generation(self) -> u32 {
        (self.0 >> GENERATION_SHIFT) as u32
    }

    #[inline]
    pub(crate) const fn phase(self) -> Phase {
        Phase::ALL[(self.0 >> PHASE_SHIFT & 0xF) as usize]
    }

    #[inline]
    const fn holds(self) -> u64 {
        self.0 & HOLDS
    }

    /// Whether the stream is loading, and to become ready once it is whole.
    pub(crate) fn is_ending(self) -> bool {
        self.phase() == Phase::Loading && self.holds() & ENDING != 0
    }

    /// Whether the stream is loading, and its writer at the bytes.
    pub(crate) fn is_exposed(self) -> bool {
        self.phase() == Phase::Loading && self.holds() & EXPOSED != 0
    }
}

/// What became of a stream that was freed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Removed {
    /// Nobody uses it: the caller takes its block.
    Now,
    /// Whoever uses it takes the block.
    Later,
}

/// See the module's documentation. An `Err` is what the word said instead.
pub(crate) struct Word(AtomicU64);

impl Word {
    pub(crate) fn new() -> Self {
        Self(AtomicU64::new(View::new(1, Phase::Vacant, 0).0))
    }

    #[inline]
    pub(crate) fn view(&self) -> View {
        View(self.0.load(Acquire))
    }

    fn change(
        &self,
        generation: u32,
        next: impl Fn(View) -> Option<(Phase, u64)>,
    ) -> Result<View, View> {
        let mut now = self.view();
        loop {
            let next = (now.generation() == generation)
                .then(|| next(now))
                .flatten();
            let Some((phase, holds)) = next else {
                return Err(now);
            };
            let next = View::new(generation, phase, holds);
            match self.0.compare_exchange_weak(now.0, next.0, AcqRel, Acquire) {
                Ok(_) => return Ok(now),
                Err(changed) => now = View(changed),
            }
        }
    }

    /// Changes the phase of a stream that nobody holds.
    fn step(&self, generation: u32, from: Phase, to: Phase) -> Result<(), View> {
        self.change(generation, |now| {
            (now.phase() == from && now.holds() == 0).then_some((to, 0))
        })
        .map(drop)
    }

    // ---- From reserved to ready -----------------------------------------------------------------------------------

    /// Makes the slot the caller's, who puts a block in and [`open`](Self::open)s it. The generation of the new stream.
    pub(crate) fn occupy(&self) -> Result<u32, View> {
        let generation = self.view().generation();
        self.step(generation, Phase::Vacant, Phase::Filling)?;
        Ok(generation)
    }

    pub(crate) fn open(&self, generation: u32) -> Result<(), View> {
        self.step(generation, Phase::Filling, Phase::Reserved)
    }

    /// Succeeds once a generation: there is one writer.
    pub(crate) fn begin(&self, generation: u32) -> Result<(), View> {
        self.step(generation, Phase::Reserved, Phase::Loading)
    }

    /// Gives the bytes to the writer. Only the writer calls it, and it does not use what an earlier call gave it any more.
    pub(crate) fn expose(&self, generation: u32) -> Result<(), View> {
        self.change(generation, |now| {
            (now.phase() == Phase::Loading).then_some((Phase::Loading, now.holds() | EXPOSED))
        })
        .map(drop)
    }

    /// Takes the bytes back. Whether the stream is to become ready once it is whole.
    pub(crate) fn cover(&self) -> bool {
        // The generation cannot change before the writer has gone. In an abandoned stream the flag is not set.
        View(self.0.fetch_and(!EXPOSED, Release)).is_ending()
    }

    pub(crate) fn ask_end(&self, generation: u32) -> Result<(), View> {
        self.change(generation, |now| {
            (now.phase() == Phase::Loading).then_some((Phase::Loading, now.holds() | ENDING))
        })
        .map(drop)
    }

    /// The caller has seen that every byte is initialised. Fails while the writer is at the bytes.
    pub(crate) fn finish(&self, generation: u32) -> Result<(), View> {
        self.change(generation, |now| {
            (now.phase() == Phase::Loading && !now.is_exposed()).then_some((Phase::Ready, 0))
        })
        .map(drop)
    }

    /// Ends the writer's part for good. If it was loading, or was abandoned, the caller takes the block.
    pub(crate) fn writer_gone(&self, generation: u32) -> Result<(), View> {
        self.change(generation, |now| {
            matches!(now.phase(), Phase::Loading | Phase::Abandoned).then_some((Phase::Empty, 0))
        })
        .map(drop)
    }

    // ---- Borrows of a ready stream --------------------------------------------------------------------------------

    #[inline]
    pub(crate) fn read(&self, generation: u32) -> Result<(), View> {
        let mut now = View(self.0.load(Relaxed));
        let ready = View::new(generation, Phase::Ready, 0).0;
        loop {
            // The last count before all ones stays free as well, so that no count is mistaken for the exclusive borrow.
            if now.0 & !HOLDS != ready || now.holds() >= HOLDS - 1 {
                return Err(now);
            }
            match self
                .0
                .compare_exchange_weak(now.0, now.0 + 1, Acquire, Relaxed)
            {
                Ok(_) => return Ok(()),
                Err(changed) => now = View(changed),
            }
        }
    }

    /// Whether the stream is doomed, and this was its last borrow: then somebody has to [`reap`](Self::reap) it.
    #[inline]
    pub(crate) fn end_read(&self) -> bool {
        let before = View(self.0.fetch_sub(1, Release));
        before.phase() == Phase::Doomed && before.holds() == 1
    }

    #[inline]
    pub(crate) fn write(&self, generation: u32) -> Result<(), View> {
        let ready = View::new(generation, Phase::Ready, 0).0;
        self.0
            .compare_exchange(ready, ready | EXCLUSIVE, Acquire, Relaxed)
            .map(drop)
            .map_err(View)
    }

    /// As [`end_read`](Self::end_read).
    #[inline]
    pub(crate) fn end_write(&self) -> bool {
        View(self.0.fetch_sub(EXCLUSIVE, Release)).phase() == Phase::Doomed
    }

    // ---- The end of a stream --------------------------------------------------------------------------------------

    /// Keeps everybody out of a ready stream that nobody has borrowed, until the caller unclaims or evicts it.
    pub(crate) fn claim(&self, generation: u32) -> Result<(), View> {
        self.step(generation, Phase::Ready, Phase::Claimed)
    }

    pub(crate) fn unclaim(&self, generation: u32) -> Result<(), View> {
        self.step(generation, Phase::Claimed, Phase::Ready)
    }

    /// The caller takes the block.
    pub(crate) fn evict(&self, generation: u32) -> Result<(), View> {
        self.step(generation, Phase::Claimed, Phase::Evicting)
    }

    pub(crate) fn remove(&self, generation: u32) -> Result<Removed, View> {
        let before = self.change(generation, |now| match now.phase() {
            Phase::Reserved => Some((Phase::Empty, 0)),
            Phase::Ready if now.holds() == 0 => Some((Phase::Empty, 0)),
            Phase::Ready => Some((Phase::Doomed, now.holds())),
            Phase::Loading => Some((Phase::Abandoned, 0)),
            _ => None,
        })?;
        let used = before.phase() == Phase::Loading || before.holds() != 0;
        Ok(if used { Removed::Later } else { Removed::Now })
    }

    /// The caller takes the block of a doomed stream that is not borrowed any more.
    pub(crate) fn reap(&self, generation: u32) -> Result<(), View> {
        self.step(generation, Phase::Doomed, Phase::Empty)
    }

    /// Ends the generation of a stream whose block was taken. Fails if there is no next one: then the slot stays unused.
    pub(crate) fn vacate(&self, generation: u32) -> Result<(), View> {
        let now = self.view();
        let taken =
            now.generation() == generation && matches!(now.phase(), Phase::Empty | Phase::Evicting);
        let Some(next) = generation.checked_add(1).filter(|_| taken) else {
            return Err(now);
        };
        let next = View::new(next, Phase::Vacant, 0);
        self.0
            .compare_exchange(now.0, next.0, AcqRel, Acquire)
            .map(drop)
            .map_err(View)
    }
}

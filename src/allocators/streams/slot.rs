//! Slots: the place of one stream after the other, found by index without a lock.
//!
//! ```text
//!  segments  | 0 | 1 | 2 | ...                     made when first needed, never moved, never given back
//!              |   |   +--> 128 slots
//!              |   +------> 64 slots
//!              +----------> 32 slots: word | stamp | frame | loaded | initialised | start | size
//! ```
//!
//! The word decides who may touch the rest. What is read beside it without a claim (figures, stamps) is atomic, so that a
//! read of a slot that just changed hands is stale at worst.

use core::ptr::null_mut;
use core::sync::atomic::{AtomicPtr, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::OnceLock;

use super::block::Block;
use super::word::{Phase, Removed, View, Word};

/// The place of one stream. On cache lines of its own: streams are borrowed from many threads.
#[repr(align(64))]
pub(crate) struct Slot {
    pub(super) word: Word,
    /// When it was last used, on the ledger's clock.
    stamp: AtomicU64,
    /// In which frame it was last used.
    frame: AtomicU64,
    /// Bytes that count as loaded. At most the size.
    loaded: AtomicUsize,
    /// How many bytes from the start on are initialised. Written by whom the bytes are exposed to.
    initialised: AtomicUsize,
    /// The block, from `Reserved` until it is taken.
    start: AtomicPtr<u8>,
    size: AtomicUsize,
}

/// What became of a freed stream.
pub(crate) enum Freed {
    /// This is its block.
    Now(Block),
    /// Somebody still uses it, and settles it.
    Later,
}

impl Slot {
    fn new() -> Self {
        Self {
            word: Word::new(),
            stamp: AtomicU64::new(0),
            frame: AtomicU64::new(0),
            loaded: AtomicUsize::new(0),
            initialised: AtomicUsize::new(0),
            start: AtomicPtr::new(null_mut()),
            size: AtomicUsize::new(0),
        }
    }

    #[inline]
    pub(crate) fn view(&self) -> View {
        self.word.view()
    }

    #[inline]
    pub(crate) fn size(&self) -> usize {
        self.size.load(Relaxed)
    }

    #[inline]
    pub(super) fn start(&self) -> *mut u8 {
        self.start.load(Relaxed)
    }

    /// Puts a block in. The generation of the new stream, or the block back if there is a stream.
    pub(crate) fn install(&self, block: Block) -> Result<u32, Block> {
        let Ok(generation) = self.word.occupy() else {
            return Err(block);
        };
        let (start, size) = block.into_raw();
        self.start.store(start, Relaxed);
        self.size.store(size, Relaxed);
        self.loaded.store(0, Relaxed);
        self.initialised.store(0, Relaxed);
        let opened = self.word.open(generation);
        debug_assert!(opened.is_ok(), "the slot was occupied here");
        Ok(generation)
    }

    /// Takes the block out.
    ///
    /// # Safety
    ///
    /// The caller has just moved the word into `Empty` or `Evicting`.
    unsafe fn take(&self) -> Block {
        // SAFETY: `install` put it in, and nobody borrows or takes it in these phases (S1).
        unsafe { Block::from_raw(self.start(), self.size()) }
    }

    pub(crate) fn claim(&self, generation: u32) -> bool {
        self.word.claim(generation).is_ok()
    }

    /// Makes a claimed stream ready again.
    pub(crate) fn unclaim(&self, generation: u32) -> bool {
        self.word.unclaim(generation).is_ok()
    }

    /// Takes the block of a claimed stream.
    pub(crate) fn evict(&self, generation: u32) -> Result<Block, View> {
        self.word.evict(generation)?;
        // SAFETY: as it asks.
        Ok(unsafe { self.take() })
    }

    pub(crate) fn remove(&self, generation: u32) -> Result<Freed, View> {
        Ok(match self.word.remove(generation)? {
            Removed::Later => Freed::Later,
            // SAFETY: as it asks.
            Removed::Now => Freed::Now(unsafe { self.take() }),
        })
    }

    /// Takes the block of a freed stream whose last borrow has ended.
    pub(crate) fn reap(&self, generation: u32) -> Result<Block, View> {
        self.word.reap(generation)?;
        // SAFETY: as it asks.
        Ok(unsafe { self.take() })
    }

    /// Takes the block of a stream whose writer goes without having finished it.
    pub(crate) fn writer_gone(&self, generation: u32) -> Result<Block, View> {
        self.word.writer_gone(generation)?;
        // SAFETY: as it asks.
        Ok(unsafe { self.take() })
    }

    /// Lets the next stream in, once the block was taken. Whether there can be one.
    pub(crate) fn vacate(&self, generation: u32) -> bool {
        self.word.vacate(generation).is_ok()
    }

    pub(crate) fn ask_end(&self, generation: u32) -> Result<(), View> {
        self.word.ask_end(generation)
    }

    /// Whether every byte is initialised and counts as loaded.
    pub(crate) fn is_whole(&self) -> bool {
        self.is_initialised() && self.loaded() == self.size()
    }

    fn is_initialised(&self) -> bool {
        self.initialised() == self.size()
    }

    /// Makes a loading stream ready, if its bytes are initialised and its writer is not at them.
    pub(crate) fn finish(&self, generation: u32) -> Result<(), View> {
        // Seeing the stream load comes before reading its figures, which never fall while it does. If the writer is at the
        // bytes by now, the word refuses; if it was, the word acquires what it did.
        let now = self.view();
        if now.generation() != generation || !self.is_initialised() {
            return Err(now);
        }
        self.word.finish(generation)
    }

    // ---- Figures --------------------------------------------------------------------------------------------------

    #[inline]
    pub(super) fn initialised(&self) -> usize {
        self.initialised.load(Relaxed)
    }

    /// # Safety
    ///
    /// The bytes are exposed to the caller, who has initialised those before `end`.
    pub(super) unsafe fn set_initialised(&self, end: usize) {
        self.initialised.store(end, Relaxed);
    }

    #[inline]
    pub(crate) fn loaded(&self) -> usize {
        self.loaded.load(Relaxed)
    }

    /// Raises the bytes that count as loaded. By how much.
    pub(crate) fn raise_loaded(&self, to: usize) -> usize {
        let to = to.min(self.size());
        to.saturating_sub(self.loaded.fetch_max(to, Relaxed))
    }

    #[inline]
    pub(crate) fn stamp(&self) -> u64 {
        self.stamp.load(Relaxed)
    }

    #[inline]
    pub(crate) fn frame(&self) -> u64 {
        self.frame.load(Relaxed)
    }

    /// Notes a use. `clock` holds the stamp of the latest use of any stream: if that was this one, nothing is to be done,
    /// and threads that use one stream again and again do not contend for the clock.
    #[inline]
    pub(crate) fn touch(&self, clock: &AtomicU64, frame: u64) {
        if self.stamp() != clock.load(Relaxed) {
            self.stamp.store(clock.fetch_add(1, Relaxed) + 1, Relaxed);
        }
        if self.frame() != frame {
            self.frame.store(frame, Relaxed);
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        match self.view().phase() {
            Phase::Vacant | Phase::Filling | Phase::Evicting | Phase::Empty => {}
            // SAFETY: the slots go with their owner, which every borrow borrows and every writer keeps alive. Borrows that
            // were forgotten are not used any more.
            _ => drop(unsafe { self.take() }),
        }
    }
}

const FIRST: u64 = 32;
/// As many as hold every index of 32 bits.
const SEGMENTS: usize = 28;

/// See the module's documentation.
pub(crate) struct Slots {
    segments: [OnceLock<Box<[Slot]>>; SEGMENTS],
}

/// The segment of an index, and the place in it.
#[inline]
const fn place(index: u32) -> (usize, usize) {
    let number = index as u64 + FIRST;
    let segment = number.ilog2() - FIRST.ilog2();
    (segment as usize, (number - (FIRST << segment)) as usize)
}

impl Slots {
    pub(super) fn new() -> Self {
        Self {
            segments: [const { OnceLock::new() }; SEGMENTS],
        }
    }

    #[inline]
    pub(crate) fn get(&self, index: u32) -> Option<&Slot> {
        let (segment, place) = place(index);
        self.segments[segment].get()?.get(place)
    }

    /// The slot, made if need be.
    pub(crate) fn make(&self, index: u32) -> &Slot {
        let (segment, place) = place(index);
        let slots = self.segments[segment]
            .get_or_init(|| (0..FIRST << segment).map(|_| Slot::new()).collect());
        &slots[place]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_not_ready_before_its_bytes_are_initialised() {
        let slot = Slot::new();
        let block = Block::new(10, &Default::default()).unwrap();
        let Ok(generation) = slot.install(block) else {
            panic!("it is vacant");
        };
        slot.word
            .begin(generation)
            .is_ok()
            .then_some(())
            .expect("it is reserved");
        slot.raise_loaded(10);
        assert!(slot.finish(generation).is_err());
        assert_eq!(slot.view().phase(), Phase::Loading);
        // SAFETY: nobody reads them.
        unsafe {
            core::ptr::write_bytes(slot.start(), 0, 10);
            slot.set_initialised(10);
        }
        assert!(slot.finish(generation).is_ok());
        // The block goes with the slot.
    }

    #[test]
    fn every_index_has_a_place_of_its_own() {
        let mut expected = (0, 0);
        for index in 0..10_000 {
            assert_eq!(place(index), expected);
            expected.1 += 1;
            if expected.1 == (FIRST as usize) << expected.0 {
                expected = (expected.0 + 1, 0);
            }
        }
        assert!(place(u32::MAX).0 < SEGMENTS);
        assert!(place(u32::MAX).1 < (FIRST as usize) << place(u32::MAX).0);
    }
}

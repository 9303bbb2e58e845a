//! Filling a stream.
//!
//! ```text
//!  0            initialised                  size
//!  +------------+-----------------------------+
//!  | bytes      | memory as the system gave it|
//!  +------------+-----------------------------+
//! ```
//!
//! The initialised part only grows. What is written in order costs nothing but the copy; whoever asks for bytes further on
//! gets them zeroed, once.

use core::ops::{Deref, DerefMut, Range};
use core::ptr::{self, NonNull};
use std::sync::Arc;

use super::slot::Slot;
use super::word::{Phase, View};
use super::{Block, Settle, Streams};

/// The right to fill a stream. There is one, since a stream begins to load once.
pub(crate) struct Load<L: Settle> {
    streams: Arc<Streams<L>>,
    index: u32,
    generation: u32,
}

impl<L: Settle> Load<L> {
    pub(crate) fn begin(
        streams: &Arc<Streams<L>>,
        index: u32,
        generation: u32,
    ) -> Result<Self, Option<View>> {
        let slot = streams.slots.get(index).ok_or(None)?;
        slot.word.begin(generation)?;
        Ok(Self {
            streams: streams.clone(),
            index,
            generation,
        })
    }

    pub(crate) fn streams(&self) -> &Arc<Streams<L>> {
        &self.streams
    }

    pub(crate) fn index(&self) -> u32 {
        self.index
    }

    pub(crate) fn generation(&self) -> u32 {
        self.generation
    }

    pub(crate) fn slot(&self) -> &Slot {
        self.streams.slots.make(self.index)
    }

    /// Whether the stream was freed while this exists.
    pub(crate) fn is_abandoned(&self, view: View) -> bool {
        view.generation() == self.generation && view.phase() == Phase::Abandoned
    }

    /// Exposes the bytes until the cover drops.
    fn expose(&mut self) -> Result<Cover<'_, L>, View> {
        // The cover borrows the load, so an earlier one is gone, or was forgotten and is not used any more.
        self.slot().word.expose(self.generation)?;
        Ok(Cover { load: self })
    }

    /// Copies `bytes` to `at`, and counts everything up to their end as loaded.
    pub(crate) fn write(&mut self, at: usize, bytes: &[u8]) -> Result<(), View> {
        let end = at + bytes.len();
        let cover = self.expose()?;
        let (start, slot) = cover.bytes();
        assert!(end <= slot.size(), "a write beyond the stream");
        cover.initialise(at);
        // SAFETY: the bytes are exposed to the cover (S1), and the source is a borrow of something else: nobody outside
        // borrows these.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), start.as_ptr().add(at), bytes.len()) };
        if end > slot.initialised() {
            // SAFETY: just written, and what lies before them is initialised.
            unsafe { slot.set_initialised(end) };
        }
        cover.load.streams.raise_loaded(slot, end);
        Ok(())
    }

    /// Lends bytes of the stream; also of one that was freed meanwhile, whose block is still ours.
    pub(crate) fn lend(&mut self, range: Range<usize>) -> Result<Exposed<'_, L>, View> {
        let cover = match self.slot().word.expose(self.generation) {
            Err(view) if !self.is_abandoned(view) => return Err(view),
            _ => Cover { load: self },
        };
        let (start, slot) = cover.bytes();
        assert!(
            range.start <= range.end && range.end <= slot.size(),
            "bytes beyond the stream"
        );
        cover.initialise(range.end);
        // SAFETY: in the block.
        let first = unsafe { start.add(range.start) };
        Ok(Exposed {
            bytes: NonNull::slice_from_raw_parts(first, range.len()),
            _cover: cover,
        })
    }

    /// Counts bytes as loaded.
    pub(crate) fn report(&mut self, loaded: usize) -> Result<(), View> {
        let cover = self.expose()?;
        cover.load.streams.raise_loaded(cover.bytes().1, loaded);
        Ok(())
    }

    /// Ends the load. The block, if the stream did not become ready and nobody else took it.
    pub(crate) fn end(&mut self) -> Result<Block, View> {
        self.slot().writer_gone(self.generation)
    }
}

/// Takes the bytes back when it drops.
struct Cover<'a, L: Settle> {
    load: &'a Load<L>,
}

impl<L: Settle> Cover<'_, L> {
    fn bytes(&self) -> (NonNull<u8>, &Slot) {
        let slot = self.load.slot();
        let start = NonNull::new(slot.start()).expect("a loading stream has a block");
        (start, slot)
    }

    /// Zeroes what is not initialised before `end`.
    fn initialise(&self, end: usize) {
        let (start, slot) = self.bytes();
        let from = slot.initialised();
        if end > from {
            // SAFETY: in the block, which is exposed to us (S1).
            unsafe {
                ptr::write_bytes(start.as_ptr().add(from), 0, end - from);
                slot.set_initialised(end);
            }
        }
    }
}

impl<L: Settle> Drop for Cover<'_, L> {
    fn drop(&mut self) {
        let Load {
            streams,
            index,
            generation,
        } = self.load;
        if self.load.slot().word.cover() {
            L::settle(streams, *index, *generation);
        }
    }
}

/// Bytes lent to the writer. No one else sees them before it drops.
pub(crate) struct Exposed<'a, L: Settle> {
    bytes: NonNull<[u8]>,
    _cover: Cover<'a, L>,
}

// SAFETY: it is a `&mut [u8]` that is given back on whatever thread it is.
unsafe impl<L: Settle + Send + Sync> Send for Exposed<'_, L> {}
// SAFETY: as above.
unsafe impl<L: Settle + Send + Sync> Sync for Exposed<'_, L> {}

impl<L: Settle> Deref for Exposed<'_, L> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: exposed and initialised by `lend` (S1).
        unsafe { self.bytes.as_ref() }
    }
}

impl<L: Settle> DerefMut for Exposed<'_, L> {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above, and the cover borrows the only load mutably.
        unsafe { self.bytes.as_mut() }
    }
}

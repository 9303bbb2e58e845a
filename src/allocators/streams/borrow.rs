//! Borrows of a ready stream.

use core::ops::{Deref, DerefMut};
use core::ptr::NonNull;

use super::slot::Slot;
use super::word::View;
use super::{Settle, Streams};

/// The bytes of one stream, kept valid by a hold in its word.
///
/// A pointer, not a reference: the bytes may be freed by the last hold's drop, while the borrow itself is still an argument
/// of that drop.
struct Held<'a, L> {
    streams: &'a Streams<L>,
    slot: &'a Slot,
    bytes: NonNull<[u8]>,
    index: u32,
    generation: u32,
}

impl<'a, L> Held<'a, L> {
    /// The caller has just taken a hold of this stream.
    #[inline]
    fn new(streams: &'a Streams<L>, slot: &'a Slot, index: u32, generation: u32) -> Self {
        let start = NonNull::new(slot.start()).expect("a ready stream has a block");
        Self {
            streams,
            slot,
            bytes: NonNull::slice_from_raw_parts(start, slot.size()),
            index,
            generation,
        }
    }
}

// SAFETY: holds may be taken and ended on any thread, and bytes are `Send` and `Sync`.
unsafe impl<L: Sync> Send for Held<'_, L> {}
// SAFETY: as above.
unsafe impl<L: Sync> Sync for Held<'_, L> {}

/// Shared use of a ready stream's bytes.
pub(crate) struct Shared<'a, L: Settle>(Held<'a, L>);

/// Exclusive use of a ready stream's bytes.
pub(crate) struct Exclusive<'a, L: Settle>(Held<'a, L>);

impl<L: Settle> Streams<L> {
    #[inline]
    pub(crate) fn read(&self, index: u32, generation: u32) -> Result<Shared<'_, L>, Option<View>> {
        let slot = self.slots.get(index).ok_or(None)?;
        slot.word.read(generation)?;
        Ok(Shared(Held::new(self, slot, index, generation)))
    }

    #[inline]
    pub(crate) fn write(
        &self,
        index: u32,
        generation: u32,
    ) -> Result<Exclusive<'_, L>, Option<View>> {
        let slot = self.slots.get(index).ok_or(None)?;
        slot.word.write(generation)?;
        Ok(Exclusive(Held::new(self, slot, index, generation)))
    }
}

impl<L: Settle> Shared<'_, L> {
    #[inline]
    pub(crate) fn slot(&self) -> &Slot {
        self.0.slot
    }
}

impl<L: Settle> Exclusive<'_, L> {
    #[inline]
    pub(crate) fn slot(&self) -> &Slot {
        self.0.slot
    }
}

impl<L: Settle> Deref for Shared<'_, L> {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        // SAFETY: the hold keeps the block where it is and its bytes unchanged, and all were initialised before the
        // stream was ready (S1).
        unsafe { self.0.bytes.as_ref() }
    }
}

impl<L: Settle> Deref for Exclusive<'_, L> {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        // SAFETY: as for `Shared`.
        unsafe { self.0.bytes.as_ref() }
    }
}

impl<L: Settle> DerefMut for Exclusive<'_, L> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as for `Shared`, and this hold is the only one.
        unsafe { self.0.bytes.as_mut() }
    }
}

impl<L: Settle> Drop for Shared<'_, L> {
    #[inline]
    fn drop(&mut self) {
        let held = &self.0;
        if held.slot.word.end_read() {
            L::settle(held.streams, held.index, held.generation);
        }
    }
}

impl<L: Settle> Drop for Exclusive<'_, L> {
    #[inline]
    fn drop(&mut self) {
        let held = &self.0;
        if held.slot.word.end_write() {
            L::settle(held.streams, held.index, held.generation);
        }
    }
}

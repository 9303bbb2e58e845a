//! Collections that grow, in a guard's memory.

use core::alloc::Layout;
use core::hash::BuildHasher;
use core::ops::Range;
use core::ptr::{self, NonNull};

use super::{Frame, arena_of, exhausted};
use crate::allocators::arena::{Arena, GuardMeter};
use crate::allocators::layout::footprint;
use crate::allocators::os;
use crate::allocators::traits::{Blocks, implement_allocator};
use crate::error::AllocError;

/// A growable vector in a frame guard's memory: for scratch whose size is not known, in the scope of the guard.
/// [`FrameVec`](crate::FrameVec) is the one that needs no guard, and does not grow.
///
/// Growing moves it, unless it was allocated last. It panics with FA003 where memory runs out, in its `try_` methods too;
/// `allocator_api2::vec::Vec::new_in(&frame)` is the same vector with errors.
pub type ScratchVec<'f, T> = allocator_api2::vec::Vec<T, Scratch<'f>>;

/// A growable hash map in a frame guard's memory. See [`ScratchVec`] for what happens where memory runs out.
pub type ScratchMap<'f, K, V, S = hashbrown::DefaultHashBuilder> =
    hashbrown::HashMap<K, V, S, Scratch<'f>>;

/// A frame guard as the allocator of a collection: `allocator_api2`'s `Allocator`, which `hashbrown` speaks too.
///
/// Blocks are freed with the guard; the one allocated last grows in place and is reused when it is given back, and so are
/// blocks too large for a chunk.
///
/// Where memory runs out it panics with FA003, because collections would otherwise abort the process. `&Frame` is an
/// allocator as well, which returns the error.
#[derive(Debug, Clone, Copy)]
pub struct Scratch<'f>(&'f Frame<'f>);

impl Frame<'_> {
    /// This guard, as an allocator for collections.
    pub fn scratch(&self) -> Scratch<'_> {
        Scratch(self)
    }

    /// An empty growable vector.
    #[inline]
    pub fn vec<T>(&self) -> ScratchVec<'_, T> {
        ScratchVec::new_in(self.scratch())
    }

    /// A growable vector with room for `capacity` values.
    ///
    /// # Panics
    ///
    /// As `Vec::with_capacity`, and with FA003 where memory runs out.
    #[inline]
    #[track_caller]
    pub fn vec_with_capacity<T>(&self, capacity: usize) -> ScratchVec<'_, T> {
        ScratchVec::with_capacity_in(capacity, self.scratch())
    }

    /// An empty growable hash map.
    #[inline]
    pub fn map<K, V>(&self) -> ScratchMap<'_, K, V> {
        self.map_with_capacity(0)
    }

    /// A growable hash map with room for `capacity` entries.
    ///
    /// # Panics
    ///
    /// As `HashMap::with_capacity`, and with FA003 where memory runs out.
    #[inline]
    #[track_caller]
    pub fn map_with_capacity<K, V>(&self, capacity: usize) -> ScratchMap<'_, K, V> {
        self.map_with_hasher(capacity, hashbrown::DefaultHashBuilder::default())
    }

    /// A growable hash map with a hasher of your choice.
    ///
    /// # Panics
    ///
    /// As [`map_with_capacity`](Self::map_with_capacity).
    #[inline]
    #[track_caller]
    pub fn map_with_hasher<K, V, S: BuildHasher>(
        &self,
        capacity: usize,
        hasher: S,
    ) -> ScratchMap<'_, K, V, S> {
        ScratchMap::with_capacity_and_hasher_in(capacity, hasher, self.scratch())
    }

    fn arena(&self) -> &Arena {
        // SAFETY: the guard is open.
        unsafe { arena_of(self.first) }
    }

    #[inline(always)]
    fn allocate_block(&self, layout: Layout) -> Result<NonNull<u8>, AllocError> {
        if layout.size() == 0 {
            // SAFETY: alignments are not zero.
            return Ok(unsafe { NonNull::new_unchecked(layout.align() as *mut u8) });
        }
        self.bump(layout)
    }

    /// # Safety
    ///
    /// The block is the caller's, of this layout, and not used any more.
    #[inline(always)]
    pub(super) unsafe fn free_block(&self, block: NonNull<u8>, layout: Layout) {
        let start = block.as_ptr() as usize;
        let bytes = footprint(layout.size());
        if bytes == 0 {
            return;
        }
        // The block allocated last goes back, so that vectors which come and go use the same memory; and one with a big
        // chunk of its own, so that a vector which grows does not keep all its former selves.
        if start + bytes == self.ptr.get() {
            self.move_back(start);
            self.count(bytes);
            os::conceal(start, bytes);
        } else if self.arena().is_big(layout) {
            // SAFETY: the block is this guard's, and the caller gives it up.
            unsafe { self.arena().take_back_big(start, self.first) };
            self.refund(start..start + bytes);
        }
    }

    /// Moves the end of a block of `old` bytes, if it is the last one and there is room.
    ///
    /// # Safety
    ///
    /// The block is the caller's, and `old` bytes large, not zero.
    #[inline(always)]
    pub(super) unsafe fn resize_last(&self, block: NonNull<u8>, old: usize, new: usize) -> bool {
        let start = block.as_ptr() as usize;
        if start + footprint(old) != self.ptr.get() {
            return false;
        }
        if footprint(new) > self.limit.get() - start {
            return self.ptr.get() == self.limit.get() && self.grow_full(start, old, new);
        }
        if new < old {
            self.move_back(start + footprint(new));
            os::conceal(start + new, footprint(old) - new);
        } else {
            self.ptr.set(start + footprint(new));
        }
        os::reveal(start, new);
        true
    }

    /// Moves the end of the last block of a guard whose pointer is at its limit: it is full, or hooded and has room after all.
    #[cold]
    #[inline(never)]
    fn grow_full(&self, start: usize, old: usize, new: usize) -> bool {
        let end = start + footprint(new);
        // SAFETY: the guard is open, and its chunks are mapped.
        let (meter, limit) = unsafe { (GuardMeter::of(self.first), (*self.top.get()).limit.get()) };
        let Some(meter) = meter else {
            return false;
        };
        let more = footprint(new) - footprint(old);
        if end > limit || !meter.admit_more(self.arena(), more) {
            return false;
        }
        self.ptr.set(end);
        self.limit.set(end);
        os::reveal(start, new);
        true
    }

    /// Moves the pointer back: what lies behind `ptr` is free.
    #[inline(always)]
    fn move_back(&self, ptr: usize) {
        let before = self.ptr.replace(ptr);
        if before == self.limit.get() {
            self.move_back_full(before);
        }
    }

    /// The pointer was at the limit: the guard was full, or is hooded and has to stay so.
    #[cold]
    #[inline(never)]
    fn move_back_full(&self, before: usize) {
        // SAFETY: the guard is open.
        if unsafe { GuardMeter::of(self.first) }.is_some() {
            self.limit.set(self.ptr.get());
            self.refund(self.ptr.get()..before);
        }
    }

    /// Gives budgets back what was charged for these addresses, which are free.
    fn refund(&self, freed: Range<usize>) {
        // SAFETY: the guard is open.
        if let Some(meter) = unsafe { GuardMeter::of(self.first) } {
            meter.give_back(freed.len());
            self.arena().guard_gave_back(meter, freed);
        }
    }

    /// # Safety
    ///
    /// The block is the caller's, of the old layout, and not used any more if another one is returned; the new layout is not
    /// smaller.
    #[inline]
    unsafe fn grow_block(
        &self,
        block: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<u8>, AllocError> {
        // SAFETY: the caller's contract; both blocks are live while one is copied to the other, which do not overlap.
        unsafe {
            if old.size() != 0
                && new.align() <= old.align()
                && self.resize_last(block, old.size(), new.size())
            {
                return Ok(block);
            }
            let fresh = self.allocate_block(new)?;
            ptr::copy_nonoverlapping(block.as_ptr(), fresh.as_ptr(), old.size());
            self.free_block(block, old);
            Ok(fresh)
        }
    }

    /// # Safety
    ///
    /// As [`grow_block`](Self::grow_block), but that the new layout is not larger.
    #[inline]
    unsafe fn shrink_block(
        &self,
        block: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<u8>, AllocError> {
        let start = block.as_ptr() as usize;
        // SAFETY: the caller's contract; both blocks are live while one is copied to the other, which do not overlap.
        unsafe {
            if start.is_multiple_of(new.align()) {
                if old.size() != 0 {
                    self.resize_last(block, old.size(), new.size());
                }
                return Ok(block);
            }
            let fresh = self.allocate_block(new)?;
            ptr::copy_nonoverlapping(block.as_ptr(), fresh.as_ptr(), new.size());
            self.free_block(block, old);
            Ok(fresh)
        }
    }
}

/// Implements `Allocator` with a guard's blocks. `$refused` makes of an error what `allocate` answers.
macro_rules! allocate_from_guard {
    ($allocator:ty, $refused:expr) => {
        // SAFETY: blocks stay where they are until the guard closes, which every copy of the allocator keeps from happening,
        // unless they are given back.
        unsafe impl Blocks for $allocator {
            #[inline(always)]
            fn allocate(&self, layout: Layout) -> Option<NonNull<u8>> {
                self.guard()
                    .allocate_block(layout)
                    .map_or_else($refused, Some)
            }

            #[inline(always)]
            unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
                // SAFETY: the caller's contract.
                unsafe { self.guard().free_block(block, layout) }
            }

            #[inline]
            unsafe fn grow(
                &self,
                block: NonNull<u8>,
                old: Layout,
                new: Layout,
            ) -> Option<NonNull<u8>> {
                // SAFETY: the caller's contract.
                let grown = unsafe { self.guard().grow_block(block, old, new) };
                grown.map_or_else($refused, Some)
            }

            #[inline]
            unsafe fn shrink(
                &self,
                block: NonNull<u8>,
                old: Layout,
                new: Layout,
            ) -> Option<NonNull<u8>> {
                // SAFETY: the caller's contract.
                let shrunk = unsafe { self.guard().shrink_block(block, old, new) };
                shrunk.map_or_else($refused, Some)
            }
        }

        implement_allocator!($allocator);
    };
}

impl Scratch<'_> {
    #[inline(always)]
    fn guard(&self) -> &Frame<'_> {
        self.0
    }
}

impl Frame<'_> {
    #[inline(always)]
    fn guard(&self) -> &Self {
        self
    }
}

allocate_from_guard!(&Frame<'_>, |_| None);
allocate_from_guard!(Scratch<'_>, |error| exhausted(error));

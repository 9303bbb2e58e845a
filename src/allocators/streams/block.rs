//! The memory of one stream.

use core::alloc::Layout;
use core::ptr::NonNull;

use crate::allocators::heap;
use crate::allocators::payer::Payer;
use crate::diagnostics;
use crate::error::AllocError;

/// Blocks of this size and above are aligned to [`PAGE`].
const LARGE: usize = 64 << 10;
const PAGE: usize = 4 << 10;
const SMALL_ALIGN: usize = 16;

/// An owned block of the heap, charged to the tag that was current when it was taken. Not initialised.
pub(crate) struct Block {
    start: NonNull<u8>,
    size: usize,
}

impl Block {
    fn layout(size: usize) -> Option<Layout> {
        let align = if size >= LARGE { PAGE } else { SMALL_ALIGN };
        Layout::from_size_align(size, align).ok()
    }

    /// Refuses, and reports, sizes that no block can have.
    pub(crate) fn check(size: usize) -> Result<(), AllocError> {
        match Self::layout(size) {
            Some(_) => Ok(()),
            None => Err(diagnostics::refused(AllocError::overflow::<u8>(size))),
        }
    }

    pub(crate) fn new(size: usize, payer: &Payer) -> Result<Self, AllocError> {
        Self::check(size)?;
        let layout = Self::layout(size).expect("just checked");
        let start = if size == 0 {
            NonNull::without_provenance(layout.align().try_into().expect("alignments are not 0"))
        } else {
            heap::allocate(layout, payer)?
        };
        Ok(Self { start, size })
    }

    /// Gives up ownership.
    pub(super) fn into_raw(self) -> (*mut u8, usize) {
        let raw = (self.start.as_ptr(), self.size);
        core::mem::forget(self);
        raw
    }

    /// # Safety
    ///
    /// `start` and `size` came from [`into_raw`](Self::into_raw), nobody else owns the block, and nothing refers to it.
    pub(super) unsafe fn from_raw(start: *mut u8, size: usize) -> Self {
        // SAFETY: a block's start is not null.
        let start = unsafe { NonNull::new_unchecked(start) };
        Self { start, size }
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        if self.size != 0 {
            let layout = Self::layout(self.size).expect("the block exists");
            // SAFETY: `heap::allocate` gave it with this layout, and the block owns it.
            unsafe { heap::free(self.start, layout) }
        }
    }
}

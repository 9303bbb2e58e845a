//! Big chunks: mappings for one block each, kept for the next block of about their size.

use core::ptr::NonNull;
use std::alloc::Layout;

use crate::allocators::chunk::Chunk;
use crate::allocators::layout;
use crate::allocators::os;
use crate::diagnostics;

/// The mapping of one big chunk.
pub(super) struct Big {
    pub(super) start: NonNull<u8>,
    pub(super) mapping: Layout,
    /// Where its block starts; the block may be as large as the rest of the mapping.
    pub(super) offset: usize,
    pub(super) free: bool,
    /// The first chunk of the guard that took it last; null if a lease did.
    pub(super) owner: *mut Chunk,
    /// Used since the arena was last looked over.
    pub(super) used: bool,
    /// Does not count against the arena's limit.
    pub(super) promoted: bool,
}

impl Big {
    /// Whether it can be taken.
    ///
    /// A guard does not say that it gives a big chunk back: its first chunk leads to it for as long as the guard is open,
    /// and not after (to nothing, or to a standard chunk).
    pub(super) fn is_free(&self) -> bool {
        if self.owner.is_null() {
            return self.free;
        }
        // SAFETY: standard chunks are unmapped only after every big chunk has forgotten its owner.
        unsafe {
            let mut big = Chunk::next_big(self.owner);
            while !big.is_null() {
                if big == self.header() {
                    return false;
                }
                big = Chunk::next_big(big);
            }
        }
        true
    }

    pub(super) fn capacity(&self) -> usize {
        self.mapping.size() - self.offset
    }

    pub(super) fn block(&self) -> usize {
        self.start.as_ptr() as usize + self.offset
    }

    pub(super) fn header(&self) -> *mut Chunk {
        if layout::header_is_adjacent(self.offset) {
            (self.block() - layout::HEADER) as *mut Chunk
        } else {
            self.start.as_ptr().cast()
        }
    }

    /// # Safety
    ///
    /// Nothing refers to the chunk any more.
    pub(super) unsafe fn unmap(&self) {
        // SAFETY: mapped with this layout; the caller's contract.
        unsafe { os::unmap(self.start, self.mapping) }
    }
}

/// The mapping of a big chunk.
pub(super) fn big_of(bigs: &mut [Big], chunk: *mut Chunk) -> &mut Big {
    bigs.iter_mut()
        .find(|big| big.header() == chunk)
        .unwrap_or_else(|| diagnostics::bug("an arena does not know its big chunk"))
}

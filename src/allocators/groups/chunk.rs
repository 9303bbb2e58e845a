//! The memory of a group.
//!
//! ```text
//!  +--------+--------------+---------+-----------------------+
//!  | header | value, value, ...      | room                  |
//!  +--------+------------------------+-----------------------+
//!           ^ multiple of the chunk's alignment
//! ```
//!
//! The header counts who holds the chunk: the group itself while it lives, and later each value that was borrowed when the
//! group was freed. Who lets go last frees it.

use core::alloc::Layout;
use core::ptr::NonNull;
use core::sync::atomic::{
    AtomicUsize, Ordering::Acquire, Ordering::Relaxed, Ordering::Release, fence,
};

use crate::allocators::heap;
use crate::allocators::layout::{MIN_ALIGN, footprint, round_up};
use crate::allocators::payer::Payer;
use crate::diagnostics;
use crate::error::{AllocError, AllocErrorKind};

/// Bytes of a group's first chunk; each further one is twice as large.
pub(super) const SMALLEST: usize = 4 << 10;
/// Bytes of a group's largest chunks.
pub(super) const LARGEST: usize = 256 << 10;

struct Header {
    layout: Layout,
    held: AtomicUsize,
}

/// The shape of a chunk with room for a block: its layout, and where the block would lie.
fn chunk_for(block: Layout, at_least: usize) -> Option<(Layout, usize)> {
    let align = block.align().max(align_of::<Header>()).max(MIN_ALIGN);
    let offset = round_up(size_of::<Header>(), align);
    // The footprint of a size near the largest one wraps, and is no multiple of anything then.
    let size = offset.checked_add(footprint(block.size()).max(block.size()))?;
    Some((
        Layout::from_size_align(size.max(at_least), align).ok()?,
        offset,
    ))
}

/// A chunk that somebody holds.
#[derive(Clone, Copy)]
pub(super) struct Chunk(NonNull<Header>);

// SAFETY: what is shared of the header is atomic.
unsafe impl Send for Chunk {}

/// A chunk that nobody knows of yet, or room in one.
pub(super) struct Fresh {
    pub(super) chunk: Chunk,
    /// Where the first value may lie.
    pub(super) first: NonNull<u8>,
    pub(super) limit: usize,
    pub(super) size: usize,
}

impl Chunk {
    /// A chunk with room for a block, of at least so many bytes, held once.
    pub(super) fn allocate(
        block: Layout,
        at_least: usize,
        payer: &Payer,
    ) -> Result<Fresh, AllocError> {
        let Some((layout, offset)) = chunk_for(block, at_least) else {
            let error = AllocError::new(AllocErrorKind::CapacityOverflow, block, 0);
            return Err(diagnostics::refused(error));
        };
        let start = heap::allocate(layout, payer)?;
        // SAFETY: the chunk begins with room for a header, and `offset` lies inside or at its end.
        unsafe {
            start.cast::<Header>().write(Header {
                layout,
                held: AtomicUsize::new(1),
            });
            Ok(Fresh {
                chunk: Self(start.cast()),
                first: start.add(offset),
                limit: start.addr().get() + layout.size(),
                size: layout.size(),
            })
        }
    }

    /// Holds the chunk once more.
    ///
    /// # Safety
    ///
    /// The caller knows that somebody holds it meanwhile.
    pub(super) unsafe fn hold(self) {
        // SAFETY: the header lives while the chunk is held.
        unsafe { self.0.as_ref() }.held.fetch_add(1, Relaxed);
    }

    /// Lets go of the chunk.
    ///
    /// # Safety
    ///
    /// The caller holds it, and uses nothing in it any more.
    pub(super) unsafe fn release(self) {
        // SAFETY: as above; who lets go last is alone with the chunk.
        unsafe {
            if self.0.as_ref().held.fetch_sub(1, Release) == 1 {
                fence(Acquire);
                let layout = self.0.as_ref().layout;
                heap::free(self.0.cast(), layout);
            }
        }
    }
}

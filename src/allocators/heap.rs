//! The heap path: blocks of the global allocator, charged to the tag that asked for them.
//!
//! ```text
//!  +------------------ prefix ------------------+-------------+
//!  | (alignment's remainder)              | tag | block       |
//!  +--------------------------------------------+-------------+
//!                                               ^ multiple of the layout's alignment
//! ```

use core::alloc::Layout;
use core::marker::PhantomData;
use core::ptr::{self, NonNull};
use std::alloc;

use super::boxes::{fillable, forward_to_value, sendable_box};
use super::os;
use super::payer::Payer;
use super::record::LIMBO;
use super::thread::local;
use crate::diagnostics;
use crate::error::{AllocError, AllocErrorKind};

/// The layout with room for the tag, and the bytes before the block.
#[inline(always)]
const fn with_prefix(layout: Layout) -> Option<(Layout, usize)> {
    match Layout::new::<u32>().extend(layout) {
        Ok(whole) => Some(whole),
        Err(_) => None,
    }
}

/// A block of the global allocator. `layout` is not empty; known when compiled, it costs nothing to compute with.
#[inline]
pub(crate) fn allocate(layout: Layout, _payer: &Payer) -> Result<NonNull<u8>, AllocError> {
    let Some((whole, prefix)) = with_prefix(layout) else {
        return Err(refused(AllocErrorKind::CapacityOverflow, layout));
    };
    // SAFETY: the size is not zero.
    let Some(start) = NonNull::new(unsafe { alloc::alloc(whole) }) else {
        return Err(refused(AllocErrorKind::OutOfMemory, layout));
    };
    let tag = local(|local| {
        let tag = local.tag.get();
        match local.counters_of(tag) {
            Some(counters) => counters.heap.allocated(layout.size()),
            None => {
                LIMBO.counters(tag).heap.allocated_shared(layout.size());
                diagnostics::thread_state_missing("heap memory");
            }
        }
        tag
    });
    // SAFETY: the prefix lies before the block, inside the allocation, and ends with room for a tag.
    unsafe {
        let block = start.add(prefix);
        block.cast::<u32>().sub(1).write_unaligned(tag);
        Ok(block)
    }
}

#[cold]
#[inline(never)]
fn refused(kind: AllocErrorKind, layout: Layout) -> AllocError {
    diagnostics::refused(AllocError::new(kind, layout, 0))
}

/// Frees a block.
///
/// # Safety
///
/// `block` came from [`allocate`] with this layout, and is not used any more.
#[inline]
pub(crate) unsafe fn free(block: NonNull<u8>, layout: Layout) {
    let (whole, prefix) = with_prefix(layout)
        .unwrap_or_else(|| diagnostics::bug("a block has a layout that cannot be allocated"));
    // SAFETY: see `allocate`.
    let tag = unsafe { block.cast::<u32>().sub(1).read_unaligned() };
    local(|local| match local.counters_of(tag) {
        Some(counters) => counters.heap.freed(layout.size()),
        None => LIMBO.counters(tag).heap.freed_shared(layout.size()),
    });
    // SAFETY: the caller's contract.
    unsafe {
        if os::POISONS {
            ptr::write_bytes(block.as_ptr(), os::POISON, layout.size());
        }
        alloc::dealloc(block.sub(prefix).as_ptr(), whole);
    }
}

/// An owned value on the heap, counted for the tag that was current when it was made.
///
/// ```
/// use framealloc::SmartAlloc;
///
/// let alloc = SmartAlloc::with_defaults();
/// let map = alloc.heap_alloc::<[u8; 1 << 20]>().zeroed();
/// assert_eq!(map[1 << 19], 0);
/// ```
pub struct HeapBox<T> {
    value: NonNull<T>,
    _owned: PhantomData<T>,
}

impl<T> HeapBox<T> {
    fn take_block() -> Result<NonNull<T>, AllocError> {
        Ok(allocate(Layout::new::<T>(), &Payer)?.cast())
    }

    /// # Safety
    ///
    /// `block` came from [`take_block`](Self::take_block), and is not used any more.
    unsafe fn free_block(block: NonNull<T>) {
        // SAFETY: the caller's contract.
        unsafe { free(block.cast(), Layout::new::<T>()) }
    }
}

sendable_box!(HeapBox);

//! Leases as the allocators of a vector and of a table.

use core::alloc::Layout;
use core::cell::Cell;
use core::marker::PhantomData;
use core::ptr::NonNull;

use allocator_api2::vec::Vec;

use crate::allocators::chunk;
use crate::allocators::domain::Domain;
use crate::allocators::lease::{self, FrameSlice};
use crate::allocators::one_thread::{CrossesThreads, FrameMemory};
use crate::allocators::traits::{Blocks, implement_allocator};
use crate::diagnostics;
use crate::error::AllocError;

/// Takes leases back and makes none: what it is the allocator of has a capacity for life.
///
/// Never handed out, so that what it gives back is what [`vec_with_capacity`] or a [`FrameSlice`] leased.
pub(crate) struct Leased<'a> {
    /// Borrows a handle of the domain (I1). The raw pointer keeps it on its thread (I2).
    _lease: PhantomData<(&'a Domain, *const ())>,
}

impl Leased<'_> {
    fn new() -> Self {
        Self {
            _lease: PhantomData,
        }
    }
}

// SAFETY: shared access to a collection is shared access to its values, and touches no arena.
unsafe impl Sync for Leased<'_> {}
// SAFETY: the condition never holds: this implements nothing.
unsafe impl<'a> Send for Leased<'a> where FrameMemory<'a>: CrossesThreads {}

// SAFETY: a leased block stays (I1), and the domain is borrowed.
unsafe impl Blocks for Leased<'_> {
    fn allocate(&self, _: Layout) -> Option<NonNull<u8>> {
        None
    }

    #[inline(always)]
    unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: the caller holds the lease, and gives it up; a vector has no empty blocks.
        unsafe { chunk::end_lease(block.as_ptr() as usize, layout.size(), layout.align()) }
    }

    unsafe fn grow(&self, _: NonNull<u8>, _: Layout, _: Layout) -> Option<NonNull<u8>> {
        None
    }

    unsafe fn shrink(&self, _: NonNull<u8>, _: Layout, _: Layout) -> Option<NonNull<u8>> {
        None
    }
}

implement_allocator!(Leased<'_>);

/// An empty vector with room for exactly `capacity` values in this thread's open frame; for nothing, it touches no arena.
#[inline]
pub(crate) fn vec_with_capacity<T>(
    domain: &Domain,
    capacity: usize,
) -> Result<Vec<T, Leased<'_>>, AllocError> {
    let Ok(layout) = Layout::array::<T>(capacity) else {
        return Err(diagnostics::refused(AllocError::overflow::<T>(capacity)));
    };
    let start = if layout.size() == 0 {
        NonNull::dangling()
    } else {
        domain.lease(layout)?.cast::<T>()
    };
    // SAFETY: leased for so many values, or there is nothing to lease.
    Ok(unsafe { Vec::from_raw_parts_in(start.as_ptr(), 0, capacity, Leased::new()) })
}

/// The vector that a slice is, full to the last.
pub(crate) fn vec_from_slice<T>(slice: FrameSlice<'_, T>) -> Vec<T, Leased<'_>> {
    let len = slice.len();
    let start = slice.into_raw().cast::<T>();
    // SAFETY: the slice's lease, passed on: an empty slice has none, nor has an empty vector.
    unsafe { Vec::from_raw_parts_in(start, len, len, Leased::new()) }
}

/// A vector's values as a slice. Room that it does not need is given back.
pub(crate) fn into_slice<'a, T>(vec: Vec<T, Leased<'a>>) -> FrameSlice<'a, T> {
    let (start, len, capacity, _) = vec.into_raw_parts_with_alloc();
    // SAFETY: a vector's pointer is not null; its lease is passed on, cut down to the slice that it is of from now on.
    unsafe {
        let start = NonNull::new_unchecked(start);
        let kept = len * size_of::<T>();
        match Layout::array::<T>(capacity) {
            Ok(layout) if kept < layout.size() && kept == 0 => {
                // Where it is the last block, its room is there again at once.
                let least = Layout::from_size_align_unchecked(1, layout.align());
                lease::shrink(start.cast(), layout, least.size());
                Leased::new().deallocate(start.cast(), least);
            }
            Ok(layout) if kept < layout.size() => lease::shrink(start.cast(), layout, kept),
            _ => {}
        }
        FrameSlice::from_block(NonNull::slice_from_raw_parts(start, len))
    }
}

/// Appends copies of `values` to a vector that has room for them.
///
/// # Panics
///
/// If it has not.
#[inline]
pub(crate) fn extend_copy<T: Copy>(vec: &mut Vec<T, Leased<'_>>, values: &[T]) {
    vec.spare_capacity_mut()[..values.len()].write_copy_of_slice(values);
    let len = vec.len() + values.len();
    // SAFETY: just written.
    unsafe { vec.set_len(len) }
}

/// The allocator of a table that is made at its full size.
pub(crate) struct IndexMemory<'a> {
    domain: &'a Domain,
    /// Blocks belong to the thread's arena (I2).
    _here: PhantomData<*const ()>,
}

impl<'a> IndexMemory<'a> {
    pub(crate) fn new(domain: &'a Domain) -> Self {
        Self {
            domain,
            _here: PhantomData,
        }
    }

    /// Why a block was refused just now.
    pub(crate) fn refusal() -> Option<AllocError> {
        REFUSAL.take()
    }
}

thread_local! {
    /// The error that the last table on this thread was refused its memory with: `Allocator` has no room for it.
    static REFUSAL: Cell<Option<AllocError>> = const { Cell::new(None) };
}

// SAFETY: shared access to a table is shared access to what it holds, and touches no arena.
unsafe impl Sync for IndexMemory<'_> {}
// SAFETY: the condition never holds: this implements nothing.
unsafe impl<'a> Send for IndexMemory<'a> where FrameMemory<'a>: CrossesThreads {}

// SAFETY: a leased block stays (I1), and the domain is borrowed.
unsafe impl Blocks for IndexMemory<'_> {
    fn allocate(&self, layout: Layout) -> Option<NonNull<u8>> {
        let block = self.domain.lease(layout);
        block.map_err(|error| REFUSAL.set(Some(error))).ok()
    }

    #[inline]
    unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: the caller holds the lease, and gives it up; a table has no empty blocks.
        unsafe { chunk::end_lease(block.as_ptr() as usize, layout.size(), layout.align()) }
    }

    unsafe fn grow(&self, block: NonNull<u8>, old: Layout, new: Layout) -> Option<NonNull<u8>> {
        // SAFETY: the caller's contract.
        unsafe { self.replace(block, old, new) }
    }

    unsafe fn shrink(&self, block: NonNull<u8>, old: Layout, new: Layout) -> Option<NonNull<u8>> {
        // SAFETY: the caller's contract.
        unsafe { self.replace(block, old, new) }
    }
}

implement_allocator!(IndexMemory<'_>);

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
use core::mem::{self, MaybeUninit};
use core::ops::{Deref, DerefMut};
use core::ptr::{self, NonNull};
use std::alloc;

use super::forward::{fillable, forward_to_value};
use super::os;
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
pub(crate) fn allocate(layout: Layout) -> Result<NonNull<u8>, AllocError> {
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
            None => LIMBO.counters(tag).heap.allocated_shared(layout.size()),
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
    let (whole, prefix) = with_prefix(layout).expect("the layout was computed before");
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

// SAFETY: the box owns its value like `Box` does.
unsafe impl<T: Send> Send for HeapBox<T> {}
// SAFETY: as above.
unsafe impl<T: Sync> Sync for HeapBox<T> {}

impl<T> HeapBox<T> {
    pub(crate) fn uninit() -> Result<HeapBox<MaybeUninit<T>>, AllocError> {
        let value = if size_of::<T>() == 0 {
            NonNull::dangling()
        } else {
            allocate(Layout::new::<T>())?.cast()
        };
        // SAFETY: just allocated.
        Ok(unsafe { HeapBox::from_block(value) })
    }

    pub(crate) fn new(value: T) -> Result<Self, AllocError> {
        Ok(Self::uninit()?.write(value))
    }

    /// # Safety
    ///
    /// `value` is a block that was allocated as [`uninit`](Self::uninit) does, and that nobody else owns.
    unsafe fn from_block(value: NonNull<T>) -> Self {
        Self {
            value,
            _owned: PhantomData,
        }
    }

    /// Gives up ownership: the value is never dropped or freed.
    pub fn leak<'a>(self) -> &'a mut T
    where
        T: 'a,
    {
        // SAFETY: the block is never freed, and nobody else refers to it.
        unsafe { &mut *self.into_raw() }
    }

    /// The value's address.
    pub fn as_ptr(&self) -> *const T {
        self.value.as_ptr()
    }

    /// The value's address.
    pub fn as_mut_ptr(&mut self) -> *mut T {
        self.value.as_ptr()
    }

    /// Gives up ownership, as [`leak`](Self::leak) does.
    pub fn into_raw(self) -> *mut T {
        let value = self.value.as_ptr();
        mem::forget(self);
        value
    }
}

impl<T> Drop for HeapBox<T> {
    fn drop(&mut self) {
        // The value goes first and its block last, on unwinding too.
        struct Free<T>(NonNull<T>);
        impl<T> Drop for Free<T> {
            fn drop(&mut self) {
                if size_of::<T>() != 0 {
                    // SAFETY: allocated with this layout by the box being dropped.
                    unsafe { free(self.0.cast(), Layout::new::<T>()) }
                }
            }
        }
        let _free = Free(self.value);
        // SAFETY: the box owns the value, which is dropped once, here.
        unsafe { ptr::drop_in_place(self.value.as_ptr()) }
    }
}

impl<T> Deref for HeapBox<T> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        // SAFETY: the box owns the value.
        unsafe { self.value.as_ref() }
    }
}

impl<T> DerefMut for HeapBox<T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the box owns the value and is borrowed exclusively.
        unsafe { self.value.as_mut() }
    }
}

forward_to_value!(HeapBox<T>);
fillable!(HeapBox<T>);

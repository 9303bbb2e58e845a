//! Pools: small values of any lifetime, freed from any thread.

mod batch;
pub(crate) mod class;
pub(crate) mod heap;
pub(crate) mod remote;

/// What [`remote`] is built from; the model checker puts its own in this place.
mod atomics {
    pub(crate) use core::sync::atomic::{AtomicPtr, Ordering};

    /// The link of a free block.
    #[repr(transparent)]
    pub(crate) struct Link<T>(core::cell::UnsafeCell<T>);

    impl<T: Copy> Link<T> {
        /// # Safety
        ///
        /// The caller owns the block.
        #[inline(always)]
        pub(crate) unsafe fn read(&self) -> T {
            // SAFETY: the caller's contract.
            unsafe { *self.0.get() }
        }

        /// # Safety
        ///
        /// The caller owns the block.
        #[inline(always)]
        pub(crate) unsafe fn write(&self, value: T) {
            // SAFETY: the caller's contract.
            unsafe { *self.0.get() = value }
        }
    }
}

use core::alloc::Layout;
use core::marker::PhantomData;
use core::mem::{self, MaybeUninit};
use core::ops::{Deref, DerefMut};
use core::ptr::{self, NonNull};

use super::forward::{fillable, forward_to_value};
use super::heap as large;
use super::record::for_each_record;
use crate::diagnostics;
use crate::error::{AllocError, AllocErrorKind};
use crate::stats::AllocStats;
use class::class_of;

impl remote::RemoteList {
    const fn new() -> Self {
        Self {
            head: atomics::AtomicPtr::new(ptr::null_mut()),
        }
    }
}

/// An owned value in a pool: one word, freed on any thread.
///
/// Values of up to 4 KiB come from size classes of the calling thread, without locks or atomics; larger ones go to the
/// heap, with the same interface. The value's destructor runs and its memory is free when the box drops.
///
/// ```
/// use framealloc::SmartAlloc;
///
/// let alloc = SmartAlloc::with_defaults();
/// let unit = alloc.pool_box(String::from("scout"))?;
/// std::thread::spawn(move || assert_eq!(*unit, "scout")).join().unwrap();
/// # Ok::<(), framealloc::AllocError>(())
/// ```
pub struct PoolBox<T> {
    value: NonNull<T>,
    _owned: PhantomData<T>,
}

// SAFETY: the box owns its value like `Box` does; freeing it on another thread is what the remote lists are for.
unsafe impl<T: Send> Send for PoolBox<T> {}
// SAFETY: as above.
unsafe impl<T: Sync> Sync for PoolBox<T> {}

impl<T> PoolBox<T> {
    #[inline(always)]
    pub(crate) fn uninit() -> Result<PoolBox<MaybeUninit<T>>, AllocError> {
        let value = if size_of::<T>() == 0 {
            NonNull::dangling()
        } else {
            match const { class_of(Layout::new::<T>()) } {
                Some(class) => match heap::allocate(class) {
                    Some(block) => block.cast(),
                    None => return Err(out_of_memory(Layout::new::<T>())),
                },
                None => large::allocate(Layout::new::<T>())?.cast(),
            }
        };
        // SAFETY: just allocated.
        Ok(unsafe { PoolBox::from_block(value) })
    }

    #[inline(always)]
    pub(crate) fn new(value: T) -> Result<Self, AllocError> {
        Ok(Self::uninit()?.write(value))
    }

    /// # Safety
    ///
    /// `value` is a block that was allocated as [`uninit`](Self::uninit) does, and that nobody else owns.
    #[inline(always)]
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
        let mut value = self.value;
        mem::forget(self);
        // SAFETY: the block is never freed, and nobody else refers to it.
        unsafe { value.as_mut() }
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

#[cold]
#[inline(never)]
fn out_of_memory(layout: Layout) -> AllocError {
    diagnostics::refused(AllocError::new(AllocErrorKind::OutOfMemory, layout, 0))
}

impl<T> Drop for PoolBox<T> {
    #[inline(always)]
    fn drop(&mut self) {
        // The value goes first and its block last, on unwinding too.
        struct Free<T>(NonNull<T>);
        impl<T> Drop for Free<T> {
            #[inline(always)]
            fn drop(&mut self) {
                if size_of::<T>() == 0 {
                    return;
                }
                // SAFETY: the block was allocated for this type, the same way, by the box being dropped.
                unsafe {
                    match const { class_of(Layout::new::<T>()) } {
                        Some(class) => heap::free(self.0.cast(), class),
                        None => large::free(self.0.cast(), Layout::new::<T>()),
                    }
                }
            }
        }
        let _free = Free(self.value);
        // SAFETY: the box owns the value, which is dropped once, here.
        unsafe { ptr::drop_in_place(self.value.as_ptr()) }
    }
}

impl<T> Deref for PoolBox<T> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        // SAFETY: the box owns the value.
        unsafe { self.value.as_ref() }
    }
}

impl<T> DerefMut for PoolBox<T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the box owns the value and is borrowed exclusively.
        unsafe { self.value.as_mut() }
    }
}

forward_to_value!(PoolBox<T>);
fillable!(PoolBox<T>);

/// The pools' part of the totals, over all threads.
pub(crate) fn stats() -> AllocStats {
    let mut stats = AllocStats::default();
    let mut live = 0u64;
    for_each_record(|record| {
        stats.pool_reserved += record.pool.page_bytes() as usize;
        for class in 0..class::CLASSES {
            let (allocs, frees) = record.pool.traffic(class);
            stats.allocation_count += allocs;
            stats.deallocation_count += frees;
            live = live.wrapping_add(
                allocs
                    .wrapping_sub(frees)
                    .wrapping_mul(class::class_size(class) as u64),
            );
        }
    });
    stats.pool_allocated = live as usize;
    stats
}

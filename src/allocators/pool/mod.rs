//! Pools: small values of any lifetime, freed from any thread.

mod batch;
mod charged;
pub(crate) mod class;
pub(crate) mod deferred;
pub(crate) mod heap;
mod page;
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
use core::ptr::{self, NonNull};

use super::boxes::{fillable, forward_to_value, sendable_box};
use super::heap as large;
use super::payer::Payer;
use super::record::for_each_record;
use crate::error::AllocError;
use crate::stats::{AllocStats, PoolClassStats};
use class::class_of;
pub(crate) use heap::Lists;

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

/// Where pool boxes are made: which lists, and who pays.
pub(crate) type Source<'a> = (Lists, &'a Payer);

impl<T> PoolBox<T> {
    #[inline(always)]
    fn take_block((lists, payer): Source<'_>) -> Result<NonNull<T>, AllocError> {
        let layout = Layout::new::<T>();
        let block = match const { class_of(Layout::new::<T>()) } {
            Some(class) => heap::allocate(class, layout, lists, payer),
            None => large::allocate(layout, payer),
        };
        Ok(block?.cast())
    }

    /// # Safety
    ///
    /// `block` came from [`take_block`](Self::take_block), and is not used any more.
    #[inline(always)]
    unsafe fn free_block(block: NonNull<T>) {
        // SAFETY: the caller's contract; which way it came is known from its type.
        unsafe {
            match const { class_of(Layout::new::<T>()) } {
                Some(class) => heap::free(block.cast(), class),
                None => large::free(block.cast(), Layout::new::<T>()),
            }
        }
    }
}

sendable_box!(PoolBox, Source<'_>);

/// The pools' part of the totals, over all threads.
pub(crate) fn stats() -> AllocStats {
    let mut stats = AllocStats::default();
    let mut live = 0i64;
    for_each_record(|record| {
        for heap in [&record.pool, &record.charged] {
            stats.pool_reserved += heap.page_bytes() as usize;
            for class in 0..class::CLASSES {
                let (allocs, frees) = heap.traffic(class);
                stats.allocation_count += allocs;
                stats.deallocation_count += frees;
            }
            live += heap.live_bytes();
        }
    });
    stats.pool_allocated = live.max(0) as usize;
    stats
}

/// Each size class that was ever used, over all threads, the smallest first.
pub(crate) fn classes() -> Vec<PoolClassStats> {
    let mut classes = [PoolClassStats::default(); class::CLASSES];
    for_each_record(|record| {
        for heap in [&record.pool, &record.charged] {
            for (class, stats) in classes.iter_mut().enumerate() {
                let (allocs, frees) = heap.traffic(class);
                stats.allocs += allocs;
                stats.frees += frees;
                let pages = heap.pages(class) as usize;
                stats.reserved += pages * class::PAGE;
                stats.blocks += pages as u64 * class::blocks_per_page(class) as u64;
            }
        }
    });
    let sized = classes.into_iter().enumerate().map(|(class, stats)| {
        let block_size = class::class_size(class);
        PoolClassStats {
            block_size,
            ..stats
        }
    });
    sized.filter(|stats| stats.reserved != 0).collect()
}

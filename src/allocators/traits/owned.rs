//! Pools and heap as allocators.

use core::alloc::Layout;
use core::ptr::NonNull;

use super::{Blocks, empty_block, implement_allocator};
use crate::allocators::heap;
use crate::allocators::payer::Payer;
use crate::allocators::pool::{self, Lists};
#[cfg(feature = "debug")]
use crate::behavior::AllocKind;

/// Pools for any collection that takes an allocator: blocks of up to 4 KiB come from the calling thread's size classes, larger
/// ones from the heap. Of any lifetime, and freed on any thread.
///
/// For collections of small blocks: tree nodes, boxes, short vectors. With the feature `debug`, a block that unsafe code gives back
/// twice, or otherwise than it got it, is reported (FA904) and left as it is.
///
/// ```
/// use allocator_api2::vec::Vec;
/// use framealloc::PoolAllocator;
///
/// let mut orders = Vec::new_in(PoolAllocator::new());
/// orders.push("hold");
/// std::thread::spawn(move || assert_eq!(orders, ["hold"])).join().unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct PoolAllocator {
    lists: Lists,
    payer: Payer,
}

/// The heap for any collection that takes an allocator, counted for the tag that is current when a block is allocated. The feature
/// `debug` checks frees as those of a [`PoolAllocator`].
///
/// ```
/// use allocator_api2::vec::Vec;
/// use framealloc::{HeapAllocator, SmartAlloc, tags::{TagId, TagTotals}};
///
/// let alloc = SmartAlloc::with_defaults();
/// let chunk = alloc.with_tag("terrain", |alloc| {
///     let mut heights = Vec::with_capacity_in(1024, alloc.heap_allocator());
///     heights.resize(1024, 0.0f32);
///     heights
/// });
/// let terrain = TagId::from_path("terrain");
/// assert_eq!(TagTotals::capture().of(terrain).heap.live_bytes(), 4096);
/// # drop(chunk);
/// ```
#[derive(Clone, Debug, Default)]
pub struct HeapAllocator {
    payer: Payer,
}

impl PoolAllocator {
    /// Pools whose blocks are charged to no tag, and count against the budgets of no `SmartAlloc`:
    /// [`SmartAlloc::pool_allocator`](crate::SmartAlloc::pool_allocator) has one's.
    pub fn new() -> Self {
        Self {
            lists: Lists::FREE,
            payer: Payer::default(),
        }
    }

    pub(crate) fn of((lists, payer): pool::Source<'_>) -> Self {
        Self {
            lists,
            payer: payer.clone(),
        }
    }
}

impl Default for PoolAllocator {
    fn default() -> Self {
        Self::new()
    }
}

impl HeapAllocator {
    /// The heap, for blocks that count against the budgets of no `SmartAlloc`:
    /// [`SmartAlloc::heap_allocator`](crate::SmartAlloc::heap_allocator) has one's.
    pub fn new() -> Self {
        Self::default()
    }

    pub(crate) fn of(payer: &Payer) -> Self {
        Self {
            payer: payer.clone(),
        }
    }
}

/// The size class of a block, if it is pooled. An empty one is not.
#[inline(always)]
fn class_of(layout: Layout) -> Option<usize> {
    if layout.size() == 0 {
        return None;
    }
    pool::class::class_of(layout)
}

// SAFETY: blocks of pools and heap stay until they are given back, whoever does that, on whatever thread (I5). Which of both a
// block is of follows from its layout.
unsafe impl Blocks for PoolAllocator {
    #[cfg(feature = "debug")]
    const KIND: Option<AllocKind> = Some(AllocKind::Pool);

    #[inline]
    fn allocate(&self, layout: Layout) -> Option<NonNull<u8>> {
        match class_of(layout) {
            Some(class) => pool::heap::allocate(class, layout, self.lists, &self.payer).ok(),
            None => allocate_large(layout, &self.payer),
        }
    }

    #[inline]
    unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: the caller's contract.
        unsafe {
            match class_of(layout) {
                Some(class) => pool::heap::free(block, class),
                None => free_large(block, layout),
            }
        }
    }

    unsafe fn grow(&self, block: NonNull<u8>, old: Layout, new: Layout) -> Option<NonNull<u8>> {
        // SAFETY: the caller's contract.
        unsafe { self.resize(block, old, new) }
    }

    unsafe fn shrink(&self, block: NonNull<u8>, old: Layout, new: Layout) -> Option<NonNull<u8>> {
        // SAFETY: the caller's contract.
        unsafe { self.resize(block, old, new) }
    }
}

impl PoolAllocator {
    /// # Safety
    ///
    /// The block is the caller's, of the old layout, and not used any more if another one is returned.
    unsafe fn resize(&self, block: NonNull<u8>, old: Layout, new: Layout) -> Option<NonNull<u8>> {
        // A class suits every layout that it is the class of, so within one there is nothing to do.
        if class_of(old).is_some() && class_of(old) == class_of(new) {
            return Some(block);
        }
        // SAFETY: the caller's contract.
        unsafe { self.replace(block, old, new) }
    }
}

// SAFETY: blocks of the heap stay until they are given back, whoever does that, on whatever thread.
unsafe impl Blocks for HeapAllocator {
    #[cfg(feature = "debug")]
    const KIND: Option<AllocKind> = Some(AllocKind::Heap);

    fn allocate(&self, layout: Layout) -> Option<NonNull<u8>> {
        allocate_large(layout, &self.payer)
    }

    unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: the caller's contract.
        unsafe { free_large(block, layout) }
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

fn allocate_large(layout: Layout, payer: &Payer) -> Option<NonNull<u8>> {
    if layout.size() == 0 {
        return Some(empty_block(layout));
    }
    heap::allocate(layout, payer).ok()
}

/// # Safety
///
/// The block came from [`allocate_large`] with this layout, and is not used any more.
unsafe fn free_large(block: NonNull<u8>, layout: Layout) {
    if layout.size() != 0 {
        // SAFETY: the caller's contract.
        unsafe { heap::free(block, layout) }
    }
}

implement_allocator!(PoolAllocator);
implement_allocator!(HeapAllocator);

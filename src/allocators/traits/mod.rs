//! Frames, pools and heap as allocators of collections.
//!
//! There are three `Allocator` traits: allocator-api2's in two versions that collections speak, and the standard library's on
//! nightly compilers. All are implemented from one: [`Blocks`].

mod frame;
mod owned;

pub use frame::FrameAllocator;
pub use owned::{HeapAllocator, PoolAllocator};

use core::alloc::Layout;
use core::ptr::{self, NonNull};

/// What an allocator of collections does. Layouts may be empty; an empty block is an address and nothing else.
///
/// # Safety
///
/// What the `Allocator` traits ask for: a block stays where it is, and its bytes the caller's, until it is given back or the
/// allocator and all its clones are gone; any clone takes it back.
pub(crate) unsafe trait Blocks {
    /// A block of this layout, if there is memory for one.
    fn allocate(&self, layout: Layout) -> Option<NonNull<u8>>;

    /// Takes a block back.
    ///
    /// # Safety
    ///
    /// The block is the caller's, of this layout, and not used any more.
    unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout);

    /// A block of the new layout with the contents of the old one, which is given back; where there is no memory for one,
    /// nothing happens.
    ///
    /// # Safety
    ///
    /// The block is the caller's, of the old layout, and not used any more if another one is returned. The new layout is not
    /// smaller.
    unsafe fn grow(&self, block: NonNull<u8>, old: Layout, new: Layout) -> Option<NonNull<u8>>;

    /// As [`grow`](Self::grow); the contents are cut off.
    ///
    /// # Safety
    ///
    /// As for [`grow`](Self::grow), but that the new layout is not larger.
    unsafe fn shrink(&self, block: NonNull<u8>, old: Layout, new: Layout) -> Option<NonNull<u8>>;

    /// [`grow`](Self::grow) and [`shrink`](Self::shrink) by way of a fresh block.
    ///
    /// # Safety
    ///
    /// The block is the caller's, of the old layout, and not used any more if another one is returned.
    unsafe fn replace(&self, block: NonNull<u8>, old: Layout, new: Layout) -> Option<NonNull<u8>> {
        let fresh = self.allocate(new)?;
        // SAFETY: both blocks are live and hold so many bytes; they do not overlap. The caller gives the old one up.
        unsafe {
            let kept = old.size().min(new.size());
            ptr::copy_nonoverlapping(block.as_ptr(), fresh.as_ptr(), kept);
            self.deallocate(block, old);
        }
        Some(fresh)
    }
}

/// The block of an empty layout.
#[inline(always)]
pub(crate) fn empty_block(layout: Layout) -> NonNull<u8> {
    debug_assert!(layout.size() == 0);
    // SAFETY: alignments are not zero.
    unsafe { NonNull::new_unchecked(ptr::without_provenance_mut(layout.align())) }
}

/// Implements every `Allocator` trait that is to be had for a type that implements [`Blocks`].
macro_rules! implement_allocator {
    ($allocator:ty) => {
        implement_allocator!($allocator, allocator_api2);
        #[cfg(feature = "allocator-api2-04")]
        implement_allocator!($allocator, allocator_api2_04);
        #[cfg(feature = "nightly")]
        implement_allocator!($allocator, std);
    };
    ($allocator:ty, $library:ident) => {
        // SAFETY: the contract of `Blocks`.
        unsafe impl $library::alloc::Allocator for $allocator {
            #[inline(always)]
            fn allocate(
                &self,
                layout: core::alloc::Layout,
            ) -> Result<core::ptr::NonNull<[u8]>, $library::alloc::AllocError> {
                let block = $crate::allocators::traits::Blocks::allocate(self, layout);
                match block {
                    Some(block) => Ok(core::ptr::NonNull::slice_from_raw_parts(
                        block,
                        layout.size(),
                    )),
                    None => Err($library::alloc::AllocError),
                }
            }

            #[inline(always)]
            unsafe fn deallocate(
                &self,
                block: core::ptr::NonNull<u8>,
                layout: core::alloc::Layout,
            ) {
                // SAFETY: the caller's contract.
                unsafe { $crate::allocators::traits::Blocks::deallocate(self, block, layout) }
            }

            #[inline]
            unsafe fn grow(
                &self,
                block: core::ptr::NonNull<u8>,
                old: core::alloc::Layout,
                new: core::alloc::Layout,
            ) -> Result<core::ptr::NonNull<[u8]>, $library::alloc::AllocError> {
                // SAFETY: the caller's contract.
                let grown =
                    unsafe { $crate::allocators::traits::Blocks::grow(self, block, old, new) };
                match grown {
                    Some(block) => Ok(core::ptr::NonNull::slice_from_raw_parts(block, new.size())),
                    None => Err($library::alloc::AllocError),
                }
            }

            #[inline]
            unsafe fn grow_zeroed(
                &self,
                block: core::ptr::NonNull<u8>,
                old: core::alloc::Layout,
                new: core::alloc::Layout,
            ) -> Result<core::ptr::NonNull<[u8]>, $library::alloc::AllocError> {
                // SAFETY: the caller's contract; what is filled is the block's new end.
                unsafe {
                    let grown = $library::alloc::Allocator::grow(self, block, old, new)?;
                    grown
                        .cast::<u8>()
                        .add(old.size())
                        .write_bytes(0, new.size() - old.size());
                    Ok(grown)
                }
            }

            #[inline]
            unsafe fn shrink(
                &self,
                block: core::ptr::NonNull<u8>,
                old: core::alloc::Layout,
                new: core::alloc::Layout,
            ) -> Result<core::ptr::NonNull<[u8]>, $library::alloc::AllocError> {
                // SAFETY: the caller's contract.
                let shrunk =
                    unsafe { $crate::allocators::traits::Blocks::shrink(self, block, old, new) };
                match shrunk {
                    Some(block) => Ok(core::ptr::NonNull::slice_from_raw_parts(block, new.size())),
                    None => Err($library::alloc::AllocError),
                }
            }
        }
    };
}

pub(crate) use implement_allocator;

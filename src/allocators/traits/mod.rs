//! Frames, pools and heap as allocators of collections.
//!
//! There are three `Allocator` traits: allocator-api2's in two versions that collections speak, and the standard library's on
//! nightly compilers. All are implemented from one: [`Blocks`].

#[cfg(feature = "debug")]
mod checked;
mod frame;
mod owned;

pub use frame::FrameAllocator;
pub use owned::{HeapAllocator, PoolAllocator};

use core::alloc::Layout;
use core::ptr::{self, NonNull};

#[cfg(feature = "debug")]
use crate::behavior::AllocKind;

/// What an allocator of collections does. Layouts may be empty; an empty block is an address and nothing else.
///
/// # Safety
///
/// What the `Allocator` traits ask for: a block stays where it is, and its bytes the caller's, until it is given back or the
/// allocator and all its clones are gone; any clone takes it back.
pub(crate) unsafe trait Blocks: Sized {
    /// What kind of memory it is, if each block comes and goes through the `Allocator` traits: see [`checked`].
    #[cfg(feature = "debug")]
    const KIND: Option<AllocKind> = None;

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

/// [`Blocks::allocate`], of what is checked.
#[inline(always)]
pub(crate) fn allocate<B: Blocks>(blocks: &B, layout: Layout) -> Option<NonNull<u8>> {
    let block = blocks.allocate(layout);
    #[cfg(feature = "debug")]
    if let (Some(block), Some(kind)) = (block, B::KIND) {
        checked::handed_out(block, layout, kind);
    }
    block
}

/// [`Blocks::deallocate`], of what is checked.
///
/// # Safety
///
/// As for that.
#[inline(always)]
pub(crate) unsafe fn deallocate<B: Blocks>(blocks: &B, block: NonNull<u8>, layout: Layout) {
    #[cfg(feature = "debug")]
    if B::KIND.is_some_and(|kind| !checked::may_be_freed(block, layout, kind)) {
        return;
    }
    // SAFETY: the caller's contract.
    unsafe { blocks.deallocate(block, layout) }
}

/// [`Blocks::grow`], of what is checked.
///
/// # Safety
///
/// As for that.
#[inline(always)]
pub(crate) unsafe fn grow<B: Blocks>(
    blocks: &B,
    block: NonNull<u8>,
    old: Layout,
    new: Layout,
) -> Option<NonNull<u8>> {
    // SAFETY: the caller's contract.
    let grow = || unsafe { blocks.grow(block, old, new) };
    #[cfg(feature = "debug")]
    if let Some(kind) = B::KIND {
        return checked::resized(block, (old, new), kind, grow);
    }
    grow()
}

/// [`Blocks::shrink`], of what is checked.
///
/// # Safety
///
/// As for that.
#[inline(always)]
pub(crate) unsafe fn shrink<B: Blocks>(
    blocks: &B,
    block: NonNull<u8>,
    old: Layout,
    new: Layout,
) -> Option<NonNull<u8>> {
    // SAFETY: the caller's contract.
    let shrink = || unsafe { blocks.shrink(block, old, new) };
    #[cfg(feature = "debug")]
    if let Some(kind) = B::KIND {
        return checked::resized(block, (old, new), kind, shrink);
    }
    shrink()
}

/// The block of an empty layout.
#[inline(always)]
pub(crate) fn empty_block(layout: Layout) -> NonNull<u8> {
    debug_assert!(layout.size() == 0);
    // SAFETY: alignments are not zero.
    unsafe { NonNull::new_unchecked(ptr::without_provenance_mut(layout.align())) }
}

/// A block as the `Allocator` traits return it.
#[inline(always)]
pub(crate) fn sized(block: Option<NonNull<u8>>, layout: Layout) -> Option<NonNull<[u8]>> {
    Some(NonNull::slice_from_raw_parts(block?, layout.size()))
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
        const _: () = {
            use core::alloc::Layout;
            use core::ptr::NonNull;

            use $crate::allocators::traits::{self, sized};
            use $library::alloc::{AllocError, Allocator};

            type Answer = Result<NonNull<[u8]>, AllocError>;

            // SAFETY: the contract of `Blocks`.
            unsafe impl Allocator for $allocator {
                #[inline(always)]
                fn allocate(&self, layout: Layout) -> Answer {
                    sized(traits::allocate(self, layout), layout).ok_or(AllocError)
                }

                #[inline(always)]
                unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
                    // SAFETY: the caller's contract.
                    unsafe { traits::deallocate(self, block, layout) }
                }

                #[inline]
                unsafe fn grow(&self, block: NonNull<u8>, old: Layout, new: Layout) -> Answer {
                    // SAFETY: the caller's contract.
                    let grown = unsafe { traits::grow(self, block, old, new) };
                    sized(grown, new).ok_or(AllocError)
                }

                #[inline]
                unsafe fn grow_zeroed(
                    &self,
                    block: NonNull<u8>,
                    old: Layout,
                    new: Layout,
                ) -> Answer {
                    // SAFETY: the caller's contract; what is filled is the block's new end.
                    unsafe {
                        let grown = traits::grow(self, block, old, new).ok_or(AllocError)?;
                        let more = new.size() - old.size();
                        grown.add(old.size()).write_bytes(0, more);
                        sized(Some(grown), new).ok_or(AllocError)
                    }
                }

                #[inline]
                unsafe fn shrink(&self, block: NonNull<u8>, old: Layout, new: Layout) -> Answer {
                    // SAFETY: the caller's contract.
                    let shrunk = unsafe { traits::shrink(self, block, old, new) };
                    sized(shrunk, new).ok_or(AllocError)
                }
            }
        };
    };
}

pub(crate) use implement_allocator;

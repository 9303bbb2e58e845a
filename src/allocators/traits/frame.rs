//! Frame memory as an allocator that has no lifetime.

use core::alloc::Layout;
use core::fmt;
use core::marker::PhantomData;
use core::ptr::NonNull;
use std::sync::Arc;

use super::{Blocks, empty_block, implement_allocator};
use crate::allocators::building::Place;
use crate::allocators::chunk;
use crate::allocators::domain::Domain;
use crate::allocators::layout::header_is_adjacent;
use crate::allocators::lease;
use crate::allocators::thread::{Local, local};
#[cfg(feature = "debug")]
use crate::behavior::AllocKind;
use crate::diagnostics;
use crate::error::{AllocError, AllocErrorKind};

/// Frame memory for any collection that takes an allocator: allocator-api2's `Vec` and `Box`, `hashbrown`'s maps and sets, and,
/// with the feature `nightly`, the standard library's.
///
/// Each block is a *lease*, as a [`FrameBox`](crate::FrameBox) is: a collection that is kept past its frame stays valid, its
/// chunk is kept apart (FA002), and it grows on in the next frame. The block that was allocated last grows where it lies, and
/// shrinking gives memory back.
///
/// Allocating fails where no frame is open on the thread (FA001) or the arena's limit is reached (FA003). A failure is
/// reported, and a collection then does what it does when memory runs out: `try_reserve` returns an error, `push` ends the
/// process. Collections of fixed capacity ([`FrameVec`](crate::FrameVec)) and those in a guard
/// ([`ScratchVec`](crate::ScratchVec)) panic instead.
///
/// The allocator keeps its frame memory alive, so that a collection may outlive the [`SmartAlloc`](crate::SmartAlloc). A clone
/// costs an atomic count; `&FrameAllocator` is an allocator too, and costs none. It stays on its thread.
///
/// ```
/// use allocator_api2::vec::Vec;
/// use framealloc::{FrameAllocator, SmartAlloc};
///
/// let alloc = SmartAlloc::with_defaults();
/// alloc.begin_frame();
/// let mut path = Vec::new_in(FrameAllocator::new());
/// path.extend([3, 1, 2]);
/// assert_eq!(path, [3, 1, 2]);
/// drop(path);
/// alloc.end_frame();
/// ```
#[derive(Clone)]
pub struct FrameAllocator {
    domain: Option<Arc<Domain>>,
    /// Blocks belong to the thread's arena (I2).
    _here: PhantomData<*const ()>,
}

impl FrameAllocator {
    /// The frame memory that was used last on the calling thread: that of the [`SmartAlloc`](crate::SmartAlloc) on which a frame
    /// was last begun, or from which frame memory was last taken. Where there are several,
    /// [`SmartAlloc::frame_allocator`](crate::SmartAlloc::frame_allocator) says which.
    ///
    /// On a thread that has used none, allocations fail with FA001; [`try_new`](Self::try_new) returns that.
    pub fn new() -> Self {
        Self {
            domain: local(Local::active_domain),
            _here: PhantomData,
        }
    }

    /// [`new`](Self::new), if a frame is open.
    ///
    /// # Errors
    ///
    /// [`NoFrame`](AllocErrorKind::NoFrame) (FA001).
    pub fn try_new() -> Result<Self, AllocError> {
        let this = Self::new();
        if this.frame_is_open() {
            Ok(this)
        } else {
            Err(no_frame(Layout::new::<()>()))
        }
    }

    /// The frame memory of `domain`.
    pub(crate) fn of(domain: Arc<Domain>) -> Self {
        Self {
            domain: Some(domain),
            _here: PhantomData,
        }
    }

    /// Whether the calling thread's frame is open, so that allocations do not fail.
    pub fn frame_is_open(&self) -> bool {
        self.domain
            .as_ref()
            .is_some_and(|domain| domain.frame_is_open())
    }
}

impl Default for FrameAllocator {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for FrameAllocator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FrameAllocator")
            .field("frame_is_open", &self.frame_is_open())
            .finish_non_exhaustive()
    }
}

#[cold]
#[inline(never)]
fn no_frame(layout: Layout) -> AllocError {
    diagnostics::refused(AllocError::new(AllocErrorKind::NoFrame, layout, 0))
}

/// Whether a block can go by the new layout where it lies: it is aligned, and its chunk's header is found in the same way.
fn stays(block: NonNull<u8>, old: Layout, new: Layout) -> bool {
    (block.as_ptr() as usize).is_multiple_of(new.align())
        && header_is_adjacent(old.align()) == header_is_adjacent(new.align())
}

// SAFETY: each block is leased, so its chunk stays (I1) as long as the domain, which every clone holds. The allocator and what
// holds a reference to it stay on the thread whose arena the blocks are of (I2).
unsafe impl Blocks for FrameAllocator {
    #[cfg(feature = "debug")]
    const KIND: Option<AllocKind> = Some(AllocKind::Frame);

    #[inline]
    fn allocate(&self, layout: Layout) -> Option<NonNull<u8>> {
        if layout.size() == 0 {
            return Some(empty_block(layout));
        }
        match &self.domain {
            Some(domain) => domain.lease(layout).ok(),
            None => {
                no_frame(layout);
                None
            }
        }
    }

    #[inline]
    unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
        if layout.size() != 0 {
            // SAFETY: the caller holds the lease, and gives it up.
            unsafe { chunk::end_lease(block.as_ptr() as usize, layout.size(), layout.align()) }
        }
    }

    unsafe fn grow(&self, block: NonNull<u8>, old: Layout, new: Layout) -> Option<NonNull<u8>> {
        // SAFETY: the caller's contract.
        unsafe {
            if old.size() != 0
                && stays(block, old, new)
                && let Some(domain) = self.domain.as_deref()
                && domain.resize(block, old.size(), new.size())
            {
                return Some(block);
            }
            self.replace(block, old, new)
        }
    }

    unsafe fn shrink(&self, block: NonNull<u8>, old: Layout, new: Layout) -> Option<NonNull<u8>> {
        // SAFETY: the caller's contract. An empty block is no lease, so one that becomes empty ends its lease in `replace`.
        unsafe {
            if new.size() != 0 && stays(block, old, new) {
                lease::shrink(block, old, new.size());
                return Some(block);
            }
            self.replace(block, old, new)
        }
    }
}

implement_allocator!(FrameAllocator);

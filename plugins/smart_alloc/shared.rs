//! [`SharedFrameAlloc`]: frame memory for the closures that a system runs in parallel.
//!
//! A thread's current tag is no guide in such a closure: the thread that runs it may be in the middle of another
//! system, or of none. So the handle carries its system's tag, and each guard sets it on the thread it is opened on.
//!
//! Invariant: a guard gives its thread back the tag that it found there, also when the closure panics.

use std::fmt;
use std::ops::Deref;

use crate::tags::{TagId, TagScope};
use crate::{Frame, SmartAlloc};

/// A handle on a system's frame memory that parallel closures can share. From
/// [`FrameAlloc::shared`](super::FrameAlloc::shared).
#[derive(Clone, Copy)]
pub struct SharedFrameAlloc<'w> {
    alloc: &'w SmartAlloc,
    tag: TagId,
}

impl<'w> SharedFrameAlloc<'w> {
    pub(super) fn new(alloc: &'w SmartAlloc, tag: TagId) -> Self {
        Self { alloc, tag }
    }

    /// Opens a guard on the calling thread. Until it is dropped, what the thread allocates is charged to the system
    /// that the handle came from.
    ///
    /// Opening one costs some tens of instructions: open it once for a batch where the work for one item is tiny.
    #[inline]
    pub fn frame(&self) -> TaskFrame<'w> {
        let charge = (self.tag != TagId::current()).then(|| TagScope::enter(self.tag));
        TaskFrame {
            frame: self.alloc.frame(),
            _charge: charge,
        }
    }

    /// The tag that this memory is charged to.
    pub fn tag(&self) -> TagId {
        self.tag
    }
}

impl fmt::Debug for SharedFrameAlloc<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedFrameAlloc")
            .field("tag", &self.tag.path())
            .finish_non_exhaustive()
    }
}

/// A [`Frame`] guard in a parallel closure. From [`SharedFrameAlloc::frame`].
///
/// It stays on its thread: what it hands out cannot be returned from the closure.
pub struct TaskFrame<'w> {
    // Closed before the tag is given back, so that closing is still the system's.
    frame: Frame<'w>,
    _charge: Option<TagScope>,
}

impl<'w> Deref for TaskFrame<'w> {
    type Target = Frame<'w>;

    fn deref(&self) -> &Frame<'w> {
        &self.frame
    }
}

impl fmt::Debug for TaskFrame<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskFrame").finish_non_exhaustive()
    }
}

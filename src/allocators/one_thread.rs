//! Why frame memory does not cross threads, in words that the compiler can say.
//!
//! Guards and boxes are `!Send` as it is (guards `!Sync`, too), but then the compiler's reason is a list of every cell and
//! pointer in an arena. An implementation whose condition never holds keeps them so, and makes the condition the reason.
//!
//! Invariant: nothing implements [`CrossesThreads`].

use core::marker::PhantomData;

use super::guard::Frame;
use super::lease::FrameBox;
use super::traits::FrameAllocator;

/// A condition that never holds.
#[diagnostic::on_unimplemented(
    message = "frame memory stays on the thread that it came from",
    label = "this would take it to another thread",
    note = "on the other thread, open a guard of its own with `SmartAlloc::frame()`",
    note = "references to what lies in frame memory may be given to scoped threads; a `pool_box` may be sent anywhere"
)]
pub trait CrossesThreads {}

/// Whom the condition is asked of. The lifetime is what makes the compiler ask only when someone needs to know.
pub struct FrameMemory<'a>(PhantomData<&'a ()>);

/// Keeps a value on its thread that borrows nothing.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Here<'a>(PhantomData<(&'a (), *const ())>);

impl Here<'_> {
    pub(crate) const NOW: Self = Self(PhantomData);
}

// SAFETY: the condition never holds: this implements nothing.
unsafe impl<'a> Send for Here<'a> where FrameMemory<'a>: CrossesThreads {}
// SAFETY: the condition never holds: this implements nothing.
unsafe impl<'a> Sync for Here<'a> where FrameMemory<'a>: CrossesThreads {}
// SAFETY: the condition never holds: this implements nothing.
unsafe impl<'a> Send for Frame<'a> where FrameMemory<'a>: CrossesThreads {}
// SAFETY: the condition never holds: this implements nothing.
unsafe impl<'a> Sync for Frame<'a> where FrameMemory<'a>: CrossesThreads {}
// SAFETY: the condition never holds: this implements nothing.
unsafe impl<'a, T: ?Sized> Send for FrameBox<'a, T> where FrameMemory<'a>: CrossesThreads {}
// SAFETY: the condition never holds: this implements nothing.
unsafe impl Send for FrameAllocator where for<'a> FrameMemory<'a>: CrossesThreads {}
// SAFETY: the condition never holds: this implements nothing.
unsafe impl Sync for FrameAllocator where for<'a> FrameMemory<'a>: CrossesThreads {}

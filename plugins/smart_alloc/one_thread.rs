//! Why a frame guard does not cross threads, in words that the compiler can say.
//!
//! The guards are neither `Send` nor `Sync` as it is, but then the compiler's reason is a list of every cell and pointer
//! in an arena. An implementation whose condition never holds keeps them so, and makes the condition the reason.
//!
//! Invariant: nothing implements [`CrossesThreads`].

use std::marker::PhantomData;

use super::{FrameAlloc, TaskFrame};

/// A condition that never holds.
#[diagnostic::on_unimplemented(
    message = "a frame guard stays on the thread that opened it",
    label = "this would take one to another thread",
    note = "in `par_iter`, `scope` and other parallel code, take a handle with `FrameAlloc::shared()` outside, and open a \
            guard with its `frame()` inside",
    note = "a guard does not live across an `.await`, nor in a task that outlives the system"
)]
pub trait CrossesThreads {}

/// Whom the condition is asked of. The lifetime is what makes the compiler ask only when someone needs to know.
pub struct FrameGuard<'w>(PhantomData<&'w ()>);

#[expect(
    unsafe_code,
    reason = "`Send` and `Sync` are unsafe traits, also where they are refused"
)]
mod never {
    use super::*;

    // SAFETY: the condition never holds: this implements nothing.
    unsafe impl<'w> Send for FrameAlloc<'w> where FrameGuard<'w>: CrossesThreads {}
    // SAFETY: the condition never holds: this implements nothing.
    unsafe impl<'w> Sync for FrameAlloc<'w> where FrameGuard<'w>: CrossesThreads {}
    // SAFETY: the condition never holds: this implements nothing.
    unsafe impl<'w> Send for TaskFrame<'w> where FrameGuard<'w>: CrossesThreads {}
    // SAFETY: the condition never holds: this implements nothing.
    unsafe impl<'w> Sync for TaskFrame<'w> where FrameGuard<'w>: CrossesThreads {}
}

//! An owned value in a guard's memory.

use core::mem;
use core::ops::{Deref, DerefMut};
use core::ptr;

use crate::allocators::boxes::forward_to_value;

/// An owned value in a guard's memory: its destructor runs when the box drops, its memory is freed with the guard.
///
/// It can be sent to scoped threads if `T: Send`, since dropping it touches nothing of the arena.
pub struct GuardBox<'f, T: ?Sized>(pub(super) &'f mut T);

impl<'f, T: ?Sized> GuardBox<'f, T> {
    /// Gives up ownership: the destructor never runs.
    pub fn leak(self) -> &'f mut T {
        let value = &raw mut *mem::ManuallyDrop::new(self).0;
        // SAFETY: the box that held this reference is forgotten.
        unsafe { &mut *value }
    }
}

impl<T> GuardBox<'_, T> {
    /// Takes the value out of the frame.
    pub fn into_inner(self) -> T {
        // SAFETY: the box that owned the value is forgotten.
        unsafe { ptr::read(self.leak()) }
    }
}

impl<T: ?Sized> Drop for GuardBox<'_, T> {
    #[inline(always)]
    fn drop(&mut self) {
        // SAFETY: the box owns the value, which is dropped once, here.
        unsafe { ptr::drop_in_place(self.0) }
    }
}

impl<T: ?Sized> Deref for GuardBox<'_, T> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        self.0
    }
}

impl<T: ?Sized> DerefMut for GuardBox<'_, T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut T {
        self.0
    }
}

forward_to_value!(GuardBox<'_, T: ?Sized>);

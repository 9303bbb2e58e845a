//! What resolving a handle gives.

use core::marker::PhantomData;
use core::ptr::NonNull;
use core::sync::atomic::Ordering::Relaxed;

use super::Slot;
use crate::allocators::borrow::word::Word;
use crate::allocators::borrow::{Loan, guards};

/// A borrow of a value behind a handle.
#[derive(Clone, Copy)]
struct Resolved<'a>(&'a Slot);

impl Loan for Resolved<'_> {
    #[inline(always)]
    fn word(&self) -> &Word {
        &self.0.word
    }

    unsafe fn finish(self) {
        unreachable!("a value behind a handle is not freed while it is borrowed");
    }
}

guards! {
    /// A value behind a handle, while it is read. It does not move meanwhile. See
    /// [`HandleAllocator::resolve`](crate::HandleAllocator::resolve).
    HandleRef,
    /// A value behind a handle, while it is written. It does not move meanwhile. See
    /// [`HandleAllocator::resolve_mut`](crate::HandleAllocator::resolve_mut).
    HandleMut,
    Resolved, Sized
}

impl<'a, T> HandleRef<'a, T> {
    /// # Safety
    ///
    /// The slot's value is a `T`, and the caller has begun to read it.
    #[inline(always)]
    pub(super) unsafe fn new(slot: &'a Slot) -> Self {
        Self {
            // SAFETY: a value's address is never null.
            value: unsafe { NonNull::new_unchecked(slot.value.load(Relaxed)) }.cast(),
            loan: Resolved(slot),
            _borrow: PhantomData,
        }
    }
}

impl<'a, T> HandleMut<'a, T> {
    /// # Safety
    ///
    /// The slot's value is a `T`, or the guard is used for nothing but its address; and the caller has begun to write it.
    #[inline(always)]
    pub(super) unsafe fn new(slot: &'a Slot) -> Self {
        Self {
            // SAFETY: a value's address is never null.
            value: unsafe { NonNull::new_unchecked(slot.value.load(Relaxed)) }.cast(),
            loan: Resolved(slot),
            _borrow: PhantomData,
        }
    }

    pub(super) fn address(&self) -> NonNull<T> {
        self.value
    }
}

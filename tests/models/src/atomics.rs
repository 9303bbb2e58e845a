//! loom's stand-ins for what the remote list and the streams' words are built from.

#![expect(
    unsafe_code,
    reason = "the interface is the remote list's, which hands out memory"
)]

pub(crate) use loom::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

/// The link of a free block. Every access is checked: two that are not ordered are a data race, and fail the model.
pub(crate) struct Link<T>(loom::cell::UnsafeCell<T>);

impl<T: Copy> Link<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(loom::cell::UnsafeCell::new(value))
    }

    /// # Safety
    ///
    /// The caller owns the block.
    pub(crate) unsafe fn read(&self) -> T {
        // SAFETY: the caller's contract, which loom checks.
        self.0.with(|value| unsafe { *value })
    }

    /// # Safety
    ///
    /// The caller owns the block.
    pub(crate) unsafe fn write(&self, value: T) {
        // SAFETY: the caller's contract, which loom checks.
        self.0.with_mut(|place| unsafe { *place = value });
    }
}

//! loom's stand-ins for what the lock-free parts are built from.

#![expect(
    unsafe_code,
    reason = "the interface is the remote list's, which hands out memory"
)]

pub(crate) use loom::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Ordering};

/// Lets the thread go on that is waited for, and looks again.
pub(crate) fn wait(word: &AtomicU64, _spins: &mut u32) -> u64 {
    loom::thread::yield_now();
    word.load(Ordering::Relaxed)
}

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

/// In the allocator a fence of the compiler, for which the other side makes up; the models have the fence itself.
pub(crate) fn light_fence() {
    loom::sync::atomic::fence(Ordering::SeqCst);
}

/// Lets the thread go on that is waited for.
pub(crate) fn pause() {
    loom::thread::yield_now();
}

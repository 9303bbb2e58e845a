//! A pin that is taken back by itself.

use core::fmt;
use core::sync::atomic::{AtomicPtr, Ordering::Relaxed};

use super::{HandleAllocator, HandleError, refused};
use crate::allocators::handles::{Handle, HandleMut, HandleRef};

/// Keeps a value where it is until the guard drops. Pins are counted, and do not keep anybody from using the value.
///
/// ```
/// use framealloc::{HandleAllocator, PinGuard};
///
/// let handles = HandleAllocator::new();
/// let buffer = handles.insert([0u8; 64])?;
/// let pinned = PinGuard::new(&handles, buffer)?;
/// let address = pinned.as_ptr();
/// handles.defragment();
/// assert_eq!(address, pinned.as_ptr());
/// assert!(handles.free(buffer).is_err());
/// # Ok::<(), framealloc::HandleError>(())
/// ```
pub struct PinGuard<'a, T: Send + Sync + 'static> {
    handles: &'a HandleAllocator,
    handle: Handle<T>,
    /// Never changed; unlike a plain pointer, it may go to other threads.
    address: AtomicPtr<T>,
}

impl<'a, T: Send + Sync + 'static> PinGuard<'a, T> {
    /// Pins a value.
    ///
    /// # Errors
    ///
    /// As [`HandleAllocator::try_pin`].
    pub fn new(handles: &'a HandleAllocator, handle: Handle<T>) -> Result<Self, HandleError> {
        let address = handles.heap.pin(handle).map_err(refused)?;
        Ok(Self {
            handles,
            handle,
            address: AtomicPtr::new(address),
        })
    }

    /// The handle.
    pub fn handle(&self) -> Handle<T> {
        self.handle
    }

    /// The value's address, which stays the same while the guard lives.
    pub fn as_ptr(&self) -> *const T {
        self.address.load(Relaxed)
    }

    /// Reads the value.
    ///
    /// # Errors
    ///
    /// [`HandleError::AlreadyBorrowed`] while the value is written, [`HandleError::TooManyBorrows`] beyond 65,535 guards,
    /// and [`HandleError::Freed`] if somebody took the guard's pin back by [`unpin`](HandleAllocator::unpin) and freed the
    /// value.
    pub fn get(&self) -> Result<HandleRef<'_, T>, HandleError> {
        self.handles.resolve(self.handle)
    }

    /// Writes the value.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get), and also [`HandleError::AlreadyBorrowed`] while the value is read.
    pub fn get_mut(&mut self) -> Result<HandleMut<'_, T>, HandleError> {
        self.handles.resolve_mut(self.handle)
    }
}

impl<T: Send + Sync + 'static> Drop for PinGuard<'_, T> {
    fn drop(&mut self) {
        // It fails if somebody has taken the pin back already, and that is their report to make.
        let _ = self.handles.heap.unpin(self.handle);
    }
}

impl<T: Send + Sync + 'static> fmt::Debug for PinGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PinGuard").field(&self.handle).finish()
    }
}

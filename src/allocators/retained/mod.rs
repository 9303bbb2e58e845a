//! Retained values: in frame memory until their frame ends, and then where their policy says.
//!
//! ```text
//!  a leased block of the arena                     the arena's lists, under their lock
//! +--------------------------------+--------+      first ---> head ---> head ---> null      their frame is open
//! | Head: next, kind, meta, stage  | value  |      settled -> head ---> null                their frame has ended, and
//! +--------------------------------+--------+                                               their thread has not looked yet
//!
//!            handle drops               frame ends                thread looks
//!   Held ------------------> Released -------------> Spent ----------------------> lease ended
//!    |                                   value moved        (at a boundary)
//!    |  frame ends, and the value has somewhere to go
//!    +-----> Claimed -- handle drops, value moved --> Spent
//!    |  frame ends, and the value is to be discarded
//!    +-----> Orphaned -- handle drops, value dropped --> lease ended
//! ```
//!
//! `end_frame(&self)` cannot be kept from running while a handle, or a reference borrowed from it, is alive. So a value never
//! moves before its handle has let go. If the frame ends earlier, room at the destination is set aside in a [`Pending`],
//! which the promoted item and the handle share, and the handle moves the value there when it drops.
//!
//! Any thread may end a shared frame and take the values of all arenas. It moves them out under the lock and leaves each
//! lease to the arena's own thread, which ends it when it next looks (I2, I8).

mod boundary;
mod kind;
mod list;
mod pending;

pub(crate) use boundary::{Mine, Stray, Theirs};
pub(crate) use kind::{Kind, Owned, Room};
pub(crate) use list::{Due, Meta, Retained, Taken};
pub(crate) use pending::Claim;

use core::alloc::Layout;
use core::fmt;
use core::marker::PhantomData;
use core::ops::{Deref, DerefMut};
use core::ptr::NonNull;
use core::sync::atomic::Ordering::Relaxed;

use list::{Entry, let_go};

use super::chunk;
use super::domain::Domain;
use crate::error::AllocError;
use crate::retention::{RetainedId, RetentionPolicy};

/// A value in frame memory that may outlive its frame: when that ends, the value goes where its policy says.
///
/// Dropping the handle does not drop the value: that stays in the frame's memory until the frame ends. A handle that is still
/// alive then stays valid: the value stays where it is and moves when the handle drops, and the promoted item says meanwhile
/// that it is [in use](crate::Promoted::is_in_use). So drop the handle first if you want the value at once.
///
/// ```
/// use framealloc::{PromotedAllocation, RetentionPolicy, SmartAlloc};
///
/// let alloc = SmartAlloc::with_defaults();
/// alloc.begin_frame();
/// let mut path = alloc.frame_retained::<Vec<u32>>(RetentionPolicy::PromoteToPool);
/// path.extend([3, 1, 4]);
/// drop(path);
/// for item in alloc.end_frame_with_promotions().promoted {
///     if let PromotedAllocation::Pool { value, .. } = item {
///         assert_eq!(*value.downcast::<Vec<u32>>().unwrap(), [3, 1, 4]); // a `PoolBox`
///     }
/// }
/// ```
pub struct FrameRetained<'a, T> {
    entry: NonNull<Entry<T>>,
    /// Borrows a handle of the domain (I1). The raw pointer keeps it on its thread (I2).
    _lease: PhantomData<(&'a Domain, *const ())>,
    _owned: PhantomData<T>,
}

// SAFETY: sharing a handle gives shared access to the value and to nothing of the arena.
unsafe impl<T: Sync> Sync for FrameRetained<'_, T> {}

impl<'a, T: Send + 'static> FrameRetained<'a, T> {
    pub(crate) fn new(
        domain: &'a Domain,
        policy: RetentionPolicy,
        phase: Option<&'static str>,
        value: T,
    ) -> Result<Self, AllocError> {
        let entry = domain.lease(Layout::new::<Entry<T>>())?.cast::<Entry<T>>();
        if !domain.retains.load(Relaxed) {
            domain.retains.store(true, Relaxed);
        }
        // SAFETY: the block was just leased for this type, so its chunk and arena are mapped (I1).
        unsafe {
            let chunk = chunk::of_block(entry.as_ptr() as usize, align_of::<Entry<T>>());
            let arena = (*chunk).home;
            entry.write(Entry::new(arena, Meta::new(policy, phase), value));
            (*arena).retained.push(entry.cast());
        }
        Ok(Self {
            entry,
            _lease: PhantomData,
            _owned: PhantomData,
        })
    }
}

impl<T> FrameRetained<'_, T> {
    fn meta(&self) -> &Meta {
        // SAFETY: the handle keeps the entry leased, and nobody writes to this part of it.
        unsafe { &*Entry::meta(self.entry.as_ptr()) }
    }

    /// What the promoted item of this value will have as its id.
    pub fn id(&self) -> RetainedId {
        self.meta().id
    }

    /// Where the value goes when its frame ends.
    pub fn policy(&self) -> RetentionPolicy {
        self.meta().policy
    }

    /// The value.
    pub fn get(&self) -> &T {
        self
    }

    /// The value.
    pub fn get_mut(&mut self) -> &mut T {
        self
    }

    /// The value's address, until the handle drops.
    pub fn as_ptr(&self) -> *const T {
        Entry::value(self.entry.as_ptr())
    }

    /// The value's address, until the handle drops.
    pub fn as_mut_ptr(&mut self) -> *mut T {
        Entry::value(self.entry.as_ptr())
    }
}

impl<T> Drop for FrameRetained<'_, T> {
    fn drop(&mut self) {
        // SAFETY: the handle's own entry, which it lets go of once, here, on its arena's thread.
        unsafe { let_go(self.entry.cast()) }
    }
}

impl<T> Deref for FrameRetained<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: leased memory stays (I1), and the value stays in it while the handle lives (I8).
        unsafe { &*self.as_ptr() }
    }
}

impl<T> DerefMut for FrameRetained<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as for `deref`, and the handle is borrowed exclusively.
        unsafe { &mut *self.as_mut_ptr() }
    }
}

impl<T> AsRef<T> for FrameRetained<'_, T> {
    fn as_ref(&self) -> &T {
        self
    }
}

impl<T> AsMut<T> for FrameRetained<'_, T> {
    fn as_mut(&mut self) -> &mut T {
        self
    }
}

impl<T: fmt::Debug> fmt::Debug for FrameRetained<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: fmt::Display> fmt::Display for FrameRetained<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

/// Drops a value in place, and runs `after` on unwinding too.
///
/// # Safety
///
/// The value is the caller's, and not used any more.
unsafe fn drop_in_place(kind: &'static Kind, value: NonNull<u8>, after: impl FnOnce()) {
    struct After<F: FnOnce()>(Option<F>);
    impl<F: FnOnce()> Drop for After<F> {
        fn drop(&mut self) {
            if let Some(after) = self.0.take() {
                after();
            }
        }
    }
    let _after = After(Some(after));
    // SAFETY: the caller's contract.
    unsafe { kind.drop_value(value) }
}

//! `GroupRef`, what storing a value in a group gives.

use core::fmt;
use core::marker::PhantomData;
use core::ptr::NonNull;
use std::sync::Arc;

use super::{Entry, Group};
use crate::allocators::borrow::word::{Refusal, Word};
use crate::allocators::borrow::{Loan, guards};
use crate::groups::GroupError;

/// A reference to a value in a group. Cheap to clone, and safe to keep for longer than the group.
///
/// The value is used through guards, by the rules of a `RwLock` that never waits: any number of [`read`](Self::read)s or one
/// [`write`](Self::write) at a time, from any thread, and an error where they collide. A guard keeps its value alive: if the
/// group is freed meanwhile, that one value goes when the guard drops. The reference itself keeps nothing alive but a few
/// words of bookkeeping.
///
/// ```
/// use framealloc::{GroupAllocator, GroupError};
///
/// let groups = GroupAllocator::new();
/// let level = groups.create_group("level 1");
/// let spawns = groups.alloc_val(level, vec![(3, 4), (5, 6)]);
/// spawns.write()?.push((7, 8));
/// assert_eq!(spawns.read()?.len(), 3);
///
/// groups.free_group(level);
/// assert_eq!(spawns.read().unwrap_err(), GroupError::Freed);
/// # Ok::<(), GroupError>(())
/// ```
pub struct GroupRef<T: ?Sized> {
    group: Arc<Group>,
    entry: u32,
    value: NonNull<T>,
    /// A writer may put any `T` there, so the type must be the one that was stored.
    _invariant: PhantomData<*mut T>,
}

// SAFETY: it gives out `&T` and `&mut T` to whichever thread has it or a clone of it.
unsafe impl<T: ?Sized + Send + Sync> Send for GroupRef<T> {}
// SAFETY: as above.
unsafe impl<T: ?Sized + Send + Sync> Sync for GroupRef<T> {}

impl<T: ?Sized> GroupRef<T> {
    /// # Safety
    ///
    /// `value` is the entry's.
    pub(super) unsafe fn new(group: Arc<Group>, entry: u32, value: NonNull<T>) -> Self {
        Self {
            group,
            entry,
            value,
            _invariant: PhantomData,
        }
    }

    fn entry(&self) -> &Entry {
        self.group
            .entries
            .get(self.entry)
            .expect("entries stay while the group is referred to")
    }

    /// Reads the value, until the guard drops.
    ///
    /// # Errors
    ///
    /// [`GroupError::Freed`] (FA404) if the group was freed, which is not reported; [`GroupError::AlreadyBorrowed`] (FA405)
    /// while the value is written, and [`GroupError::TooManyBorrows`] (FA405) beyond 65,535 guards, which are.
    #[inline]
    pub fn read(&self) -> Result<GroupRead<'_, T>, GroupError> {
        self.read_quietly().map_err(refused)
    }

    #[inline]
    fn read_quietly(&self) -> Result<GroupRead<'_, T>, Refusal> {
        let entry = self.entry();
        entry.word.read(0)?;
        Ok(GroupRead {
            value: self.value,
            loan: Borrowed(entry),
            _borrow: PhantomData,
        })
    }

    /// Writes the value, until the guard drops.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read), and [`GroupError::AlreadyBorrowed`] also while the value is read.
    #[inline]
    pub fn write(&self) -> Result<GroupWrite<'_, T>, GroupError> {
        let entry = self.entry();
        entry.word.write(0).map_err(refused)?;
        Ok(GroupWrite {
            value: self.value,
            loan: Borrowed(entry),
            _borrow: PhantomData,
        })
    }

    /// Calls `f` with the value.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read); `f` is not called then.
    pub fn with<R>(&self, f: impl FnOnce(&T) -> R) -> Result<R, GroupError> {
        Ok(f(&*self.read()?))
    }

    /// Whether the group has not been freed.
    pub fn is_live(&self) -> bool {
        self.entry().word.state().1
    }

    /// Whether both refer to the same value.
    pub fn same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.group, &other.group) && self.entry == other.entry
    }
}

/// Reports a collision, which is a mistake; that the group is gone is what references are for.
#[cold]
fn refused(refusal: Refusal) -> GroupError {
    let error = match refusal {
        Refusal::Borrowed => GroupError::AlreadyBorrowed,
        Refusal::TooMany => GroupError::TooManyBorrows,
        Refusal::Gone | Refusal::Pinned | Refusal::NotPinned => return GroupError::Freed,
    };
    error.report();
    error
}

impl<T: ?Sized> Clone for GroupRef<T> {
    fn clone(&self) -> Self {
        Self {
            group: self.group.clone(),
            ..*self
        }
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for GroupRef<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut tuple = f.debug_tuple("GroupRef");
        match self.read_quietly() {
            Ok(value) => tuple.field(&value).finish(),
            Err(Refusal::Gone) => tuple.field(&format_args!("<freed>")).finish(),
            Err(_) => tuple.field(&format_args!("<borrowed>")).finish(),
        }
    }
}

/// A borrow of a value in a group.
#[derive(Clone, Copy)]
struct Borrowed<'a>(&'a Entry);

impl Loan for Borrowed<'_> {
    #[inline(always)]
    fn word(&self) -> &Word {
        &self.0.word
    }

    #[cold]
    unsafe fn finish(self) {
        // SAFETY: the caller's contract.
        unsafe { Group::finish(self.0) }
    }
}

guards! {
    /// A value of a group, while it is read. See [`GroupRef::read`].
    GroupRead,
    /// A value of a group, while it is written. See [`GroupRef::write`].
    GroupWrite,
    Borrowed, ?Sized
}

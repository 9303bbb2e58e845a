//! A group with its allocator.

use super::{FreedGroup, GroupAllocator, GroupId};
use crate::allocators::groups::GroupRef;

/// A group with its allocator. Dropping it frees nothing; [`free_all`](Self::free_all) does.
///
/// ```
/// let groups = framealloc::GroupAllocator::new();
/// let ui = groups.handle(groups.create_group("ui"))?;
/// ui.alloc_val("button");
/// assert_eq!((ui.count(), ui.free_all().values), (1, 1));
/// # Ok::<(), framealloc::GroupError>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct GroupHandle<'a> {
    groups: &'a GroupAllocator,
    id: GroupId,
}

impl<'a> GroupHandle<'a> {
    /// Puts the two together. Whether they fit is seen when the handle is used.
    pub fn new(groups: &'a GroupAllocator, id: GroupId) -> Self {
        Self { groups, id }
    }

    /// The group.
    pub fn id(&self) -> GroupId {
        self.id
    }

    /// [`GroupAllocator::alloc`].
    ///
    /// # Panics
    ///
    /// As [`GroupAllocator::alloc_val`].
    #[track_caller]
    pub fn alloc<T: Default + Send + 'static>(&self) -> GroupRef<T> {
        self.groups.alloc(self.id)
    }

    /// [`GroupAllocator::alloc_val`].
    ///
    /// # Panics
    ///
    /// As [`GroupAllocator::alloc_val`].
    #[track_caller]
    pub fn alloc_val<T: Send + 'static>(&self, value: T) -> GroupRef<T> {
        self.groups.alloc_val(self.id, value)
    }

    /// [`GroupAllocator::alloc_slice`].
    ///
    /// # Panics
    ///
    /// As [`GroupAllocator::alloc_slice`].
    #[track_caller]
    pub fn alloc_slice<T: Default + Send + 'static>(&self, len: usize) -> GroupRef<[T]> {
        self.groups.alloc_slice(self.id, len)
    }

    /// Bytes of the values in the group.
    pub fn size(&self) -> usize {
        self.groups.group_size(self.id)
    }

    /// Values in the group, each slice counted as one.
    pub fn count(&self) -> usize {
        self.groups.group_count(self.id)
    }

    /// [`GroupAllocator::free_group`].
    pub fn free_all(self) -> FreedGroup {
        self.groups.free_group(self.id)
    }
}

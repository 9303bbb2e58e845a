//! Groups: values that are freed together, such as what a level loads.

mod error;
mod handle;

pub use error::GroupError;
pub use handle::GroupHandle;

use core::alloc::Layout;
use core::fmt;
use core::num::NonZero;
use std::sync::Arc;

use crate::allocators::domain::fresh_key;
use crate::allocators::groups::{Group, GroupRef, Refused};
use crate::allocators::panics::FirstPanic;
use crate::allocators::payer::Payer;
use crate::not_stored::NotStored;
use crate::smart_alloc::SmartAlloc;
use crate::sync::Mutex;

/// Which group. It is `Copy`, and never stands for a later group: an allocator refuses the ids of groups that it has freed,
/// and those of others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct GroupId {
    slot: u32,
    generation: u32,
    owner: NonZero<u64>,
}

impl fmt::Display for GroupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            slot,
            generation,
            owner,
        } = self;
        write!(f, "group {slot}.{generation} of allocator {owner}")
    }
}

/// Groups of values, each freed as one. Threads share it by reference.
///
/// The values of a group lie beside each other in chunks of the group, from 4 KiB to 256 KiB; what is larger than 64 KiB has
/// a chunk of its own. Freeing a group runs the destructors of its values, the newest first, and gives back a handful of
/// chunks. Storing takes a short lock, of the group; using a stored value takes none.
///
/// Memory is charged to the tag that is current when a chunk is made.
///
/// ```
/// use framealloc::SmartAlloc;
///
/// let alloc = SmartAlloc::with_defaults();
/// let groups = alloc.groups();
///
/// let level = groups.create_group("level 1");
/// let texture = groups.alloc_val(level, vec![0u8; 256]);
/// groups.alloc_val(level, String::from("mesh"));
/// assert_eq!(texture.read()?.len(), 256);
///
/// let freed = groups.free_group(level);
/// assert_eq!(freed.values, 2);
/// assert!(texture.read().is_err());
/// # Ok::<(), framealloc::GroupError>(())
/// ```
///
/// When the allocator drops, so do all its groups. A value that keeps the allocator alive (a clone of the `SmartAlloc`, say)
/// keeps it alive for ever, as a cycle of `Arc`s does, unless its group is freed.
pub struct GroupAllocator {
    owner: NonZero<u64>,
    payer: Payer,
    slots: Mutex<Slots>,
}

#[derive(Default)]
struct Slots {
    all: Vec<Slot>,
    free: Vec<u32>,
}

struct Slot {
    generation: u32,
    group: Option<Arc<Group>>,
}

/// What [`GroupAllocator::free_group`] freed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct FreedGroup {
    /// Values, each slice counted as one. Those that are borrowed at that moment are counted too; they go when their last
    /// guard drops.
    pub values: usize,
    /// Bytes of these values.
    pub bytes: usize,
}

/// Totals of a [`GroupAllocator`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct GroupStats {
    /// Groups that exist.
    pub total_groups: usize,
    /// Values in them, each slice counted as one.
    pub total_allocations: usize,
    /// Bytes of these values.
    pub total_bytes: usize,
    /// Bytes of the groups' chunks.
    pub reserved_bytes: usize,
}

impl GroupAllocator {
    /// An allocator of its own, which belongs to no `SmartAlloc`.
    pub fn new() -> Self {
        Self::with_payer(Default::default())
    }

    pub(crate) fn with_payer(payer: Payer) -> Self {
        Self {
            owner: NonZero::new(fresh_key()).expect("keys begin at one"),
            payer,
            slots: Mutex::new(Slots::default()),
        }
    }

    /// Makes an empty group. It takes no memory for values yet. The name is for people, and need not be unique.
    pub fn create_group(&self, name: impl Into<String>) -> GroupId {
        let group = Group::new(name.into(), self.payer.clone());
        let mut slots = self.slots.lock();
        let slot = match slots.free.pop() {
            Some(slot) => slot,
            None => {
                let slot = u32::try_from(slots.all.len()).expect("fewer than 2^32 groups");
                slots.all.push(Slot {
                    generation: 0,
                    group: None,
                });
                slot
            }
        };
        let entry = &mut slots.all[slot as usize];
        entry.group = Some(group);
        GroupId {
            slot,
            generation: entry.generation,
            owner: self.owner,
        }
    }

    fn find(&self, id: GroupId) -> Option<Arc<Group>> {
        if id.owner != self.owner {
            return None;
        }
        let slots = self.slots.lock();
        let slot = slots.all.get(id.slot as usize)?;
        match &slot.group {
            Some(group) if slot.generation == id.generation => Some(group.clone()),
            _ => None,
        }
    }

    /// Stores a value, and drops it when the group is freed. What it returns need not be kept.
    ///
    /// # Panics
    ///
    /// With FA404 if there is no such group, and with the allocation's code if there is no memory;
    /// [`try_alloc_val`](Self::try_alloc_val) returns the error.
    #[track_caller]
    pub fn alloc_val<T: Send + 'static>(&self, group: GroupId, value: T) -> GroupRef<T> {
        stored(self.try_alloc_val(group, value).map_err(GroupError::from))
    }

    /// [`alloc_val`](Self::alloc_val) that returns the error, and the value with it.
    ///
    /// # Errors
    ///
    /// [`GroupError::Unknown`] (FA404) or [`GroupError::Alloc`].
    pub fn try_alloc_val<T: Send + 'static>(
        &self,
        group: GroupId,
        value: T,
    ) -> Result<GroupRef<T>, NotStored<T, GroupError>> {
        let mut value = Some(value);
        self.find(group)
            .ok_or(Refused::Closed)
            .and_then(|found| found.store(&mut value))
            .map_err(|refused| NotStored {
                value: value.expect("what is not stored stays"),
                error: refusal(group, refused),
            })
    }

    /// Stores the default value of a type. See [`alloc_val`](Self::alloc_val).
    ///
    /// # Panics
    ///
    /// As [`alloc_val`](Self::alloc_val).
    #[track_caller]
    pub fn alloc<T: Default + Send + 'static>(&self, group: GroupId) -> GroupRef<T> {
        self.alloc_val(group, T::default())
    }

    /// Stores `len` default values beside each other.
    ///
    /// # Panics
    ///
    /// As [`alloc_val`](Self::alloc_val), and as a `Vec` does if so many have no representable size.
    #[track_caller]
    pub fn alloc_slice<T: Default + Send + 'static>(
        &self,
        group: GroupId,
        len: usize,
    ) -> GroupRef<[T]> {
        self.alloc_slice_from_iter(group, (0..len).map(|_| T::default()))
    }

    /// Stores what an iterator yields, beside each other.
    ///
    /// # Panics
    ///
    /// As [`alloc_val`](Self::alloc_val).
    #[track_caller]
    pub fn alloc_slice_from_iter<T: Send + 'static>(
        &self,
        group: GroupId,
        values: impl IntoIterator<Item = T>,
    ) -> GroupRef<[T]> {
        let values = values.into_iter().collect();
        stored(self.try_alloc_vec(group, values).map_err(GroupError::from))
    }

    /// Stores the elements of a vector beside each other.
    ///
    /// # Errors
    ///
    /// As [`try_alloc_val`](Self::try_alloc_val); the vector comes back then.
    pub fn try_alloc_vec<T: Send + 'static>(
        &self,
        group: GroupId,
        mut values: Vec<T>,
    ) -> Result<GroupRef<[T]>, NotStored<Vec<T>, GroupError>> {
        self.find(group)
            .ok_or(Refused::Closed)
            .and_then(|found| found.store_slice(&mut values))
            .map_err(|refused| NotStored {
                value: values,
                error: refusal(group, refused),
            })
    }

    /// Stores zeroed bytes of this size and alignment.
    ///
    /// # Errors
    ///
    /// [`GroupError::Unknown`] (FA404) or [`GroupError::Alloc`].
    pub fn alloc_layout(
        &self,
        group: GroupId,
        layout: Layout,
    ) -> Result<GroupRef<[u8]>, GroupError> {
        self.find(group)
            .ok_or(Refused::Closed)
            .and_then(|found| found.store_zeroes(layout))
            .map_err(|refused| refusal(group, refused))
    }

    /// Drops everything in a group, and frees its memory. Reports FA404, and frees nothing, if there is no such group;
    /// [`try_free_group`](Self::try_free_group) returns that instead.
    ///
    /// Values are dropped on this thread, the newest first. A value that is borrowed at this moment stays until its last guard
    /// drops, and is dropped there. Destructors may use the allocator, though not the group that is being freed.
    ///
    /// # Panics
    ///
    /// If a destructor does, after all others have run and all memory is freed.
    pub fn free_group(&self, group: GroupId) -> FreedGroup {
        self.try_free_group(group).unwrap_or_default()
    }

    /// [`free_group`](Self::free_group) that returns the error.
    ///
    /// # Errors
    ///
    /// [`GroupError::Unknown`] (FA404).
    pub fn try_free_group(&self, group: GroupId) -> Result<FreedGroup, GroupError> {
        let Some(found) = self.remove(group) else {
            return Err(unknown(group));
        };
        let closed = found.close();
        Ok(FreedGroup {
            values: closed.values,
            bytes: closed.bytes,
        })
    }

    fn remove(&self, id: GroupId) -> Option<Arc<Group>> {
        if id.owner != self.owner {
            return None;
        }
        let mut slots = self.slots.lock();
        let slot = slots.all.get_mut(id.slot as usize)?;
        if slot.generation != id.generation {
            return None;
        }
        let group = slot.group.take()?;
        // A slot whose generation would repeat is not used again.
        if let Some(next) = slot.generation.checked_add(1) {
            slot.generation = next;
            slots.free.push(id.slot);
        }
        Some(group)
    }

    /// Bytes of the values in a group. Zero if there is no such group.
    pub fn group_size(&self, group: GroupId) -> usize {
        self.find(group).map_or(0, |found| found.figures().1)
    }

    /// Values in a group, each slice counted as one. Zero if there is no such group.
    pub fn group_count(&self, group: GroupId) -> usize {
        self.find(group).map_or(0, |found| found.figures().0)
    }

    /// The name that a group was given.
    pub fn group_name(&self, group: GroupId) -> Option<String> {
        Some(self.find(group)?.name.clone())
    }

    /// Whether there is such a group.
    pub fn group_exists(&self, group: GroupId) -> bool {
        self.find(group).is_some()
    }

    /// A group with its allocator, for code that works with one group.
    ///
    /// # Errors
    ///
    /// [`GroupError::Unknown`] (FA404).
    pub fn handle(&self, group: GroupId) -> Result<GroupHandle<'_>, GroupError> {
        match self.group_exists(group) {
            true => Ok(GroupHandle::new(self, group)),
            false => Err(unknown(group)),
        }
    }

    /// Totals over all groups.
    pub fn stats(&self) -> GroupStats {
        let groups: Vec<_> = {
            let slots = self.slots.lock();
            slots
                .all
                .iter()
                .filter_map(|slot| slot.group.clone())
                .collect()
        };
        let mut stats = GroupStats::default();
        for group in groups {
            let (values, bytes, reserved) = group.figures();
            stats.total_groups += 1;
            stats.total_allocations += values;
            stats.total_bytes += bytes;
            stats.reserved_bytes += reserved;
        }
        stats
    }
}

#[cold]
fn unknown(group: GroupId) -> GroupError {
    let error = GroupError::Unknown(group);
    error.report();
    error
}

#[cold]
fn refusal(group: GroupId, refused: Refused) -> GroupError {
    match refused {
        Refused::Closed => unknown(group),
        Refused::Alloc(error) => GroupError::Alloc(error),
    }
}

#[track_caller]
fn stored<T>(result: Result<T, GroupError>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic!("{error}"),
    }
}

impl Default for GroupAllocator {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for GroupAllocator {
    fn drop(&mut self) {
        let mut panic = FirstPanic::default();
        let slots = core::mem::take(&mut self.slots.lock().all);
        for slot in slots {
            if let Some(group) = slot.group {
                panic.run(|| {
                    group.close();
                });
            }
        }
        panic.resume();
    }
}

impl fmt::Debug for GroupAllocator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GroupAllocator")
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}

impl SmartAlloc {
    /// Groups of values that are freed together. See [`GroupAllocator`].
    pub fn groups(&self) -> &GroupAllocator {
        let parts = self.parts();
        parts
            .groups
            .get_or_init(|| GroupAllocator::with_payer(parts.payer.clone()))
    }
}

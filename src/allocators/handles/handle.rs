//! The handle itself.

use core::fmt;
use core::hash::{Hash, Hasher};
use core::marker::PhantomData;
use core::num::NonZero;

/// The part of a handle that is not its type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) slot: u32,
    pub(super) generation: u32,
}

/// Stands for a value of a [`HandleAllocator`](crate::HandleAllocator), wherever the value moves. It is `Copy`, 16 bytes, and
/// never comes to stand for another value: what frees a value makes its handles invalid for good.
pub struct Handle<T> {
    pub(super) key: Key,
    /// Which allocator.
    pub(super) owner: NonZero<u64>,
    /// A writer may put any `T` there, so the type must be the one that was stored. A handle is no `T`, and goes anywhere.
    _invariant: PhantomData<fn(T) -> T>,
}

/// No allocator has this number: they are counted from one.
const NOBODY: NonZero<u64> = NonZero::<u64>::MAX;

impl<T> Handle<T> {
    /// Of a value that `owner` has just stored (H1). This is where handles come from.
    pub(super) const fn new(key: Key, owner: NonZero<u64>) -> Self {
        Self {
            key,
            owner,
            _invariant: PhantomData,
        }
    }

    /// A handle that stands for nothing: every allocator refuses it. It is the default.
    pub const fn dangling() -> Self {
        Self::new(
            Key {
                slot: u32::MAX,
                generation: 0,
            },
            NOBODY,
        )
    }

    /// Whether it was made by [`dangling`](Self::dangling). A handle whose value was freed is not dangling in this sense; ask
    /// [`is_valid`](crate::HandleAllocator::is_valid) about that.
    pub fn is_dangling(&self) -> bool {
        self.owner == NOBODY
    }

    /// The number of its slot. Slots are used again, with the next generation.
    pub fn raw_index(&self) -> u32 {
        self.key.slot
    }

    /// How often its slot was used before.
    pub fn raw_generation(&self) -> u32 {
        self.key.generation
    }
}

impl<T> Copy for Handle<T> {}

impl<T> Clone for Handle<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> PartialEq for Handle<T> {
    fn eq(&self, other: &Self) -> bool {
        (self.key, self.owner) == (other.key, other.owner)
    }
}

impl<T> Eq for Handle<T> {}

impl<T> Hash for Handle<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.key, self.owner).hash(state);
    }
}

impl<T> Default for Handle<T> {
    fn default() -> Self {
        Self::dangling()
    }
}

impl<T> fmt::Debug for Handle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_dangling() {
            return f.write_str("Handle(dangling)");
        }
        let Key { slot, generation } = self.key;
        write!(f, "Handle({slot}.{generation} of allocator {})", self.owner)
    }
}

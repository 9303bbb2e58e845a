//! Collections of fixed capacity in frame memory, and what else collections can live in.

mod frame_map;
mod frame_vec;

pub use crate::allocators::collections::FrameString;
pub use frame_map::FrameMap;
pub use frame_vec::FrameVec;

/// Entries and iterators of a [`FrameMap`].
pub mod map {
    pub use super::frame_map::{
        Drain, Entry, IntoIter, IntoKeys, IntoValues, Iter, IterMut, Keys, OccupiedEntry,
        VacantEntry, Values, ValuesMut,
    };
}

/// Iterators of a [`FrameVec`] and of a slice in frame memory.
pub mod vec {
    pub use super::frame_vec::{Drain, IntoIter};
}

use core::hash::BuildHasher;
use core::iter::{Chain, Once};

use hashbrown::DefaultHashBuilder;

use crate::allocators::traits::{FrameAllocator, HeapAllocator, PoolAllocator};
use crate::error::AllocError;
use crate::smart_alloc::{SmartAlloc, refuse};

/// What an iterator yields that did not fit.
pub type Rest<I> = Chain<Once<<I as Iterator>::Item>, I>;

/// Ends what would take a collection past its capacity.
#[cold]
#[inline(never)]
#[track_caller]
pub(crate) fn full(what: &str, capacity: usize, instead: &str) -> ! {
    panic!(
        "this does not fit a frame {what} of capacity {capacity}, which is for life: make it with more room, call `{instead}`, \
         or take one that grows from a guard (`SmartAlloc::frame`)"
    )
}

/// Collections.
///
/// | collection | grows | lives |
/// |---|---|---|
/// | [`frame_vec`](Self::frame_vec), [`frame_map`](Self::frame_map), [`frame_string`](Self::frame_string) | no | in the open frame; may be kept in structures and returned |
/// | [`ScratchVec`](crate::ScratchVec), [`ScratchMap`](crate::ScratchMap) | yes | in the scope of a guard: [`frame`](Self::frame) |
/// | `Vec` and others with [`frame_allocator`](Self::frame_allocator) | yes | in the open frame; for code that is generic over allocators, or where no lifetime can be named |
impl SmartAlloc {
    /// A vector with room for exactly `capacity` values in the open frame. See [`FrameVec`].
    ///
    /// # Panics
    ///
    /// With FA001 if no frame is open, with FA003 if the arena has reached its limit, and with FA004 if so many values have no
    /// representable size; [`try_frame_vec`](Self::try_frame_vec) returns the error.
    #[inline]
    #[track_caller]
    pub fn frame_vec<T>(&self, capacity: usize) -> FrameVec<'_, T> {
        match self.try_frame_vec(capacity) {
            Ok(vec) => vec,
            Err(error) => refuse(error),
        }
    }

    /// [`frame_vec`](Self::frame_vec) that returns the error.
    ///
    /// # Errors
    ///
    /// As [`frame_slice`](Self::frame_slice).
    #[inline]
    pub fn try_frame_vec<T>(&self, capacity: usize) -> Result<FrameVec<'_, T>, AllocError> {
        FrameVec::with_capacity(self.domain(), capacity)
    }

    /// A hash map with room for exactly `capacity` entries in the open frame. See [`FrameMap`].
    ///
    /// # Panics
    ///
    /// As [`frame_vec`](Self::frame_vec); [`try_frame_map`](Self::try_frame_map) returns the error.
    #[inline]
    #[track_caller]
    pub fn frame_map<K, V>(&self, capacity: usize) -> FrameMap<'_, K, V> {
        self.frame_map_with_hasher(capacity, DefaultHashBuilder::default())
    }

    /// [`frame_map`](Self::frame_map) that returns the error.
    ///
    /// # Errors
    ///
    /// As [`frame_slice`](Self::frame_slice).
    #[inline]
    pub fn try_frame_map<K, V>(&self, capacity: usize) -> Result<FrameMap<'_, K, V>, AllocError> {
        self.try_frame_map_with_hasher(capacity, DefaultHashBuilder::default())
    }

    /// [`frame_map`](Self::frame_map) with a hasher of your choice.
    ///
    /// # Panics
    ///
    /// As [`frame_vec`](Self::frame_vec).
    #[inline]
    #[track_caller]
    pub fn frame_map_with_hasher<K, V, S: BuildHasher>(
        &self,
        capacity: usize,
        hasher: S,
    ) -> FrameMap<'_, K, V, S> {
        match self.try_frame_map_with_hasher(capacity, hasher) {
            Ok(map) => map,
            Err(error) => refuse(error),
        }
    }

    /// [`frame_map_with_hasher`](Self::frame_map_with_hasher) that returns the error.
    ///
    /// # Errors
    ///
    /// As [`frame_slice`](Self::frame_slice).
    pub fn try_frame_map_with_hasher<K, V, S: BuildHasher>(
        &self,
        capacity: usize,
        hasher: S,
    ) -> Result<FrameMap<'_, K, V, S>, AllocError> {
        FrameMap::with_capacity_and_hasher(self.domain(), capacity, hasher)
    }

    /// Text with room for `capacity` bytes in the open frame. See [`FrameString`].
    ///
    /// # Panics
    ///
    /// As [`frame_vec`](Self::frame_vec); [`try_frame_string`](Self::try_frame_string) returns the error.
    #[track_caller]
    pub fn frame_string(&self, capacity: usize) -> FrameString<'_> {
        match self.try_frame_string(capacity) {
            Ok(text) => text,
            Err(error) => refuse(error),
        }
    }

    /// [`frame_string`](Self::frame_string) that returns the error.
    ///
    /// # Errors
    ///
    /// As [`frame_slice`](Self::frame_slice).
    pub fn try_frame_string(&self, capacity: usize) -> Result<FrameString<'_>, AllocError> {
        FrameString::with_capacity(self.domain(), capacity)
    }

    /// This allocator's frames as the allocator of collections. See [`FrameAllocator`].
    pub fn frame_allocator(&self) -> FrameAllocator {
        FrameAllocator::of(self.share_domain())
    }

    /// The pools as the allocator of collections, whose memory counts against this allocator's budgets. See [`PoolAllocator`].
    pub fn pool_allocator(&self) -> PoolAllocator {
        PoolAllocator::of(self.pool())
    }

    /// The heap as the allocator of collections, whose memory counts against this allocator's budgets. See [`HeapAllocator`].
    pub fn heap_allocator(&self) -> HeapAllocator {
        HeapAllocator::of(&self.parts().payer)
    }
}

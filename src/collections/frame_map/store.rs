//! The entries of a map, and the table that finds them.
//!
//! Invariants: the index holds each position of the entries once, under the hash that its entry carries. No code of the user
//! runs while that does not hold, except in [`Store::retain`], which makes it hold again whatever happens.
//!
//! A table that is emptied and filled for ever collects the marks of what was removed from it, and would ask for a larger one
//! in the end. This one is made a quarter larger than it has to be, and written anew when no place without a mark is left,
//! which takes no memory and calls nobody, since the hashes are there.

use core::borrow::Borrow;

use hashbrown::hash_table::{self, HashTable};

use crate::allocators::collections::IndexMemory;
use crate::allocators::domain::Domain;
use crate::collections::frame_vec::{self, FrameVec};
use crate::diagnostics;
use crate::error::AllocError;

pub(super) struct Bucket<K, V> {
    hash: u64,
    pub(super) key: K,
    pub(super) value: V,
}

type Index<'a> = HashTable<u32, IndexMemory<'a>>;
type Entries<'a, K, V> = FrameVec<'a, Bucket<K, V>>;

pub(super) struct Store<'a, K, V> {
    pub(super) entries: Entries<'a, K, V>,
    index: Index<'a>,
}

/// What there is of a key.
pub(super) enum Place<'m, 'a, K, V> {
    /// Its entry.
    At(usize),
    /// Nothing, and no room.
    Full,
    /// Nothing yet.
    Free(FreePlace<'m, 'a, K, V>),
}

/// Room for one entry.
pub(super) struct FreePlace<'m, 'a, K, V> {
    hash: u64,
    slot: hash_table::VacantEntry<'m, u32, IndexMemory<'a>>,
    entries: &'m mut Entries<'a, K, V>,
}

impl<K, V> FreePlace<'_, '_, K, V> {
    #[inline]
    pub(super) fn fill(self, key: K, value: V) {
        let hash = self.hash;
        self.slot.insert(self.entries.len() as u32);
        self.entries.push(Bucket { hash, key, value });
    }
}

impl<'a, K, V> Store<'a, K, V> {
    pub(super) fn with_capacity(domain: &'a Domain, capacity: usize) -> Result<Self, AllocError> {
        if u32::try_from(capacity).is_err() {
            let error = AllocError::overflow::<Bucket<K, V>>(capacity);
            return Err(diagnostics::refused(error));
        }
        let entries = FrameVec::with_capacity(domain, capacity)?;
        let mut index = Index::new_in(IndexMemory::new(domain));
        if capacity != 0 {
            // The table is empty, so there is nothing to hash.
            let reserved = index.try_reserve(capacity + capacity / 4 + 1, |_| 0);
            if reserved.is_err() {
                // Made a slice, it gives its room back, not only its lease.
                drop(entries.into_boxed_slice());
                // Without a refusal, nobody was asked: the size has no representation.
                return Err(IndexMemory::refusal().unwrap_or_else(|| {
                    diagnostics::refused(AllocError::overflow::<Bucket<K, V>>(capacity))
                }));
            }
        }
        Ok(Self { entries, index })
    }

    #[inline]
    pub(super) fn find<Q: ?Sized + Eq>(&self, hash: u64, key: &Q) -> Option<usize>
    where
        K: Borrow<Q>,
    {
        let same = |&at: &u32| self.entries[at as usize].key.borrow() == key;
        self.index.find(hash, same).map(|&at| at as usize)
    }

    /// Looks for a key, and for room if it is not there.
    #[inline]
    pub(super) fn place(&mut self, hash: u64, key: &K) -> Place<'_, 'a, K, V>
    where
        K: Eq,
    {
        if self.entries.is_full() {
            return match self.find(hash, key) {
                Some(at) => Place::At(at),
                None => Place::Full,
            };
        }
        self.make_room();
        let entries = &self.entries;
        let place = self.index.entry(
            hash,
            |&at| entries[at as usize].key == *key,
            |&at| entries[at as usize].hash,
        );
        match place {
            hash_table::Entry::Occupied(entry) => Place::At(*entry.get() as usize),
            hash_table::Entry::Vacant(slot) => Place::Free(FreePlace {
                hash,
                slot,
                entries: &mut self.entries,
            }),
        }
    }

    /// Adds an entry, whose key is not there, to a store that is not full.
    pub(super) fn add(&mut self, hash: u64, key: K, value: V) -> &mut V {
        self.make_room();
        let at = self.entries.len();
        let entries = &self.entries;
        self.index
            .insert_unique(hash, at as u32, |&at| entries[at as usize].hash);
        self.entries.push(Bucket { hash, key, value });
        &mut self.entries[at].value
    }

    /// Makes sure that the index takes one position more without a larger table.
    #[inline]
    fn make_room(&mut self) {
        if self.index.len() == self.index.capacity() {
            self.write_index();
        }
    }

    /// Removes the entry at `at`, which is taken by the last one.
    pub(super) fn remove(&mut self, at: usize) -> (K, V) {
        let hash = self.entries[at].hash;
        self.slot(hash, at).remove();
        let removed = self.entries.swap_remove(at);
        let last = self.entries.len();
        if at != last {
            let hash = self.entries[at].hash;
            *self.slot(hash, last).get_mut() = at as u32;
        }
        (removed.key, removed.value)
    }

    /// The index's slot of the entry at `at`.
    fn slot(
        &mut self,
        hash: u64,
        at: usize,
    ) -> hash_table::OccupiedEntry<'_, u32, IndexMemory<'a>> {
        match self.index.find_entry(hash, |&there| there as usize == at) {
            Ok(slot) => slot,
            Err(_) => panic!("FA901: an entry that its map does not know (please report this)"),
        }
    }

    pub(super) fn clear(&mut self) {
        empty(&mut self.index);
        self.entries.clear();
    }

    pub(super) fn drain(&mut self) -> frame_vec::Drain<'_, Bucket<K, V>> {
        // First, and the entries are taken from the vector at once: should the iterator be forgotten, the map is empty.
        empty(&mut self.index);
        self.entries.drain(..)
    }

    pub(super) fn retain(&mut self, keep: impl FnMut(&mut Bucket<K, V>) -> bool) {
        struct WriteIndex<'m, 'a, K, V>(&'m mut Store<'a, K, V>);
        impl<K, V> Drop for WriteIndex<'_, '_, K, V> {
            fn drop(&mut self) {
                if self.0.index.len() != self.0.entries.len() {
                    self.0.write_index();
                }
            }
        }
        WriteIndex(self).0.entries.retain_mut(keep);
    }

    /// Writes the index anew, from the entries.
    #[cold]
    #[inline(never)]
    fn write_index(&mut self) {
        empty(&mut self.index);
        for (at, entry) in self.entries.iter().enumerate() {
            let hash = |&at: &u32| self.entries[at as usize].hash;
            self.index.insert_unique(entry.hash, at as u32, hash);
        }
        debug_assert!(self.index.len() < self.index.capacity());
    }
}

/// Empties an index, marks and all: `clear` leaves the marks in a table that holds nothing.
fn empty(index: &mut Index<'_>) {
    drop(index.drain());
}

//! Hash maps of fixed capacity.

mod entry;
mod iter;
mod store;
mod traits;

pub use entry::{Entry, OccupiedEntry, VacantEntry};
pub use iter::{Drain, IntoIter, IntoKeys, IntoValues, Iter, IterMut, Keys, Values, ValuesMut};

use core::borrow::Borrow;
use core::hash::{BuildHasher, Hash};
use core::iter::once;
use core::mem;

use hashbrown::DefaultHashBuilder;

use super::{Rest, full};
use crate::allocators::domain::Domain;
use crate::error::AllocError;
use store::{Place, Store};

/// A hash map of fixed capacity in frame memory: a *lease*, as a [`FrameBox`](crate::FrameBox) is.
///
/// One made for `n` entries holds `n`, and never moves. An existing key can be given another value however full the map is.
/// What it holds is dropped with it. It is best dropped before its frame ends; kept longer, it stays valid (FA002). It does
/// not leave its thread.
///
/// Whatever would take it past its capacity panics and says so, or, in a `try_` method, gives the entry back. Where the number
/// of entries is not known beforehand, a [`ScratchMap`](crate::ScratchMap) grows, in the scope of a guard.
///
/// The entries lie side by side, in the order in which they were inserted, which is also that of the iterators: the same in
/// every run. [`remove`](Self::remove) puts the last entry where the removed one was; [`retain`](Self::retain) keeps the order.
/// An entry takes its own size, 8 bytes for the hash, and about 10 for the table.
///
/// ```
/// use framealloc::SmartAlloc;
///
/// let alloc = SmartAlloc::with_defaults();
/// alloc.begin_frame();
/// let mut hits = alloc.frame_map::<&str, u32>(2);
/// for who in ["orc", "elf", "orc"] {
///     *hits.entry(who).or_insert(0) += 1;
/// }
/// assert_eq!(hits["orc"], 2);
/// assert_eq!(hits.try_insert("imp", 1), Err(("imp", 1)));
/// assert!(hits.iter().eq([(&"orc", &2), (&"elf", &1)]));
/// # drop(hits);
/// # alloc.end_frame();
/// ```
pub struct FrameMap<'a, K, V, S = DefaultHashBuilder> {
    store: Store<'a, K, V>,
    hasher: S,
}

impl<'a, K, V, S> FrameMap<'a, K, V, S> {
    pub(crate) fn with_capacity_and_hasher(
        domain: &'a Domain,
        capacity: usize,
        hasher: S,
    ) -> Result<Self, AllocError> {
        Ok(Self {
            store: Store::with_capacity(domain, capacity)?,
            hasher,
        })
    }

    /// How many entries it holds at most.
    pub fn capacity(&self) -> usize {
        self.store.entries.capacity()
    }

    /// How many entries more fit.
    pub fn remaining(&self) -> usize {
        self.store.entries.remaining()
    }

    /// Whether nothing more fits.
    pub fn is_full(&self) -> bool {
        self.store.entries.is_full()
    }

    /// How many entries it holds.
    pub fn len(&self) -> usize {
        self.store.entries.len()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.store.entries.is_empty()
    }

    /// The hasher.
    pub fn hasher(&self) -> &S {
        &self.hasher
    }

    /// Drops all entries.
    pub fn clear(&mut self) {
        self.store.clear();
    }

    /// Drops the entries that `keep` refuses. Should it panic, those that it has not seen stay.
    pub fn retain(&mut self, mut keep: impl FnMut(&K, &mut V) -> bool) {
        self.store
            .retain(|entry| keep(&entry.key, &mut entry.value));
    }

    /// Removes all entries, as an iterator. What it does not yield is dropped with it.
    pub fn drain(&mut self) -> Drain<'_, K, V> {
        Drain::new(self.store.drain())
    }

    /// Keys and values, in the order of the entries.
    pub fn iter(&self) -> Iter<'_, K, V> {
        Iter::new(self.store.entries.iter())
    }

    /// [`iter`](Self::iter) with values that may be changed.
    pub fn iter_mut(&mut self) -> IterMut<'_, K, V> {
        IterMut::new(self.store.entries.iter_mut())
    }

    /// The keys.
    pub fn keys(&self) -> Keys<'_, K, V> {
        Keys::new(self.store.entries.iter())
    }

    /// The values.
    pub fn values(&self) -> Values<'_, K, V> {
        Values::new(self.store.entries.iter())
    }

    /// The values, which may be changed.
    pub fn values_mut(&mut self) -> ValuesMut<'_, K, V> {
        ValuesMut::new(self.store.entries.iter_mut())
    }

    /// The keys, moved out of the map.
    pub fn into_keys(self) -> IntoKeys<'a, K, V> {
        IntoKeys::new(self.store.entries.into_iter())
    }

    /// The values, moved out of the map.
    pub fn into_values(self) -> IntoValues<'a, K, V> {
        IntoValues::new(self.store.entries.into_iter())
    }
}

impl<'a, K: Eq + Hash, V, S: BuildHasher> FrameMap<'a, K, V, S> {
    /// Where the entry of a key lies.
    #[inline]
    fn find<Q: ?Sized + Eq + Hash>(&self, key: &Q) -> Option<usize>
    where
        K: Borrow<Q>,
    {
        if self.is_empty() {
            return None;
        }
        self.store.find(self.hasher.hash_one(key), key)
    }

    /// The value of a key.
    #[inline]
    pub fn get<Q: ?Sized + Eq + Hash>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        let at = self.find(key)?;
        Some(&self.store.entries[at].value)
    }

    /// The value of a key, which may be changed.
    #[inline]
    pub fn get_mut<Q: ?Sized + Eq + Hash>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        let at = self.find(key)?;
        Some(&mut self.store.entries[at].value)
    }

    /// The key that is in the map, and its value.
    pub fn get_key_value<Q: ?Sized + Eq + Hash>(&self, key: &Q) -> Option<(&K, &V)>
    where
        K: Borrow<Q>,
    {
        let entry = &self.store.entries[self.find(key)?];
        Some((&entry.key, &entry.value))
    }

    /// Whether there is an entry with this key.
    #[inline]
    pub fn contains_key<Q: ?Sized + Eq + Hash>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.find(key).is_some()
    }

    /// Gives a key a value, and returns the value that it had. A key that is there already is kept.
    ///
    /// # Panics
    ///
    /// If the map is full and the key is not in it; [`try_insert`](Self::try_insert) gives both back.
    #[inline]
    #[track_caller]
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        let hash = self.hasher.hash_one(&key);
        match self.store.place(hash, &key) {
            Place::At(at) => Some(mem::replace(&mut self.store.entries[at].value, value)),
            Place::Full => full("map", self.capacity(), "try_insert"),
            Place::Free(place) => {
                place.fill(key, value);
                None
            }
        }
    }

    /// Gives a key a value, and returns the value that it had; or gives both back if the map is full and the key is not in it.
    ///
    /// # Errors
    ///
    /// The key and the value.
    #[inline]
    pub fn try_insert(&mut self, key: K, value: V) -> Result<Option<V>, (K, V)> {
        let hash = self.hasher.hash_one(&key);
        match self.store.place(hash, &key) {
            Place::At(at) => Ok(Some(mem::replace(&mut self.store.entries[at].value, value))),
            Place::Full => Err((key, value)),
            Place::Free(place) => {
                place.fill(key, value);
                Ok(None)
            }
        }
    }

    /// A key's place in the map: to look at, fill, change or empty it with one search.
    pub fn entry(&mut self, key: K) -> Entry<'_, 'a, K, V> {
        let hash = self.hasher.hash_one(&key);
        Entry::new(&mut self.store, hash, key)
    }

    /// Removes a key, and returns its value. The last entry takes its place.
    pub fn remove<Q: ?Sized + Eq + Hash>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        self.remove_entry(key).map(|(_, value)| value)
    }

    /// Removes a key, and returns it and its value. The last entry takes its place.
    pub fn remove_entry<Q: ?Sized + Eq + Hash>(&mut self, key: &Q) -> Option<(K, V)>
    where
        K: Borrow<Q>,
    {
        let at = self.find(key)?;
        Some(self.store.remove(at))
    }

    /// Inserts the entries of an iterator, or gives back those that do not fit. Entries with keys that are in the map always
    /// fit, as long as no other came before them.
    ///
    /// # Errors
    ///
    /// An iterator over the first entry that does not fit, and those behind it.
    pub fn try_extend<I: IntoIterator<Item = (K, V)>>(
        &mut self,
        entries: I,
    ) -> Result<(), Rest<I::IntoIter>> {
        let mut entries = entries.into_iter();
        while let Some((key, value)) = entries.next() {
            if let Err(entry) = self.try_insert(key, value) {
                return Err(once(entry).chain(entries));
            }
        }
        Ok(())
    }
}

//! A key's place in a map.

use core::fmt;
use core::mem;

use super::store::Store;
use crate::collections::full;

/// A key's place in a [`FrameMap`](super::FrameMap): see [`FrameMap::entry`](super::FrameMap::entry).
pub enum Entry<'m, 'a, K, V> {
    /// The key is in the map.
    Occupied(OccupiedEntry<'m, 'a, K, V>),
    /// The key is not in the map.
    Vacant(VacantEntry<'m, 'a, K, V>),
}

/// A key that is in the map, and its value.
pub struct OccupiedEntry<'m, 'a, K, V> {
    store: &'m mut Store<'a, K, V>,
    at: usize,
}

/// A key that is not in the map.
pub struct VacantEntry<'m, 'a, K, V> {
    store: &'m mut Store<'a, K, V>,
    hash: u64,
    key: K,
}

impl<'m, 'a, K, V> Entry<'m, 'a, K, V> {
    pub(super) fn new(store: &'m mut Store<'a, K, V>, hash: u64, key: K) -> Self
    where
        K: Eq,
    {
        match store.find(hash, &key) {
            Some(at) => Self::Occupied(OccupiedEntry { store, at }),
            None => Self::Vacant(VacantEntry { store, hash, key }),
        }
    }

    /// The key.
    pub fn key(&self) -> &K {
        match self {
            Self::Occupied(entry) => entry.key(),
            Self::Vacant(entry) => entry.key(),
        }
    }

    /// Changes the value, if there is one.
    #[must_use]
    pub fn and_modify(mut self, change: impl FnOnce(&mut V)) -> Self {
        if let Self::Occupied(entry) = &mut self {
            change(entry.get_mut());
        }
        self
    }

    /// The value, which is `value` if there was none.
    ///
    /// # Panics
    ///
    /// If there was none and the map is full; [`try_or_insert`](Self::try_or_insert) gives key and value back.
    #[inline]
    #[track_caller]
    pub fn or_insert(self, value: V) -> &'m mut V {
        match self {
            Self::Occupied(entry) => entry.into_mut(),
            Self::Vacant(entry) => entry.insert(value),
        }
    }

    /// [`or_insert`](Self::or_insert) that gives key and value back if the map is full.
    ///
    /// # Errors
    ///
    /// The key and the value.
    pub fn try_or_insert(self, value: V) -> Result<&'m mut V, (K, V)> {
        match self {
            Self::Occupied(entry) => Ok(entry.into_mut()),
            Self::Vacant(entry) => entry.try_insert(value),
        }
    }

    /// The value, which is made by `make` if there was none.
    ///
    /// # Panics
    ///
    /// If there was none and the map is full.
    #[inline]
    #[track_caller]
    pub fn or_insert_with(self, make: impl FnOnce() -> V) -> &'m mut V {
        self.or_insert_with_key(|_| make())
    }

    /// The value, which is made by `make` from the key if there was none.
    ///
    /// # Panics
    ///
    /// If there was none and the map is full.
    #[inline]
    #[track_caller]
    pub fn or_insert_with_key(self, make: impl FnOnce(&K) -> V) -> &'m mut V {
        match self {
            Self::Occupied(entry) => entry.into_mut(),
            Self::Vacant(entry) => {
                let value = make(&entry.key);
                entry.insert(value)
            }
        }
    }

    /// The value, which is its type's default if there was none.
    ///
    /// # Panics
    ///
    /// If there was none and the map is full.
    #[inline]
    #[track_caller]
    pub fn or_default(self) -> &'m mut V
    where
        V: Default,
    {
        self.or_insert_with(V::default)
    }
}

impl<'m, K, V> OccupiedEntry<'m, '_, K, V> {
    /// The key that is in the map.
    pub fn key(&self) -> &K {
        &self.store.entries[self.at].key
    }

    /// The value.
    pub fn get(&self) -> &V {
        &self.store.entries[self.at].value
    }

    /// The value, for as long as the entry is borrowed.
    pub fn get_mut(&mut self) -> &mut V {
        &mut self.store.entries[self.at].value
    }

    /// The value, for as long as the map is borrowed.
    pub fn into_mut(self) -> &'m mut V {
        &mut self.store.entries[self.at].value
    }

    /// Replaces the value, and returns the one that was there.
    pub fn insert(&mut self, value: V) -> V {
        mem::replace(self.get_mut(), value)
    }

    /// Removes the entry, and returns its value. The last entry takes its place.
    pub fn remove(self) -> V {
        self.remove_entry().1
    }

    /// Removes the entry, and returns its key and value. The last entry takes its place.
    pub fn remove_entry(self) -> (K, V) {
        self.store.remove(self.at)
    }
}

impl<'m, K, V> VacantEntry<'m, '_, K, V> {
    /// The key.
    pub fn key(&self) -> &K {
        &self.key
    }

    /// The key, given back.
    pub fn into_key(self) -> K {
        self.key
    }

    /// Gives the key a value.
    ///
    /// # Panics
    ///
    /// If the map is full; [`try_insert`](Self::try_insert) gives both back.
    #[inline]
    #[track_caller]
    pub fn insert(self, value: V) -> &'m mut V {
        let capacity = self.store.entries.capacity();
        match self.try_insert(value) {
            Ok(value) => value,
            Err(_) => full("map", capacity, "try_insert"),
        }
    }

    /// Gives the key a value, or gives both back if the map is full.
    ///
    /// # Errors
    ///
    /// The key and the value.
    #[inline]
    pub fn try_insert(self, value: V) -> Result<&'m mut V, (K, V)> {
        let Self { store, hash, key } = self;
        if store.entries.is_full() {
            return Err((key, value));
        }
        Ok(store.add(hash, key, value))
    }
}

impl<K: fmt::Debug, V: fmt::Debug> fmt::Debug for OccupiedEntry<'_, '_, K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OccupiedEntry")
            .field("key", self.key())
            .field("value", self.get())
            .finish_non_exhaustive()
    }
}

impl<K: fmt::Debug, V> fmt::Debug for VacantEntry<'_, '_, K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("VacantEntry").field(&self.key).finish()
    }
}

impl<K: fmt::Debug, V: fmt::Debug> fmt::Debug for Entry<'_, '_, K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Occupied(entry) => f.debug_tuple("Entry").field(entry).finish(),
            Self::Vacant(entry) => f.debug_tuple("Entry").field(entry).finish(),
        }
    }
}

//! What a [`FrameMap`] is to generic code.

use core::borrow::Borrow;
use core::fmt;
use core::hash::{BuildHasher, Hash};
use core::ops::Index;

use super::FrameMap;

/// Panics if the key is not in the map.
impl<K: Eq + Hash + Borrow<Q>, Q: ?Sized + Eq + Hash, V, S: BuildHasher> Index<&Q>
    for FrameMap<'_, K, V, S>
{
    type Output = V;

    #[track_caller]
    fn index(&self, key: &Q) -> &V {
        self.get(key).expect("the key is not in the map")
    }
}

/// Panics if the entries do not fit.
impl<K: Eq + Hash, V, S: BuildHasher> Extend<(K, V)> for FrameMap<'_, K, V, S> {
    #[track_caller]
    fn extend<I: IntoIterator<Item = (K, V)>>(&mut self, entries: I) {
        for (key, value) in entries {
            self.insert(key, value);
        }
    }
}

/// Panics if the entries do not fit.
impl<'e, K: Eq + Hash + Copy, V: Copy, S: BuildHasher> Extend<(&'e K, &'e V)>
    for FrameMap<'_, K, V, S>
{
    #[track_caller]
    fn extend<I: IntoIterator<Item = (&'e K, &'e V)>>(&mut self, entries: I) {
        for (key, value) in entries {
            self.insert(*key, *value);
        }
    }
}

/// Equal if they have the same entries, whatever their order.
impl<K: Eq + Hash, V: PartialEq, S: BuildHasher, R: BuildHasher> PartialEq<FrameMap<'_, K, V, R>>
    for FrameMap<'_, K, V, S>
{
    fn eq(&self, other: &FrameMap<'_, K, V, R>) -> bool {
        self.len() == other.len()
            && self
                .iter()
                .all(|(key, value)| other.get(key).is_some_and(|theirs| value == theirs))
    }
}

impl<K: Eq + Hash, V: Eq, S: BuildHasher> Eq for FrameMap<'_, K, V, S> {}

impl<K: fmt::Debug, V: fmt::Debug, S> fmt::Debug for FrameMap<'_, K, V, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self).finish()
    }
}

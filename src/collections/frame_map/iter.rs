//! Entries of a map, one at a time.

use core::fmt;
use core::iter::FusedIterator;
use core::slice;

use super::FrameMap;
use super::store::Bucket;
use crate::collections::frame_vec;

/// Defines an iterator over entries: what it is made of, what it yields, and how to show what is left.
macro_rules! entries {
    ($(
        $(#[$doc:meta])*
        $name:ident<$lifetime:lifetime>: $inner:ty => |$entry:pat_param| $item:expr, $item_type:ty;
    )*) => {
        $(
            $(#[$doc])*
            pub struct $name<$lifetime, K, V>($inner);

            impl<$lifetime, K, V> $name<$lifetime, K, V> {
                pub(super) fn new(entries: $inner) -> Self {
                    Self(entries)
                }
            }

            impl<$lifetime, K, V> Iterator for $name<$lifetime, K, V> {
                type Item = $item_type;

                #[inline]
                fn next(&mut self) -> Option<Self::Item> {
                    self.0.next().map(|$entry| $item)
                }

                #[inline]
                fn size_hint(&self) -> (usize, Option<usize>) {
                    self.0.size_hint()
                }
            }

            impl<K, V> DoubleEndedIterator for $name<'_, K, V> {
                #[inline]
                fn next_back(&mut self) -> Option<Self::Item> {
                    self.0.next_back().map(|$entry| $item)
                }
            }

            impl<K, V> ExactSizeIterator for $name<'_, K, V> {}
            impl<K, V> FusedIterator for $name<'_, K, V> {}

            impl<K: fmt::Debug, V: fmt::Debug> fmt::Debug for $name<'_, K, V> {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    let left = self.0.as_slice().iter();
                    f.debug_map().entries(left.map(|entry| (&entry.key, &entry.value))).finish()
                }
            }
        )*
    };
}

entries! {
    /// The entries of a map.
    Iter<'m>: slice::Iter<'m, Bucket<K, V>> => |entry| (&entry.key, &entry.value), (&'m K, &'m V);
    /// The entries of a map, whose values may be changed.
    IterMut<'m>: slice::IterMut<'m, Bucket<K, V>> => |entry| (&entry.key, &mut entry.value), (&'m K, &'m mut V);
    /// The keys of a map.
    Keys<'m>: slice::Iter<'m, Bucket<K, V>> => |entry| &entry.key, &'m K;
    /// The values of a map.
    Values<'m>: slice::Iter<'m, Bucket<K, V>> => |entry| &entry.value, &'m V;
    /// The values of a map, which may be changed.
    ValuesMut<'m>: slice::IterMut<'m, Bucket<K, V>> => |entry| &mut entry.value, &'m mut V;
    /// The entries of a map, moved out of it. What it does not yield is dropped with it.
    IntoIter<'a>: frame_vec::IntoIter<'a, Bucket<K, V>> => |entry| (entry.key, entry.value), (K, V);
    /// The keys of a map, moved out of it.
    IntoKeys<'a>: frame_vec::IntoIter<'a, Bucket<K, V>> => |entry| entry.key, K;
    /// The values of a map, moved out of it.
    IntoValues<'a>: frame_vec::IntoIter<'a, Bucket<K, V>> => |entry| entry.value, V;
    /// All entries of a map that stays. See [`FrameMap::drain`].
    Drain<'m>: frame_vec::Drain<'m, Bucket<K, V>> => |entry| (entry.key, entry.value), (K, V);
}

impl<K, V> Clone for Iter<'_, K, V> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<K, V> Clone for Keys<'_, K, V> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<K, V> Clone for Values<'_, K, V> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<'a, K, V, S> IntoIterator for FrameMap<'a, K, V, S> {
    type Item = (K, V);
    type IntoIter = IntoIter<'a, K, V>;

    fn into_iter(self) -> IntoIter<'a, K, V> {
        IntoIter::new(self.store.entries.into_iter())
    }
}

impl<'m, K, V, S> IntoIterator for &'m FrameMap<'_, K, V, S> {
    type Item = (&'m K, &'m V);
    type IntoIter = Iter<'m, K, V>;

    fn into_iter(self) -> Iter<'m, K, V> {
        self.iter()
    }
}

impl<'m, K, V, S> IntoIterator for &'m mut FrameMap<'_, K, V, S> {
    type Item = (&'m K, &'m mut V);
    type IntoIter = IterMut<'m, K, V>;

    fn into_iter(self) -> IterMut<'m, K, V> {
        self.iter_mut()
    }
}

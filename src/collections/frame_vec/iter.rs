//! Values of vectors and slices, one at a time.

use core::fmt;
use core::iter::FusedIterator;

use allocator_api2::vec;

use super::FrameVec;
use crate::allocators::collections::{Leased, vec_from_slice};
use crate::allocators::lease::FrameBox;

/// The values of a [`FrameVec`] or of a slice in frame memory, moved out of it. What it does not yield is dropped with it.
pub struct IntoIter<'a, T>(vec::IntoIter<T, Leased<'a>>);

/// A range of values, moved out of a [`FrameVec`]. See [`FrameVec::drain`].
pub struct Drain<'v, T>(vec::Drain<'v, T, Leased<'v>>);

impl<T> IntoIter<'_, T> {
    /// The values that are left.
    pub fn as_slice(&self) -> &[T] {
        self.0.as_slice()
    }

    /// The values that are left.
    pub fn as_mut_slice(&mut self) -> &mut [T] {
        self.0.as_mut_slice()
    }
}

impl<'v, T> Drain<'v, T> {
    pub(super) fn new(values: vec::Drain<'v, T, Leased<'v>>) -> Self {
        Self(values)
    }

    /// The values that are left.
    pub fn as_slice(&self) -> &[T] {
        self.0.as_slice()
    }
}

macro_rules! iterate_values {
    ($($name:ident)*) => {
        $(
            impl<T> Iterator for $name<'_, T> {
                type Item = T;

                #[inline]
                fn next(&mut self) -> Option<T> {
                    self.0.next()
                }

                #[inline]
                fn size_hint(&self) -> (usize, Option<usize>) {
                    self.0.size_hint()
                }
            }

            impl<T> DoubleEndedIterator for $name<'_, T> {
                #[inline]
                fn next_back(&mut self) -> Option<T> {
                    self.0.next_back()
                }
            }

            impl<T> ExactSizeIterator for $name<'_, T> {}
            impl<T> FusedIterator for $name<'_, T> {}

            impl<T: fmt::Debug> fmt::Debug for $name<'_, T> {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    f.debug_tuple(stringify!($name)).field(&self.as_slice()).finish()
                }
            }
        )*
    };
}

iterate_values!(IntoIter Drain);

impl<'a, T> IntoIterator for FrameVec<'a, T> {
    type Item = T;
    type IntoIter = IntoIter<'a, T>;

    fn into_iter(self) -> IntoIter<'a, T> {
        IntoIter(self.values.into_iter())
    }
}

impl<'a, T> IntoIterator for FrameBox<'a, [T]> {
    type Item = T;
    type IntoIter = IntoIter<'a, T>;

    fn into_iter(self) -> IntoIter<'a, T> {
        IntoIter(vec_from_slice(self).into_iter())
    }
}

macro_rules! iterate_references {
    ($($name:ty)*) => {
        $(
            impl<'v, T> IntoIterator for &'v $name {
                type Item = &'v T;
                type IntoIter = core::slice::Iter<'v, T>;

                fn into_iter(self) -> Self::IntoIter {
                    self.iter()
                }
            }

            impl<'v, T> IntoIterator for &'v mut $name {
                type Item = &'v mut T;
                type IntoIter = core::slice::IterMut<'v, T>;

                fn into_iter(self) -> Self::IntoIter {
                    self.iter_mut()
                }
            }
        )*
    };
}

iterate_references!(FrameVec<'_, T> FrameBox<'_, [T]>);

//! What a [`FrameVec`] is to generic code: a slice that can be appended to.

use core::borrow::{Borrow, BorrowMut};
use core::cmp::Ordering;
use core::fmt;
use core::hash::{Hash, Hasher};
use core::ops::{Deref, DerefMut, Index, IndexMut};
use core::slice::SliceIndex;
use std::io;

use super::FrameVec;

impl<T> Deref for FrameVec<'_, T> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        &self.values
    }
}

impl<T> DerefMut for FrameVec<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.values
    }
}

impl<T, I: SliceIndex<[T]>> Index<I> for FrameVec<'_, T> {
    type Output = I::Output;

    #[inline]
    fn index(&self, index: I) -> &I::Output {
        &self.as_slice()[index]
    }
}

impl<T, I: SliceIndex<[T]>> IndexMut<I> for FrameVec<'_, T> {
    #[inline]
    fn index_mut(&mut self, index: I) -> &mut I::Output {
        &mut self.as_mut_slice()[index]
    }
}

/// Panics if the values do not fit.
impl<T> Extend<T> for FrameVec<'_, T> {
    #[track_caller]
    fn extend<I: IntoIterator<Item = T>>(&mut self, values: I) {
        for value in values {
            self.push(value);
        }
    }
}

/// Panics if the values do not fit.
impl<'v, T: Copy> Extend<&'v T> for FrameVec<'_, T> {
    #[track_caller]
    fn extend<I: IntoIterator<Item = &'v T>>(&mut self, values: I) {
        for value in values {
            self.push(*value);
        }
    }
}

/// Writes as much as fits: `write_all` fails with `WriteZero` where that is not all.
impl io::Write for FrameVec<'_, u8> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let fits = bytes.len().min(self.remaining());
        self.extend_from_slice_copy(&bytes[..fits]);
        Ok(fits)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<T: fmt::Debug> fmt::Debug for FrameVec<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_slice().fmt(f)
    }
}

impl<T: PartialEq<U>, U> PartialEq<FrameVec<'_, U>> for FrameVec<'_, T> {
    fn eq(&self, other: &FrameVec<'_, U>) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl<T: Eq> Eq for FrameVec<'_, T> {}

macro_rules! equal_to {
    ($($(const $n:ident: $usize:ty,)? $other:ty;)*) => {
        $(
            impl<T: PartialEq<U>, U $(, const $n: $usize)?> PartialEq<$other> for FrameVec<'_, T> {
                fn eq(&self, other: &$other) -> bool {
                    self.as_slice() == &other[..]
                }
            }
        )*
    };
}

equal_to! {
    [U];
    &[U];
    &mut [U];
    Vec<U>;
    const N: usize, [U; N];
    const N: usize, &[U; N];
}

impl<T: PartialOrd> PartialOrd for FrameVec<'_, T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        self.as_slice().partial_cmp(other.as_slice())
    }
}

impl<T: Ord> Ord for FrameVec<'_, T> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_slice().cmp(other.as_slice())
    }
}

impl<T: Hash> Hash for FrameVec<'_, T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_slice().hash(state);
    }
}

impl<T> AsRef<[T]> for FrameVec<'_, T> {
    fn as_ref(&self) -> &[T] {
        self
    }
}

impl<T> AsMut<[T]> for FrameVec<'_, T> {
    fn as_mut(&mut self) -> &mut [T] {
        self
    }
}

impl<T> Borrow<[T]> for FrameVec<'_, T> {
    fn borrow(&self) -> &[T] {
        self
    }
}

impl<T> BorrowMut<[T]> for FrameVec<'_, T> {
    fn borrow_mut(&mut self) -> &mut [T] {
        self
    }
}

//! Vectors of fixed capacity.

mod iter;
mod traits;

pub use iter::{Drain, IntoIter};

use core::iter::once;
use core::ops::RangeBounds;

use allocator_api2::vec::Vec;

use super::{Rest, full};
use crate::allocators::collections::{
    Leased, extend_copy, into_slice, vec_from_slice, vec_with_capacity,
};
use crate::allocators::domain::Domain;
use crate::allocators::lease::FrameSlice;
use crate::error::AllocError;

/// A vector of fixed capacity in frame memory: a *lease*, as a [`FrameBox`](crate::FrameBox) is.
///
/// One made for `n` values holds `n`, and never moves. What it holds is dropped with it. It is best dropped before its frame
/// ends; kept longer, it stays valid (FA002). It does not leave its thread.
///
/// Whatever would take it past its capacity panics and says so, or, in a `try_` method, gives the values back. Where the number
/// of values is not known beforehand, a [`ScratchVec`](crate::ScratchVec) grows, in the scope of a guard;
/// [`frame_slice_from_iter`](crate::SmartAlloc::frame_slice_from_iter) collects an iterator of any length.
///
/// What it shares with the standard library's `Vec` it does in the same way, and it derefs to a slice.
///
/// ```
/// use framealloc::SmartAlloc;
///
/// let alloc = SmartAlloc::with_defaults();
/// alloc.begin_frame();
/// let mut near = alloc.frame_vec::<u32>(3);
/// near.push(7);
/// near.extend([1, 4]);
/// assert_eq!(near.try_push(9), Err(9));
/// near.sort_unstable();
/// assert_eq!(near, [1, 4, 7]);
/// # drop(near);
/// # alloc.end_frame();
/// ```
pub struct FrameVec<'a, T> {
    /// Never longer than `capacity()`, so it never grows.
    values: Vec<T, Leased<'a>>,
    /// What a vector of values without a size was made for: its own capacity is without bounds.
    without_size: usize,
}

impl<'a, T> FrameVec<'a, T> {
    #[inline]
    pub(crate) fn with_capacity(domain: &'a Domain, capacity: usize) -> Result<Self, AllocError> {
        Ok(Self {
            values: vec_with_capacity(domain, capacity)?,
            without_size: capacity,
        })
    }

    /// How many values it holds at most.
    #[inline]
    pub fn capacity(&self) -> usize {
        if size_of::<T>() == 0 {
            self.without_size
        } else {
            self.values.capacity()
        }
    }

    /// How many values more fit.
    #[inline]
    pub fn remaining(&self) -> usize {
        self.capacity() - self.values.len()
    }

    /// Whether nothing more fits.
    #[inline]
    pub fn is_full(&self) -> bool {
        self.values.len() == self.capacity()
    }

    /// How many values it holds.
    #[inline]
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether it holds none.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The values.
    #[inline]
    pub fn as_slice(&self) -> &[T] {
        &self.values
    }

    /// The values.
    #[inline]
    pub fn as_mut_slice(&mut self) -> &mut [T] {
        &mut self.values
    }

    /// Appends a value.
    ///
    /// # Panics
    ///
    /// If it is full; [`try_push`](Self::try_push) gives the value back.
    #[inline]
    #[track_caller]
    pub fn push(&mut self, value: T) {
        if self.is_full() {
            full("vector", self.capacity(), "try_push");
        }
        self.values.push(value);
    }

    /// Appends a value, or gives it back if the vector is full.
    ///
    /// # Errors
    ///
    /// The value.
    #[inline]
    pub fn try_push(&mut self, value: T) -> Result<(), T> {
        if self.is_full() {
            return Err(value);
        }
        self.values.push(value);
        Ok(())
    }

    /// Removes the last value.
    #[inline]
    pub fn pop(&mut self) -> Option<T> {
        self.values.pop()
    }

    /// Inserts a value before the one at `index`.
    ///
    /// # Panics
    ///
    /// If it is full, or if `index` is greater than its length.
    #[track_caller]
    pub fn insert(&mut self, index: usize, value: T) {
        if self.is_full() {
            full("vector", self.capacity(), "try_insert");
        }
        self.values.insert(index, value);
    }

    /// Inserts a value before the one at `index`, or gives it back if the vector is full.
    ///
    /// # Errors
    ///
    /// The value.
    ///
    /// # Panics
    ///
    /// If there is room, and `index` is greater than the length.
    #[track_caller]
    pub fn try_insert(&mut self, index: usize, value: T) -> Result<(), T> {
        if self.is_full() {
            return Err(value);
        }
        self.values.insert(index, value);
        Ok(())
    }

    /// Removes the value at `index`; those behind it move up.
    ///
    /// # Panics
    ///
    /// If there is none.
    #[track_caller]
    pub fn remove(&mut self, index: usize) -> T {
        self.values.remove(index)
    }

    /// Removes the value at `index`; the last one takes its place.
    ///
    /// # Panics
    ///
    /// If there is none.
    #[inline]
    #[track_caller]
    pub fn swap_remove(&mut self, index: usize) -> T {
        self.values.swap_remove(index)
    }

    /// Drops all values.
    pub fn clear(&mut self) {
        self.values.clear();
    }

    /// Drops all values but the first `len`.
    pub fn truncate(&mut self, len: usize) {
        self.values.truncate(len);
    }

    /// Drops the values that `keep` refuses. Should it panic, those that it has not seen stay.
    pub fn retain(&mut self, keep: impl FnMut(&T) -> bool) {
        self.values.retain(keep);
    }

    /// [`retain`](Self::retain) with a function that may change what it keeps.
    pub fn retain_mut(&mut self, keep: impl FnMut(&mut T) -> bool) {
        self.values.retain_mut(keep);
    }

    /// Drops values that equal the one before them.
    pub fn dedup(&mut self)
    where
        T: PartialEq,
    {
        self.values.dedup();
    }

    /// Drops values that `same` finds to be the same as the one before them, which it is given second.
    pub fn dedup_by(&mut self, same: impl FnMut(&mut T, &mut T) -> bool) {
        self.values.dedup_by(same);
    }

    /// Drops values whose key equals that of the one before them.
    pub fn dedup_by_key<K: PartialEq>(&mut self, key: impl FnMut(&mut T) -> K) {
        self.values.dedup_by_key(key);
    }

    /// Removes a range of values, as an iterator. What it does not yield is dropped with it; should it be forgotten, values of
    /// the range and behind it may be leaked.
    ///
    /// # Panics
    ///
    /// If the range ends beyond the length, or before it starts.
    #[track_caller]
    pub fn drain(&mut self, range: impl RangeBounds<usize>) -> Drain<'_, T> {
        Drain::new(self.values.drain(range))
    }

    /// Moves all values of `other` to the end.
    ///
    /// # Panics
    ///
    /// If they do not all fit; then none is moved.
    #[track_caller]
    pub fn append(&mut self, other: &mut FrameVec<'a, T>) {
        if other.len() > self.remaining() {
            full("vector", self.capacity(), "extend_from_iter");
        }
        self.values.append(&mut other.values);
    }

    /// Appends values of an iterator until the vector is full or the iterator ends, and returns how many. What does not fit is
    /// not asked for: pass `&mut iterator` to go on with the rest.
    pub fn extend_from_iter(&mut self, values: impl IntoIterator<Item = T>) -> usize {
        let before = self.len();
        let mut values = values.into_iter();
        while !self.is_full() {
            match values.next() {
                Some(value) => self.values.push(value),
                None => break,
            }
        }
        self.len() - before
    }

    /// Appends the values of an iterator, or gives back those that do not fit.
    ///
    /// # Errors
    ///
    /// An iterator over the values that do not fit.
    ///
    /// ```
    /// # let alloc = framealloc::SmartAlloc::with_defaults();
    /// # alloc.begin_frame();
    /// let mut few = alloc.frame_vec(2);
    /// let rest = few.try_extend(1..=5).unwrap_err();
    /// assert_eq!(few, [1, 2]);
    /// assert!(rest.eq([3, 4, 5]));
    /// # drop(few);
    /// # alloc.end_frame();
    /// ```
    pub fn try_extend<I: IntoIterator<Item = T>>(
        &mut self,
        values: I,
    ) -> Result<(), Rest<I::IntoIter>> {
        let mut values = values.into_iter();
        self.extend_from_iter(&mut values);
        match values.next() {
            Some(value) => Err(once(value).chain(values)),
            None => Ok(()),
        }
    }

    /// Appends clones of values.
    ///
    /// # Panics
    ///
    /// If they do not all fit; then none is cloned.
    #[track_caller]
    pub fn extend_from_slice(&mut self, values: &[T])
    where
        T: Clone,
    {
        if values.len() > self.remaining() {
            full("vector", self.capacity(), "extend_from_iter");
        }
        self.values.extend_from_slice(values);
    }

    /// Appends copies of values, in one step.
    ///
    /// # Panics
    ///
    /// If they do not all fit; then none is copied.
    #[inline]
    #[track_caller]
    pub fn extend_from_slice_copy(&mut self, values: &[T])
    where
        T: Copy,
    {
        if values.len() > self.remaining() {
            full("vector", self.capacity(), "extend_from_iter");
        }
        extend_copy(&mut self.values, values);
    }

    /// Makes it `len` long, with clones of `value` where it has to become longer.
    ///
    /// # Panics
    ///
    /// If `len` is greater than the capacity.
    #[track_caller]
    pub fn resize(&mut self, len: usize, value: T)
    where
        T: Clone,
    {
        if len > self.capacity() {
            full("vector", self.capacity(), "extend_from_iter");
        }
        self.values.resize(len, value);
    }

    /// Makes it `len` long, with values made by `fill` where it has to become longer.
    ///
    /// # Panics
    ///
    /// If `len` is greater than the capacity.
    #[track_caller]
    pub fn resize_with(&mut self, len: usize, fill: impl FnMut() -> T) {
        if len > self.capacity() {
            full("vector", self.capacity(), "extend_from_iter");
        }
        self.values.resize_with(len, fill);
    }

    /// The values as a slice that owns them. Room that it does not need is given back.
    pub fn into_boxed_slice(self) -> FrameSlice<'a, T> {
        into_slice(self.values)
    }

    /// Gives up the lease: the values stay where they are until the allocator is dropped, and their destructors never run.
    pub fn leak(self) -> &'a mut [T] {
        self.into_boxed_slice().leak()
    }
}

/// A full vector, where the slice is.
impl<'a, T> From<FrameSlice<'a, T>> for FrameVec<'a, T> {
    fn from(slice: FrameSlice<'a, T>) -> Self {
        Self {
            without_size: slice.len(),
            values: vec_from_slice(slice),
        }
    }
}

impl<'a, T> From<FrameVec<'a, T>> for FrameSlice<'a, T> {
    fn from(vec: FrameVec<'a, T>) -> Self {
        vec.into_boxed_slice()
    }
}

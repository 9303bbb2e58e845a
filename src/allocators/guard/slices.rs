//! Slices and text in a guard's memory.

use core::alloc::Layout;
use core::fmt;
use core::mem::MaybeUninit;
use core::ptr::NonNull;
use core::slice;

use super::{Frame, exhausted, refuse_destructors};
use crate::allocators::building::{self, Place, SliceBuilder};
use crate::diagnostics;
use crate::error::AllocError;

/// The value, or a panic with the error's code and remedy.
#[inline(always)]
#[track_caller]
fn or_panic<T>(result: Result<T, AllocError>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => exhausted(error),
    }
}

#[expect(
    clippy::mut_from_ref,
    reason = "each call returns another block, bounded by the borrow of the guard"
)]
impl Frame<'_> {
    /// Room for `len` values, not filled.
    ///
    /// # Panics
    ///
    /// As [`alloc`](Self::alloc), and with FA004 if so many values have no representable size.
    #[inline(always)]
    #[track_caller]
    pub fn alloc_slice_uninit<T>(&self, len: usize) -> &mut [MaybeUninit<T>] {
        or_panic(self.try_alloc_slice_uninit(len))
    }

    /// [`alloc_slice_uninit`](Self::alloc_slice_uninit) that returns the error.
    ///
    /// # Errors
    ///
    /// As [`try_alloc`](Self::try_alloc), and [`CapacityOverflow`](crate::AllocErrorKind::CapacityOverflow) (FA004) if so
    /// many values have no representable size.
    #[inline(always)]
    pub fn try_alloc_slice_uninit<T>(
        &self,
        len: usize,
    ) -> Result<&mut [MaybeUninit<T>], AllocError> {
        let block = if size_of::<T>() == 0 || len == 0 {
            NonNull::dangling()
        } else {
            let layout = Layout::array::<T>(len)
                .map_err(|_| diagnostics::refused(AllocError::overflow::<T>(len)))?;
            self.bump(layout)?.cast::<MaybeUninit<T>>()
        };
        // SAFETY: a fresh block of so many elements, bounded by the borrow of the guard, which frees it.
        Ok(unsafe { slice::from_raw_parts_mut(block.as_ptr(), len) })
    }

    /// A copy of `values`.
    ///
    /// # Panics
    ///
    /// As [`alloc`](Self::alloc).
    #[inline(always)]
    #[track_caller]
    pub fn alloc_slice_copy<T: Copy>(&self, values: &[T]) -> &mut [T] {
        or_panic(self.try_alloc_slice_copy(values))
    }

    /// [`alloc_slice_copy`](Self::alloc_slice_copy) that returns the error.
    ///
    /// # Errors
    ///
    /// As [`try_alloc`](Self::try_alloc).
    #[inline(always)]
    pub fn try_alloc_slice_copy<T: Copy>(&self, values: &[T]) -> Result<&mut [T], AllocError> {
        Ok(self
            .try_alloc_slice_uninit(values.len())?
            .write_copy_of_slice(values))
    }

    /// `len` copies of `value`.
    ///
    /// # Panics
    ///
    /// As [`alloc_slice_uninit`](Self::alloc_slice_uninit).
    #[inline(always)]
    #[track_caller]
    pub fn alloc_slice_fill<T: Copy>(&self, len: usize, value: T) -> &mut [T] {
        self.alloc_slice_fill_with(len, |_| value)
    }

    /// [`alloc_slice_fill`](Self::alloc_slice_fill) that returns the error.
    ///
    /// # Errors
    ///
    /// As [`try_alloc_slice_uninit`](Self::try_alloc_slice_uninit).
    #[inline(always)]
    pub fn try_alloc_slice_fill<T: Copy>(
        &self,
        len: usize,
        value: T,
    ) -> Result<&mut [T], AllocError> {
        self.try_alloc_slice_fill_with(len, |_| value)
    }

    /// `len` values made by `build`, which is given their indices.
    ///
    /// # Panics
    ///
    /// As [`alloc_slice_uninit`](Self::alloc_slice_uninit).
    #[inline(always)]
    #[track_caller]
    pub fn alloc_slice_fill_with<T>(&self, len: usize, build: impl FnMut(usize) -> T) -> &mut [T] {
        or_panic(self.try_alloc_slice_fill_with(len, build))
    }

    /// [`alloc_slice_fill_with`](Self::alloc_slice_fill_with) that returns the error.
    ///
    /// # Errors
    ///
    /// As [`try_alloc_slice_uninit`](Self::try_alloc_slice_uninit); `build` is not called then.
    #[inline(always)]
    pub fn try_alloc_slice_fill_with<T>(
        &self,
        len: usize,
        mut build: impl FnMut(usize) -> T,
    ) -> Result<&mut [T], AllocError> {
        const { refuse_destructors::<T>() };
        let slice = self.try_alloc_slice_uninit(len)?;
        for (index, place) in slice.iter_mut().enumerate() {
            place.write(build(index));
        }
        // SAFETY: every element was written.
        Ok(unsafe { slice.assume_init_mut() })
    }

    /// The values of an iterator of any length.
    ///
    /// The block grows in place while nothing else is allocated from the guard, and what it does not need stays free.
    ///
    /// # Panics
    ///
    /// As [`alloc_slice_uninit`](Self::alloc_slice_uninit).
    #[inline]
    #[track_caller]
    pub fn alloc_slice_from_iter<T>(&self, values: impl IntoIterator<Item = T>) -> &mut [T] {
        or_panic(self.try_alloc_slice_from_iter(values))
    }

    /// [`alloc_slice_from_iter`](Self::alloc_slice_from_iter) that returns the error.
    ///
    /// # Errors
    ///
    /// As [`try_alloc_slice_uninit`](Self::try_alloc_slice_uninit).
    #[inline]
    pub fn try_alloc_slice_from_iter<T>(
        &self,
        values: impl IntoIterator<Item = T>,
    ) -> Result<&mut [T], AllocError> {
        const { refuse_destructors::<T>() };
        let values = values.into_iter();
        let mut slice = SliceBuilder::with_capacity(self, values.size_hint().0)?;
        slice.extend(values)?;
        // SAFETY: the builder's block, bounded by the borrow of the guard, which frees it.
        Ok(unsafe { slice.finish().as_mut() })
    }

    /// A copy of `text`.
    ///
    /// # Panics
    ///
    /// As [`alloc`](Self::alloc).
    #[inline]
    #[track_caller]
    pub fn alloc_str(&self, text: &str) -> &mut str {
        or_panic(self.try_alloc_str(text))
    }

    /// [`alloc_str`](Self::alloc_str) that returns the error.
    ///
    /// # Errors
    ///
    /// As [`try_alloc`](Self::try_alloc).
    #[inline]
    pub fn try_alloc_str(&self, text: &str) -> Result<&mut str, AllocError> {
        let bytes = self.try_alloc_slice_copy(text.as_bytes())?;
        // SAFETY: a copy of a `str`.
        Ok(unsafe { core::str::from_utf8_unchecked_mut(bytes) })
    }

    /// Formatted text: what `format!` is for the heap.
    ///
    /// ```
    /// let alloc = framealloc::SmartAlloc::with_defaults();
    /// let frame = alloc.frame();
    /// assert_eq!(frame.alloc_fmt(format_args!("{:>4}", 42)), "  42");
    /// ```
    ///
    /// # Panics
    ///
    /// As [`alloc`](Self::alloc), and as `format!` if a formatting trait returns an error.
    #[track_caller]
    pub fn alloc_fmt(&self, text: fmt::Arguments<'_>) -> &mut str {
        or_panic(self.try_alloc_fmt(text))
    }

    /// [`alloc_fmt`](Self::alloc_fmt) that returns the error.
    ///
    /// # Errors
    ///
    /// As [`try_alloc`](Self::try_alloc).
    ///
    /// # Panics
    ///
    /// As `format!`, if a formatting trait returns an error.
    pub fn try_alloc_fmt(&self, text: fmt::Arguments<'_>) -> Result<&mut str, AllocError> {
        let mut bytes = building::format(self, text)?.finish();
        // SAFETY: the builder's block, bounded by the borrow of the guard, which frees it; it holds formatted text.
        Ok(unsafe { core::str::from_utf8_unchecked_mut(bytes.as_mut()) })
    }
}

impl Place for &Frame<'_> {
    fn take(self, layout: Layout) -> Result<NonNull<u8>, AllocError> {
        self.bump(layout)
    }

    unsafe fn resize(self, block: NonNull<u8>, old: usize, new: usize) -> bool {
        // SAFETY: the caller's contract.
        unsafe { self.resize_last(block, old, new) }
    }

    unsafe fn give_back(self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: the caller's contract.
        unsafe { self.free_block(block, layout) }
    }

    unsafe fn give_back_rest(self, _: NonNull<u8>, _: Layout, _: usize) {
        // Freed with the guard.
    }
}

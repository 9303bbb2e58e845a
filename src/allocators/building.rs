//! Slices and text of unknown length, built in frame memory.
//!
//! A builder owns its block and elements, so that the code which makes the elements may do as it likes: allocate, end the
//! frame, or panic.

use core::alloc::Layout;
use core::fmt;
use core::marker::PhantomData;
use core::mem;
use core::ptr::{self, NonNull};

use crate::diagnostics;
use crate::error::AllocError;

/// Where a slice is built. Layouts and sizes are never empty.
pub(crate) trait Place: Copy {
    /// A block.
    fn take(self, layout: Layout) -> Result<NonNull<u8>, AllocError>;

    /// Moves the end of a block of `old` bytes, if nothing lies behind it.
    ///
    /// # Safety
    ///
    /// The block is the caller's, and `old` bytes large.
    unsafe fn resize(self, block: NonNull<u8>, old: usize, new: usize) -> bool;

    /// Takes a block back.
    ///
    /// # Safety
    ///
    /// The block is the caller's, of this layout, and not used any more.
    unsafe fn give_back(self, block: NonNull<u8>, layout: Layout);

    /// Takes the end of a block back that [`resize`](Self::resize) could not move.
    ///
    /// # Safety
    ///
    /// The block is the caller's, of this layout, of which no more than `new` bytes are used any more.
    unsafe fn give_back_rest(self, block: NonNull<u8>, old: Layout, new: usize);
}

/// A slice under construction.
pub(crate) struct SliceBuilder<P: Place, T> {
    place: P,
    start: NonNull<T>,
    capacity: usize,
    len: usize,
    _owned: PhantomData<T>,
}

impl<P: Place, T> SliceBuilder<P, T> {
    pub(crate) fn with_capacity(place: P, capacity: usize) -> Result<Self, AllocError> {
        let mut builder = Self {
            place,
            start: NonNull::dangling(),
            capacity: if size_of::<T>() == 0 { usize::MAX } else { 0 },
            len: 0,
            _owned: PhantomData,
        };
        if capacity > builder.capacity {
            builder.grow_to(capacity)?;
        }
        Ok(builder)
    }

    /// The block's layout, if there is a block.
    fn layout(&self) -> Option<Layout> {
        let layout = Layout::array::<T>(self.capacity).ok()?;
        (layout.size() != 0).then_some(layout)
    }

    #[cold]
    fn grow_to(&mut self, capacity: usize) -> Result<(), AllocError> {
        let new = Layout::array::<T>(capacity)
            .map_err(|_| diagnostics::refused(AllocError::overflow::<T>(capacity)))?;
        if let Some(old) = self.layout() {
            // SAFETY: the block is the builder's.
            if unsafe { self.place.resize(self.start.cast(), old.size(), new.size()) } {
                self.capacity = capacity;
                return Ok(());
            }
        }
        let fresh = self.place.take(new)?.cast::<T>();
        // SAFETY: the fresh block holds at least as many elements, and they do not overlap.
        unsafe { ptr::copy_nonoverlapping(self.start.as_ptr(), fresh.as_ptr(), self.len) };
        self.give_back();
        self.start = fresh;
        self.capacity = capacity;
        Ok(())
    }

    fn give_back(&mut self) {
        if let Some(layout) = self.layout() {
            // SAFETY: the block is the builder's, and its elements are moved away or dropped.
            unsafe { self.place.give_back(self.start.cast(), layout) };
            self.capacity = 0;
        }
    }

    /// Appends one element. If there is no memory for it, it is dropped, and what was built before stays.
    #[inline]
    pub(crate) fn push(&mut self, value: T) -> Result<(), AllocError> {
        if self.len == self.capacity {
            self.grow_to(self.capacity.saturating_mul(2).max(4))?;
        }
        // SAFETY: there is room for one more.
        unsafe { self.start.add(self.len).write(value) };
        self.len += 1;
        Ok(())
    }

    /// Appends what an iterator yields.
    #[inline]
    pub(crate) fn extend(&mut self, values: impl Iterator<Item = T>) -> Result<(), AllocError> {
        for value in values {
            self.push(value)?;
        }
        Ok(())
    }

    fn extend_copy(&mut self, values: &[T]) -> Result<(), AllocError>
    where
        T: Copy,
    {
        let needed = self
            .len
            .checked_add(values.len())
            .ok_or_else(|| diagnostics::refused(AllocError::overflow::<T>(usize::MAX)))?;
        if needed > self.capacity {
            self.grow_to(needed.max(self.capacity.saturating_mul(2)))?;
        }
        // SAFETY: there is room, and a slice cannot overlap memory that nobody else refers to.
        unsafe {
            ptr::copy_nonoverlapping(
                values.as_ptr(),
                self.start.add(self.len).as_ptr(),
                values.len(),
            );
        }
        self.len = needed;
        Ok(())
    }

    /// The finished slice, whose block and elements are the caller's; an empty one has no block. Room that it does not need
    /// is given back.
    pub(crate) fn finish(mut self) -> NonNull<[T]> {
        let (start, len) = (self.start, self.len);
        let kept = len * size_of::<T>();
        match self.layout() {
            Some(_) if len == 0 => self.give_back(),
            Some(layout) if kept < layout.size() => {
                // SAFETY: the block is the builder's.
                unsafe {
                    if !self.place.resize(start.cast(), layout.size(), kept) {
                        self.place.give_back_rest(start.cast(), layout, kept);
                    }
                }
            }
            _ => {}
        }
        mem::forget(self);
        NonNull::slice_from_raw_parts(start, len)
    }
}

impl<P: Place, T> Drop for SliceBuilder<P, T> {
    fn drop(&mut self) {
        struct Rest<'b, P: Place, T>(&'b mut SliceBuilder<P, T>);
        impl<P: Place, T> Drop for Rest<'_, P, T> {
            fn drop(&mut self) {
                self.0.give_back();
            }
        }
        let rest = Rest(self);
        // SAFETY: the first `len` elements are initialised, and dropped once.
        unsafe {
            ptr::drop_in_place(ptr::slice_from_raw_parts_mut(
                rest.0.start.as_ptr(),
                rest.0.len,
            ));
        }
    }
}

/// Formats text into a builder: what it holds is UTF-8.
///
/// # Panics
///
/// As `format!`, if a formatting trait returns an error.
pub(crate) fn format<P: Place>(
    place: P,
    text: fmt::Arguments<'_>,
) -> Result<SliceBuilder<P, u8>, AllocError> {
    /// Remembers the refusal that `fmt::Error` cannot carry.
    struct Text<P: Place> {
        bytes: SliceBuilder<P, u8>,
        refused: Option<AllocError>,
    }
    impl<P: Place> fmt::Write for Text<P> {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            self.bytes.extend_copy(text.as_bytes()).map_err(|error| {
                self.refused = Some(error);
                fmt::Error
            })
        }
    }
    let mut written = Text {
        bytes: SliceBuilder::with_capacity(place, text.as_str().map_or(64, str::len))?,
        refused: None,
    };
    let result = fmt::write(&mut written, text);
    // A formatting trait may have swallowed the refusal; the text is cut short all the same.
    if let Some(error) = written.refused {
        return Err(error);
    }
    result.expect("a formatting trait returned an error although none was reported to it");
    Ok(written.bytes)
}

//! One scratch pool.

use core::error::Error;
use core::fmt;
use core::marker::PhantomData;
use core::mem::MaybeUninit;
use core::ops::Deref;
use std::sync::Arc;

use crate::allocators::payer::Payer;
use crate::allocators::scratch::{ScratchBox, ScratchMemory, ScratchSlice};
use crate::diagnostics::{self, DiagnosticCode};
use crate::error::AllocError;
use crate::tags::TagId;

/// A named pool of memory that is freed all at once. Cheap to clone: clones share everything.
///
/// Threads may allocate from one pool at the same time, and values may be dropped on any. An allocator keeps its pools in a
/// [`ScratchRegistry`](crate::ScratchRegistry); one made here stands alone.
///
/// ```
/// use framealloc::ScratchPool;
///
/// let pool = ScratchPool::new("level", 64 << 10);
/// let names = pool.alloc_slice_fill_with(3, |n| format!("door {n}"));
/// assert_eq!(names[2], "door 2");
/// assert!(pool.try_reset().is_err(), "the names are in use");
/// drop(names);
/// assert!(pool.try_reset().is_ok());
/// ```
#[derive(Clone)]
pub struct ScratchPool {
    memory: Arc<ScratchMemory>,
}

impl ScratchPool {
    /// A pool that starts with `capacity` bytes, mapped when they are first used, and grows to 64 times that.
    pub fn new(name: &'static str, capacity: usize) -> Self {
        Self::with_limit(name, capacity, capacity.saturating_mul(64))
    }

    /// A pool that starts with `capacity` bytes and grows to `limit` bytes.
    pub fn with_limit(name: &'static str, capacity: usize, limit: usize) -> Self {
        Self::with(name, capacity, limit, Default::default())
    }

    pub(crate) fn with(name: &'static str, capacity: usize, limit: usize, payer: Payer) -> Self {
        Self {
            memory: Arc::new(ScratchMemory::new(name, capacity, limit, payer)),
        }
    }

    pub(crate) fn memory(&self) -> &Arc<ScratchMemory> {
        &self.memory
    }

    /// The pool's name.
    pub fn name(&self) -> &'static str {
        self.memory.name()
    }

    // ---- Allocating -----------------------------------------------------------------------------------------------

    /// Room for a `T`, not filled: no bound on the type, no copy. Fill it with [`write`](ScratchBox::write),
    /// [`zeroed`](ScratchBox::zeroed) or [`init_default`](ScratchBox::init_default).
    ///
    /// # Panics
    ///
    /// With FA403 if the pool has reached its limit; [`try_alloc`](Self::try_alloc) returns the error.
    #[track_caller]
    pub fn alloc<T>(&self) -> ScratchBox<MaybeUninit<T>> {
        self.expect(self.try_alloc())
    }

    /// [`alloc`](Self::alloc) that returns the error.
    ///
    /// # Errors
    ///
    /// [`ScratchPoolFull`](crate::AllocErrorKind::ScratchPoolFull) (FA403),
    /// [`OutOfMemory`](crate::AllocErrorKind::OutOfMemory), or a budget's refusal if the pool has to grow.
    pub fn try_alloc<T>(&self) -> Result<ScratchBox<MaybeUninit<T>>, AllocError> {
        ScratchBox::<T>::uninit(&self.memory)
    }

    /// Puts a value into the pool.
    ///
    /// # Panics
    ///
    /// As [`alloc`](Self::alloc).
    #[track_caller]
    pub fn alloc_box<T>(&self, value: T) -> ScratchBox<T> {
        self.alloc().write(value)
    }

    /// [`alloc_box`](Self::alloc_box) that returns the error.
    ///
    /// # Errors
    ///
    /// As [`try_alloc`](Self::try_alloc), with the value.
    pub fn try_alloc_box<T>(&self, value: T) -> Result<ScratchBox<T>, ScratchRefused<T>> {
        match self.try_alloc() {
            Ok(block) => Ok(block.write(value)),
            Err(error) => Err(ScratchRefused { error, value }),
        }
    }

    /// `len` default values.
    ///
    /// # Panics
    ///
    /// As [`alloc`](Self::alloc), and with FA004 if so many have no representable size.
    #[track_caller]
    pub fn alloc_slice<T: Default>(&self, len: usize) -> ScratchSlice<T> {
        self.expect(self.try_alloc_slice(len))
    }

    /// [`alloc_slice`](Self::alloc_slice) that returns the error.
    ///
    /// # Errors
    ///
    /// As [`try_alloc`](Self::try_alloc), and [`CapacityOverflow`](crate::AllocErrorKind::CapacityOverflow).
    pub fn try_alloc_slice<T: Default>(&self, len: usize) -> Result<ScratchSlice<T>, AllocError> {
        self.try_alloc_slice_fill_with(len, |_| T::default())
    }

    /// `len` clones of `value`.
    ///
    /// # Panics
    ///
    /// As [`alloc_slice`](Self::alloc_slice).
    #[track_caller]
    pub fn alloc_slice_fill<T: Clone>(&self, len: usize, value: T) -> ScratchSlice<T> {
        self.expect(self.try_alloc_slice_fill_with(len, |_| value.clone()))
    }

    /// A copy of `values`.
    ///
    /// # Panics
    ///
    /// As [`alloc_slice`](Self::alloc_slice).
    #[track_caller]
    pub fn alloc_slice_copy<T: Copy>(&self, values: &[T]) -> ScratchSlice<T> {
        self.expect(self.try_alloc_slice_fill_with(values.len(), |index| values[index]))
    }

    /// `len` values made by `build`, which is given their indices.
    ///
    /// # Panics
    ///
    /// As [`alloc_slice`](Self::alloc_slice).
    #[track_caller]
    pub fn alloc_slice_fill_with<T>(
        &self,
        len: usize,
        build: impl FnMut(usize) -> T,
    ) -> ScratchSlice<T> {
        self.expect(self.try_alloc_slice_fill_with(len, build))
    }

    /// [`alloc_slice_fill_with`](Self::alloc_slice_fill_with) that returns the error.
    ///
    /// # Errors
    ///
    /// As [`try_alloc_slice`](Self::try_alloc_slice); `build` is not called then.
    pub fn try_alloc_slice_fill_with<T>(
        &self,
        len: usize,
        build: impl FnMut(usize) -> T,
    ) -> Result<ScratchSlice<T>, AllocError> {
        ScratchBox::build(&self.memory, len, |slice| slice.extend((0..len).map(build)))
    }

    /// The values of an iterator of any length.
    ///
    /// The slice grows in place while nothing else is allocated; what it had to leave behind is reclaimed by the next reset.
    ///
    /// # Errors
    ///
    /// As [`try_alloc_slice`](Self::try_alloc_slice); what was collected is dropped.
    pub fn try_alloc_slice_from_iter<T>(
        &self,
        values: impl IntoIterator<Item = T>,
    ) -> Result<ScratchSlice<T>, AllocError> {
        let values = values.into_iter();
        ScratchBox::build(&self.memory, values.size_hint().0, |slice| {
            slice.extend(values)
        })
    }

    #[track_caller]
    fn expect<T>(&self, result: Result<T, AllocError>) -> T {
        match result {
            Ok(value) => value,
            Err(error) => panic!("scratch pool `{}`: {error}", self.name()),
        }
    }

    // ---- Resetting ------------------------------------------------------------------------------------------------

    /// Makes the pool's whole memory free for reuse, in one step.
    ///
    /// While one of its boxes lives, this changes nothing and reports FA002; [`try_reset`](Self::try_reset) returns that
    /// instead.
    pub fn reset(&self) {
        report_in_use(self.try_reset().err());
    }

    /// [`reset`](Self::reset) that returns the error.
    ///
    /// # Errors
    ///
    /// [`ScratchInUse`] while boxes of the pool live. Nothing has changed.
    pub fn try_reset(&self) -> Result<(), ScratchInUse> {
        self.memory.reset().map_err(|live| ScratchInUse {
            pool: self.name(),
            boxes: live.blocks,
            bytes: live.bytes,
        })
    }

    // ---- Figures --------------------------------------------------------------------------------------------------

    /// Bytes allocated since the last reset, with what alignment cost. Dropping a value does not lessen them.
    pub fn allocated(&self) -> usize {
        self.memory.usage().allocated
    }

    /// Bytes that can still be allocated: what is left of the present chunk, and what the pool may grow by. A block that fits
    /// neither fails.
    pub fn remaining(&self) -> usize {
        self.memory.usage().remaining
    }

    /// Bytes of the pool's chunks; before its first allocation, and after a reset that replaces many chunks, of the one that
    /// it will take next.
    pub fn capacity(&self) -> usize {
        self.memory.usage().capacity
    }

    /// Bytes that the pool's chunks may grow to.
    pub fn limit(&self) -> usize {
        self.memory.limit()
    }

    /// All figures of one moment.
    pub fn stats(&self) -> ScratchPoolStats {
        let usage = self.memory.usage();
        ScratchPoolStats {
            name: self.name(),
            allocated: usage.allocated,
            capacity: usage.capacity,
            limit: self.limit(),
            live_boxes: usage.live.blocks,
            live_bytes: usage.live.bytes,
        }
    }
}

impl fmt::Debug for ScratchPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ScratchPool").field(&self.stats()).finish()
    }
}

/// A [`ScratchPool`] of an allocator, from [`SmartAlloc::scratch_pool`](crate::SmartAlloc::scratch_pool). Clone the pool
/// that it derefs to to keep it for longer than the borrow.
#[derive(Debug, Clone)]
pub struct ScratchPoolHandle<'a> {
    pool: ScratchPool,
    _alloc: PhantomData<&'a ()>,
}

impl ScratchPoolHandle<'_> {
    pub(crate) fn new(pool: ScratchPool) -> Self {
        Self {
            pool,
            _alloc: PhantomData,
        }
    }
}

impl Deref for ScratchPoolHandle<'_> {
    type Target = ScratchPool;

    fn deref(&self) -> &ScratchPool {
        &self.pool
    }
}

/// The figures of one scratch pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ScratchPoolStats {
    /// The pool's name.
    pub name: &'static str,
    /// See [`ScratchPool::allocated`].
    pub allocated: usize,
    /// See [`ScratchPool::capacity`].
    pub capacity: usize,
    /// See [`ScratchPool::limit`].
    pub limit: usize,
    /// Boxes that live, those of zero-sized values left out.
    pub live_boxes: usize,
    /// Bytes of the values in them.
    pub live_bytes: usize,
}

/// A reset that was refused, since boxes of the pool live (FA002). Nothing has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ScratchInUse {
    /// The pool's name.
    pub pool: &'static str,
    /// Boxes that live, those of zero-sized values left out.
    pub boxes: usize,
    /// Bytes of the values in them.
    pub bytes: usize,
}

impl ScratchInUse {
    /// The diagnostic code.
    pub fn code(&self) -> DiagnosticCode {
        DiagnosticCode::FA002
    }
}

/// Reports resets that were refused.
pub(super) fn report_in_use(refused: impl IntoIterator<Item = ScratchInUse>) {
    let messages = refused
        .into_iter()
        .map(|in_use| (TagId::current(), Message(in_use)));
    diagnostics::report_each(DiagnosticCode::FA002, messages);
}

/// What happened, without the remedy.
struct Message(ScratchInUse);

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ScratchInUse { pool, boxes, bytes } = self.0;
        write!(
            f,
            "scratch pool `{pool}` was not reset: {boxes} boxes with {bytes} bytes of it are still in use"
        )
    }
}

impl fmt::Display for ScratchInUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}] {}; drop them first", self.code(), Message(*self))
    }
}

impl Error for ScratchInUse {}

/// A value that a scratch pool had no room for.
pub struct ScratchRefused<T> {
    /// Why.
    pub error: AllocError,
    /// The value.
    pub value: T,
}

impl<T> fmt::Debug for ScratchRefused<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScratchRefused")
            .field("error", &self.error)
            .finish_non_exhaustive()
    }
}

impl<T> fmt::Display for ScratchRefused<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl<T> Error for ScratchRefused<T> {}

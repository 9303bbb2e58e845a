//! Handles: references to values that compaction may move.

mod error;
mod options;
mod pin;
mod stats;

pub use error::HandleError;
pub use options::HandleOptions;
pub use pin::PinGuard;
pub use stats::HandleAllocatorStats;

use core::fmt;

use crate::allocators::handles::{Handle, HandleHeap, HandleMut, HandleRef};
use crate::allocators::payer::Payer;
use crate::diagnostics;
use crate::not_stored::NotStored;
use crate::smart_alloc::SmartAlloc;

/// Values that live as long as they are wanted, in memory that can be made dense again. Threads share it by reference.
///
/// Values lie in segments of 64 KiB. Freeing one leaves a hole, which later values fill; what holes are left is what
/// [`defragment`](Self::defragment) is for: it moves values out of sparse segments and frees those. Values are found through
/// [`Handle`]s, which stay good wherever a value moves. What is larger than 16 KiB, or aligned to more than 4 KiB, has
/// memory of its own and is never moved.
///
/// A value is used through guards, by the rules of a `RwLock` that never waits: any number of [`resolve`](Self::resolve)s or
/// one [`resolve_mut`](Self::resolve_mut) at a time, from any thread, and an error (FA405) where they collide. Resolving takes no lock;
/// it waits for nothing but a move of the same segment that is going on at that moment, some microseconds. What is borrowed
/// or [pinned](Self::pin) is not moved, nor freed.
///
/// Memory is charged to the tag that is current when a segment is made. Moves copy bytes, as moves do in Rust.
///
/// ```
/// use framealloc::SmartAlloc;
///
/// let alloc = SmartAlloc::with_defaults();
/// let handles = alloc.handles();
///
/// let units: Vec<_> = (0..10_000)
///     .map(|n| handles.insert([n as f32; 8]))
///     .collect::<Result<_, _>>()?;
/// for (n, unit) in units.iter().enumerate() {
///     if n % 10 != 0 {
///         handles.free(*unit)?; // nine of ten die
///     }
/// }
/// let before = handles.stats();
/// assert!(handles.defragment() > 0);
/// assert!(handles.stats().segment_bytes < before.segment_bytes / 4);
///
/// handles.resolve_mut(units[70])?[0] += 1.0;
/// assert_eq!(handles.resolve(units[70])?[0], 71.0);
/// # Ok::<(), framealloc::HandleError>(())
/// ```
pub struct HandleAllocator {
    heap: HandleHeap,
}

impl HandleAllocator {
    /// An allocator of its own, which belongs to no `SmartAlloc`.
    pub fn new() -> Self {
        Self::with_payer(Default::default())
    }

    pub(crate) fn with_payer(payer: Payer) -> Self {
        Self {
            heap: HandleHeap::new(payer),
        }
    }

    // ---- Values ---------------------------------------------------------------------------------------------------

    /// Stores the default value of a type.
    ///
    /// # Errors
    ///
    /// [`HandleError::Alloc`].
    pub fn alloc<T: Default + Send + Sync + 'static>(&self) -> Result<Handle<T>, HandleError> {
        Ok(self.insert(T::default())?)
    }

    /// Stores a value.
    ///
    /// # Errors
    ///
    /// [`HandleError::Alloc`]; the value comes back then.
    pub fn insert<T: Send + Sync + 'static>(
        &self,
        value: T,
    ) -> Result<Handle<T>, NotStored<T, HandleError>> {
        self.alloc_with_options(value, HandleOptions::new())
    }

    /// Stores a value that may be told of its moves, or may not be moved.
    ///
    /// # Errors
    ///
    /// As [`insert`](Self::insert).
    pub fn alloc_with_options<T: Send + Sync + 'static>(
        &self,
        value: T,
        options: HandleOptions<T>,
    ) -> Result<Handle<T>, NotStored<T, HandleError>> {
        let mut value = Some(value);
        let stored = self
            .heap
            .insert(&mut value, options.relocatable, options.relocated);
        stored.map_err(|error| NotStored {
            value: value.expect("what is not stored stays"),
            error: HandleError::Alloc(error),
        })
    }

    /// Drops a value. All its handles are invalid from then on.
    ///
    /// # Errors
    ///
    /// [`Freed`](HandleError::Freed), [`Foreign`](HandleError::Foreign) or [`Dangling`](HandleError::Dangling) (FA401);
    /// [`AlreadyBorrowed`](HandleError::AlreadyBorrowed) or [`Pinned`](HandleError::Pinned) (FA405).
    pub fn free<T: Send + Sync + 'static>(&self, handle: Handle<T>) -> Result<(), HandleError> {
        self.heap.free(handle).map_err(refused)
    }

    /// Takes a value out. All its handles are invalid from then on.
    ///
    /// # Errors
    ///
    /// As [`free`](Self::free).
    pub fn take<T: Send + Sync + 'static>(&self, handle: Handle<T>) -> Result<T, HandleError> {
        self.heap.take(handle).map_err(refused)
    }

    /// Reads a value, until the guard drops. It does not move meanwhile.
    ///
    /// # Errors
    ///
    /// [`Freed`](HandleError::Freed), [`Foreign`](HandleError::Foreign) or [`Dangling`](HandleError::Dangling) (FA401);
    /// [`AlreadyBorrowed`](HandleError::AlreadyBorrowed) (FA405) while the value is written.
    #[inline]
    pub fn resolve<T: Send + Sync + 'static>(
        &self,
        handle: Handle<T>,
    ) -> Result<HandleRef<'_, T>, HandleError> {
        self.heap.read(handle).map_err(refused)
    }

    /// Writes a value, until the guard drops. It does not move meanwhile.
    ///
    /// # Errors
    ///
    /// As [`resolve`](Self::resolve), and [`AlreadyBorrowed`](HandleError::AlreadyBorrowed) also while the value is read.
    #[inline]
    pub fn resolve_mut<T: Send + Sync + 'static>(
        &self,
        handle: Handle<T>,
    ) -> Result<HandleMut<'_, T>, HandleError> {
        self.heap.write(handle).map_err(refused)
    }

    /// Whether the handle has a value here.
    pub fn is_valid<T>(&self, handle: Handle<T>) -> bool {
        self.heap.is_live(handle)
    }

    // ---- Pins -----------------------------------------------------------------------------------------------------

    /// Keeps a value where it is, and alive, until it is unpinned as often as it was pinned. [`PinGuard`] unpins by itself.
    ///
    /// Returns whether it is pinned. Reports FA401 if the handle has no value; [`try_pin`](Self::try_pin) returns that
    /// instead.
    pub fn pin<T: Send + Sync + 'static>(&self, handle: Handle<T>) -> bool {
        self.try_pin(handle).is_ok()
    }

    /// [`pin`](Self::pin) that returns the error.
    ///
    /// # Errors
    ///
    /// [`Freed`](HandleError::Freed), [`Foreign`](HandleError::Foreign) or [`Dangling`](HandleError::Dangling) (FA401);
    /// [`TooManyBorrows`](HandleError::TooManyBorrows) (FA405) beyond 4,095 pins.
    pub fn try_pin<T: Send + Sync + 'static>(&self, handle: Handle<T>) -> Result<(), HandleError> {
        self.heap.pin(handle).map(drop).map_err(refused)
    }

    /// Takes one pin back.
    ///
    /// Returns whether there was one. Reports FA401 if there was none, or if the handle has no value;
    /// [`try_unpin`](Self::try_unpin) returns that instead.
    pub fn unpin<T: Send + Sync + 'static>(&self, handle: Handle<T>) -> bool {
        self.try_unpin(handle).is_ok()
    }

    /// [`unpin`](Self::unpin) that returns the error.
    ///
    /// # Errors
    ///
    /// [`NotPinned`](HandleError::NotPinned), [`Freed`](HandleError::Freed), [`Foreign`](HandleError::Foreign) or
    /// [`Dangling`](HandleError::Dangling) (FA401).
    pub fn try_unpin<T: Send + Sync + 'static>(
        &self,
        handle: Handle<T>,
    ) -> Result<(), HandleError> {
        self.heap.unpin(handle).map_err(refused)
    }

    // ---- Compaction -----------------------------------------------------------------------------------------------

    /// Moves values out of sparse segments into the holes of fuller ones, and frees the segments that are empty then. Returns
    /// how many values moved.
    ///
    /// Nothing moves in vain: a value moves only if its segment can be emptied, at most once, and from the segments with the
    /// fewest bytes. A second call moves nothing. What is borrowed, pinned or not relocatable stays, and so does its segment.
    ///
    /// Storing and freeing wait until it is done; resolving does not. [`defragment_step`](Self::defragment_step) bounds the
    /// time.
    ///
    /// # Panics
    ///
    /// If a callback of [`HandleOptions::on_relocation`] does, after all of them have run.
    pub fn defragment(&self) -> usize {
        self.heap.defragment(usize::MAX)
    }

    /// [`defragment`](Self::defragment) that stops before it has moved more than `max_bytes`: a bit of it every frame. Returns
    /// how many values moved.
    ///
    /// It goes on where it left off, and costs next to nothing once there is nothing to do. A value larger than `max_bytes`
    /// moves alone. A value may move again in a later step, if the segment that it went to can be emptied then.
    ///
    /// # Panics
    ///
    /// As [`defragment`](Self::defragment).
    pub fn defragment_step(&self, max_bytes: usize) -> usize {
        self.heap.defragment(max_bytes)
    }

    // ---- Figures --------------------------------------------------------------------------------------------------

    /// Values stored since it was made.
    pub fn total_allocated(&self) -> u64 {
        self.heap.counts().0
    }

    /// Values that it holds.
    pub fn active_count(&self) -> u32 {
        self.heap.counts().1
    }

    /// Moves made since it was made.
    pub fn relocation_count(&self) -> u64 {
        self.heap.counts().2
    }

    /// Figures. Counting pins takes a look at every value.
    pub fn stats(&self) -> HandleAllocatorStats {
        self.heap.stats()
    }
}

/// Reports what was refused, and passes it on.
#[cold]
fn refused(error: HandleError) -> HandleError {
    diagnostics::report(error.code(), format_args!("{}", error.message()));
    error
}

impl Default for HandleAllocator {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for HandleAllocator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HandleAllocator")
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}

impl SmartAlloc {
    /// Values that compaction may move. See [`HandleAllocator`].
    pub fn handles(&self) -> &HandleAllocator {
        let parts = self.parts();
        parts
            .handles
            .get_or_init(|| HandleAllocator::with_payer(parts.payer.clone()))
    }
}

//! The allocator's front: frames, pools, heap and tags, by intent.

use core::fmt;
use core::mem::MaybeUninit;
use std::sync::Arc;

use crate::allocators::building::SliceBuilder;
use crate::allocators::domain::Domain;
use crate::allocators::guard::Frame;
use crate::allocators::heap::HeapBox;
use crate::allocators::lease::{FrameBox, FrameSlice, FrameStr};
use crate::allocators::payer::Payer;
use crate::allocators::pool::{self, Lists, PoolBox};
use crate::config::AllocConfig;
use crate::diagnostics;
use crate::error::{AllocError, FrameError};
use crate::parts::Parts;
use crate::shared_frames::SharedFrames;
use crate::stats::{AllocStats, ArenaStats, ArenaTotals, PoolClassStats};
use crate::tags::{self, TagId};

/// A frame-based allocator. Cheap to clone: clones share everything.
///
/// Memory is asked for by what it is for:
///
/// | intent | with | lives until |
/// |---|---|---|
/// | scratch of a scope | [`frame`](Self::frame) | the guard closes |
/// | scratch of a frame | [`frame_box`](Self::frame_box), [`frame_slice`](Self::frame_slice) … | the box drops, at best before the frame ends |
/// | a collection of known size | [`frame_vec`](Self::frame_vec), [`frame_map`](Self::frame_map), [`frame_string`](Self::frame_string) | it drops, at best before the frame ends |
/// | small values of any lifetime | [`pool_box`](Self::pool_box) | the box drops |
/// | large ones | [`heap_box`](Self::heap_box) | the box drops |
///
/// Every thread has an arena and pools of its own, so the fast paths take no locks and touch no shared memory.
///
/// ```
/// use framealloc::SmartAlloc;
///
/// let alloc = SmartAlloc::with_defaults();
/// for _ in 0..3 {
///     alloc.begin_frame();
///     let contacts = alloc.frame_slice_fill(64, 0.0f32)?;
///     assert_eq!(contacts.len(), 64);
///     drop(contacts);
///     alloc.end_frame();
/// }
/// # Ok::<(), framealloc::AllocError>(())
/// ```
///
/// # What a frame is
///
/// Each thread opens and closes frames of its own, with [`begin_frame`](Self::begin_frame) and
/// [`end_frame`](Self::end_frame); or one owner opens them for all threads, with [`shared_frames`](Self::shared_frames).
/// Ending a frame frees everything allocated in it that has been dropped. What is still held stays valid, is reported
/// (FA002), and is freed when it drops.
///
/// # What it does not do
///
/// Fibers that move between threads are not supported, nor a global allocator that itself allocates from a `SmartAlloc`.
pub struct SmartAlloc {
    domain: Arc<Domain>,
    parts: Arc<Parts>,
    /// A copy beside the handle, where the optimiser keeps it in a register.
    lists: Lists,
}

impl SmartAlloc {
    /// An allocator with this configuration. Memory is mapped when it is first used.
    pub fn new(config: AllocConfig) -> Self {
        let charged = config.pool_tags || config.has_budgets();
        let domain = Domain::new(config);
        Self {
            parts: Arc::new(Parts::new(Payer::of(&domain))),
            domain,
            lists: if charged { Lists::EMPTY } else { Lists::FREE },
        }
    }

    /// An allocator with [`AllocConfig::default`].
    pub fn with_defaults() -> Self {
        Self::new(AllocConfig::default())
    }

    #[inline(always)]
    pub(crate) fn domain(&self) -> &Domain {
        &self.domain
    }

    /// The domain, for what outlives this handle.
    pub(crate) fn share_domain(&self) -> Arc<Domain> {
        Arc::clone(&self.domain)
    }

    pub(crate) fn parts(&self) -> &Parts {
        &self.parts
    }

    /// Where its pool boxes are made.
    #[inline(always)]
    pub(crate) fn pool(&self) -> pool::Source<'_> {
        (self.lists, &self.parts.payer)
    }

    /// The configuration it was made with.
    pub fn config(&self) -> &AllocConfig {
        self.domain.config()
    }

    // ---- Frames ---------------------------------------------------------------------------------------------------

    /// Opens the calling thread's frame.
    ///
    /// Reports FA006, and changes nothing, if one is open; [`try_begin_frame`](Self::try_begin_frame) returns that instead.
    #[inline]
    pub fn begin_frame(&self) {
        if let Err(error) = self.domain.begin_frame() {
            report_boundary(error);
        }
    }

    /// [`begin_frame`](Self::begin_frame) that returns the error.
    ///
    /// # Errors
    ///
    /// [`FrameError::AlreadyOpen`], or [`FrameError::Shared`] if this allocator's frames are shared.
    pub fn try_begin_frame(&self) -> Result<(), FrameError> {
        self.domain.begin_frame()
    }

    /// Closes the calling thread's frame and frees what was dropped in it, in one step.
    ///
    /// What is still held is reported as FA002 and stays valid. Reports FA006, and changes nothing, if no frame is open;
    /// [`try_end_frame`](Self::try_end_frame) returns that instead.
    #[inline]
    pub fn end_frame(&self) {
        if let Err(error) = self.try_end_frame() {
            report_boundary(error);
        }
    }

    /// [`end_frame`](Self::end_frame) that returns the error.
    ///
    /// # Errors
    ///
    /// [`FrameError::NotOpen`], or [`FrameError::Shared`] if this allocator's frames are shared.
    #[inline]
    pub fn try_end_frame(&self) -> Result<(), FrameError> {
        self.domain.end_frame()?;
        self.parts.frame_ended();
        Ok(())
    }

    /// Takes over this allocator's frames for all threads. See [`SharedFrames`].
    ///
    /// # Errors
    ///
    /// [`FrameError::TokenTaken`] if they are taken.
    pub fn shared_frames(&self) -> Result<SharedFrames, FrameError> {
        SharedFrames::new(self.clone())
    }

    /// How many frames were begun: on the calling thread, or by the owner where frames are shared.
    pub fn frame_number(&self) -> u64 {
        self.domain.frame_number()
    }

    /// Whether the calling thread may allocate frame memory through the allocator itself.
    pub fn frame_is_open(&self) -> bool {
        self.domain.frame_is_open()
    }

    /// Opens a scope of frame memory that closes with the returned guard: the fastest memory there is here, and checked by
    /// the compiler. It needs no open frame. See [`Frame`].
    ///
    /// # Panics
    ///
    /// With FA003 if this thread's arena has reached its limit; [`try_frame`](Self::try_frame) returns the error.
    #[inline(always)]
    #[track_caller]
    pub fn frame(&self) -> Frame<'_> {
        match self.domain.open_guard() {
            Ok(frame) => frame,
            Err(error) => refuse(error),
        }
    }

    /// [`frame`](Self::frame) that returns the error.
    ///
    /// # Errors
    ///
    /// [`ArenaExhausted`](crate::AllocErrorKind::ArenaExhausted) (FA003) or
    /// [`OutOfMemory`](crate::AllocErrorKind::OutOfMemory).
    #[inline(always)]
    pub fn try_frame(&self) -> Result<Frame<'_>, AllocError> {
        self.domain.open_guard()
    }

    /// Room for a `T` in the open frame, not filled: no bound on the type, no copy. Fill it with
    /// [`write`](FrameBox::write), [`zeroed`](FrameBox::zeroed) or [`init_default`](FrameBox::init_default).
    ///
    /// ```
    /// # let alloc = framealloc::SmartAlloc::with_defaults();
    /// alloc.begin_frame();
    /// let vertices = alloc.frame_alloc::<[[f32; 3]; 4096]>().zeroed();
    /// assert_eq!(vertices[4095], [0.0; 3]);
    /// # drop(vertices);
    /// # alloc.end_frame();
    /// ```
    ///
    /// # Panics
    ///
    /// With FA001 if no frame is open, and with FA003 if the arena has reached its limit;
    /// [`try_frame_alloc`](Self::try_frame_alloc) returns the error.
    #[inline(always)]
    #[track_caller]
    pub fn frame_alloc<T>(&self) -> FrameBox<'_, MaybeUninit<T>> {
        match self.try_frame_alloc() {
            Ok(block) => block,
            Err(error) => refuse(error),
        }
    }

    /// [`frame_alloc`](Self::frame_alloc) that returns the error.
    ///
    /// # Errors
    ///
    /// As [`frame_box`](Self::frame_box).
    #[inline(always)]
    pub fn try_frame_alloc<T>(&self) -> Result<FrameBox<'_, MaybeUninit<T>>, AllocError> {
        FrameBox::<T>::uninit(self.domain())
    }

    /// Puts a value into the open frame.
    ///
    /// # Errors
    ///
    /// [`NoFrame`](crate::AllocErrorKind::NoFrame) (FA001), [`ArenaExhausted`](crate::AllocErrorKind::ArenaExhausted)
    /// (FA003), or [`OutOfMemory`](crate::AllocErrorKind::OutOfMemory). The value is dropped then;
    /// [`frame_box_with`](Self::frame_box_with) makes it only once there is room.
    #[inline(always)]
    pub fn frame_box<T>(&self, value: T) -> Result<FrameBox<'_, T>, AllocError> {
        FrameBox::new(self.domain(), value)
    }

    /// Makes room in the open frame, then makes the value.
    ///
    /// # Errors
    ///
    /// As [`frame_box`](Self::frame_box); `build` is not called then.
    #[inline(always)]
    pub fn frame_box_with<T>(
        &self,
        build: impl FnOnce() -> T,
    ) -> Result<FrameBox<'_, T>, AllocError> {
        // The room is leased before `build` runs, which may do as it likes.
        Ok(self.try_frame_alloc()?.write(build()))
    }

    /// `len` default values in the open frame.
    ///
    /// # Errors
    ///
    /// As [`frame_box`](Self::frame_box), and [`CapacityOverflow`](crate::AllocErrorKind::CapacityOverflow) if so many have
    /// no representable size.
    pub fn frame_slice<T: Default>(&self, len: usize) -> Result<FrameSlice<'_, T>, AllocError> {
        self.frame_slice_fill_with(len, |_| T::default())
    }

    /// `len` clones of `value` in the open frame.
    ///
    /// # Errors
    ///
    /// As [`frame_slice`](Self::frame_slice).
    pub fn frame_slice_fill<T: Clone>(
        &self,
        len: usize,
        value: T,
    ) -> Result<FrameSlice<'_, T>, AllocError> {
        self.frame_slice_fill_with(len, |_| value.clone())
    }

    /// `len` values made by `build`, which is given their indices, in the open frame.
    ///
    /// # Errors
    ///
    /// As [`frame_slice`](Self::frame_slice).
    #[inline]
    pub fn frame_slice_fill_with<T>(
        &self,
        len: usize,
        build: impl FnMut(usize) -> T,
    ) -> Result<FrameSlice<'_, T>, AllocError> {
        let mut slice = SliceBuilder::with_capacity(self.domain(), len)?;
        slice.extend((0..len).map(build))?;
        Ok(FrameSlice::from_builder(slice))
    }

    /// A copy of `values` in the open frame.
    ///
    /// # Errors
    ///
    /// As [`frame_slice`](Self::frame_slice).
    #[inline]
    pub fn frame_slice_copy<T: Copy>(&self, values: &[T]) -> Result<FrameSlice<'_, T>, AllocError> {
        FrameSlice::copy(self.domain(), values)
    }

    /// The values of an iterator of any length, in the open frame.
    ///
    /// The slice grows in place while nothing else is allocated, and what it does not need goes back to the arena.
    ///
    /// # Errors
    ///
    /// As [`frame_slice`](Self::frame_slice); what was collected is dropped.
    #[inline]
    pub fn frame_slice_from_iter<T>(
        &self,
        values: impl IntoIterator<Item = T>,
    ) -> Result<FrameSlice<'_, T>, AllocError> {
        let values = values.into_iter();
        let mut slice = SliceBuilder::with_capacity(self.domain(), values.size_hint().0)?;
        slice.extend(values)?;
        Ok(FrameSlice::from_builder(slice))
    }

    /// A copy of `text` in the open frame.
    ///
    /// # Errors
    ///
    /// As [`frame_slice`](Self::frame_slice).
    pub fn frame_str(&self, text: &str) -> Result<FrameStr<'_>, AllocError> {
        FrameStr::copy(self.domain(), text)
    }

    /// Formatted text in the open frame: what `format!` is for the heap.
    ///
    /// ```
    /// # let alloc = framealloc::SmartAlloc::with_defaults();
    /// alloc.begin_frame();
    /// let label = alloc.frame_format(format_args!("{} agents", 30_000))?;
    /// assert_eq!(&*label, "30000 agents");
    /// # drop(label);
    /// # alloc.end_frame();
    /// # Ok::<(), framealloc::AllocError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`frame_slice`](Self::frame_slice).
    ///
    /// # Panics
    ///
    /// As `format!`, if a formatting trait returns an error.
    pub fn frame_format(&self, text: fmt::Arguments<'_>) -> Result<FrameStr<'_>, AllocError> {
        FrameStr::format(self.domain(), text)
    }

    // ---- Pools and heap -------------------------------------------------------------------------------------------

    /// Room for a `T` in the calling thread's pool, not filled. See [`frame_alloc`](Self::frame_alloc).
    ///
    /// # Panics
    ///
    /// With FA005 if the system has no more memory; [`try_pool_alloc`](Self::try_pool_alloc) returns the error.
    #[inline(always)]
    #[track_caller]
    pub fn pool_alloc<T>(&self) -> PoolBox<MaybeUninit<T>> {
        match self.try_pool_alloc() {
            Ok(block) => block,
            Err(error) => refuse(error),
        }
    }

    /// [`pool_alloc`](Self::pool_alloc) that returns the error.
    ///
    /// # Errors
    ///
    /// [`OutOfMemory`](crate::AllocErrorKind::OutOfMemory), or that of a budget.
    #[inline(always)]
    pub fn try_pool_alloc<T>(&self) -> Result<PoolBox<MaybeUninit<T>>, AllocError> {
        PoolBox::<T>::uninit(self.pool())
    }

    /// Puts a value into the calling thread's pool; one larger than 4 KiB, onto the heap. See [`PoolBox`].
    ///
    /// # Errors
    ///
    /// [`OutOfMemory`](crate::AllocErrorKind::OutOfMemory); the value is dropped.
    #[inline(always)]
    pub fn pool_box<T>(&self, value: T) -> Result<PoolBox<T>, AllocError> {
        PoolBox::new(value, self.pool())
    }

    /// Room for a `T` on the heap, not filled. See [`frame_alloc`](Self::frame_alloc).
    ///
    /// # Panics
    ///
    /// With FA005 if the system has no more memory; [`try_heap_alloc`](Self::try_heap_alloc) returns the error.
    #[track_caller]
    pub fn heap_alloc<T>(&self) -> HeapBox<MaybeUninit<T>> {
        match self.try_heap_alloc() {
            Ok(block) => block,
            Err(error) => refuse(error),
        }
    }

    /// [`heap_alloc`](Self::heap_alloc) that returns the error.
    ///
    /// # Errors
    ///
    /// [`OutOfMemory`](crate::AllocErrorKind::OutOfMemory).
    pub fn try_heap_alloc<T>(&self) -> Result<HeapBox<MaybeUninit<T>>, AllocError> {
        HeapBox::<T>::uninit(&self.parts.payer)
    }

    /// Puts a value onto the heap. See [`HeapBox`].
    ///
    /// # Errors
    ///
    /// [`OutOfMemory`](crate::AllocErrorKind::OutOfMemory); the value is dropped.
    pub fn heap_box<T>(&self, value: T) -> Result<HeapBox<T>, AllocError> {
        HeapBox::new(value, &self.parts.payer)
    }

    // ---- Tags -----------------------------------------------------------------------------------------------------

    /// Runs `f` under the current tag's child `tag`: what it allocates on this thread is charged to that.
    ///
    /// ```
    /// # let alloc = framealloc::SmartAlloc::with_defaults();
    /// alloc.with_tag("ai", |alloc| {
    ///     alloc.with_tag("pathfinding", |alloc| {
    ///         assert_eq!(alloc.current_tag(), Some("pathfinding"));
    ///         assert_eq!(alloc.tag_path(), "ai::pathfinding");
    ///     })
    /// });
    /// assert_eq!(alloc.current_tag(), None);
    /// ```
    #[inline]
    pub fn with_tag<'a, R>(&'a self, tag: &'static str, f: impl FnOnce(&'a Self) -> R) -> R {
        let _scope = tags::enter_child(tag);
        f(self)
    }

    /// The name of the calling thread's current tag, and `None` if it has none.
    pub fn current_tag(&self) -> Option<&'static str> {
        let tag = TagId::current();
        (tag != TagId::ROOT).then(|| tag.name())
    }

    /// The path of the calling thread's current tag: `ai::pathfinding`. Empty if it has none. [`TagId::path`] gives it without
    /// a copy.
    pub fn tag_path(&self) -> String {
        TagId::current().path().to_owned()
    }

    // ---- Figures --------------------------------------------------------------------------------------------------

    /// Totals. See [`AllocStats`].
    pub fn stats(&self) -> AllocStats {
        AllocStats::of(&self.domain)
    }

    /// The frame arenas, all together. Cheap enough for every frame.
    ///
    /// ```
    /// # let alloc = framealloc::SmartAlloc::with_defaults();
    /// alloc.begin_frame();
    /// drop(alloc.frame_box([0u8; 4096]));
    /// alloc.end_frame();
    /// assert_eq!(alloc.arena_totals().frame_bytes, 4096);
    /// ```
    pub fn arena_totals(&self) -> ArenaTotals {
        self.domain.arena_totals()
    }

    /// Live bytes in pools, of the whole process: [`AllocStats::pool_allocated`] alone, at less cost.
    pub fn pool_bytes(&self) -> usize {
        pool::stats().pool_allocated
    }

    /// The frame arenas, one for each thread that used this allocator.
    pub fn arenas(&self) -> Vec<ArenaStats> {
        self.domain.arena_stats()
    }

    /// The size classes of the pools that were ever used, the smallest first. Pools are shared by all allocators of the
    /// process.
    ///
    /// ```
    /// # let alloc = framealloc::SmartAlloc::with_defaults();
    /// let spell = alloc.pool_box([0u8; 100])?;
    /// let classes = alloc.pool_classes();
    /// let class = classes.iter().find(|class| class.block_size == 112).unwrap();
    /// assert!(class.live() >= 1 && class.blocks > class.live());
    /// # drop(spell);
    /// # Ok::<(), framealloc::AllocError>(())
    /// ```
    pub fn pool_classes(&self) -> Vec<PoolClassStats> {
        pool::classes()
    }
}

impl Clone for SmartAlloc {
    fn clone(&self) -> Self {
        // Budgets may have been turned on since this handle was made.
        let charged = self.lists == Lists::EMPTY || self.domain.ledger().is_on();
        Self {
            domain: self.domain.clone(),
            parts: self.parts.clone(),
            lists: if charged { Lists::EMPTY } else { Lists::FREE },
        }
    }
}

impl Default for SmartAlloc {
    fn default() -> Self {
        Self::with_defaults()
    }
}

impl fmt::Debug for SmartAlloc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SmartAlloc")
            .field("config", self.config())
            .field("stats", &self.stats())
            .finish()
    }
}

#[cold]
#[inline(never)]
#[track_caller]
pub(crate) fn refuse(error: AllocError) -> ! {
    panic!("{error}")
}

#[cold]
#[inline(never)]
fn report_boundary(error: FrameError) {
    diagnostics::report(error.code(), format_args!("{}", error.message()));
}

//! The frame guard: scratch memory bounded by a borrow.
//!
//! ```text
//!  Frame (on the stack)     chunks of its own
//! +--------------------+    +-----------+ next  +------+ next  +-------+ next  +-----------+ next  +-----------+
//! | ptr, limit         |--->| bumped in |------>| full |------>| first |------>| big chunk |------>| big chunk |---> null
//! | top, first         |    +-----------+       +------+       +-------+       +-----------+       +-----------+
//! | home               |
//! +--------------------+
//! ```
//!
//! A guard does not share the arena's bump pointer: an outer guard that allocates above an inner one's memory would lose
//! it when the inner one closes. So each takes a chunk from the arena's cache (I3), and guards may nest, close in any
//! order, or be forgotten.
//!
//! Closing pushes the list from `top` to `first` back onto the cache of its home, without looking at it. That overwrites the link from
//! `first` to the guard's big chunks, which is how the arena knows that they are free: see `Big::is_free`. Closing is kept
//! this small so that the optimiser copies it into the unwinding path too; called from there instead, it would force the
//! guard's fields from registers into memory, and each allocation would pay.

mod collections;
mod guard_box;
mod slices;

pub use collections::{Scratch, ScratchMap, ScratchVec};
pub use guard_box::GuardBox;

use core::alloc::Layout;
use core::cell::Cell;
use core::fmt;
use core::marker::PhantomData;
use core::mem::{self, MaybeUninit};
use core::ptr::NonNull;

use crate::allocators::arena::{Arena, GuardHome, GuardMeter, Refused, cost};
use crate::allocators::chunk::{self, Chunk, payload_start};
use crate::allocators::domain::Domain;
use crate::allocators::layout::{self, footprint};
use crate::allocators::os;
use crate::allocators::record::{TagCounters, add};
use crate::allocators::thread::local;
use crate::behavior::AllocKind;
use crate::budgets::Admission;
use crate::diagnostics;
use crate::error::AllocError;

/// A scope of frame memory: everything allocated from it is freed, in one step, when it closes.
///
/// This is the fastest memory here: an allocation is a compare and an add on the guard itself. References are bounded by
/// the guard's borrow, so the compiler sees to it that none outlives it. Guards need no `begin_frame`; they nest, close in
/// any order, and may be forgotten (which leaks their memory until the allocator is dropped).
///
/// In Bevy, `FrameAlloc` is such a guard.
///
/// What is allocated from a guard is charged to the tag that was current when it opened.
///
/// ```
/// use framealloc::SmartAlloc;
///
/// let alloc = SmartAlloc::with_defaults();
/// let frame = alloc.frame();
/// let near: &mut [u32] = frame.alloc_slice_from_iter((0..100).filter(|n| n % 7 == 0));
/// near.reverse();
/// let label: &str = frame.alloc_fmt(format_args!("{} neighbours", near.len()));
/// assert_eq!(label, "15 neighbours");
/// ```
///
/// A reference cannot outlive its guard:
///
/// ```compile_fail,E0505
/// let alloc = framealloc::SmartAlloc::with_defaults();
/// let frame = alloc.frame();
/// let number = frame.alloc(1);
/// drop(frame);
/// *number += 1;
/// ```
///
/// Collections that grow live in it too: see [`vec`](Self::vec) and [`map`](Self::map), and [`Scratch`] for those that are
/// generic over an allocator.
pub struct Frame<'a> {
    ptr: Cell<usize>,
    limit: Cell<usize>,
    top: Cell<*mut Chunk>,
    first: *mut Chunk,
    /// Where its chunks go back to.
    home: &'a GuardHome,
    /// Of the tag that the guard was opened under, on this thread. Never freed.
    counters: &'static TagCounters,
    /// Neither `Send` nor `Sync`: the arena is this thread's.
    _here: PhantomData<*const ()>,
}

impl Domain {
    /// Opens a guard on this thread's arena.
    #[inline(always)]
    pub(crate) fn open_guard(&self) -> Result<Frame<'_>, AllocError> {
        let (arena, counters) = local(|local| {
            let arena = if local.home.get() == self.key() {
                local.arena.get()
            } else {
                self.resolve(local)
            };
            // As a pointer: the value of a thread-local is checked for null where its type has no use for null.
            (arena, local.counters.get())
        });
        // SAFETY: this thread's arena in this domain, which is borrowed for as long as the guard lives; counters are never
        // freed.
        let (arena, counters) = unsafe { (&*arena, &*counters) };
        let cached = arena.home.cache();
        let (chunk, limit, home) = if cached.is_null() {
            first_chunk(self, arena)?
        } else {
            // SAFETY: cached chunks are mapped and this thread's (I2).
            unsafe {
                arena.home.set_cache((*cached).next.get());
                (cached, (*cached).limit.get(), &arena.home)
            }
        };
        Ok(Frame {
            ptr: Cell::new(payload_start(chunk)),
            limit: Cell::new(limit),
            top: Cell::new(chunk),
            first: chunk,
            home,
            counters,
            _here: PhantomData,
        })
    }
}

#[cold]
#[inline(never)]
fn first_chunk<'a>(
    domain: &Domain,
    arena: &'a Arena,
) -> Result<(*mut Chunk, usize, &'a GuardHome), AllocError> {
    let chunk = arena
        .take(Layout::new::<()>())
        .map_err(|refused| refusal(refused, Layout::new::<()>()))?;
    if arena.is_metered() {
        let home = local(|local| arena.meter_guard(chunk, local, domain));
        return Ok((chunk, payload_start(chunk), home));
    }
    // SAFETY: just taken, so it is mapped and this thread's (I2).
    let limit = unsafe { (*chunk).limit.get() };
    Ok((chunk, limit, &arena.home))
}

fn refusal(refused: Refused, layout: Layout) -> AllocError {
    diagnostics::refused(AllocError::new(refused.kind, layout, refused.available))
}

/// Stops the build where values with destructors are put into a frame that would never run them.
const fn refuse_destructors<T>() {
    assert!(
        !mem::needs_drop::<T>(),
        "this type has a destructor, which a frame would never run: use `alloc_box` or a `vec`, which run it"
    );
}

#[cold]
#[inline(never)]
#[track_caller]
fn exhausted(error: AllocError) -> ! {
    panic!("{error}")
}

/// The arena of the guard with this first chunk.
///
/// # Safety
///
/// The guard is open, on this thread.
unsafe fn arena_of<'a>(first: *mut Chunk) -> &'a Arena {
    // SAFETY: a guard's chunks are mapped (I3); they belong to the arena, whose domain the guard borrows.
    unsafe { &*(*first).home }
}

/// What a guard's slow path gives back. It takes the guard's fields by value and in registers, so that the optimiser can keep
/// a local guard in registers too.
struct Next {
    block: usize,
    ptr: usize,
    limit: usize,
    top: *mut Chunk,
    /// Bytes of the chunk that is full now, or of the block's big chunk.
    left: usize,
}

/// Finds room for a block that does not fit the guard's chunk.
#[cold]
#[inline(never)]
fn next_chunk(
    first: *mut Chunk,
    top: *mut Chunk,
    ptr: usize,
    limit: usize,
    layout: Layout,
) -> Result<Next, AllocError> {
    // SAFETY: the guard is open.
    let (arena, meter) = unsafe { (arena_of(first), GuardMeter::of(first)) };
    if let Some(meter) = meter {
        return next_metered(arena, meter, first, top, ptr, layout);
    }
    if arena.is_big(layout) {
        return big_block(arena, first, top, ptr, limit, layout, false);
    }
    another_chunk(arena, top, ptr, layout)
}

/// A block with a chunk of its own.
fn big_block(
    arena: &Arena,
    first: *mut Chunk,
    top: *mut Chunk,
    ptr: usize,
    limit: usize,
    layout: Layout,
    promoted: bool,
) -> Result<Next, AllocError> {
    let block = arena
        .take_big_for_guard(layout, first, promoted)
        .map_err(|refused| refusal(refused, layout))?;
    Ok(Next {
        block,
        ptr,
        limit,
        top,
        left: footprint(layout.size()),
    })
}

/// A block in another chunk, which becomes the top one.
fn another_chunk(
    arena: &Arena,
    top: *mut Chunk,
    ptr: usize,
    layout: Layout,
) -> Result<Next, AllocError> {
    let chunk = arena
        .take(layout)
        .map_err(|refused| refusal(refused, layout))?;
    // SAFETY: just taken, so it is mapped and this thread's (I2).
    let (start, limit) = unsafe { (payload_start(chunk), (*chunk).limit.get()) };
    let (block, end) = layout::bump(start, limit, layout).unwrap_or_else(|| {
        diagnostics::bug("a chunk does not hold the block that it was taken for")
    });
    let used = ptr - payload_start(top);
    // SAFETY: the chunks are mapped and this thread's; they are the guard's alone (I3).
    unsafe {
        (*top).balance.set(used as isize);
        (*chunk).next.set(top);
    }
    Ok(Next {
        block,
        ptr: end,
        limit,
        top: chunk,
        left: used,
    })
}

/// Finds room for a block of a guard whose allocations are counted: each comes here, and the guard stays hooded.
fn next_metered(
    arena: &Arena,
    meter: &GuardMeter,
    first: *mut Chunk,
    top: *mut Chunk,
    ptr: usize,
    layout: Layout,
) -> Result<Next, AllocError> {
    let domain = arena.domain();
    // SAFETY: the guard's chunks are mapped, and its alone (I3).
    let limit = unsafe { (*top).limit.get() };
    let bytes = cost(ptr, limit, layout, arena.payload());
    let (charge, admission) = meter.admit(domain.ledger(), layout, bytes)?;
    let next = if admission == Admission::Promoted || arena.is_big(layout) {
        let promoted = admission == Admission::Promoted;
        big_block(arena, first, top, ptr, ptr, layout, promoted)
    } else if let Some((block, end)) = layout::bump(ptr, limit, layout) {
        Ok(Next {
            block,
            ptr: end,
            limit: end,
            top,
            left: 0,
        })
    } else {
        another_chunk(arena, top, ptr, layout)
    };
    match next {
        Ok(mut next) => {
            next.limit = next.ptr;
            local(|local| meter.keep(charge, local, layout));
            if domain.hub().watches() {
                tell(&domain, arena, meter, first, top, &next, layout);
            }
            Ok(next)
        }
        Err(error) => {
            charge.release();
            Err(error)
        }
    }
}

/// Tells who listens of a block that the guard is about to be given. User code may run; if it panics, the guard stays as it is.
fn tell(
    domain: &Domain,
    arena: &Arena,
    meter: &GuardMeter,
    first: *mut Chunk,
    top: *mut Chunk,
    next: &Next,
    layout: Layout,
) {
    struct Untold<'a> {
        arena: &'a Arena,
        meter: *const GuardMeter,
        first: *mut Chunk,
        top: *mut Chunk,
        next: &'a Next,
    }
    impl Drop for Untold<'_> {
        fn drop(&mut self) {
            // Some may have been told of it.
            let block = self.next.block;
            self.arena.guard_gave_back(self.meter, block..block + 1);
            // SAFETY: a chunk that was taken for this block is in nobody's use. The guard is open.
            unsafe {
                if self.next.top == self.top {
                    self.arena.take_back_big(block, self.first);
                } else {
                    self.arena.recycle(self.next.top, 0);
                }
            }
        }
    }
    let unless_told = Untold {
        arena,
        meter,
        first,
        top,
        next,
    };
    let hub = domain.hub();
    let block = hub.block(AllocKind::Frame, next.block, layout.size(), meter.tag());
    let (frame, _) = domain.frame_of(arena);
    arena.watch(hub, block, meter, frame);
    mem::forget(unless_told);
}

#[cold]
#[inline(never)]
#[track_caller]
fn next_chunk_or_panic(
    first: *mut Chunk,
    top: *mut Chunk,
    ptr: usize,
    limit: usize,
    layout: Layout,
) -> Next {
    match next_chunk(first, top, ptr, limit, layout) {
        Ok(next) => next,
        Err(error) => exhausted(error),
    }
}

#[expect(
    clippy::mut_from_ref,
    reason = "each call returns another block, bounded by the borrow of the guard"
)]
impl Frame<'_> {
    /// A block of `layout`.
    #[inline(always)]
    fn bump(&self, layout: Layout) -> Result<NonNull<u8>, AllocError> {
        let (ptr, limit) = (self.ptr.get(), self.limit.get());
        let (block, end) = match layout::bump(ptr, limit, layout) {
            Some(here) => here,
            None => {
                let (first, top) = (self.first, self.top.get());
                self.go_on(next_chunk(first, top, ptr, limit, layout)?)
            }
        };
        Ok(self.hand_out(block, end, layout))
    }

    /// A block of `layout`, or a panic.
    ///
    /// The error does not come back to where it would have to be told from a block: that saves an instruction an allocation.
    #[inline(always)]
    #[track_caller]
    fn bump_or_panic(&self, layout: Layout) -> NonNull<u8> {
        let (ptr, limit) = (self.ptr.get(), self.limit.get());
        let (block, end) = match layout::bump(ptr, limit, layout) {
            Some(here) => here,
            None => {
                let (first, top) = (self.first, self.top.get());
                self.go_on(next_chunk_or_panic(first, top, ptr, limit, layout))
            }
        };
        self.hand_out(block, end, layout)
    }

    /// Hands out a block, the guard's memory going on at `end`.
    ///
    /// Both ways to a block meet before this, so that the compiler sees that a block is where the guard's memory went on until
    /// now, and needs no copy of that.
    #[inline(always)]
    fn hand_out(&self, block: usize, end: usize, layout: Layout) -> NonNull<u8> {
        self.ptr.set(end);
        os::reveal(block, layout.size());
        // SAFETY: addresses in a chunk are not null.
        unsafe { NonNull::new_unchecked(block as *mut u8) }
    }

    /// Books bytes in chunks that the guard is done with.
    #[inline(always)]
    fn count(&self, bytes: usize) {
        self.home.count(bytes);
        add(&self.counters.frame_bytes, bytes as u64);
    }

    /// Takes over what the slow path found: a block, and where the guard's memory goes on.
    #[inline(always)]
    fn go_on(&self, next: Next) -> (usize, usize) {
        self.limit.set(next.limit);
        self.top.set(next.top);
        self.count(next.left);
        (next.block, next.ptr)
    }

    /// Puts a value into the frame.
    ///
    /// The value's destructor would never run, so types that need one are refused at compile time: use
    /// [`alloc_box`](Self::alloc_box) for them.
    ///
    /// # Panics
    ///
    /// With FA003 if the arena's limit is reached; [`try_alloc`](Self::try_alloc) returns the error.
    ///
    /// ```compile_fail
    /// let alloc = framealloc::SmartAlloc::with_defaults();
    /// alloc.frame().alloc(String::from("its heap memory would leak"));
    /// ```
    #[inline(always)]
    #[track_caller]
    pub fn alloc<T>(&self, value: T) -> &mut T {
        const { refuse_destructors::<T>() };
        self.alloc_uninit().write(value)
    }

    /// [`alloc`](Self::alloc) that returns the error.
    ///
    /// # Errors
    ///
    /// [`ArenaExhausted`](crate::AllocErrorKind::ArenaExhausted) (FA003) or [`OutOfMemory`](crate::AllocErrorKind::OutOfMemory).
    #[inline(always)]
    pub fn try_alloc<T>(&self, value: T) -> Result<&mut T, AllocError> {
        const { refuse_destructors::<T>() };
        Ok(self.try_alloc_uninit()?.write(value))
    }

    /// Builds a value in the frame.
    ///
    /// # Panics
    ///
    /// As [`alloc`](Self::alloc).
    #[inline(always)]
    #[track_caller]
    pub fn alloc_with<T>(&self, build: impl FnOnce() -> T) -> &mut T {
        const { refuse_destructors::<T>() };
        self.alloc_uninit().write(build())
    }

    /// Room for a value, not filled: no bound on the type, and no copy.
    ///
    /// # Panics
    ///
    /// As [`alloc`](Self::alloc).
    #[inline(always)]
    #[track_caller]
    pub fn alloc_uninit<T>(&self) -> &mut MaybeUninit<T> {
        let mut block = if size_of::<T>() == 0 {
            NonNull::dangling()
        } else {
            self.bump_or_panic(Layout::new::<T>())
                .cast::<MaybeUninit<T>>()
        };
        // SAFETY: a fresh block of the type's layout, bounded by the borrow of the guard, which frees it.
        unsafe { block.as_mut() }
    }

    /// [`alloc_uninit`](Self::alloc_uninit) that returns the error.
    ///
    /// # Errors
    ///
    /// As [`try_alloc`](Self::try_alloc).
    #[inline(always)]
    pub fn try_alloc_uninit<T>(&self) -> Result<&mut MaybeUninit<T>, AllocError> {
        let mut block = if size_of::<T>() == 0 {
            NonNull::dangling()
        } else {
            self.bump(Layout::new::<T>())?.cast::<MaybeUninit<T>>()
        };
        // SAFETY: a fresh block of the type's layout, bounded by the borrow of the guard, which frees it.
        Ok(unsafe { block.as_mut() })
    }

    /// Puts a value into the frame that is dropped with the returned box.
    ///
    /// # Panics
    ///
    /// As [`alloc`](Self::alloc).
    #[inline(always)]
    #[track_caller]
    pub fn alloc_box<T>(&self, value: T) -> GuardBox<'_, T> {
        GuardBox(self.alloc_uninit().write(value))
    }

    /// [`alloc_box`](Self::alloc_box) that returns the error.
    ///
    /// # Errors
    ///
    /// As [`try_alloc`](Self::try_alloc).
    #[inline(always)]
    pub fn try_alloc_box<T>(&self, value: T) -> Result<GuardBox<'_, T>, AllocError> {
        Ok(GuardBox(self.try_alloc_uninit()?.write(value)))
    }

    /// Bytes that this guard has handed out, alignment included.
    pub fn used_bytes(&self) -> usize {
        let mut used = 0;
        self.for_each_chunk(|_, bytes| used += bytes);
        used
    }

    /// Calls `visit` with each of the guard's chunks and the bytes used in it.
    fn for_each_chunk(&self, mut visit: impl FnMut(*mut Chunk, usize)) {
        let mut chunk = self.top.get();
        visit(chunk, self.ptr.get() - payload_start(chunk));
        // SAFETY: the guard's chunks are mapped, and its alone (I3).
        unsafe {
            while chunk != self.first {
                chunk = (*chunk).next.get();
                visit(chunk, (*chunk).balance.get() as usize);
            }
            let mut big = Chunk::next_big(self.first);
            while !big.is_null() {
                visit(big, (*big).balance.get() as usize);
                big = Chunk::next_big(big);
            }
        }
    }
}

impl Drop for Frame<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        if os::HIDES {
            // SAFETY: every reference into the guard's memory is dead.
            self.for_each_chunk(|chunk, used| unsafe {
                os::poison(chunk::first_block(chunk), used)
            });
        }
        let top = self.top.get();
        let used = self.ptr.get() - payload_start(top);
        // SAFETY: the guard's chunks are mapped and this thread's (I2, I3), and every reference into them is dead.
        unsafe { (*self.first).next.set(self.home.cache()) };
        // First: who sees that the guard has closed sees that, too.
        self.count(used);
        self.home.set_cache(top);
    }
}

impl fmt::Debug for Frame<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Frame")
            .field("used_bytes", &self.used_bytes())
            .finish_non_exhaustive()
    }
}

//! Frame memory through `&self`: the fast path, and the box that holds a lease.

use core::alloc::Layout;
use core::fmt;
use core::marker::PhantomData;
use core::mem::{self, MaybeUninit};
use core::ops::{Deref, DerefMut};
use core::ptr::{self, NonNull};

use super::arena::{Arena, NO_GUARD};
use super::boxes::{fillable, forward_to_value};
use super::building::{self, Place, SliceBuilder};
use super::chunk;
use super::domain::Domain;
use super::layout::{self, MIN_ALIGN, footprint};
use super::os;
use super::thread::{Local, local};
use crate::behavior::AllocKind;
use crate::budgets::Admission;
use crate::diagnostics;
use crate::error::AllocError;
use crate::tags::TagId;

impl Domain {
    /// Leases a block of this thread's open frame. `layout` is not empty.
    #[inline(always)]
    pub(crate) fn lease(&self, layout: Layout) -> Result<NonNull<u8>, AllocError> {
        local(|local| {
            if local.key.get() == self.key() {
                let ptr = local.ptr.get();
                if let Some((block, end)) = layout::bump(ptr, local.limit.get(), layout) {
                    local.ptr.set(end);
                    if layout.align() > MIN_ALIGN {
                        // SAFETY: the padding lies in the active chunk, and is nobody's.
                        unsafe { chunk::credit(ptr, block - ptr) };
                    }
                    os::reveal(block, layout.size());
                    // SAFETY: addresses in a chunk are not null.
                    return Ok(unsafe { NonNull::new_unchecked(block as *mut u8) });
                }
            }
            self.lease_slowly(layout)
        })
    }

    #[cold]
    #[inline(never)]
    fn lease_slowly(&self, layout: Layout) -> Result<NonNull<u8>, AllocError> {
        // Most of what budgets count.
        match self.lease_on_credit(layout) {
            Some(block) => Ok(block),
            None => self.lease_with_care(layout),
        }
    }

    /// Leases a block where this thread has to look what is open, or the chunk is full, or somebody has to be asked or told.
    #[inline(never)]
    fn lease_with_care(&self, layout: Layout) -> Result<NonNull<u8>, AllocError> {
        let leased = local(|local| {
            if local.key.get() != self.key() {
                self.enter(local).map_err(|kind| (kind, 0))?;
                if let Some((block, end)) = layout::bump(local.ptr.get(), local.limit.get(), layout)
                {
                    // SAFETY: the padding lies in the active chunk, and is nobody's.
                    unsafe { chunk::credit(local.ptr.get(), block - local.ptr.get()) };
                    local.ptr.set(end);
                    return Ok(Some(block));
                }
            }
            // SAFETY: the arena of this thread in this domain, which is active.
            let arena = unsafe { &*local.arena.get() };
            if arena.is_metered() {
                return Ok(None);
            }
            arena
                .lease_slowly(local, layout)
                .map(Some)
                .map_err(|refused| (refused.kind, refused.available))
        });
        match leased {
            Ok(Some(block)) => {
                os::reveal(block, layout.size());
                // SAFETY: addresses in a chunk are not null.
                Ok(unsafe { NonNull::new_unchecked(block as *mut u8) })
            }
            Ok(None) => self.lease_metered(layout),
            Err((kind, available)) => Err(diagnostics::refused(AllocError::new(
                kind, layout, available,
            ))),
        }
    }

    /// Leases a block where each is counted.
    fn lease_metered(&self, layout: Layout) -> Result<NonNull<u8>, AllocError> {
        let payer = local(|local| {
            // SAFETY: the arena of this thread in this domain, which the caller has made the active one.
            unsafe { &*local.arena.get() }.payer(local, self.ledger())
        });
        let (charge, admission) = payer.admit(self.ledger(), layout, footprint(layout.size()))?;
        let watched = self.hub().watches();
        let leased = local(|local| {
            // What was run to admit it may have ended the frame, or used another allocator.
            if local.key.get() != self.key() {
                self.enter(local).map_err(|kind| (kind, 0))?;
            }
            // SAFETY: the arena of this thread in this domain, which is active.
            let arena = unsafe { &*local.arena.get() };
            arena
                .lease_metered(local, layout, charge, admission, watched)
                .map(|block| (block, arena))
                .map_err(|refused| (refused.kind, refused.available))
        });
        match leased {
            Ok((block, arena)) => {
                os::reveal(block, layout.size());
                if watched {
                    self.tell_leased(arena, block, layout);
                }
                // SAFETY: addresses in a chunk are not null.
                Ok(unsafe { NonNull::new_unchecked(block as *mut u8) })
            }
            Err((kind, available)) => {
                charge.release();
                Err(diagnostics::refused(AllocError::new(
                    kind, layout, available,
                )))
            }
        }
    }
}

impl Domain {
    /// Tells who listens of a new lease. User code may run; if it panics, the lease ends.
    fn tell_leased(&self, arena: &Arena, address: usize, layout: Layout) {
        struct Untold(usize, Layout);
        impl Drop for Untold {
            fn drop(&mut self) {
                // SAFETY: just leased, and nobody has been given it.
                unsafe { chunk::end_lease(self.0, self.1.size(), self.1.align()) }
            }
        }
        let unless_told = Untold(address, layout);
        let tag = TagId::current();
        let block = self
            .hub()
            .block(AllocKind::Frame, address, layout.size(), tag);
        let (frame, _) = self.frame_of(arena);
        arena.watch(self.hub(), block, NO_GUARD, frame);
        mem::forget(unless_told);
    }

    /// Moves the end of the last block where allocations are counted. User code may run.
    #[cold]
    fn grow_metered(&self, block: usize, old: usize, new: usize) -> bool {
        let (old_end, end) = (block + footprint(old), block + footprint(new));
        let may = |local: &Local| {
            // SAFETY: the block's arena is the active one if the block is its last.
            unsafe { &*local.arena.get() }.has_room(local, old_end, end)
        };
        let payer = local(|local| {
            // SAFETY: as above.
            may(local).then(|| unsafe { &*local.arena.get() }.payer(local, self.ledger()))
        });
        let (Some(payer), Ok(more)) = (payer, Layout::from_size_align(end - old_end, 1)) else {
            return false;
        };
        let Ok((charge, admission)) = payer.admit(self.ledger(), more, more.size()) else {
            return false;
        };
        let grown = local(|local| {
            // What was run to admit it may have allocated, or used another allocator.
            let arena = local.activate(self);
            // SAFETY: the arena of this thread in this domain.
            let arena = unsafe { &*arena };
            let grows = admission == Admission::Here
                && arena.is_metered()
                && arena.has_room(local, old_end, end);
            if grows {
                arena.grow_metered(local, block, end, charge);
            }
            grows
        });
        if grown {
            os::reveal(block, new);
        } else {
            charge.release();
        }
        grown
    }
}

impl Place for &Domain {
    fn take(self, layout: Layout) -> Result<NonNull<u8>, AllocError> {
        self.lease(layout)
    }

    unsafe fn resize(self, block: NonNull<u8>, old: usize, new: usize) -> bool {
        // SAFETY: the caller's contract.
        let resized = unsafe { resize_last(block, old, new) };
        resized.unwrap_or_else(|| self.grow_metered(block.as_ptr() as usize, old, new))
    }

    unsafe fn give_back(self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: the caller holds the lease, and gives it up.
        unsafe { chunk::end_lease(block.as_ptr() as usize, layout.size(), layout.align()) }
    }

    unsafe fn give_back_rest(self, block: NonNull<u8>, old: Layout, new: usize) {
        // SAFETY: the caller's contract.
        unsafe { end_lease_of_rest(block, old, new) }
    }
}

/// Moves the end of a leased block, if it is the last one of this thread's active chunk and there is room. `None` if it would
/// grow where allocations are counted, which is the domain's to decide.
///
/// # Safety
///
/// The caller holds the lease, of `old` bytes, which are not zero; nor is `new`.
unsafe fn resize_last(block: NonNull<u8>, old: usize, new: usize) -> Option<bool> {
    let block = block.as_ptr() as usize;
    local(|local| {
        // SAFETY: the block is leased from an arena of this thread, so the active one is mapped if it is that.
        let metered = !local.arena.get().is_null() && unsafe { &*local.arena.get() }.is_metered();
        // Equal only if the block's chunk is the active one: a chunk that was left is not bumped in while it is leased.
        if block + footprint(old) != local.ptr.get() {
            return Some(false);
        }
        if footprint(new) > local.limit.get() - block {
            return if metered { None } else { Some(false) };
        }
        let shrinks_by = footprint(old).saturating_sub(footprint(new));
        if shrinks_by > local.pending() {
            // Part of the block is charged to a tag already, and stays so.
            return Some(false);
        }
        local.ptr.set(block + footprint(new));
        if metered {
            local.hood();
            // SAFETY: as above.
            unsafe { &*local.arena.get() }.release_some(block, shrinks_by);
        }
        os::reveal(block, new);
        if new < old {
            os::conceal(block + new, footprint(old) - new);
        }
        Some(true)
    })
}

/// Ends the lease of all but the first `new` bytes of a block.
///
/// # Safety
///
/// The caller holds the lease, of this layout, and uses no more than `new` bytes any more, which are not zero.
unsafe fn end_lease_of_rest(block: NonNull<u8>, old: Layout, new: usize) {
    let rest = footprint(old.size()) - footprint(new);
    // SAFETY: the caller holds the lease, so the chunk is mapped and this thread's. The balance of the chunk, active or
    // retired, stays short of the block's end by the bytes that are kept.
    unsafe {
        let balance = &(*chunk::of_block(block.as_ptr() as usize, old.align())).balance;
        balance.set(balance.get() + rest as isize);
    }
}

/// Makes a leased block smaller, where it lies.
///
/// # Safety
///
/// As [`end_lease_of_rest`].
pub(super) unsafe fn shrink(block: NonNull<u8>, old: Layout, new: usize) {
    // SAFETY: the caller's contract.
    unsafe {
        if resize_last(block, old.size(), new) != Some(true) {
            end_lease_of_rest(block, old, new);
        }
    }
}

/// An owned value in frame memory: a *lease* on its thread's arena.
///
/// It stays valid for as long as it lives, even past the end of its frame: the memory around it is then kept apart
/// (and reported as FA002) until the box drops. Forgetting it leaks its memory and nothing else. The value's destructor
/// runs when the box drops.
///
/// What is kept apart is the whole chunk that the box lies in, up to 256 KiB of the arena's limit however small the box:
/// values that are to outlive frames belong in a [`PoolBox`](crate::PoolBox).
///
/// A `FrameBox` cannot leave its thread, since dropping it touches the arena without synchronisation; it can be shared
/// with scoped threads if `T: Sync`.
///
/// ```
/// use framealloc::SmartAlloc;
///
/// let alloc = SmartAlloc::with_defaults();
/// alloc.begin_frame();
/// let mut path = alloc.frame_box([0u32; 16])?;
/// path[3] = 7;
/// assert_eq!(path.iter().sum::<u32>(), 7);
/// drop(path);
/// alloc.end_frame();
/// # Ok::<(), framealloc::AllocError>(())
/// ```
pub struct FrameBox<'a, T: ?Sized> {
    value: NonNull<T>,
    /// Borrows a handle of the domain (I1). The raw pointer keeps it on its thread (I2).
    _lease: PhantomData<(&'a Domain, *const ())>,
    _owned: PhantomData<T>,
}

/// A slice in frame memory. See [`FrameBox`].
pub type FrameSlice<'a, T> = FrameBox<'a, [T]>;

/// Text in frame memory. See [`FrameBox`].
pub type FrameStr<'a> = FrameBox<'a, str>;

// SAFETY: sharing a box gives shared access to the value and to nothing of the arena.
unsafe impl<T: ?Sized + Sync> Sync for FrameBox<'_, T> {}

impl<'a, T> FrameBox<'a, T> {
    /// Leases room for a `T`; a zero-sized one has none and touches no arena.
    #[inline(always)]
    pub(crate) fn uninit(domain: &'a Domain) -> Result<FrameBox<'a, MaybeUninit<T>>, AllocError> {
        let value = if size_of::<T>() == 0 {
            NonNull::dangling()
        } else {
            domain.lease(Layout::new::<T>())?.cast()
        };
        // SAFETY: leased for this type, or zero-sized.
        Ok(unsafe { FrameBox::from_block(value) })
    }

    #[inline(always)]
    pub(crate) fn new(domain: &'a Domain, value: T) -> Result<Self, AllocError> {
        Ok(Self::uninit(domain)?.write(value))
    }
}

impl<'a, T> FrameSlice<'a, T> {
    /// What a builder has built.
    pub(crate) fn from_builder(builder: SliceBuilder<&'a Domain, T>) -> Self {
        // SAFETY: the builder's lease, passed on.
        unsafe { Self::from_block(builder.finish()) }
    }
}

impl<'a, T: Copy> FrameSlice<'a, T> {
    #[inline]
    pub(crate) fn copy(domain: &'a Domain, values: &[T]) -> Result<Self, AllocError> {
        let start = if size_of_val(values) == 0 {
            NonNull::dangling()
        } else {
            domain.lease(Layout::for_value(values))?.cast::<T>()
        };
        // SAFETY: a fresh block of so many elements, which no slice overlaps.
        unsafe {
            ptr::copy_nonoverlapping(values.as_ptr(), start.as_ptr(), values.len());
            Ok(Self::from_block(NonNull::slice_from_raw_parts(
                start,
                values.len(),
            )))
        }
    }
}

impl<'a> FrameStr<'a> {
    pub(crate) fn format(domain: &'a Domain, text: fmt::Arguments<'_>) -> Result<Self, AllocError> {
        let bytes = FrameSlice::from_builder(building::format(domain, text)?);
        // SAFETY: the builder was filled with formatted text.
        Ok(unsafe { Self::from_utf8_unchecked(bytes) })
    }

    pub(crate) fn copy(domain: &'a Domain, text: &str) -> Result<Self, AllocError> {
        let bytes = FrameSlice::copy(domain, text.as_bytes())?;
        // SAFETY: a copy of a `str`.
        Ok(unsafe { Self::from_utf8_unchecked(bytes) })
    }

    /// # Safety
    ///
    /// The bytes are UTF-8.
    pub(super) unsafe fn from_utf8_unchecked(bytes: FrameSlice<'a, u8>) -> Self {
        let text = bytes.value.as_ptr() as *mut str;
        mem::forget(bytes);
        // SAFETY: the same lease, passed on; the pointer was not null before.
        unsafe { Self::from_block(NonNull::new_unchecked(text)) }
    }
}

impl<'a, T: ?Sized> FrameBox<'a, T> {
    /// # Safety
    ///
    /// `value` is leased by nobody else from an arena of this thread whose domain is borrowed for `'a`, or it is zero-sized.
    #[inline(always)]
    pub(super) unsafe fn from_block(value: NonNull<T>) -> Self {
        Self {
            value,
            _lease: PhantomData,
            _owned: PhantomData,
        }
    }

    /// Gives up the lease: the value stays where it is until the allocator is dropped, and its destructor never runs.
    pub fn leak(self) -> &'a mut T {
        let mut value = self.value;
        mem::forget(self);
        // SAFETY: the lease is never returned, so the memory stays (I1), and nobody else refers to it.
        unsafe { value.as_mut() }
    }

    /// The value's address.
    pub fn as_ptr(&self) -> *const T {
        self.value.as_ptr()
    }

    /// The value's address.
    pub fn as_mut_ptr(&mut self) -> *mut T {
        self.value.as_ptr()
    }

    /// Gives up the lease, as [`leak`](Self::leak) does.
    pub fn into_raw(self) -> *mut T {
        self.leak()
    }
}

impl<T: ?Sized> Drop for FrameBox<'_, T> {
    #[inline(always)]
    fn drop(&mut self) {
        // The value goes first and the lease last, on unwinding too: the destructor may allocate, or end the frame.
        struct Lease(usize, usize, usize);
        impl Drop for Lease {
            #[inline(always)]
            fn drop(&mut self) {
                if self.1 != 0 {
                    // SAFETY: the block is leased by the box being dropped.
                    unsafe { chunk::end_lease(self.0, self.1, self.2) }
                }
            }
        }
        let address = self.value.as_ptr().cast::<u8>() as usize;
        // SAFETY: the value is alive until the next line.
        let value = unsafe { self.value.as_ref() };
        let _lease = Lease(address, size_of_val(value), align_of_val(value));
        // SAFETY: dropped once, here.
        unsafe { ptr::drop_in_place(self.value.as_ptr()) }
    }
}

impl<T: ?Sized> Deref for FrameBox<'_, T> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        // SAFETY: leased memory stays (I1), and the box owns the value.
        unsafe { self.value.as_ref() }
    }
}

impl<T: ?Sized> DerefMut for FrameBox<'_, T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as for `deref`, and the box is borrowed exclusively.
        unsafe { self.value.as_mut() }
    }
}

forward_to_value!(FrameBox<'_, T: ?Sized>);
fillable!(FrameBox<'a, T>);

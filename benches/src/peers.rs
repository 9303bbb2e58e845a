//! The peers behind two small traits, so that every operation is written once and runs on all of them.
//!
//! Both traits are inlined away: what is counted is the peer's own code, the write of the value, and the loop around.

use bump_scope::settings::BumpSettings;
use framealloc::HeapAudit;
use std::alloc::{GlobalAlloc, Layout, handle_alloc_error};
use std::hint::black_box;
use std::marker::PhantomData;
use std::ptr::NonNull;

/// Something that stores a value and hands the optimiser nothing to remove.
pub trait Put {
    /// Allocates `value`, shows its address to the optimiser, and gives it up.
    fn put<T: Copy + 'static>(&self, value: T);

    /// Copies `values` into a new slice.
    fn put_slice<T: Copy + 'static>(&self, values: &[T]);
}

/// An arena that is emptied through `&mut`.
pub trait Arena: Put + Sized + 'static {
    /// An arena whose first chunk holds `bytes`.
    fn with_capacity(bytes: usize) -> Self;

    /// An arena whose first chunk holds every operation of a run.
    fn with_room() -> Self {
        Self::with_capacity(ROOM)
    }

    /// Makes the memory available again, keeping the chunk.
    fn rewind(&mut self);
}

/// Room for a thousand kilobyte values, so that no arena grows while it is measured.
const ROOM: usize = 2 << 20;

impl<const MIN_ALIGN: usize> Put for bumpalo::Bump<MIN_ALIGN> {
    #[inline(always)]
    fn put<T: Copy + 'static>(&self, value: T) {
        black_box(self.alloc(value));
    }

    #[inline(always)]
    fn put_slice<T: Copy + 'static>(&self, values: &[T]) {
        black_box(self.alloc_slice_copy(values));
    }
}

impl<const MIN_ALIGN: usize> Arena for bumpalo::Bump<MIN_ALIGN> {
    fn with_capacity(bytes: usize) -> Self {
        Self::with_min_align_and_capacity(bytes)
    }

    #[inline(always)]
    fn rewind(&mut self) {
        self.reset();
    }
}

/// bump-scope at its fastest: downwards, minimum alignment 8, always allocated, no per-value deallocation.
pub type BumpScopeDown = bump_scope::Bump<
    bump_scope::alloc::Global,
    BumpSettings<8, false, true, false, false, false, 4096>,
>;

impl Put for BumpScopeDown {
    #[inline(always)]
    fn put<T: Copy + 'static>(&self, value: T) {
        black_box(bump_scope::BumpBox::leak(self.alloc(value)));
    }

    #[inline(always)]
    fn put_slice<T: Copy + 'static>(&self, values: &[T]) {
        black_box(bump_scope::BumpBox::leak(self.alloc_slice_copy(values)));
    }
}

impl Arena for BumpScopeDown {
    fn with_capacity(bytes: usize) -> Self {
        Self::with_size(bytes)
    }

    #[inline(always)]
    fn rewind(&mut self) {
        self.reset_to_start();
    }
}

/// Something that makes boxes which free themselves on any thread.
pub trait Boxes: Clone + Send + 'static {
    /// The owning box.
    type Box<T: Send + 'static>: Send + 'static;

    /// A box around `value`.
    fn make<T: Send + 'static>(&self, value: T) -> Self::Box<T>;
}

/// An allocator that a program would install with `#[global_allocator]`, called directly.
pub trait Peer: GlobalAlloc + Send + Sync + 'static {
    /// The allocator; none of those measured has a state of its own.
    const GLOBAL: Self;
}

impl Peer for std::alloc::System {
    const GLOBAL: Self = std::alloc::System;
}

impl Peer for mimalloc::MiMalloc {
    const GLOBAL: Self = mimalloc::MiMalloc;
}

impl Peer for tikv_jemallocator::Jemalloc {
    const GLOBAL: Self = tikv_jemallocator::Jemalloc;
}

/// Over another one; the counters are the library's.
impl<A: Peer> Peer for HeapAudit<A> {
    const GLOBAL: Self = HeapAudit::new(A::GLOBAL);
}

/// `Box` on the allocator `A`, whichever the global allocator of the process is.
pub struct Heap<A>(pub PhantomData<A>);

impl<A> Clone for Heap<A> {
    fn clone(&self) -> Self {
        Heap(PhantomData)
    }
}

impl<A: Peer> Boxes for Heap<A> {
    type Box<T: Send + 'static> = PeerBox<A, T>;

    #[inline(always)]
    fn make<T: Send + 'static>(&self, value: T) -> PeerBox<A, T> {
        PeerBox::new(value)
    }
}

impl<A: Peer> Put for Heap<A> {
    #[inline(always)]
    fn put<T: Copy + 'static>(&self, value: T) {
        drop(black_box(PeerBox::<A, T>::new(value)));
    }

    #[inline(always)]
    fn put_slice<T: Copy + 'static>(&self, values: &[T]) {
        drop(black_box(PeerBox::<A, [T]>::copy_of(values)));
    }
}

/// One word for a sized value, as `Box` is.
pub struct PeerBox<A: Peer, T: ?Sized> {
    value: NonNull<T>,
    owner: PhantomData<(A, T)>,
}

/// Memory for `layout`, whose size is not zero.
#[inline(always)]
fn allocate<A: Peer>(layout: Layout) -> NonNull<u8> {
    assert!(
        layout.size() != 0,
        "the peers are measured on values with a size"
    );
    #[expect(
        unsafe_code,
        reason = "a peer is called through its GlobalAlloc implementation"
    )]
    // SAFETY: the layout's size is not zero.
    let place = unsafe { A::GLOBAL.alloc(layout) };
    NonNull::new(place).unwrap_or_else(|| handle_alloc_error(layout))
}

impl<A: Peer, T> PeerBox<A, T> {
    #[inline(always)]
    fn new(value: T) -> Self {
        let place = allocate::<A>(Layout::new::<T>()).cast::<T>();
        #[expect(unsafe_code, reason = "a peer returns memory that holds no value yet")]
        // SAFETY: `place` has the layout of a `T` and is ours alone.
        unsafe {
            place.write(value);
        }
        PeerBox {
            value: place,
            owner: PhantomData,
        }
    }
}

impl<A: Peer, T: Copy> PeerBox<A, [T]> {
    #[inline(always)]
    fn copy_of(values: &[T]) -> Self {
        let place = allocate::<A>(Layout::for_value(values)).cast::<T>();
        #[expect(unsafe_code, reason = "a peer returns memory that holds no value yet")]
        // SAFETY: `place` has the layout of `values`, whose type is `Copy`, and is ours alone, so they do not overlap.
        unsafe {
            place.copy_from_nonoverlapping(NonNull::from(values).cast(), values.len());
        }
        PeerBox {
            value: NonNull::slice_from_raw_parts(place, values.len()),
            owner: PhantomData,
        }
    }
}

impl<A: Peer, T: ?Sized> Drop for PeerBox<A, T> {
    #[inline(always)]
    fn drop(&mut self) {
        #[expect(
            unsafe_code,
            reason = "a peer is called through its GlobalAlloc implementation"
        )]
        // SAFETY: `value` came from `A` with the layout of its type, holds a value, and is given back once, here.
        unsafe {
            let layout = Layout::for_value(self.value.as_ref());
            self.value.drop_in_place();
            A::GLOBAL.dealloc(self.value.as_ptr().cast(), layout);
        }
    }
}

#[expect(unsafe_code, reason = "the box owns its value as `Box` does")]
// SAFETY: the box is the only owner of its value, and the allocators measured free memory of any thread.
unsafe impl<A: Peer, T: ?Sized + Send> Send for PeerBox<A, T> {}

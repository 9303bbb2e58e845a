//! framealloc behind the traits of the peers.

use crate::peers::{Boxes, Put};
use framealloc::{AllocConfig, Frame, FrameBox, FrameSlice, HeapBox, PoolBox, SmartAlloc};
use std::hint::black_box;

/// An allocator with every setting at its default.
pub fn allocator() -> SmartAlloc {
    SmartAlloc::new(AllocConfig::default())
}

impl Put for Frame<'_> {
    #[inline(always)]
    fn put<T: Copy + 'static>(&self, value: T) {
        black_box(self.alloc(value));
    }

    #[inline(always)]
    fn put_slice<T: Copy + 'static>(&self, values: &[T]) {
        black_box(self.alloc_slice_copy(values));
    }
}

/// Frame boxes: each is dropped again, while the frame goes on.
impl Put for SmartAlloc {
    #[inline(always)]
    fn put<T: Copy + 'static>(&self, value: T) {
        let lease: FrameBox<'_, T> = self.frame_box(value).expect(ROOM);
        drop(black_box(lease));
    }

    #[inline(always)]
    fn put_slice<T: Copy + 'static>(&self, values: &[T]) {
        let lease: FrameSlice<'_, T> = self.frame_slice_copy(values).expect(ROOM);
        drop(black_box(lease));
    }
}

/// Pool boxes.
#[derive(Clone)]
pub struct Pool(pub SmartAlloc);

impl Boxes for Pool {
    type Box<T: Send + 'static> = PoolBox<T>;

    #[inline(always)]
    fn make<T: Send + 'static>(&self, value: T) -> PoolBox<T> {
        self.0.pool_box(value).expect(ROOM)
    }
}

/// Heap boxes, counted by tag.
#[derive(Clone)]
pub struct CountedHeap(pub SmartAlloc);

impl Boxes for CountedHeap {
    type Box<T: Send + 'static> = HeapBox<T>;

    #[inline(always)]
    fn make<T: Send + 'static>(&self, value: T) -> HeapBox<T> {
        self.0.heap_box(value).expect(ROOM)
    }
}

const ROOM: &str = "the benchmarks stay below every limit";

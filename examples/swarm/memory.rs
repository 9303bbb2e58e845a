//! Where the closures of a parallel loop keep their lists: three answers to one question.
//!
//! A system's own buffers are simply made in one memory or another. A closure of `par_iter` runs on any thread, and its
//! thread may be in the middle of another system; each answer also sees to it that the system is charged.

use std::borrow::BorrowMut;
use std::mem;

use allocator_api2::alloc::{Allocator, Global};
use allocator_api2::vec::Vec;
use bevy::utils::Parallel;
use framealloc::bevy::{SharedFrameAlloc, TaskFrame};
use framealloc::tags::{TagId, TagScope};
use framealloc::{Scratch, ScratchVec};

/// A vector on the heap.
pub type HeapVec<T> = Vec<T, Global>;

/// Memory for lists of `T` in the closures of a parallel loop.
pub trait TaskMemory<T>: Sync {
    /// What a batch of the loop holds.
    type Task<'m>
    where
        Self: 'm;
    /// Where the elements are.
    type Memory<'t>: Allocator
    where
        Self: 't;
    /// A list, or a reference to one.
    type List<'t>: BorrowMut<Vec<T, Self::Memory<'t>>>
    where
        Self: 't;

    /// Called once a batch.
    fn open(&self) -> Self::Task<'_>;

    /// Called for each element of the loop: a list with nothing in it.
    fn list<'t>(task: &'t mut Self::Task<'_>) -> Self::List<'t>
    where
        Self: 't;
}

/// Frame memory: a list is a bump in the guard of its batch, and its room is the next list's.
impl<T> TaskMemory<T> for SharedFrameAlloc<'_> {
    type Task<'m>
        = TaskFrame<'m>
    where
        Self: 'm;
    type Memory<'t>
        = Scratch<'t>
    where
        Self: 't;
    type List<'t>
        = ScratchVec<'t, T>
    where
        Self: 't;

    fn open(&self) -> TaskFrame<'_> {
        self.frame()
    }

    fn list<'t>(task: &'t mut TaskFrame<'_>) -> ScratchVec<'t, T>
    where
        Self: 't,
    {
        task.vec()
    }
}

/// A new vector for each list.
pub struct NewVecs {
    pub charge_to: TagId,
}

impl<T> TaskMemory<T> for NewVecs {
    type Task<'m> = TagScope;
    type Memory<'t>
        = Global
    where
        Self: 't;
    type List<'t> = HeapVec<T>;

    fn open(&self) -> TagScope {
        TagScope::enter(self.charge_to)
    }

    fn list<'t>(_task: &'t mut TagScope) -> HeapVec<T>
    where
        Self: 't,
    {
        HeapVec::new()
    }
}

/// One vector a thread, kept from frame to frame.
pub struct KeptVecs<'l, T: Send> {
    pub kept: &'l Parallel<HeapVec<T>>,
    pub charge_to: TagId,
}

impl<T: Send> TaskMemory<T> for KeptVecs<'_, T> {
    type Task<'m>
        = KeptVec<'m, T>
    where
        Self: 'm;
    type Memory<'t>
        = Global
    where
        Self: 't;
    type List<'t>
        = &'t mut HeapVec<T>
    where
        Self: 't;

    fn open(&self) -> KeptVec<'_, T> {
        KeptVec {
            _charge: TagScope::enter(self.charge_to),
            vec: mem::take(&mut *self.kept.borrow_local_mut()),
            home: self.kept,
        }
    }

    fn list<'t>(task: &'t mut KeptVec<'_, T>) -> &'t mut HeapVec<T>
    where
        Self: 't,
    {
        task.vec.clear();
        &mut task.vec
    }
}

/// A kept vector while a batch uses it.
pub struct KeptVec<'m, T: Send> {
    _charge: TagScope,
    vec: HeapVec<T>,
    home: &'m Parallel<HeapVec<T>>,
}

impl<T: Send> Drop for KeptVec<'_, T> {
    fn drop(&mut self) {
        *self.home.borrow_local_mut() = mem::take(&mut self.vec);
    }
}

//! Values whose type is known only at run time: what they are, room for one, and one that is owned.

use core::alloc::Layout;
use core::any::{TypeId, type_name};
use core::mem::{ManuallyDrop, MaybeUninit};
use core::ptr::{self, NonNull};
use std::alloc;
use std::sync::Arc;

use super::list::Entry;
use crate::allocators::building::Place as _;
use crate::allocators::heap::HeapBox;
use crate::allocators::payer::Payer;
use crate::allocators::pool::{self, PoolBox};
use crate::allocators::scratch::{ScratchBox, ScratchMemory};
use crate::error::AllocError;

/// What is known of a type.
pub(crate) struct Kind {
    type_id: fn() -> TypeId,
    type_name: fn() -> &'static str,
    layout: Layout,
    /// The block in frame memory that a value of the type is retained in, and where in it the value lies.
    pub(super) entry: Layout,
    pub(super) offset: usize,
    drop: unsafe fn(NonNull<u8>),
    take_pooled: fn(pool::Source<'_>) -> Result<NonNull<u8>, AllocError>,
    free_pooled: unsafe fn(NonNull<u8>),
    take_heap: fn(&Payer) -> Result<NonNull<u8>, AllocError>,
    free_heap: unsafe fn(NonNull<u8>),
}

impl Kind {
    pub(super) const fn of<T: Send + 'static>() -> &'static Self {
        const {
            &Self {
                type_id: TypeId::of::<T>,
                type_name: type_name::<T>,
                layout: Layout::new::<T>(),
                entry: Layout::new::<Entry<T>>(),
                offset: Entry::<T>::OFFSET,
                // SAFETY: whoever calls it has such a value.
                drop: |value| unsafe { ptr::drop_in_place(value.as_ptr().cast::<T>()) },
                take_pooled: |from| {
                    let block = PoolBox::<T>::uninit(from)?;
                    Ok(NonNull::from(block.leak()).cast())
                },
                // SAFETY: whoever calls it has such a block.
                free_pooled: |block| unsafe {
                    drop(PoolBox::<MaybeUninit<T>>::from_block(block.cast()));
                },
                take_heap: |payer| {
                    let block = HeapBox::<T>::uninit(payer)?;
                    Ok(NonNull::from(block.leak()).cast())
                },
                // SAFETY: whoever calls it has such a block.
                free_heap: |block| unsafe {
                    drop(HeapBox::<MaybeUninit<T>>::from_block(block.cast()));
                },
            }
        }
    }

    pub(crate) fn is<T: 'static>(&self) -> bool {
        (self.type_id)() == TypeId::of::<T>()
    }

    pub(super) fn is_same(&self, other: &Self) -> bool {
        (self.type_id)() == (other.type_id)()
    }

    pub(crate) fn type_name(&self) -> &'static str {
        (self.type_name)()
    }

    /// Size and alignment of a value.
    pub(crate) fn layout(&self) -> Layout {
        self.layout
    }

    /// # Safety
    ///
    /// `value` is a value of the type, which the caller owns and does not use any more.
    pub(super) unsafe fn drop_value(&self, value: NonNull<u8>) {
        // SAFETY: the caller's contract.
        unsafe { (self.drop)(value) }
    }
}

/// Where a block lies.
pub(crate) enum Place {
    Pool,
    Heap,
    Scratch(Arc<ScratchMemory>),
    /// In a plain `Box`, which counts against nothing.
    Boxed,
}

/// An empty block for one value.
pub(crate) struct Room {
    block: NonNull<u8>,
    kind: &'static Kind,
    place: Place,
}

// SAFETY: a room owns its block, which may be freed on any thread wherever it lies.
unsafe impl Send for Room {}
// SAFETY: a shared room gives access to nothing.
unsafe impl Sync for Room {}

impl Room {
    pub(crate) fn in_pool(kind: &'static Kind, from: pool::Source<'_>) -> Result<Self, AllocError> {
        let block = (kind.take_pooled)(from)?;
        let place = Place::Pool;
        Ok(Self { block, kind, place })
    }

    pub(crate) fn on_heap(kind: &'static Kind, payer: &Payer) -> Result<Self, AllocError> {
        let block = (kind.take_heap)(payer)?;
        let place = Place::Heap;
        Ok(Self { block, kind, place })
    }

    pub(crate) fn in_scratch(
        kind: &'static Kind,
        pool: &Arc<ScratchMemory>,
    ) -> Result<Self, AllocError> {
        let block = match kind.layout.size() {
            0 => kind.layout.dangling_ptr(),
            _ => (&**pool).take(kind.layout)?,
        };
        let place = Place::Scratch(Arc::clone(pool));
        Ok(Self { block, kind, place })
    }

    /// `None` if the system has no more memory.
    pub(crate) fn boxed(kind: &'static Kind) -> Option<Self> {
        let block = match kind.layout.size() {
            0 => kind.layout.dangling_ptr(),
            // SAFETY: the size is not zero.
            _ => NonNull::new(unsafe { alloc::alloc(kind.layout) })?,
        };
        let place = Place::Boxed;
        Some(Self { block, kind, place })
    }

    pub(crate) fn kind(&self) -> &'static Kind {
        self.kind
    }

    /// Moves a value into the room.
    ///
    /// # Safety
    ///
    /// `value` is a value of the room's kind, which the caller owns and does not use any more.
    pub(super) unsafe fn fill(self, value: NonNull<u8>) -> Owned {
        // SAFETY: the block has the kind's layout and is nobody else's.
        unsafe {
            ptr::copy_nonoverlapping(value.as_ptr(), self.block.as_ptr(), self.kind.layout.size())
        };
        Owned(self)
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        // SAFETY: the room's own block, made by the same means.
        unsafe {
            match &self.place {
                Place::Pool => (self.kind.free_pooled)(self.block),
                Place::Heap => (self.kind.free_heap)(self.block),
                _ if self.kind.layout.size() == 0 => {}
                Place::Scratch(pool) => (&**pool).give_back(self.block, self.kind.layout),
                Place::Boxed => alloc::dealloc(self.block.as_ptr(), self.kind.layout),
            }
        }
    }
}

/// A value, and the block that it lies in.
pub(crate) struct Owned(Room);

impl Drop for Owned {
    fn drop(&mut self) {
        // The room is freed after this, on unwinding too.
        // SAFETY: the value is owned, and dropped once, here.
        unsafe { self.0.kind.drop_value(self.0.block) }
    }
}

impl Owned {
    pub(crate) fn kind(&self) -> &'static Kind {
        self.0.kind
    }

    /// Moves the value into another room of its kind.
    pub(crate) fn relocate(self, room: Room) -> Self {
        assert!(self.kind().is_same(room.kind()), "room of another type");
        let old = self.into_room();
        // SAFETY: the value was owned, and what it lay in is a mere room now.
        unsafe { room.fill(old.block) }
    }

    /// The room alone: the value is not dropped with it.
    fn into_room(self) -> Room {
        let this = ManuallyDrop::new(self);
        // SAFETY: moved out of what is not dropped.
        unsafe { ptr::read(&raw const this.0) }
    }

    fn into_block<T: 'static>(self) -> (NonNull<T>, Place) {
        assert!(self.0.kind.is::<T>(), "a value of another type");
        let room = ManuallyDrop::new(self.into_room());
        // SAFETY: moved out of what is not dropped.
        (room.block.cast(), unsafe {
            ptr::read(&raw const room.place)
        })
    }

    /// # Panics
    ///
    /// If the value has another type, or does not lie in a pool.
    pub(crate) fn into_pool_box<T: 'static>(self) -> PoolBox<T> {
        match self.into_block::<T>() {
            // SAFETY: a value of this type in a block as `PoolBox` takes it, whose owner was given up.
            (value, Place::Pool) => unsafe { PoolBox::from_block(value) },
            _ => unreachable!("the value lies elsewhere"),
        }
    }

    /// # Panics
    ///
    /// If the value has another type, or does not lie on the heap.
    pub(crate) fn into_heap_box<T: 'static>(self) -> HeapBox<T> {
        match self.into_block::<T>() {
            // SAFETY: as above, as `HeapBox` takes it.
            (value, Place::Heap) => unsafe { HeapBox::from_block(value) },
            _ => unreachable!("the value lies elsewhere"),
        }
    }

    /// # Panics
    ///
    /// If the value has another type, or does not lie in a scratch pool.
    pub(crate) fn into_scratch_box<T: 'static>(self) -> ScratchBox<T> {
        match self.into_block::<T>() {
            // SAFETY: as above, in a block of this pool.
            (value, Place::Scratch(pool)) => unsafe { ScratchBox::from_block(value, pool) },
            _ => unreachable!("the value lies elsewhere"),
        }
    }

    /// # Panics
    ///
    /// If the value has another type, or does not lie in a plain box.
    pub(crate) fn into_box<T: 'static>(self) -> Box<T> {
        match self.into_block::<T>() {
            // SAFETY: as above, allocated with the layout of `T`.
            (value, Place::Boxed) => unsafe { Box::from_raw(value.as_ptr()) },
            _ => unreachable!("the value lies elsewhere"),
        }
    }
}

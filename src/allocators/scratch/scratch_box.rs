//! The box of a value in a scratch pool.

use core::alloc::Layout;
use core::marker::PhantomData;
use core::mem::{self, ManuallyDrop, MaybeUninit};
use core::ops::{Deref, DerefMut};
use core::ptr::{self, NonNull};
use std::sync::Arc;

use super::ScratchMemory;
use crate::allocators::boxes::forward_to_value;
use crate::allocators::building::{Place, SliceBuilder};
use crate::error::AllocError;

/// An owned value in a scratch pool.
///
/// The value's destructor runs when the box drops, on any thread; its memory is reclaimed by the pool's next reset, which is
/// refused while boxes live. A box keeps the pool's memory alive, also when pool and allocator are gone. Forgetting or
/// leaking one keeps the pool from ever being reset.
///
/// ```
/// use framealloc::SmartAlloc;
///
/// let alloc = SmartAlloc::with_defaults();
/// let pool = alloc.scratch_pool("pathfinding");
/// let mut costs = pool.alloc::<[f32; 1024]>().zeroed();
/// costs[0] = 1.5;
/// drop(costs);
/// pool.reset();
/// assert_eq!(pool.allocated(), 0);
/// ```
pub struct ScratchBox<T: ?Sized> {
    value: NonNull<T>,
    /// Holds the block's memory (I7).
    pool: Arc<ScratchMemory>,
    _owned: PhantomData<T>,
}

/// A slice in a scratch pool. See [`ScratchBox`].
pub type ScratchSlice<T> = ScratchBox<[T]>;

// SAFETY: the box owns its value like `Box` does, and the pool counts under a lock.
unsafe impl<T: ?Sized + Send> Send for ScratchBox<T> {}
// SAFETY: as above.
unsafe impl<T: ?Sized + Sync> Sync for ScratchBox<T> {}

impl<T> ScratchBox<T> {
    /// Room for a `T`; a zero-sized one has none and touches no memory.
    pub(crate) fn uninit(
        pool: &Arc<ScratchMemory>,
    ) -> Result<ScratchBox<MaybeUninit<T>>, AllocError> {
        let block = if size_of::<T>() == 0 {
            NonNull::dangling()
        } else {
            (&**pool).take(Layout::new::<T>())?.cast()
        };
        // SAFETY: just taken for this type, or zero-sized.
        Ok(unsafe { ScratchBox::from_block(block, Arc::clone(pool)) })
    }

    /// Takes the value out. Its memory is reclaimed by the pool's next reset.
    pub fn into_inner(self) -> T {
        let (value, pool) = self.into_block();
        // SAFETY: the value was initialised and is read once: the box that counts its block from here on does not drop it.
        unsafe {
            let block: ScratchBox<MaybeUninit<T>> = ScratchBox::from_block(value.cast(), pool);
            block.value.read().assume_init()
        }
    }
}

impl<T> ScratchBox<[T]> {
    /// A slice of what `fill` pushes, in room for `capacity` elements that grows.
    pub(crate) fn build(
        pool: &Arc<ScratchMemory>,
        capacity: usize,
        fill: impl FnOnce(&mut SliceBuilder<&ScratchMemory, T>) -> Result<(), AllocError>,
    ) -> Result<Self, AllocError> {
        let mut builder = SliceBuilder::with_capacity(&**pool, capacity)?;
        fill(&mut builder)?;
        // SAFETY: the builder's block in this pool, passed on.
        Ok(unsafe { Self::from_block(builder.finish(), Arc::clone(pool)) })
    }
}

impl<T> ScratchBox<MaybeUninit<T>> {
    /// Fills the box with a value.
    pub fn write(mut self, value: T) -> ScratchBox<T> {
        (*self).write(value);
        // SAFETY: just initialised.
        unsafe { self.assume_init() }
    }

    /// Fills the box with zeroes, without building the value elsewhere first.
    pub fn zeroed(mut self) -> ScratchBox<T>
    where
        T: bytemuck::Zeroable,
    {
        // SAFETY: all zeroes are a valid `T`.
        unsafe {
            ptr::write_bytes((*self).as_mut_ptr(), 0, 1);
            self.assume_init()
        }
    }

    /// Fills the box with the type's default.
    pub fn init_default(self) -> ScratchBox<T>
    where
        T: Default,
    {
        self.write(T::default())
    }

    /// # Safety
    ///
    /// The value is initialised.
    unsafe fn assume_init(self) -> ScratchBox<T> {
        let (value, pool) = self.into_block();
        // SAFETY: the same block, passed on; the caller has initialised the value.
        unsafe { ScratchBox::from_block(value.cast(), pool) }
    }
}

impl<T: ?Sized> ScratchBox<T> {
    /// # Safety
    ///
    /// `value` is a live block of `pool`, or zero-sized, and nobody else owns it.
    pub(crate) unsafe fn from_block(value: NonNull<T>, pool: Arc<ScratchMemory>) -> Self {
        Self {
            value,
            pool,
            _owned: PhantomData,
        }
    }

    /// Gives up ownership of the block, which stays counted.
    pub(crate) fn into_block(self) -> (NonNull<T>, Arc<ScratchMemory>) {
        let this = ManuallyDrop::new(self);
        // SAFETY: the box is not dropped, so its share of the pool is moved, not copied.
        (this.value, unsafe { ptr::read(&raw const this.pool) })
    }

    /// The name of the pool that it lies in.
    pub fn pool_name(&self) -> &'static str {
        self.pool.name()
    }

    /// Gives up ownership: the value is never dropped, and its pool never reset.
    pub fn leak<'a>(self) -> &'a mut T
    where
        T: 'a,
    {
        // SAFETY: the block is never freed, since it stays counted and its share of the pool is kept for ever; and nobody
        // else refers to it.
        unsafe { &mut *self.into_raw() }
    }

    /// Gives up ownership, as [`leak`](Self::leak) does.
    pub fn into_raw(self) -> *mut T {
        let (value, pool) = self.into_block();
        mem::forget(pool);
        value.as_ptr()
    }

    /// The value's address.
    pub fn as_ptr(&self) -> *const T {
        self.value.as_ptr()
    }

    /// The value's address.
    pub fn as_mut_ptr(&mut self) -> *mut T {
        self.value.as_ptr()
    }
}

impl<T: ?Sized> Drop for ScratchBox<T> {
    fn drop(&mut self) {
        // The value goes first and its block last, on unwinding too: the destructor may use this very pool.
        struct Block<'p>(&'p ScratchMemory, NonNull<u8>, Layout);
        impl Drop for Block<'_> {
            fn drop(&mut self) {
                if self.2.size() != 0 {
                    // SAFETY: the block of the box that is being dropped.
                    unsafe { self.0.give_back(self.1, self.2) }
                }
            }
        }
        // SAFETY: the value is alive until the next line.
        let layout = Layout::for_value(unsafe { self.value.as_ref() });
        let _block = Block(&self.pool, self.value.cast(), layout);
        // SAFETY: the box owns the value, which is dropped once, here.
        unsafe { ptr::drop_in_place(self.value.as_ptr()) }
    }
}

impl<T: ?Sized> Deref for ScratchBox<T> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        // SAFETY: the box owns the value.
        unsafe { self.value.as_ref() }
    }
}

impl<T: ?Sized> DerefMut for ScratchBox<T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the box owns the value and is borrowed exclusively.
        unsafe { self.value.as_mut() }
    }
}

forward_to_value!(ScratchBox<T: ?Sized>);

//! What the owning boxes have in common.

/// Implements the traits that a box has if its value has them.
macro_rules! forward_to_value {
    ($name:ident < $($lifetime:lifetime,)? T $(: ?$sized:ident)? >) => {
        impl<T: core::fmt::Debug $(+ ?$sized)?> core::fmt::Debug for $name<$($lifetime,)? T> {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                (**self).fmt(f)
            }
        }

        impl<T: core::fmt::Display $(+ ?$sized)?> core::fmt::Display for $name<$($lifetime,)? T> {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                (**self).fmt(f)
            }
        }

        impl<T: PartialEq $(+ ?$sized)?> PartialEq for $name<$($lifetime,)? T> {
            fn eq(&self, other: &Self) -> bool {
                **self == **other
            }
        }

        impl<T: Eq $(+ ?$sized)?> Eq for $name<$($lifetime,)? T> {}

        impl<T: core::hash::Hash $(+ ?$sized)?> core::hash::Hash for $name<$($lifetime,)? T> {
            fn hash<H: core::hash::Hasher>(&self, state: &mut H) {
                (**self).hash(state);
            }
        }

        impl<T $(: ?$sized)?> AsRef<T> for $name<$($lifetime,)? T> {
            fn as_ref(&self) -> &T {
                self
            }
        }

        impl<T $(: ?$sized)?> AsMut<T> for $name<$($lifetime,)? T> {
            fn as_mut(&mut self) -> &mut T {
                self
            }
        }
    };
}

/// Implements what a box of `MaybeUninit<T>` can be filled with. `$name::from_raw_block` passes ownership on.
macro_rules! fillable {
    ($name:ident < $($lifetime:lifetime,)? T >) => {
        impl<$($lifetime,)? T> $name<$($lifetime,)? core::mem::MaybeUninit<T>> {
            /// Fills the box with a value.
            #[inline(always)]
            pub fn write(mut self, value: T) -> $name<$($lifetime,)? T> {
                (*self).write(value);
                // SAFETY: just initialised.
                unsafe { self.assume_init() }
            }

            /// Fills the box with zeroes, without building the value elsewhere first.
            pub fn zeroed(mut self) -> $name<$($lifetime,)? T>
            where
                T: bytemuck::Zeroable,
            {
                // SAFETY: all zeroes are a valid `T`.
                unsafe {
                    core::ptr::write_bytes((*self).as_mut_ptr(), 0, 1);
                    self.assume_init()
                }
            }

            /// Fills the box with the type's default.
            pub fn init_default(self) -> $name<$($lifetime,)? T>
            where
                T: Default,
            {
                self.write(T::default())
            }

            /// # Safety
            ///
            /// The value is initialised.
            #[inline(always)]
            unsafe fn assume_init(self) -> $name<$($lifetime,)? T> {
                let value = self.value.cast();
                core::mem::forget(self);
                // SAFETY: the same block, passed on; the caller has initialised the value.
                unsafe { $name::from_block(value) }
            }
        }

        impl<$($lifetime,)? T> $name<$($lifetime,)? T> {
            /// Takes the value out, and frees its memory.
            pub fn into_inner(self) -> T {
                let value = self.value.cast::<core::mem::MaybeUninit<T>>();
                core::mem::forget(self);
                // SAFETY: the same block, passed on as one whose value is not dropped again.
                let block = unsafe { $name::from_block(value) };
                // SAFETY: the value was initialised, and is read once.
                unsafe { block.value.read().assume_init() }
            }
        }
    };
}

/// Implements a box that may be sent, dropped and leaked anywhere. The type has the fields `value` and `_owned`, and
/// `take_block` and `free_block`, which are called for values that have a size; `$from` is where blocks come from.
macro_rules! sendable_box {
    ($name:ident, $from:ty) => {
        // SAFETY: the box owns its value like `Box` does, and its block can be freed on any thread.
        unsafe impl<T: Send> Send for $name<T> {}
        // SAFETY: as above.
        unsafe impl<T: Sync> Sync for $name<T> {}

        impl<T> $name<T> {
            #[inline(always)]
            pub(crate) fn uninit(
                from: $from,
            ) -> Result<$name<core::mem::MaybeUninit<T>>, AllocError> {
                let value = if size_of::<T>() == 0 {
                    NonNull::dangling()
                } else {
                    Self::take_block(from)?.cast()
                };
                // SAFETY: just allocated.
                Ok(unsafe { $name::from_block(value) })
            }

            #[inline(always)]
            pub(crate) fn new(value: T, from: $from) -> Result<Self, AllocError> {
                Ok(Self::uninit(from)?.write(value))
            }

            /// # Safety
            ///
            /// `value` is a block as `uninit` takes it, and nobody else owns it.
            #[inline(always)]
            pub(crate) unsafe fn from_block(value: NonNull<T>) -> Self {
                Self {
                    value,
                    _owned: PhantomData,
                }
            }

            /// Gives up ownership: the value is never dropped or freed.
            pub fn leak<'a>(self) -> &'a mut T
            where
                T: 'a,
            {
                // SAFETY: the block is never freed, and nobody else refers to it.
                unsafe { &mut *self.into_raw() }
            }

            /// Gives up ownership, as [`leak`](Self::leak) does.
            pub fn into_raw(self) -> *mut T {
                let value = self.value.as_ptr();
                core::mem::forget(self);
                value
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

        impl<T> Drop for $name<T> {
            #[inline(always)]
            fn drop(&mut self) {
                // The value goes first and its block last, on unwinding too.
                struct Free<T>(NonNull<T>);
                impl<T> Drop for Free<T> {
                    #[inline(always)]
                    fn drop(&mut self) {
                        if size_of::<T>() != 0 {
                            // SAFETY: the block of the box that is being dropped.
                            unsafe { $name::free_block(self.0) }
                        }
                    }
                }
                let _free = Free(self.value);
                // SAFETY: the box owns the value, which is dropped once, here.
                unsafe { core::ptr::drop_in_place(self.value.as_ptr()) }
            }
        }

        impl<T> core::ops::Deref for $name<T> {
            type Target = T;

            #[inline(always)]
            fn deref(&self) -> &T {
                // SAFETY: the box owns the value.
                unsafe { self.value.as_ref() }
            }
        }

        impl<T> core::ops::DerefMut for $name<T> {
            #[inline(always)]
            fn deref_mut(&mut self) -> &mut T {
                // SAFETY: the box owns the value and is borrowed exclusively.
                unsafe { self.value.as_mut() }
            }
        }

        forward_to_value!($name<T>);
        fillable!($name<T>);
    };
}

pub(crate) use {fillable, forward_to_value, sendable_box};

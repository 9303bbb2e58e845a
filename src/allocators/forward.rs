//! What every owning box does by asking its value.

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

pub(crate) use {fillable, forward_to_value};

//! Borrows of values that others may move or free: many readers or one writer at a time, checked when the program runs.

pub(crate) mod word;

/// What [`word`] is built from; the model checker puts its own in this place.
mod atomics {
    pub(crate) use core::sync::atomic::{AtomicU64, Ordering};

    /// Waits a moment for another thread that is in the middle of a copy, and looks again.
    #[cold]
    pub(crate) fn wait(word: &AtomicU64, spins: &mut u32) -> u64 {
        *spins += 1;
        if *spins < 64 {
            core::hint::spin_loop();
        } else {
            // That thread may have no core of its own.
            std::thread::yield_now();
        }
        word.load(Ordering::Relaxed)
    }
}

/// What a guard holds on to: a value's word, and what becomes of a value that was doomed meanwhile.
pub(crate) trait Loan: Copy {
    fn word(&self) -> &word::Word;

    /// Called once, after the last use of a doomed value.
    ///
    /// # Safety
    ///
    /// The word has said that the value is the caller's.
    unsafe fn finish(self);
}

/// Defines a reading and a writing guard over a [`Loan`].
macro_rules! guards {
    (
        $(#[$read_doc:meta])* $read:ident,
        $(#[$write_doc:meta])* $write:ident,
        $loan:ident, $($bound:tt)+
    ) => {
        $crate::allocators::borrow::guards! { @guard $(#[$read_doc])* $read, &'a T, Sync, end_read, $loan, $($bound)+ }
        $crate::allocators::borrow::guards! { @guard $(#[$write_doc])* $write, &'a mut T, Send, end_write, $loan, $($bound)+ }

        impl<T: $($bound)+> core::ops::DerefMut for $write<'_, T> {
            #[inline(always)]
            fn deref_mut(&mut self) -> &mut T {
                // SAFETY: the word says that nobody else uses the value (B1), and the guard is borrowed exclusively.
                unsafe { self.value.as_mut() }
            }
        }
    };
    (@guard $(#[$doc:meta])* $name:ident, $reference:ty, $sendable:ident, $end:ident, $loan:ident, $($bound:tt)+) => {
        $(#[$doc])*
        pub struct $name<'a, T: $($bound)+> {
            value: core::ptr::NonNull<T>,
            loan: $loan<'a>,
            _borrow: core::marker::PhantomData<$reference>,
        }

        // SAFETY: the guard is the reference that it derefs to, and a word that is atomic. Values that a guard may have to
        // drop are `Send`, wherever they were made.
        unsafe impl<T: $sendable + $($bound)+> Send for $name<'_, T> {}
        // SAFETY: shared, it gives out `&T` only.
        unsafe impl<T: Sync + $($bound)+> Sync for $name<'_, T> {}

        impl<T: $($bound)+> core::ops::Deref for $name<'_, T> {
            type Target = T;

            #[inline(always)]
            fn deref(&self) -> &T {
                // SAFETY: the word keeps writers, movers and frees away while the guard lives (B1).
                unsafe { self.value.as_ref() }
            }
        }

        impl<T: $($bound)+> Drop for $name<'_, T> {
            #[inline(always)]
            fn drop(&mut self) {
                use $crate::allocators::borrow::Loan;
                if self.loan.word().$end() {
                    // SAFETY: this was the last use of a doomed value.
                    unsafe { self.loan.finish() }
                }
            }
        }

        impl<T: core::fmt::Debug + $($bound)+> core::fmt::Debug for $name<'_, T> {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                (**self).fmt(f)
            }
        }

        impl<T: core::fmt::Display + $($bound)+> core::fmt::Display for $name<'_, T> {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                (**self).fmt(f)
            }
        }
    };
}
pub(crate) use guards;

#[cfg(test)]
mod tests {
    use super::word::{Refusal, Word};

    #[test]
    fn the_last_generation_is_never_followed_by_another() {
        let word = Word::vacant(u32::MAX - 1);
        assert_eq!(word.publish(), u32::MAX - 1);
        assert_eq!(word.claim(u32::MAX - 1), Ok(Some(u32::MAX)));
        assert_eq!(word.publish(), u32::MAX);
        assert_eq!(word.claim(u32::MAX), Ok(None));
        assert_eq!(word.state(), (u32::MAX, false));
        assert_eq!(word.read(u32::MAX), Err(Refusal::Gone));
    }

    #[test]
    fn counts_that_are_full_refuse_and_change_nothing() {
        let word = Word::vacant(7);
        word.publish();
        while word.pin(7).is_ok() {}
        assert_eq!(word.pin(7), Err(Refusal::TooMany));
        while word.read(7).is_ok() {}
        assert_eq!(word.read(7), Err(Refusal::TooMany));
        assert_eq!(word.state(), (7, true));
        assert_eq!(word.uses(), (4095, true));
        assert_eq!(word.write(7), Err(Refusal::Borrowed));
        for _ in 0..65_535 {
            assert!(!word.end_read());
        }
        assert_eq!(word.claim(7), Err(Refusal::Pinned));
        assert!(!word.begin_move());
        for _ in 0..4095 {
            word.unpin(7).unwrap();
        }
        assert_eq!(word.unpin(7), Err(Refusal::NotPinned));
        assert!(word.begin_move());
        word.end_move(true);
        assert_eq!(word.read(7), Err(Refusal::Borrowed));
        assert!(!word.end_write());
        assert_eq!(word.claim(7), Ok(Some(8)));
    }
}

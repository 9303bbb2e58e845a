//! The mutex of the slow paths, and what to wait with: `parking_lot`'s with that feature, the standard library's without.
//!
//! Neither is poisoned: what they guard is whole between any two statements.

#[cfg(feature = "parking_lot")]
pub(crate) use parking_lot::{Mutex, MutexGuard};

#[cfg(not(feature = "parking_lot"))]
pub(crate) use plain::{Mutex, MutexGuard};

/// The clock, also in a browser.
pub(crate) use web_time::Instant;

/// Where threads sleep until what a mutex guards has changed.
pub(crate) struct Condvar(
    #[cfg(feature = "parking_lot")] parking_lot::Condvar,
    #[cfg(not(feature = "parking_lot"))] std::sync::Condvar,
);

#[cfg(feature = "parking_lot")]
impl Condvar {
    pub(crate) const fn new() -> Self {
        Self(parking_lot::Condvar::new())
    }

    /// Sleeps, also for no reason, and at most until the deadline. Whether that has passed comes with the lock.
    pub(crate) fn wait<'a, T>(
        &self,
        mut guard: MutexGuard<'a, T>,
        deadline: Option<Instant>,
    ) -> (MutexGuard<'a, T>, bool) {
        let late = match deadline {
            None => {
                self.0.wait(&mut guard);
                false
            }
            Some(deadline) => {
                let left = deadline.saturating_duration_since(Instant::now());
                self.0.wait_for(&mut guard, left).timed_out()
            }
        };
        (guard, late)
    }

    pub(crate) fn notify_all(&self) {
        self.0.notify_all();
    }
}

#[cfg(not(feature = "parking_lot"))]
impl Condvar {
    pub(crate) const fn new() -> Self {
        Self(std::sync::Condvar::new())
    }

    /// Sleeps, also for no reason, and at most until the deadline. Whether that has passed comes with the lock.
    pub(crate) fn wait<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        deadline: Option<Instant>,
    ) -> (MutexGuard<'a, T>, bool) {
        use std::sync::PoisonError;
        let Some(deadline) = deadline else {
            let guard = self.0.wait(guard).unwrap_or_else(PoisonError::into_inner);
            return (guard, false);
        };
        let left = deadline.saturating_duration_since(Instant::now());
        let (guard, result) = self
            .0
            .wait_timeout(guard, left)
            .unwrap_or_else(PoisonError::into_inner);
        (guard, result.timed_out())
    }

    pub(crate) fn notify_all(&self) {
        self.0.notify_all();
    }
}

#[cfg(not(feature = "parking_lot"))]
mod plain {
    use std::sync::PoisonError;

    pub(crate) use std::sync::MutexGuard;

    #[derive(Default)]
    pub(crate) struct Mutex<T>(std::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) const fn new(value: T) -> Self {
            Self(std::sync::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner)
        }

        pub(crate) fn get_mut(&mut self) -> &mut T {
            self.0.get_mut().unwrap_or_else(PoisonError::into_inner)
        }
    }
}

//! loom's stand-ins for the mutex and what to wait with. A wait that nobody ends is a deadlock, and fails the model.

pub(crate) use std::time::Instant;

pub(crate) use loom::sync::MutexGuard;

pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(loom::sync::Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap()
    }
}

pub(crate) struct Condvar(loom::sync::Condvar);

impl Condvar {
    pub(crate) fn new() -> Self {
        Self(loom::sync::Condvar::new())
    }

    /// Time stands still in a model.
    pub(crate) fn wait<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        deadline: Option<Instant>,
    ) -> (MutexGuard<'a, T>, bool) {
        assert!(deadline.is_none());
        (self.0.wait(guard).unwrap(), false)
    }

    pub(crate) fn notify_all(&self) {
        self.0.notify_all();
    }
}

//! Lists of listeners, and what holds while they run.

use core::any::Any;
use core::cell::Cell;
use core::panic::AssertUnwindSafe;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::panic::{catch_unwind, resume_unwind};
use std::sync::Arc;

use crate::sync::Mutex;

/// Names a listener, to remove it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ListenerId(u64);

/// The listeners of something, and what it counts: under one lock, which an event that is counted and told then takes once.
pub(super) struct Listeners<F: ?Sized, S = ()>(Mutex<(List<F>, S)>);

/// Replaced as a whole by each change, so that whoever is being told may change it.
pub(super) type List<F> = Arc<Vec<(ListenerId, Arc<F>)>>;

impl<F: ?Sized, S: Default> Listeners<F, S> {
    pub(super) fn new() -> Self {
        Self(Mutex::default())
    }

    /// Looks at what is counted, or changes it.
    pub(super) fn counts<R>(&self, with: impl FnOnce(&mut S) -> R) -> R {
        with(&mut self.0.lock().1)
    }

    /// Changes what is counted, and returns who listens.
    pub(super) fn count<R>(&self, count: impl FnOnce(&mut S) -> R) -> (R, List<F>) {
        let mut both = self.0.lock();
        (count(&mut both.1), both.0.clone())
    }

    pub(super) fn add(&self, listener: Arc<F>) -> ListenerId {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let id = ListenerId(NEXT.fetch_add(1, Relaxed));
        self.change(|list| list.push((id, listener)));
        id
    }

    /// Returns whether it was there.
    pub(super) fn remove(&self, id: ListenerId) -> bool {
        let mut found = false;
        self.change(|list| {
            let before = list.len();
            list.retain(|(of, _)| *of != id);
            found = list.len() != before;
        });
        found
    }

    pub(super) fn clear(&self) {
        self.change(Vec::clear);
    }

    /// Replaces all of them by this one.
    pub(super) fn replace_all(&self, listener: Arc<F>) {
        let mut listener = Some(listener);
        self.change(|list| {
            list.clear();
            list.extend(listener.take().map(|listener| (ListenerId(0), listener)));
        });
    }

    fn change(&self, change: impl FnOnce(&mut Vec<(ListenerId, Arc<F>)>)) {
        let mut both = self.0.lock();
        let mut changed = (*both.0).clone();
        change(&mut changed);
        let before = core::mem::replace(&mut both.0, Arc::new(changed));
        drop(both);
        // The destructors of listeners are the user's code: they run with the lock released.
        drop(before);
    }

    fn now(&self) -> List<F> {
        self.0.lock().0.clone()
    }
}

thread_local! {
    /// Listeners that are running on this thread, one inside the other.
    static DEPTH: Cell<usize> = const { Cell::new(0) };
}

/// What is emitted by hand may be passed on from listener to listener this often.
const MOST_NESTED: usize = 8;

/// Whether the calling thread runs a listener.
pub(super) fn is_inside() -> bool {
    depth() != 0
}

fn depth() -> usize {
    DEPTH.try_with(Cell::get).unwrap_or(0)
}

/// The right to call listeners on this thread, and what they throw.
pub(super) struct Delivery {
    panic: Option<Box<dyn Any + Send>>,
}

impl Delivery {
    /// For an event of the allocator's. `None` inside a listener.
    pub(super) fn begin() -> Option<Self> {
        Self::begin_below(1)
    }

    /// For an event that was emitted by hand. `None` if too many are nested.
    pub(super) fn begin_by_hand() -> Option<Self> {
        Self::begin_below(MOST_NESTED)
    }

    fn begin_below(most: usize) -> Option<Self> {
        let now = depth();
        if now >= most {
            return None;
        }
        let _ = DEPTH.try_with(|depth| depth.set(now + 1));
        Some(Self { panic: None })
    }

    /// Calls every listener. If one panics, the others are told still.
    pub(super) fn tell<F: ?Sized, S: Default>(
        &mut self,
        listeners: &Listeners<F, S>,
        call: impl Fn(&F),
    ) {
        self.tell_all(&listeners.now(), call);
    }

    /// [`tell`](Self::tell) of those who listened a moment ago.
    pub(super) fn tell_all<F: ?Sized>(&mut self, listeners: &List<F>, call: impl Fn(&F)) {
        for (_, listener) in &**listeners {
            self.call(|| call(listener));
        }
    }

    pub(super) fn call(&mut self, f: impl FnOnce()) {
        match catch_unwind(AssertUnwindSafe(f)) {
            Err(payload) if self.panic.is_none() => self.panic = Some(payload),
            Err(payload) => swallow(payload),
            Ok(()) => {}
        }
    }

    /// Passes the first panic on. On a thread that unwinds already a second one would end the process: it ends here.
    pub(super) fn finish(mut self) {
        let panic = self.panic.take();
        drop(self);
        match panic {
            Some(payload) if std::thread::panicking() => swallow(payload),
            Some(payload) => resume_unwind(payload),
            None => {}
        }
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        let _ = DEPTH.try_with(|depth| depth.set(depth.get() - 1));
    }
}

/// Drops what a listener has thrown.
pub(crate) fn swallow(payload: Box<dyn Any + Send>) {
    // Its destructor might panic as well; what that throws is leaked.
    if let Err(thrown) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        core::mem::forget(thrown);
    }
}

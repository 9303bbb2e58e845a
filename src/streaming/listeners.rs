//! Who is told about evictions.

use core::panic::AssertUnwindSafe;
use std::panic::{catch_unwind, resume_unwind};
use std::sync::Arc;

use super::{StreamId, StreamPriority};
use crate::sync::Mutex;
use crate::tags::TagId;

/// A stream that was evicted. See [`StreamingAllocator::on_evicted`](crate::StreamingAllocator::on_evicted).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct EvictedStream {
    /// The stream, which is unknown by now.
    pub id: StreamId,
    /// Bytes that were freed.
    pub size: usize,
    /// The priority it had.
    pub priority: StreamPriority,
    /// What its memory was charged to.
    pub tag: TagId,
}

type Callback = Arc<dyn Fn(StreamId) + Send + Sync>;
type Listener = Arc<dyn Fn(&EvictedStream) + Send + Sync>;

/// The one callback, and the listeners that are added to it.
pub(super) struct Listeners(Mutex<Registered>);

#[derive(Clone, Default)]
struct Registered {
    callback: Option<Callback>,
    listeners: Vec<Listener>,
}

impl Listeners {
    pub(super) fn new() -> Self {
        Self(Mutex::new(Registered::default()))
    }

    pub(super) fn set_callback(&self, callback: Callback) {
        let replaced = self.0.lock().callback.replace(callback);
        // Its destructor is the user's code: it runs with the lock released.
        drop(replaced);
    }

    pub(super) fn add(&self, listener: Listener) {
        self.0.lock().listeners.push(listener);
    }

    /// Tells everybody about every stream, with no lock held. If one panics the others are told still, and the first
    /// panic goes on then.
    pub(super) fn tell(&self, evicted: &[EvictedStream]) {
        if evicted.is_empty() {
            return;
        }
        let registered = self.0.lock().clone();
        let mut panic = None;
        for stream in evicted {
            let mut call = |f: &dyn Fn()| {
                match catch_unwind(AssertUnwindSafe(f)) {
                    Err(payload) if panic.is_none() => panic = Some(payload),
                    // Its destructor might panic as well; what that throws is leaked.
                    Err(payload) => {
                        if let Err(thrown) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
                            core::mem::forget(thrown);
                        }
                    }
                    Ok(()) => {}
                }
            };
            if let Some(callback) = &registered.callback {
                call(&|| callback(stream.id));
            }
            for listener in &registered.listeners {
                call(&|| listener(stream));
            }
        }
        if let Some(payload) = panic {
            resume_unwind(payload);
        }
    }
}

//! User code of which every piece has to run, whether or not others panic.

#![forbid(unsafe_code)]

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::thread;

/// Keeps the first panic for later.
#[derive(Default)]
pub(crate) struct FirstPanic(Option<Box<dyn Any + Send>>);

impl FirstPanic {
    /// Runs `f` to its end or its panic.
    pub(crate) fn run(&mut self, f: impl FnOnce()) {
        let Err(payload) = catch_unwind(AssertUnwindSafe(f)) else {
            return;
        };
        match self.0 {
            None => self.0 = Some(payload),
            // What a panic carries is the user's, and may panic in turn.
            Some(_) => core::mem::forget(catch_unwind(AssertUnwindSafe(|| drop(payload)))),
        }
    }

    /// Lets the first panic go on, if there was one. If the thread is unwinding already, one is enough.
    pub(crate) fn resume(self) {
        if let Some(payload) = self.0
            && !thread::panicking()
        {
            resume_unwind(payload);
        }
    }
}

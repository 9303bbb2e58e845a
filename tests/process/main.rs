//! What is the process's, not an allocator's: the sink of reports, the mode that the environment sets, and the totals of pools
//! and heap. One test at a time.

mod children;
mod deferred;
mod full_disk;
mod reports;
mod sinks;
mod snapshots;
mod soak;
mod totals;
mod tour;
#[cfg(feature = "tracing")]
mod tracing_events;
mod transfers;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Held by each test while it runs. What its thread frees for others has left it when this drops; threads that a test makes
/// and joins have seen to that themselves.
struct Alone {
    _lock: MutexGuard<'static, ()>,
}

fn alone() -> Alone {
    static ALONE: Mutex<()> = Mutex::new(());
    Alone {
        _lock: ALONE.lock().unwrap_or_else(PoisonError::into_inner),
    }
}

impl Drop for Alone {
    fn drop(&mut self) {
        framealloc::SmartAlloc::with_defaults().process_deferred_frees(0);
    }
}

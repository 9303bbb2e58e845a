//! What is the process's, not an allocator's: the sink of reports, the mode that the environment sets, and the totals of pools
//! and heap. One test at a time.

mod children;
mod deferred;
mod reports;
mod sinks;
mod totals;
#[cfg(feature = "tracing")]
mod tracing_events;
mod transfers;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Held by each test while it runs.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

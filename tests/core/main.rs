//! The allocator without Bevy, through its public door: what no safe program may be able to break.
//!
//! Run it under AddressSanitizer as well (`cargo xtask test --only sanitizer`): freed frame memory is hidden from the
//! program then, so that a use after free is caught inside an arena too.

/// `metered.rs` runs the same tests with budgets on.
const METERED: bool = false;

mod allocators;
mod barrier;
mod behavior;
mod boundaries;
mod budgets;
mod build_hints;
mod checkpoints;
mod common;
mod diagnostics;
mod event_order;
mod events;
mod everything;
mod frame_map;
mod frame_string;
mod frame_vec;
mod groups;
mod guards;
mod handles;
mod heap;
mod late_budgets;
mod leases;
mod limit_events;
mod limits;
mod model;
mod phases;
#[cfg(debug_assertions)]
mod poison;
mod pools;
mod profiling;
mod reentry;
mod retention;
mod scratch;
mod shared;
mod snapshots;
mod streaming;
mod tags;
mod thread_budgets;
mod threads;
mod tour;
mod transfer;

/// Under AddressSanitizer, a size that it does not support is refused as it is without it, instead of ending the process.
#[expect(unsafe_code, reason = "the sanitizer asks for a function of this name")]
#[unsafe(no_mangle)]
extern "C" fn __asan_default_options() -> *const std::ffi::c_char {
    c"allocator_may_return_null=1".as_ptr()
}

//! The same tests as in `main.rs`, in allocators whose every allocation is counted against budgets and takes the slow paths.

const METERED: bool = true;

mod allocators;
mod boundaries;
mod common;
mod everything;
mod frame_map;
mod frame_string;
mod frame_vec;
mod guards;
mod heap;
mod leases;
mod model;
mod pools;
mod reentry;
mod retention;
mod scratch;
mod shared;
mod tags;
mod threads;

/// As in `main.rs`.
#[expect(unsafe_code, reason = "the sanitizer asks for a function of this name")]
#[unsafe(no_mangle)]
extern "C" fn __asan_default_options() -> *const std::ffi::c_char {
    c"allocator_may_return_null=1".as_ptr()
}

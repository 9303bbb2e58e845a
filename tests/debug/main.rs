//! What the feature `debug` adds: call stacks of what is alive, the report of leaks, checked frees, and poison in release builds.

#[path = "../../examples/find_a_leak.rs"]
mod find_a_leak;
mod invalid_frees;
mod leaks;
mod model;
#[path = "../core/poison.rs"]
mod poison;

use framealloc::diagnostics::{Diagnostic, DiagnosticCode};

fn codes(reports: &[Diagnostic]) -> Vec<DiagnosticCode> {
    reports.iter().map(|report| report.code).collect()
}

/// As in the core tests.
#[expect(unsafe_code, reason = "the sanitizer asks for a function of this name")]
#[unsafe(no_mangle)]
extern "C" fn __asan_default_options() -> *const std::ffi::c_char {
    c"allocator_may_return_null=1".as_ptr()
}

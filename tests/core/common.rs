//! What several topics use.

use std::cell::Cell;

use framealloc::diagnostics::{self, Diagnostic, DiagnosticCode};
use framealloc::{AllocConfig, SmartAlloc};

/// An allocator of 1 MiB arenas.
pub fn small() -> SmartAlloc {
    SmartAlloc::new(minimal())
}

/// The configuration of [`small`]. In the metered run of these tests every allocation is counted against budgets.
pub fn minimal() -> AllocConfig {
    AllocConfig::minimal().with_budgets(crate::METERED)
}

/// Counts its drops.
pub struct Counted<'a>(pub &'a Cell<usize>);

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() + 1);
    }
}

/// Runs `f` and returns the codes that it reported.
pub fn reported<R>(f: impl FnOnce() -> R) -> (R, Vec<DiagnosticCode>) {
    let (result, reports) = diagnostics::capture(f);
    (result, codes(&reports))
}

pub fn codes(reports: &[Diagnostic]) -> Vec<DiagnosticCode> {
    reports.iter().map(|report| report.code).collect()
}

/// Overwrites whatever the open frame of this thread considers free, several times an arena's first chunks.
pub fn overwrite(alloc: &SmartAlloc) {
    static LEASED: [u8; 8 << 10] = [0xEE; 8 << 10];
    static GUARDED: [u8; 60 << 10] = [0xDD; 60 << 10];
    let blocks: [_; 40] = std::array::from_fn(|_| alloc.frame_slice_copy(&LEASED).unwrap());
    let guard = alloc.frame();
    let scratch = guard.alloc_slice_copy(&GUARDED);
    assert!(blocks.iter().all(|block| **block == LEASED));
    assert!(*scratch == GUARDED);
}

/// Runs `f` on a thread, and returns when that has ended with all its destructors.
pub fn on_a_thread<R: Send>(f: impl FnOnce() -> R + Send) -> R {
    // A scope by itself does not wait for the destructors of thread-locals; a join does.
    std::thread::scope(|scope| scope.spawn(f).join()).unwrap()
}

/// Whole frames in which everything free is overwritten.
pub fn busy_frames(alloc: &SmartAlloc, frames: usize) {
    for _ in 0..frames {
        alloc.begin_frame();
        overwrite(alloc);
        alloc.end_frame();
    }
}

/// Chunks of this thread's arenas that are kept apart because of a lease.
pub fn retired(alloc: &SmartAlloc) -> usize {
    alloc
        .arenas()
        .iter()
        .map(|arena| arena.retired_chunks)
        .sum()
}

/// Runs `f`, which panics, and swallows its panic.
pub fn panics<R>(f: impl FnOnce() -> R) {
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(f));
    assert!(outcome.is_err(), "it was to panic");
}

/// Runs `f` on a thread whose stack holds values of megabytes.
pub fn with_a_large_stack(f: impl FnOnce() + Send) {
    std::thread::scope(|scope| {
        std::thread::Builder::new()
            .stack_size(128 << 20)
            .spawn_scoped(scope, f)
            .unwrap()
            .join()
            .unwrap();
    });
}

macro_rules! aligned_types {
    ($($name:ident: $align:literal;)*) => {
        $(
            #[derive(Clone, Copy)]
            #[repr(align($align))]
            pub struct $name(pub u8);

            impl Default for $name {
                fn default() -> Self {
                    Self(0xA5)
                }
            }
        )*
    };
}

aligned_types! {
    A16: 16;
    A32: 32;
    A64: 64;
    A128: 128;
    A1K: 1024;
    A4K: 4096;
    A8K: 8192;
    A64K: 65536;
    A128K: 131072;
    A256K: 262144;
    A1M: 1048576;
}

/// Calls a macro with every one of the aligned types.
#[macro_export]
macro_rules! for_every_alignment {
    ($call:ident) => {
        $call!(A16);
        $call!(A32);
        $call!(A64);
        $call!(A128);
        $call!(A1K);
        $call!(A4K);
        $call!(A8K);
        $call!(A64K);
        $call!(A128K);
        $call!(A256K);
        $call!(A1M);
    };
}

pub fn address<T: ?Sized>(value: &T) -> usize {
    std::ptr::from_ref(value).cast::<u8>() as usize
}

pub use DiagnosticCode::{FA001, FA002, FA003, FA004, FA006};

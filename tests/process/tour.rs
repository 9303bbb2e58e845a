//! The sections of the API tour (`tests/core/tour`) whose settings are the process's.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

use framealloc::diagnostics::{DiagContext, set_bevy_context};
use framealloc::{
    DeferredConfig, DeferredProcessing, DiagnosticKind, QueueFullPolicy, SmartAlloc, StrictMode,
    StrictModeGuard, fa_diagnostic, fa_emit, set_strict_mode,
};

use crate::alone;

#[test]
fn deferred_frees_are_processed_when_the_program_says() {
    let _alone = alone();
    let alloc = SmartAlloc::with_defaults();
    let config = DeferredConfig::bounded(1024).full_policy(QueueFullPolicy::ProcessImmediately);
    alloc.set_deferred_config(config);
    assert_eq!(alloc.deferred_config(), config);
    let config = DeferredConfig::incremental(16);
    alloc.set_deferred_config(config);

    alloc.set_deferred_processing(DeferredProcessing::Explicit);
    alloc.process_deferred_frees(usize::MAX);
    // A size that no other test of this process frees from elsewhere.
    let blocks: Vec<_> = (0..100)
        .map(|_| alloc.pool_box([1_u64; 190]).unwrap())
        .collect();
    thread::spawn(move || drop(blocks)).join().unwrap();
    let waiting = alloc.deferred_stats().current_depth;
    assert!(waiting >= 100);
    let processed = alloc.process_deferred_frees(64);
    assert!((1..=64).contains(&processed), "{processed}");
    while alloc.process_deferred_frees(64) > 0 {}
    alloc.set_deferred_config(DeferredConfig::default());
}

#[test]
fn a_process_can_be_strict() {
    let _alone = alone();
    let panics = |f: fn()| catch_unwind(AssertUnwindSafe(f)).is_err();
    set_strict_mode(StrictMode::PanicOnError);
    assert!(panics(|| fa_emit!(FA001)));
    assert!(!panics(|| fa_emit!(FA003)));
    {
        let _guard = StrictModeGuard::panic_on_warning();
        assert!(panics(|| fa_emit!(FA003)));
    }
    set_strict_mode(StrictMode::Warn);
    assert!(!panics(|| fa_diagnostic!(
        Error,
        code = "TOUR01",
        message = "said, and no more"
    )));
    assert_eq!(DiagnosticKind::Error.prefix(), "error");
}

#[test]
fn a_process_can_say_that_it_runs_bevy() {
    let _alone = alone();
    set_bevy_context(true);
    let ctx = DiagContext::capture();
    set_bevy_context(false);
    assert!(ctx.bevy_active && !DiagContext::capture().bevy_active);
    assert!(ctx.to_string().starts_with("bevy=true, "));
}

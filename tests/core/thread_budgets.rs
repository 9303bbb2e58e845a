//! Budgets of threads, and what their policies do.

use std::sync::{Arc, Mutex};
use std::thread::current;

use framealloc::diagnostics::DiagnosticCode::FA303;
use framealloc::{
    AllocConfig, AllocErrorKind, BudgetExceededPolicy, SmartAlloc, ThreadBudgetConfig,
    ThreadBudgetStats,
};

use crate::common::{on_a_thread, reported, small};

fn with_policy(frame_budget: usize, policy: BudgetExceededPolicy) -> ThreadBudgetConfig {
    ThreadBudgetConfig {
        frame_budget,
        frame_exceeded_policy: policy,
        pool_budget: 1000,
        pool_exceeded_policy: policy,
        ..Default::default()
    }
}

fn mine(alloc: &SmartAlloc) -> ThreadBudgetStats {
    alloc.thread_budgets().get_stats(current().id()).unwrap()
}

#[test]
fn fail_refuses_boxes_and_guards_alike_in_the_middle_of_a_frame() {
    let alloc = small();
    alloc.begin_frame();
    let before = alloc.frame_box([1u8; 4000]).unwrap();
    alloc.set_thread_budget_config(
        current().id(),
        with_policy(1000, BudgetExceededPolicy::Fail),
    );
    // What was allocated before does not count.
    let first = alloc.frame_box([2u8; 600]).unwrap();
    let guard = alloc.frame();
    let scratch = guard.alloc([3u8; 400]);
    assert_eq!(alloc.frame_remaining(), 0);
    let (error, codes) = reported(|| alloc.frame_box(0u8).unwrap_err());
    assert_eq!(
        (error.kind(), codes),
        (AllocErrorKind::ThreadBudget, vec![FA303])
    );
    assert!(guard.try_alloc(0u8).is_err());
    assert_eq!((before[0], first[0], scratch[0]), (1, 2, 3));
    drop(guard);
    assert_eq!(alloc.frame_remaining(), 400);
    drop((before, first));
    alloc.end_frame();
    assert_eq!(alloc.frame_remaining(), 1000);
    assert_eq!(
        (mine(&alloc).frame_peak, mine(&alloc).exceeded_count),
        (1000, 2)
    );
}

#[test]
fn warn_and_allow_let_it_pass_and_count_it() {
    for (policy, codes) in [
        (BudgetExceededPolicy::Warn, &[FA303][..]),
        (BudgetExceededPolicy::Allow, &[]),
    ] {
        let alloc = small();
        alloc.set_thread_budget_config(current().id(), with_policy(100, policy));
        alloc.begin_frame();
        let (block, reports) = reported(|| alloc.frame_box([1u8; 200]).unwrap());
        assert_eq!(reports, codes);
        assert_eq!(
            (mine(&alloc).frame_used, mine(&alloc).frame_usage_percent()),
            (200, 200.0)
        );
        drop(block);
        alloc.end_frame();
        assert_eq!(mine(&alloc).frame_used, 0);
    }
}

#[test]
fn promote_takes_the_memory_from_outside_the_arena() {
    // An arena that may not grow at all.
    let config = AllocConfig::minimal().with_max_frame_arena_size(1 << 20);
    let alloc = SmartAlloc::new(config);
    alloc.set_thread_budget_config(
        current().id(),
        with_policy(1000, BudgetExceededPolicy::Promote),
    );
    for _ in 0..3 {
        alloc.begin_frame();
        let guard = alloc.frame();
        let small = alloc.frame_box([1u8; 900]).unwrap();
        // More than the arena's limit, all of it promoted.
        let boxes: Vec<_> = (0..8u8)
            .map(|n| alloc.frame_slice_fill(256 << 10, n).unwrap())
            .collect();
        let scratch = guard.alloc_slice_fill(2 << 20, 7u8);
        assert!(
            boxes
                .iter()
                .zip(0..)
                .all(|(block, n)| block.iter().all(|&byte| byte == n))
        );
        assert!(scratch.iter().all(|&byte| byte == 7));
        assert_eq!(mine(&alloc).frame_used, 904);
        drop((small, boxes));
        drop(guard);
        alloc.end_frame();
    }
    assert_eq!(mine(&alloc).frame_used, 0);
    assert_eq!(mine(&alloc).promoted_bytes, 3 * (4 << 20));
}

#[test]
fn custom_asks_the_handler() {
    let alloc = small();
    let asked = Arc::<Mutex<Vec<(usize, usize)>>>::default();
    let log = asked.clone();
    alloc
        .thread_budgets()
        .set_exceeded_handler(move |thread, requested, left| {
            assert_eq!(thread, current().id());
            log.lock().unwrap().push((requested, left));
            if requested > 500 {
                BudgetExceededPolicy::Fail
            } else {
                BudgetExceededPolicy::Allow
            }
        });
    alloc.set_thread_budget_config(
        current().id(),
        with_policy(100, BudgetExceededPolicy::Custom),
    );
    alloc.begin_frame();
    assert!(alloc.frame_box([0u8; 200]).is_ok());
    assert!(alloc.frame_box([0u8; 800]).is_err());
    alloc.end_frame();
    assert_eq!(*asked.lock().unwrap(), [(200, 100), (800, 0)]);
}

#[test]
fn pool_and_heap_memory_has_a_budget_of_its_own() {
    let alloc = SmartAlloc::new(AllocConfig::minimal().with_budgets(true));
    alloc.set_thread_budget_config(
        current().id(),
        with_policy(1000, BudgetExceededPolicy::Fail),
    );
    let pool = alloc.pool_box([0u8; 512]).unwrap();
    let heap = alloc.heap_box([0u8; 400]).unwrap();
    assert_eq!(
        alloc.heap_box([0u8; 400]).unwrap_err().kind(),
        AllocErrorKind::ThreadBudget
    );
    assert_eq!(mine(&alloc).pool_used, 912);
    // Freed elsewhere, it is this thread's again.
    on_a_thread(|| drop(pool));
    assert_eq!(mine(&alloc).pool_used, 400);
    drop(heap);
    assert_eq!((mine(&alloc).pool_used, mine(&alloc).pool_peak), (0, 912));
}

#[test]
fn a_thread_has_its_own_budget_or_the_default() {
    let alloc = small();
    let budgets = alloc.thread_budgets();
    budgets.set_default_config(with_policy(64, BudgetExceededPolicy::Fail));
    on_a_thread(|| {
        alloc.begin_frame();
        assert!(alloc.frame_box([0u8; 65]).is_err());
        alloc
            .set_thread_budget_config(current().id(), with_policy(128, BudgetExceededPolicy::Fail));
        assert!(alloc.frame_box([0u8; 65]).is_ok());
        alloc.end_frame();
    });
    alloc.begin_frame();
    assert!(alloc.frame_box([0u8; 65]).is_err());
    alloc.end_frame();
    assert_eq!(budgets.get_config(current().id()).unwrap().frame_budget, 64);
}

#[test]
fn a_budget_reaches_a_thread_that_is_in_the_middle_of_a_shared_frame() {
    let alloc = small();
    let mut frames = alloc.shared_frames().unwrap();
    frames.begin().unwrap();
    let held = alloc.frame_box([1u8; 100]).unwrap();
    let (_, codes) = reported(|| {
        alloc.set_thread_budget_config(current().id(), with_policy(50, BudgetExceededPolicy::Fail));
        assert!(alloc.frame_box([0u8; 100]).is_err());
    });
    // Not FA002: the frame goes on.
    assert_eq!(codes, [FA303]);
    assert_eq!(*held, [1; 100]);
    drop(held);
    frames.end().unwrap();
}

//! Values that may outlive their frame.

mod handles;
mod model;
mod reentry;
mod threads;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;

use framealloc::diagnostics::DiagnosticCode;
use framealloc::tags::{TagId, TagScope, TagTotals};
use framealloc::{
    AllocErrorKind, AllocationTag, DowncastErrorKind, FrameError, FrameSummary, HeapBox,
    Importance, PoolBox, PromotedAllocation, PromotionFailure, PromotionResult, RetentionPolicy,
    ScratchBox, SmartAlloc,
};

use crate::common::*;

use RetentionPolicy::{Discard, PromoteToHeap, PromoteToPool, PromoteToScratch};

/// A value that is counted while it lives, on whatever thread.
#[derive(Debug)]
struct Live {
    stamp: u64,
    live: Arc<AtomicUsize>,
}

impl Live {
    fn new(stamp: u64, live: &Arc<AtomicUsize>) -> Self {
        live.fetch_add(1, Relaxed);
        Self {
            stamp,
            live: Arc::clone(live),
        }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        let before = self.live.fetch_sub(1, Relaxed);
        assert!((1..1 << 40).contains(&before), "dropped twice");
    }
}

fn live() -> (Arc<AtomicUsize>, impl Fn() -> usize) {
    let live = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&live);
    (live, move || count.load(Relaxed))
}

fn only(result: PromotionResult) -> PromotedAllocation {
    let mut promoted = result.promoted;
    assert_eq!(promoted.len(), 1);
    promoted.pop().unwrap()
}

// ---- Where values go -----------------------------------------------------------------------------------------------

#[derive(Debug, Default, PartialEq)]
struct NavMesh {
    paths: Vec<u32>,
}

#[test]
fn a_value_starts_as_its_default_and_goes_where_its_policy_says() {
    let alloc = small();
    alloc.scratch_pool("subsystem");
    alloc.begin_frame();
    for policy in [
        Discard,
        PromoteToPool,
        PromoteToHeap,
        PromoteToScratch("subsystem"),
    ] {
        let mut mesh = alloc.frame_retained::<NavMesh>(policy);
        assert_eq!(*mesh, NavMesh::default());
        mesh.paths.extend([1, 2, 3]);
        assert_eq!(mesh.policy(), policy);
    }
    assert_eq!(alloc.retained_count(), 4);
    let (result, codes) = reported(|| alloc.end_frame_with_promotions());
    assert_eq!(codes, []);
    assert_eq!(alloc.retained_count(), 0);
    assert!(!alloc.frame_is_open());
    busy_frames(&alloc, 2);

    let paths = vec![1, 2, 3];
    let mut promoted = result.promoted.into_iter();
    let item = promoted.next().unwrap();
    assert!(item.is_success() && !item.is_in_use());
    assert_eq!(item.size(), size_of::<NavMesh>());
    assert!(item.type_name().ends_with("NavMesh"));
    match item {
        PromotedAllocation::Pool { value, size, .. } => {
            assert_eq!(size, size_of::<NavMesh>());
            assert!(value.is::<NavMesh>());
            let wrong = value.downcast::<Vec<u32>>().unwrap_err();
            assert_eq!(wrong.kind, DowncastErrorKind::OtherType);
            assert!(wrong.to_string().contains("NavMesh"));
            assert_eq!(wrong.item.downcast::<NavMesh>().unwrap().paths, paths);
        }
        other => panic!("{other:?}"),
    }
    match promoted.next().unwrap() {
        PromotedAllocation::Heap { value, .. } => {
            assert_eq!(value.downcast::<NavMesh>().unwrap().paths, paths);
        }
        other => panic!("{other:?}"),
    }
    match promoted.next().unwrap() {
        PromotedAllocation::Scratch {
            value, pool_name, ..
        } => {
            assert_eq!(pool_name, "subsystem");
            let mesh = value.downcast::<NavMesh>().unwrap();
            assert_eq!((&mesh.paths, mesh.pool_name()), (&paths, "subsystem"));
            let pool = alloc.scratch_pool("subsystem");
            assert_eq!(pool.try_reset().unwrap_err().boxes, 1);
            drop(mesh);
            pool.try_reset().unwrap();
        }
        other => panic!("{other:?}"),
    }
    assert!(promoted.next().is_none());
}

#[test]
fn importance_is_another_word_for_a_policy() {
    assert_eq!(RetentionPolicy::default(), Discard);
    assert_eq!(RetentionPolicy::from(Importance::default()), Discard);
    assert_eq!(Importance::Reusable.to_policy(), PromoteToPool);
    assert_eq!(Importance::Persistent.to_policy(), PromoteToHeap);
    assert_eq!(Importance::Scratch("s").to_policy(), PromoteToScratch("s"));
    assert!(!Discard.promotes() && PromoteToHeap.promotes());
    assert_eq!(PromoteToScratch("s").destination(), Some("s"));
    let alloc = small();
    alloc.begin_frame();
    drop(alloc.frame_with_importance::<[u64; 4]>(Importance::Reusable));
    drop(alloc.frame_with_importance_with(Importance::Persistent, "text"));
    let result = alloc.end_frame_with_promotions();
    assert_eq!(result.summary.promoted_pool_bytes, 32);
    assert_eq!(result.summary.promoted_heap_bytes, size_of::<&str>());
}

#[test]
fn a_promoted_value_is_dropped_with_its_item_or_its_box_and_once() {
    let (counter, count) = live();
    let alloc = small();
    alloc.scratch_pool("s");
    for policy in [PromoteToPool, PromoteToHeap, PromoteToScratch("s")] {
        alloc.begin_frame();
        for n in 0..3 {
            drop(alloc.frame_retained_with(policy, Live::new(n, &counter)));
        }
        assert_eq!(count(), 3, "handles drop nothing");
        let mut items = alloc.end_frame_with_promotions().promoted;
        assert_eq!(count(), 3);
        drop(items.pop());
        assert_eq!(count(), 2);
        match items.pop().unwrap() {
            PromotedAllocation::Pool { value, .. } => drop(value.downcast::<Live>().unwrap()),
            PromotedAllocation::Heap { value, .. } => drop(value.downcast::<Live>().unwrap()),
            PromotedAllocation::Scratch { value, .. } => drop(value.downcast::<Live>().unwrap()),
            other => panic!("{other:?}"),
        }
        assert_eq!(count(), 1);
        // Owners may be dropped on any thread, and after the allocator's frames have gone on.
        thread::spawn(move || drop(items)).join().unwrap();
        assert_eq!(count(), 0);
    }
    alloc.scratch_pool("s").try_reset().unwrap();
}

#[test]
fn a_plain_end_of_the_frame_discards_and_forgets_all_values() {
    let (counter, count) = live();
    let alloc = small();
    alloc.begin_frame();
    for policy in [Discard, PromoteToPool, PromoteToHeap] {
        drop(alloc.frame_retained_with(policy, Live::new(0, &counter)));
    }
    let ((), codes) = reported(|| alloc.end_frame());
    assert_eq!((codes, count(), alloc.retained_count()), (vec![], 0, 0));
    assert_eq!(retired(&alloc), 0);
    alloc.begin_frame();
    overwrite(&alloc);
    let result = alloc.end_frame_with_promotions();
    assert!(result.promoted.is_empty());
    assert_eq!(result.summary, FrameSummary::default());
}

#[test]
fn cleared_values_are_dropped_and_not_promoted() {
    let (counter, count) = live();
    let alloc = small();
    alloc.begin_frame();
    drop(alloc.frame_retained_with(PromoteToPool, Live::new(1, &counter)));
    let held = alloc.frame_retained_with(PromoteToPool, Live::new(2, &counter));
    alloc.clear_retained();
    assert_eq!((count(), alloc.retained_count()), (1, 0));
    assert_eq!(held.stamp, 2, "it is dropped with its handle");
    drop(held);
    assert_eq!(count(), 0);
    let (result, codes) = reported(|| alloc.end_frame_with_promotions());
    assert_eq!((result.promoted.len(), codes), (0, vec![]));
    alloc.clear_retained();
}

#[test]
fn a_handle_reads_as_its_value() {
    let alloc = small();
    alloc.begin_frame();
    let mut value = alloc.frame_retained_with(Discard, [1, 2, 3]);
    value.get_mut()[0] = 4;
    assert_eq!(format!("{value:?}"), "[4, 2, 3]");
    let lens = value.get().len() + value.as_ref().len() + value.as_mut().len();
    assert_eq!(lens, 9);
    assert_eq!(value.as_ptr() as usize, address(&*value));
    assert_eq!(value.as_mut_ptr() as usize, address(&*value));
    thread::scope(|scope| {
        scope.spawn(|| assert_eq!(*value, [4, 2, 3]));
    });
    drop(value);
    alloc.end_frame();
}

// ---- Refusals ------------------------------------------------------------------------------------------------------

#[test]
fn without_a_frame_there_is_no_value_and_a_code() {
    let (counter, count) = live();
    let alloc = small();
    let (result, codes) = reported(|| {
        let value = Live::new(0, &counter);
        alloc
            .try_frame_retained_with(PromoteToPool, value)
            .map(drop)
            .unwrap_err()
    });
    assert_eq!(
        (result.kind(), codes),
        (AllocErrorKind::NoFrame, vec![FA001])
    );
    assert_eq!((count(), alloc.retained_count()), (0, 0));
    let panic = std::panic::catch_unwind(AssertUnwindSafe(|| {
        reported(|| drop(alloc.frame_retained::<NavMesh>(PromoteToPool)))
    }));
    let message = *panic.unwrap_err().downcast::<String>().unwrap();
    assert!(message.contains("[FA001]"), "{message}");
    let (result, codes) = reported(|| alloc.end_frame_with_promotions());
    assert_eq!((result.promoted.len(), codes), (0, vec![FA006]));
    assert_eq!(
        alloc.try_end_frame_with_promotions().unwrap_err(),
        FrameError::NotOpen
    );
}

#[test]
fn an_exhausted_arena_is_refused_with_its_code_and_the_frame_goes_on() {
    let alloc = SmartAlloc::new(minimal().with_max_frame_arena_size(1 << 20));
    alloc.begin_frame();
    let mut count = 0;
    let (error, codes) = reported(|| {
        loop {
            match alloc.try_frame_retained_with(PromoteToHeap, [count as u8; 30_000]) {
                Ok(_) => count += 1,
                Err(error) => return error,
            }
        }
    });
    assert_eq!(
        (error.kind(), codes),
        (AllocErrorKind::ArenaExhausted, vec![FA003])
    );
    assert!(count > 10);
    let result = alloc.end_frame_with_promotions();
    assert_eq!(result.summary.promoted_heap_count, count);
    for (n, item) in result.promoted.into_iter().enumerate() {
        let PromotedAllocation::Heap { value, .. } = item else {
            panic!("{item:?}");
        };
        let value = value.downcast::<[u8; 30_000]>().unwrap();
        assert_eq!(*value, [n as u8; 30_000]);
    }
}

#[test]
fn a_failed_promotion_says_why_and_keeps_the_value() {
    let (counter, count) = live();
    let alloc = small();
    alloc.scratch().get_or_create_with("narrow", 64, 64);
    let occupied = alloc.scratch_pool("narrow").alloc::<[u8; 60]>();
    alloc.begin_frame();
    alloc.with_tag("retention_fail", |alloc| {
        let value = || Live::new(9, &counter);
        drop(alloc.frame_retained_with(PromoteToScratch("nowhere"), value()));
        drop(alloc.frame_retained_with(PromoteToScratch("narrow"), value()));
        let big = (value(), [0_u8; 100]);
        drop(alloc.frame_retained_with(PromoteToScratch("narrow"), big));
    });
    let held = alloc.frame_retained_with(PromoteToScratch("nowhere"), Live::new(10, &counter));
    let (result, _) = reported(|| alloc.end_frame_with_promotions());
    let summary = &result.summary;
    assert_eq!(summary.failed_count, 4);
    assert_eq!(
        summary.failed_bytes,
        3 * size_of::<Live>() + size_of::<(Live, [u8; 100])>()
    );
    assert_eq!(summary.failures_by_reason.scratch_pool_not_found, 2);
    assert_eq!(summary.failures_by_reason.scratch_pool_full, 1);
    assert_eq!(summary.failures_by_reason.too_large, 1);
    assert_eq!(summary.promotion_success_rate(), 0.0);
    assert_eq!(count(), 4);

    let mut failed = result.promoted.into_iter().map(|item| {
        assert!(!item.is_success());
        match item {
            PromotedAllocation::Failed { reason, meta } => (reason, meta),
            other => panic!("{other:?}"),
        }
    });
    let (reason, meta) = failed.next().unwrap();
    assert_eq!(reason, PromotionFailure::ScratchPoolNotFound);
    assert_eq!(reason.to_string(), "scratch pool not found");
    assert_eq!(meta.tag, TagId::from_path("retention_fail"));
    assert_eq!(meta.policy, PromoteToScratch("nowhere"));
    assert_eq!(meta.size, size_of::<Live>());
    assert!(meta.type_name.ends_with("Live"));
    let value: Live = *meta.value.downcast::<Live>().unwrap();
    assert_eq!(value.stamp, 9);
    drop(value);
    assert_eq!(count(), 3);
    let (reason, meta) = failed.next().unwrap();
    assert_eq!(reason.to_string(), "scratch pool full");
    drop(meta);
    assert_eq!(count(), 2);
    let (reason, meta) = failed.next().unwrap();
    assert_eq!(reason.to_string(), "too large");
    assert!(meta.value.is::<(Live, [u8; 100])>());
    drop(meta);
    assert_eq!(count(), 1);
    let (_, meta) = failed.next().unwrap();
    assert!(meta.value.is_in_use());
    drop(held);
    assert_eq!(meta.value.downcast::<Live>().unwrap().stamp, 10);
    assert_eq!(count(), 0);
    drop(occupied);
    alloc.scratch_pool("narrow").try_reset().unwrap();
}

#[test]
fn a_budget_refuses_a_promotion_and_is_given_back_what_was_promoted() {
    let alloc = SmartAlloc::new(minimal().with_budgets(true));
    let budgets = alloc.budgets().unwrap();
    let tag = AllocationTag::new("retention_budget");
    budgets.register_tag(&tag, usize::MAX, 20_000);
    let usage = || {
        budgets
            .get_tag_budget("retention_budget")
            .unwrap()
            .current_usage
    };
    alloc
        .scratch()
        .get_or_create_with("budgeted", 12_000, 12_000);
    for policy in [PromoteToPool, PromoteToHeap, PromoteToScratch("budgeted")] {
        alloc.begin_frame();
        alloc.with_tag("retention_budget", |alloc| {
            drop(alloc.frame_retained_with(policy, [1_u8; 3000]));
            // Together with the frame's own memory it is too much.
            drop(alloc.frame_retained_with(policy, [2_u8; 12_000]));
        });
        let (result, codes) = reported(|| alloc.end_frame_with_promotions());
        assert!(
            codes.contains(&DiagnosticCode::FA302),
            "{policy:?} {codes:?}"
        );
        let mut items = result.promoted.into_iter();
        let promoted = items.next().unwrap();
        let first_fits = policy != PromoteToScratch("budgeted");
        assert_eq!(promoted.is_success(), first_fits);
        assert_eq!(usage() >= 3000, first_fits);
        match items.next().unwrap() {
            PromotedAllocation::Failed { reason, meta } => {
                assert_eq!(reason, PromotionFailure::BudgetExceeded);
                assert_eq!(*meta.value.downcast::<[u8; 12_000]>().unwrap(), [2; 12_000]);
            }
            other => panic!("{other:?}"),
        }
        drop(promoted);
        assert_eq!(usage(), 0, "{policy:?}");
    }
}

#[test]
fn every_reason_has_its_words() {
    let words = [
        (PromotionFailure::BudgetExceeded, "budget exceeded"),
        (
            PromotionFailure::ScratchPoolNotFound,
            "scratch pool not found",
        ),
        (PromotionFailure::ScratchPoolFull, "scratch pool full"),
        (PromotionFailure::TooLarge, "too large"),
        (PromotionFailure::OutOfMemory, "out of memory"),
        (PromotionFailure::InternalError, "internal error"),
    ];
    for (reason, text) in words {
        assert_eq!(reason.to_string(), text);
    }
}

// ---- Tags and figures ----------------------------------------------------------------------------------------------

#[test]
fn a_promoted_block_is_charged_to_the_whole_path_of_the_tag_that_made_it() {
    let alloc = small();
    let tag = TagId::from_path("retention_ai::pathfinding");
    let before = TagTotals::capture();
    alloc.begin_frame();
    alloc.with_tag("retention_ai", |alloc| {
        alloc.with_tag("pathfinding", |alloc| {
            drop(alloc.frame_retained_with(PromoteToHeap, [7_u64; 1000]));
        });
    });
    let result = alloc.with_tag("retention_other", |alloc| alloc.end_frame_with_promotions());
    let heap = || TagTotals::capture().since(&before).of(tag).heap;
    assert_eq!(heap().live_bytes(), 8000);
    assert_eq!(result.summary.by_tag[0].tag, tag);
    let item = only(result);
    assert_eq!(item.tag().path(), "retention_ai::pathfinding");
    drop(item);
    assert_eq!(heap().live_bytes(), 0);
}

#[test]
fn the_summary_counts_every_value_by_destination_and_tag() {
    let alloc = small();
    alloc.scratch_pool("s");
    alloc.begin_frame();
    alloc.with_tag("retention_b", |alloc| {
        drop(alloc.frame_retained::<[u8; 10]>(Discard));
        drop(alloc.frame_retained::<[u8; 20]>(Discard));
        drop(alloc.frame_retained::<[u8; 30]>(PromoteToScratch("?")));
    });
    alloc.with_tag("retention_a", |alloc| {
        drop(alloc.frame_retained::<[u8; 1]>(PromoteToScratch("s")));
        drop(alloc.frame_retained::<[u8; 2]>(PromoteToHeap));
    });
    let scope = TagScope::enter(TagId::from_path("retention_a"));
    let held = alloc.frame_retained::<[u8; 4]>(PromoteToPool);
    drop(scope);
    let summary = alloc.end_frame_with_summary();
    assert_eq!((summary.discarded_bytes, summary.discarded_count), (30, 2));
    assert_eq!(
        (summary.promoted_pool_bytes, summary.promoted_pool_count),
        (4, 1)
    );
    assert_eq!(
        (summary.promoted_heap_bytes, summary.promoted_heap_count),
        (2, 1)
    );
    assert_eq!(
        (
            summary.promoted_scratch_bytes,
            summary.promoted_scratch_count
        ),
        (1, 1)
    );
    assert_eq!((summary.failed_bytes, summary.failed_count), (30, 1));
    assert_eq!(summary.total_retained_bytes(), 67);
    assert_eq!(summary.total_retained_count(), 6);
    assert_eq!(summary.promotion_success_rate(), 0.75);
    let rows: Vec<_> = summary
        .by_tag
        .iter()
        .map(|row| {
            (
                row.tag.path(),
                row.discarded_bytes,
                row.promoted_bytes,
                row.failed_bytes,
            )
        })
        .collect();
    assert_eq!(rows, [("retention_a", 0, 7, 0), ("retention_b", 30, 0, 30)]);
    let text = summary.to_string();
    for part in [
        "67 bytes retained in 6 values",
        "discarded: 30 bytes in 2",
        "promoted to pool: 4 bytes in 1",
        "scratch pool not found: 1",
        "retention_b: 30 bytes discarded, 0 promoted, 30 failed",
    ] {
        assert!(text.contains(part), "{text}");
    }
    drop(held);
    assert_eq!(FrameSummary::default().promotion_success_rate(), 1.0);
}

#[test]
fn the_summary_counts_values_by_the_phase_that_they_were_made_in() {
    let alloc = small();
    alloc.begin_frame();
    drop(alloc.frame_retained::<[u8; 1]>(PromoteToHeap));
    {
        let _phase = alloc.phase_scope("solve");
        drop(alloc.frame_retained::<[u8; 2]>(PromoteToHeap));
        drop(alloc.frame_retained::<[u8; 4]>(Discard));
    }
    {
        let _phase = alloc.phase_scope("plan");
        drop(alloc.frame_retained::<[u8; 8]>(PromoteToScratch("?")));
    }
    let summary = alloc.end_frame_with_summary();
    let rows: Vec<_> = summary
        .by_phase
        .iter()
        .map(|row| {
            (
                row.phase,
                row.discarded_bytes,
                row.promoted_bytes,
                row.failed_bytes,
            )
        })
        .collect();
    assert_eq!(rows, [("plan", 0, 0, 8), ("solve", 4, 2, 0)]);
    assert!(
        summary
            .to_string()
            .contains("phase solve: 4 bytes discarded, 2 promoted, 0 failed")
    );
}

//! The behaviour filter, fed by what really happens.

use framealloc::DiagnosticCode::{self, FA501, FA502, FA510, FA520, FA530};
use framealloc::diagnostics::capture;
use framealloc::{
    AllocKind, BehaviorReport, BehaviorThresholds, RetentionPolicy, SmartAlloc, StrictModeGuard,
    TagBehaviorStats,
};

use crate::common::{codes, panics, reported, small};

fn watched() -> SmartAlloc {
    let alloc = small();
    alloc.enable_behavior_filter();
    alloc
}

fn judged(alloc: &SmartAlloc) -> Vec<DiagnosticCode> {
    let report = alloc.behavior_filter().analyze();
    report.issues.iter().map(|issue| issue.code).collect()
}

fn row(report: &BehaviorReport, tag: &str, kind: AllocKind) -> TagBehaviorStats {
    let row = report
        .stats
        .iter()
        .find(|row| row.tag == tag && row.kind == kind);
    *row.expect("the tag allocated that")
}

fn frames(alloc: &SmartAlloc, count: usize, mut body: impl FnMut(&SmartAlloc)) {
    for _ in 0..count {
        alloc.begin_frame();
        body(alloc);
        alloc.end_frame();
    }
}

#[test]
fn a_box_that_survives_so_many_frame_ends_counts_so_many_frames() {
    let alloc = watched();
    let ((), escapes) = reported(|| {
        alloc.begin_frame();
        let kept = alloc.with_tag("lifetimes", |alloc| alloc.frame_box([1u8; 40]).unwrap());
        let brief = alloc.with_tag("lifetimes", |alloc| alloc.frame_box([2u8; 40]).unwrap());
        drop(brief);
        for _ in 0..7 {
            alloc.end_frame();
            alloc.begin_frame();
        }
        assert_eq!(*kept, [1; 40]);
        drop(kept);
        alloc.end_frame();
    });
    assert_eq!(escapes, [DiagnosticCode::FA002]);
    let report = alloc.behavior_filter().analyze();
    let row = row(&report, "lifetimes", AllocKind::Frame);
    assert_eq!(
        (row.total_allocs, row.followed_allocs, row.total_bytes),
        (2, 2, 80)
    );
    assert_eq!((row.survived_frame_count, row.survived_frames), (1, 7));
    assert_eq!(row.same_frame_frees, 1);
    assert_eq!(row.average_lifetime(), 3.5);
    assert_eq!(report.frames_analyzed, 8);
}

#[test]
fn fa501_and_its_text() {
    let alloc = watched();
    alloc.set_behavior_thresholds(BehaviorThresholds {
        min_samples: 1,
        frame_survival_rate: 1.0,
        ..BehaviorThresholds::default()
    });
    let ((), _) = capture(|| {
        alloc.begin_frame();
        let kept = alloc.with_tag("ai", |alloc| {
            alloc.with_tag("pathfinding", |alloc| alloc.frame_box([0u8; 40]).unwrap())
        });
        for _ in 0..128 {
            alloc.end_frame();
            alloc.begin_frame();
        }
        drop(kept);
        alloc.end_frame();
    });
    let report = alloc.behavior_filter().analyze();
    assert_eq!(
        report.issues[0].to_string(),
        "[FA501] warning: frame allocation behaves like long-lived data
  tag: ai::pathfinding
  observed: avg lifetime: 128.0 frames
  threshold: expected < 60 frames
  suggestion: Consider using pool_alloc() or scratch_pool()"
    );
    assert_eq!(judged(&alloc), [FA501]);
    assert!(report.has_warnings() && !report.has_errors());
}

#[test]
fn fa502_for_boxes_that_always_outlive_their_frame() {
    let alloc = watched();
    let ((), _) = capture(|| {
        for _ in 0..100 {
            alloc.begin_frame();
            let unit = alloc.with_tag("units", |alloc| alloc.frame_box([0u8; 64]).unwrap());
            alloc.end_frame();
            drop(unit);
        }
    });
    assert_eq!(judged(&alloc), [FA502]);
    let report = alloc.behavior_filter().analyze();
    assert_eq!(report.issues[0].observed_value, 1.0);
    assert_eq!(row(&report, "units", AllocKind::Frame).survived_frames, 100);
}

#[test]
fn boxes_dropped_in_their_frame_and_guards_are_no_issue() {
    let alloc = watched();
    frames(&alloc, 100, |alloc| {
        let held: Vec<_> = (0..5).map(|n| alloc.frame_box(n).unwrap()).collect();
        drop(held);
        let guard = alloc.frame();
        guard.alloc([0u8; 16]);
        let mut list = alloc.frame_vec::<u32>(8);
        list.push(1);
        drop(list);
    });
    assert_eq!(judged(&alloc), []);
    let report = alloc.behavior_report();
    assert_eq!(row(&report, "", AllocKind::Frame).total_allocs, 700);
    assert_eq!(row(&report, "", AllocKind::Frame).survived_frame_count, 0);
}

#[test]
fn fa510_for_pool_boxes_used_as_scratch_and_not_for_kept_ones() {
    let alloc = watched();
    let mut kept = Vec::new();
    frames(&alloc, 100, |alloc| {
        alloc.with_tag("scratchy", |alloc| {
            drop(alloc.pool_box([0u32; 64]).unwrap())
        });
        alloc.with_tag("keeping", |alloc| kept.push(alloc.pool_box(1u32).unwrap()));
    });
    assert_eq!(judged(&alloc), [FA510]);
    let report = alloc.behavior_filter().analyze();
    assert_eq!(report.issues[0].tag, "scratchy");
    assert_eq!(
        row(&report, "scratchy", AllocKind::Pool).same_frame_frees,
        100
    );
    assert_eq!(row(&report, "keeping", AllocKind::Pool).same_frame_frees, 0);
    assert!(!report.has_warnings(), "it is a hint");
}

#[test]
fn a_pool_box_freed_in_the_next_frame_or_outside_frames_is_no_scratch() {
    let alloc = watched();
    let mut last = None;
    frames(&alloc, 50, |alloc| {
        last = Some(alloc.pool_box(1u64).unwrap())
    });
    for _ in 0..50 {
        drop(alloc.pool_box(1u64).unwrap());
    }
    let report = alloc.behavior_filter().analyze();
    assert_eq!(row(&report, "", AllocKind::Pool).same_frame_frees, 0);
    drop(last);
}

#[test]
fn fa520_for_data_that_is_promoted_every_frame() {
    let alloc = watched();
    for _ in 0..100 {
        alloc.begin_frame();
        alloc.with_tag("meshes", |alloc| {
            drop(alloc.frame_retained::<[f32; 16]>(RetentionPolicy::PromoteToPool));
        });
        drop(alloc.end_frame_with_promotions());
    }
    let report = alloc.behavior_filter().analyze();
    assert_eq!(judged(&alloc), [FA520]);
    assert_eq!(
        row(&report, "meshes", AllocKind::Frame).promotion_count,
        100
    );
    assert_eq!(
        report.issues[0].to_string(),
        "[FA520] warning: Excessive promotion churn detected
  tag: meshes
  observed: 1.00 promotions/frame
  threshold: expected < 0.50/frame
  suggestion: Consider allocating directly in the target allocator"
    );
}

#[test]
fn fa530_for_heap_calls_in_the_loop_and_not_before_it() {
    let alloc = watched();
    let loaded: Vec<_> = (0..500).map(|n| alloc.heap_box(n).unwrap()).collect();
    frames(&alloc, 100, |_| {});
    assert_eq!(judged(&alloc), []);
    frames(&alloc, 100, |alloc| {
        for _ in 0..10 {
            alloc.with_tag("hot", |alloc| drop(alloc.heap_box([0u8; 256]).unwrap()));
        }
    });
    drop(loaded);
    assert_eq!(judged(&alloc), [FA530]);
    let report = alloc.behavior_filter().analyze();
    assert_eq!(report.issues[0].tag, "hot");
    assert_eq!(report.issues[0].observed_value, 10.0);
    assert_eq!(row(&report, "hot", AllocKind::Heap).in_frame_allocs, 1000);
}

#[test]
fn nothing_is_fed_while_it_is_off() {
    let alloc = small();
    frames(&alloc, 20, |alloc| drop(alloc.pool_box(1u64).unwrap()));
    let report = alloc.behavior_report();
    assert_eq!((report.stats.len(), report.filter_enabled), (0, false));
    alloc.enable_behavior_filter();
    assert!(alloc.is_behavior_filter_enabled());
    frames(&alloc, 20, |alloc| drop(alloc.pool_box(1u64).unwrap()));
    alloc.disable_behavior_filter();
    frames(&alloc, 20, |alloc| drop(alloc.pool_box(1u64).unwrap()));
    let report = alloc.behavior_filter().analyze();
    assert_eq!(row(&report, "", AllocKind::Pool).total_allocs, 20);
    alloc.reset_behavior_stats();
    assert_eq!(alloc.behavior_filter().analyze().stats, []);
}

#[test]
fn the_summary_counts_levels_frames_and_tags() {
    let alloc = watched();
    frames(&alloc, 100, |alloc| {
        alloc.with_tag("one", |alloc| drop(alloc.pool_box(1u64).unwrap()));
        alloc.with_tag("two", |alloc| {
            for _ in 0..3 {
                drop(alloc.heap_box(1u64).unwrap());
            }
            drop(alloc.frame_box(1u64).unwrap());
        });
    });
    let report = alloc.behavior_filter().analyze();
    assert_eq!(
        report.summary(),
        "Behavior analysis: 0 errors, 1 warnings, 1 hints (100 frames, 2 tags)"
    );
    assert_eq!(
        report,
        alloc.behavior_filter().analyze(),
        "it is the same again"
    );
}

#[test]
fn issues_are_reported_and_fail_strict_runs() {
    let alloc = watched();
    frames(&alloc, 100, |alloc| {
        for _ in 0..3 {
            alloc.with_tag("strict_hot", |alloc| drop(alloc.heap_box(1u64).unwrap()));
        }
        alloc.with_tag("strict_hot", |alloc| drop(alloc.pool_box(1u64).unwrap()));
    });
    let (report, reports) = capture(|| alloc.behavior_report());
    assert_eq!(report.issues.len(), 2);
    assert_eq!(codes(&reports), [FA510, FA530]);
    assert_eq!(reports[0].tag.path(), "strict_hot");
    assert_eq!(
        reports[1].message,
        "heap allocations in the frame loop (3.00 heap allocations/frame, expected < 1.67/frame)"
    );
    panics(|| {
        capture(|| {
            let _ci = StrictModeGuard::panic_on_warning();
            alloc.behavior_report()
        })
    });
}

#[test]
fn thresholds_of_each_kind() {
    let (default, strict, relaxed) = (
        BehaviorThresholds::default(),
        BehaviorThresholds::strict(),
        BehaviorThresholds::relaxed(),
    );
    for (thresholds, expected) in [
        (default, (60, 0.5, 0.8, 0.5, 100, 10)),
        (strict, (10, 0.2, 0.5, 0.2, 10, 5)),
        (relaxed, (300, 0.8, 0.95, 0.8, 1000, 50)),
    ] {
        let BehaviorThresholds {
            frame_survival_frames,
            frame_survival_rate,
            pool_same_frame_free_rate,
            promotion_churn_rate,
            heap_in_hot_path_count,
            min_samples,
        } = thresholds;
        assert_eq!(
            (
                frame_survival_frames,
                frame_survival_rate,
                pool_same_frame_free_rate,
                promotion_churn_rate,
                heap_in_hot_path_count,
                min_samples
            ),
            expected
        );
    }
    let alloc = watched();
    alloc.set_behavior_thresholds(strict);
    assert_eq!(alloc.behavior_filter().thresholds(), strict);
}

#[test]
fn shared_frames_and_their_threads_are_judged_by_the_shared_clock() {
    let alloc = watched();
    let mut frames = alloc.shared_frames().unwrap();
    for _ in 0..20 {
        frames.begin().unwrap();
        let made = alloc.pool_box(1u64).unwrap();
        crate::common::on_a_thread(|| drop(made));
        frames.end().unwrap();
    }
    let report = alloc.behavior_filter().analyze();
    assert_eq!(report.frames_analyzed, 20);
    assert_eq!(row(&report, "", AllocKind::Pool).same_frame_frees, 20);
}

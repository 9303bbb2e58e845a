//! What `alloc.snapshot()` fills in.

use std::thread;

use framealloc::{
    AllocConfig, RetentionPolicy, SmartAlloc, Snapshot, TagSnapshot, ThreadBudgetConfig,
    ThreadSnapshot, fa_emit,
};

use super::json::complaints;
use crate::common::{on_a_thread, reported, small};

/// The rows of a tag, which the test has for itself.
fn rows<'a>(snapshot: &'a Snapshot, path: &str) -> Vec<&'a TagSnapshot> {
    let rows = snapshot.tags.iter();
    rows.filter(|row| row.path == path).collect()
}

fn row<'a>(snapshot: &'a Snapshot, path: &str, kind: &str) -> &'a TagSnapshot {
    let rows = rows(snapshot, path);
    let found = rows.iter().find(|row| row.alloc_kind == kind);
    found.unwrap_or_else(|| panic!("no {kind} of {path} in {rows:#?}"))
}

fn thread_named<'a>(snapshot: &'a Snapshot, name: &str) -> &'a ThreadSnapshot {
    let mut threads = snapshot.threads.iter();
    threads.find(|thread| thread.name == name).unwrap()
}

fn named<R: Send>(name: &str, f: impl FnOnce() -> R + Send) -> R {
    thread::scope(|scope| {
        let builder = thread::Builder::new().name(name.to_owned());
        builder.spawn_scoped(scope, f).unwrap().join().unwrap()
    })
}

#[test]
fn a_thread_is_shown_with_what_it_did_itself() {
    let alloc = SmartAlloc::new(AllocConfig::minimal());
    for _ in 0..20 {
        let made: Vec<_> = (0..100)
            .map(|_| (alloc.pool_box([0_u8; 64]), alloc.heap_box([0_u8; 10_000])))
            .collect();
        // Freed more than it allocated, and leaves that to a thread that comes after it.
        on_a_thread(|| drop(made));
        named("snapshot-successor", || {
            alloc.begin_frame();
            let kept = (alloc.pool_box([0_u8; 64]), alloc.heap_box([0_u8; 10_000]));
            let snapshot = alloc.snapshot();
            let thread = thread_named(&snapshot, "snapshot-successor");
            assert_eq!((thread.pool_bytes, thread.heap_bytes), (64, 10_000));
            drop(kept);
            alloc.end_frame();
        });
    }
}

#[test]
fn memory_is_shown_by_tag_kind_and_thread() {
    let alloc = SmartAlloc::new(AllocConfig::minimal().with_pool_tags(true));
    // Has an arena from here on, and does not adopt the worker's later.
    assert_eq!(alloc.frame_number(), 0);
    let kept = named("snapshot-worker", || {
        alloc.begin_frame();
        let kept = alloc.with_tag("snapshot_kinds", |alloc| {
            drop(alloc.frame_slice_fill(1000, 0_u8).unwrap());
            let pool = alloc.pool_box([0_u8; 64]).unwrap();
            drop(alloc.pool_box([0_u8; 64]).unwrap());
            (pool, alloc.heap_box([0_u8; 10_000]).unwrap())
        });
        alloc.end_frame();
        let snapshot = alloc.snapshot();
        assert_eq!((snapshot.frame, snapshot.interval_frames), (1, 1));
        let frame = row(&snapshot, "snapshot_kinds", "frame");
        assert_eq!(
            (frame.bytes, frame.alloc_count, &*frame.thread),
            (1000, 0, "snapshot-worker")
        );
        let pool = row(&snapshot, "snapshot_kinds", "pool");
        assert_eq!(
            (pool.bytes, pool.alloc_count, &*pool.thread),
            (64, 1, "snapshot-worker")
        );
        assert_eq!((pool.allocs, pool.frees), (2, 1));
        // One of two that were made in one frame lives; half of one did on average.
        assert_eq!(pool.avg_lifetime_frames, 0.25);
        let heap = row(&snapshot, "snapshot_kinds", "heap");
        assert_eq!((heap.bytes, heap.alloc_count), (10_000, 1));
        let thread = thread_named(&snapshot, "snapshot-worker");
        assert_eq!(
            (thread.frame_bytes, thread.peak_bytes, thread.alive),
            (1000, 1000, true)
        );
        assert!(
            thread.pool_bytes >= 64 && thread.heap_bytes >= 10_000,
            "{thread:?}"
        );
        let summary = snapshot.summary;
        assert_eq!(summary.frame_bytes, 1000);
        assert!(summary.pool_bytes >= 64 && summary.heap_bytes >= 10_000);
        assert_eq!(
            summary.total_bytes,
            summary.frame_bytes + summary.pool_bytes + summary.heap_bytes
        );
        assert!(summary.peak_bytes >= summary.total_bytes);
        assert_eq!(complaints(&snapshot.to_json()), [""; 0]);
        kept
    });
    // Freed on another thread, which never allocated any: the tag has none left, whatever the thread.
    drop(kept);
    let snapshot = alloc.snapshot();
    let pool = row(&snapshot, "snapshot_kinds", "pool");
    assert_eq!((pool.bytes, pool.alloc_count, pool.frees), (0, 0, 1));
    assert_eq!(row(&snapshot, "snapshot_kinds", "heap").bytes, 0);
    assert!(!thread_named(&snapshot, "snapshot-worker").alive);
    assert_eq!(
        rows(&alloc.snapshot(), "snapshot_kinds").len(),
        0,
        "nothing lives, nothing moved"
    );
}

#[test]
fn frame_memory_is_told_by_the_frame_on_average() {
    let alloc = small();
    let frames = |n: usize| {
        for _ in 0..n {
            alloc.begin_frame();
            alloc.with_tag("snapshot_average", |alloc| {
                drop(alloc.frame_box([0_u8; 160]))
            });
            alloc.end_frame();
        }
    };
    frames(10);
    let snapshot = alloc.snapshot();
    assert_eq!(row(&snapshot, "snapshot_average", "frame").bytes, 160);
    frames(5);
    for _ in 0..15 {
        alloc.begin_frame();
        alloc.end_frame();
    }
    let snapshot = alloc.snapshot();
    assert_eq!(snapshot.interval_frames, 20);
    assert_eq!(row(&snapshot, "snapshot_average", "frame").bytes, 40);
    assert_eq!(rows(&alloc.snapshot(), "snapshot_average").len(), 0);
}

#[test]
fn a_tag_that_several_threads_use_has_one_row() {
    let alloc = small();
    let boxes = ["one", "two"].map(|name| {
        named(name, || {
            alloc.with_tag("snapshot_several", |alloc| {
                alloc.heap_box([0_u8; 100]).unwrap()
            })
        })
    });
    let snapshot = alloc.snapshot();
    let heap = row(&snapshot, "snapshot_several", "heap");
    assert_eq!((heap.bytes, heap.alloc_count), (200, 2));
    drop(boxes);
}

#[test]
fn two_threads_at_once_are_several() {
    let alloc = small();
    let together = std::sync::Barrier::new(2);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                alloc.with_tag("snapshot_at_once", |alloc| drop(alloc.heap_box(1_u8)));
                together.wait();
            });
        }
    });
    assert_eq!(
        row(&alloc.snapshot(), "snapshot_at_once", "heap").thread,
        "*"
    );
}

#[test]
fn promotions_are_counted_once_and_by_tag() {
    let alloc = small();
    let retain = |policy| {
        alloc.with_tag("snapshot_promoted", |alloc| {
            drop(alloc.frame_retained_with(policy, [1_u8; 32]));
        });
    };
    alloc.begin_frame();
    retain(RetentionPolicy::PromoteToPool);
    retain(RetentionPolicy::PromoteToPool);
    retain(RetentionPolicy::PromoteToHeap);
    retain(RetentionPolicy::Discard);
    retain(RetentionPolicy::PromoteToScratch("nobody made this one"));
    alloc.end_frame_with_summary();
    alloc.begin_frame();
    alloc.end_frame();
    let snapshot = alloc.snapshot();
    let promotions = snapshot.promotions;
    assert_eq!((promotions.to_pool, promotions.to_heap), (2, 1));
    assert_eq!((promotions.to_scratch, promotions.failed), (0, 1));
    assert_eq!(
        row(&snapshot, "snapshot_promoted", "frame").promotion_rate,
        1.5
    );
    assert_eq!(alloc.snapshot().promotions, Default::default());
}

#[test]
fn budgets_are_shown_where_there_are_any() {
    assert_eq!(
        SmartAlloc::new(AllocConfig::minimal()).snapshot().budgets,
        []
    );
    let config = AllocConfig::minimal()
        .with_budgets(true)
        .with_memory_limit(1 << 20);
    let alloc = SmartAlloc::new(config);
    let budgets = alloc.budgets().unwrap();
    budgets.register_tag_budget("snapshot_budget", 1 << 9, 1 << 10);
    let kept = alloc.with_tag("snapshot_budget", |alloc| {
        drop(alloc.heap_box([0_u8; 1000]).unwrap());
        alloc.heap_box([0_u8; 512]).unwrap()
    });
    let snapshot = alloc.snapshot();
    let [all, tag] = &snapshot.budgets[..] else {
        panic!("{:?}", snapshot.budgets);
    };
    assert_eq!((&*all.path, all.limit, all.used), ("", Some(1 << 20), 512));
    assert_eq!(
        (&*tag.path, tag.soft_limit, tag.limit),
        ("snapshot_budget", Some(512), Some(1024))
    );
    assert_eq!((tag.used, tag.peak, tag.percent), (512, 1000, 50));
    assert_eq!(complaints(&snapshot.to_json()), [""; 0]);
    drop(kept);
}

#[test]
fn a_threads_budget_is_held_against_its_last_frame() {
    on_a_thread(|| {
        let alloc = small();
        let config = ThreadBudgetConfig {
            frame_budget: 4000,
            ..Default::default()
        };
        alloc.set_thread_budget_config(thread::current().id(), config);
        alloc.begin_frame();
        drop(alloc.frame_box([0_u8; 1000]));
        alloc.end_frame();
        let snapshot = alloc.snapshot();
        let budget = snapshot.threads[0].budget.unwrap();
        assert_eq!(
            (budget.limit, budget.used, budget.percent),
            (4000, 1000, 25)
        );
        assert_eq!(
            snapshot.threads[0].id,
            format!("{:?}", thread::current().id())
        );
    });
}

#[test]
fn tags_with_odd_names_are_valid_json() {
    let alloc = small();
    let name = "sn\"ap\\shot\n\u{1F980}\u{0}";
    alloc.with_tag(name, |alloc| {
        alloc.begin_frame();
        drop(alloc.frame_box(1_u64));
        alloc.end_frame();
    });
    let json = alloc.snapshot().to_json();
    assert_eq!(complaints(&json), [""; 0]);
    let read = Snapshot::from_json(&json).unwrap();
    assert_eq!(row(&read, name, "frame").bytes, 8);
}

#[test]
fn captured_reports_are_not_in_a_snapshot() {
    let alloc = small();
    let ((), codes) = reported(|| alloc.with_tag("snapshot_captured", |_| fa_emit!(FA003)));
    assert_eq!(codes.len(), 1);
    let snapshot = alloc.snapshot();
    let mut tags = snapshot.diagnostics.iter().map(|report| &report.tag);
    assert!(tags.all(|tag| tag.as_deref() != Some("snapshot_captured")));
}

#[test]
fn snapshots_may_be_taken_while_threads_allocate_and_come_and_go() {
    let alloc = small();
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for _ in 0..20 {
                    on_a_thread(|| {
                        alloc.begin_frame();
                        alloc.with_tag("snapshot_busy", |alloc| {
                            drop((alloc.frame_box(1), alloc.pool_box(2), alloc.heap_box(3)));
                        });
                        alloc.end_frame();
                    });
                }
            });
        }
        for _ in 0..50 {
            let snapshot = alloc.snapshot();
            assert!(snapshot.summary.total_bytes >= snapshot.summary.heap_bytes);
        }
    });
    let snapshot = alloc.snapshot();
    assert!(
        snapshot.threads.len() <= 4,
        "arenas are adopted: {:#?}",
        snapshot.threads
    );
}

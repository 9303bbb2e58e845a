//! Frees for other threads: when they are processed, and what happens when too many wait. The settings are the process's.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, mpsc};
use std::thread;

use framealloc::diagnostics::{self, DiagnosticCode};
use framealloc::tags::{TagId, TagScope, TagTotals};
use framealloc::{
    AllocConfig, DeferredConfig, DeferredConfigBuilder, DeferredControlStats, DeferredProcessing,
    PoolBox, QueueFullPolicy, SmartAlloc, StrictModeGuard,
};
use proptest::prelude::*;

use crate::alone;

/// Each test that counts blocks has a size class of its own: from the shared lists, a thread may have got blocks of others'
/// pages in an earlier test, and those do not come back to it.
type Blocks<const N: usize> = Vec<PoolBox<[u64; N]>>;

/// An allocator with these settings; the default ones come back when it goes. Nothing waits for this thread.
struct Configured(SmartAlloc);

impl Configured {
    fn new(config: DeferredConfig) -> Self {
        let alloc = SmartAlloc::new(AllocConfig::minimal());
        alloc.process_deferred_frees(usize::MAX);
        alloc.set_deferred_config(config);
        Self(alloc)
    }

    /// What has changed since, of the figures that only grow, and what waits.
    fn since(&self, before: DeferredControlStats) -> (u64, u64, i64) {
        let now = self.0.deferred_stats();
        (
            now.total_queued - before.total_queued,
            now.total_processed - before.total_processed,
            now.current_depth as i64 - before.current_depth as i64,
        )
    }
}

impl Drop for Configured {
    fn drop(&mut self) {
        self.0.process_deferred_frees(usize::MAX);
        self.0.set_deferred_config(DeferredConfig::default());
    }
}

fn make<const N: usize>(alloc: &SmartAlloc, blocks: usize) -> Blocks<N> {
    (0..blocks as u64)
        .map(|n| alloc.pool_box([n; N]).unwrap())
        .collect()
}

/// Frees them on another thread, which has ended when this returns.
fn free_elsewhere<const N: usize>(blocks: Blocks<N>) {
    thread::spawn(move || drop(blocks)).join().unwrap();
}

fn mode(mode: DeferredProcessing) -> DeferredConfig {
    DeferredConfigBuilder::new().mode(mode).build()
}

#[test]
fn the_settings_are_what_was_set() {
    let _alone = alone();
    let configured = Configured::new(DeferredConfig::default());
    let alloc = &configured.0;
    assert_eq!(
        alloc.deferred_config().mode,
        DeferredProcessing::AtFrameBegin
    );
    assert_eq!(alloc.deferred_config().full_policy, QueueFullPolicy::Grow);
    let all = [
        DeferredConfig::bounded(10),
        DeferredConfig::bounded(0).full_policy(QueueFullPolicy::Fail),
        DeferredConfig::incremental(0),
        DeferredConfig::incremental(usize::MAX - 8),
        DeferredConfig::explicit().warning_threshold(0),
        mode(DeferredProcessing::Disabled),
        DeferredConfigBuilder::new()
            .mode(DeferredProcessing::AtFrameEnd)
            .capacity(usize::MAX - 1)
            .full_policy(QueueFullPolicy::DropOldest)
            .warning_threshold(100)
            .build(),
    ];
    for config in all {
        alloc.set_deferred_config(config);
        assert_eq!(alloc.deferred_config(), config);
        alloc.set_deferred_processing(DeferredProcessing::Explicit);
        let mode = DeferredProcessing::Explicit;
        assert_eq!(alloc.deferred_config(), DeferredConfig { mode, ..config });
    }
}

#[test]
fn frees_are_taken_back_when_a_frame_begins() {
    let _alone = alone();
    let configured = Configured::new(DeferredConfig::default());
    let alloc = &configured.0;
    let before = alloc.deferred_stats();
    free_elsewhere(make::<13>(alloc, 300));
    assert_eq!(configured.since(before), (300, 0, 300));
    // Rounded up to their size class.
    let bytes = alloc.deferred_stats().queued_bytes - before.queued_bytes;
    assert_eq!(bytes, 300 * 112);
    alloc.begin_frame();
    assert_eq!(configured.since(before), (300, 300, 0));
    free_elsewhere(make::<13>(alloc, 100));
    alloc.end_frame();
    assert_eq!(configured.since(before), (400, 300, 100));
    alloc.begin_frame();
    assert_eq!(configured.since(before), (400, 400, 0));
    alloc.end_frame();
    assert!(alloc.deferred_stats().peak_depth >= 300);
}

#[test]
fn frees_are_taken_back_when_a_frame_ends() {
    let _alone = alone();
    let configured = Configured::new(mode(DeferredProcessing::AtFrameEnd));
    let alloc = &configured.0;
    // The first time that a thread meets an allocator is a boundary, too.
    alloc.begin_frame();
    alloc.end_frame();
    let before = alloc.deferred_stats();
    free_elsewhere(make::<15>(alloc, 300));
    alloc.begin_frame();
    assert_eq!(configured.since(before), (300, 0, 300));
    free_elsewhere(make::<15>(alloc, 50));
    alloc.end_frame();
    assert_eq!(configured.since(before).2, 0);
}

#[test]
fn a_shared_frame_is_a_boundary_too() {
    let _alone = alone();
    for at in [
        DeferredProcessing::AtFrameBegin,
        DeferredProcessing::AtFrameEnd,
    ] {
        let configured = Configured::new(mode(at));
        let alloc = &configured.0;
        let mut frames = alloc.shared_frames().unwrap();
        let before = alloc.deferred_stats();
        frames.begin().unwrap();
        drop(alloc.frame_box(1).unwrap());
        free_elsewhere(make::<17>(alloc, 300));
        assert_eq!(configured.since(before).2, 300);
        frames.end().unwrap();
        assert_eq!(configured.since(before), (300, 300, 0));
    }
}

#[test]
fn a_boundary_takes_back_a_bounded_number() {
    let _alone = alone();
    let configured = Configured::new(DeferredConfig::default());
    let alloc = &configured.0;
    let before = alloc.deferred_stats();
    free_elsewhere(make::<19>(alloc, 5000));
    alloc.begin_frame();
    assert_eq!(configured.since(before).1, 1024);
    alloc.end_frame();
    // The rest comes back as it is needed: no new memory.
    let reserved = alloc.stats().pool_reserved;
    let again = make::<19>(alloc, 5000);
    assert_eq!(alloc.stats().pool_reserved, reserved);
    drop(again);
}

#[test]
fn incremental_takes_back_so_many_at_a_time() {
    let _alone = alone();
    let configured = Configured::new(DeferredConfig::incremental(16));
    let alloc = &configured.0;
    let before = alloc.deferred_stats();
    free_elsewhere(make::<21>(alloc, 300));
    alloc.begin_frame();
    alloc.end_frame();
    assert_eq!(configured.since(before).1, 0);
    let mut kept = Vec::new();
    while configured.since(before).1 == 0 {
        kept.extend(make::<21>(alloc, 1));
    }
    for step in 1..=18 {
        assert_eq!(configured.since(before).1, step * 16);
        // The one that took them back is one of them.
        kept.extend(make::<21>(alloc, 16));
    }
    assert_eq!(configured.since(before).1, 300);
}

#[test]
fn explicit_takes_back_when_it_is_told_to_and_only_then() {
    let _alone = alone();
    let configured = Configured::new(DeferredConfig::explicit());
    let alloc = &configured.0;
    let before = alloc.deferred_stats();
    free_elsewhere(make::<23>(alloc, 1000));
    alloc.begin_frame();
    let kept = make::<23>(alloc, 3000);
    alloc.end_frame();
    assert_eq!(configured.since(before), (1000, 0, 1000));
    assert_eq!(alloc.process_deferred_frees(0), 0);
    assert_eq!(alloc.process_deferred_frees(64), 64);
    assert_eq!(alloc.process_deferred_frees(1), 1);
    assert_eq!(alloc.process_deferred_frees(100), 100);
    assert_eq!(configured.since(before), (1000, 165, 835));
    assert_eq!(alloc.process_deferred_frees(usize::MAX), 835);
    assert_eq!(alloc.process_deferred_frees(usize::MAX), 0);
    // They can be used again.
    let reserved = alloc.stats().pool_reserved;
    let again = make::<23>(alloc, 1000);
    assert_eq!(alloc.stats().pool_reserved, reserved);
    drop((kept, again));
}

#[test]
fn a_thread_hands_over_what_it_gathered_when_it_processes() {
    let _alone = alone();
    let configured = Configured::new(DeferredConfig::explicit());
    let alloc = &configured.0;
    let (few, more) = (make::<25>(alloc, 10), make::<25>(alloc, 5));
    let (to_it, blocks) = mpsc::channel::<Blocks<25>>();
    let (from_it, done) = mpsc::channel();
    thread::scope(|scope| {
        let thread = scope.spawn(move || {
            // What waits for a thread that has ended is its successor's.
            alloc.process_deferred_frees(usize::MAX);
            drop(blocks.recv().unwrap());
            from_it.send(()).unwrap();
            drop(blocks.recv().unwrap());
            assert_eq!(alloc.process_deferred_frees(usize::MAX), 0);
            from_it.send(()).unwrap();
        });
        to_it.send(few).unwrap();
        done.recv().unwrap();
        assert_eq!(alloc.process_deferred_frees(usize::MAX), 0);
        to_it.send(more).unwrap();
        done.recv().unwrap();
        assert_eq!(alloc.process_deferred_frees(usize::MAX), 15);
        thread.join().unwrap();
    });
}

#[test]
fn disabled_lets_any_thread_use_what_was_freed() {
    let _alone = alone();
    let configured = Configured::new(mode(DeferredProcessing::Disabled));
    let alloc = &configured.0;
    let before = alloc.deferred_stats();
    free_elsewhere(make::<27>(alloc, 2000));
    assert_eq!(configured.since(before), (2000, 2000, 0));
    assert_eq!(alloc.process_deferred_frees(usize::MAX), 0);
    let reserved = alloc.stats().pool_reserved;
    let theirs = thread::scope(|scope| scope.spawn(|| make::<27>(alloc, 2000)).join().unwrap());
    assert_eq!(alloc.stats().pool_reserved, reserved);
    for (n, block) in theirs.iter().enumerate() {
        assert_eq!(**block, [n as u64; 27]);
    }
    // They are this thread's pages', but never in its queue.
    free_elsewhere(theirs);
    let ours = make::<27>(alloc, 2000);
    assert_eq!(alloc.stats().pool_reserved, reserved);
    drop(ours);
}

#[test]
fn blocks_that_are_charged_and_blocks_that_are_not_share_no_list() {
    let _alone = alone();
    let configured = Configured::new(mode(DeferredProcessing::Disabled));
    let plain = SmartAlloc::new(AllocConfig::minimal().with_pool_tags(false));
    let charged = SmartAlloc::new(AllocConfig::minimal().with_pool_tags(true));
    let tag = TagId::from_path("deferred_charged");
    let live = || TagTotals::capture().of(tag).pool.live_bytes();
    let start = live();
    for round in 0..20 {
        // One kind is freed elsewhere, and the other made after it, here and there in turn.
        let (first, then) = if round % 2 == 0 {
            (&plain, &charged)
        } else {
            (&charged, &plain)
        };
        let _scope = TagScope::enter(tag);
        free_elsewhere(make::<61>(first, 500));
        let kept = make::<61>(then, 500);
        let bytes = if round % 2 == 0 { 500 * 496 } else { 0 };
        assert_eq!(live() - start, bytes);
        // By the fast path, for the thread that made them.
        drop(kept);
        assert_eq!(live() - start, 0);
    }
    drop(configured);
}

/// Frees 300 blocks for a queue of 100; how many are in the queue then, and the reports of the thread that freed them.
fn overflow<const N: usize>(
    policy: QueueFullPolicy,
) -> (usize, Vec<DiagnosticCode>, DeferredControlStats) {
    let configured = Configured::new(DeferredConfig {
        mode: DeferredProcessing::Explicit,
        ..DeferredConfig::bounded(100).full_policy(policy)
    });
    let alloc = &configured.0;
    let blocks = make::<N>(alloc, 300);
    let before = alloc.deferred_stats();
    let reports = thread::scope(|scope| {
        let freeing = scope.spawn(|| {
            let ((), reports) = diagnostics::capture(|| {
                drop(blocks);
                alloc.process_deferred_frees(0);
            });
            reports.iter().map(|report| report.code).collect()
        });
        freeing.join().unwrap()
    });
    let after = alloc.deferred_stats();
    let waiting = alloc.process_deferred_frees(usize::MAX);
    assert_eq!(configured.since(before).2, 0);
    // Not one is lost.
    let reserved = alloc.stats().pool_reserved;
    drop(make::<N>(alloc, 300));
    assert_eq!(alloc.stats().pool_reserved, reserved);
    let mut changed = after;
    changed.full_count -= before.full_count;
    changed.warning_count -= before.warning_count;
    changed.immediate_process_count -= before.immediate_process_count;
    (waiting, reports, changed)
}

#[test]
fn a_full_queue_makes_the_freeing_thread_process_its_blocks() {
    let _alone = alone();
    let (waiting, reports, stats) = overflow::<29>(QueueFullPolicy::ProcessImmediately);
    assert_eq!(waiting, 100);
    assert_eq!(reports, [DiagnosticCode::FA204]);
    assert_eq!(
        (stats.immediate_process_count, stats.warning_count),
        (200, 1)
    );
    assert_eq!(stats.full_count, 4);
}

#[test]
fn a_full_queue_gives_up_its_oldest() {
    let _alone = alone();
    let (waiting, reports, stats) = overflow::<31>(QueueFullPolicy::DropOldest);
    // The last 44 of 300, for which everything before them had to go.
    assert_eq!(waiting, 44);
    // Each time the queue was below the threshold before.
    assert_eq!(reports, [DiagnosticCode::FA204; 4]);
    assert_eq!((stats.immediate_process_count, stats.full_count), (0, 4));
}

#[test]
fn a_full_queue_that_fails_reports_each_time_and_loses_nothing() {
    let _alone = alone();
    let (waiting, reports, stats) = overflow::<33>(QueueFullPolicy::Fail);
    assert_eq!(waiting, 100);
    assert_eq!(reports, [DiagnosticCode::FA201; 4]);
    assert_eq!(stats.full_count, 4);
}

#[test]
fn a_refusal_that_panics_in_strict_mode_loses_nothing() {
    let _alone = alone();
    let configured = Configured::new(DeferredConfig {
        mode: DeferredProcessing::Explicit,
        ..DeferredConfig::bounded(100).full_policy(QueueFullPolicy::Fail)
    });
    let alloc = &configured.0;
    let mut blocks = make::<63>(alloc, 300);
    let before = alloc.deferred_stats();
    let panics = thread::scope(|scope| {
        let freeing = scope.spawn(|| {
            let _strict = StrictModeGuard::panic_on_error();
            let mut panics = 0;
            while let Some(block) = blocks.pop() {
                panics += usize::from(catch_unwind(AssertUnwindSafe(|| drop(block))).is_err());
            }
            panics
        });
        freeing.join().unwrap()
    });
    assert_eq!(panics, 3);
    assert_eq!(alloc.process_deferred_frees(usize::MAX), 100);
    assert_eq!(configured.since(before), (300, 300, 0));
    let reserved = alloc.stats().pool_reserved;
    drop(make::<63>(alloc, 300));
    assert_eq!(alloc.stats().pool_reserved, reserved);
}

#[test]
fn a_queue_that_grows_only_warns() {
    let _alone = alone();
    let (waiting, reports, stats) = overflow::<35>(QueueFullPolicy::Grow);
    assert_eq!(waiting, 300);
    assert_eq!(reports, [DiagnosticCode::FA204]);
    assert_eq!((stats.full_count, stats.warning_count), (4, 1));
}

#[test]
fn a_warning_comes_again_after_the_queue_was_emptied() {
    let _alone = alone();
    let configured = Configured::new(DeferredConfig {
        mode: DeferredProcessing::Explicit,
        ..DeferredConfig::bounded(1000).warning_threshold(10)
    });
    let alloc = &configured.0;
    let warned = || diagnostics::count(DiagnosticCode::FA204);
    let before = warned();
    free_elsewhere(make::<37>(alloc, 90));
    assert_eq!(warned() - before, 0);
    free_elsewhere(make::<37>(alloc, 10));
    assert_eq!(warned() - before, 1);
    free_elsewhere(make::<37>(alloc, 100));
    assert_eq!(warned() - before, 1);
    alloc.process_deferred_frees(150);
    free_elsewhere(make::<37>(alloc, 50));
    assert_eq!(warned() - before, 2);
}

#[test]
fn a_queue_without_room_for_one_shares_everything() {
    let _alone = alone();
    for policy in [
        QueueFullPolicy::ProcessImmediately,
        QueueFullPolicy::DropOldest,
        QueueFullPolicy::Fail,
    ] {
        let configured = Configured::new(DeferredConfig::bounded(0).full_policy(policy));
        let alloc = &configured.0;
        let before = alloc.deferred_stats();
        free_elsewhere(make::<39>(alloc, 200));
        assert_eq!(configured.since(before), (200, 200, 0));
        assert_eq!(alloc.process_deferred_frees(usize::MAX), 0);
    }
}

#[test]
fn many_threads_at_once_never_overfill_a_queue() {
    let _alone = alone();
    let configured = Configured::new(DeferredConfig {
        mode: DeferredProcessing::Explicit,
        ..DeferredConfig::bounded(150)
    });
    let alloc = &configured.0;
    for _ in 0..20 {
        let shares: Vec<_> = (0..4).map(|_| make::<41>(alloc, 200)).collect();
        let threads = shares
            .into_iter()
            .map(|share| thread::spawn(|| drop(share)));
        let threads: Vec<_> = threads.collect();
        for thread in threads {
            thread.join().unwrap();
        }
        let back = alloc.process_deferred_frees(usize::MAX);
        assert!(back <= 150, "{back} blocks were in a queue of 150");
    }
}

#[test]
fn a_sink_may_free_for_other_threads_itself() {
    let _alone = alone();
    let config = DeferredConfig::bounded(70).full_policy(QueueFullPolicy::Fail);
    let configured = Configured::new(config);
    let alloc = &configured.0;
    let (ours, others) = (make::<43>(alloc, 500), make::<43>(alloc, 500));
    let theirs = thread::scope(|scope| scope.spawn(|| make::<43>(alloc, 500)).join().unwrap());
    let pockets = Arc::new(std::sync::Mutex::new((others, theirs)));
    let calls = Arc::new(AtomicUsize::new(0));
    {
        let (pockets, calls) = (pockets.clone(), calls.clone());
        diagnostics::set_sink(move |_| {
            calls.fetch_add(1, Relaxed);
            for _ in 0..100 {
                let mut pockets = pockets.lock().unwrap();
                let freed = (pockets.0.pop(), pockets.1.pop());
                drop(pockets);
                drop(freed);
            }
        });
    }
    // Reports of a code are sent at its 1st, 2nd, 4th … time: more than once among so many.
    let mut blocks = Some(ours);
    for _ in 0..64 {
        free_elsewhere(blocks.take().unwrap());
        blocks = Some(make::<43>(alloc, 500));
    }
    diagnostics::set_sink(|_| {});
    assert!(calls.load(Relaxed) > 0);
    drop(blocks);
    free_elsewhere(std::mem::take(&mut pockets.lock().unwrap().0));
}

// ---- Many ----------------------------------------------------------------------------------------------------------

fn every_config() -> Vec<DeferredConfig> {
    let modes = [
        DeferredProcessing::AtFrameBegin,
        DeferredProcessing::AtFrameEnd,
        DeferredProcessing::Incremental { per_alloc: 0 },
        DeferredProcessing::Incremental { per_alloc: 1 },
        DeferredProcessing::Incremental { per_alloc: 100 },
        DeferredProcessing::Explicit,
        DeferredProcessing::Disabled,
    ];
    let bounds = [
        (usize::MAX, QueueFullPolicy::Grow),
        (100, QueueFullPolicy::Grow),
        (100, QueueFullPolicy::ProcessImmediately),
        (100, QueueFullPolicy::DropOldest),
        (100, QueueFullPolicy::Fail),
    ];
    modes
        .into_iter()
        .flat_map(|mode| bounds.map(|(capacity, policy)| (mode, capacity, policy)))
        .map(|(mode, capacity, policy)| {
            DeferredConfigBuilder::new()
                .mode(mode)
                .capacity(capacity)
                .full_policy(policy)
                .build()
        })
        .collect()
}

#[test]
fn memory_is_flat_in_every_mode_and_with_every_policy() {
    let _alone = alone();
    diagnostics::set_sink(|_| {});
    for config in every_config() {
        let configured = Configured::new(config);
        let alloc = &configured.0;
        let mut reserved = Vec::new();
        let (blocks, receive) = mpsc::sync_channel::<Blocks<45>>(2);
        let (done, wait) = mpsc::sync_channel::<()>(2);
        thread::scope(|scope| {
            let consumer = scope.spawn(move || {
                for batch in receive {
                    alloc.begin_frame();
                    drop(batch);
                    alloc.end_frame();
                    done.send(()).unwrap();
                }
            });
            for frame in 0..600 {
                alloc.begin_frame();
                blocks.send(make::<45>(alloc, 150)).unwrap();
                wait.recv().unwrap();
                alloc.end_frame();
                if config.mode == DeferredProcessing::Explicit {
                    alloc.process_deferred_frees(150);
                }
                if frame % 100 == 99 {
                    reserved.push(alloc.stats().pool_reserved);
                }
            }
            drop(blocks);
            consumer.join().unwrap();
        });
        assert!(
            reserved[1..].iter().all(|&bytes| bytes == reserved[1]),
            "{config:?}: {reserved:?}"
        );
    }
}

#[test]
fn threads_that_free_for_each_other_lose_and_mix_up_nothing_while_settings_change() {
    const THREADS: usize = 3;
    const BLOCKS: u64 = 4_000;
    let _alone = alone();
    diagnostics::set_sink(|_| {});
    let configured = Configured::new(DeferredConfig::default());
    let alloc = &configured.0;
    let (live, drops) = (alloc.stats().active_allocations(), AtomicUsize::new(0));
    struct Stamped<'a>([u64; 7], &'a AtomicUsize);
    impl Drop for Stamped<'_> {
        fn drop(&mut self) {
            assert!(self.0.iter().all(|&word| word == self.0[0]));
            self.1.fetch_add(1, Relaxed);
        }
    }
    enum Either<'a> {
        Small(PoolBox<Stamped<'a>>),
        Large(PoolBox<(Stamped<'a>, [u64; 30])>),
    }
    let stop = AtomicBool::new(false);
    let mut channels: Vec<_> = (0..THREADS).map(|_| mpsc::channel()).collect();
    thread::scope(|scope| {
        let senders: Vec<_> = channels.iter().map(|(sender, _)| sender.clone()).collect();
        let workers: Vec<_> = channels
            .drain(..)
            .enumerate()
            .map(|(me, (_, receiver))| {
                let (senders, drops) = (senders.clone(), &drops);
                scope.spawn(move || {
                    for n in 0..BLOCKS {
                        let stamped = Stamped([n << 8 | me as u64; 7], drops);
                        let block = if n % 5 == 0 {
                            Either::Large(alloc.pool_box((stamped, [n; 30])).unwrap())
                        } else {
                            Either::Small(alloc.pool_box(stamped).unwrap())
                        };
                        let to = (me + (n / 100) as usize) % THREADS;
                        let _ = senders[to].send(block);
                        match n % 200 {
                            0 => alloc.begin_frame(),
                            100 => {
                                receiver.try_iter().for_each(drop);
                                alloc.process_deferred_frees(n as usize % 70);
                            }
                            199 => alloc.end_frame(),
                            _ => {}
                        }
                    }
                    drop(senders);
                    for block in receiver {
                        match block {
                            Either::Small(block) => drop(block),
                            Either::Large(block) => {
                                assert_eq!(block.1, [block.0.0[0] >> 8; 30]);
                            }
                        }
                    }
                })
            })
            .collect();
        drop(senders);
        let stop = &stop;
        let changes = scope.spawn(move || {
            let configs = every_config();
            for config in configs.iter().cycle() {
                alloc.set_deferred_config(*config);
                thread::yield_now();
                if stop.load(Relaxed) {
                    break;
                }
            }
        });
        for worker in workers {
            worker.join().unwrap();
        }
        stop.store(true, Relaxed);
        changes.join().unwrap();
    });
    assert_eq!(drops.load(Relaxed), THREADS * BLOCKS as usize);
    assert_eq!(alloc.stats().active_allocations(), live);
    let stats = alloc.deferred_stats();
    assert!(stats.total_processed <= stats.total_queued);
}

// ---- A model -------------------------------------------------------------------------------------------------------

#[derive(Debug, Clone)]
enum Op {
    Make(usize, usize),
    Free(usize, usize),
    Process(usize, usize),
    Begin(usize),
    End(usize),
}

fn op() -> impl Strategy<Value = Op> {
    let thread = 0..2usize;
    prop_oneof![
        3 => (thread.clone(), 1..150usize).prop_map(|(t, n)| Op::Make(t, n)),
        3 => (thread.clone(), 1..150usize).prop_map(|(t, n)| Op::Free(t, n)),
        1 => (thread.clone(), 0..200usize).prop_map(|(t, n)| Op::Process(t, n)),
        1 => thread.clone().prop_map(Op::Begin),
        1 => thread.prop_map(Op::End),
    ]
}

type Job = Box<dyn FnOnce() -> usize + Send>;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Two threads do as they are told, one at a time.
    #[test]
    fn any_sequence_on_two_threads_does_as_the_model(
        config in prop::sample::select(every_config()),
        ops in prop::collection::vec(op(), 1..40),
    ) {
        let _alone = alone();
        diagnostics::set_sink(|_| {});
        let configured = Configured::new(config);
        let alloc = configured.0.clone();
        let bounded = config.capacity != usize::MAX && config.full_policy != QueueFullPolicy::Grow;
        let live = alloc.stats().active_allocations();
        thread::scope(|scope| {
            let (handles, threads): (Vec<_>, Vec<_>) = (0..2)
                .map(|_| {
                    let (to, jobs) = mpsc::channel::<Job>();
                    let (from, done) = mpsc::channel();
                    let handle = scope.spawn(move || {
                        for job in jobs {
                            from.send(job()).unwrap();
                        }
                    });
                    let run = move |job: Job| {
                        to.send(job).unwrap();
                        done.recv().unwrap()
                    };
                    (handle, run)
                })
                .unzip();
            // Adopted records may have something waiting.
            for thread in &threads {
                let alloc = alloc.clone();
                thread(Box::new(move || alloc.process_deferred_frees(usize::MAX)));
            }
            let mut held: Vec<PoolBox<[u64; 47]>> = Vec::new();
            for op in ops {
                let stats = alloc.deferred_stats();
                let (queued, processed, mut freeable) = (stats.total_queued, stats.total_processed, 0);
                match op {
                    Op::Make(thread, n) => {
                        let (to, from) = mpsc::channel();
                        let alloc = alloc.clone();
                        threads[thread](Box::new(move || {
                            for block in make::<47>(&alloc, n) {
                                to.send(block).unwrap();
                            }
                            n
                        }));
                        held.extend(from);
                    }
                    Op::Free(thread, n) => {
                        let freed: Vec<_> = held.drain(..n.min(held.len())).collect();
                        freeable = freed.len() as u64;
                        threads[thread](Box::new(move || {
                            drop(freed);
                            0
                        }));
                    }
                    Op::Process(thread, max) => {
                        let alloc = alloc.clone();
                        let back = threads[thread](Box::new(move || alloc.process_deferred_frees(max)));
                        assert!(back <= max);
                        assert!(!bounded || back <= config.capacity);
                    }
                    Op::Begin(thread) => {
                        let alloc = alloc.clone();
                        threads[thread](Box::new(move || usize::from(alloc.try_begin_frame().is_ok())));
                    }
                    Op::End(thread) => {
                        let alloc = alloc.clone();
                        threads[thread](Box::new(move || usize::from(alloc.try_end_frame().is_ok())));
                    }
                }
                let now = alloc.deferred_stats();
                assert_eq!(now.current_depth, now.total_queued - now.total_processed);
                assert!(now.total_processed >= processed);
                assert!(now.total_queued - queued <= freeable);
                assert_eq!(alloc.stats().active_allocations() - live, held.len() as u64);
            }
            drop(threads);
            for handle in handles {
                handle.join().unwrap();
            }
        });
    }
}

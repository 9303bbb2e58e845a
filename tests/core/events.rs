//! What listens to the allocator: frame events, hooks for user interfaces and profilers, and what listeners may do.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::thread;

use framealloc::diagnostics::{DiagnosticsEvent, DiagnosticsHooks, MemoryEvent};
use framealloc::tags::TagId;
use framealloc::{
    AllocConfig, FrameEvent, LifecycleManager, PoolBox, ProfilerHooks, ProfilerZone, SmartAlloc,
};

use crate::common::{address, on_a_thread, panics, small};

type Log<T> = Arc<Mutex<Vec<T>>>;

/// An allocator that is tracked, and its events.
///
/// Without those of blocks that a thread takes back: they may be what other tests' threads freed for the thread whose pools
/// this one was given.
fn tracked() -> (SmartAlloc, Log<FrameEvent>) {
    let alloc = small();
    alloc.enable_lifecycle_tracking();
    let log = Log::default();
    let sink = log.clone();
    alloc.on_frame_event(move |event| {
        if !is_taking_back(event) {
            sink.lock().unwrap().push(*event);
        }
    });
    (alloc, log)
}

fn is_taking_back(event: &FrameEvent) -> bool {
    matches!(event, FrameEvent::DeferredProcessed { .. })
}

fn take<T>(log: &Log<T>) -> Vec<T> {
    std::mem::take(&mut *log.lock().unwrap())
}

/// What happened, without when and where.
fn words(events: &[FrameEvent]) -> Vec<String> {
    let words = events.iter().map(|event| match event {
        FrameEvent::FrameBegin { frame_number, .. } => format!("begin {frame_number}"),
        FrameEvent::FrameEnd { frame_number, .. } => format!("end {frame_number}"),
        FrameEvent::Alloc { size, .. } => format!("alloc {size}"),
        FrameEvent::Free { size, .. } => format!("free {size}"),
        FrameEvent::CrossThreadFreeQueued { size, .. } => format!("queued {size}"),
        FrameEvent::DeferredProcessed { count, .. } => format!("processed {count}"),
        FrameEvent::TransferInitiated { size, .. } => format!("sent {size}"),
        FrameEvent::TransferCompleted { size, .. } => format!("received {size}"),
        FrameEvent::MemoryPressure { used, budget, .. } => format!("pressure {used}/{budget}"),
        FrameEvent::BudgetExceeded {
            requested,
            available,
            budget,
            ..
        } => format!("exceeded {requested}>{available}/{budget}"),
        _ => "?".to_owned(),
    });
    words.collect()
}

#[test]
fn frames_tell_of_their_ends_and_of_every_block_between() {
    let (alloc, log) = tracked();
    alloc.begin_frame();
    let scratch = alloc.frame_box([0u8; 100]).unwrap();
    let pool = alloc.pool_box([0u8; 60]).unwrap();
    drop(scratch);
    let heap = alloc.heap_box([0u8; 5000]).unwrap();
    let guard = alloc.frame();
    guard.alloc([0u8; 24]);
    drop(guard);
    drop(pool);
    alloc.end_frame();
    drop(heap);
    let events = take(&log);
    assert_eq!(
        words(&events),
        [
            "begin 1",
            "alloc 100",
            "alloc 60",
            "free 100",
            "alloc 5000",
            "alloc 24",
            "free 60",
            "free 24",
            "end 1",
            "free 5000"
        ]
    );
    let here = thread::current().id();
    assert!(matches!(
        events[8],
        FrameEvent::FrameEnd { thread_id, total_allocated: 5184, peak_memory: 5084.., .. } if thread_id == here
    ));
    let stats = alloc.thread_frame_stats(here);
    assert_eq!((stats.frames_started, stats.frames_completed), (1, 1));
    assert_eq!(stats.total_allocated, 5184);
    assert_eq!(stats.peak_memory, 60 + 5000 + 24);
}

#[test]
fn the_tours_match_compiles_and_hears() {
    let alloc = small();
    alloc.enable_lifecycle_tracking();
    let seen = Arc::new(AtomicUsize::new(0));
    let count = seen.clone();
    alloc.on_frame_event(move |event| match event {
        FrameEvent::FrameBegin {
            thread_id,
            frame_number,
            ..
        } => {
            assert!(!format!("{thread_id:?} {frame_number}").is_empty());
            count.fetch_add(1, Relaxed);
        }
        FrameEvent::CrossThreadFreeQueued { from, to, size } => {
            assert_ne!((from, *size), (to, 0));
        }
        FrameEvent::FrameEnd {
            duration_us,
            peak_memory,
            ..
        } => {
            assert!(*duration_us < u64::MAX && *peak_memory == 0);
            count.fetch_add(10, Relaxed);
        }
        _ => {}
    });
    alloc.begin_frame();
    alloc.end_frame();
    assert_eq!(seen.load(Relaxed), 11);
}

#[test]
fn a_frame_lasts_as_long_as_it_was_open() {
    let (alloc, log) = tracked();
    alloc.begin_frame();
    let started = std::time::Instant::now();
    while started.elapsed().as_micros() < 2000 {}
    alloc.end_frame();
    assert!(matches!(
        take(&log)[..],
        [
            _,
            FrameEvent::FrameEnd {
                duration_us: 2000..,
                ..
            }
        ]
    ));
}

#[test]
fn shared_frames_tell_of_their_ends_too() {
    let (alloc, log) = tracked();
    let mut frames = alloc.shared_frames().unwrap();
    frames.begin().unwrap();
    on_a_thread(|| drop(alloc.frame_box(1u64).unwrap()));
    frames.end().unwrap();
    drop(frames);
    assert_eq!(
        words(&take(&log)),
        ["begin 1", "alloc 8", "free 8", "end 1"]
    );
}

#[test]
fn a_block_freed_by_another_thread_is_told_of_with_both() {
    let (alloc, log) = tracked();
    let here = thread::current().id();
    let block = alloc.pool_box([0u8; 64]).unwrap();
    let there = on_a_thread(move || {
        drop(block);
        thread::current().id()
    });
    let events = take(&log);
    assert!(matches!(
        events[1],
        FrameEvent::Free { thread_id, size: 64, was_cross_thread: true } if thread_id == there
    ));
    assert_eq!(
        events[2],
        FrameEvent::CrossThreadFreeQueued {
            from: there,
            to: here,
            size: 64
        }
    );
    assert_eq!(alloc.thread_frame_stats(there).cross_thread_frees, 1);
    // The ended thread has handed it over; the owner takes back no less than that.
    let sink = log.clone();
    alloc.on_frame_event(move |event| {
        if is_taking_back(event) {
            sink.lock().unwrap().push(*event);
        }
    });
    assert!(alloc.process_deferred_frees(usize::MAX) >= 1);
    let processed = take(&log);
    assert!(matches!(
        processed[..],
        [FrameEvent::DeferredProcessed {
            count: 1..,
            total_bytes: 64..,
            ..
        }]
    ));
}

#[test]
fn transfers_are_told_of_at_both_ends() {
    let (alloc, log) = tracked();
    let handle = alloc.frame_box_for_transfer([0u8; 32]);
    let there = on_a_thread(move || {
        drop(handle.receive());
        thread::current().id()
    });
    let events = take(&log);
    assert_eq!(words(&events)[..3], ["alloc 32", "sent 32", "received 32"]);
    assert!(matches!(
        events[2],
        FrameEvent::TransferCompleted { to_thread, .. } if to_thread == there
    ));
}

#[test]
fn budgets_tell_of_pressure_and_of_refusals() {
    let alloc = SmartAlloc::new(AllocConfig::minimal().with_budgets(true));
    let budgets = alloc.budgets().unwrap();
    budgets.register_tag_budget("events_budget", 500, 1000);
    alloc.enable_lifecycle_tracking();
    let log = Log::default();
    let sink = log.clone();
    alloc.on_frame_event(move |event| sink.lock().unwrap().push(*event));
    let hooks = Log::default();
    let sink = hooks.clone();
    alloc
        .diagnostics()
        .add_listener(move |event| sink.lock().unwrap().push(*event));
    alloc.with_tag("events_budget", |alloc| {
        let held = alloc.heap_box([0u8; 600]).unwrap();
        assert!(alloc.heap_box([0u8; 600]).is_err());
        drop(held);
    });
    assert_eq!(
        words(&take(&log)),
        [
            "pressure 600/500",
            "alloc 600",
            "exceeded 600>400/1000",
            "free 600"
        ]
    );
    let tag = TagId::from_path("events_budget");
    assert_eq!(
        take(&hooks),
        [
            DiagnosticsEvent::MemoryPressure {
                current: 600,
                limit: 500
            },
            DiagnosticsEvent::BudgetWarning {
                tag,
                current: 600,
                limit: 500
            },
            DiagnosticsEvent::BudgetExceeded {
                tag,
                current: 1200,
                limit: 1000
            },
        ]
    );
}

#[test]
fn threads_that_run_already_are_watched_from_their_next_frame() {
    let (alloc, log) = tracked();
    alloc.disable_lifecycle_tracking();
    let barrier = std::sync::Barrier::new(2);
    thread::scope(|scope| {
        scope.spawn(|| {
            drop(alloc.pool_box(1u64).unwrap());
            barrier.wait();
            barrier.wait();
            alloc.begin_frame();
            drop(alloc.pool_box([1u8; 40]).unwrap());
            alloc.end_frame();
        });
        barrier.wait();
        alloc.enable_lifecycle_tracking();
        barrier.wait();
    });
    let told = words(&take(&log));
    assert_eq!(told, ["begin 1", "alloc 40", "free 40", "end 1"]);
}

// ---- Nobody listens ------------------------------------------------------------------------------------------------

/// Whether frame boxes are bumped one after the other: a watched one has a chunk of its own.
fn is_bumped(alloc: &SmartAlloc) -> bool {
    let (first, second) = (
        alloc.frame_box(1u64).unwrap(),
        alloc.frame_box(2u64).unwrap(),
    );
    address(&*first).abs_diff(address(&*second)) == 8
}

#[test]
fn without_listeners_nothing_is_watched_or_charged() {
    let alloc = SmartAlloc::new(AllocConfig::minimal().with_pool_tags(false));
    let pool_calls = |alloc: &SmartAlloc| {
        let tag = TagId::from_path("events_unwatched");
        let calls = || framealloc::tags::TagTotals::capture().of(tag).pool.allocs;
        let before = calls();
        alloc.with_tag("events_unwatched", |alloc| {
            drop(alloc.pool_box([0u8; 48]).unwrap());
        });
        calls() - before
    };
    alloc.begin_frame();
    assert!(is_bumped(&alloc));
    // Pool blocks are charged to tags on the slow path only.
    assert_eq!(pool_calls(&alloc), 0);
    alloc.enable_lifecycle_tracking();
    assert!(!is_bumped(&alloc));
    assert_eq!(pool_calls(&alloc), 1);
    alloc.disable_lifecycle_tracking();
    assert!(is_bumped(&alloc));
    assert_eq!(pool_calls(&alloc), 0);
    alloc.end_frame();
    alloc.begin_frame();
    assert!(is_bumped(&alloc));
    alloc.end_frame();
}

#[test]
fn what_lives_on_when_watching_ends_is_freed_in_silence() {
    let (alloc, log) = tracked();
    alloc.begin_frame();
    let (frame, pool, heap) = (
        alloc.frame_box([7u8; 100]).unwrap(),
        alloc.pool_box([8u8; 100]).unwrap(),
        alloc.heap_box([9u8; 100]).unwrap(),
    );
    take(&log);
    alloc.disable_lifecycle_tracking();
    assert_eq!((*frame, *pool, *heap), ([7; 100], [8; 100], [9; 100]));
    drop((frame, pool, heap));
    alloc.end_frame();
    assert_eq!(take(&log), []);
    alloc.enable_lifecycle_tracking();
    alloc.begin_frame();
    drop(alloc.frame_box(1u8).unwrap());
    alloc.end_frame();
    assert_eq!(
        words(&take(&log)),
        ["begin 2", "alloc 1", "free 1", "end 2"]
    );
}

#[test]
fn blocks_outlive_a_watched_allocator() {
    let (alloc, log) = tracked();
    let (pool, heap) = (
        alloc.pool_box([1u8; 40]).unwrap(),
        alloc.heap_box(2u64).unwrap(),
    );
    drop(alloc);
    assert_eq!((*pool, *heap), ([1; 40], 2));
    drop((pool, heap));
    assert_eq!(words(&take(&log)), ["alloc 40", "alloc 8"]);
    assert_eq!(Arc::strong_count(&log), 1, "the listener is gone");
}

// ---- What listeners may do -----------------------------------------------------------------------------------------

#[test]
fn a_listener_may_use_the_allocator_and_is_not_told_of_itself() {
    let alloc = small();
    alloc.enable_lifecycle_tracking();
    let calls = Arc::new(AtomicUsize::new(0));
    let (count, inner) = (calls.clone(), alloc.clone());
    let kept: Mutex<Vec<PoolBox<u64>>> = Mutex::default();
    let id = alloc.on_frame_event(move |event| {
        if is_taking_back(event) {
            return;
        }
        count.fetch_add(1, Relaxed);
        kept.lock().unwrap().push(inner.pool_box(1u64).unwrap());
        drop(inner.heap_box([0u8; 64]).unwrap());
        if inner.frame_is_open() {
            drop(inner.frame_box([0u8; 64]).unwrap());
        }
        inner.frame().alloc(5u32);
        if let FrameEvent::FrameEnd { .. } = event {
            inner.begin_frame();
            inner.end_frame();
        }
        let stats = inner.thread_frame_stats(thread::current().id());
        assert!(stats.frames_started >= stats.frames_completed);
        assert!(inner.is_lifecycle_tracking_enabled());
    });
    for _ in 0..10 {
        alloc.begin_frame();
        drop(alloc.frame_box(3u64).unwrap());
        drop(alloc.pool_box(3u64).unwrap());
        alloc.end_frame();
    }
    assert_eq!(calls.load(Relaxed), 60);
    let summary = alloc.lifecycle().summary();
    assert_eq!(summary.frames_completed, 20);
    // The beginning and the end of each frame, and perhaps what was taken back then.
    assert!(summary.missed_events >= 20);
    assert!(alloc.lifecycle().remove_callback(id));
    assert!(!alloc.lifecycle().remove_callback(id));
    alloc.begin_frame();
    alloc.end_frame();
    assert_eq!(calls.load(Relaxed), 60);
}

#[test]
fn listeners_may_be_added_and_removed_by_listeners() {
    let alloc = small();
    alloc.enable_lifecycle_tracking();
    let late = Arc::new(AtomicUsize::new(0));
    let (count, inner) = (late.clone(), alloc.clone());
    let mine = Arc::new(Mutex::new(None));
    let me = mine.clone();
    let id = alloc.on_frame_event(move |_| {
        let count = count.clone();
        inner.on_frame_event(move |event| {
            if let FrameEvent::FrameEnd { .. } = event {
                count.fetch_add(1, Relaxed);
            }
        });
        if let Some(id) = me.lock().unwrap().take() {
            assert!(inner.lifecycle().remove_callback(id));
        }
        inner.disable_lifecycle_tracking();
        inner.enable_lifecycle_tracking();
    });
    *mine.lock().unwrap() = Some(id);
    alloc.begin_frame();
    assert_eq!(
        late.load(Relaxed),
        0,
        "it was added while the event was told"
    );
    alloc.end_frame();
    assert_eq!(late.load(Relaxed), 1);
    alloc.lifecycle().clear_callbacks();
}

#[test]
fn a_panicking_listener_leaves_the_allocator_whole() {
    let alloc = small();
    alloc.enable_lifecycle_tracking();
    let others = Arc::new(AtomicUsize::new(0));
    let count = others.clone();
    alloc.on_frame_event(|event| {
        if !matches!(event, FrameEvent::Free { .. }) {
            panic!("a listener's");
        }
    });
    alloc.on_frame_event(move |_| {
        count.fetch_add(1, Relaxed);
    });
    panics(|| alloc.begin_frame());
    assert!(alloc.frame_is_open());
    panics(|| alloc.frame_box([0u8; 64]));
    // The totals of pools and heap are those of all tests.
    let tag = TagId::from_path("events_panicking");
    alloc.with_tag("events_panicking", |alloc| {
        panics(|| alloc.pool_box([0u8; 64]));
        panics(|| alloc.heap_box([0u8; 6400]));
    });
    let totals = framealloc::tags::TagTotals::capture().of(tag);
    assert_eq!((totals.pool.allocs, totals.heap.allocs), (1, 1));
    assert_eq!((totals.pool.live_bytes(), totals.heap.live_bytes()), (0, 0));
    let guard = alloc.frame();
    panics(|| drop(guard.try_alloc([0u8; 64])));
    panics(|| drop(guard.try_alloc([0u8; 300_000])));
    assert_eq!(guard.used_bytes(), 0);
    drop(guard);
    panics(|| alloc.end_frame());
    assert!(!alloc.frame_is_open());
    assert!(others.load(Relaxed) >= 7);
    alloc.lifecycle().clear_callbacks();
    for _ in 0..100 {
        alloc.begin_frame();
        crate::common::overwrite(&alloc);
        alloc.end_frame();
    }
    assert_eq!(crate::common::retired(&alloc), 0);
}

#[test]
fn a_listener_that_panics_while_its_thread_unwinds_does_not_end_the_process() {
    let alloc = small();
    alloc.enable_lifecycle_tracking();
    alloc.on_frame_event(|event| {
        if matches!(event, FrameEvent::Free { .. }) {
            panic!("a listener's");
        }
    });
    let block = alloc.pool_box(1u64).unwrap();
    panics(move || {
        let _block = block;
        panic!("the program's");
    });
    let block = alloc.pool_box(1u64).unwrap();
    panics(move || drop(block));
}

#[test]
fn threads_that_are_watched_at_once_do_not_wait_for_each_other_for_ever() {
    let (alloc, log) = tracked();
    alloc.enable_behavior_filter();
    alloc.diagnostics().set_enabled(true);
    let (sender, receiver) = std::sync::mpsc::channel::<PoolBox<[u64; 4]>>();
    thread::scope(|scope| {
        for _ in 0..4 {
            let (sender, alloc) = (sender.clone(), alloc.clone());
            scope.spawn(move || {
                for frame in 0..50 {
                    alloc.begin_frame();
                    let boxes: Vec<_> = (0..20).map(|n| alloc.frame_box(n).unwrap()).collect();
                    sender.send(alloc.pool_box([frame; 4]).unwrap()).unwrap();
                    alloc.lifecycle().on_event(|_| {});
                    drop(boxes);
                    alloc.end_frame();
                }
            });
        }
        drop(sender);
        assert_eq!(receiver.into_iter().count(), 200);
    });
    let events = take(&log);
    let count = |of: fn(&FrameEvent) -> bool| events.iter().filter(|event| of(event)).count();
    assert_eq!(
        count(|event| matches!(event, FrameEvent::FrameEnd { .. })),
        200
    );
    assert_eq!(
        count(|event| matches!(event, FrameEvent::Alloc { .. })),
        4200
    );
    assert_eq!(
        count(|event| matches!(event, FrameEvent::Free { .. })),
        4200
    );
    assert_eq!(
        count(|event| matches!(event, FrameEvent::CrossThreadFreeQueued { .. })),
        200
    );
    assert_eq!(alloc.lifecycle().summary().frames_completed, 200);
}

#[test]
fn one_of_ones_own_tells_what_it_is_told() {
    let manager = LifecycleManager::new();
    let event = FrameEvent::TransferInitiated {
        from_thread: thread::current().id(),
        size: 3,
    };
    let seen = Arc::new(AtomicUsize::new(0));
    let count = seen.clone();
    manager.on_event(move |_| {
        count.fetch_add(1, Relaxed);
    });
    manager.emit(event);
    assert_eq!(seen.load(Relaxed), 0, "it is off");
    manager.enable();
    manager.emit(event);
    assert_eq!(seen.load(Relaxed), 1);
    assert_eq!(manager.increment_frame(), 1);
    assert_eq!(manager.thread_stats(thread::current().id()), None);
}

#[test]
fn what_is_emitted_by_hand_from_listener_to_listener_ends() {
    let manager = Arc::new(LifecycleManager::new());
    manager.enable();
    let (inner, seen) = (Arc::downgrade(&manager), Arc::new(AtomicUsize::new(0)));
    let count = seen.clone();
    manager.on_event(move |event| {
        count.fetch_add(1, Relaxed);
        inner.upgrade().unwrap().emit(*event);
    });
    manager.emit(FrameEvent::TransferInitiated {
        from_thread: thread::current().id(),
        size: 3,
    });
    assert_eq!(seen.load(Relaxed), 8);
    assert_eq!(manager.summary().missed_events, 1);
}

// ---- Hooks for user interfaces -------------------------------------------------------------------------------------

#[test]
fn a_graph_has_as_many_points_as_were_asked_for() {
    let hooks = DiagnosticsHooks::new();
    for asked in [0, 1, 100, 1000] {
        assert_eq!(hooks.get_memory_graph_data(asked).len(), asked);
    }
    for frames in 1..=500usize {
        hooks.on_frame_begin();
        let mut stats = small().stats();
        stats.total_allocated = frames * 10;
        hooks.on_frame_end(&stats);
    }
    assert_eq!(hooks.history().len(), 300);
    let graph = hooks.get_memory_graph_data(2);
    assert_eq!(
        (graph.frames, graph.current),
        (vec![499, 500], vec![4990, 5000])
    );
    let graph = hooks.get_memory_graph_data(400);
    assert_eq!(
        (graph.len(), graph.current.len(), graph.peak.len()),
        (400, 400, 400)
    );
    assert_eq!((graph.frames[99], graph.frames[100]), (0, 201));
    assert_eq!(graph.max_value(), 5000);
    assert_eq!(graph.normalized_current()[399], 1.0);
    assert!(hooks.get_memory_graph_data(0).is_empty());
}

#[test]
fn an_allocators_hooks_hear_of_its_frames() {
    let alloc = small();
    let log = Log::default();
    let sink = log.clone();
    assert!(!alloc.diagnostics().is_enabled());
    let id = alloc.diagnostics().add_listener(move |event| {
        // See `tracked`.
        if !matches!(event, DiagnosticsEvent::DeferredFree { .. }) {
            sink.lock().unwrap().push(*event);
        }
    });
    for _ in 0..10 {
        alloc.begin_frame();
        drop(alloc.frame_box([0u8; 5000]).unwrap());
        alloc.end_frame();
    }
    let events = take(&log);
    assert_eq!(events.len(), 30);
    assert_eq!(
        events[27..],
        [
            DiagnosticsEvent::FrameBegin { frame_number: 10 },
            DiagnosticsEvent::LargeAllocation {
                size: 5000,
                tag: TagId::ROOT
            },
            DiagnosticsEvent::FrameEnd { frame_number: 10 },
        ]
    );
    let graph = alloc.diagnostics().get_memory_graph_data(4);
    assert_eq!(graph.frames, [7, 8, 9, 10]);
    assert!(graph.current.iter().all(|&bytes| bytes >= 5000));
    assert!(alloc.diagnostics().remove_listener(id));
    alloc.diagnostics().set_enabled(false);
    alloc.begin_frame();
    assert!(is_bumped(&alloc));
    alloc.end_frame();
}

// ---- Hooks for profilers -------------------------------------------------------------------------------------------

#[test]
fn a_profiler_sees_every_address_taken_and_freed_in_turn() {
    let alloc = small();
    let log = Log::default();
    let sink = log.clone();
    alloc
        .profiler()
        .set_callback(move |event| sink.lock().unwrap().push(event));
    for frame in 0..20usize {
        alloc.begin_frame();
        // More than are followed one by one.
        let boxes: Vec<_> = (0..400).map(|n| alloc.frame_box(n).unwrap()).collect();
        {
            let guard = alloc.frame();
            for n in 0..frame {
                guard.alloc([n; 3]);
            }
            guard.alloc([0u8; 300_000]);
        }
        let kept = alloc.pool_box([frame; 5]).unwrap();
        drop(alloc.heap_box([0u8; 9000]).unwrap());
        let checkpoint = alloc.frame_checkpoint();
        drop(alloc.frame_box(1u64).unwrap());
        drop(alloc.frame_vec::<u32>(10));
        alloc.rollback_to(checkpoint);
        drop(boxes);
        alloc.end_frame();
        drop(kept);
    }
    alloc.profiler().clear_callback();
    let (mut live, mut marks, mut allocs) = (HashSet::new(), 0, 0);
    for event in take(&log) {
        match event {
            MemoryEvent::Alloc { ptr, .. } => {
                allocs += 1;
                assert!(live.insert(ptr), "{ptr:#x} was taken twice");
            }
            MemoryEvent::Free { ptr } => assert!(live.remove(&ptr), "{ptr:#x} was not taken"),
            MemoryEvent::FrameMark { .. } => {
                marks += 1;
                // What was kept past the frame.
                assert_eq!(live.len(), 1);
            }
            _ => {}
        }
    }
    assert_eq!((live.len(), marks), (0, 20));
    assert_eq!(allocs, 20 * (400 + 1 + 2 + 2) + (0..20).sum::<usize>());
}

#[test]
fn phases_are_zones_and_tags_are_told() {
    let alloc = small();
    let log = Log::default();
    let sink = log.clone();
    alloc
        .profiler()
        .set_callback(move |event| sink.lock().unwrap().push(event));
    let tag = TagId::from_path("events_profiled");
    alloc.begin_frame();
    alloc.begin_phase("physics");
    let _value = alloc.with_tag("events_profiled", |alloc| {
        let _inner = alloc.phase_scope("solver");
        alloc.pool_box([0u8; 40]).unwrap()
    });
    alloc.end_phase();
    alloc.end_frame();
    let events = take(&log);
    assert_eq!(events[0], MemoryEvent::ZoneBegin { name: "physics" });
    assert_eq!(events[1], MemoryEvent::ZoneBegin { name: "solver" });
    assert!(matches!(events[2], MemoryEvent::Alloc { size: 40, tag: of, .. } if of == tag));
    assert_eq!(
        events[3..],
        [
            MemoryEvent::ZoneEnd,
            MemoryEvent::ZoneEnd,
            MemoryEvent::FrameMark { frame_number: 1 }
        ]
    );
}

#[test]
fn profiler_hooks_of_ones_own_pass_on_what_is_emitted() {
    let hooks = ProfilerHooks::new();
    let log = Log::default();
    let sink = log.clone();
    hooks.set_callback(move |event| sink.lock().unwrap().push(event));
    {
        let _zone = ProfilerZone::new(&hooks, "load");
        hooks.emit_alloc(0x1000, 64, TagId::ROOT);
        hooks.emit_free(0x1000);
    }
    hooks.emit_frame_mark(3);
    hooks.set_enabled(false);
    hooks.emit_frame_mark(4);
    assert_eq!(
        take(&log),
        [
            MemoryEvent::ZoneBegin { name: "load" },
            MemoryEvent::Alloc {
                ptr: 0x1000,
                size: 64,
                tag: TagId::ROOT
            },
            MemoryEvent::Free { ptr: 0x1000 },
            MemoryEvent::ZoneEnd,
            MemoryEvent::FrameMark { frame_number: 3 },
        ]
    );
}

#[test]
fn blocks_that_are_followed_one_after_the_other_share_a_mapping() {
    let (alloc, _log) = tracked();
    let reserved = || alloc.stats().frame_reserved;
    alloc.begin_frame();
    drop(alloc.frame_box([0u64; 2]).unwrap());
    let before = reserved();
    for size in 1..1000 {
        drop(alloc.frame_slice_fill(size, 1u8).unwrap());
    }
    assert_eq!(reserved(), before);
    alloc.end_frame();
}

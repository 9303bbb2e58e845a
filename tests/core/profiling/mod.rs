//! What a profiler is told: consistent wherever profiling begins and ends, as Tracy asks for.

mod model;
mod server;

use std::sync::mpsc;
use std::thread;

use framealloc::{AllocConfig, PoolBox, Profiler, ProfilerName, ProfilingConfig, SmartAlloc};

use self::server::{FRAME, HEAP, POOL, Server};
use crate::common::{on_a_thread, small};

/// An allocator that is profiled, and what the profiler made of it.
fn profiled() -> (SmartAlloc, Server) {
    let (alloc, server) = (small(), Server::default());
    alloc.profile_with(&server.profiler(), ProfilingConfig::default());
    (alloc, server)
}

#[test]
fn every_kind_of_memory_has_a_pool() {
    let (alloc, server) = profiled();
    alloc.begin_frame();
    let frame = alloc.frame_box([0u8; 100]).unwrap();
    let pool = alloc.pool_box([0u8; 60]).unwrap();
    let heap = alloc.heap_box([0u8; 5000]).unwrap();
    let guard = alloc.frame();
    guard.alloc([0u8; 24]);
    assert_eq!(
        (server.live(FRAME), server.live(POOL), server.live(HEAP)),
        (124, 60, 5000)
    );
    drop(guard);
    drop((frame, pool));
    alloc.end_frame();
    assert_eq!(
        (server.live(FRAME), server.live(POOL), server.live(HEAP)),
        (0, 0, 5000)
    );
    drop(heap);
    assert_eq!(server.live(HEAP), 0);
    assert_eq!(
        server.words(),
        [
            "framealloc frame +100",
            "framealloc pool +60",
            "framealloc heap +5000",
            "framealloc frame +24",
            "framealloc frame -100",
            "framealloc pool -60",
            "framealloc frame -24",
            "mark",
            "framealloc heap -5000",
        ]
        .map(str::to_owned)
        .as_slice()
        .to_vec()
    );
    server.check();
}

#[test]
fn a_box_that_outlives_its_frame_stays_in_the_pool_until_it_drops() {
    let (alloc, server) = profiled();
    alloc.begin_frame();
    let kept = alloc.frame_box([0u8; 100]).unwrap();
    // More than are followed one by one.
    let crowd: Vec<_> = (0..400).map(|n| alloc.frame_box(n).unwrap()).collect();
    alloc.end_frame();
    crate::common::busy_frames(&alloc, 3);
    assert!(server.live(FRAME) >= 100 + 400 * 4);
    drop((kept, crowd));
    alloc.begin_frame();
    alloc.end_frame();
    assert_eq!(server.live(FRAME), 0);
    server.check();
}

#[test]
fn what_lived_before_is_not_freed_and_what_lives_on_after_is() {
    let alloc = small();
    alloc.enable_lifecycle_tracking();
    alloc.begin_frame();
    let early = (
        alloc.frame_box(1u64).unwrap(),
        alloc.pool_box(2u64).unwrap(),
        alloc.heap_box(3u64).unwrap(),
    );
    let server = Server::default();
    alloc.profile_with(&server.profiler(), ProfilingConfig::default());
    assert!(alloc.is_profiled());
    let late = (
        alloc.frame_box(4u64).unwrap(),
        alloc.pool_box(5u64).unwrap(),
        alloc.heap_box(6u64).unwrap(),
    );
    drop(early);
    assert_eq!(server.live(POOL), 8);
    alloc.stop_profiling();
    assert!(!alloc.is_profiled());
    for pool in [FRAME, POOL, HEAP] {
        assert_eq!(server.live(pool), 0);
    }
    // On again, while these live: they are not of this session.
    alloc.profile_with(&server.profiler(), ProfilingConfig::default());
    drop(late);
    alloc.end_frame();
    assert_eq!(server.live(POOL), 0);
    server.check();
}

#[test]
fn blocks_that_outlive_the_allocator_are_told_of_when_they_are_freed() {
    let (alloc, server) = profiled();
    let (pool, heap) = (
        alloc.pool_box([1u8; 40]).unwrap(),
        alloc.heap_box(2u64).unwrap(),
    );
    alloc.begin_frame();
    std::mem::forget(alloc.frame_box(3u64).unwrap());
    drop(alloc);
    assert_eq!(
        (server.live(FRAME), server.live(POOL), server.live(HEAP)),
        (0, 40, 8)
    );
    on_a_thread(move || drop((pool, heap)));
    assert_eq!((server.live(POOL), server.live(HEAP)), (0, 0));
    server.check();
}

#[test]
fn a_block_that_a_listener_frees_is_told_of() {
    let (alloc, server) = profiled();
    alloc.enable_lifecycle_tracking();
    let (sender, receiver) = mpsc::channel::<PoolBox<u64>>();
    let receiver = std::sync::Mutex::new(receiver);
    alloc.on_frame_event(move |_| drop(receiver.lock().unwrap().try_recv()));
    sender.send(alloc.pool_box(1u64).unwrap()).unwrap();
    assert_eq!(server.live(POOL), 8);
    alloc.begin_frame();
    assert_eq!(server.live(POOL), 0);
    alloc.end_frame();
    server.check();
}

#[test]
fn a_late_free_does_not_end_who_has_the_address_now() {
    // Heap blocks are freed before that is told, so on two threads an address is often taken again first.
    let (alloc, server) = profiled();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for n in 0..3000u64 {
                    drop(alloc.heap_box([n; 16]).unwrap());
                }
            });
        }
    });
    assert_eq!(server.live(HEAP), 0);
    server.check();
}

#[test]
fn allocators_share_a_profiler() {
    let server = Server::default();
    let profiler = server.profiler();
    let allocs = [small(), small()];
    for (alloc, name) in allocs.iter().zip(["main", "render"]) {
        let config = ProfilingConfig {
            name: name.into(),
            marks_frames: name == "main",
        };
        alloc.profile_with(&profiler, config);
    }
    let blocks: Vec<_> = allocs
        .iter()
        .map(|alloc| alloc.pool_box(1u64).unwrap())
        .collect();
    for alloc in &allocs {
        alloc.begin_frame();
        alloc.end_frame();
    }
    allocs[0].stop_profiling();
    drop(blocks);
    assert_eq!(
        server.words(),
        [
            "main pool +8",
            "render pool +8",
            "mark",
            "mark render",
            "main pool -8",
            "render pool -8"
        ]
    );
    server.check();
}

#[test]
fn frames_are_marked_by_whose_they_are() {
    let (alloc, server) = profiled();
    let frame = || {
        alloc.begin_frame();
        alloc.end_frame();
    };
    frame();
    thread::scope(|scope| {
        let named = thread::Builder::new().name("physics".to_owned());
        named.spawn_scoped(scope, frame).unwrap().join().unwrap();
        scope.spawn(frame).join().unwrap();
    });
    let mut shared = alloc.shared_frames().unwrap();
    on_a_thread(|| {
        shared.begin().unwrap();
        shared.end().unwrap();
    });
    assert_eq!(
        server.words(),
        [
            "mark",
            "mark framealloc: physics",
            "mark framealloc: other threads",
            "mark"
        ]
    );
    server.check();
}

#[test]
fn plots_follow_the_figures() {
    let alloc = SmartAlloc::new(AllocConfig::minimal().with_budgets(true));
    let budgets = alloc.budgets().unwrap();
    budgets.register_tag_budget("profiled_budget", 1000, 4000);
    let server = Server::default();
    alloc.profile_with(&server.profiler(), ProfilingConfig::default());
    let held = alloc.with_tag("profiled_budget", |alloc| {
        alloc.heap_box([0u8; 3000]).unwrap()
    });
    alloc.begin_frame();
    drop(alloc.frame_slice_fill(1 << 16, 0u8).unwrap());
    alloc.end_frame();
    assert_eq!(server.plot("framealloc fullest budget"), 75.0);
    assert_eq!(server.plot("framealloc frame bytes"), 65536.0);
    let stats = alloc.stats();
    assert_eq!(
        server.plot("framealloc arena bytes"),
        stats.frame_reserved as f64
    );
    assert!(server.plot("framealloc heap bytes") >= 3000.0);
    assert!(server.plot("framealloc pool bytes") >= 0.0);
    drop(held);
    server.check();
}

#[test]
fn phases_are_zones_that_always_end() {
    let (alloc, server) = profiled();
    alloc.begin_frame();
    alloc.begin_phase("early");
    let solver = alloc.phase_scope("solver");
    assert_eq!(server.zones(), ["early", "solver"]);
    drop(solver);
    assert_eq!(server.zones(), ["early"]);
    // One that begins before profiling does, or ends after it, is none.
    alloc.stop_profiling();
    assert_eq!(server.zones(), [""; 0]);
    alloc.profile_with(&server.profiler(), ProfilingConfig::default());
    alloc.end_phase();
    // One that another thread is in when profiling ends.
    let (stopped, is_stopped) = mpsc::channel();
    let (begun, has_begun) = mpsc::channel();
    thread::scope(|scope| {
        let alloc = &alloc;
        let other = scope.spawn(move || {
            alloc.begin_phase("other");
            begun.send(()).unwrap();
            is_stopped.recv().unwrap();
            alloc.end_phase();
        });
        has_begun.recv().unwrap();
        alloc.stop_profiling();
        stopped.send(()).unwrap();
        other.join().unwrap();
    });
    alloc.end_frame();
    assert_eq!(server.zones(), [""; 0]);
    server.check();
}

#[test]
fn a_viewer_that_connects_late_is_told_of_what_lives() {
    let (alloc, server) = profiled();
    server.disconnect();
    let (pool, heap) = (
        alloc.pool_box([1u8; 40]).unwrap(),
        alloc.heap_box(2u64).unwrap(),
    );
    alloc.begin_frame();
    alloc.end_frame();
    server.connect();
    // Heard in the meantime; the first of these is told of again.
    let between = alloc.pool_box([1u8; 24]).unwrap();
    drop(heap);
    alloc.begin_frame();
    alloc.end_frame();
    assert_eq!((server.live(POOL), server.live(HEAP)), (64, 0));
    drop((pool, between));
    assert_eq!(server.live(POOL), 0);
    server.check();
}

#[test]
fn a_profiler_may_use_the_allocator_and_panic() {
    use framealloc::MemoryProfiler;
    struct Wild(SmartAlloc, Server);
    impl Wild {
        fn misbehave(&self) {
            let alloc = &self.0;
            drop(alloc.pool_box(1u64).unwrap());
            alloc.frame().alloc(1u8);
            alloc.stop_profiling();
            panic!("a profiler's");
        }
    }
    impl MemoryProfiler for Wild {
        fn alloc(&self, pool: ProfilerName, address: usize, size: usize) {
            self.1.client().alloc(pool, address, size);
            self.misbehave();
        }
        fn free(&self, pool: ProfilerName, address: usize) {
            self.1.client().free(pool, address);
            self.misbehave();
        }
        fn discard(&self, _: ProfilerName) {}
        fn frame_mark(&self, _: Option<ProfilerName>) {
            self.misbehave();
        }
        fn plot(&self, _: ProfilerName, _: f64) {
            self.misbehave();
        }
        fn zone_begin(&self, _: &'static str) {
            self.misbehave();
        }
        fn zone_end(&self) {
            self.misbehave();
        }
    }
    let (alloc, server) = (small(), Server::default());
    let profiler = Profiler::new(Wild(alloc.clone(), server.clone()));
    alloc.profile_with(&profiler, ProfilingConfig::default());
    for _ in 0..3 {
        alloc.begin_frame();
        let _phase = alloc.phase_scope("wild");
        let boxes = (
            alloc.pool_box(1u64).unwrap(),
            alloc.frame_box(2u64).unwrap(),
        );
        assert_eq!((*boxes.0, *boxes.1), (1, 2));
        drop(boxes);
        alloc.end_frame();
    }
    assert!(alloc.is_profiled());
    alloc.stop_profiling();
    assert_eq!((server.live(FRAME), server.live(POOL)), (0, 0));
    server.check();
}

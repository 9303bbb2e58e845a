//! Frames that end on several threads together. Every interleaving of a few threads is in the models; here are real ones.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use framealloc::{BarrierErrorKind, BarrierMember, FrameBarrier, FrameBarrierBuilder};
use proptest::prelude::*;

use crate::common::*;

#[test]
fn main_and_two_workers_end_their_frames_together() {
    const FRAMES: u64 = 2_000;
    let alloc = small();
    let barrier = FrameBarrier::new(3);
    let done = [AtomicU64::new(0), AtomicU64::new(0)];
    thread::scope(|scope| {
        for mine in &done {
            let (alloc, barrier) = (&alloc, &barrier);
            scope.spawn(move || {
                for frame in 0..FRAMES {
                    alloc.begin_frame();
                    assert_eq!(*alloc.frame_box(frame).unwrap(), frame);
                    alloc.end_frame();
                    mine.store(frame + 1, Relaxed);
                    // Nothing holds it back: it may be many frames ahead.
                    assert_eq!(barrier.signal_frame_complete(), frame);
                }
            });
        }
        for frame in 0..FRAMES {
            alloc.begin_frame();
            barrier.signal_frame_complete();
            barrier.wait_all();
            assert!(done.iter().all(|done| done.load(Relaxed) > frame));
            alloc.end_frame();
            assert!(barrier.reset());
        }
    });
    assert_eq!(barrier.generation(), FRAMES);
    assert_eq!(barrier.arrived_count(), 0);
}

#[test]
fn workers_that_wait_for_the_next_generation_stay_in_step() {
    const FRAMES: u64 = 2_000;
    const WORKERS: usize = 4;
    let barrier = FrameBarrier::new(WORKERS);
    let work = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                for frame in 0..FRAMES {
                    work.fetch_add(1, Relaxed);
                    assert_eq!(barrier.signal_frame_complete(), frame);
                    barrier.wait_for_generation(frame + 1);
                }
            });
        }
        for frame in 1..=FRAMES as usize {
            barrier.wait_all();
            assert_eq!(work.load(Relaxed), frame * WORKERS);
            assert!(barrier.reset());
        }
    });
}

#[test]
fn a_signal_before_the_reset_is_not_lost() {
    let barrier = FrameBarrier::new(2);
    let worker = barrier.join();
    barrier.signal_frame_complete();
    assert_eq!(worker.signal_frame_complete(), 0);
    // Its next two frames are done before the coordinator gets to its reset.
    assert_eq!(worker.signal_frame_complete(), 1);
    assert_eq!(worker.signal_frame_complete(), 2);
    for generation in 1..=2 {
        barrier.wait_all();
        assert!(barrier.reset());
        assert_eq!(
            (barrier.generation(), barrier.arrived_count()),
            (generation, 1)
        );
        assert_eq!(barrier.signal_frame_complete(), generation);
    }
    barrier.wait_all();
}

#[test]
fn a_reset_of_an_incomplete_generation_changes_nothing() {
    let barrier = FrameBarrier::new(2);
    let worker = barrier.join();
    assert!(!barrier.reset());
    worker.signal_frame_complete();
    assert!(!barrier.reset());
    assert_eq!((barrier.generation(), barrier.arrived_count()), (0, 1));
    barrier.signal_frame_complete();
    barrier.wait_all();
    barrier.wait_all();
    assert!(barrier.is_complete());
    assert!(barrier.reset());
    assert!(!barrier.reset());
}

#[test]
fn a_barrier_of_none_is_always_complete() {
    let barrier = FrameBarrier::new(0);
    barrier.wait_all();
    assert!(barrier.is_complete());
    assert!(barrier.wait_timeout(Duration::ZERO));
    barrier.signal_frame_complete();
    assert!(barrier.reset());
    barrier.wait_and_reset();
    assert_eq!(barrier.generation(), 2);
    // Until somebody joins.
    let member = barrier.join();
    assert!(!barrier.wait_timeout(Duration::ZERO));
    member.signal_frame_complete();
    barrier.wait_all();
}

#[test]
fn a_wait_that_times_out_says_so_and_who_is_missing() {
    let barrier = FrameBarrierBuilder::new()
        .with_thread("main")
        .with_thread("physics")
        .with_count(3)
        .build();
    assert_eq!(barrier.thread_count(), 3);
    let main = barrier.join_as("main").unwrap();
    main.signal_frame_complete();
    assert!(!barrier.wait_timeout(Duration::ZERO));
    assert_eq!(barrier.waiting_for(), ["physics"]);
    let stats = barrier.stats();
    assert_eq!((stats.total_waits, stats.timeout_count), (1, 1));
    assert!(stats.max_wait_time_us <= stats.total_wait_time_us);
    barrier.join_as("physics").unwrap().signal_frame_complete();
    barrier.signal_frame_complete();
    assert!(barrier.wait_timeout(Duration::MAX));
    assert!(barrier.waiting_for().is_empty());
}

#[test]
fn a_place_has_one_holder_and_is_free_again_when_that_leaves() {
    let barrier = FrameBarrierBuilder::new().with_thread("audio").build();
    let audio = barrier.join_as("audio").unwrap();
    let taken = barrier.join_as("audio").unwrap_err();
    assert_eq!(
        (taken.kind(), taken.name()),
        (BarrierErrorKind::Taken, "audio")
    );
    let unknown = barrier.join_as("adio").unwrap_err();
    assert_eq!(unknown.kind(), BarrierErrorKind::Unknown);
    assert!(unknown.to_string().contains("with_thread"));
    assert_eq!(barrier.thread_count(), 1);
    drop(audio);
    assert_eq!(barrier.thread_count(), 0);
    let _audio = barrier.join_as("audio").unwrap();
    assert_eq!(barrier.thread_count(), 1);
}

#[test]
fn a_thread_takes_the_place_of_its_name_with_its_first_signal() {
    let barrier = FrameBarrierBuilder::new()
        .with_thread("loader")
        .with_thread("main")
        .build();
    let signal = {
        let barrier = barrier.clone();
        move || {
            barrier.signal_frame_complete();
            assert!(barrier.is_registered(thread::current().id()));
        }
    };
    let named = thread::Builder::new().name("loader".to_owned());
    named.spawn(signal).unwrap().join().unwrap();
    assert_eq!(barrier.waiting_for(), ["main"]);
}

#[test]
fn threads_register_and_unregister() {
    let barrier = FrameBarrier::new(1);
    on_a_thread(|| {
        barrier.register_thread();
        barrier.register_thread();
        assert!(barrier.is_registered(thread::current().id()));
        assert_eq!(barrier.thread_count(), 1);
    });
    // Its place is held still, so this is another.
    barrier.register_thread();
    assert_eq!(barrier.thread_count(), 2);
    barrier.signal_frame_complete();
    assert!(!barrier.is_complete());
    assert!(barrier.unregister_thread());
    assert!(!barrier.unregister_thread());
    assert_eq!((barrier.thread_count(), barrier.arrived_count()), (1, 0));
}

#[test]
fn who_leaves_takes_its_signal_along() {
    let barrier = FrameBarrier::new(2);
    let (stays, leaves) = (barrier.join(), barrier.join());
    leaves.signal_frame_complete();
    drop(leaves);
    assert!(!barrier.is_complete(), "one of one has not signalled");
    stays.signal_frame_complete();
    barrier.wait_all();
}

#[test]
fn who_joins_a_complete_generation_counts_from_the_next() {
    let barrier = FrameBarrier::new(1);
    let first = barrier.join();
    first.signal_frame_complete();
    let second = barrier.join();
    barrier.wait_and_reset();
    first.signal_frame_complete();
    assert!(!barrier.is_complete());
    assert_eq!(second.signal_frame_complete(), 1);
    assert!(barrier.is_complete());
}

#[test]
fn a_worker_that_panics_is_not_waited_for() {
    let barrier = FrameBarrier::new(4);
    let members: Vec<_> = (0..3).map(|_| barrier.join()).collect();
    thread::scope(|scope| {
        for (n, member) in members.into_iter().enumerate() {
            scope.spawn(move || {
                panics(move || {
                    for frame in 0.. {
                        assert!(frame < n * 10, "it dies");
                        member.signal_frame_complete();
                    }
                });
            });
        }
        for _ in 0..50 {
            barrier.signal_frame_complete();
            barrier.wait_and_reset();
        }
    });
    assert_eq!((barrier.thread_count(), barrier.generation()), (1, 50));
}

#[test]
fn threads_made_for_each_frame_need_no_places_of_their_own() {
    let barrier = FrameBarrier::new(3);
    for frame in 0..100 {
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| assert_eq!(barrier.signal_frame_complete(), frame));
            }
            barrier.signal_frame_complete();
            barrier.wait_and_reset();
        });
    }
}

#[test]
fn a_member_counts_as_itself_on_any_thread() {
    let barrier = FrameBarrier::new(2);
    let members = [barrier.join(), barrier.join()];
    for frame in 0..100 {
        let both = |members: &[BarrierMember]| {
            for member in members {
                assert_eq!(member.signal_frame_complete(), frame);
            }
        };
        on_a_thread(|| both(&members));
        barrier.wait_and_reset();
    }
}

#[test]
fn several_coordinators_each_wait_for_every_generation() {
    const FRAMES: u64 = 1_000;
    let barrier = FrameBarrier::new(3);
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for frame in 0..FRAMES {
                    let signalled = barrier.signal_frame_complete();
                    assert_eq!(signalled, frame);
                    barrier.wait_and_reset();
                }
            });
        }
    });
    assert_eq!(barrier.generation(), FRAMES);
}

#[test]
fn the_number_of_places_is_only_a_number() {
    let barrier = FrameBarrier::new(usize::MAX);
    barrier.signal_frame_complete();
    let member = barrier.join();
    assert_eq!(barrier.thread_count(), usize::MAX);
    drop(member);
    assert_eq!(barrier.thread_count(), usize::MAX - 1);
    assert!(!barrier.wait_timeout(Duration::ZERO));
}

// ---- A model -------------------------------------------------------------------------------------------------------

#[derive(Debug, Clone)]
enum Op {
    Join,
    Leave(usize),
    Signal(usize),
    Reset,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        1 => Just(Op::Join),
        1 => (0..8usize).prop_map(Op::Leave),
        8 => (0..8usize).prop_map(Op::Signal),
        3 => Just(Op::Reset),
    ]
}

/// What has been promised: who signalled each generation, from the first on, and those that are complete.
#[derive(Default)]
struct Model {
    signals: HashMap<u64, Vec<u64>>,
    complete: Vec<u64>,
    generation: u64,
}

impl Model {
    fn settle(&mut self, places: usize) {
        for (&generation, signals) in &self.signals {
            if signals.len() >= places && !self.complete.contains(&generation) {
                self.complete.push(generation);
            }
        }
    }

    fn is_complete(&self, places: usize) -> bool {
        places == 0 || self.complete.contains(&self.generation)
    }
}

proptest! {
    #[test]
    fn signals_resets_and_members_in_any_order_do_as_the_model(
        unheld in 0..3usize,
        ops in prop::collection::vec(op(), 1..120),
    ) {
        let barrier = FrameBarrier::new(unheld);
        let mut free = unheld;
        let mut members: Vec<(u64, BarrierMember)> = Vec::new();
        let mut model = Model::default();
        for (id, op) in (0..).zip(ops) {
            let places = free + members.len();
            match op {
                Op::Join => {
                    free = free.saturating_sub(1);
                    members.push((id, barrier.join()));
                }
                Op::Leave(n) if n < members.len() => {
                    let (id, member) = members.swap_remove(n);
                    drop(member);
                    let complete = model.complete.clone();
                    for (generation, signals) in &mut model.signals {
                        if !complete.contains(generation) {
                            signals.retain(|&signal| signal != id);
                        }
                    }
                    model.signals.entry(model.generation).or_default();
                    model.settle(places - 1);
                }
                Op::Signal(n) if n < members.len() => {
                    let (id, member) = &members[n];
                    let counted = member.signal_frame_complete();
                    let mut expected = model.generation;
                    while model.complete.contains(&expected)
                        || model.signals.get(&expected).is_some_and(|s| s.contains(id))
                    {
                        expected += 1;
                    }
                    prop_assert_eq!(counted, expected);
                    model.signals.entry(expected).or_default().push(*id);
                    model.settle(places);
                }
                Op::Reset => {
                    let complete = model.is_complete(places);
                    prop_assert_eq!(barrier.reset(), complete);
                    model.generation += u64::from(complete);
                }
                _ => {}
            }
            let places = free + members.len();
            let arrived = model.signals.get(&model.generation).map_or(0, Vec::len);
            prop_assert_eq!(barrier.thread_count(), places);
            prop_assert_eq!(barrier.generation(), model.generation);
            prop_assert_eq!(barrier.arrived_count(), arrived);
            prop_assert_eq!(barrier.is_complete(), model.is_complete(places));
            prop_assert_eq!(
                barrier.wait_timeout(Duration::ZERO),
                model.is_complete(places)
            );
        }
        let barrier: Arc<FrameBarrier> = barrier;
        drop(members);
        prop_assert_eq!(barrier.thread_count(), free);
    }
}

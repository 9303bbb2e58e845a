//! Transfers, barriers and budgets of threads. Deferred frees have the process's settings: see `tests/process/tour.rs`.

use std::sync::mpsc;
use std::thread;

use framealloc::{
    BudgetExceededPolicy, FrameBarrier, FrameBarrierBuilder, PoolBox, ThreadBudgetConfig,
    TransferHandle,
};

use crate::common::small;

#[test]
fn a_transfer_is_made_here_and_received_there() {
    struct Outcome {
        bounces: u32,
    }
    let alloc = small();
    let (channel, inbox) = mpsc::channel();
    let worker = thread::spawn(move || {
        let handle: TransferHandle<Outcome> = inbox.recv().unwrap();
        let data = handle.receive();
        data.bounces
    });

    let handle: TransferHandle<Outcome> = alloc.frame_box_for_transfer(Outcome { bounces: 4 });
    channel.send(handle).unwrap();
    assert_eq!(worker.join().unwrap(), 4);
}

#[test]
fn what_is_received_is_an_owner() {
    let alloc = small();
    let owner: PoolBox<String> = alloc
        .frame_box_for_transfer(String::from("a path"))
        .receive();
    assert_eq!(*owner, "a path");
}

#[test]
fn a_barrier_lets_the_coordinator_end_the_frame_of_all() {
    const FRAMES: u64 = 50;
    let alloc = small();
    let barrier = FrameBarrier::new(3);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for _ in 0..FRAMES {
                    alloc.begin_frame();
                    drop(alloc.frame_alloc::<[u8; 64]>());
                    alloc.end_frame();
                    let signalled = barrier.signal_frame_complete();
                    barrier.wait_for_generation(signalled + 1);
                }
            });
        }
        for frame in 0..FRAMES {
            alloc.begin_frame();
            barrier.signal_frame_complete();
            barrier.wait_all();
            assert_eq!((barrier.arrived_count(), barrier.generation()), (3, frame));
            alloc.end_frame();
            barrier.reset();
        }
    });
    assert_eq!(barrier.generation(), FRAMES);
}

#[test]
fn a_barrier_can_be_built_with_names() {
    let barrier = FrameBarrierBuilder::new()
        .with_thread("main")
        .with_thread("physics")
        .with_thread("rendering")
        .build();
    assert_eq!(barrier.thread_count(), 3);
    let mut missing = barrier.waiting_for();
    missing.sort();
    assert_eq!(missing, ["main", "physics", "rendering"]);
}

#[test]
fn a_threads_budget_is_set_asked_and_kept() {
    let alloc = small();
    let config = ThreadBudgetConfig {
        frame_budget: 64 * 1024,
        frame_exceeded_policy: BudgetExceededPolicy::Fail,
        warning_threshold: 80,
        ..Default::default()
    };
    let thread_id = thread::current().id();
    alloc.set_thread_budget_config(thread_id, config);

    alloc.begin_frame();
    let large_size = 100 * 1024;
    assert!(alloc.frame_remaining() < large_size);
    assert!(alloc.frame_slice_fill(large_size, 0_u8).is_err());
    assert!(alloc.frame_slice_fill(1024, 0_u8).is_ok());
    alloc.end_frame();
    for policy in [
        BudgetExceededPolicy::Warn,
        BudgetExceededPolicy::Allow,
        BudgetExceededPolicy::Promote,
    ] {
        let config = ThreadBudgetConfig {
            frame_exceeded_policy: policy,
            ..config
        };
        alloc.set_thread_budget_config(thread_id, config);
        alloc.begin_frame();
        assert!(
            alloc.frame_slice_fill(large_size, 0_u8).is_ok(),
            "{policy:?}"
        );
        alloc.end_frame();
    }
}

//! One frame for all threads.

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;

use framealloc::diagnostics;
use framealloc::{AllocErrorKind, FrameError, SmartAlloc};

use crate::common::*;

#[test]
fn a_shared_frame_is_open_on_every_thread_and_closed_on_every_thread() {
    let alloc = small();
    let mut frames = alloc.shared_frames().unwrap();
    for n in 0..20_u64 {
        assert!(!alloc.frame_is_open());
        frames.begin().unwrap();
        thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    assert!(alloc.frame_is_open());
                    assert_eq!(*alloc.frame_box([n; 10]).unwrap(), [n; 10]);
                });
            }
        });
        assert_eq!(*alloc.frame_box(n).unwrap(), n);
        frames.end().unwrap();
        thread::scope(|scope| {
            scope.spawn(|| {
                let (refused, _) = reported(|| alloc.frame_box(n).map(|_| ()));
                assert_eq!(refused.unwrap_err().kind(), AllocErrorKind::NoFrame);
            });
        });
        let (refused, _) = reported(|| alloc.frame_box(n).map(|_| ()));
        assert!(refused.is_err());
    }
    assert_eq!(alloc.frame_number(), 20);
}

#[test]
fn shared_frames_have_one_owner() {
    let alloc = small();
    let mut frames = alloc.shared_frames().unwrap();
    assert_eq!(
        alloc.clone().shared_frames().unwrap_err(),
        FrameError::TokenTaken
    );
    assert_eq!(alloc.try_begin_frame(), Err(FrameError::Shared));
    assert_eq!(alloc.try_end_frame(), Err(FrameError::Shared));
    assert_eq!(frames.end(), Err(FrameError::NotOpen));
    frames.begin().unwrap();
    assert_eq!(frames.begin(), Err(FrameError::AlreadyOpen));
    assert_eq!(alloc.try_end_frame(), Err(FrameError::Shared));
    let ((), codes) = reported(|| {
        alloc.begin_frame();
        alloc.end_frame();
    });
    assert_eq!(codes, [FA006, FA006]);
    assert!(alloc.frame_is_open());
    drop(frames);
    assert!(!alloc.frame_is_open());
    alloc.begin_frame();
    assert!(alloc.frame_box(1).is_ok());
    alloc.end_frame();
    assert!(alloc.shared_frames().is_ok());
}

#[test]
fn frames_taken_over_while_threads_have_theirs_open_disturb_nothing() {
    let alloc = small();
    alloc.begin_frame();
    let kept = alloc.frame_box([4_u64; 40]).unwrap();
    let mut frames = alloc.shared_frames().unwrap();
    for _ in 0..3 {
        frames.begin().unwrap();
        overwrite(&alloc);
        frames.end().unwrap();
        overwrite(&alloc);
        assert_eq!(*kept, [4; 40]);
    }
    // The thread's own frame is still its own to end.
    drop(kept);
    let ((), codes) = reported(|| alloc.end_frame());
    assert_eq!(codes, []);
    drop(frames);
    busy_frames(&alloc, 2);
}

#[test]
fn a_box_kept_past_a_shared_frame_stays_valid() {
    let alloc = small();
    let mut frames = alloc.shared_frames().unwrap();
    frames.begin().unwrap();
    let kept = alloc.frame_box([5_u64; 50]).unwrap();
    let ((), reports) = diagnostics::capture(|| frames.end().unwrap());
    assert_eq!(codes(&reports), [FA002]);
    for _ in 0..100 {
        frames.begin().unwrap();
        overwrite(&alloc);
        frames.end().unwrap();
    }
    assert_eq!(*kept, [5; 50]);
    drop(frames);
    busy_frames(&alloc, 2);
    assert_eq!(*kept, [5; 50]);
}

#[test]
fn a_worker_that_sleeps_through_a_thousand_frames_keeps_its_boxes_and_wakes_up_rewound() {
    let alloc = small();
    let mut frames = alloc.shared_frames().unwrap();
    let (wake, woken) = mpsc::channel::<()>();
    let (report, reports) = mpsc::channel();
    thread::scope(|scope| {
        let alloc = &alloc;
        scope.spawn(move || {
            let mut kept: Option<framealloc::FrameBox<'_, [u64; 60]>> = None;
            while let Ok(()) = woken.recv() {
                let ((), reports) = diagnostics::capture(|| {
                    drop(alloc.frame_slice_fill(1000, 1_u64).unwrap());
                });
                if let Some(kept) = kept.take() {
                    assert_eq!(*kept, [6_u64; 60]);
                    overwrite(alloc);
                    assert_eq!(*kept, [6; 60]);
                } else {
                    kept = Some(alloc.frame_box([6; 60]).unwrap());
                }
                report.send(codes(&reports)).unwrap();
            }
        });
        // It allocates in frame 0 and keeps a box, which is reported when it wakes up in frame 1000; it drops it then.
        for frame in 0..3000 {
            frames.begin().unwrap();
            if frame % 1000 == 0 {
                wake.send(()).unwrap();
                let expected = if frame == 1000 { vec![FA002] } else { vec![] };
                assert_eq!(reports.recv().unwrap(), expected, "frame {frame}");
            }
            frames.end().unwrap();
        }
        drop(wake);
    });
    assert_eq!(retired(&alloc), 0);
}

#[test]
fn a_worker_works_every_frame_in_the_memory_of_its_first() {
    let alloc = small();
    let mut frames = alloc.shared_frames().unwrap();
    let barrier = Barrier::new(3);
    let stop = AtomicBool::new(false);
    let mut capacity = None;
    thread::scope(|scope| {
        for seed in 0..2_u64 {
            let (alloc, barrier, stop) = (&alloc, &barrier, &stop);
            scope.spawn(move || {
                let mut place = None;
                for n in 0.. {
                    barrier.wait();
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    let boxed = alloc.frame_box([seed + n; 100]).unwrap();
                    assert_eq!(*place.get_or_insert(address(&*boxed)), address(&*boxed));
                    assert_eq!(*boxed, [seed + n; 100]);
                    drop(boxed);
                    barrier.wait();
                }
            });
        }
        for _ in 0..2000 {
            frames.begin().unwrap();
            barrier.wait();
            barrier.wait();
            frames.end().unwrap();
            let reserved = alloc.stats().frame_reserved;
            assert_eq!(*capacity.get_or_insert(reserved), reserved);
        }
        stop.store(true, Ordering::Relaxed);
        barrier.wait();
    });
}

#[test]
fn frames_may_race_with_allocation_on_every_thread() {
    // Each box that is kept may hold a chunk of another frame.
    let alloc = SmartAlloc::new(minimal().with_max_frame_arena_size(64 << 20));
    let mut frames = alloc.shared_frames().unwrap();
    let stop = AtomicBool::new(false);
    let allocated = AtomicU64::new(0);
    thread::scope(|scope| {
        for seed in 0..3_u64 {
            let (alloc, stop, allocated) = (&alloc, &stop, &allocated);
            scope.spawn(move || {
                diagnostics::capture(|| {
                    let mut kept = std::collections::VecDeque::new();
                    let mut n = seed;
                    while !stop.load(Ordering::Relaxed) {
                        n = n
                            .wrapping_mul(6364136223846793005)
                            .wrapping_add(1442695040888963407);
                        // No frame may be open at this moment: then it is refused.
                        if let Ok(slice) =
                            alloc.frame_slice_fill_with((n >> 33) as usize % 300, |_| n)
                        {
                            kept.push_back((n, slice));
                            allocated.fetch_add(1, Ordering::Relaxed);
                        }
                        if n.is_multiple_of(16) {
                            let guard = alloc.frame();
                            let scratch = guard.alloc_slice_fill(2000, !n);
                            if let Ok(boxed) = alloc.frame_box(n) {
                                assert_eq!(*boxed, n);
                            }
                            assert!(scratch.iter().all(|&m| m == !n));
                        }
                        if kept.len() > 40 {
                            let (n, slice) = kept.pop_front().unwrap();
                            assert!(slice.iter().all(|&m| m == n));
                        }
                    }
                    for (n, slice) in kept {
                        assert!(slice.iter().all(|&m| m == n));
                    }
                });
            });
        }
        let mut rounds = 0;
        while rounds < 3000 || allocated.load(Ordering::Relaxed) < 3000 {
            frames.begin().unwrap();
            if rounds % 7 == 0 {
                thread::yield_now();
            }
            frames.end().unwrap();
            rounds += 1;
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert_eq!(retired(&alloc), 0);
}

#[test]
fn ownership_may_change_hands_and_threads() {
    let alloc = small();
    let mut frames = alloc.shared_frames().unwrap();
    frames.begin().unwrap();
    let kept = alloc.frame_box([7_u64; 70]).unwrap();
    thread::scope(|scope| {
        scope.spawn(move || {
            frames.end().unwrap();
            frames.begin().unwrap();
        });
    });
    // It was dropped on that thread with its frame open. This one learns of it now.
    let (open, codes) = reported(|| alloc.frame_is_open());
    assert_eq!((open, codes), (false, vec![FA002]));
    let mut frames = alloc.shared_frames().unwrap();
    frames.begin().unwrap();
    overwrite(&alloc);
    assert_eq!(*kept, [7; 70]);
}

#[test]
fn two_shared_allocators_advance_at_their_own_pace() {
    let (a, b) = (small(), small());
    let (mut in_a, mut in_b) = (a.shared_frames().unwrap(), b.shared_frames().unwrap());
    // Like a world that simulates frame N + 1 while another renders N.
    in_a.begin().unwrap();
    for n in 0..500_u64 {
        let simulated = a.frame_box([n; 10]).unwrap();
        in_b.begin().unwrap();
        let drawn = b.frame_box([!n; 10]).unwrap();
        assert_eq!((*simulated, *drawn), ([n; 10], [!n; 10]));
        drop(simulated);
        let ((), codes) = reported(|| {
            in_a.end().unwrap();
            in_a.begin().unwrap();
        });
        assert_eq!(codes, []);
        overwrite(&a);
        assert_eq!(*drawn, [!n; 10]);
        drop(drawn);
        let ((), codes) = reported(|| in_b.end().unwrap());
        assert_eq!(codes, []);
    }
}

#[test]
fn a_guard_outlives_shared_frames() {
    let alloc = small();
    let mut frames = alloc.shared_frames().unwrap();
    let guard = alloc.frame();
    let value = guard.alloc([8_u64; 80]);
    for _ in 0..200 {
        frames.begin().unwrap();
        overwrite(&alloc);
        frames.end().unwrap();
    }
    assert_eq!(*value, [8; 80]);
}

#[test]
fn an_escape_from_a_sleeping_workers_frame_is_reported_on_that_worker() {
    let alloc = small();
    let mut frames = alloc.shared_frames().unwrap();
    let (slept, awake) = (Barrier::new(2), Barrier::new(2));
    thread::scope(|scope| {
        frames.begin().unwrap();
        scope.spawn(|| {
            let kept = alloc.frame_box([1_u64; 4]).unwrap();
            slept.wait();
            awake.wait();
            let (boxed, codes) = reported(|| alloc.frame_box(2_u64).unwrap());
            assert_eq!(codes, [FA002]);
            assert_eq!((*kept, *boxed), ([1; 4], 2));
        });
        slept.wait();
        let ((), codes) = reported(|| {
            frames.end().unwrap();
            frames.begin().unwrap();
        });
        assert_eq!(codes, [], "the worker's boxes are the worker's to report");
        awake.wait();
    });
}

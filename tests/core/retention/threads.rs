//! Values of several threads.

use std::cell::RefCell;
use std::sync::OnceLock;
use std::sync::mpsc::{self, TryRecvError};

use framealloc::FrameRetained;

use super::*;

#[test]
fn each_threads_frame_has_its_own_values() {
    let alloc = small();
    alloc.begin_frame();
    drop(alloc.frame_retained_with(PromoteToPool, 1_u64));
    on_a_thread(|| {
        assert_eq!(alloc.retained_count(), 0);
        alloc.begin_frame();
        drop(alloc.frame_retained_with(PromoteToPool, 2_u64));
        let PromotedAllocation::Pool { value, .. } = only(alloc.end_frame_with_promotions()) else {
            panic!("elsewhere");
        };
        assert_eq!(*value.downcast::<u64>().unwrap(), 2);
    });
    assert_eq!(alloc.retained_count(), 1);
    assert_eq!(alloc.end_frame_with_summary().promoted_pool_count, 1);
}

#[test]
fn a_thread_that_ends_in_its_frame_drops_its_values() {
    let (counter, count) = live();
    let alloc = small();
    for _ in 0..3 {
        on_a_thread(|| {
            alloc.begin_frame();
            drop(alloc.frame_retained_with(PromoteToPool, Live::new(0, &counter)));
        });
        assert_eq!((count(), retired(&alloc)), (0, 0));
    }
    assert_eq!(alloc.arenas().len(), 1, "the arena was adopted");
}

#[test]
fn a_handle_in_a_thread_local_may_outlive_frame_and_thread() {
    static ALLOC: OnceLock<SmartAlloc> = OnceLock::new();
    thread_local! {
        static HELD: RefCell<Vec<FrameRetained<'static, Live>>> = const { RefCell::new(Vec::new()) };
    }
    let (counter, count) = live();
    let alloc = ALLOC.get_or_init(small);
    for early in [false, true] {
        let item = on_a_thread(|| {
            if early {
                // Destroyed after the allocator's own thread state.
                HELD.with_borrow(|_| ());
            }
            alloc.begin_frame();
            let value = alloc.frame_retained_with(PromoteToPool, Live::new(3, &counter));
            HELD.with_borrow_mut(|held| held.push(value));
            let item = reported(|| only(alloc.end_frame_with_promotions())).0;
            alloc.begin_frame();
            let value = alloc.frame_retained_with(PromoteToPool, Live::new(4, &counter));
            HELD.with_borrow_mut(|held| held.push(value));
            item
        });
        let PromotedAllocation::Pool { value, .. } = item else {
            panic!("{item:?}");
        };
        let value = value.downcast::<Live>().unwrap().into_inner();
        assert_eq!((value.stamp, count()), (3, 1));
        assert_eq!(retired(alloc), 0);
    }
    assert_eq!(alloc.arenas().len(), 1, "the arena was adopted");
}

#[test]
fn a_shared_frame_promotes_the_values_of_all_threads() {
    let (counter, count) = live();
    let alloc = small();
    let mut frames = alloc.shared_frames().unwrap();
    for frame in 0..20 {
        frames.begin().unwrap();
        drop(alloc.frame_retained_with(PromoteToPool, Live::new(100, &counter)));
        thread::scope(|scope| {
            for n in 0..3 {
                let (alloc, counter) = (&alloc, &counter);
                scope.spawn(move || {
                    for policy in [PromoteToHeap, Discard] {
                        drop(alloc.frame_retained_with(policy, Live::new(n, counter)));
                    }
                });
            }
        });
        assert_eq!(
            alloc.try_end_frame_with_promotions().unwrap_err(),
            FrameError::Shared
        );
        let (result, codes) = reported(|| frames.end_with_promotions().unwrap());
        assert_eq!(codes, [], "frame {frame}");
        assert_eq!(count(), 4, "frame {frame}");
        let summary = result.summary;
        assert_eq!(
            (summary.promoted_pool_count, summary.promoted_heap_count),
            (1, 3)
        );
        assert_eq!(summary.discarded_count, 3);
        let mut stamps: Vec<_> = result
            .promoted
            .into_iter()
            .filter_map(|item| match item {
                PromotedAllocation::Heap { value, .. } => {
                    Some(value.downcast::<Live>().unwrap().stamp)
                }
                _ => None,
            })
            .collect();
        stamps.sort_unstable();
        assert_eq!(stamps, [0, 1, 2]);
        assert_eq!(count(), 0);
    }
    assert!(frames.end_with_promotions().is_err());
    assert!(
        alloc.arenas().len() <= 8,
        "arenas of ended threads are adopted"
    );
}

#[test]
fn workers_of_shared_frames_end_their_leases_when_they_join_the_next() {
    let (counter, count) = live();
    let alloc = small();
    let mut frames = alloc.shared_frames().unwrap();
    let (to_worker, jobs) = mpsc::channel::<u64>();
    let (done, finished) = mpsc::channel::<()>();
    thread::scope(|scope| {
        let (alloc, counter) = (&alloc, &counter);
        scope.spawn(move || {
            let mut kept: Option<FrameRetained<'_, Live>> = None;
            for n in jobs {
                let ((), codes) = reported(|| {
                    // One value is let go at once; another is kept into the next frame.
                    drop(alloc.frame_retained_with(PromoteToPool, Live::new(n, counter)));
                    let value = alloc.frame_retained_with(PromoteToPool, Live::new(n, counter));
                    if let Some(kept) = kept.replace(value) {
                        assert_eq!(kept.stamp, n - 1);
                    }
                    overwrite(alloc);
                });
                assert_eq!(codes, []);
                done.send(()).unwrap();
            }
        });
        let mut items = Vec::new();
        for n in 0..50 {
            frames.begin().unwrap();
            to_worker.send(n).unwrap();
            finished.recv().unwrap();
            let result = frames.end_with_promotions().unwrap();
            assert_eq!(result.promoted.len(), 2);
            for (index, item) in result.promoted.into_iter().enumerate() {
                assert_eq!(item.is_in_use(), index == 1);
                items.push(item);
            }
            assert!(retired(alloc) <= 3);
        }
        drop(to_worker);
        for item in &items {
            while item.is_in_use() {
                thread::yield_now();
            }
        }
        assert_eq!(count(), 100);
        drop(items);
        assert_eq!(count(), 0);
    });
}

#[test]
fn the_plain_end_of_a_shared_frame_discards_the_values_of_all_threads() {
    let (counter, count) = live();
    let alloc = small();
    let mut frames = alloc.shared_frames().unwrap();
    for drop_token in [false, true] {
        frames.begin().unwrap();
        drop(alloc.frame_retained_with(PromoteToPool, Live::new(0, &counter)));
        on_a_thread(|| drop(alloc.frame_retained_with(PromoteToHeap, Live::new(0, &counter))));
        assert_eq!(count(), 2);
        if drop_token {
            drop(frames);
            assert_eq!(count(), 0);
            return;
        }
        frames.end().unwrap();
        assert_eq!(count(), 0);
    }
}

#[test]
fn threads_may_retain_while_a_shared_frame_ends() {
    const THREADS: usize = 3;
    const VALUES: usize = 2000;
    let (counter, count) = live();
    let alloc = small();
    let mut frames = alloc.shared_frames().unwrap();
    let done = AtomicUsize::new(0);
    let mut promoted = 0;
    thread::scope(|scope| {
        let mut threads = Vec::new();
        // Gone when this side fails: nobody waits then for a frame that never opens.
        let mut alive = Vec::new();
        for n in 0..THREADS {
            let (alloc, counter, done) = (&alloc, &counter, &done);
            let (sender, frames_go_on) = mpsc::channel::<()>();
            alive.push(sender);
            threads.push(scope.spawn(move || {
                reported(|| {
                    let mut kept = Vec::new();
                    let mut retained = 0;
                    while retained < VALUES {
                        let value = Live::new(n as u64, counter);
                        if let Ok(value) = alloc.try_frame_retained_with(PromoteToPool, value) {
                            retained += 1;
                            kept.push(value);
                        } else {
                            assert_eq!(frames_go_on.try_recv(), Err(TryRecvError::Empty));
                            thread::yield_now();
                        }
                        if kept.len() > 7 {
                            kept.drain(..5);
                        }
                    }
                    assert!(kept.iter().all(|value| value.stamp == n as u64));
                });
                done.fetch_add(1, Relaxed);
            }));
        }
        reported(|| {
            for frame in 0.. {
                frames.begin().unwrap();
                thread::yield_now();
                // What is retained first is promoted, in whatever frame.
                if promoted > 0 && frame % 5 == 4 {
                    frames.end().unwrap();
                } else {
                    promoted += frames.end_with_promotions().unwrap().promoted.len();
                }
                if done.load(Relaxed) == THREADS {
                    return;
                }
            }
        });
        drop(alive);
        // With their last destructors, which hold the allocator.
        threads
            .into_iter()
            .for_each(|thread| thread.join().unwrap());
    });
    assert!((1..=VALUES * THREADS).contains(&promoted));
    drop(frames);
    drop(alloc);
    assert_eq!(count(), 0);
}

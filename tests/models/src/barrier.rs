//! Threads signal, wait and move on in every order: nobody waits for ever, and nobody is let through early.

use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use loom::thread;

use crate::rounds::{Rounds, Until};

fn barrier(places: usize) -> Arc<Rounds<usize>> {
    Arc::new(Rounds::new(Vec::new(), places))
}

/// As party 0, the coordinator.
fn wait(barrier: &Rounds<usize>) {
    assert!(barrier.wait(Until::Complete(&0), None, false));
}

/// Every interleaving with so many switches away from a thread that could go on.
fn check(preemptions: usize, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(model);
}

/// The seed's loop: workers and a coordinator signal, the coordinator waits and moves on. No worker waits for it, so they
/// run ahead, and signal before the reset of the generation that they have signalled already.
fn coordinated(workers: usize, frames: u64, preemptions: usize) {
    check(preemptions, move || {
        let barrier = barrier(workers + 1);
        let signalled: Arc<Vec<AtomicUsize>> =
            Arc::new((0..workers).map(|_| AtomicUsize::new(0)).collect());
        let threads: Vec<_> = (0..workers)
            .map(|worker| {
                let (barrier, signalled) = (barrier.clone(), signalled.clone());
                thread::spawn(move || {
                    for frame in 0..frames {
                        signalled[worker].fetch_add(1, Relaxed);
                        assert_eq!(barrier.signal(&(worker + 1), None), frame);
                    }
                })
            })
            .collect();
        for frame in 0..frames {
            assert_eq!(barrier.signal(&0, None), frame);
            wait(&barrier);
            for worker in signalled.iter() {
                assert!(worker.load(Relaxed) as u64 > frame, "let through early");
            }
            assert!(barrier.advance());
        }
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(barrier.generation(), frames);
        assert_eq!(barrier.arrived(), 0);
    });
}

#[test]
fn a_worker_may_be_frames_ahead_of_the_coordinator() {
    coordinated(1, 3, 4);
}

#[test]
fn two_workers_and_a_coordinator() {
    coordinated(2, 2, 2);
}

/// The order that loses a signal where a reset forgets what has arrived, and whose wait then never ends.
#[test]
fn a_signal_before_the_reset_counts_for_the_wait_after_it() {
    check(4, || {
        let barrier = barrier(1);
        let worker = {
            let barrier = barrier.clone();
            thread::spawn(move || {
                barrier.signal(&1, None);
                barrier.signal(&1, None);
            })
        };
        // A reset too early: there is nothing to move on from, or a whole generation.
        let done = u64::from(barrier.advance());
        for _ in done..2 {
            wait(&barrier);
            assert!(barrier.advance());
        }
        worker.join().unwrap();
        assert_eq!((barrier.generation(), barrier.arrived()), (2, 0));
    });
}

/// The others may have moved on before the last of them begins to wait: for what it has signalled, not for the next.
#[test]
fn all_signal_and_wait_and_whoever_comes_first_moves_on() {
    check(3, || {
        let barrier = barrier(2);
        let frames = |barrier: &Rounds<usize>, party| {
            for frame in 0..2 {
                assert_eq!(barrier.signal(&party, None), frame);
                assert!(barrier.wait(Until::Complete(&party), None, true));
            }
        };
        let other = {
            let barrier = barrier.clone();
            thread::spawn(move || frames(&barrier, 1))
        };
        frames(&barrier, 0);
        other.join().unwrap();
        assert_eq!((barrier.generation(), barrier.arrived()), (2, 0));
    });
}

/// Workers wait as well, and may come to that after the coordinator's reset.
#[test]
fn workers_wait_for_the_generation_that_the_coordinator_moves_on_from() {
    check(3, || {
        let barrier = barrier(3);
        let workers: Vec<_> = (1..3)
            .map(|party| {
                let barrier = barrier.clone();
                thread::spawn(move || {
                    assert_eq!(barrier.signal(&party, None), 0);
                    assert!(barrier.wait(Until::Complete(&party), None, false));
                })
            })
            .collect();
        barrier.signal(&0, None);
        wait(&barrier);
        assert!(barrier.advance());
        for worker in workers {
            worker.join().unwrap();
        }
    });
}

#[test]
fn a_worker_may_wait_until_the_coordinator_has_moved_on() {
    check(3, || {
        let barrier = barrier(2);
        let worker = {
            let barrier = barrier.clone();
            thread::spawn(move || {
                for _ in 0..2 {
                    let signalled = barrier.signal(&1, None);
                    assert!(barrier.wait(Until::Generation(signalled + 1), None, false));
                }
            })
        };
        for _ in 0..2 {
            barrier.signal(&0, None);
            wait(&barrier);
            assert!(barrier.advance());
        }
        worker.join().unwrap();
    });
}

#[test]
fn who_leaves_is_not_waited_for() {
    check(3, || {
        let barrier = barrier(3);
        barrier.join(&1, None).unwrap();
        barrier.join(&2, None).unwrap();
        let leaver = {
            let barrier = barrier.clone();
            thread::spawn(move || assert!(barrier.leave(&1)))
        };
        let worker = {
            let barrier = barrier.clone();
            thread::spawn(move || {
                barrier.signal(&2, None);
                assert!(barrier.leave(&2));
            })
        };
        barrier.signal(&0, None);
        wait(&barrier);
        assert!(barrier.advance());
        leaver.join().unwrap();
        worker.join().unwrap();
        assert_eq!(barrier.places(), 1);
    });
}

#[test]
fn without_places_nobody_waits() {
    loom::model(|| {
        let barrier = barrier(0);
        let other = {
            let barrier = barrier.clone();
            thread::spawn(move || wait(&barrier))
        };
        wait(&barrier);
        barrier.signal(&0, None);
        assert!(barrier.advance());
        other.join().unwrap();
    });
}

//! Code of the user's that runs while a frame with retained values ends.

use std::cell::RefCell;

use super::*;

/// Runs a closure when it is dropped.
struct OnDrop<F: FnMut() + Send>(F);

impl<F: FnMut() + Send> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

#[test]
fn destructors_of_discarded_values_may_retain_begin_end_and_use_scratch() {
    let (counter, count) = live();
    let alloc = small();
    for round in 0..6 {
        let clone = alloc.clone();
        let counter = Arc::clone(&counter);
        alloc.begin_frame();
        drop(alloc.frame_retained_with(
            Discard,
            OnDrop(move || {
                reported(|| match round {
                    0 => {
                        drop(clone.frame_retained_with(Discard, Live::new(1, &counter)));
                        drop(clone.frame_retained_with(PromoteToPool, Live::new(1, &counter)));
                    }
                    1 => clone.begin_frame(),
                    2 => clone.end_frame(),
                    3 => {
                        clone.end_frame();
                        clone.begin_frame();
                        overwrite(&clone);
                    }
                    4 => drop(clone.end_frame_with_promotions()),
                    _ => {
                        let boxed = clone.scratch_pool("reentry").alloc_box([3_u64; 100]);
                        clone.clear_retained();
                        assert_eq!(*boxed, [3; 100]);
                    }
                });
            }),
        ));
        let counter = Arc::new(AtomicUsize::new(0));
        for n in 0..3 {
            drop(alloc.frame_retained_with(Discard, Live::new(n, &counter)));
        }
        if round % 2 == 0 {
            drop(reported(|| alloc.end_frame_with_promotions()));
        } else {
            reported(|| alloc.end_frame());
        }
        assert_eq!(counter.load(Relaxed), 0, "round {round}");
        assert_eq!(count(), 0, "round {round}");
        // A frame that was begun by the destructor goes on.
        assert_eq!(alloc.frame_is_open(), round == 3);
        reported(|| alloc.end_frame());
        assert_eq!(
            (retired(&alloc), alloc.retained_count()),
            (0, 0),
            "round {round}"
        );
        let ((), codes) = reported(|| busy_frames(&alloc, 2));
        assert_eq!(codes, []);
    }
}

#[test]
fn a_panicking_destructor_keeps_no_other_value_from_its_end() {
    let (counter, count) = live();
    let alloc = small();
    for promotions in [false, true] {
        alloc.begin_frame();
        for n in 0..10 {
            let value = Live::new(n, &counter);
            let policy = if n % 2 == 0 { Discard } else { PromoteToPool };
            let value = (value, OnDrop(move || assert_ne!(n, 4, "from a destructor")));
            drop(alloc.frame_retained_with(policy, value));
        }
        panics(|| {
            if promotions {
                drop(alloc.end_frame_with_promotions());
            } else {
                alloc.end_frame();
            }
        });
        assert_eq!((count(), alloc.retained_count()), (0, 0));
        assert!(!alloc.frame_is_open());
        assert_eq!(retired(&alloc), 0);
    }
}

#[test]
fn a_default_that_ends_the_frame_is_refused_cleanly() {
    thread_local! {
        static ALLOC: RefCell<Option<SmartAlloc>> = const { RefCell::new(None) };
    }
    struct Ends;
    impl Default for Ends {
        fn default() -> Self {
            ALLOC.with_borrow(|alloc| alloc.as_ref().unwrap().end_frame());
            Self
        }
    }
    let alloc = small();
    ALLOC.set(Some(alloc.clone()));
    alloc.begin_frame();
    let (result, codes) = reported(|| alloc.try_frame_retained::<Ends>(PromoteToPool).map(drop));
    assert_eq!(result.unwrap_err().kind(), AllocErrorKind::NoFrame);
    assert_eq!(codes, [FA001]);
    ALLOC.set(None);
}

#[test]
fn a_value_may_hold_its_own_allocator() {
    let (counter, count) = live();
    on_a_thread(|| {
        let alloc = small();
        alloc.begin_frame();
        let value = (alloc.clone(), Live::new(0, &counter));
        drop(alloc.frame_retained_with(PromoteToPool, value));
        // The value owns the last of its allocator: the thread's end is the frame's.
    });
    assert_eq!(count(), 0);
}

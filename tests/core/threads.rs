//! Threads that come and go, before or after what they allocated.

use std::cell::{Cell, RefCell};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Barrier, LazyLock};
use std::thread;

use framealloc::tags::{TagId, TagScope};
use framealloc::{FrameBox, HeapBox, PoolBox, SmartAlloc};

use crate::common::*;

#[test]
fn scoped_threads_share_a_box() {
    let alloc = small();
    alloc.begin_frame();
    let numbers = alloc.frame_slice_from_iter(0..10_000_u64).unwrap();
    let text = alloc.frame_str("shared").unwrap();
    thread::scope(|scope| {
        for part in 0..4 {
            let (numbers, text) = (&numbers, &text);
            scope.spawn(move || {
                let part = part * 2500;
                let sum: u64 = numbers[part..part + 2500].iter().sum();
                assert_eq!(sum, (part as u64..part as u64 + 2500).sum::<u64>());
                assert_eq!(&**text, "shared");
            });
        }
    });
    reported(|| alloc.end_frame());
    thread::scope(|scope| {
        scope.spawn(|| assert_eq!(numbers[9_999], 9_999));
    });
}

#[test]
fn threads_have_frames_of_their_own() {
    let alloc = small();
    alloc.begin_frame();
    let kept = alloc.frame_box([1_u64; 20]).unwrap();
    let barrier = Barrier::new(3);
    thread::scope(|scope| {
        for n in 0..2_u64 {
            let (alloc, barrier) = (&alloc, &barrier);
            scope.spawn(move || {
                assert!(!alloc.frame_is_open());
                alloc.begin_frame();
                let mine = alloc.frame_box([n; 50]).unwrap();
                barrier.wait();
                overwrite(alloc);
                barrier.wait();
                assert_eq!(*mine, [n; 50]);
                drop(mine);
                alloc.end_frame();
                busy_frames(alloc, 10);
            });
        }
        barrier.wait();
        overwrite(&alloc);
        barrier.wait();
        assert_eq!(*kept, [1; 20]);
    });
    drop(kept);
    let ((), codes) = reported(|| alloc.end_frame());
    assert_eq!(codes, []);
    assert_eq!(alloc.arenas().len(), 3);
}

#[test]
fn what_a_dead_thread_leaked_stays_valid_while_the_allocator_lives() {
    static ALLOC: LazyLock<SmartAlloc> = LazyLock::new(small);
    static LEAKED: LazyLock<Vec<&'static [u64; 30]>> = LazyLock::new(|| {
        (0..20_u64)
            .map(|n| {
                let leaked = thread::spawn(move || {
                    ALLOC.begin_frame();
                    let leaked: &'static [u64; 30] = ALLOC.frame_box([n; 30]).unwrap().leak();
                    reported(|| ALLOC.end_frame());
                    leaked
                });
                leaked.join().unwrap()
            })
            .collect()
    });
    LazyLock::force(&LEAKED);
    for _ in 0..10 {
        thread::spawn(|| busy_frames(&ALLOC, 5)).join().unwrap();
    }
    for (n, leaked) in LEAKED.iter().enumerate() {
        assert_eq!(**leaked, [n as u64; 30]);
    }
}

#[test]
fn an_arena_of_a_dead_thread_with_leases_is_not_given_to_another() {
    let alloc = small();
    on_a_thread(|| {
        alloc.begin_frame();
        std::mem::forget(alloc.frame_box([1_u8; 8]).unwrap());
    });
    on_a_thread(|| busy_frames(&alloc, 2));
    assert_eq!(alloc.arenas().len(), 2);
    on_a_thread(|| busy_frames(&alloc, 2));
    assert_eq!(alloc.arenas().len(), 2);
}

#[test]
fn a_thousand_threads_in_turn_use_one_arena() {
    let alloc = small();
    let mut reserved = None;
    for n in 0..1000_u64 {
        on_a_thread(|| {
            alloc.begin_frame();
            let boxed = alloc.frame_box([n; 100]).unwrap();
            let frame = alloc.frame();
            assert_eq!(*frame.alloc([!n; 100]), [!n; 100]);
            assert_eq!(*boxed, [n; 100]);
            drop(boxed);
            // Every other one dies in the middle of its frame.
            if n % 2 == 0 {
                alloc.end_frame();
            }
        });
        let now = alloc.stats().frame_reserved;
        assert_eq!(*reserved.get_or_insert(now), now);
    }
    assert_eq!(alloc.arenas().len(), 1);
    assert!(!alloc.arenas()[0].alive);
}

#[test]
fn a_new_thread_starts_without_the_frame_of_the_one_whose_arena_it_got() {
    let alloc = small();
    on_a_thread(|| alloc.begin_frame());
    on_a_thread(|| {
        assert!(!alloc.frame_is_open());
        let (refused, _) = reported(|| alloc.frame_box(1).map(|_| ()));
        assert_eq!(refused.unwrap_err().code(), FA001);
        assert!(alloc.try_begin_frame().is_ok());
    });
}

#[test]
fn an_allocator_may_be_dropped_while_threads_that_used_it_live_on() {
    for _ in 0..50 {
        let alloc = small();
        let (used, dropped) = (Barrier::new(3), Barrier::new(3));
        thread::scope(|scope| {
            for _ in 0..2 {
                let alloc = alloc.clone();
                let (used, dropped) = (&used, &dropped);
                scope.spawn(move || {
                    alloc.begin_frame();
                    assert_eq!(*alloc.frame_box(1).unwrap(), 1);
                    drop(alloc);
                    used.wait();
                    dropped.wait();
                    // Their cached arenas are gone.
                    let other = small();
                    other.begin_frame();
                    overwrite(&other);
                    let _scope = TagScope::enter(TagId::from_path("threads_dropped"));
                });
            }
            used.wait();
            drop(alloc);
            dropped.wait();
        });
    }
}

// ---- Thread-locals -------------------------------------------------------------------------------------------------

static LASTING: LazyLock<SmartAlloc> = LazyLock::new(small);

/// Notes its drop.
struct Noted(&'static AtomicUsize, [u64; 20]);

impl Drop for Noted {
    fn drop(&mut self) {
        assert_eq!(self.1, [0xABCD; 20]);
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn boxes_in_thread_locals_are_dropped_before_and_after_the_allocators_own_state() {
    static DROPS: AtomicUsize = AtomicUsize::new(0);
    #[derive(Default)]
    struct Kept {
        frame: Vec<FrameBox<'static, Noted>>,
        pool: Vec<PoolBox<Noted>>,
        heap: Vec<HeapBox<Noted>>,
    }
    thread_local! {
        static BEFORE: RefCell<Kept> = RefCell::default();
        static AFTER: RefCell<Kept> = RefCell::default();
    }
    fn fill(kept: &RefCell<Kept>) {
        let mut kept = kept.borrow_mut();
        for _ in 0..10 {
            let noted = || Noted(&DROPS, [0xABCD; 20]);
            kept.frame.push(LASTING.frame_box(noted()).unwrap());
            kept.pool.push(LASTING.pool_box(noted()).unwrap());
            kept.heap.push(LASTING.heap_box(noted()).unwrap());
        }
    }
    for round in 1..=20 {
        thread::spawn(|| {
            // Thread-locals are destroyed in some order of their first use: one of the two outlives the allocator's.
            BEFORE.with(|_| ());
            LASTING.begin_frame();
            BEFORE.with(fill);
            AFTER.with(fill);
            reported(|| LASTING.end_frame());
            busy_frames(&LASTING, 2);
        })
        .join()
        .unwrap();
        assert_eq!(DROPS.load(Ordering::Relaxed), round * 60);
        // What the dead thread gave back is whole.
        thread::spawn(|| {
            let boxes: Vec<_> = (0..100_u64)
                .map(|n| LASTING.pool_box([n; 20]).unwrap())
                .collect();
            assert!(
                boxes
                    .iter()
                    .enumerate()
                    .all(|(n, boxed)| **boxed == [n as u64; 20])
            );
        })
        .join()
        .unwrap();
    }
    assert_eq!(retired(&LASTING), 0);
}

/// Uses everything when it is dropped.
struct Uses(&'static SmartAlloc, &'static AtomicUsize);

impl Drop for Uses {
    fn drop(&mut self) {
        let Self(alloc, done) = self;
        let _scope = TagScope::enter(TagId::from_path("threads_late"));
        if !alloc.frame_is_open() {
            alloc.begin_frame();
        }
        let boxed = alloc.frame_box([1_u64; 30]).unwrap();
        {
            let frame = alloc.frame();
            frame.alloc_slice_fill(3000, 0xEE_u8);
            let mut numbers = frame.vec();
            numbers.extend(0..1000);
        }
        let text = alloc.frame_format(format_args!("{:>100}", 7)).unwrap();
        let big = alloc.frame_slice_fill(100_000, 2_u8).unwrap();
        let pool: Vec<_> = (0..200_u64)
            .map(|n| alloc.pool_box([n; 3]).unwrap())
            .collect();
        let heap = alloc.heap_box([3_u64; 1000]).unwrap();
        assert_eq!((*boxed, text.len(), heap[999]), ([1; 30], 100, 3));
        assert!(big.iter().all(|&b| b == 2));
        assert!(
            pool.iter()
                .enumerate()
                .all(|(n, boxed)| **boxed == [n as u64; 3])
        );
        alloc.with_tag("nested", |alloc| drop(alloc.frame_box(5).unwrap()));
        drop((boxed, text, big));
        alloc.end_frame();
        assert!(alloc.stats().pool_reserved > 0);
        done.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn everything_works_in_destructors_of_thread_locals() {
    static DONE: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static BEFORE: Cell<Option<Uses>> = const { Cell::new(None) };
        static AFTER: Cell<Option<Uses>> = const { Cell::new(None) };
    }
    for round in 1..=50 {
        thread::spawn(|| {
            BEFORE.set(Some(Uses(&LASTING, &DONE)));
            LASTING.begin_frame();
            LASTING.frame_box(1).unwrap();
            drop(LASTING.pool_box(1).unwrap());
            LASTING.end_frame();
            AFTER.set(Some(Uses(&LASTING, &DONE)));
        })
        .join()
        .unwrap();
        assert_eq!(DONE.load(Ordering::Relaxed), round * 2);
    }
}

#[test]
fn a_thread_that_allocates_only_in_its_last_destructors_works() {
    static DONE: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static LATE: Cell<Option<Uses>> = const { Cell::new(None) };
    }
    for round in 1..=20 {
        thread::spawn(|| LATE.set(Some(Uses(&LASTING, &DONE))))
            .join()
            .unwrap();
        assert_eq!(DONE.load(Ordering::Relaxed), round);
    }
}

#[test]
fn threads_that_allocate_in_late_destructors_leave_no_arenas_behind() {
    static ALLOC: LazyLock<SmartAlloc> = LazyLock::new(small);
    static DONE: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static BEFORE: Cell<Option<Uses>> = const { Cell::new(None) };
    }
    for _ in 0..100 {
        thread::spawn(|| {
            BEFORE.set(Some(Uses(&ALLOC, &DONE)));
            busy_frames(&ALLOC, 1);
        })
        .join()
        .unwrap();
    }
    assert_eq!(DONE.load(Ordering::Relaxed), 100);
    let arenas = ALLOC.arenas().len();
    assert!(arenas <= 4, "{arenas} arenas for one thread at a time");
}

#[test]
fn an_arena_used_in_late_destructors_is_not_given_away_under_them() {
    static ALLOC: LazyLock<SmartAlloc> = LazyLock::new(small);
    /// Holds frames open in its destructor while another thread looks for an arena.
    struct Late;
    impl Drop for Late {
        fn drop(&mut self) {
            for n in 0..3 {
                ALLOC.begin_frame();
                drop(ALLOC.frame_box([n; 100]).unwrap());
                thread::spawn(move || {
                    assert!(!ALLOC.frame_is_open(), "another thread's frame");
                    ALLOC.begin_frame();
                    let kept = ALLOC.frame_box([n; 100]).unwrap();
                    overwrite(&ALLOC);
                    assert_eq!(*kept, [n; 100]);
                    drop(kept);
                    ALLOC.end_frame();
                })
                .join()
                .expect("the other thread is disturbed");
                assert!(ALLOC.frame_is_open());
                let again = ALLOC.frame_box([!n; 100]).unwrap();
                assert_eq!(*again, [!n; 100]);
                drop(again);
                assert!(ALLOC.try_end_frame().is_ok());
            }
            LATE_ENDS.fetch_add(1, Ordering::Relaxed);
        }
    }
    static LATE_ENDS: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static BEFORE: Cell<Option<Late>> = const { Cell::new(None) };
    }
    for _ in 0..3 {
        // A panic in such a destructor would end the process; so would a disturbed thread's.
        thread::spawn(|| {
            BEFORE.set(Some(Late));
            busy_frames(&ALLOC, 1);
        })
        .join()
        .unwrap();
    }
    assert_eq!(LATE_ENDS.load(Ordering::Relaxed), 3);
}

#[test]
fn threads_that_keep_boxes_in_thread_locals_leave_no_arenas_behind() {
    static ALLOC: LazyLock<SmartAlloc> = LazyLock::new(small);
    static DROPS: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static KEPT: RefCell<Vec<FrameBox<'static, Noted>>> = const { RefCell::new(Vec::new()) };
    }
    for _ in 0..100 {
        thread::spawn(|| {
            KEPT.with(|_| ());
            ALLOC.begin_frame();
            let noted = Noted(&DROPS, [0xABCD; 20]);
            KEPT.with_borrow_mut(|kept| kept.push(ALLOC.frame_box(noted).unwrap()));
        })
        .join()
        .unwrap();
    }
    assert_eq!(DROPS.load(Ordering::Relaxed), 100);
    let arenas = ALLOC.arenas().len();
    assert!(arenas <= 4, "{arenas} arenas for one thread at a time");
}

#[test]
fn a_guard_in_a_thread_local_closes_at_the_threads_end() {
    thread_local! {
        static KEPT: RefCell<Vec<framealloc::Frame<'static>>> = const { RefCell::new(Vec::new()) };
    }
    for _ in 0..20 {
        thread::spawn(|| {
            KEPT.with(|_| ());
            let frame = LASTING.frame();
            frame.alloc([1_u64; 100]);
            KEPT.with_borrow_mut(|kept| {
                kept.push(frame);
                kept.push(LASTING.frame());
            });
            busy_frames(&LASTING, 1);
        })
        .join()
        .unwrap();
    }
}

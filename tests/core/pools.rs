//! Pool boxes: small values of any lifetime, freed anywhere. Exact figures are in the `process` binary.

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::mem;
use std::sync::mpsc;
use std::thread;

use framealloc::{PoolBox, SmartAlloc};

use crate::common::*;
use crate::for_every_alignment;

#[test]
fn a_pool_box_is_one_word_and_so_is_an_empty_one() {
    assert_eq!(size_of::<PoolBox<[u8; 100]>>(), size_of::<usize>());
    assert_eq!(size_of::<Option<PoolBox<[u8; 100]>>>(), size_of::<usize>());
}

#[test]
fn live_blocks_of_every_size_do_not_overlap() {
    fn stamp(round: usize, size: usize) -> u8 {
        (round * 31 + size) as u8
    }
    macro_rules! boxes {
        ($alloc:expr, $seed:expr, $($size:literal)*) => {
            ($( $alloc.pool_box([stamp($seed, $size); $size]).unwrap(), )*)
        };
    }
    macro_rules! sized {
        ($($name:ident $size:literal)*) => {
            let alloc = small();
            let mut all = Vec::new();
            for round in 0..200_usize {
                all.push((round, boxes!(alloc, round, $($size)*)));
                if round % 3 == 2 {
                    all.swap_remove(round / 2 % all.len());
                }
            }
            for (round, ($($name,)*)) in &all {
                $(assert!(**$name == [stamp(*round, $size); $size]);)*
            }
        };
    }
    sized!(a 1 b 8 c 15 d 16 e 17 f 24 g 33 h 48 i 64 j 100 k 1023);
    sized!(a 1024 b 1025 c 1280 d 1281 e 2000 f 2049 g 3000 h 4095 i 4096 j 4097 k 10000);
}

#[test]
fn every_alignment_is_kept() {
    with_a_large_stack(|| {
        let alloc = small();
        macro_rules! check {
            ($t:ident) => {
                let mut boxes = Vec::new();
                for n in 0..20_u8 {
                    boxes.push(alloc.pool_alloc::<$t>().write($t(n)));
                    if n % 4 == 3 {
                        boxes.remove(1);
                    }
                }
                for boxed in &boxes {
                    assert_eq!(address(&**boxed) % align_of::<$t>(), 0, stringify!($t));
                }
                let distinct: HashSet<u8> = boxes.iter().map(|boxed| boxed.0).collect();
                assert_eq!(distinct.len(), boxes.len());
            };
        }
        for_every_alignment!(check);
    });
}

#[test]
fn values_are_dropped_once_wherever_the_box_is_dropped() {
    use std::sync::Arc;
    let alloc = small();
    let value = Arc::new(());
    let boxes: Vec<_> = (0..1000)
        .map(|_| alloc.pool_box(value.clone()).unwrap())
        .collect();
    assert_eq!(Arc::strong_count(&value), 1001);
    let (here, there): (Vec<_>, Vec<_>) =
        boxes.into_iter().enumerate().partition(|(n, _)| n % 2 == 0);
    thread::spawn(move || drop(there)).join().unwrap();
    assert_eq!(Arc::strong_count(&value), 501);
    drop(here);
    assert_eq!(Arc::strong_count(&value), 1);
    drop(alloc.pool_box(value.clone()).unwrap().into_inner());
    mem::forget(alloc.pool_box(0_u8).unwrap());
    assert_eq!(Arc::strong_count(&value), 1);
}

#[test]
fn zero_sized_values_are_dropped_and_take_nothing() {
    let drops = Cell::new(0);
    struct Nothing<F: Fn()>(F);
    impl<F: Fn()> Drop for Nothing<F> {
        fn drop(&mut self) {
            (self.0)();
        }
    }
    thread_local! {
        static DROPS: Cell<usize> = const { Cell::new(0) };
    }
    let alloc = small();
    let boxes: Vec<_> = (0..10)
        .map(|_| {
            alloc
                .pool_box(Nothing(|| DROPS.set(DROPS.get() + 1)))
                .unwrap()
        })
        .collect();
    assert_eq!(size_of_val(&*boxes[0]), 0);
    drop(boxes);
    assert_eq!(DROPS.get(), 10);
    drop(alloc.pool_box(Counted(&drops)).unwrap());
    assert_eq!(drops.get(), 1);
}

#[test]
fn a_box_outlives_its_allocator_its_frame_and_its_thread() {
    let boxes = thread::spawn(|| {
        let alloc = small();
        alloc.begin_frame();
        let boxes: Vec<_> = (0..500_u64)
            .map(|n| alloc.pool_box([n; 6]).unwrap())
            .collect();
        alloc.end_frame();
        boxes
    })
    .join()
    .unwrap();
    let alloc = SmartAlloc::with_defaults();
    let others: Vec<_> = (0..500_u64)
        .map(|n| alloc.pool_box([!n; 6]).unwrap())
        .collect();
    for (n, (boxed, other)) in boxes.iter().zip(&others).enumerate() {
        assert_eq!((**boxed, **other), ([n as u64; 6], [!(n as u64); 6]));
    }
}

#[test]
fn a_destructor_may_allocate_from_the_pool_and_panic() {
    struct Nested(SmartAlloc, u32);
    impl Drop for Nested {
        fn drop(&mut self) {
            if self.1 > 0 {
                drop(self.0.pool_box(Nested(self.0.clone(), self.1 - 1)).unwrap());
            } else {
                panic!("at the bottom");
            }
        }
    }
    let alloc = small();
    let boxed = alloc.pool_box(Nested(alloc.clone(), 10)).unwrap();
    panics(|| drop(boxed));
    // Their blocks are free, each once.
    let boxes: Vec<_> = (0..100_u64)
        .map(|n| alloc.pool_box([n; 2]).unwrap())
        .collect();
    let places: HashSet<_> = boxes.iter().map(|boxed| address(&**boxed)).collect();
    assert_eq!(places.len(), 100);
}

#[test]
fn pool_boxes_in_thread_locals_do_not_abort_the_process() {
    thread_local! {
        static BEFORE: RefCell<Vec<PoolBox<String>>> = const { RefCell::new(Vec::new()) };
        static AFTER: RefCell<Vec<PoolBox<String>>> = const { RefCell::new(Vec::new()) };
    }
    let alloc = small();
    let foreign: Vec<_> = (0..100)
        .map(|n| alloc.pool_box(format!("{n}")).unwrap())
        .collect();
    thread::scope(|scope| {
        scope.spawn(|| {
            BEFORE.with(|_| ());
            let own: Vec<_> = (0..100)
                .map(|n| alloc.pool_box(format!("{n}")).unwrap())
                .collect();
            BEFORE.with_borrow_mut(|kept| kept.extend(own));
            AFTER.with_borrow_mut(|kept| kept.extend(foreign));
        });
    });
    let boxes: Vec<_> = (0..300_u64)
        .map(|n| alloc.pool_box([n; 3]).unwrap())
        .collect();
    assert!(
        boxes
            .iter()
            .enumerate()
            .all(|(n, boxed)| **boxed == [n as u64; 3])
    );
}

#[test]
fn boxes_freed_by_others_come_back_once_each() {
    const THREADS: usize = 3;
    let alloc = small();
    let mut channels: Vec<_> = (0..THREADS)
        .map(|_| mpsc::channel::<PoolBox<[u64; 5]>>())
        .collect();
    thread::scope(|scope| {
        let senders: Vec<_> = channels.iter().map(|(sender, _)| sender.clone()).collect();
        for (me, (_, receiver)) in channels.drain(..).enumerate() {
            let (alloc, senders) = (&alloc, senders.clone());
            scope.spawn(move || {
                let mut mine = Vec::new();
                for n in 0..20_000_u64 {
                    let stamp = n << 8 | me as u64;
                    let boxed = alloc.pool_box([stamp; 5]).unwrap();
                    if n % 3 == 0 {
                        mine.push((stamp, boxed));
                    } else {
                        // Its receiver may have gone.
                        let _ = senders[(me + n as usize) % THREADS].send(boxed);
                    }
                    if n % 64 == 0 {
                        for boxed in receiver.try_iter() {
                            assert!(boxed.iter().all(|&m| m == boxed[0]));
                        }
                        mine.retain(|(stamp, boxed)| {
                            assert_eq!(**boxed, [*stamp; 5]);
                            stamp % 5 == 0
                        });
                    }
                }
                drop(senders);
                for boxed in receiver {
                    assert!(boxed.iter().all(|&m| m == boxed[0]));
                }
                for (stamp, boxed) in mine {
                    assert_eq!(*boxed, [stamp; 5]);
                }
            });
        }
        drop(senders);
    });
}

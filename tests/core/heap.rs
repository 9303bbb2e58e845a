//! Heap boxes: large values of any lifetime. Exact figures are in the `process` binary.

use std::cell::Cell;
use std::hint::black_box;
use std::thread;

use framealloc::AllocErrorKind;

use crate::common::*;
use crate::for_every_alignment;

#[test]
fn every_alignment_is_kept() {
    with_a_large_stack(|| {
        let alloc = small();
        macro_rules! check {
            ($t:ident) => {
                let boxes: Vec<_> = (0..5_u8)
                    .map(|n| alloc.heap_alloc::<$t>().write($t(n)))
                    .collect();
                for (n, boxed) in boxes.iter().enumerate() {
                    assert_eq!(address(&**boxed) % align_of::<$t>(), 0, stringify!($t));
                    assert_eq!(boxed.0, n as u8);
                }
            };
        }
        for_every_alignment!(check);
        let odd: Vec<_> = (0..50_u8)
            .map(|n| alloc.heap_box([n; 3]).unwrap())
            .collect();
        assert!(
            odd.iter()
                .enumerate()
                .all(|(n, boxed)| **boxed == [n as u8; 3])
        );
    });
}

#[test]
fn values_are_dropped_once_on_any_thread() {
    use std::sync::Arc;
    let alloc = small();
    let value = Arc::new(());
    let boxes: Vec<_> = (0..10)
        .map(|_| alloc.heap_box(value.clone()).unwrap())
        .collect();
    thread::spawn(move || drop(boxes)).join().unwrap();
    assert_eq!(Arc::strong_count(&value), 1);
    drop(alloc.heap_box(value.clone()).unwrap().into_inner());
    drop(alloc.heap_alloc::<Arc<()>>());
    assert_eq!(Arc::strong_count(&value), 1);
    drop(alloc);
}

#[test]
fn zero_sized_values_are_dropped_and_take_nothing() {
    thread_local! {
        static DROPS: Cell<usize> = const { Cell::new(0) };
    }
    struct Nothing;
    impl Drop for Nothing {
        fn drop(&mut self) {
            DROPS.set(DROPS.get() + 1);
        }
    }
    let alloc = small();
    drop(alloc.heap_box(Nothing).unwrap());
    drop(alloc.heap_box([(); 100]).unwrap());
    assert_eq!(DROPS.get(), 1);
}

#[test]
fn a_panicking_destructor_frees_its_block() {
    struct Bomb(#[expect(dead_code)] [u8; 10_000]);
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("from a destructor");
        }
    }
    let alloc = small();
    for _ in 0..10 {
        let boxed = alloc.heap_box(Bomb([1; 10_000])).unwrap();
        panics(|| drop(boxed));
    }
}

#[test]
fn absurd_sizes_are_errors() {
    type Absurd = [u8; (1 << 47) - 1];
    let alloc = small();
    // An allocation that nobody looks at is optimised away, and cannot fail.
    let (refused, codes) = reported(|| {
        alloc
            .try_heap_alloc::<Absurd>()
            .map(|boxed| address(black_box(&*boxed)))
    });
    let error = refused.unwrap_err();
    assert_eq!(error.kind(), AllocErrorKind::OutOfMemory);
    assert_eq!(codes, [error.code()]);
    let (refused, _) = reported(|| {
        alloc
            .try_pool_alloc::<Absurd>()
            .map(|boxed| address(black_box(&*boxed)))
    });
    assert_eq!(refused.unwrap_err().kind(), AllocErrorKind::OutOfMemory);
}

#[test]
fn megabytes_are_zeroed_in_place() {
    let alloc = small();
    let map = alloc.heap_alloc::<[[u8; 1024]; 1024]>().zeroed();
    assert!(map.as_flattened().iter().all(|&b| b == 0));
}

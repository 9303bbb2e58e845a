//! Handles that are alive when their frame ends, and values of every shape.

use std::sync::OnceLock;

use framealloc::diagnostics;

use super::*;
use crate::for_every_alignment;

#[test]
fn a_value_stays_where_it_is_while_its_handle_lives_and_then_moves() {
    let (counter, count) = live();
    let alloc = small();
    alloc.begin_frame();
    let mut held = alloc.frame_retained_with(PromoteToPool, Live::new(1, &counter));
    let reference = &mut *held;
    let place = address(reference);
    // The borrow of the handle goes on over the frame's end.
    let (result, codes) = reported(|| alloc.end_frame_with_promotions());
    assert_eq!(codes, [], "it is kept on purpose");
    busy_frames(&alloc, 3);
    reference.stamp += 1;
    assert_eq!((held.stamp, address(&*held)), (2, place));
    let id = held.id();
    let item = only(result);
    assert_eq!(item.id(), id);
    assert!(item.is_success() && item.is_in_use());
    let PromotedAllocation::Pool { value, .. } = item else {
        panic!("{item:?}");
    };
    let error = value.downcast::<Live>().unwrap_err();
    assert_eq!(error.kind, DowncastErrorKind::InUse);
    assert!(error.to_string().contains("still in use"), "{error}");
    let value = error.item;
    assert!(value.is_in_use());
    held.stamp += 1;
    drop(held);
    assert!(!value.is_in_use());
    assert_eq!(retired(&alloc), 0, "the lease has ended");
    let value: PoolBox<Live> = value.downcast().unwrap();
    assert_eq!((value.stamp, count()), (3, 1));
    drop(value);
    assert_eq!(count(), 0);
}

#[test]
fn an_item_dropped_before_its_handle_leaves_the_value_to_that() {
    let (counter, count) = live();
    let alloc = small();
    alloc.scratch_pool("s");
    for policy in [PromoteToPool, PromoteToHeap, PromoteToScratch("s")] {
        alloc.begin_frame();
        let held = alloc.frame_retained_with(policy, Live::new(5, &counter));
        drop(alloc.end_frame_with_promotions());
        alloc
            .scratch_pool("s")
            .try_reset()
            .expect("the room was given back");
        busy_frames(&alloc, 1);
        assert_eq!((held.stamp, count()), (5, 1));
        drop(held);
        assert_eq!((count(), retired(&alloc)), (0, 0));
    }
}

#[test]
fn an_item_on_another_thread_gets_its_value_when_the_handle_drops() {
    let (counter, count) = live();
    let alloc = small();
    alloc.begin_frame();
    let held = alloc.frame_retained_with(PromoteToHeap, Live::new(6, &counter));
    let item = only(alloc.end_frame_with_promotions());
    let (send, receive) = std::sync::mpsc::channel();
    let other = thread::spawn(move || {
        let PromotedAllocation::Heap { mut value, .. } = item else {
            panic!("{item:?}");
        };
        send.send(()).unwrap();
        loop {
            match value.downcast::<Live>() {
                Ok(boxed) => return boxed.stamp,
                Err(error) => value = error.item,
            }
            thread::yield_now();
        }
    });
    receive.recv().unwrap();
    drop(held);
    assert_eq!(other.join().unwrap(), 6);
    assert_eq!(count(), 0);
}

#[test]
fn a_discarded_value_whose_handle_lives_is_an_escaping_lease() {
    let (counter, count) = live();
    let alloc = small();
    for end in [SmartAlloc::end_frame, |alloc: &SmartAlloc| {
        assert_eq!(alloc.end_frame_with_summary().discarded_count, 1);
    }] {
        alloc.begin_frame();
        let held = alloc.frame_retained_with(Discard, Live::new(7, &counter));
        let ((), codes) = reported(|| end(&alloc));
        assert_eq!(codes, [FA002]);
        busy_frames(&alloc, 2);
        assert_eq!((held.stamp, count()), (7, 1));
        drop(held);
        assert_eq!((count(), retired(&alloc)), (0, 0));
    }
}

#[test]
fn what_escapes_beside_a_kept_value_is_reported_without_its_bytes() {
    let alloc = small();
    alloc.begin_frame();
    let kept = alloc.frame_retained_with(PromoteToPool, [1_u64; 1000]);
    let big = alloc.frame_retained_with(PromoteToPool, [2_u8; 100_000]);
    let escaping = alloc.frame_box([3_u64; 2]).unwrap();
    let (result, reports) = diagnostics::capture(|| alloc.end_frame_with_promotions());
    assert_eq!(codes(&reports), [FA002]);
    assert!(
        reports[0].message.starts_with("16 bytes"),
        "{}",
        reports[0].message
    );
    drop((kept, escaping, big, result));
    assert_eq!(retired(&alloc), 0);
    let ((), codes) = reported(|| busy_frames(&alloc, 2));
    assert_eq!(codes, []);
}

#[test]
fn a_forgotten_handle_leaks_its_value_and_nothing_else() {
    static DROPS: AtomicUsize = AtomicUsize::new(0);
    struct Value;
    impl Drop for Value {
        fn drop(&mut self) {
            DROPS.fetch_add(1, Relaxed);
        }
    }
    // Its arenas stay, so that what was forgotten in them can be found there by a leak checker.
    static ALLOC: OnceLock<SmartAlloc> = OnceLock::new();
    let alloc = ALLOC.get_or_init(small);
    alloc.begin_frame();
    std::mem::forget(alloc.frame_retained_with(PromoteToPool, (Value, [7_u8; 100])));
    let (item, codes) = reported(|| only(alloc.end_frame_with_promotions()));
    assert_eq!(codes, []);
    assert!(item.is_in_use());
    drop(item);
    busy_frames(alloc, 2);
    assert_eq!(DROPS.load(Relaxed), 0);
    // Values whose frame never ends go with the allocator, whoever forgot their handles.
    let other = small();
    other.begin_frame();
    std::mem::forget(other.frame_retained_with(PromoteToPool, Value));
    drop(other);
    assert_eq!(DROPS.load(Relaxed), 1);
}

#[test]
fn an_allocator_dropped_in_an_open_frame_drops_its_values() {
    let (counter, count) = live();
    let alloc = small();
    alloc.begin_frame();
    for n in 0..10 {
        drop(alloc.frame_retained_with(PromoteToPool, Live::new(n, &counter)));
    }
    on_a_thread(|| {
        alloc.begin_frame();
        drop(alloc.frame_retained_with(PromoteToHeap, Live::new(1, &counter)));
        alloc.end_frame_with_promotions().promoted.remove(0)
    });
    assert_eq!(count(), 10);
    drop(alloc);
    assert_eq!(count(), 0);
}

#[test]
fn items_outlive_their_allocator() {
    let alloc = small();
    alloc.scratch_pool("s");
    alloc.begin_frame();
    for policy in [PromoteToPool, PromoteToHeap, PromoteToScratch("s")] {
        drop(alloc.frame_retained_with(policy, String::from("text")));
    }
    let result = alloc.end_frame_with_promotions();
    drop(alloc);
    for item in result.promoted {
        let text = match item {
            PromotedAllocation::Pool { value, .. } => {
                value.downcast().map(PoolBox::into_inner).ok()
            }
            PromotedAllocation::Heap { value, .. } => {
                value.downcast().map(HeapBox::into_inner).ok()
            }
            PromotedAllocation::Scratch { value, .. } => {
                value.downcast().map(ScratchBox::into_inner).ok()
            }
            PromotedAllocation::Failed { .. } => None,
        };
        assert_eq!(text, Some(String::from("text")));
    }
}

// ---- Shapes --------------------------------------------------------------------------------------------------------

#[test]
fn every_alignment_is_honoured_in_the_frame_and_after_it() {
    let alloc = SmartAlloc::new(minimal().with_max_frame_arena_size(1 << 30));
    alloc.scratch_pool("aligned");
    macro_rules! check {
        ($type:ident) => {
            for policy in [PromoteToPool, PromoteToHeap, PromoteToScratch("aligned")] {
                for keep in [false, true] {
                    alloc.begin_frame();
                    let value = alloc.frame_retained::<$type>(policy);
                    let aligned = |value: &$type| {
                        assert_eq!(address(value) % align_of::<$type>(), 0);
                        assert_eq!(value.0, 0xA5);
                    };
                    aligned(&value);
                    let held = keep.then_some(value);
                    let (result, codes) = reported(|| alloc.end_frame_with_promotions());
                    assert_eq!(codes, []);
                    held.iter().for_each(|value| aligned(value));
                    drop(held);
                    match only(result) {
                        PromotedAllocation::Pool { value, .. } => {
                            aligned(&value.downcast().unwrap())
                        }
                        PromotedAllocation::Heap { value, .. } => {
                            aligned(&value.downcast().unwrap())
                        }
                        PromotedAllocation::Scratch { value, .. } => {
                            aligned(&value.downcast().unwrap());
                        }
                        other => panic!("{other:?}"),
                    }
                    assert_eq!(retired(&alloc), 0);
                }
            }
        };
    }
    with_a_large_stack(|| {
        for_every_alignment!(check);
    });
}

#[test]
fn zero_sized_values_are_promoted_and_dropped() {
    static DROPS: AtomicUsize = AtomicUsize::new(0);
    #[derive(Default)]
    struct Empty;
    impl Drop for Empty {
        fn drop(&mut self) {
            DROPS.fetch_add(1, Relaxed);
        }
    }
    let alloc = small();
    alloc.scratch_pool("s");
    alloc.begin_frame();
    for policy in [
        Discard,
        PromoteToPool,
        PromoteToHeap,
        PromoteToScratch("s"),
        PromoteToScratch("?"),
    ] {
        drop(alloc.frame_retained::<Empty>(policy));
    }
    let result = alloc.end_frame_with_promotions();
    assert_eq!(result.summary.total_retained_count(), 5);
    assert_eq!(result.summary.total_retained_bytes(), 0);
    assert_eq!(DROPS.load(Relaxed), 1);
    for item in result.promoted {
        match item {
            PromotedAllocation::Pool { value, .. } => drop(value.downcast::<Empty>().unwrap()),
            PromotedAllocation::Heap { value, .. } => drop(value.downcast::<Empty>().unwrap()),
            PromotedAllocation::Scratch { value, .. } => drop(value.downcast::<Empty>().unwrap()),
            PromotedAllocation::Failed { meta, .. } => {
                drop(meta.value.downcast::<Empty>().unwrap());
            }
        }
    }
    assert_eq!(DROPS.load(Relaxed), 5);
}

//! Boxes, slices and texts in frame memory that outlive what they came from.

use std::cell::Cell;
use std::mem;
use std::rc::Rc;

use framealloc::{AllocErrorKind, FrameBox, SmartAlloc};

use crate::common::*;
use crate::for_every_alignment;

#[test]
fn a_box_kept_past_its_frame_stays_valid() {
    let alloc = small();
    alloc.begin_frame();
    let kept = alloc.frame_box([0x11_u64; 32]).unwrap();
    let ((), codes) = reported(|| alloc.end_frame());
    assert_eq!(codes, [FA002]);
    busy_frames(&alloc, 3);
    assert_eq!(*kept, [0x11; 32]);
}

#[test]
fn a_box_with_a_heap_value_kept_past_its_frame_can_be_changed_and_dropped() {
    let alloc = small();
    alloc.begin_frame();
    let mut name = alloc.frame_box(String::from("scout")).unwrap();
    let (_, codes) = reported(|| alloc.end_frame());
    assert_eq!(codes, [FA002]);
    alloc.begin_frame();
    overwrite(&alloc);
    name.push_str(" of the north, whose name outgrew its buffer");
    overwrite(&alloc);
    assert_eq!(*name, "scout of the north, whose name outgrew its buffer");
    drop(name);
    alloc.end_frame();
    assert_eq!(retired(&alloc), 0);
}

#[test]
fn a_slice_and_a_text_kept_past_their_frame_stay_valid() {
    let alloc = small();
    alloc.begin_frame();
    let slice = alloc.frame_slice_from_iter(0..1000_u32).unwrap();
    let text = alloc.frame_format(format_args!("{:>8}", 42)).unwrap();
    let copy = alloc.frame_str("kept").unwrap();
    let (_, codes) = reported(|| alloc.end_frame());
    assert_eq!(codes, [FA002]);
    busy_frames(&alloc, 3);
    assert!(slice.iter().copied().eq(0..1000));
    assert_eq!((&*text, &*copy), ("      42", "kept"));
}

#[test]
fn a_box_kept_through_ten_thousand_frames_stays_valid_and_is_reported_once() {
    let alloc = small();
    alloc.begin_frame();
    let kept = alloc.frame_box([0x77_u8; 100]).unwrap();
    let ((), codes) = reported(|| {
        alloc.end_frame();
        for frame in 0..10_000_u32 {
            alloc.begin_frame();
            let other = alloc.frame_slice_fill(2000, frame).unwrap();
            assert!(other.iter().all(|&n| n == frame));
            drop(other);
            alloc.end_frame();
        }
    });
    assert_eq!(codes, [FA002]);
    assert_eq!(*kept, [0x77; 100]);
    assert_eq!(retired(&alloc), 1);
    drop(kept);
    assert_eq!(retired(&alloc), 0);
}

#[test]
fn every_one_of_a_thousand_frames_can_leave_a_box_behind() {
    let alloc = small();
    let mut kept = Vec::new();
    for frame in 0..1000_u64 {
        alloc.begin_frame();
        kept.push(alloc.frame_box([frame; 20]).unwrap());
        let scratch = alloc.frame_slice_fill(500, !frame).unwrap();
        assert_eq!(scratch[499], !frame);
        drop(scratch);
        reported(|| alloc.end_frame());
        if kept.len() > 5 {
            kept.remove(frame as usize % 5);
        }
        for boxed in &kept {
            assert!(boxed.iter().all(|&n| n == boxed[0]));
        }
    }
    drop(kept);
    assert_eq!(retired(&alloc), 0);
}

#[test]
fn an_older_box_may_die_while_a_newer_one_lives() {
    let alloc = small();
    alloc.begin_frame();
    let old = alloc.frame_box([1_u64; 8]).unwrap();
    let new = alloc.frame_box([2_u64; 8]).unwrap();
    let (_, codes) = reported(|| {
        drop(old);
        alloc.end_frame();
    });
    assert_eq!(codes, [FA002]);
    busy_frames(&alloc, 2);
    assert_eq!(*new, [2; 8]);
}

#[test]
fn a_chunk_that_filled_up_in_the_frame_is_kept_for_the_box_in_it() {
    let alloc = small();
    alloc.begin_frame();
    let first = alloc.frame_box([3_u64; 8]).unwrap();
    overwrite(&alloc);
    let ((), codes) = reported(|| alloc.end_frame());
    assert_eq!(codes, [FA002]);
    busy_frames(&alloc, 2);
    assert_eq!(*first, [3; 8]);
    drop(first);
    let ((), codes) = reported(|| busy_frames(&alloc, 2));
    assert_eq!(codes, []);
}

#[test]
fn boxes_dropped_in_the_frame_are_not_reported_in_whatever_order() {
    let alloc = small();
    for seed in 0..50_usize {
        alloc.begin_frame();
        let mut boxes: Vec<_> = (0..300)
            .map(|n| alloc.frame_slice_fill(1 + n * 7 % 900, n as u16).unwrap())
            .collect();
        while !boxes.is_empty() {
            let boxed = boxes.swap_remove(seed * 31 % boxes.len());
            assert!(boxed.iter().all(|&n| n == boxed[0]));
        }
        let ((), codes) = reported(|| alloc.end_frame());
        assert_eq!(codes, []);
    }
    assert_eq!(retired(&alloc), 0);
}

#[test]
fn a_big_block_kept_past_its_frame_stays_valid() {
    let alloc = small();
    alloc.begin_frame();
    let big = alloc.frame_slice_fill(200_000, 0x3C_u8).unwrap();
    let (_, codes) = reported(|| alloc.end_frame());
    assert_eq!(codes, [FA002]);
    for _ in 0..200 {
        alloc.begin_frame();
        let other = alloc.frame_slice_fill(190_000, 0xC3_u8).unwrap();
        assert!(other.iter().all(|&b| b == 0xC3));
        drop(other);
        alloc.end_frame();
    }
    assert!(big.iter().all(|&b| b == 0x3C));
    drop(big);
    assert_eq!(retired(&alloc), 0);
}

// ---- Two allocators on one thread -----------------------------------------------------------------------------------

#[test]
fn allocators_interleaved_on_a_thread_do_not_touch_each_other() {
    let (a, b) = (small(), small());
    a.begin_frame();
    b.begin_frame();
    let mut boxes = Vec::new();
    for n in 0..500_u64 {
        boxes.push((n, a.frame_box([n; 9]).unwrap()));
        boxes.push((!n, b.frame_box([!n; 9]).unwrap()));
    }
    let (_, codes) = reported(|| b.end_frame());
    assert_eq!(codes, [FA002]);
    b.begin_frame();
    overwrite(&b);
    overwrite(&a);
    for (n, boxed) in &boxes {
        assert_eq!(**boxed, [*n; 9]);
    }
    drop(boxes);
    let ((), codes) = reported(|| {
        a.end_frame();
        b.end_frame();
    });
    assert_eq!(codes, []);
}

#[test]
fn ending_one_allocators_frame_leaves_the_others_open() {
    let (a, b) = (small(), small());
    a.begin_frame();
    b.begin_frame();
    b.end_frame();
    assert!(a.frame_is_open() && !b.frame_is_open());
    assert!(a.frame_box(1).is_ok());
    let (refused, _) = reported(|| b.frame_box(1).map(|_| ()));
    assert_eq!(refused.unwrap_err().kind(), AllocErrorKind::NoFrame);
}

#[test]
fn an_allocator_may_go_before_or_after_its_neighbour() {
    for first_goes_first in [true, false] {
        let (a, b) = (small(), small());
        a.begin_frame();
        b.begin_frame();
        let in_a = a.frame_box([5_u64; 10]).unwrap();
        let in_b = b.frame_box([6_u64; 10]).unwrap();
        if first_goes_first {
            drop(in_a);
            drop(a);
            assert_eq!(*in_b, [6; 10]);
            overwrite(&b);
            assert_eq!(*in_b, [6; 10]);
        } else {
            drop(in_b);
            drop(b);
            assert_eq!(*in_a, [5; 10]);
            overwrite(&a);
            assert_eq!(*in_a, [5; 10]);
        }
    }
}

#[test]
fn an_allocator_made_after_another_was_dropped_never_finds_its_memory() {
    let mut before = None;
    for n in 0..200_u64 {
        let alloc = small();
        // No frame is open in this one, whatever the one before it left in the thread's cache.
        let (refused, _) = reported(|| alloc.frame_box(n).map(|_| ()));
        assert!(refused.is_err(), "at {n} after {before:?}");
        alloc.begin_frame();
        let boxed = alloc.frame_box([n; 100]).unwrap();
        assert_eq!(*boxed, [n; 100]);
        before = Some(n);
        mem::forget(boxed);
    }
}

#[test]
fn a_hundred_allocators_take_turns_on_a_thread() {
    let allocs: Vec<_> = (0..100).map(|_| small()).collect();
    for alloc in &allocs {
        alloc.begin_frame();
    }
    let mut boxes = Vec::new();
    for round in 0..3_usize {
        for (index, alloc) in allocs.iter().enumerate() {
            boxes.push((index * round, alloc.frame_box([index * round; 4]).unwrap()));
        }
    }
    for (n, boxed) in boxes {
        assert_eq!(*boxed, [n; 4]);
    }
    let ((), codes) = reported(|| allocs.iter().for_each(SmartAlloc::end_frame));
    assert_eq!(codes, []);
}

// ---- Forgetting -----------------------------------------------------------------------------------------------------

#[test]
fn a_forgotten_box_leaks_its_memory_and_nothing_else() {
    let drops = Cell::new(0);
    let alloc = small();
    alloc.begin_frame();
    mem::forget(alloc.frame_box(Counted(&drops)).unwrap());
    mem::forget(alloc.frame_slice_fill(1000, 7_u32).unwrap());
    mem::forget(alloc.frame_str("forgotten").unwrap());
    let ((), codes) = reported(|| alloc.end_frame());
    assert_eq!(codes, [FA002]);
    let ((), codes) = reported(|| busy_frames(&alloc, 300));
    assert_eq!(codes, []);
    assert_eq!(retired(&alloc), 1);
    drop(alloc);
    assert_eq!(drops.get(), 0);
}

#[test]
fn a_leaked_reference_lives_as_long_as_the_allocator() {
    let alloc = small();
    alloc.begin_frame();
    let number = alloc.frame_box([9_u64; 5]).unwrap().leak();
    reported(|| alloc.end_frame());
    busy_frames(&alloc, 100);
    number[0] = 10;
    assert_eq!(*number, [10, 9, 9, 9, 9]);
}

// ---- Filling and taking out ----------------------------------------------------------------------------------------

#[test]
fn uninitialised_room_is_filled_in_three_ways() {
    let alloc = small();
    alloc.begin_frame();
    assert_eq!(*alloc.frame_alloc::<u64>().write(5), 5);
    assert_eq!(*alloc.frame_alloc::<[u64; 3]>().zeroed(), [0; 3]);
    assert_eq!(*alloc.frame_alloc::<String>().init_default(), "");
    // Dropped without being filled: no destructor may run on what was never a `String`.
    drop(alloc.frame_alloc::<String>());
    let ((), codes) = reported(|| alloc.end_frame());
    assert_eq!(codes, []);
}

#[test]
fn a_value_taken_out_is_dropped_once_and_its_lease_returned() {
    let drops = Cell::new(0);
    let alloc = small();
    alloc.begin_frame();
    let value = alloc.frame_box(Counted(&drops)).unwrap().into_inner();
    let ((), codes) = reported(|| alloc.end_frame());
    assert_eq!((drops.get(), codes), (0, vec![]));
    drop(value);
    assert_eq!(drops.get(), 1);
}

#[test]
fn a_box_drops_its_value_exactly_once() {
    let drops = Cell::new(0);
    let alloc = small();
    alloc.begin_frame();
    let boxed = alloc.frame_box(Counted(&drops)).unwrap();
    let slice = alloc
        .frame_slice_from_iter((0..10).map(|_| Counted(&drops)))
        .unwrap();
    assert_eq!(drops.get(), 0);
    drop(boxed);
    assert_eq!(drops.get(), 1);
    alloc.end_frame();
    assert_eq!(drops.get(), 1);
    drop(slice);
    assert_eq!(drops.get(), 11);
}

#[test]
fn a_refused_value_is_dropped() {
    let drops = Cell::new(0);
    let alloc = small();
    let (refused, codes) = reported(|| {
        alloc
            .frame_box(Filled(Counted(&drops), [0; 64]))
            .map(|_| ())
    });
    assert!(refused.is_err());
    assert_eq!((codes, drops.get()), (vec![FA001], 1));

    struct Filled<'a>(
        #[expect(dead_code)] Counted<'a>,
        #[expect(dead_code)] [u8; 64],
    );
}

// ---- Zero-sized ----------------------------------------------------------------------------------------------------

#[test]
fn zero_sized_values_touch_no_arena_and_are_dropped() {
    thread_local! {
        static DROPS: Cell<usize> = const { Cell::new(0) };
    }
    struct Nothing;
    impl Drop for Nothing {
        fn drop(&mut self) {
            DROPS.set(DROPS.get() + 1);
        }
    }
    #[derive(Clone, Copy)]
    #[repr(align(4096))]
    struct AlignedNothing;

    let alloc = small();
    alloc.begin_frame();
    let boxes: Vec<_> = (0..10).map(|_| alloc.frame_box(Nothing).unwrap()).collect();
    let slice = alloc
        .frame_slice_from_iter((0..1000).map(|_| Nothing))
        .unwrap();
    assert_eq!(slice.len(), 1000);
    let aligned = alloc.frame_box(AlignedNothing).unwrap();
    assert_eq!(address(&*aligned) % 4096, 0);
    let aligned = alloc.frame_slice_copy(&[AlignedNothing; 3]).unwrap();
    assert_eq!((aligned.len(), address(&*aligned) % 4096), (3, 0));
    assert_eq!(
        alloc.frame_slice_fill(usize::MAX >> 40, ()).unwrap().len(),
        usize::MAX >> 40
    );
    let empty = alloc.frame_slice_fill(0, 1_u64).unwrap();
    assert!(empty.is_empty() && address(&*empty).is_multiple_of(8));
    let text = alloc.frame_str("").unwrap();
    assert_eq!(&*text, "");
    // What is not there cannot outlive its frame.
    let ((), codes) = reported(|| alloc.end_frame());
    assert_eq!(codes, []);
    assert_eq!(alloc.arenas()[0].frame_bytes, 0);
    busy_frames(&alloc, 3);
    assert_eq!(DROPS.get(), 0);
    drop((boxes, slice, empty, text));
    assert_eq!(DROPS.get(), 1010);
}

#[test]
fn a_zero_sized_value_next_to_the_end_of_a_chunk_does_not_reach_into_the_next() {
    let alloc = small();
    alloc.begin_frame();
    let mut kept: Vec<FrameBox<'_, [u64; 8]>> = Vec::new();
    let mut nothing = Vec::new();
    for n in 0..20_000_u64 {
        kept.push(alloc.frame_box([n; 8]).unwrap());
        nothing.push(alloc.frame_box(()).unwrap());
    }
    drop(nothing);
    for (n, boxed) in kept.iter().enumerate() {
        assert_eq!(**boxed, [n as u64; 8]);
    }
    drop(kept);
    let ((), codes) = reported(|| alloc.end_frame());
    assert_eq!(codes, []);
}

// ---- Alignment -----------------------------------------------------------------------------------------------------

#[test]
fn every_alignment_is_kept_and_its_padding_given_back() {
    with_a_large_stack(|| {
        let alloc = SmartAlloc::new(minimal().with_max_frame_arena_size(256 << 20));
        macro_rules! check {
            ($t:ident) => {
                alloc.begin_frame();
                let mut odd = Vec::new();
                let mut boxes = Vec::new();
                for n in 0..5_u8 {
                    odd.push(alloc.frame_slice_fill(3, n).unwrap());
                    boxes.push(alloc.frame_alloc::<$t>().write($t(n)));
                }
                let slice = alloc.frame_slice_fill(3, $t(9)).unwrap();
                for (n, boxed) in boxes.iter().enumerate() {
                    assert_eq!(address(&**boxed) % align_of::<$t>(), 0, stringify!($t));
                    assert_eq!(boxed.0, n as u8);
                    assert_eq!(*odd[n], [n as u8; 3]);
                }
                assert_eq!(address(&*slice) % align_of::<$t>(), 0);
                drop((odd, boxes));
                drop(slice);
                let ((), codes) = reported(|| alloc.end_frame());
                assert_eq!(codes, [], stringify!($t));
                assert_eq!(retired(&alloc), 0, stringify!($t));
            };
        }
        for _ in 0..3 {
            for_every_alignment!(check);
        }
    });
}

#[test]
fn aligned_values_kept_past_their_frame_stay_valid() {
    with_a_large_stack(|| {
        let alloc = SmartAlloc::new(minimal().with_max_frame_arena_size(256 << 20));
        macro_rules! check {
            ($t:ident) => {
                alloc.begin_frame();
                let boxed = alloc.frame_alloc::<$t>().write($t(0x5A));
                let (_, codes) = reported(|| alloc.end_frame());
                assert_eq!(codes, [FA002], stringify!($t));
                busy_frames(&alloc, 2);
                let taken = boxed.into_inner();
                assert_eq!(taken.0, 0x5A);
                assert_eq!(retired(&alloc), 0);
            };
        }
        for_every_alignment!(check);
    });
}

// ---- Absurd sizes --------------------------------------------------------------------------------------------------

#[test]
fn absurd_lengths_are_errors_that_change_nothing() {
    let alloc = small();
    alloc.begin_frame();
    let before = alloc.frame_box(1_u64).unwrap();
    let most = isize::MAX as usize;
    for (len, kind) in [
        (usize::MAX, AllocErrorKind::CapacityOverflow),
        (usize::MAX / 8, AllocErrorKind::CapacityOverflow),
        (most / 8 + 1, AllocErrorKind::CapacityOverflow),
        (most / 8, AllocErrorKind::ArenaExhausted),
        (most / 8 - 8, AllocErrorKind::ArenaExhausted),
        (1 << 40, AllocErrorKind::ArenaExhausted),
    ] {
        let (refused, codes) = reported(|| alloc.frame_slice_fill(len, 0_u64).map(|_| ()));
        let error = refused.unwrap_err();
        assert_eq!(error.kind(), kind, "{len}");
        assert_eq!(codes, [error.code()]);
    }
    let (refused, codes) = reported(|| alloc.try_frame_alloc::<[u8; 1 << 46]>().map(|_| ()));
    assert_eq!(refused.unwrap_err().requested(), 1 << 46);
    assert_eq!(codes, [FA003]);
    let after = alloc.frame_box(2_u64).unwrap();
    assert_eq!((*before, *after), (1, 2));
    assert_eq!(address(&*after) - address(&*before), 8);
    drop((before, after));
    let ((), codes) = reported(|| alloc.end_frame());
    assert_eq!(codes, []);
}

#[test]
fn an_iterator_that_promises_too_much_is_an_error() {
    struct Liar(usize);
    impl Iterator for Liar {
        type Item = u64;
        fn next(&mut self) -> Option<u64> {
            None
        }
        fn size_hint(&self) -> (usize, Option<usize>) {
            (self.0, None)
        }
    }
    let alloc = small();
    alloc.begin_frame();
    for (promised, code) in [(usize::MAX, FA004), (1 << 50, FA003)] {
        let (refused, codes) = reported(|| alloc.frame_slice_from_iter(Liar(promised)).map(|_| ()));
        assert!(refused.is_err());
        assert_eq!(codes, [code]);
    }
    assert!(alloc.frame_slice_from_iter(Liar(1000)).unwrap().is_empty());
    let ((), codes) = reported(|| alloc.end_frame());
    assert_eq!(codes, []);
}

#[test]
fn an_endless_iterator_ends_with_an_error_and_drops_what_it_made() {
    let made = Rc::new(());
    let alloc = small();
    alloc.begin_frame();
    let (refused, codes) = reported(|| {
        alloc
            .frame_slice_from_iter(std::iter::repeat_with(|| made.clone()).filter(|_| true))
            .map(|_| ())
    });
    assert_eq!(refused.unwrap_err().kind(), AllocErrorKind::ArenaExhausted);
    assert_eq!(codes, [FA003]);
    assert_eq!(Rc::strong_count(&made), 1);
    let ((), codes) = reported(|| alloc.end_frame());
    assert_eq!(codes, []);
}

//! Code of the user's that runs in the middle of an allocation, and does what it likes.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::rc::Rc;

use framealloc::{FrameBox, SmartAlloc};

use crate::common::*;

/// Runs a closure when it is dropped.
struct OnDrop<F: FnMut()>(F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// Runs a closure when it is formatted, between two halves of its text.
struct OnDisplay<F: Fn()>(F);

impl<F: Fn()> fmt::Display for OnDisplay<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("first half, ")?;
        (self.0)();
        f.write_str("second half")
    }
}

/// Ends the frame, and overwrites everything that is free in the next.
fn next_frame(alloc: &SmartAlloc) {
    reported(|| alloc.end_frame());
    alloc.begin_frame();
    overwrite(alloc);
}

// ---- Destructors ---------------------------------------------------------------------------------------------------

#[test]
fn a_destructor_may_allocate_frame_memory() {
    let alloc = small();
    alloc.begin_frame();
    let boxed = alloc
        .frame_box((
            OnDrop(|| {
                let inner = alloc.frame_slice_fill(1000, 4_u64).unwrap();
                assert_eq!(inner[999], 4);
            }),
            [7_u64; 4],
        ))
        .unwrap();
    drop(boxed);
    let ((), codes) = reported(|| alloc.end_frame());
    assert_eq!(codes, []);
}

#[test]
fn a_destructor_may_end_the_frame_that_its_value_lies_in() {
    let alloc = small();
    alloc.begin_frame();
    struct Value<'a> {
        alloc: &'a SmartAlloc,
        data: [u64; 16],
    }
    impl Drop for Value<'_> {
        fn drop(&mut self) {
            next_frame(self.alloc);
            // The lease is returned only after this.
            assert_eq!(self.data, [8; 16]);
        }
    }
    for _ in 0..100 {
        let boxed = alloc
            .frame_box(Value {
                alloc: &alloc,
                data: [8; 16],
            })
            .unwrap();
        drop(boxed);
        assert_eq!(retired(&alloc), 0);
    }
    alloc.end_frame();
}

#[test]
fn a_slice_of_destructors_that_end_frames_keeps_its_other_elements() {
    struct Value<'a>(&'a SmartAlloc, u64);
    impl Drop for Value<'_> {
        fn drop(&mut self) {
            next_frame(self.0);
            assert!(self.1 < 8);
        }
    }
    let alloc = small();
    alloc.begin_frame();
    let slice = alloc
        .frame_slice_from_iter((0..8).map(|n| Value(&alloc, n)))
        .unwrap();
    drop(slice);
    assert_eq!(retired(&alloc), 0);
}

#[test]
fn a_panicking_destructor_returns_its_lease() {
    let alloc = small();
    alloc.begin_frame();
    let boxed = alloc
        .frame_box((OnDrop(|| panic!("from a destructor")), [0_u8; 64]))
        .unwrap();
    panics(|| drop(boxed));
    let drops = Cell::new(0);
    let slice = alloc
        .frame_slice_from_iter((0..10).map(|n| {
            let drops = &drops;
            OnDrop(move || {
                drops.set(drops.get() + 1);
                assert_ne!(n, 4, "from an element's destructor");
            })
        }))
        .unwrap();
    panics(|| drop(slice));
    assert_eq!(drops.get(), 10);
    let ((), codes) = reported(|| alloc.end_frame());
    assert_eq!(codes, []);
    assert_eq!(retired(&alloc), 0);
}

#[test]
fn a_box_may_be_dropped_by_another_boxs_destructor_after_their_frame() {
    struct Holder<'a>(#[expect(dead_code)] Option<FrameBox<'a, [u64; 4]>>);
    let alloc = small();
    alloc.begin_frame();
    let inner = alloc.frame_box([1; 4]).unwrap();
    let outer = alloc.frame_box(Holder(Some(inner))).unwrap();
    next_frame(&alloc);
    drop(outer);
    assert_eq!(retired(&alloc), 0);
}

#[test]
fn a_box_may_be_parked_by_a_destructor() {
    thread_local! {
        static PARKED: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) };
    }
    struct Parks(u64);
    impl Drop for Parks {
        fn drop(&mut self) {
            PARKED.with_borrow_mut(|parked| parked.push(self.0));
        }
    }
    let alloc = small();
    alloc.begin_frame();
    let _kept = alloc.frame_box(Parks(1)).unwrap();
    let unwound = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _boxed = alloc.frame_box(Parks(2)).unwrap();
        panic!("unwinding over a box");
    }));
    assert!(unwound.is_err());
    assert_eq!(PARKED.take(), [2]);
}

// ---- Values, iterators and texts being made --------------------------------------------------------------------------

#[test]
fn a_value_may_be_made_by_code_that_ends_the_frame() {
    let alloc = small();
    alloc.begin_frame();
    let boxed = alloc
        .frame_box_with(|| {
            next_frame(&alloc);
            [3_u64; 50]
        })
        .unwrap();
    overwrite(&alloc);
    assert_eq!(*boxed, [3; 50]);
    drop(boxed);
    assert_eq!(retired(&alloc), 0);
}

#[test]
fn a_value_that_panics_while_it_is_made_returns_its_lease() {
    let alloc = small();
    alloc.begin_frame();
    panics(|| alloc.frame_box_with(|| -> [u64; 4] { panic!("made halfway") }));
    struct Never;
    impl Default for Never {
        fn default() -> Self {
            panic!("no default")
        }
    }
    panics(|| alloc.frame_alloc::<(Never, u64)>().init_default_or_panic());
    let ((), codes) = reported(|| alloc.end_frame());
    assert_eq!(codes, []);

    trait InitDefault {
        fn init_default_or_panic(self);
    }
    impl<T: Default> InitDefault for FrameBox<'_, std::mem::MaybeUninit<T>> {
        fn init_default_or_panic(self) {
            self.init_default();
        }
    }
}

#[test]
fn a_slice_may_be_made_by_code_that_allocates_in_between() {
    let alloc = small();
    alloc.begin_frame();
    let mut others = Vec::new();
    let slice = alloc
        .frame_slice_from_iter((0..2000_u64).filter(|n| {
            others.push(alloc.frame_box(*n).unwrap());
            n % 2 == 0
        }))
        .unwrap();
    overwrite(&alloc);
    assert!(slice.iter().copied().eq((0..2000).filter(|n| n % 2 == 0)));
    assert!(
        others
            .iter()
            .enumerate()
            .all(|(n, other)| **other == n as u64)
    );
    drop((slice, others));
    let ((), codes) = reported(|| alloc.end_frame());
    assert_eq!(codes, []);
    assert_eq!(retired(&alloc), 0);
}

#[test]
fn a_slice_may_be_made_by_code_that_ends_the_frame_at_every_element() {
    let alloc = small();
    alloc.begin_frame();
    let drops = Cell::new(0);
    let slice = alloc
        .frame_slice_fill_with(40, |n| {
            next_frame(&alloc);
            (n, Counted(&drops))
        })
        .unwrap();
    assert!(slice.iter().map(|value| value.0).eq(0..40));
    // One that has to grow.
    let grown = alloc
        .frame_slice_from_iter((0..40_u64).filter(|_| {
            next_frame(&alloc);
            true
        }))
        .unwrap();
    assert!(grown.iter().copied().eq(0..40));
    drop((slice, grown));
    assert_eq!(drops.get(), 40);
    assert_eq!(retired(&alloc), 0);
    alloc.end_frame();
}

#[test]
fn a_slice_whose_iterator_ends_the_frame_for_good_is_refused_or_whole() {
    let alloc = small();
    for when in 0..20 {
        alloc.begin_frame();
        let made = Rc::new(());
        let mut ended = false;
        let (slice, codes) = reported(|| {
            alloc.frame_slice_from_iter((0..20).filter(|_| true).map(|n| {
                if n == when {
                    alloc.end_frame();
                    ended = true;
                }
                (n, made.clone())
            }))
        });
        assert!(ended);
        match slice {
            Ok(slice) => assert!(slice.iter().map(|value| value.0).eq(0..20)),
            Err(error) => assert_eq!(error.code(), FA001),
        }
        assert!(codes.iter().all(|code| [FA001, FA002].contains(code)));
        assert_eq!(Rc::strong_count(&made), 1);
        assert_eq!(retired(&alloc), 0);
    }
}

#[test]
fn a_slice_that_panics_halfway_drops_what_it_has_and_returns_its_lease() {
    let alloc = small();
    for at in [0, 1, 3, 4, 5, 63] {
        let drops = Cell::new(0);
        alloc.begin_frame();
        panics(|| {
            alloc
                .frame_slice_from_iter((0..64).filter(|_| true).map(|n| {
                    assert_ne!(n, at, "made halfway");
                    Counted(&drops)
                }))
                .map(|_| ())
        });
        assert_eq!(drops.get(), at);
        let ((), codes) = reported(|| alloc.end_frame());
        assert_eq!(codes, [], "{at}");
    }
}

#[test]
fn a_clone_that_panics_halfway_drops_every_clone_that_was_made() {
    struct Picky<'a>(&'a Cell<usize>, &'a Cell<usize>);
    impl Clone for Picky<'_> {
        fn clone(&self) -> Self {
            assert!(self.0.get() < 5, "enough clones");
            self.0.set(self.0.get() + 1);
            Self(self.0, self.1)
        }
    }
    impl Drop for Picky<'_> {
        fn drop(&mut self) {
            self.1.set(self.1.get() + 1);
        }
    }
    let (clones, drops) = (Cell::new(0), Cell::new(0));
    let alloc = small();
    alloc.begin_frame();
    panics(|| {
        alloc
            .frame_slice_fill(10, Picky(&clones, &drops))
            .map(|_| ())
    });
    assert_eq!((clones.get(), drops.get()), (5, 6));
    let ((), codes) = reported(|| alloc.end_frame());
    assert_eq!(codes, []);
}

#[test]
fn an_iterator_whose_destructor_ends_the_frame_does_not_take_the_slice_along() {
    struct Ends<'a>(&'a SmartAlloc, u64);
    impl Iterator for Ends<'_> {
        type Item = u64;
        fn next(&mut self) -> Option<u64> {
            self.1 += 1;
            (self.1 <= 100).then_some(self.1)
        }
    }
    impl Drop for Ends<'_> {
        fn drop(&mut self) {
            next_frame(self.0);
        }
    }
    let alloc = small();
    alloc.begin_frame();
    let slice = alloc.frame_slice_from_iter(Ends(&alloc, 0)).unwrap();
    overwrite(&alloc);
    assert!(slice.iter().copied().eq(1..=100));
    drop(slice);
    assert_eq!(retired(&alloc), 0);
    alloc.end_frame();
}

#[test]
fn a_text_may_be_written_by_code_that_allocates_or_ends_the_frame() {
    let alloc = small();
    alloc.begin_frame();
    let between = RefCell::new(Vec::new());
    let allocates = alloc
        .frame_format(format_args!(
            "{:>40}{}{}",
            "a long beginning",
            OnDisplay(|| between
                .borrow_mut()
                .push(alloc.frame_box([1_u64; 9]).unwrap())),
            "x".repeat(5000),
        ))
        .unwrap();
    let ends = alloc
        .frame_format(format_args!("{}", OnDisplay(|| next_frame(&alloc))))
        .unwrap();
    overwrite(&alloc);
    assert_eq!(allocates.len(), 40 + 23 + 5000);
    assert!(allocates.contains("first half, second half"));
    assert_eq!(&*ends, "first half, second half");
    assert_eq!(*between.borrow()[0], [1; 9]);
}

#[test]
fn a_text_whose_display_panics_or_fails_returns_its_lease() {
    struct Fails;
    impl fmt::Display for Fails {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("something")?;
            Err(fmt::Error)
        }
    }
    let alloc = small();
    alloc.begin_frame();
    panics(|| alloc.frame_format(format_args!("{}", OnDisplay(|| panic!("in a Display")))));
    panics(|| alloc.frame_format(format_args!("{Fails}")));
    let ((), codes) = reported(|| alloc.end_frame());
    assert_eq!(codes, []);
}

#[test]
fn a_text_too_long_for_the_arena_is_an_error_even_if_its_display_swallows_the_failure() {
    struct Swallows(usize);
    impl fmt::Display for Swallows {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            let megabyte = "m".repeat(1 << 20);
            for _ in 0..self.0 {
                let _ = f.write_str(&megabyte);
            }
            Ok(())
        }
    }
    let alloc = small();
    alloc.begin_frame();
    let (text, codes) = reported(|| {
        alloc
            .frame_format(format_args!("{}", Swallows(8)))
            .map(|text| text.len())
    });
    assert!(
        text.is_err(),
        "a text of {text:?} bytes was cut short silently"
    );
    assert!(codes.contains(&FA003));
    alloc.end_frame();
}

// ---- In a guard ----------------------------------------------------------------------------------------------------

#[test]
fn a_guards_values_may_be_made_by_code_that_allocates_from_it() {
    let alloc = small();
    let frame = alloc.frame();
    let slice = frame.alloc_slice_fill_with(500, |n| {
        let inner = frame.alloc_slice_fill(n, n);
        inner.iter().sum::<usize>()
    });
    let collected = frame.alloc_slice_from_iter((0..500_usize).filter(|n| {
        frame.alloc(*n);
        true
    }));
    let text = frame.alloc_fmt(format_args!(
        "{}",
        OnDisplay(|| {
            frame.alloc_slice_fill(3000, 0xFF_u8);
        })
    ));
    frame.alloc_slice_fill(50_000, 0xFF_u8);
    assert!(slice.iter().enumerate().all(|(n, sum)| *sum == n * n));
    assert!(collected.iter().copied().eq(0..500));
    assert_eq!(text, "first half, second half");
}

#[test]
fn a_guards_values_may_be_made_by_code_that_panics() {
    let alloc = small();
    let frame = alloc.frame();
    let before = frame.alloc([1_u64; 8]);
    panics(|| {
        frame.alloc_with(|| -> u64 { panic!("made halfway") });
    });
    panics(|| {
        frame.alloc_slice_fill_with(9, |n| {
            assert_ne!(n, 5, "made halfway");
            n
        });
    });
    panics(|| {
        frame.alloc_slice_from_iter((0..9).inspect(|&n| {
            assert_ne!(n, 5, "made halfway");
        }));
    });
    panics(|| {
        frame.alloc_fmt(format_args!("{}", OnDisplay(|| panic!("in a Display"))));
    });
    let after = frame.alloc([2_u64; 8]);
    assert_eq!((*before, *after), ([1; 8], [2; 8]));
}

#[test]
fn a_guard_survives_boundaries_crossed_while_its_values_are_made() {
    let alloc = small();
    alloc.begin_frame();
    let frame = alloc.frame();
    let value = frame.alloc_with(|| {
        next_frame(&alloc);
        [4_u64; 32]
    });
    let slice = frame.alloc_slice_fill_with(32, |n| {
        next_frame(&alloc);
        n
    });
    next_frame(&alloc);
    assert_eq!(*value, [4; 32]);
    assert!(slice.iter().copied().eq(0..32));
}

#[test]
fn a_guards_box_may_end_the_frame_or_panic_when_it_drops() {
    let alloc = small();
    alloc.begin_frame();
    let frame = alloc.frame();
    let boxed = frame.alloc_box(OnDrop(|| next_frame(&alloc)));
    let panicking = frame.alloc_box(OnDrop(|| panic!("from a destructor")));
    let beside = frame.alloc([6_u64; 100]);
    drop(boxed);
    panics(|| drop(panicking));
    assert_eq!(*beside, [6; 100]);
}

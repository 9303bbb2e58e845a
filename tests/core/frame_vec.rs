//! Vectors of fixed capacity in frame memory.

use std::cell::Cell;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};

use framealloc::{AllocErrorKind, FrameSlice, FrameVec, SmartAlloc};
use proptest::prelude::*;

use crate::common::*;
use crate::for_every_alignment;

/// What a panic of `f` says.
pub fn panic_of(f: impl FnOnce()) -> String {
    let payload = catch_unwind(AssertUnwindSafe(f)).expect_err("it was to panic");
    match payload.downcast::<String>() {
        Ok(text) => *text,
        Err(other) => (*other.downcast::<&str>().unwrap()).to_owned(),
    }
}

#[test]
fn a_vector_made_for_n_values_holds_n() {
    let alloc = small();
    alloc.begin_frame();
    for capacity in (0..70).chain([1000, 40_000]) {
        let mut vec = alloc.frame_vec::<u64>(capacity);
        assert_eq!((vec.capacity(), vec.remaining()), (capacity, capacity));
        for n in 0..capacity as u64 {
            assert!(!vec.is_full());
            vec.push(n);
        }
        assert!(vec.is_full() && vec.remaining() == 0);
        assert_eq!(vec.try_push(7), Err(7));
        assert_eq!(vec.try_insert(0, 8), Err(8));
        assert!(vec.iter().copied().eq(0..capacity as u64));
        assert_eq!(vec.capacity(), capacity);
    }
    let ((), codes) = reported(|| alloc.end_frame());
    assert_eq!(codes, []);
}

#[test]
fn values_without_a_size_are_bounded_and_dropped_too() {
    thread_local! {
        static DROPS: Cell<usize> = const { Cell::new(0) };
    }
    struct Nothing;
    impl Drop for Nothing {
        fn drop(&mut self) {
            DROPS.set(DROPS.get() + 1);
        }
    }
    // Nothing is leased, so no frame need be open.
    let alloc = small();
    let mut vec = alloc.frame_vec::<Nothing>(3);
    assert_eq!(vec.capacity(), 3);
    assert_eq!(vec.extend_from_iter((0..9).map(|_| Nothing)), 3);
    assert!(vec.try_push(Nothing).is_err());
    assert_eq!(DROPS.get(), 1);
    vec.truncate(2);
    let mut values = vec.into_iter();
    assert_eq!(values.len(), 2);
    drop(values.next());
    drop(values);
    assert_eq!(DROPS.get(), 4);
    assert_eq!(alloc.frame_vec::<()>(usize::MAX).remaining(), usize::MAX);
    let slice = FrameSlice::from(alloc.frame_vec::<()>(9));
    assert_eq!(FrameVec::from(slice).capacity(), 0);
}

#[test]
fn a_vector_for_nothing_needs_no_frame() {
    let alloc = small();
    let mut vec = alloc.frame_vec::<String>(0);
    assert!(vec.is_full() && vec.is_empty());
    assert_eq!(vec.pop(), None);
    assert_eq!(vec.try_push("a".to_owned()), Err("a".to_owned()));
    assert_eq!(vec.into_boxed_slice().len(), 0);
}

#[test]
fn what_cannot_be_had_is_an_error_or_a_panic_with_its_code() {
    let alloc = small();
    let refused = |capacity| {
        let (vec, codes) = reported(|| alloc.try_frame_vec::<u64>(capacity));
        (vec.unwrap_err().kind(), codes)
    };
    assert_eq!(refused(1), (AllocErrorKind::NoFrame, vec![FA001]));
    alloc.begin_frame();
    for capacity in [usize::MAX, isize::MAX as usize, isize::MAX as usize / 8 + 1] {
        assert_eq!(
            refused(capacity),
            (AllocErrorKind::CapacityOverflow, vec![FA004])
        );
    }
    assert_eq!(
        refused(10 << 20),
        (AllocErrorKind::ArenaExhausted, vec![FA003])
    );
    let text = panic_of(|| drop(reported(|| alloc.frame_vec::<u64>(10 << 20))));
    assert!(text.contains("FA003") && text.contains("with_frame_arena_size"));
    assert_eq!(alloc.frame_vec::<u64>(100).capacity(), 100);
    alloc.end_frame();
    assert_eq!(retired(&alloc), 0);
}

#[test]
fn a_push_past_the_capacity_says_what_to_do_and_drops_the_value_once() {
    let alloc = small();
    let drops = Cell::new(0);
    alloc.begin_frame();
    let mut vec = alloc.frame_vec(2);
    vec.extend([Counted(&drops), Counted(&drops)]);
    for overfill in [
        (|vec, value| vec.push(value)) as fn(&mut FrameVec<_>, _),
        |vec, value| vec.insert(1, value),
        |vec, value| vec.extend([value]),
    ] {
        let before = drops.get();
        let text = panic_of(|| overfill(&mut vec, Counted(&drops)));
        assert!(
            text.contains("capacity 2") && text.contains("try_"),
            "{text}"
        );
        assert_eq!((drops.get(), vec.len()), (before + 1, 2));
    }
    let mut numbers = alloc.frame_vec(3);
    numbers.push(1);
    let mut more = alloc.frame_vec(3);
    more.extend([1, 2, 3]);
    panics(|| numbers.append(&mut more));
    panics(|| numbers.extend_from_slice(&[1, 2, 3]));
    panics(|| numbers.extend_from_slice_copy(&[1, 2, 3]));
    panics(|| numbers.resize(4, 0));
    panics(|| numbers.resize_with(usize::MAX, || 0));
    assert_eq!((numbers.len(), more.len()), (1, 3));
    more.pop();
    numbers.append(&mut more);
    assert_eq!(numbers, [1, 1, 2]);
    assert!(more.is_empty());
}

#[test]
fn a_vector_kept_past_its_frame_stays_valid_and_can_be_filled_further() {
    let alloc = small();
    let drops = Cell::new(0);
    alloc.begin_frame();
    let mut names = alloc.frame_vec::<(String, Counted)>(100);
    names.push(("first".to_owned(), Counted(&drops)));
    let ((), codes) = reported(|| alloc.end_frame());
    assert_eq!(codes, [FA002]);
    for n in 1..100 {
        busy_frames(&alloc, 1);
        names.push((format!("name {n}"), Counted(&drops)));
    }
    assert_eq!(names[0].0, "first");
    assert_eq!(names[99].0, "name 99");
    assert_eq!((retired(&alloc), drops.get()), (1, 0));
    // Room is given back in a chunk that is kept apart, too.
    names.truncate(40);
    let slice = names.into_boxed_slice();
    busy_frames(&alloc, 1);
    assert_eq!((slice.len(), &*slice[39].0), (40, "name 39"));
    drop(slice);
    assert_eq!((retired(&alloc), drops.get()), (0, 100));
}

#[test]
fn a_slice_of_nothing_made_of_a_vector_that_was_kept_frees_its_chunk() {
    let alloc = small();
    alloc.begin_frame();
    let vec = alloc.frame_vec::<u64>(10);
    reported(|| alloc.end_frame());
    assert_eq!(retired(&alloc), 1);
    let slice = vec.into_boxed_slice();
    assert_eq!((slice.len(), retired(&alloc)), (0, 0));
}

#[test]
fn room_that_a_slice_does_not_need_is_used_again() {
    let alloc = small();
    alloc.begin_frame();
    let mut kept = Vec::new();
    // Each asks for half a chunk: without giving back, the arena would be full after 64.
    for n in 0..2000_u64 {
        let mut vec = alloc.frame_vec(5_000);
        vec.push(n);
        kept.push(vec.into_boxed_slice());
    }
    assert!(
        kept.iter()
            .enumerate()
            .all(|(n, slice)| slice[..] == [n as u64])
    );
    drop(kept);
    let ((), codes) = reported(|| alloc.end_frame());
    assert_eq!(codes, []);
}

#[test]
fn every_alignment_is_kept() {
    with_a_large_stack(|| {
        let alloc = SmartAlloc::new(minimal().with_max_frame_arena_size(1 << 30));
        alloc.begin_frame();
        macro_rules! check {
            ($t:ident) => {
                let mut vec = alloc.frame_vec(3);
                vec.extend((0..2).map($t));
                for (n, value) in vec.iter().enumerate() {
                    assert_eq!(address(value) % align_of::<$t>(), 0, stringify!($t));
                    assert_eq!(value.0, n as u8);
                }
                let slice = vec.into_boxed_slice();
                assert_eq!(slice[1].0, 1);
                assert_eq!(slice.into_iter().map(|value| value.0).sum::<u8>(), 1);
            };
        }
        for_every_alignment!(check);
        let ((), codes) = reported(|| alloc.end_frame());
        assert_eq!(codes, []);
    });
}

#[test]
fn a_predicate_that_panics_loses_nothing_and_drops_nothing_twice() {
    let alloc = small();
    alloc.begin_frame();
    for panics_at in 0..10 {
        let drops = Cell::new(0);
        let mut vec = alloc.frame_vec(10);
        vec.extend((0..10).map(|n| (n, Counted(&drops))));
        panics(|| {
            vec.retain(|(n, _)| {
                assert!(*n != panics_at);
                n % 2 == 1
            });
        });
        let expected: Vec<_> = (0..10).filter(|n| n % 2 == 1 || *n >= panics_at).collect();
        assert!(vec.iter().map(|(n, _)| *n).eq(expected.iter().copied()));
        assert_eq!(drops.get() + vec.len(), 10);
        drop(vec);
        assert_eq!(drops.get(), 10);

        let drops = Cell::new(0);
        let mut vec = alloc.frame_vec(10);
        vec.extend((0..10).map(|n| (n, Counted(&drops))));
        panics(|| {
            vec.dedup_by_key(|(n, _)| {
                assert!(*n != panics_at);
                *n / 3
            });
        });
        drop(vec);
        assert_eq!(drops.get(), 10);
    }
    alloc.end_frame();
}

#[test]
fn a_clone_an_iterator_or_a_destructor_that_panics_leaves_the_vector_whole() {
    thread_local! {
        static LIVE: Cell<isize> = const { Cell::new(0) };
    }
    #[derive(Debug)]
    struct Live(u32);
    fn live(n: u32) -> Live {
        LIVE.set(LIVE.get() + 1);
        Live(n)
    }
    impl Clone for Live {
        fn clone(&self) -> Self {
            assert!(self.0 != 3);
            live(self.0)
        }
    }
    impl Drop for Live {
        fn drop(&mut self) {
            LIVE.set(LIVE.get() - 1);
            assert!(self.0 != 100);
        }
    }
    let alloc = small();
    alloc.begin_frame();
    let mut vec = alloc.frame_vec::<Live>(20);
    let source: Vec<_> = (0..6).map(live).collect();
    panics(|| vec.extend_from_slice(&source));
    assert_eq!(vec.len(), 3);
    panics(|| vec.resize(8, live(3)));
    panics(|| vec.extend((0..5).map(|n| if n < 2 { live(n) } else { panic!() })));
    panics(|| vec.extend_from_iter((0..5).map(|n| if n < 2 { live(n) } else { panic!() })));
    vec.insert(1, live(100));
    assert_eq!(LIVE.get() as usize, vec.len() + source.len());
    panics(|| vec.clear());
    assert_eq!((vec.len(), LIVE.get() as usize), (0, source.len()));
    vec.extend([live(1), live(100), live(2)]);
    panics(|| drop(vec));
    let mut vec = alloc.frame_vec::<Live>(20);
    vec.extend([live(1), live(100), live(2)]);
    panics(|| drop(vec.into_iter()));
    drop(source);
    assert_eq!(LIVE.get(), 0);
    let ((), codes) = reported(|| alloc.end_frame());
    assert_eq!(codes, []);
}

#[test]
fn values_may_use_the_allocator_while_they_are_dropped() {
    struct Reenters<'a>(&'a SmartAlloc, &'a Cell<usize>);
    impl Drop for Reenters<'_> {
        fn drop(&mut self) {
            let mut vec = self.0.frame_vec(4);
            vec.push(self.1.get());
            self.0.end_frame();
            self.0.begin_frame();
            overwrite(self.0);
            self.1.set(vec[0] + 1);
        }
    }
    let alloc = small();
    let drops = Cell::new(0);
    alloc.begin_frame();
    let mut vec = alloc.frame_vec(8);
    vec.extend((0..6).map(|_| Reenters(&alloc, &drops)));
    reported(|| {
        vec.retain(|_| drops.get() % 2 == 1);
        vec.drain(1..2);
        let mut values = vec.into_iter();
        values.next_back();
        drop(values);
        alloc.end_frame();
    });
    assert_eq!((drops.get(), retired(&alloc)), (6, 0));
}

#[test]
fn iterators_go_both_ways_and_drop_what_they_do_not_yield() {
    let alloc = small();
    let drops = Cell::new(0);
    alloc.begin_frame();
    let filled = || {
        let mut vec = alloc.frame_vec(6);
        vec.extend((0..6).map(|n| (n, Counted(&drops))));
        vec
    };
    let mut values = filled().into_iter();
    assert_eq!(values.len(), 6);
    assert_eq!(values.next().map(|value| value.0), Some(0));
    assert_eq!(values.next_back().map(|value| value.0), Some(5));
    assert_eq!(
        (values.len(), values.as_slice().len(), drops.get()),
        (4, 4, 2)
    );
    drop(values);
    assert_eq!(drops.take(), 6);

    let mut values = filled().into_boxed_slice().into_iter();
    values.as_mut_slice()[0].0 = 9;
    assert_eq!(values.by_ref().map(|value| value.0).sum::<i32>(), 24);
    assert!(values.next().is_none() && values.next_back().is_none());
    assert_eq!(drops.take(), 6);

    let mut vec = filled();
    assert_eq!(vec.drain(2..4).map(|value| value.0).sum::<i32>(), 5);
    assert!(vec.iter().map(|value| value.0).eq([0, 1, 4, 5]));
    vec.drain(..2).next_back();
    assert_eq!((vec.len(), drops.get()), (2, 4));
    for value in &mut vec {
        value.0 += 1;
    }
    assert_eq!((&vec).into_iter().map(|value| value.0).sum::<i32>(), 11);
    panics(|| drop(vec.drain(1..5)));
    // Forgotten, it leaks its values and nothing else.
    std::mem::forget(vec.drain(..));
    assert!(vec.is_empty());
    drop(vec);
    assert_eq!(drops.take(), 4);

    let mut slice = alloc.frame_slice_copy(&[1, 2, 3]).unwrap();
    for n in &mut slice {
        *n *= 2;
    }
    assert_eq!((&slice).into_iter().sum::<i32>(), 12);
    let mut vec = FrameVec::from(slice);
    assert!(vec.is_full());
    vec.pop();
    vec.push(8);
    assert_eq!(vec, [2, 4, 8]);
    assert_eq!(vec.leak(), [2, 4, 8]);
    alloc.end_frame();
}

#[test]
fn what_does_not_fit_comes_back() {
    let alloc = small();
    alloc.begin_frame();
    let mut vec = alloc.frame_vec(3);
    let mut numbers = 0..10;
    assert_eq!(vec.extend_from_iter(&mut numbers), 3);
    assert_eq!(numbers.next(), Some(3));
    vec.clear();
    assert!(vec.try_extend(0..3).is_ok());
    vec.truncate(1);
    let rest = vec.try_extend(1..6).unwrap_err();
    assert!(rest.eq(3..6));
    let mut bytes = alloc.frame_vec::<u8>(4);
    assert_eq!(bytes.write(b"ab").unwrap(), 2);
    assert_eq!(
        bytes.write_all(b"cdef").unwrap_err().kind(),
        std::io::ErrorKind::WriteZero
    );
    bytes.flush().unwrap();
    assert_eq!(bytes, b"abcd");
    drop((vec, bytes));
    alloc.end_frame();
}

#[test]
fn it_compares_hashes_and_shows_itself_as_a_slice_does() {
    fn hash(value: &(impl Hash + ?Sized)) -> u64 {
        let mut hasher = DefaultHasher::new();
        value.hash(&mut hasher);
        hasher.finish()
    }
    let alloc = small();
    alloc.begin_frame();
    let [mut a, mut b] = [alloc.frame_vec(3), alloc.frame_vec(9)];
    a.extend(&[1, 2]);
    b.extend([1, 3]);
    assert!(a < b && a != b && a == [1, 2] && a == vec![1, 2] && a == *[1, 2].as_slice());
    assert_eq!(format!("{a:?}"), "[1, 2]");
    assert_eq!(hash(&a), hash(&[1, 2][..]));
    b[1] = 2;
    assert_eq!(a, b);
    assert_eq!((a.get(1), a.get(2), &a[..1]), (Some(&2), None, &[1][..]));
    assert_eq!(AsRef::<[i32]>::as_ref(&a).first(), a.first());
    drop((a, b));
    alloc.end_frame();
}

#[test]
fn values_of_a_vector_may_be_read_on_other_threads() {
    let alloc = small();
    alloc.begin_frame();
    let mut vec = alloc.frame_vec(4);
    vec.extend([1, 2, 3]);
    let sum = on_a_thread(|| vec.iter().sum::<i32>());
    assert_eq!(sum, 6);
    drop(vec);
    alloc.end_frame();
}

#[derive(Debug, Clone)]
enum Op {
    Push(u8),
    Pop,
    Insert(usize, u8),
    Remove(usize),
    SwapRemove(usize),
    Truncate(usize),
    Clear,
    /// Keeps what is greater, and panics after so many calls.
    Retain(u8, usize),
    Dedup,
    DedupByKey(u8),
    Drain(usize, usize, usize),
    Extend(Vec<u8>),
    ExtendFromSlice(Vec<u8>),
    Resize(usize, u8),
    Sort,
    IntoSliceAndBack,
    Rebuild(usize),
    EndFrame,
}

fn op() -> impl Strategy<Value = Op> {
    let at = 0..40_usize;
    let few = prop::collection::vec(0..6_u8, 0..8);
    prop_oneof![
        8 => (0..6_u8).prop_map(Op::Push),
        3 => Just(Op::Pop),
        4 => (at.clone(), 0..6_u8).prop_map(|(at, n)| Op::Insert(at, n)),
        3 => at.clone().prop_map(Op::Remove),
        3 => at.clone().prop_map(Op::SwapRemove),
        1 => at.clone().prop_map(Op::Truncate),
        1 => Just(Op::Clear),
        2 => (0..4_u8, 0..50_usize).prop_map(|(n, calls)| Op::Retain(n, calls)),
        1 => Just(Op::Dedup),
        1 => (1..4_u8).prop_map(Op::DedupByKey),
        2 => (at.clone(), at.clone(), at.clone()).prop_map(|(a, b, n)| Op::Drain(a, b, n)),
        3 => few.clone().prop_map(Op::Extend),
        3 => few.prop_map(Op::ExtendFromSlice),
        2 => (at.clone(), 0..6_u8).prop_map(|(len, n)| Op::Resize(len, n)),
        1 => Just(Op::Sort),
        1 => Just(Op::IntoSliceAndBack),
        1 => at.prop_map(Op::Rebuild),
        1 => Just(Op::EndFrame),
    ]
}

/// A number that counts how many of its kind live.
#[derive(Debug)]
pub struct Tracked<'c>(pub u8, &'c Cell<isize>);

impl<'c> Tracked<'c> {
    pub fn new(n: u8, live: &'c Cell<isize>) -> Self {
        live.set(live.get() + 1);
        Self(n, live)
    }
}

impl Clone for Tracked<'_> {
    fn clone(&self) -> Self {
        Self::new(self.0, self.1)
    }
}

impl Drop for Tracked<'_> {
    fn drop(&mut self) {
        self.1.set(self.1.get() - 1);
    }
}

impl PartialEq for Tracked<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

fn run(alloc: &SmartAlloc, capacity: usize, ops: &[Op]) {
    let live = Cell::new(0);
    let tracked = |n: u8| Tracked::new(n, &live);
    alloc.begin_frame();
    let mut ours = alloc.frame_vec::<Tracked>(capacity);
    let mut model: Vec<u8> = Vec::new();
    for op in ops {
        let room = ours.capacity() - model.len();
        match op {
            Op::Push(n) => match ours.try_push(tracked(*n)) {
                Ok(()) => model.push(*n),
                Err(back) => assert_eq!((back.0, room), (*n, 0)),
            },
            Op::Pop => assert_eq!(ours.pop().map(|value| value.0), model.pop()),
            Op::Insert(at, n) if room > 0 && *at <= model.len() => {
                ours.insert(*at, tracked(*n));
                model.insert(*at, *n);
            }
            Op::Insert(at, n) => {
                if room > 0 || *at % 2 == 0 {
                    panics(|| ours.insert(*at, tracked(*n)));
                }
            }
            Op::Remove(at) if *at < model.len() => {
                assert_eq!(ours.remove(*at).0, model.remove(*at));
            }
            Op::SwapRemove(at) if *at < model.len() => {
                assert_eq!(ours.swap_remove(*at).0, model.swap_remove(*at));
            }
            Op::Remove(at) => panics(|| ours.remove(*at)),
            Op::SwapRemove(at) => panics(|| ours.swap_remove(*at)),
            Op::Truncate(len) => {
                ours.truncate(*len);
                model.truncate(*len);
            }
            Op::Clear => {
                ours.clear();
                model.clear();
            }
            Op::Retain(least, calls) => {
                fn keep<'k>(
                    least: u8,
                    calls: usize,
                    called: &'k Cell<usize>,
                ) -> impl Fn(u8) -> bool + 'k {
                    move |n| {
                        assert!(called.replace(called.get() + 1) < calls);
                        n > least
                    }
                }
                let called = Cell::new(0);
                let kept = keep(*least, *calls, &called);
                let outcome = catch_unwind(AssertUnwindSafe(|| ours.retain(|value| kept(value.0))));
                let called = Cell::new(0);
                let kept = keep(*least, *calls, &called);
                let theirs = catch_unwind(AssertUnwindSafe(|| model.retain(|n| kept(*n))));
                assert_eq!(outcome.is_err(), theirs.is_err());
            }
            Op::Dedup => {
                ours.dedup();
                model.dedup();
            }
            Op::DedupByKey(divisor) => {
                ours.dedup_by_key(|value| value.0 / divisor);
                model.dedup_by_key(|n| *n / divisor);
            }
            Op::Drain(a, b, taken) => {
                let (start, end) = (*a.min(b), *a.max(b));
                if end > model.len() {
                    panics(|| drop(ours.drain(start..end)));
                    continue;
                }
                let drained: Vec<u8> = ours
                    .drain(start..end)
                    .take(*taken)
                    .map(|value| value.0)
                    .collect();
                assert!(model.drain(start..end).take(*taken).eq(drained));
            }
            Op::Extend(values) => {
                let rest = ours.try_extend(values.iter().map(|n| tracked(*n)));
                let (fits, over) = values.split_at(values.len().min(room));
                model.extend(fits);
                match rest {
                    Ok(()) => assert!(over.is_empty()),
                    Err(rest) => assert!(rest.map(|value| value.0).eq(over.iter().copied())),
                }
            }
            Op::ExtendFromSlice(values) => {
                let values: Vec<_> = values.iter().map(|n| tracked(*n)).collect();
                if values.len() <= room {
                    ours.extend_from_slice(&values);
                    model.extend(values.iter().map(|value| value.0));
                } else {
                    panics(|| ours.extend_from_slice(&values));
                }
            }
            Op::Resize(len, n) => {
                if *len <= ours.capacity() {
                    ours.resize(*len, tracked(*n));
                    model.resize(*len, *n);
                } else {
                    panics(|| ours.resize(*len, tracked(*n)));
                }
            }
            Op::Sort => {
                ours.sort_by_key(|value| value.0);
                model.sort();
            }
            Op::IntoSliceAndBack => {
                ours = FrameVec::from(ours.into_boxed_slice());
                assert_eq!(ours.capacity(), model.len());
            }
            Op::Rebuild(capacity) => {
                if !alloc.frame_is_open() {
                    alloc.begin_frame();
                }
                let mut fresh = alloc.frame_vec(*capacity);
                assert_eq!(fresh.extend_from_iter(ours), model.len().min(*capacity));
                model.truncate(*capacity);
                ours = fresh;
            }
            Op::EndFrame => {
                reported(|| alloc.try_end_frame().is_ok());
                busy_frames(alloc, 1);
                alloc.begin_frame();
            }
        }
        assert!(ours.iter().map(|value| value.0).eq(model.iter().copied()));
        assert_eq!(ours.remaining(), ours.capacity() - model.len());
        assert_eq!(live.get() as usize, model.len());
    }
    drop(ours);
    assert_eq!(live.get(), 0);
    reported(|| alloc.try_end_frame().is_ok());
    assert_eq!(retired(alloc), 0);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_sequence_of_operations_does_what_a_vec_does(
        capacity in 0..30_usize,
        ops in prop::collection::vec(op(), 1..120),
    ) {
        run(&small(), capacity, &ops);
    }
}

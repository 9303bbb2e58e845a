//! Handles: values that are found wherever compaction has moved them.

use std::collections::{HashMap, HashSet};
use std::marker::PhantomPinned;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Barrier, Mutex};
use std::thread;

use framealloc::tags::{TagId, TagScope, TagTotals};
use framealloc::{Handle, HandleAllocator, HandleError, HandleOptions, PinGuard, SmartAlloc};
use proptest::prelude::*;

use crate::common::*;
use crate::for_every_alignment;
use framealloc::diagnostics::DiagnosticCode::{FA401, FA405};

const SEGMENT: usize = 64 << 10;

/// Counts live values.
struct Live(Arc<AtomicUsize>);

impl Live {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Relaxed);
        Self(count.clone())
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

fn place<T: Send + Sync + 'static>(handles: &HandleAllocator, handle: Handle<T>) -> usize {
    address(&*handles.resolve(handle).unwrap())
}

/// Stores values, 64 bytes each, enough for so many segments, and returns what is left of each segment after `keep` has
/// decided by the segment's number and the value's number in it.
fn sparse(
    handles: &HandleAllocator,
    segments: usize,
    keep: impl Fn(usize, usize) -> bool,
) -> Vec<Vec<Handle<[u64; 8]>>> {
    let a_segment = SEGMENT / 64;
    let all: Vec<Vec<_>> = (0..segments)
        .map(|segment| {
            (0..a_segment)
                .map(|n| {
                    handles
                        .insert([(segment * a_segment + n) as u64; 8])
                        .unwrap()
                })
                .collect()
        })
        .collect();
    all.into_iter()
        .enumerate()
        .map(|(segment, values)| {
            let (kept, freed): (Vec<_>, Vec<_>) = values
                .into_iter()
                .enumerate()
                .partition(|(n, _)| keep(segment, *n));
            freed
                .into_iter()
                .for_each(|(_, handle)| handles.free(handle).unwrap());
            kept.into_iter().map(|(_, handle)| handle).collect()
        })
        .collect()
}

#[test]
fn the_example_of_the_tour_works_without_unsafe_code() {
    #[derive(Default)]
    struct MyData {
        hits: u32,
    }
    let allocator = HandleAllocator::new();
    let handle: Handle<MyData> = allocator.alloc().unwrap();
    allocator.resolve_mut(handle).unwrap().hits = 3;
    allocator.pin(handle);
    assert_eq!(allocator.stats().pinned_count, 1);
    allocator.unpin(handle);
    let relocations = allocator.defragment();
    assert_eq!(relocations as u64, allocator.relocation_count());
    assert_eq!(allocator.resolve(handle).unwrap().hits, 3);
    assert_eq!(
        (allocator.active_count(), allocator.total_allocated()),
        (1, 1)
    );
}

#[test]
fn compaction_moves_the_fewest_values_there_are_and_a_second_one_moves_none() {
    let handles = HandleAllocator::new();
    // 1 of 16 values stays in the first segments, ever more in the later ones.
    let kept = sparse(&handles, 12, |segment, n| n % 16 <= segment % 6);
    let live: usize = kept.iter().map(Vec::len).sum();
    let before: HashMap<_, _> = kept
        .iter()
        .flatten()
        .map(|h| (*h, place(&handles, *h)))
        .collect();
    let sparse_stats = handles.stats();
    assert_eq!(sparse_stats.segment_live_bytes, live * 64);

    let moves = handles.defragment();

    // As many segments stay as the values fill, and in them the segments that hold the most stay where they are.
    let stay = (live * 64).div_ceil(SEGMENT);
    let mut fill: Vec<_> = kept.iter().map(Vec::len).collect();
    fill.sort_unstable();
    let least: usize = fill[..fill.len() - stay].iter().sum();
    let moved = before
        .iter()
        .filter(|(h, at)| place(&handles, **h) != **at)
        .count();
    assert_eq!((moves, moved), (least, least));
    let stats = handles.stats();
    assert_eq!(stats.segment_bytes, stay * SEGMENT);
    assert_eq!(stats.segment_live_bytes, sparse_stats.segment_live_bytes);
    assert!(stats.fragmentation() < sparse_stats.fragmentation() / 2.0);
    assert_eq!(stats.relocation_count, moves as u64);
    for (segment, values) in kept.iter().enumerate() {
        for handle in values {
            let value = handles.resolve(*handle).unwrap();
            assert_eq!(value[0] as usize / (SEGMENT / 64), segment);
            assert!(value.iter().all(|word| *word == value[0]));
        }
    }
    assert_eq!(handles.defragment(), 0);
    assert_eq!(handles.stats(), stats);
}

#[test]
fn values_of_many_sizes_become_dense() {
    let handles = HandleAllocator::new();
    macro_rules! fill {
        ($($n:literal),*) => {{
            let mut kept: Vec<Box<dyn Fn(&HandleAllocator) -> bool>> = Vec::new();
            for round in 0..400_usize {
                $(
                    let handle = handles.insert([(round % 251) as u8; $n]).unwrap();
                    if round % 8 == $n % 8 {
                        kept.push(Box::new(move |handles| {
                            handles.resolve(handle).unwrap().iter().all(|b| *b == (round % 251) as u8)
                        }));
                    } else {
                        kept.push(Box::new(move |handles| {
                            !handles.is_valid(handle) || handles.free(handle).is_err()
                        }));
                    }
                )*
            }
            kept
        }};
    }
    let checks = fill!(1, 17, 100, 333, 1024, 4000, 16_384);
    // The first call of the checks frees seven of eight.
    checks.iter().for_each(|check| {
        check(&handles);
    });
    let before = handles.stats();
    assert!(before.fragmentation() > 0.5, "{before}");
    assert!(handles.defragment() > 0);
    let after = handles.stats();
    assert!(after.fragmentation() < 0.1, "{after}");
    assert_eq!(after.live_bytes, before.live_bytes);
    assert_eq!(handles.defragment(), 0);
    assert!(checks.iter().all(|check| check(&handles)));
}

#[test]
fn what_is_pinned_or_borrowed_or_fixed_stays_where_it_is() {
    let handles = HandleAllocator::new();
    let kept = sparse(&handles, 6, |_, n| n % 8 == 0);
    let [pinned, read, written] = [kept[0][3], kept[1][5], kept[2][7]];
    let at: Vec<_> = [pinned, read, written].map(|h| place(&handles, h)).into();
    assert!(handles.pin(pinned) && handles.pin(pinned));
    let reading = handles.resolve(read).unwrap();
    let writing = handles.resolve_mut(written).unwrap();
    handles.defragment();
    // Three segments stay because of one value each; everything else has room in them.
    assert_eq!(handles.stats().segment_bytes, 3 * SEGMENT);
    assert_eq!((address(&*reading), address(&*writing)), (at[1], at[2]));
    assert_eq!(place(&handles, pinned), at[0]);
    drop((reading, writing));
    assert!(handles.unpin(pinned));
    handles.defragment();
    assert_eq!(place(&handles, pinned), at[0], "it is pinned once more");
    assert_eq!(handles.stats().segment_bytes, SEGMENT);
    assert!(handles.unpin(pinned));
    assert_eq!(handles.defragment(), 0);

    let handles = HandleAllocator::new();
    let options = HandleOptions::new().relocatable(false);
    let fixed = handles.alloc_with_options([7u64; 8], options).unwrap();
    let at = place(&handles, fixed);
    // The fixed value is the first of the first segment, which loses all others.
    let rest = sparse(&handles, 3, |_, n| n % 8 == 1);
    rest[0]
        .iter()
        .for_each(|handle| handles.free(*handle).unwrap());
    assert!(handles.defragment() > 0);
    assert_eq!(place(&handles, fixed), at);
    assert_eq!(handles.stats().segment_bytes, SEGMENT);
    assert_eq!(
        handles.stats().relocatable_count,
        handles.active_count() - 1
    );
}

#[test]
fn pins_are_counted_and_a_pin_too_few_is_an_error() {
    let handles = HandleAllocator::new();
    let handle = handles.insert(1).unwrap();
    let (_, codes) = reported(|| {
        assert!(!handles.unpin(handle));
        assert_eq!(handles.try_unpin(handle), Err(HandleError::NotPinned));
    });
    assert_eq!(codes, [FA401; 2]);
    assert!(handles.pin(handle) && handles.pin(handle) && handles.unpin(handle));
    assert_eq!(handles.free(handle), Err(HandleError::Pinned));
    assert_eq!(handles.take(handle), Err(HandleError::Pinned));
    assert_eq!(handles.resolve_mut(handle).map(|value| *value), Ok(1));
    assert!(handles.unpin(handle));
    let mut pins = 0;
    let error = loop {
        match handles.try_pin(handle) {
            Ok(()) => pins += 1,
            Err(error) => break error,
        }
    };
    assert_eq!((pins, error), (4095, HandleError::TooManyBorrows));
    assert_eq!(handles.stats().pinned_count, 1);
    (0..pins).for_each(|_| assert!(handles.unpin(handle)));
    assert_eq!(handles.take(handle), Ok(1));
}

#[test]
fn a_pin_guard_keeps_a_value_in_place_and_lets_it_be_used() {
    let handles = HandleAllocator::new();
    let kept = sparse(&handles, 4, |_, n| n % 8 == 0);
    let handle = kept[2][0];
    let mut pinned = PinGuard::new(&handles, handle).unwrap();
    let at = pinned.as_ptr();
    pinned.get_mut().unwrap()[0] = 9;
    handles.defragment();
    assert_eq!(at as usize, place(&handles, handle));
    assert_eq!(pinned.get().unwrap()[0], 9);
    assert_eq!(pinned.handle(), handle);
    on_a_thread(move || drop(pinned));
    assert_eq!(handles.stats().pinned_count, 0);
    let (refused, codes) = reported(|| PinGuard::new(&handles, Handle::<u8>::dangling()).map(drop));
    assert_eq!((refused, codes), (Err(HandleError::Dangling), vec![FA401]));
}

#[test]
fn handles_of_freed_values_and_of_other_allocators_are_refused() {
    let (ours, theirs) = (HandleAllocator::new(), HandleAllocator::new());
    let handle = ours.insert(1u64).unwrap();
    let namesake = theirs.insert(2u64).unwrap();
    assert_eq!(
        (handle.raw_index(), handle.raw_generation()),
        (namesake.raw_index(), namesake.raw_generation())
    );
    assert_ne!(handle, namesake);
    let refusals = |handles: &HandleAllocator, handle, error| {
        let (_, codes) = reported(|| {
            assert!(!handles.is_valid(handle));
            assert_eq!(handles.resolve(handle).map(|value| *value), Err(error));
            assert_eq!(handles.resolve_mut(handle).map(|value| *value), Err(error));
            assert_eq!(handles.free(handle), Err(error));
            assert_eq!(handles.take(handle), Err(error));
            assert_eq!(handles.try_pin(handle), Err(error));
            assert!(!handles.unpin(handle));
        });
        assert_eq!(codes, [FA401; 6]);
    };
    refusals(&theirs, handle, HandleError::Foreign);
    refusals(&ours, Handle::default(), HandleError::Dangling);
    assert_eq!(*theirs.resolve(namesake).unwrap(), 2);

    ours.free(handle).unwrap();
    refusals(&ours, handle, HandleError::Freed);
    // The slot is used again, by a value that the old handle does not mean.
    let next = ours.insert(3u64).unwrap();
    assert_eq!(next.raw_index(), handle.raw_index());
    assert_ne!(next.raw_generation(), handle.raw_generation());
    refusals(&ours, handle, HandleError::Freed);
    assert_eq!(ours.take(next), Ok(3));
}

#[test]
fn handles_are_plain_values() {
    let handles = HandleAllocator::new();
    let handle = handles.insert(String::from("not copied")).unwrap();
    let copy = handle;
    assert_eq!(HashSet::from([handle, copy]).len(), 1);
    assert!(Handle::<u8>::default().is_dangling() && !handle.is_dangling());
    assert_eq!(
        format!("{:?}", Handle::<u8>::dangling()),
        "Handle(dangling)"
    );
    assert!(format!("{handle:?}").starts_with("Handle(0.0 of allocator "));
    assert_eq!(
        (
            size_of::<Handle<String>>(),
            size_of::<Option<Handle<String>>>()
        ),
        (16, 16)
    );
    // A handle is no `T`, and goes where a `T` may not.
    fn goes_anywhere<T: Send + Sync + 'static>(_: T) {}
    goes_anywhere(Handle::<std::rc::Rc<u8>>::dangling());
}

#[test]
fn readers_share_and_writers_do_not() {
    let handles = HandleAllocator::new();
    let handle = handles.insert(1).unwrap();
    let read = handles.resolve(handle).unwrap();
    let (_, codes) = reported(|| {
        assert_eq!(
            handles.resolve_mut(handle).unwrap_err(),
            HandleError::AlreadyBorrowed
        );
        assert_eq!(handles.free(handle), Err(HandleError::AlreadyBorrowed));
        assert_eq!(handles.take(handle).unwrap_err().code(), FA405);
    });
    assert_eq!(codes, [], "a collision is nothing to report");
    assert_eq!(*handles.resolve(handle).unwrap(), 1);
    drop(read);
    let mut write = handles.resolve_mut(handle).unwrap();
    *write += 1;
    assert_eq!(
        handles.resolve(handle).unwrap_err(),
        HandleError::AlreadyBorrowed
    );
    assert_eq!(format!("{write} {write:?}"), "2 2");
    drop(write);
    assert_eq!(handles.take(handle), Ok(2));
}

#[test]
fn values_drop_once_whichever_way_they_go() {
    let count = Arc::new(AtomicUsize::new(0));
    let alloc = SmartAlloc::with_defaults();
    let handles = alloc.handles();
    let all: Vec<_> = (0..300)
        .map(|_| handles.insert(Live::new(&count)).unwrap())
        .collect();
    let large = handles.insert((Live::new(&count), [0u8; 100_000])).unwrap();
    all[..100]
        .iter()
        .for_each(|handle| handles.free(*handle).unwrap());
    assert_eq!(count.load(Relaxed), 201);
    let taken: Vec<_> = all[100..200]
        .iter()
        .map(|handle| handles.take(*handle).unwrap())
        .collect();
    assert_eq!(count.load(Relaxed), 201);
    drop(taken);
    assert_eq!(count.load(Relaxed), 101);
    handles.free(large).unwrap();
    on_a_thread(move || drop(alloc));
    assert_eq!(count.load(Relaxed), 0);
}

#[test]
fn memory_is_charged_to_the_tag_of_the_time_and_goes_with_the_allocator() {
    let tag = TagId::from_path("handles::charged");
    let live = || TagTotals::capture().of(tag).heap.live_bytes();
    let handles = HandleAllocator::new();
    {
        let _scope = TagScope::enter(tag);
        sparse(&handles, 3, |_, n| n == 0);
        handles.insert([0u8; 100_000]).unwrap();
    }
    assert!(live() as usize >= 3 * SEGMENT + 100_000);
    handles.defragment();
    assert!((live() as usize) < 2 * SEGMENT + 100_000, "{}", live());
    drop(handles);
    assert_eq!(live(), 0);
}

#[test]
fn holes_are_used_again_before_segments_are_added() {
    let handles = HandleAllocator::new();
    let kept = sparse(&handles, 4, |_, n| n % 2 == 0);
    for _ in 0..4 * SEGMENT / 64 / 2 {
        handles.insert([0u64; 8]).unwrap();
    }
    assert_eq!(handles.stats().segment_bytes, 4 * SEGMENT);
    assert_eq!(handles.stats().fragmentation(), 0.0);
    assert_eq!(handles.defragment(), 0);
    drop(kept);
    // Also holes of the smallest size, and such as an alignment needs.
    let handles = HandleAllocator::new();
    let small: Vec<_> = (0..SEGMENT / 16)
        .map(|n| handles.insert(n).unwrap())
        .collect();
    small
        .iter()
        .step_by(2)
        .for_each(|handle| handles.free(*handle).unwrap());
    (0..small.len() / 2).for_each(|n| assert!(handles.insert(n).is_ok()));
    assert_eq!(handles.stats().segment_bytes, SEGMENT);
    let aligned: Vec<_> = (0..40_u8)
        .map(|n| handles.insert(A4K(n)).unwrap())
        .collect();
    let segments = handles.stats().segment_bytes;
    aligned
        .iter()
        .for_each(|handle| handles.free(*handle).unwrap());
    (0..40_u8).for_each(|n| assert!(handles.insert(A4K(n)).is_ok()));
    assert!(handles.stats().segment_bytes <= segments);
}

#[test]
fn an_allocator_that_was_emptied_gives_its_memory_back() {
    let handles = HandleAllocator::new();
    let kept = sparse(&handles, 5, |_, _| true);
    kept.iter()
        .flatten()
        .for_each(|handle| handles.free(*handle).unwrap());
    assert_eq!(
        handles.stats().segment_bytes,
        SEGMENT,
        "one is kept for what comes next"
    );
    assert_eq!(handles.defragment(), 0);
    assert_eq!(handles.stats().reserved_bytes(), 0);
    assert_eq!(handles.stats().fragmentation(), 0.0);
}

#[test]
fn every_alignment_is_kept_and_survives_moves() {
    with_a_large_stack(|| {
        let handles = HandleAllocator::new();
        macro_rules! check {
            ($t:ident) => {
                let all: Vec<_> = (0..120_u8)
                    .map(|n| {
                        (
                            handles.insert($t(n)).unwrap(),
                            handles.insert([n; 40]).unwrap(),
                        )
                    })
                    .collect();
                let kept: Vec<_> = all.iter().enumerate().filter(|(n, _)| n % 5 == 0).collect();
                for (n, (aligned, odd)) in all.iter().enumerate() {
                    if n % 5 != 0 {
                        handles.free(*aligned).unwrap();
                        handles.free(*odd).unwrap();
                    }
                }
                let moves = handles.defragment();
                assert!(moves > 0 || align_of::<$t>() < 1024 || align_of::<$t>() > 4096);
                for (n, (aligned, odd)) in kept {
                    let value = handles.resolve(*aligned).unwrap();
                    assert_eq!(address(&*value) % align_of::<$t>(), 0, stringify!($t));
                    assert_eq!(value.0 as usize, n);
                    assert_eq!(*handles.resolve(*odd).unwrap(), [n as u8; 40]);
                    drop(value);
                    handles.free(*aligned).unwrap();
                    handles.free(*odd).unwrap();
                }
            };
        }
        macro_rules! check_up_to_64_kib {
            ($t:ident) => {
                if align_of::<$t>() <= 64 << 10 {
                    check!($t);
                }
            };
        }
        for_every_alignment!(check_up_to_64_kib);
        assert!(handles.relocation_count() > 0);
        handles.insert(A1M(1)).unwrap();
    });
}

#[test]
fn values_without_a_size_take_nothing_and_are_dropped() {
    static DROPS: AtomicUsize = AtomicUsize::new(0);
    struct Nothing;
    impl Drop for Nothing {
        fn drop(&mut self) {
            DROPS.fetch_add(1, Relaxed);
        }
    }
    let handles = HandleAllocator::new();
    let all: Vec<_> = (0..100).map(|_| handles.insert(Nothing).unwrap()).collect();
    handles.resolve_mut(all[0]).unwrap();
    assert_eq!(
        (handles.defragment(), handles.stats().reserved_bytes()),
        (0, 0)
    );
    handles.free(all[3]).unwrap();
    std::mem::forget(handles.take(all[4]));
    drop(handles);
    assert_eq!(DROPS.load(Relaxed), 99);
}

#[test]
fn a_panicking_destructor_frees_its_place() {
    struct Bomb(#[expect(dead_code)] Live, bool);
    impl Drop for Bomb {
        fn drop(&mut self) {
            assert!(!self.1, "from a destructor");
        }
    }
    let count = Arc::new(AtomicUsize::new(0));
    let handles = HandleAllocator::new();
    for _ in 0..10 {
        let handle = handles.insert(Bomb(Live::new(&count), true)).unwrap();
        panics(|| handles.free(handle));
        assert!(!handles.is_valid(handle));
    }
    let stats = handles.stats();
    assert_eq!(
        (stats.active_handles, stats.total_slots, stats.live_bytes),
        (0, 1, 0)
    );
    let bombs: Vec<_> = (0..10)
        .map(|n| handles.insert(Bomb(Live::new(&count), n == 5)).unwrap())
        .collect();
    assert_eq!(bombs.len(), 10);
    let handles = Mutex::new(Some(handles));
    panics(|| drop(handles.lock().unwrap().take()));
    assert_eq!(count.load(Relaxed), 0);
}

#[test]
fn destructors_may_use_the_same_handles() {
    struct Heir(Arc<HandleAllocator>, Arc<AtomicUsize>);
    impl Drop for Heir {
        fn drop(&mut self) {
            let inner = self.0.insert([1u8; 500]).unwrap();
            self.0.defragment();
            self.0.free(inner).unwrap();
            self.1.fetch_add(1, Relaxed);
        }
    }
    let handles = Arc::new(HandleAllocator::new());
    let seen = Arc::new(AtomicUsize::new(0));
    let heirs: Vec<_> = (0..10)
        .map(|_| handles.insert(Heir(handles.clone(), seen.clone())).unwrap())
        .collect();
    heirs.iter().for_each(|heir| handles.free(*heir).unwrap());
    assert_eq!((seen.load(Relaxed), handles.active_count()), (10, 0));
}

/// What a value with a callback knows of itself.
struct Tracked {
    at: AtomicUsize,
    moves: AtomicUsize,
    _pinned: PhantomPinned,
}

#[test]
fn a_callback_sees_each_move_before_anybody_else() {
    let handles = Arc::new(HandleAllocator::new());
    let options = {
        let weak = Arc::downgrade(&handles);
        let own = Arc::new(Mutex::new(Vec::<Handle<Tracked>>::new()));
        let options = HandleOptions::new().on_relocation({
            let own = own.clone();
            move |value: &mut Tracked| {
                *value.at.get_mut() = address(value);
                *value.moves.get_mut() += 1;
                // No lock is held: the callback may store, compact, and be told that the value is in use.
                let handles = weak.upgrade().unwrap();
                let other = handles.insert(1).unwrap();
                handles.free(other).unwrap();
                assert!(own.lock().unwrap().iter().any(|handle| {
                    handles.resolve(*handle).err() == Some(HandleError::AlreadyBorrowed)
                }));
            }
        });
        (options, own)
    };
    let mut kept = Vec::new();
    for n in 0..3 * SEGMENT / 32 {
        let value = Tracked {
            at: AtomicUsize::new(0),
            moves: AtomicUsize::new(0),
            _pinned: PhantomPinned,
        };
        let handle = handles
            .alloc_with_options(value, options.0.clone())
            .unwrap();
        let mut value = handles.resolve_mut(handle).unwrap();
        *value.at.get_mut() = address(&*value);
        drop(value);
        kept.push((n, handle));
    }
    kept.retain(|(n, handle)| n % 9 == 0 || handles.free(*handle).is_err());
    *options.1.lock().unwrap() = kept.iter().map(|(_, handle)| *handle).collect();
    let moves = handles.defragment();
    assert!(moves > 0);
    let mut told = 0;
    for (_, handle) in &kept {
        let value = handles.resolve(*handle).unwrap();
        assert_eq!(value.at.load(Relaxed), address(&*value));
        told += value.moves.load(Relaxed);
    }
    assert_eq!(told, moves);
}

#[test]
fn a_panicking_callback_stops_no_other_and_leaves_the_values_usable() {
    let handles = HandleAllocator::new();
    let told = Arc::new(AtomicUsize::new(0));
    let options = HandleOptions::new().on_relocation({
        let told = told.clone();
        move |value: &mut [u64; 8]| {
            told.fetch_add(1, Relaxed);
            assert!(value[0] % 2 == 0, "from a callback");
        }
    });
    let all: Vec<_> = (0..2 * SEGMENT as u64 / 64)
        .map(|n| {
            handles
                .alloc_with_options([n / 16; 8], options.clone())
                .unwrap()
        })
        .collect();
    let kept: Vec<_> = all
        .iter()
        .enumerate()
        .filter(|(n, h)| n % 16 == 0 || handles.free(**h).is_err())
        .collect();
    panics(|| handles.defragment());
    assert_eq!(told.load(Relaxed) as u64, handles.relocation_count());
    assert_eq!(told.load(Relaxed), kept.len() / 2);
    for (n, handle) in kept {
        assert_eq!(*handles.resolve_mut(*handle).unwrap(), [n as u64 / 16; 8]);
    }
    assert_eq!(handles.defragment(), 0);
}

#[test]
fn steps_keep_to_their_limit_and_end_where_one_call_ends() {
    let handles = HandleAllocator::new();
    let kept = sparse(&handles, 8, |_, n| n % 8 == 0);
    let mut steps = 0;
    loop {
        let moves = handles.defragment_step(1000);
        assert!(moves <= 1000 / 64);
        if moves == 0 {
            break;
        }
        steps += 1;
    }
    assert!(steps > 40);
    assert_eq!(handles.stats().segment_bytes, SEGMENT);
    assert_eq!(handles.defragment(), 0);
    assert_eq!(
        handles.stats().active_handles as usize,
        kept.iter().map(Vec::len).sum::<usize>()
    );
    // A value larger than the limit moves alone, and no limit at all moves nothing.
    let handles = HandleAllocator::new();
    let all: Vec<_> = (0..12)
        .map(|n| handles.insert([n as u8; 16 << 10]).unwrap())
        .collect();
    all.iter()
        .enumerate()
        .filter(|(n, _)| n % 4 != 0)
        .for_each(|(_, h)| handles.free(*h).unwrap());
    assert_eq!(
        (
            handles.defragment_step(0),
            handles.defragment_step(1),
            handles.defragment_step(1)
        ),
        (0, 1, 1)
    );
    assert_eq!(
        (handles.defragment_step(1), handles.stats().segment_bytes),
        (0, SEGMENT)
    );
    assert!((0..3).all(|n| {
        handles
            .resolve(all[n * 4])
            .unwrap()
            .iter()
            .all(|b| *b as usize == n * 4)
    }));
}

#[test]
fn threads_resolve_while_another_compacts() {
    let handles = HandleAllocator::new();
    let done = AtomicBool::new(false);
    let kept: Vec<_> = sparse(&handles, 8, |_, n| n % 8 == 0)
        .into_iter()
        .flatten()
        .collect();
    let moved = AtomicU64::new(0);
    thread::scope(|scope| {
        for worker in 0..2 {
            let (handles, kept, done) = (&handles, &kept, &done);
            scope.spawn(move || {
                let mut n = worker;
                while !done.load(Relaxed) {
                    n = (n * 5 + 3) % kept.len();
                    // Nobody writes in a way that collides with reading: an error would be wrong.
                    let value = handles.resolve(kept[n]).unwrap();
                    assert!(value.iter().all(|word| *word == value[0]));
                }
            });
        }
        for round in 0..30_u64 {
            // New sparse segments, which compaction empties again.
            let more: Vec<_> = (0..SEGMENT / 64)
                .map(|_| handles.insert([round; 8]).unwrap())
                .collect();
            let (dead, alive): (Vec<_>, Vec<_>) =
                more.into_iter().enumerate().partition(|(n, _)| n % 4 != 0);
            dead.iter()
                .for_each(|(_, handle)| handles.free(*handle).unwrap());
            moved.fetch_add(handles.defragment() as u64, Relaxed);
            alive
                .iter()
                .for_each(|(_, handle)| handles.free(*handle).unwrap());
        }
        done.store(true, Relaxed);
    });
    assert!(moved.load(Relaxed) > 0);
    assert_eq!(handles.relocation_count(), moved.load(Relaxed));
}

#[test]
fn one_of_many_threads_frees_a_value() {
    let count = Arc::new(AtomicUsize::new(0));
    let handles = HandleAllocator::new();
    let start = Barrier::new(3);
    let all: Vec<_> = (0..300)
        .map(|_| handles.insert(Live::new(&count)).unwrap())
        .collect();
    let freed: usize = thread::scope(|scope| {
        let threads: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(|| {
                    start.wait();
                    reported(|| {
                        all.iter()
                            .filter(|handle| handles.free(**handle).is_ok())
                            .count()
                    })
                    .0
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .sum()
    });
    assert_eq!((freed, count.load(Relaxed)), (300, 0));
}

#[derive(Debug, Clone)]
enum Op {
    /// Stores a value of one of several sizes.
    Store(usize),
    Free(usize),
    Take(usize),
    Read(usize),
    EndRead(usize),
    Write(usize),
    EndWrite(usize),
    Pin(usize),
    Unpin(usize),
    Defragment,
    Step(usize),
    Check,
}

fn op() -> impl Strategy<Value = Op> {
    let any = any::<usize>();
    prop_oneof![
        20 => any.prop_map(Op::Store),
        12 => any.prop_map(Op::Free),
        2 => any.prop_map(Op::Take),
        4 => any.prop_map(Op::Read),
        4 => any.prop_map(Op::EndRead),
        3 => any.prop_map(Op::Write),
        4 => any.prop_map(Op::EndWrite),
        2 => any.prop_map(Op::Pin),
        3 => any.prop_map(Op::Unpin),
        1 => Just(Op::Defragment),
        1 => (0..5000_usize).prop_map(Op::Step),
        1 => Just(Op::Check),
    ]
}

/// What a value of any type is asked.
trait Value: Send + Sync + 'static {
    fn new(stamp: u64, live: Live) -> Self;
    fn set(&mut self, stamp: u64);
    fn holds(&self, stamp: u64) -> bool;
}

struct Words<const WORDS: usize>([u64; WORDS], #[expect(dead_code)] Live);

impl<const WORDS: usize> Value for Words<WORDS> {
    fn new(stamp: u64, live: Live) -> Self {
        Self([stamp; WORDS], live)
    }

    fn set(&mut self, stamp: u64) {
        self.0 = [stamp; WORDS];
    }

    fn holds(&self, stamp: u64) -> bool {
        self.0.iter().all(|word| *word == stamp) && address(self) % align_of::<Self>() == 0
    }
}

#[repr(align(256))]
struct Aligned(Words<3>);

impl Value for Aligned {
    fn new(stamp: u64, live: Live) -> Self {
        Self(Words::new(stamp, live))
    }

    fn set(&mut self, stamp: u64) {
        self.0.set(stamp);
    }

    fn holds(&self, stamp: u64) -> bool {
        self.0.holds(stamp) && address(self) % 256 == 0
    }
}

/// A handle of any of these types.
trait AnyHandle {
    fn free(&self, handles: &HandleAllocator) -> Result<(), HandleError>;
    fn take(&self, handles: &HandleAllocator, stamp: u64) -> Result<(), HandleError>;
    fn read<'a>(&self, handles: &'a HandleAllocator) -> Result<Box<dyn Check + 'a>, HandleError>;
    fn write<'a>(
        &self,
        handles: &'a HandleAllocator,
        stamp: u64,
    ) -> Result<Box<dyn Check + 'a>, HandleError>;
    fn pin(&self, handles: &HandleAllocator) -> Result<(), HandleError>;
    fn unpin(&self, handles: &HandleAllocator) -> Result<(), HandleError>;
    fn is_valid(&self, handles: &HandleAllocator) -> bool;
}

impl<T: Value> AnyHandle for Handle<T> {
    fn free(&self, handles: &HandleAllocator) -> Result<(), HandleError> {
        handles.free(*self)
    }

    fn take(&self, handles: &HandleAllocator, stamp: u64) -> Result<(), HandleError> {
        handles.take(*self).map(|value| assert!(value.holds(stamp)))
    }

    fn read<'a>(&self, handles: &'a HandleAllocator) -> Result<Box<dyn Check + 'a>, HandleError> {
        Ok(Box::new(handles.resolve(*self)?))
    }

    fn write<'a>(
        &self,
        handles: &'a HandleAllocator,
        stamp: u64,
    ) -> Result<Box<dyn Check + 'a>, HandleError> {
        let mut value = handles.resolve_mut(*self)?;
        value.set(stamp);
        Ok(Box::new(value))
    }

    fn pin(&self, handles: &HandleAllocator) -> Result<(), HandleError> {
        handles.try_pin(*self)
    }

    fn unpin(&self, handles: &HandleAllocator) -> Result<(), HandleError> {
        handles.try_unpin(*self)
    }

    fn is_valid(&self, handles: &HandleAllocator) -> bool {
        handles.is_valid(*self)
    }
}

/// A guard of any of these types.
trait Check {
    fn holds(&self, stamp: u64) -> bool;
    fn address(&self) -> usize;
}

impl<T: Value, G: std::ops::Deref<Target = T>> Check for G {
    fn holds(&self, stamp: u64) -> bool {
        Value::holds(&**self, stamp)
    }

    fn address(&self) -> usize {
        address(&**self)
    }
}

/// A value of the model.
struct Kept {
    handle: Box<dyn AnyHandle>,
    stamp: u64,
    alive: bool,
    readers: usize,
    written: bool,
    pins: usize,
    /// Where it was when it was pinned or borrowed first.
    at: usize,
}

impl Kept {
    fn in_use(&self) -> bool {
        self.readers > 0 || self.written
    }

    /// What the model says of freeing it.
    fn freed(&self) -> Result<(), HandleError> {
        match self {
            Self { alive: false, .. } => Err(HandleError::Freed),
            _ if self.in_use() => Err(HandleError::AlreadyBorrowed),
            _ if self.pins > 0 => Err(HandleError::Pinned),
            _ => Ok(()),
        }
    }
}

/// Runs operations beside a model of plain collections. `alone` tells whether nobody else uses the allocator.
fn run(handles: &HandleAllocator, ops: &[Op], salt: u64, alone: bool) {
    let count = Arc::new(AtomicUsize::new(0));
    let mut kept: Vec<Kept> = Vec::new();
    let mut reads: Vec<(usize, Box<dyn Check + '_>)> = Vec::new();
    let mut writes: Vec<(usize, Box<dyn Check + '_>)> = Vec::new();
    let mut stamp = salt << 32;
    for op in ops {
        stamp += 1;
        match *op {
            Op::Store(size) => {
                fn store<T: Value>(
                    handles: &HandleAllocator,
                    stamp: u64,
                    live: Live,
                ) -> Box<dyn AnyHandle> {
                    Box::new(handles.insert(T::new(stamp, live)).unwrap())
                }
                let store = match size % 8 {
                    0..3 => store::<Words<40>>,
                    3..5 => store::<Words<300>>,
                    5 => store::<Words<2500>>,
                    6 => store::<Aligned>,
                    _ => store::<Words<0>>,
                };
                kept.push(Kept {
                    handle: store(handles, stamp, Live::new(&count)),
                    stamp,
                    alive: true,
                    readers: 0,
                    written: false,
                    pins: 0,
                    at: 0,
                });
            }
            Op::Defragment => {
                let before = handles.relocation_count();
                let moves = handles.defragment();
                if alone {
                    assert_eq!(handles.relocation_count() - before, moves as u64);
                    assert_eq!(handles.defragment(), 0);
                }
            }
            Op::Step(bytes) => {
                handles.defragment_step(bytes);
            }
            Op::EndRead(r) if !reads.is_empty() => {
                let (index, guard) = reads.swap_remove(r % reads.len());
                assert!(guard.holds(kept[index].stamp));
                kept[index].readers -= 1;
            }
            Op::EndWrite(w) if !writes.is_empty() => {
                let (index, guard) = writes.swap_remove(w % writes.len());
                assert!(guard.holds(kept[index].stamp));
                kept[index].written = false;
            }
            Op::Free(n) | Op::Take(n) if !kept.is_empty() => {
                let index = n % kept.len();
                let value = &mut kept[index];
                let outcome = match op {
                    Op::Free(_) => value.handle.free(handles),
                    _ => value.handle.take(handles, value.stamp),
                };
                assert_eq!(outcome, value.freed());
                value.alive &= outcome.is_err();
            }
            Op::Read(n) | Op::Write(n) if !kept.is_empty() => {
                let index = n % kept.len();
                let value = &mut kept[index];
                let writes_it = matches!(op, Op::Write(_));
                let outcome = match op {
                    Op::Read(_) => value.handle.read(handles),
                    _ => value.handle.write(handles, stamp),
                };
                let expected = match value {
                    Kept { alive: false, .. } => Err(HandleError::Freed),
                    Kept { written: true, .. } => Err(HandleError::AlreadyBorrowed),
                    Kept { readers: 1.., .. } if writes_it => Err(HandleError::AlreadyBorrowed),
                    _ => Ok(()),
                };
                assert_eq!(outcome.as_ref().map(drop).map_err(|error| *error), expected);
                if let Ok(guard) = outcome {
                    if value.in_use() || value.pins > 0 {
                        assert!(
                            value.at == 0 || guard.address() == value.at,
                            "moved while in use"
                        );
                    }
                    value.at = guard.address();
                    if writes_it {
                        value.written = true;
                        value.stamp = stamp;
                        writes.push((index, guard));
                    } else {
                        assert!(guard.holds(value.stamp));
                        value.readers += 1;
                        reads.push((index, guard));
                    }
                }
            }
            Op::Pin(n) if !kept.is_empty() => {
                let index = n % kept.len();
                let value = &mut kept[index];
                let expected = value.alive.then_some(()).ok_or(HandleError::Freed);
                assert_eq!(value.handle.pin(handles), expected);
                if value.alive {
                    if value.pins == 0 && !value.in_use() {
                        // Wherever it is now, it stays.
                        value.at = value
                            .handle
                            .read(handles)
                            .map_or(0, |guard| guard.address());
                    }
                    value.pins += 1;
                }
            }
            Op::Unpin(n) if !kept.is_empty() => {
                let index = n % kept.len();
                let value = &mut kept[index];
                let expected = match value {
                    Kept { alive: false, .. } => Err(HandleError::Freed),
                    Kept { pins: 0, .. } => Err(HandleError::NotPinned),
                    _ => Ok(()),
                };
                assert_eq!(value.handle.unpin(handles), expected);
                value.pins -= usize::from(expected.is_ok());
            }
            Op::Check => {
                for value in &kept {
                    assert_eq!(value.handle.is_valid(handles), value.alive);
                    if let Ok(guard) = value.handle.read(handles) {
                        assert!(guard.holds(value.stamp));
                    }
                }
                let pinned = kept
                    .iter()
                    .filter(|value| value.alive && value.pins > 0)
                    .count();
                let stats = handles.stats();
                if alone {
                    assert_eq!(stats.pinned_count as usize, pinned);
                    assert_eq!(
                        stats.active_handles as usize,
                        kept.iter().filter(|v| v.alive).count()
                    );
                }
                assert!(stats.segment_live_bytes <= stats.segment_bytes);
            }
            _ => {}
        }
        assert_eq!(
            count.load(Relaxed),
            kept.iter().filter(|value| value.alive).count()
        );
    }
    drop((reads, writes));
    for value in &mut kept {
        (0..value.pins).for_each(|_| value.handle.unpin(handles).unwrap());
        if value.alive {
            value.handle.free(handles).unwrap();
        }
    }
    assert_eq!(count.load(Relaxed), 0);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_sequence_of_operations_agrees_with_a_plain_model(ops in prop::collection::vec(op(), 1..800)) {
        let handles = HandleAllocator::new();
        reported(|| run(&handles, &ops, 0, true));
        handles.defragment();
        prop_assert_eq!(handles.stats().reserved_bytes(), 0);
    }

    #[test]
    fn threads_with_values_of_their_own_do_not_disturb_each_other(
        sequences in prop::collection::vec(prop::collection::vec(op(), 1..300), 3)
    ) {
        let handles = HandleAllocator::new();
        thread::scope(|scope| {
            for (salt, ops) in sequences.iter().enumerate() {
                let handles = &handles;
                scope.spawn(move || reported(|| run(handles, ops, salt as u64, false)));
            }
        });
        handles.defragment();
        let stats = handles.stats();
        prop_assert_eq!((stats.reserved_bytes(), stats.active_handles, stats.pinned_count), (0, 0, 0));
    }
}

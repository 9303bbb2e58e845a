//! What `defragment` moves, what it leaves, and what others see of it.

use std::collections::HashMap;
use std::marker::PhantomPinned;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::thread;

use framealloc::{Handle, HandleAllocator, HandleError, HandleOptions};

use super::{SEGMENT, place, sparse};
use crate::common::*;

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
            assert!(value[0].is_multiple_of(2), "from a callback");
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

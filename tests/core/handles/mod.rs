//! Handles: values that are found wherever compaction has moved them.

mod compaction;
mod model;

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Barrier, Mutex};
use std::thread;

use framealloc::tags::{TagId, TagScope, TagTotals};
use framealloc::{
    AllocConfig, DiagnosticCode, Handle, HandleAllocator, HandleError, PinGuard, SmartAlloc,
};

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
    assert_eq!(codes, [FA405; 3]);
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
fn what_a_budget_refuses_comes_back_and_changes_nothing() {
    let config = AllocConfig::minimal().with_budgets(true);
    let alloc = SmartAlloc::new(config.with_memory_limit(100 << 10));
    let handles = alloc.handles();
    let handle = handles.insert([1u64; 8]).unwrap();
    let before = handles.stats();
    let (_, codes) = reported(|| {
        // One segment fits the limit, and neither a second nor a large value does.
        let refused = handles.insert([2u8; 50 << 10]).unwrap_err();
        assert!(refused.value.iter().all(|byte| *byte == 2));
        assert!(matches!(refused.error, HandleError::Alloc(error) if error.kind().is_budget()));
        assert_eq!(handles.stats(), before);
        let fitting: Vec<_> = std::iter::from_fn(|| handles.insert([3u64; 128]).ok()).collect();
        assert_eq!(fitting.len(), SEGMENT / 1024 - 1);
        assert_eq!(handles.active_count() as usize, fitting.len() + 1);
        fitting
            .iter()
            .for_each(|handle| handles.free(*handle).unwrap());
    });
    assert!(codes.contains(&DiagnosticCode::FA301));
    assert_eq!(*handles.resolve(handle).unwrap(), [1; 8]);
    assert!(handles.insert([4u64; 128]).is_ok());
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

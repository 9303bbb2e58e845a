//! Groups: what lies in them lives until the group is freed, and not longer, but for what is borrowed at that moment.

mod model;

use std::alloc::Layout;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Barrier, Mutex};
use std::thread;

use framealloc::tags::{TagId, TagScope, TagTotals};
use framealloc::{
    AllocConfig, GroupAllocator, GroupError, GroupHandle, GroupId, GroupRef, NotStored, SmartAlloc,
};

use crate::common::*;
use crate::for_every_alignment;
use framealloc::diagnostics::DiagnosticCode::{FA301, FA404, FA405};

/// Writes its number down when it drops.
#[derive(Debug)]
struct Noted(usize, Arc<Mutex<Vec<usize>>>);

impl Drop for Noted {
    fn drop(&mut self) {
        self.1.lock().unwrap().push(self.0);
    }
}

/// Counts live values.
struct Live(Arc<AtomicUsize>, u64);

impl Live {
    fn new(count: &Arc<AtomicUsize>, stamp: u64) -> Self {
        count.fetch_add(1, Relaxed);
        Self(count.clone(), stamp)
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

#[test]
fn the_example_of_a_level_works_as_it_is_written() {
    let alloc = SmartAlloc::with_defaults();
    let groups = alloc.groups();
    let level_group = groups.create_group("level_1_assets");
    let drops = Arc::new(Mutex::new(Vec::new()));
    groups.alloc_val(level_group, Noted(0, drops.clone()));
    groups.alloc_val(level_group, vec![1u8; 10_000]);
    groups.alloc_val(level_group, "audio");
    assert_eq!(groups.group_name(level_group).unwrap(), "level_1_assets");
    assert_eq!(groups.group_count(level_group), 3);
    groups.free_group(level_group);
    assert_eq!(*drops.lock().unwrap(), [0]);
    assert!(!groups.group_exists(level_group));
}

#[test]
fn values_drop_once_and_newest_first() {
    let groups = GroupAllocator::new();
    let group = groups.create_group("order");
    let drops = Arc::new(Mutex::new(Vec::new()));
    for n in 0..1000 {
        groups.alloc_val(group, Noted(n, drops.clone()));
    }
    let freed = groups.free_group(group);
    assert_eq!(freed.values, 1000);
    assert_eq!(freed.bytes, 1000 * size_of::<Noted>());
    assert!((0..1000).rev().eq(drops.lock().unwrap().iter().copied()));
}

#[test]
fn a_group_freed_while_a_value_is_borrowed_keeps_that_value_readable() {
    let groups = GroupAllocator::new();
    let group = groups.create_group("level");
    let drops = Arc::new(Mutex::new(Vec::new()));
    let values: Vec<_> = (0..3)
        .map(|n| groups.alloc_val(group, Noted(n, drops.clone())))
        .collect();
    let first = values[1].read().unwrap();
    let second = values[1].read().unwrap();
    groups.free_group(group);
    assert_eq!(*drops.lock().unwrap(), [2, 0]);
    assert_eq!((first.0, second.0), (1, 1));
    assert_eq!(values[1].read().unwrap_err(), GroupError::Freed);
    drop(first);
    assert_eq!(second.0, 1);
    assert_eq!(*drops.lock().unwrap(), [2, 0]);
    drop(second);
    assert_eq!(*drops.lock().unwrap(), [2, 0, 1]);
    assert!(values.iter().all(|value| !value.is_live()));
}

#[test]
fn a_group_freed_while_a_value_is_written_keeps_that_value_writable() {
    let drops = Arc::new(Mutex::new(Vec::new()));
    let groups = GroupAllocator::new();
    let group = groups.create_group("level");
    let value = groups.alloc_val(group, Noted(5, drops.clone()));
    let mut guard = value.write().unwrap();
    groups.free_group(group);
    guard.0 = 6;
    drop(groups);
    assert!(drops.lock().unwrap().is_empty());
    drop(guard);
    assert_eq!(*drops.lock().unwrap(), [6]);
}

#[test]
fn memory_goes_with_the_group_but_for_what_is_borrowed() {
    let tag = TagId::from_path("groups::memory");
    let live = || TagTotals::capture().of(tag).heap.live_bytes();
    let groups = GroupAllocator::new();
    let _scope = TagScope::enter(tag);
    let group = groups.create_group("level");
    let big = groups.alloc_slice::<u8>(group, 1 << 20);
    let small = groups.alloc_val(group, 7u64);
    assert!(live() > 1 << 20);
    let guard = small.read().unwrap();
    groups.free_group(group);
    // The chunk of the small value, and the bookkeeping for references.
    assert!((1..64 << 10).contains(&live()), "{}", live());
    assert_eq!(*guard, 7);
    drop(guard);
    drop((small, big));
    assert_eq!(live(), 0);
}

#[test]
fn memory_is_charged_to_the_tag_of_the_time_and_freed_for_it_elsewhere() {
    let tag = TagId::from_path("groups::charged");
    let before = TagTotals::capture();
    let groups = GroupAllocator::new();
    let group = groups.create_group("level");
    {
        let _scope = TagScope::enter(tag);
        groups.alloc_slice::<u64>(group, 100_000);
    }
    let held = TagTotals::capture().since(&before).of(tag).heap;
    assert!(held.bytes >= 800_000);
    on_a_thread(move || drop(groups));
    let held = TagTotals::capture().since(&before).of(tag).heap;
    assert_eq!(held.live_bytes(), 0);
}

#[test]
fn ids_of_freed_groups_and_of_other_allocators_are_refused() {
    let (ours, theirs) = (GroupAllocator::new(), GroupAllocator::new());
    let group = ours.create_group("ours");
    let namesake = theirs.create_group("theirs");
    theirs.alloc_val(namesake, 1);
    let ((), codes) = reported(|| {
        let NotStored { value, error } = theirs
            .try_alloc_val(group, String::from("back"))
            .unwrap_err();
        assert_eq!(
            (value.as_str(), error),
            ("back", GroupError::Unknown(group))
        );
        assert_eq!(theirs.free_group(group).values, 0);
        assert_eq!(
            theirs.try_free_group(group),
            Err(GroupError::Unknown(group))
        );
        assert_eq!(
            theirs
                .alloc_layout(group, Layout::new::<u8>())
                .unwrap_err()
                .code(),
            FA404
        );
        assert!(theirs.handle(group).is_err());
        let NotStored { value, .. } = theirs.try_alloc_vec(group, vec![1, 2]).unwrap_err();
        assert_eq!(value, [1, 2]);
        panics(|| theirs.alloc_val(group, 1));
    });
    assert_eq!(codes, [FA404; 7]);
    assert_eq!(theirs.group_count(namesake), 1);
    assert_eq!(
        (
            theirs.group_size(group),
            theirs.group_count(group),
            theirs.group_name(group)
        ),
        (0, 0, None)
    );

    ours.free_group(group);
    let next = ours.create_group("next");
    assert_ne!(next, group);
    let (refused, codes) = reported(|| ours.try_alloc_val(group, 1));
    assert_eq!(refused.unwrap_err().error, GroupError::Unknown(group));
    assert_eq!(codes, [FA404]);
    assert_eq!(
        (ours.group_count(next), ours.group_exists(group)),
        (0, false)
    );
}

#[test]
fn an_error_says_what_happened_and_what_to_do() {
    let groups = GroupAllocator::new();
    let group = groups.create_group("level");
    groups.free_group(group);
    let (refused, _) = reported(|| groups.try_alloc_val(group, 1));
    let text = refused.unwrap_err().to_string();
    assert!(
        text.starts_with("[FA404] group 0.0 of allocator "),
        "{text}"
    );
    assert!(
        text.ends_with("create the group first, and free it last"),
        "{text}"
    );
    let boxed: Box<dyn std::error::Error> = Box::new(GroupError::AlreadyBorrowed);
    assert!(boxed.to_string().starts_with("[FA405]"));
}

#[test]
fn readers_share_and_writers_do_not() {
    let groups = GroupAllocator::new();
    let value = groups.alloc_val(groups.create_group("rules"), 1);
    let read = value.read().unwrap();
    let (_, codes) = reported(|| {
        assert_eq!(value.write().unwrap_err(), GroupError::AlreadyBorrowed);
        assert_eq!(value.with(|value| *value), Ok(1));
    });
    assert_eq!(codes, [FA405]);
    drop(read);
    let mut write = value.write().unwrap();
    *write += 1;
    let (_, codes) = reported(|| {
        assert_eq!(value.read().unwrap_err().code(), FA405);
        let clone = value.clone();
        assert_eq!(clone.write().unwrap_err(), GroupError::AlreadyBorrowed);
        assert_eq!(
            format!("{value:?} {write:?} {write}"),
            "GroupRef(<borrowed>) 2 2"
        );
    });
    assert_eq!(codes, [FA405; 2]);
    drop(write);
    assert_eq!(format!("{value:?}"), "GroupRef(2)");
    assert!(value.same(&value.clone()));
}

#[test]
fn more_guards_than_can_be_counted_are_an_error_and_not_an_overflow() {
    let groups = GroupAllocator::new();
    let group = groups.create_group("crowded");
    let count = Arc::new(AtomicUsize::new(0));
    let value = groups.alloc_val(group, Live::new(&count, 0));
    let mut guards = Vec::new();
    let error = loop {
        match value.read() {
            Ok(guard) => guards.push(guard),
            Err(error) => break error,
        }
    };
    assert_eq!((error, guards.len()), (GroupError::TooManyBorrows, 65_535));
    groups.free_group(group);
    assert_eq!(count.load(Relaxed), 1);
    drop(guards);
    assert_eq!(count.load(Relaxed), 0);
}

#[test]
fn every_alignment_is_kept() {
    with_a_large_stack(|| {
        let groups = GroupAllocator::new();
        let group = groups.create_group("aligned");
        macro_rules! check {
            ($t:ident) => {
                for n in 0..3_u8 {
                    groups.alloc_val(group, n);
                    let value = groups.alloc_val(group, $t(n));
                    let value = value.read().unwrap();
                    assert_eq!(address(&*value) % align_of::<$t>(), 0, stringify!($t));
                    assert_eq!(value.0, n);
                }
                let slice = groups.alloc_slice::<$t>(group, 3);
                let slice = slice.read().unwrap();
                assert_eq!(address(&slice[0]) % align_of::<$t>(), 0);
                assert!(slice.iter().all(|value| value.0 == 0xA5));
            };
        }
        for_every_alignment!(check);
        let layout = Layout::from_size_align(10_000, 8192).unwrap();
        let bytes = groups.alloc_layout(group, layout).unwrap();
        let bytes = bytes.read().unwrap();
        assert_eq!((bytes.len(), address(&*bytes) % 8192), (10_000, 0));
        assert!(bytes.iter().all(|byte| *byte == 0));
    });
}

#[test]
fn values_without_a_size_are_counted_and_dropped_and_take_nothing() {
    static DROPS: AtomicUsize = AtomicUsize::new(0);
    #[derive(Default)]
    struct Nothing;
    impl Drop for Nothing {
        fn drop(&mut self) {
            DROPS.fetch_add(1, Relaxed);
        }
    }
    let groups = GroupAllocator::new();
    let group = groups.create_group("nothing");
    groups.alloc::<Nothing>(group);
    let slice = groups.alloc_slice::<Nothing>(group, 5);
    assert_eq!(slice.read().unwrap().len(), 5);
    groups.alloc_slice::<u64>(group, 0);
    groups.alloc_layout(group, Layout::new::<()>()).unwrap();
    assert_eq!(
        (groups.group_count(group), groups.group_size(group)),
        (4, 0)
    );
    assert_eq!(groups.stats().reserved_bytes, 0);
    assert_eq!(groups.free_group(group).values, 4);
    assert_eq!(DROPS.load(Relaxed), 6);
}

#[test]
fn absurd_sizes_are_errors_and_change_nothing() {
    let groups = GroupAllocator::new();
    let group = groups.create_group("absurd");
    let before = groups.stats();
    for (size, align) in [
        (isize::MAX as usize - 8191, 8192),
        ((1 << 47) - 1, 1),
        (isize::MAX as usize, 1),
    ] {
        let layout = Layout::from_size_align(size, align).unwrap();
        let (refused, codes) = reported(|| groups.alloc_layout(group, layout));
        let error = refused.unwrap_err();
        assert!(matches!(error, GroupError::Alloc(_)), "{error}");
        assert_eq!(codes, [error.code()]);
    }
    assert_eq!(groups.stats(), before);
    assert_eq!(*groups.alloc_val(group, 3).read().unwrap(), 3);
}

#[test]
fn what_a_budget_refuses_comes_back_and_changes_nothing() {
    let config = AllocConfig::minimal().with_budgets(true);
    let alloc = SmartAlloc::new(config.with_memory_limit(32 << 10));
    let groups = alloc.groups();
    let group = groups.create_group("budgeted");
    groups.alloc_val(group, 1u64);
    let before = groups.stats();
    let (refused, codes) = reported(|| groups.try_alloc_vec(group, vec![2u8; 40 << 10]));
    let NotStored { value, error } = refused.unwrap_err();
    assert_eq!((value.len(), codes), (40 << 10, vec![FA301]));
    assert!(matches!(error, GroupError::Alloc(error) if error.kind().is_budget()));
    assert_eq!(groups.stats(), before);
    groups.alloc_val(group, 3u64);
    // What was freed may be used again.
    groups.free_group(group);
    let group = groups.create_group("next");
    assert!(groups.try_alloc_vec(group, vec![2u8; 20 << 10]).is_ok());
}

#[test]
fn a_panicking_destructor_stops_no_other_and_frees_the_group() {
    struct Bomb(Noted, bool);
    impl Drop for Bomb {
        fn drop(&mut self) {
            assert!(!self.1, "from destructor {}", self.0.0);
        }
    }
    let tag = TagId::from_path("groups::bombs");
    let _scope = TagScope::enter(tag);
    let drops = Arc::new(Mutex::new(Vec::new()));
    let groups = GroupAllocator::new();
    let fill = || {
        let group = groups.create_group("bombs");
        for n in 0..6 {
            groups.alloc_val(group, Bomb(Noted(n, drops.clone()), n % 2 == 1));
        }
        group
    };
    let group = fill();
    panics(|| groups.free_group(group));
    assert_eq!(*drops.lock().unwrap(), [5, 4, 3, 2, 1, 0]);
    assert_eq!(TagTotals::capture().of(tag).heap.live_bytes(), 0);
    // Two groups of them, when the allocator goes.
    drops.lock().unwrap().clear();
    fill();
    fill();
    let groups = Mutex::new(Some(groups));
    panics(|| drop(groups.lock().unwrap().take()));
    assert_eq!(drops.lock().unwrap().len(), 12);
    assert_eq!(TagTotals::capture().of(tag).heap.live_bytes(), 0);
}

#[test]
fn destructors_and_constructors_may_use_the_same_groups() {
    struct Heir(Arc<GroupAllocator>, GroupId, GroupId, Arc<AtomicUsize>);
    impl Drop for Heir {
        fn drop(&mut self) {
            let Self(groups, own, other, seen) = self;
            // The group that is being freed is unknown by now, and the others work.
            let (refused, _) = reported(|| groups.try_alloc_val(*own, 1));
            assert!(refused.is_err());
            let fresh = groups.create_group("from a destructor");
            groups.alloc_val(fresh, 2);
            groups.alloc_val(*other, 3);
            groups.free_group(fresh);
            seen.fetch_add(1, Relaxed);
        }
    }
    let groups = Arc::new(GroupAllocator::new());
    let (own, other) = (groups.create_group("own"), groups.create_group("other"));
    let seen = Arc::new(AtomicUsize::new(0));
    for _ in 0..10 {
        groups.alloc_val(own, Heir(groups.clone(), own, other, seen.clone()));
    }
    groups.free_group(own);
    assert_eq!((seen.load(Relaxed), groups.group_count(other)), (10, 10));
    // An iterator that stores while it is collected.
    let slice = groups.alloc_slice_from_iter(
        other,
        (0..5).map(|n| *groups.alloc_val(other, n).read().unwrap()),
    );
    assert_eq!(*slice.read().unwrap(), [0, 1, 2, 3, 4]);
    assert_eq!(groups.group_count(other), 16);
}

#[test]
fn a_constructor_that_panics_leaves_the_group_as_it_was() {
    let groups = GroupAllocator::new();
    let group = groups.create_group("half");
    let count = Arc::new(AtomicUsize::new(0));
    panics(|| {
        groups.alloc_slice_from_iter(
            group,
            (0..10).map(|n| {
                assert!(n < 7);
                Live::new(&count, n)
            }),
        )
    });
    assert_eq!((count.load(Relaxed), groups.group_count(group)), (0, 0));
}

#[test]
fn everything_drops_with_the_allocator() {
    let count = Arc::new(AtomicUsize::new(0));
    let alloc = SmartAlloc::with_defaults();
    let kept = {
        let groups = alloc.groups();
        let (a, b) = (groups.create_group("a"), groups.create_group("b"));
        for n in 0..100 {
            groups.alloc_val(a, Live::new(&count, n));
        }
        groups.alloc_val(b, Live::new(&count, 0))
    };
    let clone = alloc.clone();
    drop(alloc);
    assert_eq!(count.load(Relaxed), 101);
    drop(clone);
    assert_eq!(count.load(Relaxed), 0);
    assert_eq!(kept.read().err(), Some(GroupError::Freed));
}

#[test]
fn values_that_refer_to_their_own_group_are_no_cycle_once_it_is_freed() {
    let count = Arc::new(AtomicUsize::new(0));
    type Ring = Mutex<Option<GroupRef<(Live, Mutex<Option<GroupRef<Live>>>)>>>;
    let groups = GroupAllocator::new();
    let group = groups.create_group("ring");
    let leaf = groups.alloc_val(group, Live::new(&count, 1));
    let node = groups.alloc_val(group, (Live::new(&count, 2), Mutex::new(Some(leaf))));
    let ring: GroupRef<Ring> = groups.alloc_val(group, Mutex::new(Some(node)));
    drop(ring);
    assert_eq!(groups.free_group(group).values, 3);
    assert_eq!(count.load(Relaxed), 0);
}

#[test]
fn a_handle_is_its_group() {
    let groups = GroupAllocator::new();
    let handle = groups.handle(groups.create_group("ui")).unwrap();
    handle.alloc_val(1u64);
    handle.alloc_slice::<u32>(4);
    assert_eq!(*handle.alloc::<u64>().read().unwrap(), 0);
    assert_eq!((handle.count(), handle.size()), (3, 32));
    let same = GroupHandle::new(&groups, handle.id());
    assert_eq!(same.free_all().values, 3);
    let (freed, codes) = reported(|| handle.free_all());
    assert_eq!((freed.values, codes), (0, vec![FA404]));
    let stats = groups.stats();
    assert_eq!(
        (
            stats.total_groups,
            stats.total_allocations,
            stats.total_bytes
        ),
        (0, 0, 0)
    );
}

#[test]
fn many_small_values_lie_in_a_handful_of_chunks() {
    let tag = TagId::from_path("groups::chunks");
    let before = TagTotals::capture();
    let _scope = TagScope::enter(tag);
    let groups = GroupAllocator::new();
    let group = groups.create_group("small");
    let values: Vec<_> = (0..20_000u64).map(|n| groups.alloc_val(group, n)).collect();
    let heap = TagTotals::capture().since(&before).of(tag).heap;
    assert!(heap.allocs < 25, "{} blocks for 20,000 values", heap.allocs);
    assert!(
        values
            .iter()
            .enumerate()
            .all(|(n, value)| *value.read().unwrap() == n as u64)
    );
    let stats = groups.stats();
    assert_eq!(stats.total_bytes, 160_000);
    assert!(stats.reserved_bytes < 2 * stats.total_bytes);
}

#[test]
fn threads_store_and_read_while_others_free() {
    let count = Arc::new(AtomicUsize::new(0));
    let groups = GroupAllocator::new();
    for round in 0..20 {
        let group = groups.create_group("shared");
        let seeds: Vec<_> = (0..50)
            .map(|n| groups.alloc_val(group, Live::new(&count, n)))
            .collect();
        let start = Barrier::new(4);
        thread::scope(|scope| {
            for worker in 0..3 {
                let (groups, count, seeds, start) = (&groups, &count, &seeds, &start);
                scope.spawn(move || {
                    start.wait();
                    reported(|| {
                        for n in 0..200_u64 {
                            let seed = &seeds[(n as usize * 7 + worker) % seeds.len()];
                            match seed.read() {
                                Ok(value) => assert!(value.1 < 50),
                                Err(error) => assert_ne!(error, GroupError::TooManyBorrows),
                            }
                            if let Ok(mut value) = seed.write() {
                                value.1 = n % 50;
                            }
                            let _ = groups.try_alloc_val(group, Live::new(count, n));
                        }
                    })
                });
            }
            start.wait();
            for _ in 0..round * 10 {
                thread::yield_now();
            }
            groups.free_group(group);
        });
        assert_eq!(count.load(Relaxed), 0);
    }
}

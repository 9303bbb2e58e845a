//! Scratch pools: named memory that outlives frames.

mod model;

use std::cell::Cell;
use std::collections::HashSet;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Barrier, OnceLock};
use std::thread;

use framealloc::diagnostics::{self, DiagnosticCode};
use framealloc::tags::{TagId, TagTotals};
use framealloc::{
    AllocErrorKind, AllocationTag, ScratchBox, ScratchPool, ScratchRegistry, SmartAlloc,
};

use crate::common::*;
use crate::for_every_alignment;

const FA403: DiagnosticCode = DiagnosticCode::FA403;

/// Cost, and where from.
type PathNode = [u32; 2];

#[test]
fn a_pool_keeps_its_values_across_frames_and_is_reset_when_they_are_gone() {
    let alloc = small();
    let pool = alloc.scratch_pool("pathfinding");
    let mut nodes = pool.alloc::<[PathNode; 1024]>().zeroed();
    nodes[1023] = [5, 7];
    busy_frames(&alloc, 3);
    assert_eq!(nodes[1023], [5, 7]);
    assert_eq!(pool.allocated(), 1024 * 8);
    drop(nodes);
    let ((), codes) = reported(|| pool.reset());
    assert_eq!(codes, []);
    assert_eq!(pool.allocated(), 0);
}

#[test]
fn a_reset_while_a_box_lives_is_refused_and_changes_nothing() {
    let alloc = small();
    let pool = alloc.scratch_pool("pathfinding");
    let nodes = pool.alloc::<[PathNode; 1024]>().zeroed();
    let label = pool.alloc_box(*b"label");
    let ((), reports) = diagnostics::capture(|| pool.reset());
    assert_eq!(codes(&reports), [FA002]);
    assert_eq!(
        reports[0].message,
        "scratch pool `pathfinding` was not reset: 2 boxes with 8197 bytes of it are still in use"
    );
    let before = address(&*nodes)..address(&*nodes) + size_of_val(&*nodes);
    let more = pool.alloc_slice_fill(3000, 0xEE_u8);
    assert!(!before.contains(&address(&*more)), "live memory was reused");
    assert_eq!(*nodes, [[0; 2]; 1024]);
    let error = pool.try_reset().unwrap_err();
    assert_eq!((error.pool, error.boxes), ("pathfinding", 3));
    assert_eq!(error.bytes, 8192 + 5 + 3000);
    assert_eq!(error.code(), FA002);
    assert_eq!(&*label, b"label");
    drop((nodes, label, more));
    pool.try_reset().unwrap();
}

#[test]
fn a_reset_makes_the_same_memory_free_again() {
    let pool = ScratchPool::new("reused", 64 << 10);
    let first = address(&*pool.alloc_box([1_u64; 100]));
    pool.reset();
    assert_eq!(address(&*pool.alloc_box([2_u64; 100])), first);
}

#[test]
fn dropped_memory_is_not_reused_before_the_reset() {
    let pool = ScratchPool::new("kept", 4 << 10);
    let first = address(&*pool.alloc_box(1_u64));
    assert_ne!(address(&*pool.alloc_box(2_u64)), first);
    assert_eq!(pool.allocated(), 16);
}

#[test]
fn after_a_reset_one_chunk_of_the_size_that_was_used_replaces_many() {
    let alloc = SmartAlloc::new(minimal().with_scratch_pool_size(4 << 10));
    let tag = TagId::from_path("scratch_chunks");
    let round = |alloc: &SmartAlloc| {
        let before = TagTotals::capture();
        let boxes: Vec<_> = (0..1000)
            .map(|n| alloc.scratch_pool("level").alloc_box([n; 32]))
            .collect();
        assert!((0..1000).all(|n| *boxes[n] == [n; 32]));
        TagTotals::capture().since(&before).of(tag).heap.allocs
    };
    alloc.with_tag("scratch_chunks", |alloc| {
        let pool = alloc.scratch_pool("level");
        assert_eq!(pool.capacity(), 4 << 10);
        assert!(round(alloc) > 3, "it was to grow");
        assert_eq!(pool.allocated(), 256_000);
        pool.reset();
        assert_eq!(pool.capacity(), 256_000_usize.next_multiple_of(4096));
        assert_eq!(TagTotals::capture().of(tag).heap.live(), 0);
        assert_eq!(round(alloc), 1);
        for _ in 0..3 {
            pool.reset();
            assert_eq!(round(alloc), 0, "the one chunk serves on");
        }
    });
    drop(alloc);
    assert_eq!(TagTotals::capture().of(tag).heap.live(), 0, "a leak");
}

#[test]
fn a_pool_grows_to_its_limit_and_no_further() {
    let pool = ScratchPool::with_limit("limited", 1 << 10, 10 << 10);
    assert_eq!((pool.capacity(), pool.limit()), (1 << 10, 10 << 10));
    assert_eq!(pool.remaining(), 10 << 10);
    let mut boxes = Vec::new();
    let (error, codes) = reported(|| {
        loop {
            match pool.try_alloc_box([boxes.len() as u8; 512]) {
                Ok(block) => boxes.push(block),
                Err(refused) => return refused,
            }
        }
    });
    assert_eq!(codes, [FA403]);
    assert_eq!(error.error.kind(), AllocErrorKind::ScratchPoolFull);
    assert_eq!(error.value, [20; 512], "the value comes back");
    assert_eq!(boxes.len(), 20, "the whole limit can be used");
    assert_eq!(
        (pool.remaining(), pool.allocated(), pool.capacity()),
        (0, 10 << 10, 10 << 10)
    );
    assert!(boxes.iter().enumerate().all(|(n, b)| **b == [n as u8; 512]));
    boxes.clear();
    pool.reset();
    // What fits into an empty pool's limit fits, whatever chunks it had.
    drop(pool.alloc::<[u8; 10 << 10]>());
    assert_eq!(pool.remaining(), 0);
}

#[test]
fn an_empty_chunk_makes_way_for_a_block_that_needs_the_whole_limit() {
    let pool = ScratchPool::with_limit("whole", 8 << 10, 10 << 10);
    drop(pool.alloc_box(1));
    pool.reset();
    drop(pool.alloc::<[u8; 10 << 10]>());
}

#[test]
fn a_full_pool_panics_with_its_code_and_its_name() {
    let pool = ScratchPool::with_limit("tiny", 64, 64);
    let result = std::panic::catch_unwind(AssertUnwindSafe(|| {
        reported(|| drop(pool.alloc::<[u8; 65]>()))
    }));
    let message = *result.unwrap_err().downcast::<String>().unwrap();
    assert!(
        message.contains("`tiny`") && message.contains("[FA403]"),
        "{message}"
    );
    drop(pool.alloc::<[u8; 64]>());
}

#[test]
fn lengths_that_cannot_be_are_refused() {
    let pool = ScratchPool::new("overflow", 4 << 10);
    let ((), codes) = reported(|| {
        for len in [usize::MAX, usize::MAX / 8, isize::MAX as usize / 8] {
            pool.try_alloc_slice_fill_with(len, |_| -> u64 { panic!("not to be called") })
                .unwrap_err();
        }
    });
    assert_eq!(codes, [FA004, FA004, FA403]);
    assert_eq!(pool.allocated(), 0);
    pool.try_reset().unwrap();
}

#[test]
fn every_alignment_is_honoured_also_after_a_reset() {
    let pool = ScratchPool::with_limit("aligned", 1 << 10, 64 << 20);
    with_a_large_stack(|| {
        for round in 0..3 {
            let mut held = Vec::<Box<dyn Fn()>>::new();
            macro_rules! check {
                ($type:ident) => {
                    let small = pool.alloc_box(7_u8);
                    let boxed = pool.alloc::<$type>().init_default();
                    assert_eq!(address(&*boxed) % align_of::<$type>(), 0);
                    held.push(Box::new(move || {
                        assert_eq!((boxed.0, *small), (0xA5, 7));
                    }));
                };
            }
            let before = pool.capacity();
            for_every_alignment!(check);
            held.iter().for_each(|check| check());
            drop(held);
            if round > 0 {
                assert_eq!(pool.capacity(), before, "one chunk serves on");
            }
            pool.try_reset().unwrap();
        }
    });
}

#[test]
fn zero_sized_values_cost_nothing_and_are_dropped() {
    static DROPS: AtomicUsize = AtomicUsize::new(0);
    struct Empty;
    impl Drop for Empty {
        fn drop(&mut self) {
            DROPS.fetch_add(1, Relaxed);
        }
    }
    let pool = ScratchPool::with_limit("empty", 0, 0);
    let boxes: Vec<_> = (0..100).map(|_| pool.alloc_box(Empty)).collect();
    let slice = pool.alloc_slice_fill_with(1000, |_| Empty);
    assert!(pool.alloc_slice::<u64>(0).is_empty());
    assert_eq!(pool.allocated(), 0);
    // They have no memory that a reset could take.
    pool.try_reset().unwrap();
    drop((boxes, slice));
    assert_eq!(DROPS.load(Relaxed), 1100);
}

#[test]
fn values_are_dropped_exactly_once() {
    let drops = Cell::new(0);
    let pool = ScratchPool::new("drops", 1 << 10);
    let boxed = pool.alloc_box(Counted(&drops));
    let taken = pool.alloc_box(Counted(&drops)).into_inner();
    drop(pool.alloc_slice_fill_with(10, |_| Counted(&drops)));
    assert_eq!(drops.get(), 10);
    drop(taken);
    assert_eq!(drops.get(), 11);
    drop(boxed);
    assert_eq!(drops.get(), 12);
    panics(|| {
        pool.alloc_slice_fill_with(10, |n| {
            assert!(n < 5, "from the closure");
            Counted(&drops)
        })
    });
    assert_eq!(drops.get(), 17);
    pool.try_reset().unwrap();
    assert_eq!(drops.get(), 17);
}

#[test]
fn a_box_keeps_the_pools_memory_alive() {
    let alloc = small();
    let boxed = alloc.scratch_pool("gone").alloc_box([3_u64; 100]);
    let standalone = ScratchPool::new("alone", 1 << 10).alloc_box(String::from("text"));
    assert!(alloc.scratch().remove("gone").is_some());
    assert!(alloc.scratch().get("gone").is_none());
    drop(alloc);
    let other = thread::spawn(move || {
        assert_eq!(*boxed, [3; 100]);
        assert_eq!(*standalone, "text");
        standalone
    });
    drop(other.join().unwrap());
}

#[test]
fn a_forgotten_box_keeps_its_pool_from_being_reset_and_no_more() {
    // The pool stays, so that a leak checker finds what was leaked in it.
    static POOL: OnceLock<ScratchPool> = OnceLock::new();
    let pool = POOL.get_or_init(|| ScratchPool::new("forgotten", 1 << 10));
    let leaked = pool.alloc_box([1_u8; 100]).leak();
    std::mem::forget(pool.alloc_box([2_u8; 100]));
    assert_eq!(pool.try_reset().unwrap_err().boxes, 2);
    let more = pool.alloc_slice_fill(2000, 0xEE_u8);
    leaked[99] = 3;
    assert_eq!((leaked[0], leaked[99]), (1, 3));
    drop(more);
    assert_eq!(pool.try_reset().unwrap_err().boxes, 2);
}

#[test]
fn a_panicking_destructor_gives_its_block_back() {
    struct Panics;
    impl Drop for Panics {
        fn drop(&mut self) {
            panic!("from a destructor");
        }
    }
    let pool = ScratchPool::new("panics", 1 << 10);
    let boxed = pool.alloc_box((Panics, [0_u64; 4]));
    panics(|| drop(boxed));
    pool.try_reset().unwrap();
}

#[test]
fn a_destructor_and_a_closure_may_use_their_pool() {
    struct Uses(ScratchPool);
    impl Drop for Uses {
        fn drop(&mut self) {
            let boxed = self.0.alloc_box([5_u64; 100]);
            let ((), codes) = reported(|| self.0.reset());
            assert_eq!(codes, [FA002]);
            assert_eq!(*boxed, [5; 100]);
        }
    }
    let pool = ScratchPool::new("reentry", 1 << 10);
    drop(pool.alloc_box(Uses(pool.clone())));
    pool.try_reset().unwrap();
    let slice = pool.alloc_slice_fill_with(100, |n| {
        assert_eq!(pool.try_reset().unwrap_err().boxes, 1, "it is being built");
        *pool.alloc_box(n)
    });
    assert!(slice.iter().copied().eq(0..100));
    let grown = pool
        .try_alloc_slice_from_iter((0..1000).filter(|n| n % 3 == 0).inspect(|_| {
            let _ = pool.alloc_box(1_u8);
        }))
        .unwrap();
    assert!(grown.iter().copied().eq((0..1000).step_by(3)));
    drop((slice, grown));
    pool.try_reset().unwrap();
}

#[test]
fn slices_hold_what_they_were_given() {
    let pool = ScratchPool::new("slices", 1 << 10);
    assert_eq!(*pool.alloc_slice::<u16>(3), [0; 3]);
    assert_eq!(*pool.alloc_slice_copy(&[1, 2, 3]), [1, 2, 3]);
    assert_eq!(*pool.alloc_slice_fill(2, String::from("a")), ["a", "a"]);
    let grown = pool.try_alloc_slice_from_iter((0..500).filter(|n| n % 2 == 1));
    assert!(grown.unwrap().iter().copied().eq((1..500).step_by(2)));
    pool.try_reset().unwrap();
}

#[test]
fn the_registry_finds_resets_and_removes_pools_by_name() {
    let alloc = small();
    let scratch = alloc.scratch();
    assert!(scratch.get("b").is_none());
    let held = alloc.scratch_pool("b").alloc_box([0_u8; 100]);
    alloc.scratch_pool("a").alloc_box([0_u8; 64]);
    let stats = scratch.stats();
    let row = |n: usize| (stats[n].name, stats[n].allocated, stats[n].capacity);
    assert_eq!(stats.len(), 2);
    assert_eq!(row(0), ("a", 64, 1 << 20));
    assert_eq!(row(1), ("b", 104, 1 << 20));
    assert_eq!((stats[1].live_boxes, stats[1].live_bytes), (1, 100));
    let (count, codes) = reported(|| scratch.reset_all());
    assert_eq!((count, codes), (1, vec![FA002]));
    assert!(!reported(|| scratch.reset("b")).0);
    drop(held);
    assert!(scratch.reset("b"));
    assert!(!scratch.reset("c"));
    assert_eq!(scratch.with_pool("c", |pool| pool.name()), "c");
    assert_eq!(scratch.remove("c").unwrap().name(), "c");
    assert!(scratch.remove("c").is_none());

    let other = ScratchRegistry::new(1 << 10);
    assert_eq!(other.get_or_create("x").limit(), 64 << 10);
    assert_eq!(other.get_or_create_with("y", 8, 16).limit(), 16);
    let config = minimal()
        .with_scratch_pool_size(2 << 10)
        .with_max_scratch_pool_size(4 << 10);
    let pool_of = SmartAlloc::new(config);
    let pool = pool_of.scratch_pool("z");
    assert_eq!((pool.capacity(), pool.limit()), (2 << 10, 4 << 10));
}

#[test]
fn clones_of_an_allocator_share_pools_and_others_have_their_own() {
    let (a, b) = (small(), small());
    let clone = a.clone();
    let _held = a.scratch_pool("shared").alloc_box(1);
    assert_eq!(clone.scratch_pool("shared").stats().live_boxes, 1);
    assert_eq!(b.scratch_pool("shared").stats().live_boxes, 0);
}

#[test]
fn threads_that_grow_a_pool_together_get_blocks_of_their_own() {
    const THREADS: usize = 4;
    let pool = ScratchPool::with_limit("together", 64, 8 << 20);
    let barrier = Barrier::new(THREADS);
    for _ in 0..20 {
        let boxes: Vec<ScratchBox<[usize; 20]>> = thread::scope(|scope| {
            let threads: Vec<_> = (0..THREADS)
                .map(|thread| {
                    let (pool, barrier) = (&pool, &barrier);
                    scope.spawn(move || {
                        barrier.wait();
                        (0..200)
                            .map(|n| pool.alloc_box([thread * 1000 + n; 20]))
                            .collect::<Vec<_>>()
                    })
                })
                .collect();
            threads
                .into_iter()
                .flat_map(|t| t.join().unwrap())
                .collect()
        });
        let mut seen = HashSet::new();
        for boxed in &boxes {
            assert!(boxed.iter().all(|n| *n == boxed[0]));
            assert!(seen.insert(boxed[0]));
        }
        assert_eq!(pool.stats().live_boxes, THREADS * 200);
        thread::scope(|scope| {
            for part in chunks(boxes, THREADS) {
                scope.spawn(move || drop(part));
            }
        });
        pool.try_reset().unwrap();
    }
}

fn chunks<T>(mut values: Vec<T>, parts: usize) -> Vec<Vec<T>> {
    let len = values.len().div_ceil(parts);
    (0..parts)
        .map(|_| values.split_off(values.len().saturating_sub(len)))
        .collect()
}

#[test]
fn a_budget_that_refuses_a_chunk_leaves_the_pool_as_it_was() {
    let alloc = SmartAlloc::new(minimal().with_budgets(true));
    let budgets = alloc.budgets().unwrap();
    budgets.register_tag(&AllocationTag::new("scratch_budget"), usize::MAX, 6000);
    alloc.with_tag("scratch_budget", |alloc| {
        let pool = alloc
            .scratch()
            .get_or_create_with("budgeted", 4096, 1 << 20);
        let held = pool.alloc_box([1_u8; 4000]);
        let (refused, codes) = reported(|| pool.try_alloc_box([2_u8; 4000]).unwrap_err());
        assert_eq!(codes, [DiagnosticCode::FA302]);
        assert_eq!(refused.error.kind(), AllocErrorKind::TagBudget);
        assert_eq!(refused.value, [2; 4000]);
        assert_eq!((pool.allocated(), pool.capacity()), (4000, 4096));
        assert_eq!((pool.stats().live_boxes, *held), (1, [1; 4000]));
        drop(pool.alloc_box([3_u8; 96]));
        drop(held);
        pool.try_reset().unwrap();
    });
    let usage = || {
        budgets
            .get_tag_budget("scratch_budget")
            .unwrap()
            .current_usage
    };
    assert_eq!(usage(), 4096, "the pool keeps its chunk");
    alloc.scratch().remove("budgeted");
    assert_eq!(usage(), 0);
}

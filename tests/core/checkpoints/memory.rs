//! What checkpoints cost in memory.

use framealloc::{AllocConfig, AllocationTag, SmartAlloc};

use crate::common::*;

/// Bytes that the arenas of an allocator hold.
fn capacity(alloc: &SmartAlloc) -> usize {
    alloc.arenas().iter().map(|arena| arena.capacity).sum()
}

#[test]
fn keeping_something_of_ten_thousand_blocks_in_one_frame_takes_no_more_memory_than_it_has() {
    let alloc = SmartAlloc::new(AllocConfig::minimal().with_max_frame_arena_size(4 << 20));
    for round in 0..3 {
        alloc.begin_frame();
        let mut kept = Vec::new();
        for n in 0..10_000_u64 {
            // Blocks that succeed, and checkpoints that nobody closes.
            let boxed = if n % 2 == 0 {
                alloc.speculative(|| {
                    drop(alloc.frame_box([n; 5]).unwrap());
                    alloc.frame_box([n; 4])
                })
            } else {
                alloc.frame_checkpoint();
                alloc.frame_box([n; 4])
            };
            kept.push(boxed.unwrap());
            // A guard has to find room beside them.
            assert_eq!(*alloc.frame().alloc(n), n);
        }
        for (n, boxed) in kept.iter().enumerate() {
            assert_eq!(**boxed, [n as u64; 4], "in round {round}");
        }
        assert!(capacity(&alloc) <= 4 << 20);
        drop(kept);
        let ((), codes) = reported(|| alloc.end_frame());
        assert_eq!(codes, []);
        assert_eq!(retired(&alloc), 0);
    }
}

#[test]
fn an_arena_at_its_limit_gives_the_rest_of_sealed_chunks() {
    // Eight chunks of 4 KiB.
    let alloc = SmartAlloc::new(
        AllocConfig::minimal()
            .with_frame_arena_size(32 << 10)
            .with_max_frame_arena_size(32 << 10),
    );
    alloc.begin_frame();
    let mut kept = Vec::new();
    let mut checkpoints = Vec::new();
    loop {
        checkpoints.push(alloc.frame_checkpoint());
        let (boxed, _) = reported(|| alloc.frame_box([kept.len() as u64; 20]));
        match boxed {
            Ok(boxed) => kept.push(boxed),
            Err(_) => break,
        }
    }
    // A block of 160 bytes at a time, most of the 32 KiB is used.
    assert!(kept.len() * 160 > 24 << 10, "{} blocks", kept.len());
    for (n, boxed) in kept.iter().enumerate() {
        assert_eq!(**boxed, [n as u64; 20]);
    }
    // Whatever a rollback to one of them can do, it harms nothing that is held.
    reported(|| {
        for (n, checkpoint) in checkpoints.into_iter().enumerate().rev() {
            if n % 3 == 0 {
                alloc.rollback_to(checkpoint);
                drop(alloc.frame_box([u64::MAX; 20]));
            }
        }
    });
    for (n, boxed) in kept.iter().enumerate() {
        assert_eq!(**boxed, [n as u64; 20]);
    }
    drop(kept);
    let ((), codes) = reported(|| alloc.end_frame());
    assert_eq!(codes, []);
    busy_frames_of_a_tiny_arena(&alloc);
}

fn busy_frames_of_a_tiny_arena(alloc: &SmartAlloc) {
    for n in 0..100_u64 {
        alloc.begin_frame();
        let blocks: Vec<_> = (0..6)
            .map(|_| alloc.frame_slice_fill(200, n).unwrap())
            .collect();
        assert!(
            blocks
                .iter()
                .all(|block| block.iter().all(|&word| word == n))
        );
        drop(blocks);
        let ((), codes) = reported(|| alloc.end_frame());
        assert_eq!(codes, []);
    }
}

#[test]
fn memory_stays_flat_over_frames_full_of_checkpoints() {
    let alloc = SmartAlloc::new(AllocConfig::minimal().with_max_frame_arena_size(16 << 20));
    let frame = |n: u64| {
        alloc.begin_frame();
        let base = alloc.frame_box(n).unwrap();
        for _ in 0..10 {
            let kept = alloc.speculative(|| alloc.frame_box([n; 9])).unwrap();
            let failed: Result<(), ()> = alloc.speculative(|| {
                drop(alloc.frame_slice_fill(1000, n).unwrap());
                drop(alloc.frame_slice_fill(20_000, n).unwrap());
                Err(())
            });
            assert!(failed.is_err());
            alloc.frame_checkpoint();
            assert_eq!(*kept, [n; 9]);
        }
        assert_eq!(*base, n);
        drop(base);
        let ((), codes) = reported(|| alloc.end_frame());
        assert_eq!(codes, []);
    };
    (0..100).for_each(frame);
    let before = capacity(&alloc);
    (100..500).for_each(frame);
    assert_eq!(capacity(&alloc), before);
    assert_eq!(retired(&alloc), 0);
}

#[test]
fn a_frame_counts_what_was_rolled_back_too() {
    let alloc = small();
    alloc.begin_frame();
    let base = alloc.frame_box([0_u64; 10]).unwrap();
    let failed: Result<(), ()> = alloc.speculative(|| {
        drop(alloc.frame_box([0_u64; 100]).unwrap());
        Err(())
    });
    assert!(failed.is_err());
    drop(alloc.frame_box([0_u64; 5]).unwrap());
    drop(base);
    alloc.end_frame();
    assert_eq!(alloc.arenas()[0].frame_bytes, 80 + 800 + 40);
}

#[test]
fn a_rollback_gives_the_budget_back() {
    let alloc = SmartAlloc::new(AllocConfig::minimal().with_budgets(true));
    let budgets = alloc.budgets().unwrap();
    budgets.register_tag(&AllocationTag::new("checkpoint_budget"), 2000, 2000);
    alloc.begin_frame();
    let base = alloc.frame_box([1_u64; 10]).unwrap();
    let usage = || {
        budgets
            .get_tag_budget("checkpoint_budget")
            .unwrap()
            .current_usage
    };
    alloc.with_tag("checkpoint_budget", |alloc| {
        let kept = alloc.frame_box([2_u64; 10]).unwrap();
        for n in 0..100_u64 {
            let failed: Result<(), ()> = alloc.speculative(|| {
                let held = alloc.frame_box([n; 200]).unwrap();
                assert_eq!(*held, [n; 200]);
                assert_eq!(usage(), 80 + 1600);
                Err(())
            });
            assert!(failed.is_err());
            assert_eq!(usage(), 80);
        }
        assert_eq!(*kept, [2; 10]);
    });
    assert_eq!(*base, [1; 10]);
    drop(base);
    alloc.end_frame();
    assert_eq!(budgets.current_usage(), 0);
}

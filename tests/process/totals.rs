//! Exact figures of pools and heap, which all allocators of the process share.

use std::collections::VecDeque;
use std::sync::mpsc;
use std::thread;

use framealloc::tags::{TagId, TagTotals};
use framealloc::{AllocConfig, PoolBox, SmartAlloc};

use crate::alone;

pub fn small() -> SmartAlloc {
    SmartAlloc::new(AllocConfig::minimal())
}

#[test]
fn pool_figures_are_exact() {
    let _alone = alone();
    let alloc = small();
    let before = alloc.stats();
    let boxes: Vec<_> = (0..1000)
        .map(|n| alloc.pool_box([n; 12]).unwrap())
        .collect();
    let one = alloc.pool_box(1_u8).unwrap();
    let nothing = alloc.pool_box(()).unwrap();
    let large = alloc.pool_box([0_u8; 5000]).unwrap();
    let during = alloc.stats();
    // 48 bytes are a class; one byte takes the least class, of 16.
    assert_eq!(during.pool_allocated - before.pool_allocated, 48_000 + 16);
    assert_eq!(during.heap_allocated - before.heap_allocated, 5000);
    assert_eq!(during.allocation_count - before.allocation_count, 1002);
    assert_eq!(during.deallocation_count, before.deallocation_count);
    assert_eq!(
        during.active_allocations() - before.active_allocations(),
        1002
    );
    assert!(during.pool_reserved >= during.pool_allocated);
    assert_eq!(
        during.total_allocated,
        during.frame_allocated + during.pool_allocated + during.heap_allocated
    );
    drop((boxes, one, nothing, large));
    let after = alloc.stats();
    assert_eq!(after.pool_allocated, before.pool_allocated);
    assert_eq!(after.heap_allocated, before.heap_allocated);
    assert_eq!(after.active_allocations(), before.active_allocations());
    assert_eq!(after.deallocation_count - before.deallocation_count, 1002);
}

#[test]
fn size_classes_know_their_blocks_and_pages_and_come_to_the_totals() {
    let _alone = alone();
    let alloc = small();
    // 48 bytes are a class of their own.
    let of_48 = || {
        let classes = alloc.pool_classes();
        let found = classes.into_iter().find(|class| class.block_size == 48);
        found.unwrap_or_default()
    };
    let before = of_48();
    let boxes: Vec<_> = (0..5000)
        .map(|n| alloc.pool_box([n; 12]).unwrap())
        .collect();
    let during = of_48();
    assert_eq!(during.live() - before.live(), 5000);
    assert_eq!(during.live_bytes() - before.live_bytes(), 240_000);
    assert!(during.blocks >= during.live());
    // A page is 64 KiB less its header.
    assert_eq!(during.reserved % (64 << 10), 0);
    assert_eq!(
        during.blocks,
        (during.reserved as u64 >> 16) * ((65_536 - 64) / 48)
    );
    let classes = alloc.pool_classes();
    assert!(classes.is_sorted_by_key(|class| class.block_size));
    let stats = alloc.stats();
    let reserved: usize = classes.iter().map(|class| class.reserved).sum();
    let live: usize = classes.iter().map(|class| class.live_bytes()).sum();
    assert_eq!(
        (reserved, live),
        (stats.pool_reserved, stats.pool_allocated)
    );
    // Freed elsewhere: still one class's blocks.
    thread::spawn(move || drop(boxes)).join().unwrap();
    let after = of_48();
    assert_eq!(after.live(), before.live());
    assert_eq!(after.frees - before.frees, 5000);
    assert_eq!(after.reserved, during.reserved);
}

#[test]
fn figures_are_exact_when_others_free_and_threads_end() {
    let _alone = alone();
    let alloc = small();
    let before = alloc.stats();
    let boxes = thread::scope(|scope| {
        scope
            .spawn(|| {
                (0..500)
                    .map(|n| alloc.pool_box([n; 20]).unwrap())
                    .collect::<Vec<_>>()
            })
            .join()
            .unwrap()
    });
    let big = alloc.heap_box([1_u8; 9000]).unwrap();
    let during = alloc.stats();
    assert_eq!(during.pool_allocated - before.pool_allocated, 500 * 80);
    thread::scope(|scope| {
        scope.spawn(move || drop((boxes, big))).join().unwrap();
    });
    let after = alloc.stats();
    assert_eq!(after.pool_allocated, before.pool_allocated);
    assert_eq!(after.heap_allocated, before.heap_allocated);
    assert_eq!(after.active_allocations(), before.active_allocations());
}

#[test]
fn a_heap_box_is_charged_to_the_tag_that_made_it_wherever_it_is_freed() {
    let _alone = alone();
    let alloc = small();
    let tag = TagId::from_path("totals_heap");
    let before = TagTotals::capture();
    let (heap, large) = alloc.with_tag("totals_heap", |alloc| {
        (
            alloc.heap_box([0_u8; 1000]).unwrap(),
            alloc.pool_box([0_u8; 6000]).unwrap(),
        )
    });
    let during = TagTotals::capture().since(&before).of(tag).heap;
    assert_eq!((during.allocs, during.bytes, during.live()), (2, 7000, 2));
    alloc.with_tag("totals_elsewhere", |_| {
        thread::scope(|scope| {
            scope.spawn(move || drop(large)).join().unwrap();
        });
        drop(heap);
    });
    let after = TagTotals::capture().since(&before);
    assert_eq!(
        (after.of(tag).heap.live(), after.of(tag).heap.live_bytes()),
        (0, 0)
    );
    assert_eq!(after.of(TagId::from_path("totals_elsewhere")).heap.frees, 0);
}

#[test]
fn blocks_are_reused() {
    let _alone = alone();
    let alloc = small();
    drop(
        (0..10_000)
            .map(|n| alloc.pool_box([n; 7]).unwrap())
            .collect::<Vec<_>>(),
    );
    let reserved = alloc.stats().pool_reserved;
    for _ in 0..20 {
        drop(
            (0..10_000)
                .map(|n| alloc.pool_box([n; 7]).unwrap())
                .collect::<Vec<_>>(),
        );
        assert_eq!(alloc.stats().pool_reserved, reserved);
    }
}

#[test]
fn memory_is_flat_when_one_thread_makes_what_another_frees() {
    let _alone = alone();
    let alloc = small();
    let mut reserved = Vec::new();
    let (boxes, receive) = mpsc::sync_channel::<Vec<PoolBox<[u64; 8]>>>(2);
    let (done, wait) = mpsc::sync_channel::<()>(2);
    thread::scope(|scope| {
        let (alloc, reserved) = (&alloc, &mut reserved);
        scope.spawn(move || {
            for batch in receive {
                alloc.begin_frame();
                drop(batch);
                alloc.end_frame();
                done.send(()).unwrap();
            }
        });
        for frame in 0..5_000_u64 {
            alloc.begin_frame();
            boxes
                .send(
                    (0..50)
                        .map(|n| alloc.pool_box([frame + n; 8]).unwrap())
                        .collect(),
                )
                .unwrap();
            wait.recv().unwrap();
            alloc.end_frame();
            if frame % 1000 == 999 {
                reserved.push(alloc.stats().pool_reserved);
            }
        }
        drop(boxes);
    });
    assert!(
        reserved.iter().all(|&bytes| bytes == reserved[0]),
        "{reserved:?}"
    );
}

#[test]
fn memory_is_flat_when_threads_free_for_each_other_in_turn() {
    let _alone = alone();
    let alloc = small();
    let mut reserved = Vec::new();
    let mut passed: VecDeque<Vec<PoolBox<[u64; 30]>>> = VecDeque::new();
    for n in 0..1000_u64 {
        // Each new thread frees what three before it made, and dies.
        let old: Vec<_> = (3..passed.len())
            .filter_map(|_| passed.pop_front())
            .collect();
        let work = move || {
            for boxed in old.into_iter().flatten() {
                assert_eq!(*boxed, [boxed[0]; 30]);
            }
            let alloc = small();
            (0..300).map(|_| alloc.pool_box([n; 30]).unwrap()).collect()
        };
        passed.push_back(thread::spawn(work).join().unwrap());
        if n >= 100 {
            reserved.push(alloc.stats().pool_reserved);
        }
    }
    assert_eq!(reserved.first(), reserved.last(), "a thousand threads");
}

#[test]
fn a_process_of_many_frames_and_threads_does_not_grow() {
    let _alone = alone();
    let Some(start) = grow(200) else {
        return;
    };
    let later = grow(2000).unwrap();
    // Pages of the test harness's own come and go.
    assert!(later < start + (4 << 20), "{start} bytes became {later}");

    /// Resident bytes after so many frames, threads and allocators; where the system tells.
    fn grow(rounds: usize) -> Option<usize> {
        for n in 0..rounds {
            let alloc = small();
            thread::scope(|scope| {
                let work = || {
                    alloc.begin_frame();
                    drop(alloc.frame_slice_fill(20_000, n).unwrap());
                    drop(alloc.frame_alloc::<[u8; 300_000]>());
                    alloc.frame().alloc_slice_fill(2000, n);
                    drop(alloc.pool_box([n; 9]).unwrap());
                    alloc.end_frame();
                };
                scope.spawn(work).join().unwrap();
                work();
            });
        }
        resident_bytes()
    }
}

/// What the process has of the machine's memory, where the system tells.
pub fn resident_bytes() -> Option<usize> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    Some(statm.split(' ').nth(1)?.parse::<usize>().ok()? * 4096)
}

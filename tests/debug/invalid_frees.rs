//! What unsafe code can do wrongly with the `Allocator` traits is found, said, and has no consequences.

#![expect(
    unsafe_code,
    reason = "only unsafe code can free a block twice: that is what is tested"
)]

use std::alloc::Layout;
use std::ptr::NonNull;

use allocator_api2::alloc::Allocator;
use framealloc::diagnostics::{Diagnostic, DiagnosticCode, capture};
use framealloc::{AllocConfig, PoolAllocator, SmartAlloc, StrictModeGuard};

use crate::codes;

fn layout(size: usize) -> Layout {
    Layout::from_size_align(size, 8).unwrap()
}

fn take(from: &impl Allocator, size: usize) -> NonNull<u8> {
    from.allocate(layout(size)).unwrap().cast()
}

fn free(to: &impl Allocator, block: NonNull<u8>, size: usize) {
    // SAFETY: none, at times.
    unsafe { to.deallocate(block, layout(size)) }
}

/// The one report that `f` makes.
fn reported(f: impl FnOnce()) -> Diagnostic {
    let ((), mut reports) = capture(f);
    assert_eq!(codes(&reports), [DiagnosticCode::FA904]);
    reports.pop().unwrap()
}

/// Frees a block twice, and sees that nobody gets it twice.
fn freed_twice(memory: &impl Allocator, size: usize, kind: &str) {
    let block = take(memory, size);
    free(memory, block, size);
    let report = reported(|| free(memory, block, size));
    let text = format!("{size} bytes of {kind} memory of `(untagged)` are freed a second time");
    assert!(report.message.starts_with(&text), "{report}");
    let blocks: Vec<_> = (0..100).map(|_| take(memory, size)).collect();
    let mut sorted = blocks.clone();
    sorted.sort();
    sorted.dedup();
    assert_eq!(sorted.len(), blocks.len());
    for block in blocks {
        free(memory, block, size);
    }
}

#[test]
fn a_second_free_is_reported_and_changes_nothing() {
    let alloc = SmartAlloc::with_defaults();
    for size in [8, 64, 4096, 10_000] {
        freed_twice(&alloc.pool_allocator(), size, "pool");
        freed_twice(&PoolAllocator::new(), size, "pool");
        freed_twice(&alloc.heap_allocator(), size, "heap");
    }
    alloc.begin_frame();
    for size in [8, 64, 4096, 300_000] {
        freed_twice(&alloc.frame_allocator(), size, "frame");
    }
    alloc.end_frame();
    assert_eq!(alloc.arenas()[0].retired_chunks, 0);
}

#[test]
fn a_second_free_by_another_thread_or_of_a_block_from_another_is_found() {
    let memory = PoolAllocator::new();
    let block = take(&memory, 48).as_ptr() as usize;
    let block = || NonNull::new(block as *mut u8).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| free(&memory, block(), 48)).join().unwrap();
        reported(|| free(&memory, block(), 48));
        scope
            .spawn(|| reported(|| free(&memory, block(), 48)))
            .join()
            .unwrap();
    });
}

#[test]
fn it_says_where_the_block_was_allocated_and_where_it_was_freed_first() {
    #[inline(never)]
    fn open_chest(memory: &PoolAllocator) -> NonNull<u8> {
        take(memory, 32)
    }
    #[inline(never)]
    fn first_thief(memory: &PoolAllocator, block: NonNull<u8>) {
        free(memory, block, 32);
    }
    let alloc = SmartAlloc::with_defaults();
    alloc.leak_tracker().enable();
    let memory = alloc.pool_allocator();
    let block = alloc.with_tag("invalid_chest", |_| open_chest(&memory));
    first_thief(&memory, block);
    let report = reported(|| free(&memory, block, 32));
    assert_eq!(report.tag.path(), "invalid_chest");
    let (before, after) = report.message.split_once("freed first at").unwrap();
    assert!(before.contains("of `invalid_chest`"), "{report}");
    let (_, allocated) = before.split_once("allocated at").unwrap();
    assert!(allocated.contains("open_chest"), "{report}");
    assert!(!allocated.contains("first_thief"), "{report}");
    assert!(after.contains("first_thief"), "{report}");
}

#[test]
fn a_block_is_freed_as_it_was_allocated_or_not_at_all() {
    let alloc = SmartAlloc::with_defaults();
    let (pool, heap) = (alloc.pool_allocator(), alloc.heap_allocator());
    let block = take(&pool, 64);
    let report = reported(|| free(&pool, block, 128));
    assert!(
        report
            .message
            .starts_with("64 bytes, aligned to 8, of pool memory of `(untagged)` are freed as 128 bytes, aligned to 8, of pool memory"),
        "{report}"
    );
    reported(|| free(&heap, block, 64));
    let mut mine = 7_u64;
    let report = reported(|| free(&pool, NonNull::from(&mut mine).cast(), 8));
    assert!(
        report.message.contains("that were not handed out"),
        "{report}"
    );
    // It is still there, and freed once.
    let ((), reports) = capture(|| free(&pool, block, 64));
    assert_eq!(codes(&reports), []);
}

#[test]
fn a_block_that_was_freed_does_not_grow_or_shrink() {
    let alloc = SmartAlloc::with_defaults();
    let memory = alloc.pool_allocator();
    let block = take(&memory, 64);
    free(&memory, block, 64);
    // SAFETY: none: the block is free.
    let grow = || unsafe { memory.grow(block, layout(64), layout(200)) };
    // SAFETY: as above.
    let shrink = || unsafe { memory.shrink(block, layout(64), layout(8)) };
    reported(|| assert!(grow().is_err()));
    reported(|| assert!(shrink().is_err()));
}

#[test]
#[should_panic(expected = "[framealloc][FA904] 24 bytes of heap memory")]
fn in_strict_mode_a_second_free_panics() {
    let heap = SmartAlloc::with_defaults().heap_allocator();
    let block = take(&heap, 24);
    free(&heap, block, 24);
    let _strict = StrictModeGuard::panic_on_error();
    free(&heap, block, 24);
}

/// Nothing that collections do is taken for a mistake, whatever they are made of.
#[test]
fn collections_give_back_what_they_took() {
    let alloc = SmartAlloc::new(AllocConfig::default().with_memory_limit(1 << 20));
    let ((), reports) = capture(|| {
        alloc.begin_frame();
        churn(alloc.frame_allocator());
        churn(alloc.pool_allocator());
        churn(alloc.heap_allocator());
        // What a budget refuses leaves the old block as it was.
        let mut bytes = allocator_api2::vec::Vec::<u8, _>::new_in(alloc.heap_allocator());
        bytes.extend_from_slice(&[5; 1000]);
        assert!(bytes.try_reserve(2 << 20).is_err());
        assert_eq!(bytes[999], 5);
        drop(bytes);
        alloc.end_frame();
    });
    let wrong: Vec<_> = reports
        .iter()
        .filter(|report| report.code == DiagnosticCode::FA904)
        .collect();
    assert_eq!(wrong, [] as [&Diagnostic; 0]);
}

fn churn<A: Allocator + Clone>(memory: A) {
    let mut numbers = allocator_api2::vec::Vec::new_in(memory.clone());
    for n in 0..5_000_u32 {
        numbers.push(n);
        if n % 1000 == 999 {
            numbers.truncate(100);
            numbers.shrink_to_fit();
        }
    }
    let slice = numbers.into_boxed_slice();
    let mut map = hashbrown::HashMap::new_in(memory);
    for &n in slice.iter() {
        map.insert(n, [n; 5]);
    }
    map.retain(|n, _| n % 2 == 0);
    map.shrink_to_fit();
    assert!(map.iter().all(|(n, copies)| copies == &[*n; 5]));
}

//! The standard library's collections in frames, pools and the heap: its `Allocator` trait, which is unstable.

#![feature(allocator_api, btreemap_alloc)]

use std::alloc::Allocator;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;

use framealloc::diagnostics::{self, DiagnosticCode};
use framealloc::{AllocConfig, FrameAllocator, HeapAllocator, PoolAllocator, SmartAlloc};

fn exercise(place: &(impl Allocator + Clone)) {
    let counted = Rc::new(());
    let mut vec = Vec::new_in(place.clone());
    let mut tree = BTreeMap::new_in(place.clone());
    let mut queue = VecDeque::with_capacity_in(1, place.clone());
    for n in 0..2000_u32 {
        vec.push((n, counted.clone()));
        tree.insert(n, n.to_string());
        queue.push_front(n);
        if n % 3 == 0 {
            vec.swap_remove(n as usize / 2);
            tree.remove(&(n / 2));
            queue.pop_back();
        }
    }
    vec.shrink_to_fit();
    queue.shrink_to(10);
    assert_eq!(Rc::strong_count(&counted), vec.len() + 1);
    assert!(tree.iter().all(|(n, text)| text.parse() == Ok(*n)));
    assert!(queue.iter().rev().copied().eq(667..2000));
    let shared = Rc::new_in([Box::new_in(7, place.clone())], place.clone());
    assert_eq!(*shared.clone()[0], 7);
    drop((vec, tree, queue, shared));
    assert_eq!(Rc::strong_count(&counted), 1);
}

#[test]
fn standard_collections_live_in_frames_in_pools_and_on_the_heap() {
    let alloc = SmartAlloc::new(AllocConfig::minimal());
    exercise(&alloc.pool_allocator());
    exercise(&alloc.heap_allocator());
    alloc.begin_frame();
    exercise(&FrameAllocator::new());
    exercise(&alloc.frame_allocator());
    exercise(&&alloc.frame_allocator());
    let guard = alloc.frame();
    exercise(&guard.scratch());
    exercise(&&guard);
    drop(guard);
    let ((), reports) = diagnostics::capture(|| alloc.end_frame());
    assert_eq!(reports, []);
}

#[test]
fn a_vector_outlives_its_frame_and_its_allocator() {
    let alloc = SmartAlloc::new(AllocConfig::minimal());
    alloc.begin_frame();
    let mut vec = Vec::new_in(FrameAllocator::new());
    vec.extend((0..100).map(|n| n.to_string()));
    let ((), reports) = diagnostics::capture(|| alloc.end_frame());
    assert_eq!(reports[0].code, DiagnosticCode::FA002);
    alloc.begin_frame();
    let scratch = alloc.frame_slice_fill(30_000, 0xEE_u8).unwrap();
    vec.extend((100..2000).map(|n| n.to_string()));
    assert!(scratch.iter().all(|byte| *byte == 0xEE));
    drop(scratch);
    drop(alloc);
    assert!(
        vec.iter()
            .enumerate()
            .all(|(n, text)| *text == n.to_string())
    );
}

#[test]
fn pool_and_heap_values_go_to_other_threads() {
    let shared = Arc::new_in(vec![1, 2], PoolAllocator::new());
    let mut boxed = Box::new_in([0_u8; 9000], HeapAllocator::new());
    let theirs = shared.clone();
    let thread = std::thread::spawn(move || {
        boxed[8999] = theirs[1];
        boxed
    });
    assert_eq!(thread.join().unwrap()[8999], 2);
    assert_eq!(*shared, [1, 2]);
}

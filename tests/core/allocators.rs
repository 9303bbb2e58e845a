//! Frames, pools and heap as allocators of other people's collections.
#![expect(
    unsafe_code,
    reason = "the methods of `Allocator` that take a block back are unsafe to call"
)]

use std::alloc::Layout;
use std::cell::{Cell, RefCell};
use std::ptr::NonNull;

use allocator_api2::alloc::Allocator;
use allocator_api2::boxed::Box as ApiBox;
use allocator_api2::vec::Vec as ApiVec;
use framealloc::{FrameAllocator, HeapAllocator, PoolAllocator, SmartAlloc};
use hashbrown::{DefaultHashBuilder, HashMap, HashSet};
use proptest::prelude::*;

use crate::common::*;
use crate::for_every_alignment;

/// Uses an allocator as collections do.
fn exercise<A: Allocator + Clone>(place: &A) {
    let live = Cell::new(0);
    let mut vec = ApiVec::new_in(place.clone());
    let mut map = HashMap::with_hasher_in(DefaultHashBuilder::default(), place.clone());
    let mut set = HashSet::with_capacity_in(3, place);
    for n in 0..2000_u32 {
        vec.push((n, Counted(&live)));
        map.insert(n, n.to_string());
        set.insert(n % 100);
        if n % 3 == 0 {
            vec.swap_remove(n as usize / 2);
            map.remove(&(n / 2));
        }
    }
    vec.shrink_to_fit();
    map.shrink_to_fit();
    assert!(map.iter().all(|(n, text)| text.parse() == Ok(*n)));
    assert_eq!((vec.len() + live.get(), set.len()), (2000, 100));
    let words: ApiVec<_, _> = {
        let mut words = ApiVec::new_in(place);
        words.extend((0..50).map(|n| ApiBox::new_in(n, place)));
        words
    };
    assert_eq!(words.iter().map(|n| **n).sum::<i32>(), 1225);
    drop((vec, map, set, words));
    assert_eq!(live.get(), 2000);
}

#[test]
fn collections_live_in_frames_in_pools_and_on_the_heap() {
    let alloc = small();
    exercise(&alloc.pool_allocator());
    exercise(&alloc.heap_allocator());
    exercise(&PoolAllocator::new());
    exercise(&HeapAllocator::default());
    alloc.begin_frame();
    exercise(&alloc.frame_allocator());
    exercise(&FrameAllocator::new());
    exercise(&FrameAllocator::try_new().unwrap());
    let guard = alloc.frame();
    exercise(&guard.scratch());
    exercise(&&guard);
    drop(guard);
    let ((), codes) = reported(|| alloc.end_frame());
    assert_eq!((codes, retired(&alloc)), (vec![], 0));
}

#[test]
fn the_other_version_of_the_trait_is_spoken_too() {
    use allocator_api2_04::vec::Vec as Vec04;
    let alloc = small();
    alloc.begin_frame();
    let mut in_frame = Vec04::new_in(alloc.frame_allocator());
    let mut in_pool = Vec04::new_in(alloc.pool_allocator());
    let mut on_heap = Vec04::new_in(alloc.heap_allocator());
    for n in 0..3000 {
        in_frame.push(n);
        in_pool.push(n);
        on_heap.push(n);
    }
    assert!(in_frame == in_pool && in_pool == on_heap && in_frame.iter().copied().eq(0..3000));
    drop(in_frame);
    let guard = alloc.frame();
    let mut scratch = Vec04::with_capacity_in(1, guard.scratch());
    scratch.extend(0..100);
    assert_eq!(scratch[99], 99);
    drop(scratch);
    drop(guard);
    alloc.end_frame();
}

#[test]
fn pool_and_heap_collections_go_to_other_threads() {
    let alloc = small();
    let mut vec = ApiVec::new_in(alloc.pool_allocator());
    vec.extend((0..50).map(|n| n.to_string()));
    let mut map = HashMap::with_hasher_in(DefaultHashBuilder::default(), alloc.heap_allocator());
    map.insert(1, "one".to_owned());
    let (vec, map) = on_a_thread(move || {
        vec.extend((50..500).map(|n| n.to_string()));
        map.insert(2, "two".to_owned());
        (vec, map)
    });
    assert!(
        vec.iter()
            .enumerate()
            .all(|(n, text)| *text == n.to_string())
    );
    assert_eq!(map[&2], "two");
}

#[test]
fn a_vector_kept_past_its_frame_stays_valid_and_grows_on_in_the_next() {
    let alloc = small();
    alloc.begin_frame();
    let mut vec = ApiVec::new_in(alloc.frame_allocator());
    vec.extend((0..100).map(|n| n.to_string()));
    let ((), codes) = reported(|| alloc.end_frame());
    assert_eq!(codes, [FA002]);
    busy_frames(&alloc, 2);
    assert_eq!(retired(&alloc), 1);
    // Where no frame is open it cannot grow, and says why.
    let (grown, codes) = reported(|| vec.try_reserve_exact(1000).is_ok());
    assert_eq!((grown, codes), (false, vec![FA001]));
    alloc.begin_frame();
    vec.extend((100..2000).map(|n| n.to_string()));
    assert_eq!(retired(&alloc), 0);
    assert!(
        vec.iter()
            .enumerate()
            .all(|(n, text)| *text == n.to_string())
    );
    vec.truncate(3);
    vec.shrink_to_fit();
    overwrite(&alloc);
    assert_eq!(vec[2], "2");
    let ((), codes) = reported(|| alloc.end_frame());
    assert_eq!(codes, [FA002]);
    drop(vec);
    assert_eq!(retired(&alloc), 0);
}

#[test]
fn a_vector_may_outlive_the_allocator() {
    let alloc = small();
    alloc.begin_frame();
    let mut vec = ApiVec::new_in(FrameAllocator::new());
    vec.extend((0..100).map(|n| n.to_string()));
    let place = vec.allocator().clone();
    drop(alloc);
    // The frame is open for ever now; another allocator's frames are not its frames.
    let other = small();
    busy_frames(&other, 2);
    vec.extend((100..3000).map(|n| n.to_string()));
    assert!(
        vec.iter()
            .enumerate()
            .all(|(n, text)| *text == n.to_string())
    );
    let boxed = ApiBox::new_in([7; 100], place);
    drop(vec);
    busy_frames(&other, 2);
    assert_eq!(*boxed, [7; 100]);
    drop(boxed);
    // What was used last on this thread is gone, or is another's.
    let (open, _) = reported(|| FrameAllocator::new().frame_is_open());
    assert!(!open);
}

#[test]
fn a_thread_that_has_used_no_allocator_has_no_frame_memory() {
    on_a_thread(|| {
        let place = FrameAllocator::new();
        assert!(!place.frame_is_open());
        let mut vec = ApiVec::<u8, _>::new_in(place);
        let (reserved, codes) = reported(|| vec.try_reserve(10).is_ok());
        assert_eq!((reserved, codes), (false, vec![FA001]));
        let (place, codes) = reported(FrameAllocator::try_new);
        assert_eq!(place.unwrap_err().code(), FA001);
        assert_eq!(codes, [FA001]);
        // Values without a size need none.
        let mut nothing = ApiVec::new_in(FrameAllocator::default());
        nothing.push(());
        assert_eq!(nothing.len(), 1);
        let alloc = small();
        drop(alloc.frame());
        drop(alloc);
        assert!(!FrameAllocator::new().frame_is_open());
    });
}

#[test]
fn the_allocator_used_last_is_the_one_that_is_meant() {
    let [a, b] = [small(), small()];
    a.begin_frame();
    b.begin_frame();
    let in_b = ApiBox::new_in(1, FrameAllocator::new());
    drop(a.frame_box(1).unwrap());
    let in_a = ApiBox::new_in(2, FrameAllocator::new());
    let ((), codes) = reported(|| b.end_frame());
    assert_eq!((codes, retired(&a), retired(&b)), (vec![FA002], 0, 1));
    drop(in_b);
    let ((), codes) = reported(|| a.end_frame());
    assert_eq!((codes, retired(&a), retired(&b)), (vec![FA002], 1, 0));
    drop(in_a);
    assert_eq!(retired(&a), 0);
}

#[test]
fn vectors_of_two_allocators_grow_in_turn() {
    let [a, b] = [small(), small()];
    a.begin_frame();
    b.begin_frame();
    let mut in_a = ApiVec::new_in(a.frame_allocator());
    let mut in_b = ApiVec::new_in(b.frame_allocator());
    for n in 0..3000_u32 {
        in_a.push(n);
        in_b.push(!n);
        if n % 50 == 0 {
            in_a.shrink_to_fit();
        }
    }
    assert!(
        in_a.iter()
            .zip(&in_b)
            .zip(0..)
            .all(|((a, b), n)| (*a, *b) == (n, !n))
    );
    drop((in_a, in_b));
    let ((), codes) = reported(|| {
        a.end_frame();
        b.end_frame();
    });
    assert_eq!(codes, []);
}

#[test]
fn collections_in_thread_locals_are_dropped_after_the_thread() {
    thread_local! {
        static LATE: RefCell<Option<Late>> = const { RefCell::new(None) };
    }
    struct Late(ApiVec<String, FrameAllocator>);
    impl Drop for Late {
        fn drop(&mut self) {
            assert_eq!(self.0[99], "99");
            let (grown, _) = reported(|| self.0.try_reserve(1000).is_ok());
            assert!(!grown || self.0.capacity() >= 1100);
            self.0.shrink_to(50);
        }
    }
    let alloc = small();
    for first in [true, false] {
        let alloc = alloc.clone();
        on_a_thread(move || {
            // Made before or after what the allocator keeps for the thread, and so dropped after or before it.
            if first {
                LATE.set(None);
            }
            alloc.begin_frame();
            let mut vec = ApiVec::new_in(alloc.frame_allocator());
            vec.extend((0..100).map(|n| n.to_string()));
            LATE.set(Some(Late(vec)));
        });
    }
    assert_eq!(retired(&alloc), 0);
    // The last handle may be the one in a thread-local.
    on_a_thread(move || {
        LATE.set(None);
        alloc.begin_frame();
        let mut vec = ApiVec::new_in(alloc.frame_allocator());
        vec.extend((0..100).map(|n| n.to_string()));
        LATE.set(Some(Late(vec)));
        drop(alloc);
    });
}

#[test]
fn shared_frames_are_found_by_threads_that_have_used_them() {
    let alloc = small();
    let mut frames = alloc.shared_frames().unwrap();
    frames.begin().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            drop(alloc.frame_box(0).unwrap());
            let mut vec = ApiVec::new_in(FrameAllocator::new());
            vec.extend(0..1000);
            assert_eq!(vec[999], 999);
        });
    });
    let mut vec = ApiVec::new_in(alloc.frame_allocator());
    vec.push(1);
    let (ended, codes) = reported(|| frames.end());
    assert_eq!((ended, codes), (Ok(()), vec![FA002]));
    frames.begin().unwrap();
    vec.extend(2..2000);
    assert!(vec.iter().copied().eq(1..2000));
    drop(vec);
    let (_, codes) = reported(|| frames.end());
    assert_eq!((codes, retired(&alloc)), (vec![], 0));
}

#[test]
fn the_last_block_grows_where_it_lies_and_what_shrinks_gives_back() {
    let alloc = small();
    alloc.begin_frame();
    let mut vec = ApiVec::with_capacity_in(10, alloc.frame_allocator());
    vec.push(1_u64);
    let start = vec.as_ptr();
    vec.reserve_exact(1000);
    vec.reserve_exact(3000);
    assert_eq!(vec.as_ptr(), start);
    vec.shrink_to(100);
    assert_eq!(vec.as_ptr(), start);
    let next = alloc.frame_box(2_u64).unwrap();
    assert_eq!(address(&*next), start as usize + 800);
    vec.reserve_exact(1000);
    assert_ne!(vec.as_ptr(), start);
    assert_eq!((vec[0], *next), (1, 2));
    drop(next);
    // What is not last shrinks in the books: it does not fill the arena.
    let mut kept = Vec::new();
    for n in 0..2000_u64 {
        let mut vec = ApiVec::with_capacity_in(5000, alloc.frame_allocator());
        vec.push(n);
        let _between = alloc.frame_box(n).unwrap();
        vec.shrink_to_fit();
        kept.push(vec);
        if kept.len() > 20 {
            kept.remove(n as usize % 20);
        }
        assert!(kept.iter().all(|vec| vec.len() == 1));
    }
    drop((kept, vec));
    let ((), codes) = reported(|| alloc.end_frame());
    assert_eq!((codes, retired(&alloc)), (vec![], 0));
}

#[test]
fn every_alignment_is_kept() {
    with_a_large_stack(|| {
        let alloc = SmartAlloc::new(minimal().with_max_frame_arena_size(1 << 30));
        fn check<T: Copy + Default>(place: impl Allocator) {
            let mut vec = ApiVec::new_in(place);
            for _ in 0..6 {
                vec.push(T::default());
                for value in &vec {
                    assert_eq!(address(value) % align_of::<T>(), 0);
                }
            }
            vec.truncate(2);
            vec.shrink_to_fit();
            assert_eq!(address(&vec[1]) % align_of::<T>(), 0);
        }
        macro_rules! check {
            ($t:ident) => {
                check::<$t>(alloc.frame_allocator());
                check::<$t>(alloc.pool_allocator());
                check::<$t>(alloc.heap_allocator());
            };
        }
        alloc.begin_frame();
        for_every_alignment!(check);
        let ((), codes) = reported(|| alloc.end_frame());
        assert_eq!(codes, []);
    });
}

/// A raw block, its layout, and the byte that it is filled with.
struct Block {
    start: NonNull<u8>,
    layout: Layout,
    stamp: u8,
}

impl Block {
    fn bytes(&mut self) -> &mut [u8] {
        // SAFETY: the block is live and this large, and was filled.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.layout.size()) }
    }

    fn check(&mut self, kept: usize, then: u8) {
        assert!((self.start.as_ptr() as usize).is_multiple_of(self.layout.align()));
        let stamp = self.stamp;
        let (front, rest) = self.bytes().split_at(kept);
        assert!(front.iter().all(|byte| *byte == stamp));
        assert!(rest.iter().all(|byte| *byte == then));
    }
}

#[derive(Debug, Clone)]
enum Op {
    Allocate(Layout),
    AllocateZeroed(Layout),
    Deallocate(usize),
    /// To another size and alignment, whichever of grow and shrink that is.
    Resize(usize, Layout),
    GrowZeroed(usize, Layout),
    NextFrame,
}

fn op() -> impl Strategy<Value = Op> {
    let layout = || {
        let size = prop_oneof![2 => Just(0_usize), 8 => 1..300_usize, 3 => 1..9000_usize, 1 => 1..200_000_usize];
        (size, prop_oneof![9 => 0..8_u32, 1 => 8..20_u32])
            .prop_map(|(size, align)| Layout::from_size_align(size, 1 << align).unwrap())
    };
    prop_oneof![
        5 => layout().prop_map(Op::Allocate),
        1 => layout().prop_map(Op::AllocateZeroed),
        4 => any::<usize>().prop_map(Op::Deallocate),
        6 => (any::<usize>(), layout()).prop_map(|(at, layout)| Op::Resize(at, layout)),
        2 => (any::<usize>(), layout()).prop_map(|(at, layout)| Op::GrowZeroed(at, layout)),
        1 => Just(Op::NextFrame),
    ]
}

fn run(place: &impl Allocator, next_frame: impl Fn(), ops: &[Op]) {
    let mut blocks: Vec<Block> = Vec::new();
    for (n, op) in ops.iter().enumerate() {
        let stamp = n as u8 | 1;
        match op {
            Op::Allocate(layout) | Op::AllocateZeroed(layout) => {
                let zeroed = matches!(op, Op::AllocateZeroed(_));
                let start = if zeroed {
                    place.allocate_zeroed(*layout).unwrap().cast::<u8>()
                } else {
                    place.allocate(*layout).unwrap().cast::<u8>()
                };
                let mut block = Block {
                    start,
                    layout: *layout,
                    stamp,
                };
                if zeroed {
                    block.check(0, 0);
                }
                // SAFETY: the block is ours.
                unsafe { start.write_bytes(stamp, layout.size()) };
                block.check(layout.size(), 0);
                blocks.push(block);
            }
            Op::Deallocate(at) if !blocks.is_empty() => {
                let mut block = blocks.swap_remove(at % blocks.len());
                block.check(block.layout.size(), 0);
                // SAFETY: the block is ours, and given up.
                unsafe { place.deallocate(block.start, block.layout) };
            }
            Op::Resize(at, new) | Op::GrowZeroed(at, new) if !blocks.is_empty() => {
                let at = at % blocks.len();
                let block = &mut blocks[at];
                let old = block.layout;
                block.check(old.size(), 0);
                let zeroed = matches!(op, Op::GrowZeroed(..)) && new.size() >= old.size();
                // SAFETY: the block is ours, of this layout, and the method is the one for the new one.
                let start = unsafe {
                    if zeroed {
                        place.grow_zeroed(block.start, old, *new)
                    } else if new.size() >= old.size() {
                        place.grow(block.start, old, *new)
                    } else {
                        place.shrink(block.start, old, *new)
                    }
                };
                block.start = start.unwrap().cast();
                block.layout = *new;
                let kept = old.size().min(new.size());
                if !zeroed {
                    // SAFETY: the end of our block.
                    unsafe { block.start.add(kept).write_bytes(0, new.size() - kept) };
                }
                block.check(kept, 0);
                block.stamp = stamp;
                block.bytes().fill(stamp);
            }
            Op::NextFrame => next_frame(),
            _ => {}
        }
    }
    for mut block in blocks {
        block.check(block.layout.size(), 0);
        // SAFETY: the block is ours, and given up.
        unsafe { place.deallocate(block.start, block.layout) };
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_sequence_of_calls_keeps_blocks_apart_aligned_and_whole(
        ops in prop::collection::vec(op(), 1..150),
    ) {
        let alloc = SmartAlloc::new(minimal().with_max_frame_arena_size(1 << 32));
        alloc.begin_frame();
        let next_frame = || {
            reported(|| alloc.end_frame());
            alloc.begin_frame();
        };
        run(&alloc.frame_allocator(), next_frame, &ops);
        let ((), codes) = reported(|| alloc.end_frame());
        prop_assert_eq!((codes, retired(&alloc)), (vec![], 0));
        let guard = alloc.frame();
        run(&guard.scratch(), || {}, &ops);
        drop(guard);
        run(&alloc.pool_allocator(), || {}, &ops);
        run(&alloc.heap_allocator(), || {}, &ops);
    }
}

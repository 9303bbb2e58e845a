//! `Frame`: memory bounded by a borrow.

use std::cell::Cell;
use std::mem;
use std::ptr::NonNull;

use allocator_api2::alloc::Allocator;
use framealloc::tags::{TagId, TagScope, TagTotals};
use framealloc::{AllocErrorKind, Frame, SmartAlloc};

use crate::common::*;
use crate::for_every_alignment;

#[test]
fn an_outer_guard_may_allocate_while_an_inner_one_is_open() {
    let alloc = small();
    let outer = alloc.frame();
    let first = outer.alloc([1_u64; 64]);
    let above = {
        let inner = alloc.frame();
        let scratch = inner.alloc_slice_fill(4000, 0xAA_u8);
        let above = outer.alloc([2_u64; 64]);
        inner.alloc_slice_fill(4000, 0xBB_u8);
        assert!(scratch.iter().all(|&b| b == 0xAA));
        above
    };
    let again = alloc.frame();
    again.alloc_slice_fill(60_000, 0xCC_u8);
    assert_eq!((*first, *above), ([1; 64], [2; 64]));
}

#[test]
fn guards_close_in_any_order() {
    for order in [
        [0, 1, 2],
        [0, 2, 1],
        [1, 0, 2],
        [1, 2, 0],
        [2, 0, 1],
        [2, 1, 0],
    ] {
        let alloc = small();
        let frames: [Cell<Option<Frame<'_>>>; 3] =
            std::array::from_fn(|_| Cell::new(Some(alloc.frame())));
        for closing in order {
            let frame = frames[closing].take().unwrap();
            let many: Vec<_> = (0..300).map(|n| frame.alloc([n; 100])).collect();
            let fresh = alloc.frame();
            fresh.alloc_slice_fill(40_000, u64::MAX);
            assert!(
                many.iter()
                    .enumerate()
                    .all(|(n, value)| **value == [n; 100])
            );
        }
        let ((), codes) = reported(|| busy_frames(&alloc, 2));
        assert_eq!(codes, []);
    }
}

#[test]
fn a_guard_needs_no_frame_and_outlives_many() {
    let alloc = small();
    let guard = alloc.frame();
    let value = guard.alloc([5_u64; 200]);
    busy_frames(&alloc, 300);
    assert_eq!(*value, [5; 200]);
    alloc.begin_frame();
    let more = guard.alloc([6_u64; 200]);
    alloc.end_frame();
    busy_frames(&alloc, 2);
    assert_eq!((*value, *more), ([5; 200], [6; 200]));
    drop(guard);
    let ((), codes) = reported(|| busy_frames(&alloc, 2));
    assert_eq!(codes, []);
}

#[test]
fn a_forgotten_guard_leaks_its_memory_and_nothing_else() {
    let alloc = small();
    let frames: Vec<_> = (0..10)
        .map(|_| mem::ManuallyDrop::new(alloc.frame()))
        .collect();
    let numbers: Vec<&mut [u64]> = (0..10)
        .zip(&frames)
        .map(|(n, frame)| frame.alloc_slice_fill(1000, n))
        .collect();
    busy_frames(&alloc, 300);
    for (n, slice) in numbers.iter().enumerate() {
        assert!(slice.iter().all(|&m| m == n as u64));
    }
}

#[test]
fn a_guard_grows_through_many_chunks_and_big_blocks() {
    let alloc = small();
    for _ in 0..20 {
        let frame = alloc.frame();
        let mut blocks: Vec<&mut [u32]> = Vec::new();
        for n in 0..200_u32 {
            let len = if n % 50 == 0 {
                40_000
            } else {
                1 + (n as usize * 37) % 3000
            };
            blocks.push(frame.alloc_slice_fill(len, n));
        }
        for (n, block) in blocks.iter().enumerate() {
            assert!(block.iter().all(|&m| m as usize == n));
        }
        let bytes: usize = blocks.iter().map(|block| size_of_val(&**block)).sum();
        assert!(frame.used_bytes() >= bytes);
    }
    let frame = alloc.frame();
    assert_eq!(frame.used_bytes(), 0);
}

#[test]
fn a_guard_keeps_every_alignment() {
    with_a_large_stack(|| {
        let alloc = SmartAlloc::new(minimal().with_max_frame_arena_size(256 << 20));
        macro_rules! check {
            ($t:ident) => {
                let frame = alloc.frame();
                for n in 0..5_u8 {
                    let odd = frame.alloc_slice_fill(3, n);
                    let value = frame.alloc_uninit::<$t>().write($t(n));
                    assert_eq!(address(value) % align_of::<$t>(), 0, stringify!($t));
                    assert_eq!(value.0, n);
                    assert_eq!(odd, [n; 3]);
                }
                let slice = frame.alloc_slice_fill(2, $t(7));
                assert_eq!(address(slice) % align_of::<$t>(), 0);
            };
        }
        for _ in 0..2 {
            for_every_alignment!(check);
        }
    });
}

#[test]
fn a_guards_box_drops_its_value_once() {
    let drops = Cell::new(0);
    let alloc = small();
    let frame = alloc.frame();
    drop(frame.alloc_box(Counted(&drops)));
    assert_eq!(drops.get(), 1);
    let taken = frame.alloc_box(Counted(&drops)).into_inner();
    assert_eq!(drops.get(), 1);
    drop(taken);
    assert_eq!(drops.get(), 2);
    frame.alloc_box(Counted(&drops)).leak();
    mem::forget(frame.alloc_box(Counted(&drops)));
    drop(frame);
    assert_eq!(drops.get(), 2);
}

#[test]
fn a_guards_box_may_go_to_a_scoped_thread() {
    let alloc = small();
    let frame = alloc.frame();
    let name = frame.alloc_box(String::from("scout"));
    let numbers = frame.alloc_slice_fill(1000, 1_u64);
    std::thread::scope(|scope| {
        scope.spawn(move || assert_eq!(*name, "scout"));
        for part in numbers.chunks_mut(100) {
            scope.spawn(move || part.fill(2));
        }
    });
    assert!(numbers.iter().all(|&n| n == 2));
}

#[test]
fn zero_sized_values_in_a_guard_cost_nothing() {
    let alloc = small();
    let frame = alloc.frame();
    frame.alloc(());
    assert_eq!(frame.alloc_slice_fill(1 << 20, ()).len(), 1 << 20);
    assert!(frame.alloc_slice_copy::<u64>(&[]).is_empty());
    assert_eq!(frame.alloc_str(""), "");
    assert_eq!(frame.used_bytes(), 0);
    let drops = Cell::new(0);
    struct Nothing<'a>([Counted<'a>; 0]);
    drop(frame.alloc_box(Nothing([])));
    drop(frame.alloc_box(Counted(&drops)));
    assert_eq!(drops.get(), 1);
}

#[test]
fn absurd_lengths_in_a_guard_are_errors() {
    let alloc = small();
    let frame = alloc.frame();
    let before = frame.alloc(1_u64);
    for (len, kind) in [
        (usize::MAX, AllocErrorKind::CapacityOverflow),
        (
            isize::MAX as usize / 8 + 1,
            AllocErrorKind::CapacityOverflow,
        ),
        (isize::MAX as usize / 8, AllocErrorKind::ArenaExhausted),
        (1 << 40, AllocErrorKind::ArenaExhausted),
    ] {
        let (refused, codes) = reported(|| frame.try_alloc_slice_uninit::<u64>(len).map(|_| ()));
        let error = refused.unwrap_err();
        assert_eq!((error.kind(), &codes[..]), (kind, &[error.code()][..]));
    }
    let (refused, _) = reported(|| frame.try_alloc_uninit::<[u8; 1 << 46]>().map(|_| ()));
    assert!(refused.is_err());
    reported(|| panics(|| frame.alloc_slice_fill(usize::MAX, 0_u64).len()));
    reported(|| panics(|| frame.vec_with_capacity::<u64>(usize::MAX).len()));
    let after = frame.alloc(2_u64);
    assert_eq!((*before, *after), (1, 2));
}

#[test]
fn guards_open_side_by_side_end_with_an_error_at_the_arenas_limit() {
    let alloc = small();
    let mut frames = Vec::new();
    let (error, codes) = reported(|| {
        (0..10_000).find_map(|_| match alloc.try_frame() {
            Ok(frame) => {
                frames.push(frame);
                None
            }
            Err(error) => Some(error),
        })
    });
    let error = error.expect("so many guards do not fit 4 MiB");
    assert_eq!(error.kind(), AllocErrorKind::ArenaExhausted);
    assert_eq!(codes, [FA003]);
    assert!(frames.len() >= 8, "{}", frames.len());
    frames.pop();
    assert!(alloc.try_frame().is_ok());
}

// ---- As an allocator -----------------------------------------------------------------------------------------------

#[test]
fn vectors_and_maps_grow_in_a_guard() {
    let alloc = small();
    let frame = alloc.frame();
    let mut numbers = frame.vec();
    let mut names = frame.map();
    let mut other = frame.vec();
    for n in 0..5000_u32 {
        numbers.push(n);
        if n % 3 == 0 {
            other.push(String::from("kept"));
        }
        if n % 5 == 0 {
            names.insert(n, n.to_string());
        }
    }
    assert!(numbers.iter().copied().eq(0..5000));
    assert_eq!(names.len(), 1000);
    assert!(names.iter().all(|(n, name)| *name == n.to_string()));
    numbers.truncate(10);
    numbers.shrink_to_fit();
    names.retain(|n, _| n % 10 == 0);
    names.shrink_to_fit();
    other.clear();
    other.shrink_to_fit();
    other.push(String::from("again"));
    frame.alloc_slice_fill(50_000, 0xFF_u8);
    assert!(numbers.iter().copied().eq(0..10));
    assert_eq!(names.len(), 500);
    assert_eq!(other, ["again"]);
    let leaked: &mut [u32] = numbers.leak();
    assert_eq!(leaked.len(), 10);
}

#[test]
fn a_vector_that_was_allocated_last_grows_in_place() {
    let alloc = small();
    let frame = alloc.frame();
    let mut numbers = frame.vec_with_capacity::<u64>(4);
    numbers.push(0);
    let place = numbers.as_ptr();
    for n in 1..1000 {
        numbers.push(n);
    }
    assert_eq!(numbers.as_ptr(), place);
    let beside = frame.alloc(u64::MAX);
    for n in 1000..5000 {
        numbers.push(n);
    }
    assert_ne!(numbers.as_ptr(), place);
    assert!(numbers.iter().copied().eq(0..5000));
    assert_eq!(*beside, u64::MAX);
}

#[test]
fn a_vector_that_comes_and_goes_costs_nothing() {
    let alloc = small();
    let frame = alloc.frame();
    frame.alloc(1_u8);
    let used = frame.used_bytes();
    for _ in 0..1000 {
        let mut scratch = frame.vec_with_capacity::<u64>(100);
        scratch.extend(0..500);
    }
    assert_eq!(frame.used_bytes(), used);
}

#[test]
fn what_a_vector_gives_back_was_handed_out_all_the_same() {
    let alloc = small();
    let tag = TagId::from_path("guards::given_back");
    let before = TagTotals::capture();
    {
        let _scope = TagScope::enter(tag);
        let frame = alloc.frame();
        for _ in 0..1000 {
            drop(frame.vec_with_capacity::<u64>(128));
        }
    }
    let spent = TagTotals::capture().since(&before).of(tag);
    assert_eq!(spent.frame_bytes, 1000 * 1024);
}

#[test]
fn a_vector_that_grows_keeps_none_of_its_large_former_selves() {
    let alloc = SmartAlloc::new(minimal().with_max_frame_arena_size(32 << 20));
    let frame = alloc.frame();
    let beside = frame.alloc_slice_fill(1 << 20, 7_u8);
    let mut numbers = frame.vec::<u64>();
    for n in 0..1_000_000 {
        numbers.push(n);
    }
    let held = numbers.capacity() * 8 + beside.len();
    assert!(
        frame.used_bytes() < held + (1 << 20),
        "{} for {held}",
        frame.used_bytes()
    );
    assert!(numbers.iter().copied().eq(0..1_000_000));
    drop(numbers);
    assert!(frame.used_bytes() < beside.len() + (1 << 20));
    assert!(beside.iter().all(|&byte| byte == 7));
}

#[test]
fn guards_that_open_and_close_use_the_same_large_blocks() {
    let config = minimal()
        .with_frame_arena_size(64 << 10)
        .with_max_frame_arena_size(64 << 20);
    let alloc = SmartAlloc::new(config);
    let held = || alloc.arenas()[0].capacity;
    alloc.frame().alloc_slice_fill(16_000, 0_u8);
    let warm = held();
    for _ in 0..1000 {
        alloc.frame().alloc_slice_fill(16_000, 0_u8);
    }
    assert_eq!(held(), warm);
}

#[test]
fn vectors_of_owned_values_drop_them() {
    let drops = Cell::new(0);
    let alloc = small();
    let frame = alloc.frame();
    let mut values = frame.vec();
    values.extend((0..100).map(|_| Counted(&drops)));
    values.truncate(90);
    assert_eq!(drops.get(), 10);
    drop(values);
    assert_eq!(drops.get(), 100);
    let mut nothing = frame.vec();
    nothing.extend([(); 1000]);
    assert_eq!(nothing.len(), 1000);
}

/// A block of the raw interface, with what it must hold.
struct Block {
    start: NonNull<u8>,
    layout: std::alloc::Layout,
    fill: u8,
}

#[expect(unsafe_code, reason = "the Allocator interface is unsafe to use")]
mod raw {
    use super::*;

    pub(super) fn filled(frame: &Frame<'_>, size: usize, align: usize, fill: u8) -> Block {
        let layout = std::alloc::Layout::from_size_align(size, align).unwrap();
        let block = frame.allocate(layout).unwrap();
        assert!(block.len() >= size);
        assert!((block.as_ptr().cast::<u8>() as usize).is_multiple_of(align));
        // SAFETY: just allocated with that many bytes.
        unsafe { block.cast::<u8>().write_bytes(fill, size) };
        Block {
            start: block.cast(),
            layout,
            fill,
        }
    }

    pub(super) fn check(block: &Block) {
        // SAFETY: live, and filled.
        let bytes = unsafe {
            std::slice::from_raw_parts(block.start.as_ptr().cast_const(), block.layout.size())
        };
        assert!(bytes.iter().all(|&b| b == block.fill));
    }

    pub(super) fn resize(frame: &Frame<'_>, block: &mut Block, size: usize, align: usize) {
        check(block);
        let new = std::alloc::Layout::from_size_align(size, align).unwrap();
        let (old_len, kept) = (block.layout.size(), block.layout.size().min(size));
        // SAFETY: the block is live with its layout, and the sizes are on the right side of each other.
        unsafe {
            let moved = if size >= old_len {
                frame.grow(block.start, block.layout, new)
            } else {
                frame.shrink(block.start, block.layout, new)
            }
            .unwrap();
            assert!(moved.len() >= size);
            block.start = moved.cast();
            block.layout = new;
            let bytes = std::slice::from_raw_parts_mut(block.start.as_ptr(), size);
            assert!(bytes[..kept].iter().all(|&b| b == block.fill));
            bytes.fill(block.fill);
        }
        assert!((block.start.as_ptr() as usize).is_multiple_of(align));
    }

    pub(super) fn free(frame: &Frame<'_>, block: Block) {
        check(&block);
        // SAFETY: live with its layout, and not used again.
        unsafe { frame.deallocate(block.start, block.layout) };
    }
}

#[test]
fn blocks_resized_through_zero_and_through_alignments_keep_their_contents() {
    let alloc = SmartAlloc::new(minimal().with_max_frame_arena_size(512 << 20));
    let frame = &alloc.frame();
    let sizes = [0, 1, 7, 8, 9, 100, 4096, 70_000, 300_000, 20, 0, 3, 0];
    let aligns = [
        1,
        8,
        64,
        4096,
        1 << 16,
        1 << 18,
        16,
        1,
        1 << 20,
        2,
        32,
        1,
        128,
    ];
    let mut blocks: Vec<_> = (0..6).map(|n| raw::filled(frame, 0, 1, n)).collect();
    for round in 0..sizes.len() {
        for (index, block) in blocks.iter_mut().enumerate() {
            let step = (round + index * 3) % sizes.len();
            raw::resize(
                frame,
                block,
                sizes[step],
                aligns[(step + round) % aligns.len()],
            );
        }
        blocks.iter().for_each(raw::check);
    }
    // The last one goes back, and the next takes its place.
    for _ in 0..100 {
        let block = raw::filled(frame, 1000, 8, 0xEE);
        raw::free(frame, block);
    }
    blocks.iter().for_each(raw::check);
    while let Some(block) = blocks.pop() {
        raw::free(frame, block);
        let fresh = raw::filled(frame, 500, 16, 0xDD);
        blocks.iter().for_each(raw::check);
        raw::check(&fresh);
    }
}

#[test]
fn empty_blocks_are_aligned_and_take_no_room() {
    let alloc = small();
    let frame = &alloc.frame();
    for align in [1, 8, 4096, 1 << 20, 1 << 40] {
        let block = raw::filled(frame, 0, align, 0);
        raw::free(frame, block);
    }
    assert_eq!(frame.used_bytes(), 0);
}

#[test]
#[expect(unsafe_code, reason = "the Allocator interface is unsafe to use")]
fn a_block_may_be_given_back_with_less_alignment_than_it_had() {
    use std::alloc::Layout;
    let alloc = SmartAlloc::new(minimal().with_max_frame_arena_size(16 << 20));
    let frame = alloc.frame();
    let allocator = &&frame;
    for align in [1, 4096, 256 << 10, 1 << 20] {
        let layout = |size, align| Layout::from_size_align(size, align).unwrap();
        let (large, less) = (layout(300_000, align), layout(280_000, 1));
        let block = allocator.allocate(large).unwrap().cast::<u8>();
        // SAFETY: the block is ours, and its layout is what it was last given.
        unsafe {
            block.write_bytes(0xFF, 280_000);
            let block = allocator.shrink(block, large, less).unwrap().cast::<u8>();
            allocator.deallocate(block, less);
        }
    }
    assert!(frame.used_bytes() < 300_000);
}

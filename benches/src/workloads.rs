//! The operations, each written once for everything that can carry it out.

use crate::Operation;
use crate::ours;
use crate::peers::{Arena, Boxes, Heap, Peer, Put};
use framealloc::SmartAlloc;
use framealloc::tags::{TagId, TagScope};
use std::hint::black_box;
use std::marker::PhantomData;

/// Values that are put somewhere, `n` of them.
pub trait Values {
    /// Puts `n` values into `place`.
    fn put<P: Put>(place: &P, n: usize);
}

/// Values of `N` words.
pub struct Words<const N: usize>;

impl<const N: usize> Values for Words<N> {
    #[inline(always)]
    fn put<P: Put>(place: &P, n: usize) {
        for i in 0..n as u64 {
            place.put([i; N]);
        }
    }
}

/// Eight types in turn, as a frame's scratch is made of.
pub struct Mixed;

impl Values for Mixed {
    #[inline(always)]
    fn put<P: Put>(place: &P, n: usize) {
        for i in 0..n as u64 / 8 {
            place.put(i as u32);
            place.put(i);
            place.put([i as f32; 3]);
            place.put([i; 2]);
            place.put(i as u8);
            place.put([i; 4]);
            place.put([i as f32; 4]);
            place.put((i, i as u16));
        }
    }
}

/// Slices of 4 KiB.
pub struct Slices;

impl Values for Slices {
    #[inline(always)]
    fn put<P: Put>(place: &P, n: usize) {
        let source = [7u64; 512];
        for _ in 0..n {
            place.put_slice(black_box(&source));
        }
    }
}

/// Puts values through a reference about which the optimiser knows nothing.
#[inline(never)]
fn put_behind<V: Values, P: Put>(place: &P, n: usize) {
    V::put(place, n);
}

/// Values in a guard that the loop's own function opened.
pub fn guard<V: Values>() -> Operation {
    let alloc = ours::allocator();
    Box::new(move |n| {
        let frame = alloc.frame();
        V::put(&frame, n);
    })
}

/// Values in a guard that a caller opened.
pub fn guard_behind<V: Values>() -> Operation {
    let alloc = ours::allocator();
    Box::new(move |n| {
        let frame = alloc.frame();
        put_behind::<V, _>(&frame, n);
    })
}

/// Values in a peer's arena, emptied at the end.
pub fn arena<A: Arena, V: Values>() -> Operation {
    let mut arena = A::with_room();
    Box::new(move |n| {
        V::put(&arena, n);
        arena.rewind();
    })
}

/// Values in a peer's arena that a caller owns.
pub fn arena_behind<A: Arena, V: Values>() -> Operation {
    let mut arena = A::with_room();
    Box::new(move |n| {
        put_behind::<V, _>(&arena, n);
        arena.rewind();
    })
}

/// Frame boxes, each dropped before the next, in one thread frame.
pub fn leases<V: Values>() -> Operation {
    let alloc = ours::allocator();
    Box::new(move |n| {
        alloc.begin_frame();
        put_behind::<V, _>(&alloc, n);
        alloc.end_frame();
    })
}

/// Boxes of a general-purpose allocator, each freed before the next.
pub fn boxes<A: Peer, V: Values>() -> Operation {
    Box::new(|n| put_behind::<V, _>(&Heap::<A>(PhantomData), n))
}

/// Pushes numbers until a vector has as many as it was told.
macro_rules! push {
    ($n:ident numbers to $vector:expr) => {{
        let mut vector = $vector;
        for i in 0..$n as u64 {
            vector.push(i);
        }
        black_box(&vector);
    }};
}

/// How much room a vector starts with that is going to hold `n` numbers.
fn room(n: usize, reserve: bool) -> usize {
    if reserve { n } else { 0 }
}

/// Numbers pushed to a vector in a guard.
pub fn frame_vec(reserve: bool) -> Operation {
    let alloc = ours::allocator();
    Box::new(move |n| {
        let frame = alloc.frame();
        push!(n numbers to frame.vec_with_capacity(room(n, reserve)));
    })
}

/// Numbers pushed to a vector in a bumpalo arena.
pub fn bumpalo_vec(reserve: bool) -> Operation {
    let mut bump = bumpalo::Bump::<1>::with_room();
    Box::new(move |n| {
        push!(n numbers to bumpalo::collections::Vec::with_capacity_in(room(n, reserve), &bump));
        bump.rewind();
    })
}

/// Numbers pushed to a vector in a bump-scope arena.
pub fn bump_scope_vec(reserve: bool) -> Operation {
    let mut bump = crate::peers::BumpScopeDown::with_room();
    Box::new(move |n| {
        push!(n numbers to bump_scope::BumpVec::with_capacity_in(room(n, reserve), &bump));
        bump.rewind();
    })
}

/// Numbers pushed to std's vector.
pub fn std_vec(reserve: bool) -> Operation {
    Box::new(move |n| {
        push!(n numbers to Vec::with_capacity(room(n, reserve)));
    })
}

/// Numbers pushed to a vector of fixed capacity in the open frame.
pub fn fixed_vec() -> Operation {
    let alloc = ours::allocator();
    Box::new(move |n| {
        alloc.begin_frame();
        push!(n numbers to alloc.frame_vec(n));
        alloc.end_frame();
    })
}

/// Numbers pushed to a vector of fixed capacity in a bump-scope arena.
pub fn bump_scope_fixed_vec() -> Operation {
    let mut bump = crate::peers::BumpScopeDown::with_room();
    Box::new(move |n| {
        push!(n numbers to bump_scope::FixedBumpVec::with_capacity_in(n, &bump));
        bump.rewind();
    })
}

/// Fills a map with as many keys as it was told, or looks each of them up.
macro_rules! fill {
    ($map:ident with $n:ident keys) => {
        for i in 0..$n as u64 {
            black_box($map.insert(black_box(i), i));
        }
    };
}

macro_rules! look_up {
    ($n:ident keys of $map:ident) => {
        for i in 0..$n as u64 {
            black_box($map.get(&black_box(i)));
        }
    };
}

/// How many keys the maps hold that are searched.
const KEYS: usize = 1_000;

/// Keys inserted in a map of fixed capacity in the open frame.
pub fn fixed_map_insert() -> Operation {
    let alloc = ours::allocator();
    Box::new(move |n| {
        alloc.begin_frame();
        let mut map = alloc.frame_map::<u64, u64>(n);
        fill!(map with n keys);
        drop(map);
        alloc.end_frame();
    })
}

/// Keys inserted in hashbrown's map with room for them, on the heap.
pub fn heap_map_insert() -> Operation {
    Box::new(move |n| {
        let mut map = hashbrown::HashMap::<u64, u64>::with_capacity(n);
        fill!(map with n keys);
    })
}

/// Keys found in a map of fixed capacity.
pub fn fixed_map_get() -> Operation {
    let alloc: &'static SmartAlloc = Box::leak(Box::new(ours::allocator()));
    alloc.begin_frame();
    let mut map = alloc.frame_map::<u64, u64>(KEYS);
    fill!(map with KEYS keys);
    Box::new(move |n| look_up!(n keys of map))
}

/// Keys found in hashbrown's map.
pub fn heap_map_get() -> Operation {
    let mut map = hashbrown::HashMap::<u64, u64>::with_capacity(KEYS);
    fill!(map with KEYS keys);
    Box::new(move |n| look_up!(n keys of map))
}

/// A guard around one value of 16 bytes.
pub fn guard_open() -> Operation {
    let alloc = ours::allocator();
    Box::new(move |n| {
        for i in 0..n as u64 {
            alloc.frame().put([i; 2]);
        }
    })
}

/// A bumpalo arena around one value of 16 bytes.
pub fn bumpalo_new<const MIN_ALIGN: usize>() -> Operation {
    Box::new(|n| {
        for i in 0..n as u64 {
            bumpalo::Bump::<MIN_ALIGN>::with_min_align().put([i; 2]);
        }
    })
}

/// A bump-scope scope around one value of 16 bytes.
pub fn bump_scope_scoped() -> Operation {
    let mut bump = crate::peers::BumpScopeDown::with_room();
    Box::new(move |n| {
        for i in 0..n as u64 {
            bump.scoped(|scope| {
                black_box(bump_scope::BumpBox::leak(scope.alloc([i; 2])));
            });
        }
    })
}

/// A thread frame around one box.
pub fn frame_around_a_box() -> Operation {
    let alloc = ours::allocator();
    Box::new(move |n| {
        for i in 0..n as u64 {
            alloc.begin_frame();
            alloc.put([i; 2]);
            alloc.end_frame();
        }
    })
}

/// A value and a rewind of a peer's arena.
pub fn arena_around_a_value<A: Arena>() -> Operation {
    let mut arena = A::with_room();
    Box::new(move |n| {
        for i in 0..n as u64 {
            arena.put([i; 2]);
            arena.rewind();
        }
    })
}

/// A shared frame around one box.
pub fn shared_frame_around_a_box() -> Operation {
    let alloc = ours::allocator();
    let mut frames = alloc
        .shared_frames()
        .expect("a new allocator has no owner of shared frames");
    Box::new(move |n| {
        for i in 0..n as u64 {
            frames.begin().expect("the frame before has ended");
            alloc.put([i; 2]);
            frames.end().expect("a frame is open");
        }
    })
}

/// A box that is dropped after its frame has ended.
pub fn lease_outlives_its_frame() -> Operation {
    let alloc = ours::allocator();
    Box::new(move |n| {
        for i in 0..n as u64 {
            alloc.begin_frame();
            let late = alloc
                .frame_box([i; 2])
                .expect("a frame is open and has room");
            alloc.end_frame();
            drop(black_box(late));
        }
    })
}

/// Frame boxes of two allocators in turn, on one thread.
pub fn two_allocators() -> Operation {
    let pair = [ours::allocator(), ours::allocator()];
    Box::new(move |n| {
        pair.iter().for_each(SmartAlloc::begin_frame);
        for i in 0..n as u64 / 2 {
            pair[0].put([i; 2]);
            pair[1].put([i; 2]);
        }
        pair.iter().for_each(SmartAlloc::end_frame);
    })
}

/// A checkpoint, one box, and the rollback, after a box that is held.
pub fn checkpoint_around_a_box() -> Operation {
    let alloc = ours::allocator();
    Box::new(move |n| {
        alloc.begin_frame();
        let held = alloc
            .frame_box([0u64; 2])
            .expect("a frame is open and has room");
        for i in 0..n as u64 {
            let checkpoint = alloc.frame_checkpoint();
            alloc.put([i; 2]);
            alloc.rollback_to(checkpoint);
        }
        drop(black_box(held));
        alloc.end_frame();
    })
}

/// A speculative block that fails with one box, after a box that is held.
pub fn speculative_block_around_a_box() -> Operation {
    let alloc = ours::allocator();
    Box::new(move |n| {
        alloc.begin_frame();
        let held = alloc
            .frame_box([0u64; 2])
            .expect("a frame is open and has room");
        for i in 0..n as u64 {
            let failed = alloc.speculative(|| {
                alloc.put([i; 2]);
                Err::<(), _>(black_box(i))
            });
            black_box(&failed);
        }
        drop(black_box(held));
        alloc.end_frame();
    })
}

/// Entering a tag and leaving it, inside a frame.
pub fn tag_scope() -> Operation {
    let alloc = ours::allocator();
    let tag = TagId::from_path("benches::tag");
    Box::new(move |n| {
        alloc.begin_frame();
        alloc.put([0u64; 2]);
        for _ in 0..n {
            drop(black_box(TagScope::enter(black_box(tag))));
        }
        alloc.end_frame();
    })
}

/// 64 bytes, boxed and freed.
pub fn pair<B: Boxes>(boxes: B) -> Operation {
    Box::new(move |n| {
        for i in 0..n as u64 {
            drop(black_box(boxes.make([i; 8])));
        }
    })
}

/// How many boxes of a batch live at once.
const BATCH: usize = 1_000;

/// 64 bytes, a thousand boxed and then all freed.
pub fn batch<B: Boxes>(boxes: B) -> Operation {
    let mut live = Vec::with_capacity(BATCH);
    Box::new(move |n| {
        for _ in 0..n / BATCH {
            live.extend((0..BATCH as u64).map(|i| boxes.make([i; 8])));
            black_box(&live);
            live.clear();
        }
    })
}

/// How many boxes live at once in the churn.
const CHURN: usize = 10_000;

/// 64 bytes, a box among ten thousand replaced at random.
pub fn churn<B: Boxes>(boxes: B) -> Operation {
    let mut live: Vec<_> = (0..CHURN as u64).map(|i| boxes.make([i; 8])).collect();
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let order: Vec<u32> = (0..CHURN)
        .map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (((state >> 32) * CHURN as u64) >> 32) as u32
        })
        .collect();
    Box::new(move |n| {
        for &at in &order[..n] {
            live[at as usize] = boxes.make([u64::from(at); 8]);
        }
        black_box(&live);
    })
}

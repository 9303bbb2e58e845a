//! For one address, listeners hear of a free before they hear of the next allocation, whatever threads those are of.

use std::collections::HashSet;
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::thread;

use framealloc::diagnostics::MemoryEvent;
use framealloc::{AllocConfig, FrameEvent, HeapBox, PoolBox, SmartAlloc};

use crate::common::{panics, retired, small};

/// What a profiler makes of what it hears.
#[derive(Default)]
struct Heard {
    live: HashSet<usize>,
    allocs: usize,
    wrong: Vec<String>,
}

/// Listens to the allocator as a profiler does.
fn listen(alloc: &SmartAlloc) -> Arc<Mutex<Heard>> {
    let heard = Arc::<Mutex<Heard>>::default();
    let sink = heard.clone();
    alloc.profiler().set_callback(move |event| {
        let mut heard = sink.lock().unwrap();
        match event {
            MemoryEvent::Alloc { ptr, size, .. } => {
                heard.allocs += 1;
                if !heard.live.insert(ptr) {
                    let wrong = format!("{ptr:#x}, of {size} bytes now, was taken twice");
                    heard.wrong.push(wrong);
                }
            }
            MemoryEvent::Free { ptr } if !heard.live.remove(&ptr) => {
                heard.wrong.push(format!("{ptr:#x} was not taken"));
            }
            _ => {}
        }
    });
    heard
}

/// Panics if anything was wrong. Returns how many blocks were allocated, and how many are live.
fn check(heard: &Mutex<Heard>) -> (usize, usize) {
    let heard = heard.lock().unwrap();
    assert_eq!(heard.wrong, [] as [String; 0]);
    (heard.allocs, heard.live.len())
}

// ---- Other threads -------------------------------------------------------------------------------------------------

/// Frees what `make` makes on another thread. While that tells of it, this one tries to get the same memory `times` times. The
/// listener that waits meanwhile is told before the profiler.
fn reach_for_what_is_being_freed<B: Send>(
    times: usize,
    make: impl Fn(&SmartAlloc) -> B,
    while_told: impl Fn(&SmartAlloc) + Send + Sync + 'static,
) {
    let alloc = small();
    let heard = listen(&alloc);
    let (told, is_told) = mpsc::channel();
    let (go_on, may_go_on) = mpsc::channel();
    let may_go_on = Mutex::new(may_go_on);
    let inner = alloc.clone();
    alloc.on_frame_event(move |event| {
        if let FrameEvent::Free {
            was_cross_thread: true,
            ..
        } = event
        {
            while_told(&inner);
            told.send(()).unwrap();
            may_go_on.lock().unwrap().recv().unwrap();
        }
    });
    alloc.enable_lifecycle_tracking();
    alloc.begin_frame();
    let block = make(&alloc);
    thread::scope(|scope| {
        scope.spawn(move || drop(block));
        is_told.recv().unwrap();
        let _reached: Vec<_> = (0..times).map(|_| make(&alloc)).collect();
        go_on.send(()).unwrap();
    });
    alloc.end_frame();
    assert_eq!(check(&heard), (times + 1, 0));
    alloc.lifecycle().clear_callbacks();
}

#[test]
fn a_heap_block_is_told_of_as_free_before_another_thread_has_its_memory() {
    let make = |alloc: &SmartAlloc| alloc.heap_box([0u8; 20_000]).unwrap();
    reach_for_what_is_being_freed(8, make, |_| {});
}

#[test]
fn a_pool_block_is_told_of_as_free_before_another_thread_has_its_memory() {
    let make = |alloc: &SmartAlloc| alloc.pool_box([0u8; 1500]).unwrap();
    // The end of a frame hands over what was freed for others.
    reach_for_what_is_being_freed(500, make, |alloc| {
        alloc.begin_frame();
        alloc.end_frame();
    });
}

enum Anything {
    Small(PoolBox<[u8; 40]>),
    Middling(PoolBox<[u8; 700]>),
    Heap(HeapBox<[u8; 64]>),
    Large(HeapBox<[u8; 9000]>),
}

impl Anything {
    fn make(alloc: &SmartAlloc, which: u64) -> Self {
        match which % 4 {
            0 => Self::Small(alloc.pool_box([1; 40]).unwrap()),
            1 => Self::Middling(alloc.pool_box([2; 700]).unwrap()),
            2 => Self::Heap(alloc.heap_box([3; 64]).unwrap()),
            _ => Self::Large(alloc.heap_box([4; 9000]).unwrap()),
        }
    }

    fn is_whole(&self) -> bool {
        match self {
            Self::Small(value) => **value == [1; 40],
            Self::Middling(value) => **value == [2; 700],
            Self::Heap(value) => **value == [3; 64],
            Self::Large(value) => **value == [4; 9000],
        }
    }
}

#[test]
fn threads_that_share_memory_never_tell_of_an_address_twice() {
    const THREADS: u64 = 4;
    const FRAMES: u64 = 20;
    let alloc = small();
    let heard = listen(&alloc);
    alloc.enable_lifecycle_tracking();
    alloc.on_frame_event(|event| {
        if let FrameEvent::Free { .. } = event {
            // The others have their chance.
            thread::yield_now();
        }
    });
    let passed_on = Mutex::new(Vec::<Anything>::new());
    // Threads end meanwhile, and leave what they have to the next ones.
    for _ in 0..3 {
        thread::scope(|scope| {
            for number in 0..THREADS {
                let (alloc, passed_on) = (&alloc, &passed_on);
                scope.spawn(move || {
                    let mut random = 0x9E37_79B9_7F4A_7C15 ^ number;
                    let mut next = move || {
                        random ^= random << 13;
                        random ^= random >> 7;
                        random ^= random << 17;
                        random
                    };
                    for _ in 0..FRAMES {
                        alloc.begin_frame();
                        let mut kept = Vec::new();
                        for _ in 0..20 {
                            let which = next();
                            let fresh = Anything::make(alloc, which >> 8);
                            let mut shared = passed_on.lock().unwrap();
                            shared.push(fresh);
                            let at = (which >> 16) as usize % shared.len();
                            let taken = (shared.len() > 30).then(|| shared.swap_remove(at));
                            drop(shared);
                            assert!(taken.is_none_or(|taken| taken.is_whole()));
                            match which % 4 {
                                0 => kept.push(alloc.frame_slice_fill(100, 5u8).unwrap()),
                                1 => drop(alloc.frame_alloc::<[u8; 300_000]>()),
                                2 => drop(alloc.frame().alloc_uninit::<[u8; 70_000]>()),
                                _ => kept.clear(),
                            }
                        }
                        kept.clear();
                        alloc.end_frame();
                    }
                });
            }
        });
    }
    drop(passed_on);
    let (allocs, live) = check(&heard);
    assert!(allocs as u64 > 3 * THREADS * FRAMES * 20);
    assert_eq!(live, 0);
}

// ---- Frames --------------------------------------------------------------------------------------------------------

#[test]
fn what_a_guard_has_left_is_told_of_as_free_before_a_lease_lies_there() {
    let alloc = small();
    let heard = listen(&alloc);
    alloc.begin_frame();
    for _ in 0..10 {
        alloc.frame().alloc_slice_fill(200_000, 0u8);
        drop(alloc.frame_slice_fill(200_000, 0u8).unwrap());
    }
    alloc.end_frame();
    assert_eq!(check(&heard), (20, 0));
}

#[test]
fn what_a_guard_reuses_while_it_is_open_is_told_of_in_turn() {
    let alloc = small();
    let heard = listen(&alloc);
    alloc.begin_frame();
    {
        let guard = alloc.frame();
        for _ in 0..10 {
            // The block allocated last goes back, and one that is too large for a chunk.
            drop(guard.vec_with_capacity::<u64>(100));
            drop(guard.vec_with_capacity::<u64>(30_000));
        }
        let mut grows = guard.vec::<u64>();
        for n in 0..20_000 {
            grows.push(n);
        }
        assert!(grows.iter().copied().eq(0..20_000));
    }
    alloc.end_frame();
    let (allocs, live) = check(&heard);
    assert!(allocs > 20);
    assert_eq!(live, 0);
}

#[test]
fn an_arena_that_is_given_back_has_told_of_everything() {
    let alloc = small();
    let heard = listen(&alloc);
    // What an arena has not used for a while goes back to the system, when it looks itself over: its memory is the heap's then.
    for frame in 0..300u32 {
        alloc.begin_frame();
        let large: Vec<_> = (0..3)
            .map(|_| alloc.heap_alloc::<[u8; 140_000]>())
            .collect();
        if frame.is_multiple_of(70) {
            alloc.frame().alloc_slice_fill(140_000, 0u8);
            drop(alloc.frame_slice_fill(130_000, 0u8).unwrap());
        }
        drop(large);
        alloc.end_frame();
    }
    assert_eq!(check(&heard), (300 * 3 + 5 * 2, 0));
}

// ---- What listeners may do -----------------------------------------------------------------------------------------

#[test]
fn a_listener_that_panics_at_a_free_leaves_the_block_free_and_uncharged() {
    const TAG: &str = "event_order_panic";
    let alloc = SmartAlloc::new(AllocConfig::minimal().with_budgets(true));
    let budgets = alloc.budgets().unwrap();
    budgets.register_tag_budget(TAG, 1 << 20, 1 << 20);
    let used = || budgets.get_tag_budget(TAG).unwrap().current_usage;
    let heard = listen(&alloc);
    alloc.enable_lifecycle_tracking();
    alloc.on_frame_event(|event| {
        if let FrameEvent::Free { .. } = event {
            panic!("a listener's");
        }
    });
    alloc.with_tag(TAG, |alloc| {
        alloc.begin_frame();
        for _ in 0..5 {
            let pool = alloc.pool_box([0u8; 64]).unwrap();
            panics(move || drop(pool));
            let heap = alloc.heap_box([0u8; 6400]).unwrap();
            panics(move || drop(heap));
            let frame = alloc.frame_box([0u8; 64]).unwrap();
            panics(move || drop(frame));
            assert_eq!(used(), 0);
        }
        // On another thread, which does not own it.
        let pool = alloc.pool_box([0u8; 64]).unwrap();
        thread::scope(|scope| {
            scope.spawn(move || panics(move || drop(pool)));
        });
        assert_eq!(used(), 0);
        // Several that are told of at once.
        {
            let guard = alloc.frame();
            for n in 0..10u64 {
                guard.alloc([n; 10]);
            }
        }
        panics(|| alloc.end_frame());
    });
    assert_eq!(used(), 0);
    assert_eq!(retired(&alloc), 0);
    assert_eq!(check(&heard), (5 * 3 + 1 + 10, 0));
}

#[test]
fn a_listener_may_allocate_and_free_what_is_like_the_block_that_is_being_freed() {
    let alloc = small();
    let heard = listen(&alloc);
    alloc.enable_lifecycle_tracking();
    let inner = alloc.clone();
    let kept = Mutex::new(Vec::new());
    alloc.on_frame_event(move |event| {
        if let FrameEvent::Free { .. } = event {
            let mut kept = kept.lock().unwrap();
            let (pool, heap) = (
                inner.pool_box([7u8; 64]).unwrap(),
                inner.heap_box([8u8; 640]).unwrap(),
            );
            kept.push((pool, heap));
            if kept.len() > 5 {
                let (pool, heap) = kept.swap_remove(2);
                assert_eq!((*pool, *heap), ([7; 64], [8; 640]));
            }
            drop(inner.frame_box([9u8; 64]).unwrap());
        }
    });
    alloc.begin_frame();
    for n in 0..100u8 {
        let (pool, heap, frame) = (
            alloc.pool_box([n; 64]).unwrap(),
            alloc.heap_box([n; 640]).unwrap(),
            alloc.frame_box([n; 64]).unwrap(),
        );
        assert_eq!((*pool, *heap, *frame), ([n; 64], [n; 640], [n; 64]));
    }
    alloc.end_frame();
    assert_eq!(check(&heard), (300, 0));
    alloc.lifecycle().clear_callbacks();
}

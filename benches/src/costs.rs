//! What it costs to turn something on: the same operation with and without, in turns.

use crate::peers::Peer;
use crate::times::{clocked, median};
use crate::trace;
use framealloc::{
    AllocConfig, AllocationTag, FrameBarrier, FrameBox, HeapAudit, HeapBox, PoolBox, SmartAlloc,
};
use mimalloc::MiMalloc;
use std::alloc::System;
use std::cell::RefCell;
use std::hint::black_box;
use std::time::Duration;

const ROOM: &str = "the benchmarks stay below every limit";
/// An odd number, so that the median is one of the rounds.
const ROUNDS: usize = 41;
/// Operations of a turn.
const TIMES: usize = 20_000;
/// A frame ends after so many.
const A_FRAME: usize = 1_000;

/// One line of the table: nanoseconds an operation, medians over the rounds.
pub struct Cost {
    /// What is turned on.
    pub what: &'static str,
    /// What the library promises that it costs at most, in nanoseconds.
    pub promise: f64,
    /// Without it.
    pub without: f64,
    /// With it.
    pub with: f64,
    /// The median of each round's difference.
    pub more: f64,
    /// The median of each round's ratio.
    pub ratio: f64,
}

type Turn = Box<dyn Fn() -> Duration>;

/// Measures every line.
pub fn measure() -> Vec<Cost> {
    let row = |what, promise, without: Turn, with: Turn| {
        let (mut plain, mut costly) = (Vec::new(), Vec::new());
        for round in 0..=ROUNDS {
            // The first warms up.
            let (one, other) = if round % 2 == 0 {
                let one = without();
                (one, with())
            } else {
                let other = with();
                (without(), other)
            };
            if round > 0 {
                plain.push(one.as_nanos() as f64 / TIMES as f64);
                costly.push(other.as_nanos() as f64 / TIMES as f64);
            }
        }
        Cost {
            what,
            promise,
            without: median(plain.iter().copied()),
            with: median(costly.iter().copied()),
            more: median(plain.iter().zip(&costly).map(|(one, other)| other - one)),
            ratio: median(plain.iter().zip(&costly).map(|(one, other)| other / one)),
        }
    };
    vec![
        row(
            "a budget on the tag: `frame_box`, 16 B",
            5.0,
            allocations::<InFrame>(plain()),
            allocations::<InFrame>(budgeted()),
        ),
        row(
            "a budget on the tag: `pool_box`, 64 B",
            5.0,
            allocations::<InPool>(plain()),
            allocations::<InPool>(budgeted()),
        ),
        row(
            "a budget on the tag: the drop of a `PoolBox`, 64 B",
            5.0,
            drops::<InPool>(plain()),
            drops::<InPool>(budgeted()),
        ),
        row(
            "a budget on the tag: `heap_box`, 64 B",
            5.0,
            allocations::<OnHeap>(plain()),
            allocations::<OnHeap>(budgeted()),
        ),
        row(
            "a budget on the tag: the drop of a `HeapBox`, 64 B",
            5.0,
            drops::<OnHeap>(plain()),
            drops::<OnHeap>(budgeted()),
        ),
        row(
            "a transfer, received on its thread (without: a `pool_box`), 64 B",
            10.0,
            pool_boxes(plain()),
            transfers(plain()),
        ),
        row(
            "a barrier's signal and reset, one thread (without: nothing)",
            50.0,
            Box::new(|| {
                clocked(|| {
                    for i in 0..TIMES {
                        black_box(i);
                    }
                })
            }),
            signals(),
        ),
        row(
            "`HeapAudit` over the system's allocator: an allocation of a game's trace, with its growth and its free",
            5.0,
            traced::<System>(),
            traced::<HeapAudit>(),
        ),
        row(
            "the same over mimalloc",
            5.0,
            traced::<MiMalloc>(),
            traced::<HeapAudit<MiMalloc>>(),
        ),
        row(
            "an event, one listener that does nothing: `frame_box` and drop of 16 B are two",
            100.0,
            events::<InFrame>(plain(), 1),
            events::<InFrame>(watched(), 1),
        ),
        row(
            "the same of frame boxes, of which up to 200 are alive",
            100.0,
            events::<InFrame>(plain(), 200),
            events::<InFrame>(watched(), 200),
        ),
        row(
            "the same of a `pool_box`, 64 B",
            100.0,
            events::<InPool>(plain(), 1),
            events::<InPool>(watched(), 1),
        ),
        row(
            "the same of a `heap_box`, 64 B",
            100.0,
            events::<OnHeap>(plain(), 1),
            events::<OnHeap>(watched(), 1),
        ),
    ]
}

const TAG: AllocationTag = AllocationTag::new("budgeted");

fn plain() -> SmartAlloc {
    SmartAlloc::new(AllocConfig::default())
}

fn budgeted() -> SmartAlloc {
    let alloc = SmartAlloc::new(AllocConfig::default().with_budgets(true));
    let budgets = alloc.budgets().expect("it was made with budgets");
    budgets.register_tag(&TAG, 1 << 40, 1 << 41);
    alloc
}

fn watched() -> SmartAlloc {
    let alloc = plain();
    alloc.enable_lifecycle_tracking();
    alloc.on_frame_event(|event| {
        black_box(event);
    });
    alloc
}

/// A kind of box.
trait Kind: 'static {
    type Box<'a>;
    fn make(alloc: &SmartAlloc, i: u64) -> Self::Box<'_>;
}

struct InFrame;
struct InPool;
struct OnHeap;

impl Kind for InFrame {
    type Box<'a> = FrameBox<'a, [u64; 2]>;

    #[inline(always)]
    fn make(alloc: &SmartAlloc, i: u64) -> Self::Box<'_> {
        alloc.frame_box([i; 2]).expect(ROOM)
    }
}

impl Kind for InPool {
    type Box<'a> = PoolBox<[u64; 8]>;

    #[inline(always)]
    fn make(alloc: &SmartAlloc, i: u64) -> Self::Box<'_> {
        alloc.pool_box([i; 8]).expect(ROOM)
    }
}

impl Kind for OnHeap {
    type Box<'a> = HeapBox<[u64; 8]>;

    #[inline(always)]
    fn make(alloc: &SmartAlloc, i: u64) -> Self::Box<'_> {
        alloc.heap_box([i; 8]).expect(ROOM)
    }
}

/// Clocks allocations alone, a frame's at a time.
fn allocations<K: Kind>(alloc: SmartAlloc) -> Turn {
    frames::<K>(alloc, |alloc, held| {
        clocked(|| held.extend((0..A_FRAME as u64).map(|i| black_box(K::make(alloc, i)))))
    })
}

/// Clocks drops alone, a frame's at a time.
fn drops<K: Kind>(alloc: SmartAlloc) -> Turn {
    frames::<K>(alloc, |alloc, held| {
        held.extend((0..A_FRAME as u64).map(|i| K::make(alloc, i)));
        clocked(|| held.clear())
    })
}

/// Adds up what `clock` says of each frame.
fn frames<K: Kind>(
    alloc: SmartAlloc,
    clock: for<'a> fn(&'a SmartAlloc, &mut Vec<K::Box<'a>>) -> Duration,
) -> Turn {
    Box::new(move || {
        alloc.with_tag(TAG.name(), |alloc| {
            let mut held = Vec::with_capacity(A_FRAME);
            let mut spent = Duration::ZERO;
            for _ in 0..TIMES / A_FRAME {
                alloc.begin_frame();
                spent += clock(alloc, &mut held);
                held.clear();
                alloc.end_frame();
            }
            spent
        })
    })
}

/// Makes and drops half as many boxes, of which so many are alive at once: the times are those of an event.
fn events<K: Kind>(alloc: SmartAlloc, alive: usize) -> Turn {
    // Where one allocator is watched, the pools of all take slow paths: so it is watched in its turn only.
    let is_watched = alloc.is_lifecycle_tracking_enabled();
    alloc.disable_lifecycle_tracking();
    Box::new(move || {
        if is_watched {
            alloc.enable_lifecycle_tracking();
        }
        let mut held = Vec::with_capacity(alive);
        let spent = clocked(|| {
            for _ in 0..TIMES / 2 / A_FRAME {
                alloc.begin_frame();
                for _ in 0..A_FRAME / alive {
                    held.extend((0..alive as u64).map(|i| black_box(K::make(&alloc, i))));
                    held.clear();
                }
                alloc.end_frame();
            }
        });
        drop(held);
        alloc.disable_lifecycle_tracking();
        spent
    })
}

fn pool_boxes(alloc: SmartAlloc) -> Turn {
    repeat(alloc, |alloc, i| drop(black_box(InPool::make(alloc, i))))
}

fn transfers(alloc: SmartAlloc) -> Turn {
    repeat(alloc, |alloc, i| {
        let handle = black_box(alloc.frame_box_for_transfer([i; 8]));
        drop(black_box(handle.receive()));
    })
}

fn repeat(alloc: SmartAlloc, operation: impl Fn(&SmartAlloc, u64) + 'static) -> Turn {
    Box::new(move || {
        alloc.with_tag(TAG.name(), |alloc| {
            clocked(|| {
                for i in 0..TIMES as u64 {
                    operation(alloc, i);
                }
            })
        })
    })
}

fn traced<A: Peer>() -> Turn {
    let replay = RefCell::new(trace::replay::<A>());
    Box::new(move || {
        let whole = clocked(|| replay.borrow_mut()(trace::ALLOCATIONS));
        whole.mul_f64(TIMES as f64 / trace::ALLOCATIONS as f64)
    })
}

fn signals() -> Turn {
    let barrier = FrameBarrier::new(1);
    Box::new(move || {
        clocked(|| {
            for _ in 0..TIMES {
                black_box(barrier.signal_frame_complete());
                black_box(barrier.reset());
            }
        })
    })
}

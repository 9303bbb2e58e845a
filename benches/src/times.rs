//! CPU time of the same operations, side by side.
//!
//! Instruction counts are exact, but see neither a chain of dependent writes nor a page fault. Times see both, and are noisy:
//! so the subjects of a row take turns, round after round, each is divided by the reference of its own round, and the median
//! of these ratios is what counts. The clock is the CPU time of the thread, which other processes do not stretch.

use crate::ours::{self, Pool};
use crate::peers::{Arena, Boxes, BumpScopeDown, Heap, Put};
use crate::{Cell, Operation, ROWS, Row, Subject};
use framealloc::{AllocConfig, SmartAlloc};
use mimalloc::MiMalloc;
use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap_anonymous, munmap};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use rustix::time::{ClockId, clock_gettime};
use std::alloc::System;
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::sync::{LazyLock, mpsc};
use std::time::Duration;
use tikv_jemallocator::Jemalloc;

/// Runs an operation as many times as it is told, and says how much CPU time that took.
type Timed = Box<dyn FnMut(usize) -> Duration>;

/// An odd number, so that the median is one of the rounds.
const ROUNDS: usize = 41;

/// What one turn of the reference takes at least: the clock itself costs about half a microsecond.
const TURN: Duration = Duration::from_micros(200);

/// The times of one row.
pub struct Times {
    /// The row's title in the table.
    pub what: &'static str,
    /// The subject that the ratios are to.
    pub reference: Subject,
    /// Nanoseconds an operation, and the ratio to the reference: medians over the rounds.
    pub cells: Vec<(Subject, f64, f64)>,
}

/// What only a clock can see.
struct TimedRow {
    what: &'static str,
    times: usize,
    cells: &'static [Cell<Timed>],
}

macro_rules! freed_elsewhere {
    ($core:literal) => {
        &[
            (Subject::Framealloc, || {
                freed_elsewhere($core, Pool(ours::allocator()))
            }),
            (Subject::System, || {
                freed_elsewhere($core, Heap::<System>(PhantomData))
            }),
            (Subject::Mimalloc, || {
                freed_elsewhere($core, Heap::<MiMalloc>(PhantomData))
            }),
            (Subject::Jemalloc, || {
                freed_elsewhere($core, Heap::<Jemalloc>(PhantomData))
            }),
        ]
    };
}

static TIMED_ROWS: &[TimedRow] = &[
    TimedRow {
        what: "`pool_box` made on one thread, dropped on another of the same core, 64 B (both threads' time)",
        times: 20_000,
        cells: freed_elsewhere!(0),
    },
    TimedRow {
        what: "`pool_box` made on one core, dropped on another, 64 B (both threads' time)",
        times: 20_000,
        cells: freed_elsewhere!(1),
    },
    TimedRow {
        what: "first touch of 16 MiB, huge pages advised (the default)",
        times: 4,
        cells: &[
            (Subject::Framealloc, || first_touch_of_a_frame(true)),
            (Subject::Bumpalo, first_touch_of_an_arena::<bumpalo::Bump>),
            (Subject::BumpScope, first_touch_of_an_arena::<BumpScopeDown>),
            (Subject::System, || first_touch_of_a_mapping(true)),
        ],
    },
    TimedRow {
        what: "first touch of 16 MiB, plain pages",
        times: 4,
        cells: &[
            (Subject::Framealloc, || first_touch_of_a_frame(false)),
            (Subject::Bumpalo, first_touch_of_an_arena::<bumpalo::Bump>),
            (Subject::BumpScope, first_touch_of_an_arena::<BumpScopeDown>),
            (Subject::System, || first_touch_of_a_mapping(false)),
        ],
    },
    TimedRow {
        what: "zeroes written to 16 MiB that are there already, on huge pages (bumpalo: first touch)",
        times: 4,
        cells: &[
            (Subject::Bumpalo, first_touch_of_an_arena::<bumpalo::Bump>),
            (Subject::System, zeroes_in_a_mapping),
        ],
    },
];

/// The cores of the process, read before any thread is bound to one.
static CORES: LazyLock<Vec<usize>> = LazyLock::new(cores);

/// Measures every row of the table, and those which only a clock can see.
pub fn measure() -> Vec<Times> {
    stay_on(&CORES, 0);
    let counted = ROWS.iter().map(|row| {
        let cells = row
            .cells
            .iter()
            .map(|&(subject, _)| (subject, on_this_thread(row, subject)))
            .collect();
        interleave(row.what, row.times, cells)
    });
    let timed = TIMED_ROWS.iter().map(|row| {
        let cells = row.cells.iter().map(|(subject, make)| (*subject, make()));
        interleave(row.what, row.times, cells.collect())
    });
    counted.chain(timed).collect()
}

/// Whom the others are compared to: the best known of those that can do it.
const REFERENCES: [Subject; 4] = [
    Subject::Bumpalo,
    Subject::Mimalloc,
    Subject::System,
    Subject::Framealloc,
];

fn interleave(what: &'static str, times: usize, mut cells: Vec<(Subject, Timed)>) -> Times {
    let place_of = |wanted| cells.iter().position(|(subject, _)| *subject == wanted);
    let place = REFERENCES
        .into_iter()
        .find_map(place_of)
        .expect("framealloc is in every row");
    let reference = cells[place].0;
    for (_, run) in &mut cells {
        run(times);
    }
    let once = cells[place].1(times).max(Duration::from_nanos(1));
    let turns = TURN.as_nanos().div_ceil(once.as_nanos()) as usize;

    let mut rounds: Vec<Vec<f64>> = Vec::with_capacity(ROUNDS);
    for round in 0..ROUNDS {
        let mut nanos = vec![0.0; cells.len()];
        for step in 0..cells.len() {
            // There and back: nobody always has the caches, and the system's freed pages, of the same one before it.
            let turn = match round % 2 {
                0 => (round + step) % cells.len(),
                _ => cells.len() - 1 - (round + step) % cells.len(),
            };
            let spent: Duration = (0..turns).map(|_| cells[turn].1(times)).sum();
            nanos[turn] = spent.as_nanos() as f64 / (turns * times) as f64;
        }
        rounds.push(nanos);
    }
    let cells = cells.iter().enumerate().map(|(cell, (subject, _))| {
        let nanos = median(rounds.iter().map(|round| round[cell]));
        let ratio = median(rounds.iter().map(|round| round[cell] / round[place]));
        (*subject, nanos, ratio)
    });
    Times {
        what,
        reference,
        cells: cells.collect(),
    }
}

pub(crate) fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn cpu_time() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}

pub(crate) fn clocked(operation: impl FnOnce()) -> Duration {
    let start = cpu_time();
    operation();
    cpu_time() - start
}

fn on_this_thread(row: &Row, subject: Subject) -> Timed {
    let mut operation: Operation = row
        .prepare(subject)
        .expect("a cell is one of its row's subjects");
    Box::new(move |n| clocked(|| operation(n)))
}

/// Keeps this thread on one of the cores that the process may use, by its number among them.
///
/// Without it, the scheduler decides whether two threads share a core, and that decides what memory passed between them
/// costs. Where it cannot be done, the run goes on: its ratios are then those of whatever the scheduler chose.
fn stay_on(cores: &[usize], number: usize) {
    if let Some(&core) = cores.get(number % cores.len().max(1)) {
        let mut set = CpuSet::new();
        set.set(core);
        let _ = sched_setaffinity(None, &set);
    }
}

/// The cores that this thread may run on.
fn cores() -> Vec<usize> {
    let allowed = sched_getaffinity(None).unwrap_or_else(|_| CpuSet::new());
    (0..CpuSet::MAX_CPU)
        .filter(|&core| allowed.is_set(core))
        .collect()
}

/// Boxes made here and dropped on another thread, in batches of which a few are under way at once.
fn freed_elsewhere<B: Boxes>(core: usize, boxes: B) -> Timed {
    const BATCH: usize = 1_000;
    const UNDER_WAY: usize = 4;
    let (full, to_free) = mpsc::sync_channel::<Vec<B::Box<[u64; 8]>>>(UNDER_WAY);
    let (empty, freed) = mpsc::channel();
    // Ends when the operation is dropped, and its end of the channel with it.
    std::thread::spawn(move || {
        stay_on(&CORES, core);
        for mut batch in to_free {
            let spent = clocked(|| batch.clear());
            if empty.send((batch, spent)).is_err() {
                break;
            }
        }
    });
    let mut spare: Vec<_> = (0..UNDER_WAY).map(|_| Vec::with_capacity(BATCH)).collect();
    Box::new(move |n| {
        let mut spent = Duration::ZERO;
        for _ in 0..n / BATCH {
            let mut batch = spare.pop().unwrap_or_else(|| {
                let (batch, freeing) = freed.recv().expect("the other thread runs");
                spent += freeing;
                batch
            });
            spent += clocked(|| {
                batch.extend((0..BATCH as u64).map(|i| boxes.make([i; 8])));
            });
            full.send(batch).expect("the other thread runs");
        }
        while spare.len() < UNDER_WAY {
            let (batch, freeing) = freed.recv().expect("the other thread runs");
            spent += freeing;
            spare.push(batch);
        }
        spent
    })
}

/// How many bytes the process grew by while pool boxes were freed on another thread, after a warm-up.
pub fn growth_under_remote_frees(boxes: usize) -> i64 {
    stay_on(&CORES, 0);
    let mut run = freed_elsewhere(1, Pool(ours::allocator()));
    run(boxes / 10);
    let before = resident_bytes();
    run(boxes);
    resident_bytes() - before
}

/// The process' resident memory; zero where there is no `/proc`.
fn resident_bytes() -> i64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm.split_whitespace().nth(1);
    let pages: i64 = pages.and_then(|pages| pages.parse().ok()).unwrap_or(0);
    pages * rustix::param::page_size() as i64
}

/// The arena of the first-touch rows. `cargo xtask bench` sets `MALLOC_MMAP_THRESHOLD_`, so that the C library maps each new
/// one and does not hand out again what it has touched before.
const TOUCHED: usize = 16 << 20;

/// As much of it is written: a sixteenth is left for headers.
const WRITTEN: usize = TOUCHED / 16 * 15;

/// A page of which only the first word is written.
#[derive(Clone, Copy)]
#[repr(C)]
struct Page {
    first: u64,
    rest: MaybeUninit<[u64; 511]>,
}

/// Writes a word to each page of `WRITTEN` bytes.
fn touch(place: &impl Put) {
    for first in 0..(WRITTEN / size_of::<Page>()) as u64 {
        let rest = MaybeUninit::uninit();
        place.put(Page { first, rest });
    }
}

fn first_touch_of_a_frame(huge_pages: bool) -> Timed {
    let config = AllocConfig::default()
        .with_frame_arena_size(TOUCHED)
        .with_huge_pages(huge_pages);
    Box::new(move |n| {
        let once = |_| {
            let alloc = SmartAlloc::new(config.clone());
            let frame = alloc.frame();
            clocked(|| touch(&frame))
        };
        (0..n).map(once).sum()
    })
}

fn first_touch_of_an_arena<A: Arena>() -> Timed {
    let once = |_| {
        let arena = A::with_capacity(TOUCHED);
        clocked(|| touch(&arena))
    };
    Box::new(move |n| (0..n).map(once).sum())
}

/// A bare mapping, of which a word is written to as many pages: what the system itself takes for them.
fn first_touch_of_a_mapping(huge_pages: bool) -> Timed {
    let once = move |_| {
        let mapping = Mapping::new(huge_pages);
        clocked(|| mapping.touch())
    };
    Box::new(move |n| (0..n).map(once).sum())
}

/// A mapping of which as much is filled with zeroes again and again: what the system does at the first touch, and cannot
/// do without.
fn zeroes_in_a_mapping() -> Timed {
    let mapping = Mapping::new(true);
    let once = move |_| clocked(|| mapping.fill_with_zeroes());
    Box::new(move |n| (0..n).map(&once).sum())
}

/// Memory straight from the system.
struct Mapping {
    map: *mut u8,
    /// Of `TOUCHED` bytes, aligned to a huge page.
    start: *mut u64,
}

impl Mapping {
    const HUGE: usize = 2 << 20;

    fn new(huge_pages: bool) -> Self {
        let (flags, access) = (MapFlags::PRIVATE, ProtFlags::READ | ProtFlags::WRITE);
        // SAFETY: a fresh mapping, which nobody else knows.
        #[expect(unsafe_code, reason = "the system's own interface")]
        unsafe {
            let map = mmap_anonymous(std::ptr::null_mut(), TOUCHED + Self::HUGE, access, flags);
            let map = map.expect("the system has memory").cast::<u8>();
            let start = map.add(map.align_offset(Self::HUGE)).cast::<u64>();
            if huge_pages {
                // Where it is refused, the row says so.
                let _ = madvise(start.cast(), TOUCHED, Advice::LinuxHugepage);
            }
            Self { map, start }
        }
    }

    /// Writes a word to each page of `WRITTEN` bytes.
    fn touch(&self) {
        for page in 0..WRITTEN / size_of::<Page>() {
            let at = page * size_of::<Page>() / size_of::<u64>();
            // SAFETY: a word of the mapping.
            #[expect(unsafe_code, reason = "memory that nobody else knows")]
            unsafe {
                self.start.add(at).write_volatile(1);
            }
        }
    }

    fn fill_with_zeroes(&self) {
        // SAFETY: inside the mapping.
        #[expect(unsafe_code, reason = "memory that nobody else knows")]
        unsafe {
            self.start.cast::<u8>().write_bytes(0, WRITTEN);
        }
        std::hint::black_box(self.start);
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: mapped like this, and not used any more.
        #[expect(unsafe_code, reason = "the system's own interface")]
        unsafe {
            munmap(self.map.cast(), TOUCHED + Self::HUGE).expect("it was mapped");
        }
    }
}

//! Random operations on several threads, while profiling goes on and off and viewers come and go.

use std::sync::{Barrier, Mutex};
use std::thread;

use framealloc::{FrameBox, HeapBox, PoolBox, Profiler, ProfilingConfig, SmartAlloc};
use proptest::prelude::*;

use super::server::{FRAME, HEAP, POOL, Server};
use crate::common::small;

#[derive(Debug, Clone, Copy)]
enum Op {
    Begin,
    End,
    Frame,
    DropFrame(usize),
    Guard(u8),
    RollBack,
    Pool,
    Heap,
    /// Keeps it here, or takes one that anybody kept.
    DropAny(usize),
    Phase,
    EndPhase,
    Start,
    Stop,
    Track(bool),
    Disconnect,
    Connect,
}

fn op() -> impl Strategy<Value = Op> {
    use Op::*;
    prop_oneof![
        3 => Just(Begin),
        3 => Just(End),
        6 => Just(Frame),
        4 => (0..8usize).prop_map(DropFrame),
        2 => (1..6u8).prop_map(Guard),
        1 => Just(RollBack),
        6 => Just(Pool),
        6 => Just(Heap),
        10 => (0..8usize).prop_map(DropAny),
        2 => Just(Phase),
        2 => Just(EndPhase),
        2 => Just(Start),
        1 => Just(Stop),
        1 => any::<bool>().prop_map(Track),
        1 => Just(Disconnect),
        1 => Just(Connect),
    ]
}

enum Owned {
    Pool { _block: PoolBox<[u64; 6]> },
    Heap { _block: HeapBox<[u64; 40]> },
}

/// What threads hand to each other.
type Shelf = Mutex<Vec<Owned>>;

struct Setting<'a> {
    alloc: &'a SmartAlloc,
    profiler: &'a Profiler,
    server: &'a Server,
    shelf: &'a Shelf,
    /// Whether viewers come and go.
    viewers: bool,
}

impl Setting<'_> {
    fn run(&self, ops: &[Op]) {
        let Self { alloc, .. } = *self;
        let mut frames: Vec<FrameBox<'_, [u64; 3]>> = Vec::new();
        let mut depth = 0;
        for (step, op) in ops.iter().enumerate() {
            match *op {
                Op::Begin => drop(alloc.try_begin_frame()),
                Op::End => {
                    depth = if alloc.frame_is_open() { 0 } else { depth };
                    let (_, _) = framealloc::diagnostics::capture(|| alloc.try_end_frame());
                }
                Op::Frame if alloc.frame_is_open() => {
                    frames.push(alloc.frame_box([step as u64; 3]).unwrap());
                }
                Op::DropFrame(n) if !frames.is_empty() => {
                    drop(frames.swap_remove(n % frames.len()));
                }
                Op::Guard(n) => {
                    let guard = alloc.frame();
                    for n in 0..n {
                        guard.alloc([n; 40]);
                    }
                    guard.alloc_slice_fill(usize::from(n) * 20_000, n);
                }
                Op::RollBack if alloc.frame_is_open() => {
                    let checkpoint = alloc.frame_checkpoint();
                    drop(alloc.frame_box(step).unwrap());
                    alloc.rollback_to(checkpoint);
                }
                Op::Pool => {
                    let _block = alloc.pool_box([step as u64; 6]).unwrap();
                    self.shelf.lock().unwrap().push(Owned::Pool { _block });
                }
                Op::Heap => {
                    let _block = alloc.heap_box([step as u64; 40]).unwrap();
                    self.shelf.lock().unwrap().push(Owned::Heap { _block });
                }
                Op::DropAny(n) => {
                    let mut shelf = self.shelf.lock().unwrap();
                    let taken = (!shelf.is_empty()).then(|| {
                        let n = n % shelf.len();
                        shelf.swap_remove(n)
                    });
                    drop(shelf);
                    drop(taken);
                }
                Op::Phase => {
                    alloc.begin_phase("phase");
                    depth += 1;
                }
                Op::EndPhase if depth > 0 => {
                    alloc.end_phase();
                    depth -= 1;
                }
                Op::Start => alloc.profile_with(self.profiler, ProfilingConfig::default()),
                Op::Stop => alloc.stop_profiling(),
                Op::Track(true) => alloc.enable_lifecycle_tracking(),
                Op::Track(false) => alloc.disable_lifecycle_tracking(),
                Op::Disconnect if self.viewers => self.server.disconnect(),
                Op::Connect if self.viewers => self.server.connect(),
                _ => {}
            }
        }
        drop(frames);
        for _ in 0..depth {
            alloc.end_phase();
        }
        let _ = framealloc::diagnostics::capture(|| alloc.try_end_frame());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: if cfg!(framealloc_asan) { 24 } else { 64 }, ..ProptestConfig::default() })]

    #[test]
    fn a_profiler_is_never_told_what_would_end_its_session(
        threads in prop::collection::vec(prop::collection::vec(op(), 1..120), 1..4),
        viewers in any::<bool>(),
    ) {
        let (alloc, server, shelf) = (small(), Server::default(), Shelf::default());
        let profiler = server.profiler();
        alloc.profile_with(&profiler, ProfilingConfig::default());
        let setting = Setting { alloc: &alloc, profiler: &profiler, server: &server, shelf: &shelf, viewers };
        let together = Barrier::new(threads.len());
        thread::scope(|scope| {
            let workers: Vec<_> = threads
                .iter()
                .map(|ops| {
                    let (setting, together) = (&setting, &together);
                    scope.spawn(move || {
                        together.wait();
                        setting.run(ops);
                    })
                })
                .collect();
            // The end of the scope alone would not wait for what threads do last: their thread-locals end zones.
            for worker in workers {
                worker.join().unwrap();
            }
        });
        server.check();
        // Some outlive the allocator.
        let rest = shelf.into_inner().unwrap();
        drop(alloc);
        drop(rest);
        server.check_empty();
    }

    /// One thread, so that it is known what lives.
    #[test]
    fn a_profiler_sees_exactly_what_lives(
        sizes in prop::collection::vec((0..3u8, 1..5000usize, any::<bool>()), 1..200),
    ) {
        let (alloc, server) = (small(), Server::default());
        alloc.profile_with(&server.profiler(), ProfilingConfig::default());
        alloc.begin_frame();
        let mut frame = Vec::new();
        let mut owned = Vec::new();
        let mut live = [0usize; 3];
        for (kind, size, drops) in sizes {
            match kind {
                0 => {
                    frame.push(alloc.frame_slice_fill(size, 1u8).unwrap());
                    live[0] += size;
                }
                1 => {
                    owned.push(Owned::Pool { _block: alloc.pool_box([1; 6]).unwrap() });
                    live[1] += 48;
                }
                _ => {
                    owned.push(Owned::Heap { _block: alloc.heap_box([1; 40]).unwrap() });
                    live[2] += 320;
                }
            }
            if drops {
                match owned.pop() {
                    Some(Owned::Pool { .. }) => live[1] -= 48,
                    Some(Owned::Heap { .. }) => live[2] -= 320,
                    None => {}
                }
            }
            prop_assert_eq!([server.live(FRAME), server.live(POOL), server.live(HEAP)], live);
        }
        drop(frame);
        alloc.end_frame();
        prop_assert_eq!([server.live(FRAME), server.live(POOL), server.live(HEAP)], [0, live[1], live[2]]);
        drop(owned);
        server.check_empty();
    }
}

//! Sequences of checkpoints, rollbacks and leases, checked against a plain model: it knows which rollbacks must succeed, and
//! how many bytes stop the others.

use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::slice::Iter;
use std::thread;

use framealloc::DiagnosticCode::FA007;
use framealloc::diagnostics::DiagnosticCode;
use framealloc::{
    AllocConfig, FrameBox, FrameCheckpoint, FrameSlice, RollbackErrorKind, SmartAlloc,
};
use proptest::prelude::*;

use crate::common::*;

/// A block that begins with a checkpoint, and how it ends.
#[derive(Debug, Clone, Copy)]
enum In {
    Success,
    Failure,
    /// The error holds a lease.
    FailureThatHolds,
    Panic,
    Scope,
}

#[derive(Debug, Clone)]
enum Op {
    Begin(usize),
    End(usize),
    /// Leases a slice of an allocator, by length.
    Lease(usize, usize),
    /// Leases a slice that grows while it is made.
    Collect(usize, usize),
    /// Leases a block aligned to 4 KiB.
    Aligned(usize),
    Drop(usize),
    /// Drops everything leased since the checkpoint counted from the newest.
    DropSince(usize, usize),
    Forget(usize),
    Checkpoint(usize),
    /// Rolls an allocator back to one of all the checkpoints ever taken.
    RollBack(usize, usize),
    /// Forgets a guard.
    Guard(usize),
    /// Runs the operations up to their `Close` in a block.
    Block(usize, In),
    Close,
    /// A phase, after which allocations are counted one by one until the frame ends.
    Phase(usize),
    Check,
}

fn op(frames: bool) -> impl Strategy<Value = Op> {
    let alloc = 0..2_usize;
    let len = prop_oneof![20 => 0..40_usize, 5 => 0..3000_usize, 1 => 0..40_000_usize];
    let block = prop_oneof![
        Just(In::Success),
        Just(In::Failure),
        Just(In::FailureThatHolds),
        Just(In::Panic),
        Just(In::Scope),
    ];
    let boundary = prop_oneof![
        1 => Just(Op::Check),
        5 => alloc.clone().prop_map(Op::Begin),
        2 => alloc.clone().prop_map(Op::End),
    ];
    let boundary = boundary.prop_map(move |op| if frames { op } else { Op::Check });
    prop_oneof![
        7 => boundary,
        8 => (alloc.clone(), len.clone()).prop_map(|(a, n)| Op::Lease(a, n)),
        3 => (alloc.clone(), len).prop_map(|(a, n)| Op::Collect(a, n)),
        1 => alloc.clone().prop_map(Op::Aligned),
        9 => any::<usize>().prop_map(Op::Drop),
        5 => (alloc.clone(), 0..4_usize).prop_map(|(a, n)| Op::DropSince(a, n)),
        1 => any::<usize>().prop_map(Op::Forget),
        5 => alloc.clone().prop_map(Op::Checkpoint),
        6 => (alloc.clone(), any::<usize>()).prop_map(|(a, n)| Op::RollBack(a, n)),
        5 => (alloc.clone(), block).prop_map(|(a, b)| Op::Block(a, b)),
        1 => alloc.clone().prop_map(Op::Guard),
        1 => alloc.prop_map(Op::Phase),
        7 => Just(Op::Close),
    ]
}

enum Block<'a> {
    Slice(FrameSlice<'a, u64>),
    Aligned(FrameBox<'a, A4K>),
    Forgotten,
}

struct Held<'a> {
    /// When it was leased, which is also what it is filled with.
    stamp: u64,
    alloc: usize,
    frame: u64,
    bytes: usize,
    block: Block<'a>,
}

/// The model of one allocator on one thread.
struct Front<'a> {
    alloc: &'a SmartAlloc,
    open: bool,
    frame: u64,
    /// When the valid checkpoints were taken, oldest first; a block does not show its own.
    valid: Vec<(u64, Option<FrameCheckpoint>)>,
    all: Vec<FrameCheckpoint>,
}

struct Model<'a> {
    fronts: [Front<'a>; 2],
    held: Vec<Held<'a>>,
    now: u64,
    /// Whether the arenas have so much room that every seal holds.
    exact: bool,
}

impl<'a> Model<'a> {
    fn new(allocs: [&'a SmartAlloc; 2], exact: bool, shared: bool) -> Self {
        Self {
            fronts: allocs.map(|alloc| Front {
                alloc,
                open: shared,
                frame: alloc.frame_number(),
                valid: Vec::new(),
                all: Vec::new(),
            }),
            held: Vec::new(),
            now: 0,
            exact,
        }
    }

    fn check(&self) {
        for held in &self.held {
            match &held.block {
                Block::Slice(slice) => assert!(slice.iter().all(|&value| value == held.stamp)),
                Block::Aligned(boxed) => assert_eq!(boxed.0, held.stamp as u8),
                Block::Forgotten => {}
            }
        }
    }

    fn hold(&mut self, a: usize, bytes: usize, block: Block<'a>) {
        self.held.push(Held {
            stamp: self.now,
            alloc: a,
            frame: self.fronts[a].frame,
            bytes,
            block,
        });
    }

    /// Takes note of a checkpoint that was taken.
    fn took(&mut self, a: usize, checkpoint: FrameCheckpoint) {
        let front = &mut self.fronts[a];
        front.all.push(checkpoint);
        if front.open {
            front.valid.push((self.now, Some(checkpoint)));
        }
    }

    /// Bytes that are held of what was leased since.
    fn bytes_since(&self, a: usize, since: u64) -> usize {
        self.held
            .iter()
            .filter(|held| {
                held.alloc == a && held.frame == self.fronts[a].frame && held.stamp > since
            })
            .map(|held| held.bytes)
            .sum()
    }

    fn roll_back(&mut self, a: usize, checkpoint: FrameCheckpoint) {
        let front = &self.fronts[a];
        let result = front.alloc.try_rollback_to(checkpoint);
        let index = front
            .valid
            .iter()
            .position(|(_, valid)| *valid == Some(checkpoint));
        let Some(index) = index else {
            let kind = result.unwrap_err().kind();
            let expected = if !front.all.contains(&checkpoint) {
                RollbackErrorKind::OtherAllocator
            } else if !front.open {
                RollbackErrorKind::NoFrame
            } else if checkpoint.frame_id() != front.frame {
                RollbackErrorKind::OtherFrame
            } else {
                RollbackErrorKind::Stale
            };
            assert_eq!(kind, expected);
            return;
        };
        let bytes = self.bytes_since(a, front.valid[index].0);
        match result {
            Ok(()) => {
                assert!(bytes == 0 || !self.exact, "{bytes} bytes were held");
                self.fronts[a].valid.truncate(index);
            }
            Err(error) => {
                assert_eq!(error.kind(), RollbackErrorKind::InUse);
                assert_ne!(bytes, 0);
                if self.exact {
                    assert_eq!(error.bytes(), bytes);
                } else {
                    assert!(error.bytes() <= bytes);
                }
            }
        }
    }

    /// A block ends whose checkpoint was taken at `start`. Returns the codes that have to be reported.
    fn end_block(&mut self, a: usize, start: u64, keeps: bool) -> Vec<DiagnosticCode> {
        let valid = &self.fronts[a].valid;
        let Some(index) = valid.iter().position(|&(taken, _)| taken == start) else {
            return if keeps { vec![] } else { vec![FA007] };
        };
        let bytes = self.bytes_since(a, start);
        self.fronts[a].valid.truncate(index);
        if keeps || bytes == 0 {
            vec![]
        } else {
            vec![FA002]
        }
    }

    /// Runs the operations up to their `Close` in a speculative block, or in a scope.
    fn run_block(&mut self, ops: &mut Iter<'_, Op>, a: usize, block: In, depth: usize) {
        let alloc = self.fronts[a].alloc;
        let start = self.now;
        let mut expected = Vec::new();
        let open = self.fronts[a].open;
        if open {
            self.fronts[a].valid.push((start, None));
        } else {
            expected.push(FA001);
        }
        let (ended, codes) = reported(|| {
            catch_unwind(AssertUnwindSafe(|| {
                let mut body = || {
                    reported(|| self.run(ops, depth + 1));
                    self.now += 1;
                    let mut error = None;
                    if matches!(block, In::FailureThatHolds) {
                        let (slice, _) = reported(|| alloc.frame_slice_fill(9, self.now));
                        if let Ok(slice) = slice {
                            self.hold(a, 72, Block::Forgotten);
                            error = Some((self.now, slice));
                        }
                    }
                    if open {
                        let keeps = matches!(block, In::Success);
                        expected.extend(self.end_block(a, start, keeps));
                    }
                    match block {
                        In::Success => Ok(()),
                        In::Panic => resume_unwind(Box::new(())),
                        In::Failure | In::FailureThatHolds | In::Scope => Err(error),
                    }
                };
                match block {
                    In::Scope => alloc.scope(|_| body()),
                    _ => alloc.speculative(body),
                }
            }))
        });
        if self.exact {
            assert_eq!(codes, expected);
        }
        // The lease that the error holds is an ordinary one now.
        if let Ok(Err(Some((stamp, slice)))) = ended {
            let held = self.held.iter_mut().find(|held| held.stamp == stamp);
            held.expect("nothing drops it").block = Block::Slice(slice);
        }
    }

    fn run(&mut self, ops: &mut Iter<'_, Op>, depth: usize) {
        while let Some(op) = ops.next() {
            self.now += 1;
            match *op {
                Op::Begin(a) => {
                    let front = &mut self.fronts[a];
                    assert_eq!(front.alloc.try_begin_frame().is_ok(), !front.open);
                    front.open = true;
                    front.frame = front.alloc.frame_number();
                }
                Op::End(a) => {
                    let front = &mut self.fronts[a];
                    assert_eq!(front.alloc.try_end_frame().is_ok(), front.open);
                    front.open = false;
                    front.valid.clear();
                }
                Op::Lease(a, len) => {
                    let slice = self.fronts[a].alloc.frame_slice_fill(len, self.now);
                    self.leased(a, slice, len);
                }
                Op::Collect(a, len) => {
                    let values = (0..len).filter(|n| n % 4 != 3).map(|_| self.now);
                    let slice = self.fronts[a].alloc.frame_slice_from_iter(values);
                    self.leased(a, slice, len);
                }
                Op::Aligned(a) => {
                    let value = A4K(self.now as u8);
                    let boxed = self.fronts[a].alloc.frame_box(value);
                    if self.exact {
                        assert_eq!(boxed.is_ok(), self.fronts[a].open);
                    }
                    if let Ok(boxed) = boxed {
                        self.hold(a, size_of::<A4K>(), Block::Aligned(boxed));
                    }
                }
                Op::Drop(n) if !self.held.is_empty() => {
                    let index = n % self.held.len();
                    if !matches!(self.held[index].block, Block::Forgotten) {
                        self.held.swap_remove(index);
                    }
                }
                Op::DropSince(a, n) => {
                    let valid = &self.fronts[a].valid;
                    if let Some(&(since, _)) = valid.iter().rev().nth(n) {
                        self.held.retain(|held| {
                            held.alloc != a
                                || held.stamp <= since
                                || matches!(held.block, Block::Forgotten)
                        });
                    }
                }
                Op::Forget(n) if !self.held.is_empty() => {
                    let index = n % self.held.len();
                    mem::forget(mem::replace(&mut self.held[index].block, Block::Forgotten));
                }
                Op::Checkpoint(a) => {
                    let checkpoint = self.fronts[a].alloc.frame_checkpoint();
                    self.took(a, checkpoint);
                }
                Op::RollBack(a, n) => {
                    let all: Vec<_> = self
                        .fronts
                        .iter()
                        .flat_map(|front| &front.all)
                        .copied()
                        .collect();
                    // Mostly a valid one, or hardly any rollback would succeed.
                    let valid = &self.fronts[a].valid;
                    let checkpoint = if n % 4 != 0 && !valid.is_empty() {
                        valid[n / 4 % valid.len()].1
                    } else {
                        all.get(n / 4 % all.len().max(1)).copied()
                    };
                    if let Some(checkpoint) = checkpoint {
                        self.roll_back(a, checkpoint);
                    }
                }
                Op::Guard(a) => {
                    let guard = self.fronts[a].alloc.checkpoint_guard();
                    self.took(a, guard.checkpoint());
                    mem::forget(guard);
                }
                Op::Block(a, block) if depth < 6 => self.run_block(ops, a, block, depth),
                Op::Close => {
                    if depth > 0 {
                        return;
                    }
                }
                Op::Phase(a) => {
                    let alloc = self.fronts[a].alloc;
                    alloc.begin_phase("model");
                    alloc.end_phase();
                }
                Op::Check => self.check(),
                Op::Drop(_) | Op::Forget(_) | Op::Block(..) => {}
            }
        }
    }

    fn leased(
        &mut self,
        a: usize,
        slice: Result<FrameSlice<'a, u64>, framealloc::AllocError>,
        len: usize,
    ) {
        if self.exact {
            // An empty slice needs no frame.
            assert_eq!(slice.is_ok(), self.fronts[a].open || len == 0);
        }
        if let Ok(slice) = slice {
            self.hold(a, size_of_val(&*slice), Block::Slice(slice));
        }
    }
}

fn run(allocs: [&SmartAlloc; 2], ops: &[Op], exact: bool, shared: bool) {
    reported(|| {
        let mut model = Model::new(allocs, exact, shared);
        let mut ops = ops.iter();
        while ops.len() > 0 {
            model.run(&mut ops, 0);
        }
        model.check();
        // All that outlives its frame goes in the end, and the arenas are whole again.
        model.held.clear();
        if !shared {
            for alloc in allocs {
                let _ = alloc.try_end_frame();
            }
        }
    });
}

/// An allocator in which the largest operations of one case fit, and so many seals that none is broken.
fn roomy() -> SmartAlloc {
    SmartAlloc::new(AllocConfig::minimal().with_max_frame_arena_size(2 << 30))
}

/// The same with budgets.
fn budgeted() -> SmartAlloc {
    let config = AllocConfig::minimal().with_max_frame_arena_size(2 << 30);
    SmartAlloc::new(config.with_budgets(true))
}

/// One in which hardly anything fits.
fn tight() -> SmartAlloc {
    SmartAlloc::new(
        AllocConfig::minimal()
            .with_frame_arena_size(16 << 10)
            .with_max_frame_arena_size(64 << 10),
    )
}

fn forgets(ops: &[Op]) -> bool {
    ops.iter().any(|op| matches!(op, Op::Forget(_)))
}

fn sequence() -> impl Strategy<Value = Vec<Op>> {
    prop::collection::vec(op(true), 1..300)
}

fn check(allocs: [&SmartAlloc; 2], ops: &[Op]) {
    run(allocs, ops, true, false);
    if !forgets(ops) {
        assert_eq!(retired(allocs[0]) + retired(allocs[1]), 0);
        for budgets in allocs.iter().filter_map(|alloc| alloc.budgets()) {
            assert_eq!(budgets.current_usage(), 0);
        }
    }
    let ((), codes) = reported(|| busy_frames(allocs[0], 2));
    assert_eq!(codes, []);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn rollbacks_free_exactly_what_nobody_holds(ops in sequence()) {
        check([&roomy(), &roomy()], &ops);
    }

    #[test]
    fn rollbacks_where_every_allocation_is_counted_free_exactly_what_nobody_holds(ops in sequence()) {
        check([&budgeted(), &budgeted()], &ops);
    }

    #[test]
    fn rollbacks_in_an_arena_at_its_limit_free_nothing_that_is_held(ops in sequence()) {
        let (a, b) = (tight(), tight());
        run([&a, &b], &ops, false, false);
        if !forgets(&ops) {
            prop_assert_eq!(retired(&a) + retired(&b), 0);
        }
    }

    #[test]
    fn rollbacks_on_several_threads_do_not_disturb_each_other(
        sequences in prop::collection::vec(prop::collection::vec(op(true), 1..150), 3)
    ) {
        let (a, b) = (roomy(), roomy());
        // The second time on threads that adopt what the first ones left.
        for allocs in [[&a, &b], [&b, &a]] {
            thread::scope(|scope| {
                for ops in &sequences {
                    scope.spawn(move || run(allocs, ops, true, false));
                }
            });
        }
    }

    #[test]
    fn rollbacks_in_shared_frames_do_not_disturb_each_other(
        sequences in prop::collection::vec(prop::collection::vec(op(false), 1..150), 3)
    ) {
        let (a, b) = (roomy(), roomy());
        let (mut of_a, mut of_b) = (a.shared_frames().unwrap(), b.shared_frames().unwrap());
        for _ in 0..2 {
            of_a.begin().unwrap();
            of_b.begin().unwrap();
            thread::scope(|scope| {
                for ops in &sequences {
                    scope.spawn(|| run([&a, &b], ops, true, true));
                }
            });
            of_a.end().unwrap();
            of_b.end().unwrap();
        }
    }
}

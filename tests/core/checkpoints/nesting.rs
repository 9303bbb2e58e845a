//! Checkpoints inside checkpoints.

use std::mem;

use framealloc::DiagnosticCode::FA007;
use framealloc::{AllocConfig, FrameBox, FrameCheckpoint, RollbackErrorKind, SmartAlloc};

use super::refused;
use crate::common::*;

/// What falls out of a system that a worker runs on top of another: leases, and checkpoints that nobody closes.
struct Leftovers<'a> {
    leases: Vec<(u64, FrameBox<'a, [u64; 40]>)>,
    checkpoints: Vec<FrameCheckpoint>,
}

impl Leftovers<'_> {
    fn check(&self) {
        for (stamp, boxed) in &self.leases {
            assert_eq!(**boxed, [*stamp; 40]);
        }
    }
}

#[test]
fn checkpoints_nest_and_roll_back_one_after_the_other() {
    let alloc = small();
    alloc.begin_frame();
    let a = alloc.frame_box([1_u64; 10]).unwrap();
    let outer = alloc.frame_checkpoint();
    let b = alloc.frame_box([2_u64; 10]).unwrap();
    let inner = alloc.frame_checkpoint();
    let c = alloc.frame_box([3_u64; 10]).unwrap();
    assert_eq!(refused(&alloc, inner), RollbackErrorKind::InUse);
    drop(c);
    assert_eq!(alloc.try_rollback_to(inner), Ok(()));
    let c = alloc.frame_box([4_u64; 10]).unwrap();
    assert_eq!(address(&*c), inner.head());
    assert_eq!((*a, *b, *c), ([1; 10], [2; 10], [4; 10]));
    let error = alloc.try_rollback_to(outer).unwrap_err();
    assert_eq!(
        (error.kind(), error.bytes()),
        (RollbackErrorKind::InUse, 160)
    );
    drop((b, c));
    assert_eq!(alloc.try_rollback_to(outer), Ok(()));
    let b = alloc.frame_box([5_u64; 10]).unwrap();
    assert_eq!(address(&*b), outer.head());
    assert_eq!(*a, [1; 10]);
}

#[test]
fn rolling_back_to_an_outer_checkpoint_makes_the_inner_ones_stale() {
    let alloc = small();
    alloc.begin_frame();
    let base = alloc.frame_box(1_u64).unwrap();
    let outer = alloc.frame_checkpoint();
    let middle = alloc.frame_checkpoint();
    drop(alloc.frame_box(2_u64).unwrap());
    let inner = alloc.frame_checkpoint();
    alloc.rollback_to(outer);
    let ((), codes) = reported(|| {
        for stale in [inner, middle, outer] {
            assert_eq!(refused(&alloc, stale), RollbackErrorKind::Stale);
            alloc.rollback_to(stale);
        }
    });
    assert_eq!(codes, [FA007; 3]);
    // A stale one frees nothing of what is at its place now.
    let newer = alloc.frame_checkpoint();
    drop(alloc.frame_box([1_u64; 50]).unwrap());
    assert_eq!(refused(&alloc, outer), RollbackErrorKind::Stale);
    assert_eq!(alloc.try_rollback_to(newer), Ok(()));
    drop(base);
    alloc.end_frame();
}

#[test]
fn an_inner_lease_stops_the_outer_rollback_wherever_it_lies() {
    // In a chunk that was sealed, in one that was full, and in the active one.
    for held in 0..3 {
        let alloc = SmartAlloc::new(AllocConfig::minimal().with_max_frame_arena_size(64 << 20));
        alloc.begin_frame();
        let base = alloc.frame_box(0_u64).unwrap();
        let outer = alloc.frame_checkpoint();
        let sealed = alloc.frame_box([0_u64; 7]).unwrap();
        let inner = alloc.frame_checkpoint();
        let full = alloc.frame_box([1_u64; 7]).unwrap();
        let fill: Vec<_> = (0..6)
            .map(|_| alloc.frame_slice_fill(6 << 10, 9_u64).unwrap())
            .collect();
        let active = alloc.frame_box([2_u64; 7]).unwrap();
        drop(fill);
        let mut all = vec![sealed, full, active];
        let last = all.swap_remove(held);
        drop(all);
        let error = alloc.try_rollback_to(outer).unwrap_err();
        assert_eq!(
            (error.kind(), error.bytes()),
            (RollbackErrorKind::InUse, 56),
            "{held}"
        );
        overwrite(&alloc);
        assert_eq!(*last, [held as u64; 7]);
        // What was before the inner checkpoint does not concern it.
        assert_eq!(alloc.try_rollback_to(inner).is_ok(), held == 0);
        drop(last);
        assert_eq!(alloc.try_rollback_to(outer), Ok(()), "{held}");
        drop(base);
        let ((), codes) = reported(|| alloc.end_frame());
        assert_eq!(codes, []);
    }
}

/// A system that a waiting worker runs in the middle of another: it takes checkpoints, gives some up, leaves leases behind
/// and checkpoints unclosed.
fn another_system<'a>(alloc: &'a SmartAlloc, n: u64, left: &mut Leftovers<'a>) {
    let unclosed = alloc.frame_checkpoint();
    left.leases.push((n, alloc.frame_box([n; 40]).unwrap()));
    let failed: Result<(), ()> = alloc.speculative(|| {
        drop(alloc.frame_box([1000 + n; 40]).unwrap());
        left.checkpoints.push(alloc.frame_checkpoint());
        left.leases
            .push((n + 1, alloc.frame_box([n + 1; 40]).unwrap()));
        drop(alloc.frame_slice_fill(5000, n).unwrap());
        Err(())
    });
    assert!(failed.is_err());
    mem::forget(alloc.checkpoint_guard());
    left.checkpoints
        .extend([unclosed, alloc.frame_checkpoint()]);
    left.check();
}

#[test]
fn a_system_that_runs_on_top_of_a_waiting_one_disturbs_neither() {
    for shared in [false, true] {
        let alloc = SmartAlloc::new(AllocConfig::minimal().with_max_frame_arena_size(64 << 20));
        let mut frames = shared.then(|| alloc.shared_frames().unwrap());
        for round in 0..50_u64 {
            match &mut frames {
                Some(frames) => frames.begin().unwrap(),
                None => alloc.begin_frame(),
            }
            let mut left = Leftovers {
                leases: Vec::new(),
                checkpoints: Vec::new(),
            };
            let ((), codes) = reported(|| {
                let base = alloc.frame_box([round; 40]).unwrap();
                let outcome = alloc.speculative(|| {
                    let mine = alloc.frame_box([77_u64; 40]).unwrap();
                    another_system(&alloc, round * 10, &mut left);
                    assert_eq!(*mine, [77; 40]);
                    let inner: Result<(), ()> = alloc.speculative(|| {
                        another_system(&alloc, round * 10 + 5, &mut left);
                        Ok(())
                    });
                    assert!(inner.is_ok());
                    drop(alloc.frame_slice_fill(2000, 3_u64).unwrap());
                    left.check();
                    if round % 2 == 0 { Ok(()) } else { Err(()) }
                });
                assert_eq!(outcome.is_ok(), round % 2 == 0);
                overwrite(&alloc);
                left.check();
                assert_eq!(*base, [round; 40]);
                // What the other systems took is passed by the end of the block that they ran in.
                for &stale in &left.checkpoints {
                    assert_eq!(refused(&alloc, stale), RollbackErrorKind::Stale);
                }
            });
            // Each other system's own failure holds a lease; so does the outer one's, where it fails.
            assert_eq!(codes, vec![FA002; 2 + (round % 2) as usize]);
            drop(left);
            let ((), codes) = reported(|| match &mut frames {
                Some(frames) => frames.end().unwrap(),
                None => alloc.end_frame(),
            });
            assert_eq!(codes, []);
            assert_eq!(retired(&alloc), 0);
        }
    }
}

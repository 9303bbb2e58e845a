//! Checkpoints that are not valid here, or not any more.

use std::mem;
use std::sync::mpsc;
use std::thread;

use framealloc::DiagnosticCode::FA007;
use framealloc::{FrameBox, FrameCheckpoint, RollbackErrorKind};

use super::refused;
use crate::common::*;

#[test]
fn a_checkpoint_outside_a_frame_is_reported_and_rolls_nothing_back() {
    let alloc = small();
    let (checkpoint, codes) = reported(|| alloc.frame_checkpoint());
    assert_eq!(codes, [FA001]);
    assert_eq!((checkpoint.head(), checkpoint.frame_id()), (0, 0));
    assert_eq!(refused(&alloc, checkpoint), RollbackErrorKind::NoFrame);
    let (outcome, codes) = reported(|| {
        alloc.speculative(|| {
            alloc.begin_frame();
            Err::<(), _>(alloc.frame_box([1_u64; 20]).unwrap())
        })
    });
    assert_eq!(codes, [FA001]);
    assert_eq!(refused(&alloc, checkpoint), RollbackErrorKind::OtherFrame);
    overwrite(&alloc);
    assert_eq!(*outcome.unwrap_err(), [1; 20]);
}

#[test]
fn a_checkpoint_of_an_earlier_frame_is_refused() {
    let alloc = small();
    for unclosed in [false, true] {
        alloc.begin_frame();
        let base = alloc.frame_box(1_u64).unwrap();
        let checkpoint = alloc.frame_checkpoint();
        assert_eq!(checkpoint.frame_id(), alloc.frame_number());
        if !unclosed {
            alloc.rollback_to(checkpoint);
        }
        drop(base);
        alloc.end_frame();
        assert_eq!(refused(&alloc, checkpoint), RollbackErrorKind::NoFrame);
        alloc.begin_frame();
        let kept = alloc.frame_box([4_u64; 20]).unwrap();
        let newer = alloc.frame_checkpoint();
        assert_ne!(newer, checkpoint);
        let error = alloc.try_rollback_to(checkpoint).unwrap_err();
        assert_eq!(error.kind(), RollbackErrorKind::OtherFrame);
        assert_eq!(error.code(), FA007);
        assert!(error.to_string().starts_with("[FA007] "), "{error}");
        let ((), codes) = reported(|| alloc.rollback_to(checkpoint));
        assert_eq!(codes, [FA007]);
        overwrite(&alloc);
        assert_eq!(*kept, [4; 20]);
        drop(kept);
        alloc.end_frame();
    }
}

#[test]
fn ending_the_frame_inside_a_speculative_block_is_survived() {
    let alloc = small();
    for fails in [false, true] {
        for begins in [false, true] {
            alloc.begin_frame();
            let base = alloc.frame_box([1_u64; 20]).unwrap();
            let mut inside = None;
            let (outcome, codes) = reported(|| {
                alloc.speculative(|| {
                    let held = alloc.frame_box([2_u64; 20]).unwrap();
                    alloc.end_frame();
                    if begins {
                        alloc.begin_frame();
                        inside = Some(alloc.frame_box([3_u64; 20]).unwrap());
                    }
                    if fails { Err(held) } else { Ok(held) }
                })
            });
            // Two chunks with leases outlive the frame; and a rollback finds its checkpoint gone.
            let mut expected = vec![FA002, FA002];
            expected.extend(fails.then_some(FA007));
            assert_eq!(codes, expected);
            if !begins {
                alloc.begin_frame();
            }
            overwrite(&alloc);
            let (Ok(held) | Err(held)) = outcome;
            assert_eq!((*base, *held), ([1; 20], [2; 20]));
            assert!(inside.as_deref().is_none_or(|inside| *inside == [3; 20]));
            drop((base, held, inside));
            let ((), codes) = reported(|| alloc.end_frame());
            assert_eq!(codes, []);
            assert_eq!(retired(&alloc), 0);
        }
    }
}

#[test]
fn a_checkpoint_of_another_allocator_is_refused() {
    let (a, b) = (small(), small());
    a.begin_frame();
    b.begin_frame();
    let in_b = b.frame_box([7_u64; 20]).unwrap();
    let of_b = b.frame_checkpoint();
    let of_a = a.frame_checkpoint();
    assert_eq!(refused(&b, of_a), RollbackErrorKind::OtherAllocator);
    let ((), codes) = reported(|| a.rollback_to(of_b));
    assert_eq!(codes, [FA007]);
    overwrite(&a);
    overwrite(&b);
    assert_eq!(*in_b, [7; 20]);
    // A clone is the same allocator.
    assert_eq!(b.clone().try_rollback_to(of_b), Ok(()));
    assert_eq!(a.try_rollback_to(of_a), Ok(()));
    // One that takes its place is another.
    drop(a);
    let c = small();
    c.begin_frame();
    c.frame_checkpoint();
    assert_eq!(refused(&c, of_a), RollbackErrorKind::OtherAllocator);
}

#[test]
fn two_allocators_taking_turns_keep_their_checkpoints_apart() {
    let (a, b) = (small(), small());
    a.begin_frame();
    b.begin_frame();
    let bases = (
        a.frame_box([1_u64; 20]).unwrap(),
        b.frame_box([2_u64; 20]).unwrap(),
    );
    for n in 0..50_u64 {
        let of_a = a.frame_checkpoint();
        let in_a = a.frame_box([n; 30]).unwrap();
        let of_b = b.frame_checkpoint();
        let in_b = b.frame_box([n + 1; 30]).unwrap();
        let inner_a = a.frame_checkpoint();
        drop(a.frame_slice_fill(3000, n).unwrap());
        assert_eq!(refused(&b, of_b), RollbackErrorKind::InUse);
        assert_eq!(a.try_rollback_to(inner_a), Ok(()));
        assert_eq!((*in_a, *in_b), ([n; 30], [n + 1; 30]));
        drop(in_b);
        assert_eq!(b.try_rollback_to(of_b), Ok(()));
        assert_eq!(*in_a, [n; 30]);
        drop(in_a);
        assert_eq!(a.try_rollback_to(of_a), Ok(()));
        assert_eq!((*bases.0, *bases.1), ([1; 20], [2; 20]));
    }
    drop(bases);
    let ((), codes) = reported(|| {
        a.end_frame();
        b.end_frame();
    });
    assert_eq!(codes, []);
}

// ---- Threads --------------------------------------------------------------------------------------------------------

#[test]
fn frames_of_other_threads_do_not_make_a_checkpoint_stale() {
    let alloc = small();
    alloc.begin_frame();
    let base = alloc.frame_box(1_u64).unwrap();
    let checkpoint = alloc.frame_checkpoint();
    on_a_thread(|| {
        for n in 0..100_u64 {
            alloc.begin_frame();
            let mine = alloc.frame_box(n).unwrap();
            let failed: Result<(), ()> = alloc.speculative(|| {
                overwrite(&alloc);
                Err(())
            });
            assert!(failed.is_err() && *mine == n);
            drop(mine);
            alloc.end_frame();
        }
    });
    drop(alloc.frame_box(2_u64).unwrap());
    assert_eq!(alloc.try_rollback_to(checkpoint), Ok(()));
    assert_eq!(*base, 1);
}

#[test]
fn a_worker_that_joins_a_new_shared_frame_makes_its_old_checkpoints_stale() {
    let alloc = small();
    let mut frames = alloc.shared_frames().unwrap();
    let (wake, woken) = mpsc::channel::<()>();
    let (done, dones) = mpsc::channel();
    thread::scope(|scope| {
        let alloc = &alloc;
        scope.spawn(move || {
            let mut last: Option<(FrameCheckpoint, FrameBox<'_, [u64; 30]>)> = None;
            let mut n = 0;
            while woken.recv().is_ok() {
                n += 1;
                let base = alloc.frame_box([n; 30]);
                if let Some((stale, kept)) = last.take() {
                    let expected = if base.is_ok() {
                        RollbackErrorKind::OtherFrame
                    } else {
                        RollbackErrorKind::NoFrame
                    };
                    assert_eq!(refused(alloc, stale), expected);
                    assert_eq!(*kept, [n - 1; 30]);
                }
                if let Ok(base) = base {
                    let checkpoint = alloc.frame_checkpoint();
                    assert_eq!(checkpoint.frame_id(), alloc.frame_number());
                    drop(alloc.frame_slice_fill(300, n).unwrap());
                    assert_eq!(alloc.try_rollback_to(checkpoint), Ok(()));
                    // This one stays open, with a lease before it.
                    last = Some((alloc.frame_checkpoint(), base));
                }
                done.send(()).unwrap();
            }
        });
        for frame in 0..40 {
            if frame % 4 != 3 {
                frames.begin().unwrap();
            }
            wake.send(()).unwrap();
            dones.recv().unwrap();
            if frame % 4 != 3 {
                frames.end().unwrap();
            }
        }
        drop(wake);
    });
}

#[test]
fn a_thread_that_ends_with_open_checkpoints_leaves_its_arena_whole() {
    let alloc = small();
    for _ in 0..50 {
        on_a_thread(|| {
            alloc.begin_frame();
            let base = alloc.frame_box([1_u64; 20]).unwrap();
            mem::forget(alloc.checkpoint_guard());
            drop(alloc.frame_slice_fill(300, 1_u64).unwrap());
            let after = alloc.frame_box([2_u64; 20]).unwrap();
            alloc.frame_checkpoint();
            drop((base, after));
        });
    }
    let arenas = alloc.arenas();
    assert_eq!(
        arenas.len(),
        1,
        "each thread adopts the arena of the one before"
    );
    assert_eq!(arenas[0].retired_chunks, 0);
}

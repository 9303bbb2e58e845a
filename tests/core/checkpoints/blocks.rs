//! Speculative blocks, scopes and guards.

use std::cell::Cell;
use std::mem;

use framealloc::DiagnosticCode::FA007;
use framealloc::{CheckpointGuard, RollbackErrorKind};

use super::{head, refused};
use crate::common::*;

#[test]
fn a_speculative_block_keeps_on_success_and_gives_back_on_failure() {
    let alloc = small();
    alloc.begin_frame();
    let base = alloc.frame_box(0_u64).unwrap();
    let kept = alloc
        .speculative(|| {
            drop(alloc.frame_slice_fill(1000, 1_u64).unwrap());
            Ok::<_, ()>(alloc.frame_box([5_u64; 10]).unwrap())
        })
        .unwrap();
    let before = head(&alloc);
    let failed: Result<(), _> = alloc.speculative(|| {
        drop(alloc.frame_slice_fill(1000, 1_u64).unwrap());
        Err("no way")
    });
    assert_eq!(failed, Err("no way"));
    assert_eq!(head(&alloc), before);
    overwrite(&alloc);
    assert_eq!(*kept, [5; 10]);
    drop((base, kept));
    let ((), codes) = reported(|| alloc.end_frame());
    assert_eq!(codes, []);
}

#[test]
fn an_error_that_holds_a_frame_box_stays_valid() {
    let alloc = small();
    alloc.begin_frame();
    let base = alloc.frame_box(0_u64).unwrap();
    let (failed, codes) = reported(|| {
        alloc.speculative(|| {
            drop(alloc.frame_slice_fill(1000, 1_u64).unwrap());
            Err::<(), _>(alloc.frame_box(String::from("the way is blocked")).unwrap())
        })
    });
    assert_eq!(codes, [FA002]);
    let mut error = failed.unwrap_err();
    overwrite(&alloc);
    alloc.scope(overwrite);
    error.push_str(" by a wall");
    assert_eq!(*error, "the way is blocked by a wall");
    drop((error, base));
    assert_eq!(retired(&alloc), 0);
    let ((), codes) = reported(|| alloc.end_frame());
    assert_eq!(codes, []);
}

#[test]
fn a_panic_in_a_speculative_block_or_a_scope_gives_back_what_it_allocated() {
    let drops = Cell::new(0);
    let alloc = small();
    alloc.begin_frame();
    let base = alloc.frame_box([1_u64; 10]).unwrap();
    let before = head(&alloc);
    let ((), codes) = reported(|| {
        panics(|| {
            alloc.speculative(|| -> Result<(), ()> {
                let _held = alloc.frame_box((Counted(&drops), [3_u64; 20])).unwrap();
                std::panic::resume_unwind(Box::new("a bug"));
            })
        });
        panics(|| {
            alloc.scope(|alloc| {
                let _held = alloc.frame_box((Counted(&drops), [3_u64; 20])).unwrap();
                std::panic::resume_unwind(Box::new("a bug"));
            })
        });
    });
    assert_eq!((codes, drops.get()), (vec![], 2));
    assert_eq!(head(&alloc), before);
    overwrite(&alloc);
    assert_eq!(*base, [1; 10]);
    drop(base);
    let ((), codes) = reported(|| alloc.end_frame());
    assert_eq!(codes, []);
}

#[test]
fn a_scope_gives_back_and_what_it_lets_out_stays_valid() {
    let alloc = small();
    alloc.begin_frame();
    let base = alloc.frame_box(0_u64).unwrap();
    let before = head(&alloc);
    let (sum, codes) = reported(|| {
        alloc.scope(|alloc| {
            let numbers = alloc.frame_slice_from_iter(1..=100_u64).unwrap();
            alloc.scope(|alloc| *alloc.frame_box(7_u64).unwrap()) + numbers.iter().sum::<u64>()
        })
    });
    assert_eq!((sum, codes), (5057, vec![]));
    assert_eq!(head(&alloc), before);
    let (out, codes) = reported(|| alloc.scope(|_| alloc.frame_box([8_u64; 60]).unwrap()));
    assert_eq!(codes, [FA002]);
    overwrite(&alloc);
    assert_eq!(*out, [8; 60]);
    drop((out, base));
    let ((), codes) = reported(|| alloc.end_frame());
    assert_eq!(codes, []);
}

#[test]
fn a_guard_rolls_back_on_drop_unless_it_is_committed() {
    let alloc = small();
    alloc.begin_frame();
    let base = alloc.frame_box(0_u64).unwrap();
    let guard = alloc.checkpoint_guard();
    let head = guard.checkpoint().head();
    assert!(!guard.is_committed());
    drop(alloc.frame_box([1_u64; 20]).unwrap());
    drop(guard);
    let kept = {
        let guard = alloc.checkpoint_guard();
        assert_eq!(guard.checkpoint().head(), head);
        let kept = alloc.frame_box([2_u64; 20]).unwrap();
        guard.commit();
        kept
    };
    let stale = {
        let guard = alloc.checkpoint_guard();
        drop(alloc.frame_box([3_u64; 20]).unwrap());
        guard.checkpoint()
    };
    assert_eq!(refused(&alloc, stale), RollbackErrorKind::Stale);
    overwrite(&alloc);
    assert_eq!(*kept, [2; 20]);
    drop((kept, base));
    let ((), codes) = reported(|| alloc.end_frame());
    assert_eq!(codes, []);
}

#[test]
fn a_forgotten_guard_costs_nothing_but_its_rollback() {
    let alloc = small();
    for _ in 0..200 {
        alloc.begin_frame();
        let base = alloc.frame_box([1_u64; 9]).unwrap();
        mem::forget(alloc.checkpoint_guard());
        let after = alloc.frame_box([2_u64; 9]).unwrap();
        overwrite(&alloc);
        assert_eq!((*base, *after), ([1; 9], [2; 9]));
        drop((base, after));
        let ((), codes) = reported(|| alloc.end_frame());
        assert_eq!(codes, []);
    }
    assert_eq!(retired(&alloc), 0);
}

#[test]
fn guards_that_close_out_of_turn_report_it_and_break_nothing() {
    let alloc = small();
    alloc.begin_frame();
    let base = alloc.frame_box([1_u64; 9]).unwrap();
    let close = |commit: bool, guard: CheckpointGuard<'_>| {
        if commit { guard.commit() } else { drop(guard) }
    };
    for (outer_commits, inner_commits) in
        [(false, false), (false, true), (true, false), (true, true)]
    {
        let outer = alloc.checkpoint_guard();
        drop(alloc.frame_box([2_u64; 9]).unwrap());
        let inner = alloc.checkpoint_guard();
        let kept = alloc.frame_box([3_u64; 9]).unwrap();
        let ((), codes) = reported(|| close(outer_commits, outer));
        assert_eq!(codes, if outer_commits { vec![] } else { vec![FA002] });
        let ((), codes) = reported(|| close(inner_commits, inner));
        assert_eq!(codes, if inner_commits { vec![] } else { vec![FA007] });
        overwrite(&alloc);
        assert_eq!((*base, *kept), ([1; 9], [3; 9]));
    }
    drop(base);
    let ((), codes) = reported(|| alloc.end_frame());
    assert_eq!(codes, []);
}

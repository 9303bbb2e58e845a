//! What a rollback gives back, and what it leaves alone.

use std::mem;

use framealloc::{AllocConfig, FrameCheckpoint, RollbackErrorKind, SmartAlloc, diagnostics};

use super::refused;
use crate::common::*;

#[test]
fn a_rollback_gives_the_address_back() {
    let alloc = small();
    alloc.begin_frame();
    let base = alloc.frame_box([1_u64; 10]).unwrap();
    let checkpoint = alloc.frame_checkpoint();
    assert_eq!(checkpoint.head(), address(&*base) + 80);
    for n in 0..100_u64 {
        drop(alloc.frame_slice_fill(500, n).unwrap());
    }
    drop(alloc.frame_box(3).unwrap());
    alloc.rollback_to(checkpoint);
    let next = alloc.frame_box([2_u64; 10]).unwrap();
    assert_eq!(address(&*next), checkpoint.head());
    assert_eq!((*base, *next), ([1; 10], [2; 10]));
    drop((base, next));
    let ((), codes) = reported(|| alloc.end_frame());
    assert_eq!(codes, []);
}

#[test]
fn what_is_tried_again_gets_the_same_address() {
    for kept_before in [false, true] {
        let alloc = small();
        alloc.begin_frame();
        let base = kept_before.then(|| alloc.frame_box(0_u64).unwrap());
        let mut addresses = Vec::new();
        for n in 0..100_u64 {
            let checkpoint = alloc.frame_checkpoint();
            let tried = alloc.frame_box([n; 100]).unwrap();
            addresses.push((checkpoint.head(), address(&*tried)));
            drop(tried);
            alloc.rollback_to(checkpoint);
        }
        addresses.dedup();
        assert_eq!(addresses.len(), 1, "kept before: {kept_before}");
        drop(base);
        alloc.end_frame();
    }
}

#[test]
fn a_rollback_leaves_alone_what_was_allocated_before() {
    let alloc = small();
    alloc.begin_frame();
    let before: Vec<_> = (0..50_u64)
        .map(|n| alloc.frame_box([n; 30]).unwrap())
        .collect();
    let checkpoint = alloc.frame_checkpoint();
    overwrite(&alloc);
    alloc.rollback_to(checkpoint);
    overwrite(&alloc);
    for (n, boxed) in before.iter().enumerate() {
        assert_eq!(**boxed, [n as u64; 30]);
    }
}

#[test]
fn rolling_back_a_megabyte_at_a_time_needs_no_more_than_a_megabyte() {
    let alloc = SmartAlloc::new(AllocConfig::minimal().with_max_frame_arena_size(3 << 20));
    alloc.begin_frame();
    let base = alloc.frame_box(1_u8).unwrap();
    for n in 0..100_u64 {
        let checkpoint = alloc.frame_checkpoint();
        let blocks: Vec<_> = (0..16)
            .map(|_| alloc.frame_slice_fill(8 << 10, n).unwrap())
            .collect();
        assert!(
            blocks
                .iter()
                .all(|block| block.iter().all(|&word| word == n))
        );
        drop(blocks);
        assert_eq!(alloc.try_rollback_to(checkpoint), Ok(()));
    }
    drop(base);
    alloc.end_frame();
}

// ---- What is still held ---------------------------------------------------------------------------------------------

#[test]
fn what_is_held_at_a_rollback_stays_valid_and_is_reported_with_its_tag_and_bytes() {
    let alloc = small();
    alloc.begin_frame();
    let base = alloc.frame_box([9_u64; 8]).unwrap();
    let checkpoint = alloc.frame_checkpoint();
    let (held, large) = alloc.with_tag("checkpoint_holder", |_| {
        drop(alloc.frame_box([1_u64; 3]).unwrap());
        (
            alloc.frame_box([7_u64; 4]).unwrap(),
            alloc.frame_slice_fill(1 << 17, 5_u8).unwrap(),
        )
    });
    let ((), reports) = diagnostics::capture(|| alloc.rollback_to(checkpoint));
    assert_eq!(codes(&reports), [FA002]);
    let bytes = 32 + (1 << 17);
    assert!(
        reports[0].message.contains(&format!("{bytes} bytes")),
        "{}",
        reports[0].message
    );
    assert!(
        reports[0].message.contains("checkpoint_holder"),
        "{}",
        reports[0].message
    );
    overwrite(&alloc);
    assert_eq!((*base, *held), ([9; 8], [7; 4]));
    assert!(large.iter().all(|&byte| byte == 5));

    // Refusing has changed nothing: when it is dropped, the same checkpoint will do.
    drop((held, large));
    assert_eq!(alloc.try_rollback_to(checkpoint), Ok(()));
    assert_eq!(
        address(&*alloc.frame_box(1_u64).unwrap()),
        checkpoint.head()
    );
    drop(base);
    let ((), codes) = reported(|| alloc.end_frame());
    assert_eq!(codes, []);
}

#[test]
fn an_older_lease_that_dies_does_not_stand_in_for_a_newer_one_that_lives() {
    let alloc = small();
    alloc.begin_frame();
    let older = alloc.frame_box([1_u64; 20]).unwrap();
    let checkpoint = alloc.frame_checkpoint();
    let newer = alloc.frame_box([2_u64; 20]).unwrap();
    // As many bytes are leased as at the checkpoint, and as many leases live.
    drop(older);
    assert_eq!(refused(&alloc, checkpoint), RollbackErrorKind::InUse);
    overwrite(&alloc);
    assert_eq!(*newer, [2; 20]);
    drop(newer);
    assert_eq!(alloc.try_rollback_to(checkpoint), Ok(()));
    alloc.end_frame();
}

#[test]
fn an_older_lease_that_lives_does_not_stop_a_rollback() {
    let alloc = small();
    alloc.begin_frame();
    let older = alloc.frame_box([1_u64; 20]).unwrap();
    let checkpoint = alloc.frame_checkpoint();
    drop(alloc.frame_box([2_u64; 20]).unwrap());
    assert_eq!(alloc.try_rollback_to(checkpoint), Ok(()));
    overwrite(&alloc);
    assert_eq!(*older, [1; 20]);
}

#[test]
fn a_lease_of_an_earlier_frame_does_not_stop_a_rollback() {
    let alloc = small();
    alloc.begin_frame();
    let escaped = alloc.frame_box([3_u64; 20]).unwrap();
    reported(|| alloc.end_frame());
    alloc.begin_frame();
    let checkpoint = alloc.frame_checkpoint();
    drop(alloc.frame_slice_fill(20_000, 1_u64).unwrap());
    assert_eq!(alloc.try_rollback_to(checkpoint), Ok(()));
    overwrite(&alloc);
    assert_eq!(*escaped, [3; 20]);
    alloc.end_frame();
}

#[test]
fn blocks_of_every_shape_after_a_checkpoint_count() {
    with_a_large_stack(|| {
        let alloc = SmartAlloc::new(AllocConfig::minimal().with_max_frame_arena_size(64 << 20));
        macro_rules! check {
            ($t:ident) => {
                alloc.begin_frame();
                let base = alloc.frame_slice_fill(3, 1_u8).unwrap();
                let checkpoint = alloc.frame_checkpoint();
                let block = alloc.frame_alloc::<$t>().write($t(0x5A));
                assert_eq!(address(&*block) % align_of::<$t>(), 0);
                let error = alloc.try_rollback_to(checkpoint).unwrap_err();
                assert_eq!(
                    (error.kind(), error.bytes()),
                    (RollbackErrorKind::InUse, size_of::<$t>()),
                    stringify!($t)
                );
                overwrite(&alloc);
                assert_eq!(block.0, 0x5A);
                drop(block);
                assert_eq!(alloc.try_rollback_to(checkpoint), Ok(()), stringify!($t));
                assert_eq!(*base, [1; 3]);
                drop(base);
                let ((), codes) = reported(|| alloc.end_frame());
                assert_eq!(codes, [], stringify!($t));
                assert_eq!(retired(&alloc), 0);
            };
        }
        crate::for_every_alignment!(check);
    });
}

#[test]
fn zero_sized_values_stop_no_rollback() {
    let alloc = small();
    alloc.begin_frame();
    let base = alloc.frame_box(1_u64).unwrap();
    let checkpoint = alloc.frame_checkpoint();
    let nothing: Vec<_> = (0..100).map(|_| alloc.frame_box(()).unwrap()).collect();
    let empty = alloc.frame_slice_fill(0, 1_u64).unwrap();
    assert_eq!(alloc.try_rollback_to(checkpoint), Ok(()));
    assert_eq!(
        address(&*alloc.frame_box(2_u64).unwrap()),
        checkpoint.head()
    );
    drop((nothing, empty, base));
}

#[test]
fn a_slice_that_is_being_built_counts_and_moves_to_after_the_checkpoint_when_it_grows() {
    let alloc = small();
    alloc.begin_frame();
    let base = alloc.frame_box(1_u64).unwrap();
    let slice = alloc
        .frame_slice_from_iter((0..3000_u64).filter(|_| true).inspect(|&n| {
            if n == 100 {
                // Room for these is leased by now; the room that it grows into will be leased after this.
                let checkpoint = alloc.frame_checkpoint();
                drop(alloc.frame_box([n; 9]).unwrap());
                assert_eq!(alloc.try_rollback_to(checkpoint), Ok(()));
            }
            if n == 1000 {
                mem::forget(alloc.checkpoint_guard());
            }
            if n == 2500 {
                overwrite(&alloc);
            }
        }))
        .unwrap();
    assert!(slice.iter().copied().eq(0..3000));
    drop((slice, base));
    let ((), codes) = reported(|| alloc.end_frame());
    assert_eq!(codes, []);
    assert_eq!(retired(&alloc), 0);
}

#[test]
fn a_value_whose_destructor_rolls_back_is_still_held() {
    struct RollsBack<'a> {
        alloc: &'a SmartAlloc,
        checkpoint: FrameCheckpoint,
        data: [u64; 30],
    }
    impl Drop for RollsBack<'_> {
        fn drop(&mut self) {
            assert_eq!(
                refused(self.alloc, self.checkpoint),
                RollbackErrorKind::InUse
            );
            overwrite(self.alloc);
            assert_eq!(self.data, [6; 30]);
        }
    }
    let alloc = small();
    alloc.begin_frame();
    let base = alloc.frame_box(1_u64).unwrap();
    let checkpoint = alloc.frame_checkpoint();
    drop(
        alloc
            .frame_box(RollsBack {
                alloc: &alloc,
                checkpoint,
                data: [6; 30],
            })
            .unwrap(),
    );
    assert_eq!(alloc.try_rollback_to(checkpoint), Ok(()));
    drop(base);
    alloc.end_frame();
}

#[test]
fn a_frame_guard_is_not_rolled_back() {
    let alloc = small();
    alloc.begin_frame();
    let base = alloc.frame_box(1_u64).unwrap();
    let frame = alloc.frame();
    let before = frame.alloc([1_u64; 50]);
    let checkpoint = alloc.frame_checkpoint();
    let after = frame.alloc([2_u64; 50]);
    let inner = alloc.frame();
    let in_inner = inner.alloc_slice_fill(30_000, 3_u64);
    assert_eq!(alloc.try_rollback_to(checkpoint), Ok(()));
    overwrite(&alloc);
    assert_eq!((*before, *after), ([1; 50], [2; 50]));
    assert!(in_inner.iter().all(|&n| n == 3));
    drop(inner);
    drop(frame);
    drop(base);
    let ((), codes) = reported(|| alloc.end_frame());
    assert_eq!(codes, []);
}

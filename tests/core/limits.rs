//! How large arenas are, become, and stay.

use framealloc::{AllocConfig, AllocErrorKind, FrameBox, SmartAlloc};

use crate::common::*;

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

/// Leases blocks of `N` bytes until none is left, and returns them.
fn fill<const N: usize>(alloc: &SmartAlloc) -> Vec<FrameBox<'_, std::mem::MaybeUninit<[u8; N]>>> {
    let mut blocks = Vec::new();
    let (error, codes) = reported(|| {
        loop {
            assert!(blocks.len() * N <= 1 << 30, "there is no limit");
            match alloc.try_frame_alloc::<[u8; N]>() {
                Ok(block) => blocks.push(block),
                Err(error) => break error,
            }
        }
    });
    assert_eq!(error.kind(), AllocErrorKind::ArenaExhausted);
    assert_eq!(codes, [FA003]);
    assert!(
        error.available() < N.max(4096),
        "{} are left",
        error.available()
    );
    blocks
}

fn sized(start: usize, limit: usize) -> SmartAlloc {
    SmartAlloc::new(
        AllocConfig::default()
            .with_frame_arena_size(start)
            .with_max_frame_arena_size(limit)
            .with_huge_pages(false),
    )
}

#[test]
fn an_arena_holds_what_it_is_configured_for_and_no_more() {
    for (start, limit) in [
        (KIB, KIB),
        (KIB, 4 * KIB),
        (MIB, MIB),
        (MIB, 4 * MIB),
        (64 * MIB, 64 * MIB),
    ] {
        let alloc = sized(start, limit);
        alloc.begin_frame();
        let bytes = fill::<64>(&alloc).len() * 64;
        assert!(bytes <= limit, "{bytes} of {limit}");
        let chunk = (limit / 8).clamp(4 * KIB, 256 * KIB);
        assert!(bytes + chunk >= limit, "{bytes} of {limit}");
        alloc.end_frame();
    }
}

#[test]
fn the_limit_is_four_times_the_size_unless_it_is_set() {
    let alloc = SmartAlloc::new(minimal());
    assert_eq!(alloc.config().frame_arena_limit(), 4 * MIB);
    alloc.begin_frame();
    let bytes = fill::<4096>(&alloc).len() * 4096;
    assert!((7 * MIB / 2..=4 * MIB).contains(&bytes), "{bytes}");
}

#[test]
fn blocks_of_any_size_reach_the_limit() {
    fn check<const N: usize>(limit: usize) {
        let alloc = sized(MIB, limit);
        alloc.begin_frame();
        let bytes = fill::<N>(&alloc).len() * N;
        assert!(bytes <= limit);
        assert!(
            bytes * 4 >= limit * 3,
            "blocks of {N} bytes fill {bytes} of {limit}"
        );
    }
    check::<8>(4 * MIB);
    check::<3000>(4 * MIB);
    check::<20_000>(4 * MIB);
    check::<60_000>(4 * MIB);
    check::<66_000>(4 * MIB);
    check::<100_000>(4 * MIB);
    check::<131_000>(4 * MIB);
    check::<300_000>(4 * MIB);
}

#[test]
fn guards_and_leases_share_the_limit() {
    let alloc = sized(MIB, 4 * MIB);
    alloc.begin_frame();
    let frame = alloc.frame();
    while reported(|| frame.try_alloc_uninit::<[u8; 4096]>().is_ok()).0 {}
    let (refused, codes) = reported(|| alloc.frame_box([0_u8; 4096]).map(|_| ()));
    assert_eq!(refused.unwrap_err().kind(), AllocErrorKind::ArenaExhausted);
    assert_eq!(codes, [FA003]);
    drop(frame);
    assert!(fill::<4096>(&alloc).len() * 4096 >= 3 * MIB);
}

#[test]
fn exhaustion_changes_nothing() {
    let alloc = sized(MIB, MIB);
    alloc.begin_frame();
    let kept = alloc.frame_slice_fill(1000, 0x55_u8).unwrap();
    let blocks: Vec<_> = (0..10)
        .map(|n| alloc.frame_box([n; 1000]).unwrap())
        .collect();
    let arenas = alloc.arenas();
    for _ in 0..100 {
        let (refused, codes) = reported(|| alloc.frame_slice_fill(2 * MIB, 0_u8).map(|_| ()));
        let error = refused.unwrap_err();
        assert_eq!(codes, [FA003]);
        assert_eq!(error.requested(), 2 * MIB);
        assert!(error.available() < MIB);
    }
    assert_eq!(alloc.arenas(), arenas);
    assert!(kept.iter().all(|&b| b == 0x55));
    for (n, block) in blocks.iter().enumerate() {
        assert_eq!(**block, [n as u8; 1000]);
    }
    let after = alloc.frame_box(7_u64).unwrap();
    assert_eq!(*after, 7);
    drop((kept, blocks, after));
    let ((), codes) = reported(|| alloc.end_frame());
    assert_eq!(codes, []);
}

#[test]
fn an_exhausted_arena_is_whole_again_in_the_next_frame() {
    let alloc = sized(MIB, 4 * MIB);
    let mut counts = Vec::new();
    for _ in 0..200 {
        alloc.begin_frame();
        counts.push(fill::<4096>(&alloc).len());
        alloc.end_frame();
    }
    assert!(counts.iter().all(|&count| count == counts[0]), "{counts:?}");
}

#[test]
fn what_was_dropped_can_be_had_again_in_the_same_frame() {
    // Limits that are no multiple of a chunk: the last chunk is cut short.
    for limit in [MIB, MIB + 5000, MIB + 10_000, 4 * MIB + 40_000] {
        let alloc = sized(MIB, limit);
        for _ in 0..5 {
            alloc.begin_frame();
            let count = fill::<64>(&alloc).len();
            for _ in 0..5 {
                let again = fill::<6000>(&alloc).len();
                let possible = count * 64 / 6000;
                assert!(
                    again * 4 >= possible * 3,
                    "{again} blocks of 6,000 bytes where {possible} should fit, limit {limit}"
                );
                let frame = alloc.frame();
                let mut blocks = 0;
                while reported(|| frame.try_alloc_uninit::<[u8; 6000]>().is_ok()).0 {
                    blocks += 1;
                }
                assert!(
                    blocks * 4 >= possible * 3 - 4 * 25,
                    "{blocks} in a guard, limit {limit}"
                );
                drop(frame);
                // All but what lies dead at the start of the chunk in use.
                let again = fill::<64>(&alloc).len();
                assert!(again * 4 >= count * 3, "{again} of {count}, limit {limit}");
            }
            alloc.end_frame();
        }
    }
}

#[test]
fn an_aligned_block_that_almost_fits_the_rest_of_the_limit_is_refused() {
    for rest in (4096..14_000).step_by(904) {
        let alloc = sized(MIB, MIB + rest);
        alloc.begin_frame();
        let filled = fill::<64>(&alloc);
        drop(filled);
        alloc.end_frame();
        alloc.begin_frame();
        let frame = alloc.frame();
        let mut blocks = 0;
        let (_, codes) = reported(|| {
            while let Ok(block) = frame.try_alloc_uninit::<A4K>() {
                assert_eq!(address(block) % 4096, 0);
                blocks += 1;
            }
        });
        assert_eq!(codes, [FA003]);
        assert!(blocks * 4096 <= MIB + rest);
        drop(frame);
        let mut leases = Vec::new();
        let (_, codes) = reported(|| {
            while let Ok(block) = alloc.try_frame_alloc::<A4K>() {
                assert_eq!(address(&*block) % 4096, 0);
                leases.push(block);
            }
        });
        assert_eq!(codes, [FA003]);
        assert!(leases.len() * 4096 <= MIB + rest);
    }
}

#[test]
fn sizes_of_nothing_and_of_everything_are_survived() {
    let nothing = sized(0, 0);
    nothing.begin_frame();
    assert_eq!(fill::<8>(&nothing).len(), 0);
    drop(nothing.frame_box(()).unwrap());
    let frame = nothing.frame();
    assert!(reported(|| frame.try_alloc(1_u8).is_err()).0);
    drop(frame);
    nothing.end_frame();

    for size in [usize::MAX, isize::MAX as usize, 1 << 60] {
        let everything = sized(size, 0);
        everything.begin_frame();
        overwrite(&everything);
        let (refused, _) = reported(|| {
            everything
                .frame_slice_fill(isize::MAX as usize - 64, 0_u8)
                .map(|_| ())
        });
        assert!(refused.is_err());
        overwrite(&everything);
        everything.end_frame();
        busy_frames(&everything, 200);
    }
}

/// A frame that leases `bytes` in blocks of 4 KiB.
fn frame_of(alloc: &SmartAlloc, bytes: usize) {
    alloc.begin_frame();
    let blocks: Vec<_> = (0..bytes / 4096)
        .map(|_| alloc.frame_alloc::<[u8; 4096]>())
        .collect();
    drop(blocks);
    alloc.end_frame();
}

#[test]
fn an_arena_that_grew_is_stable_and_shrinks_again() {
    let alloc = sized(MIB, 64 * MIB);
    frame_of(&alloc, MIB / 2);
    let start = alloc.stats().frame_reserved;
    assert!((MIB..=MIB + 256 * KIB).contains(&start), "{start}");

    frame_of(&alloc, 20 * MIB);
    frame_of(&alloc, 20 * MIB);
    let grown = alloc.stats().frame_reserved;
    assert!(
        (20 * MIB..21 * MIB).contains(&grown),
        "one region of the high-water size, not {grown}"
    );
    for _ in 0..1000 {
        frame_of(&alloc, 20 * MIB);
        assert_eq!(alloc.stats().frame_reserved, grown);
    }

    // A spike now and then does not make it give memory back, only to take it again.
    for n in 0..1000 {
        frame_of(&alloc, if n % 50 == 0 { 20 * MIB } else { MIB / 2 });
        assert_eq!(alloc.stats().frame_reserved, grown, "frame {n}");
    }

    for _ in 0..1000 {
        frame_of(&alloc, MIB / 2);
    }
    assert_eq!(alloc.stats().frame_reserved, start);
}

#[test]
fn an_arena_shrinks_again_after_a_big_block_and_after_guards() {
    let alloc = sized(MIB, 64 * MIB);
    frame_of(&alloc, MIB / 2);
    let start = alloc.stats().frame_reserved;
    alloc.begin_frame();
    drop(alloc.frame_alloc::<[u8; 10 << 20]>());
    {
        let frame = alloc.frame();
        for _ in 0..1000 {
            frame.alloc_uninit::<[u8; 4096]>();
        }
    }
    alloc.end_frame();
    assert!(alloc.stats().frame_reserved > 10 * MIB);
    for _ in 0..1000 {
        frame_of(&alloc, MIB / 2);
    }
    assert_eq!(alloc.stats().frame_reserved, start);
}

#[test]
fn an_arena_with_a_box_kept_does_not_grow_with_time() {
    let alloc = sized(MIB, 64 * MIB);
    alloc.begin_frame();
    let kept = alloc.frame_box([1_u8; 10]).unwrap();
    reported(|| alloc.end_frame());
    frame_of(&alloc, MIB);
    frame_of(&alloc, MIB);
    let reserved = alloc.stats().frame_reserved;
    for _ in 0..2000 {
        frame_of(&alloc, MIB);
        assert_eq!(alloc.stats().frame_reserved, reserved);
    }
    drop(kept);
}

#[test]
fn memory_is_flat_over_a_hundred_thousand_frames() {
    let alloc = sized(MIB, 64 * MIB);
    let mut reserved = None;
    for n in 0..100_000_usize {
        alloc.begin_frame();
        let lease = alloc.frame_slice_fill(100 + n % 900, n).unwrap();
        let frame = alloc.frame();
        let scratch = frame.alloc_slice_fill(64, n);
        assert_eq!((lease[99], scratch[63]), (n, n));
        drop((frame, lease));
        alloc.end_frame();
        let now = alloc.stats_reserved();
        assert_eq!(*reserved.get_or_insert(now), now, "frame {n}");
    }

    trait Reserved {
        fn stats_reserved(&self) -> usize;
    }
    impl Reserved for SmartAlloc {
        fn stats_reserved(&self) -> usize {
            self.arenas().iter().map(|arena| arena.capacity).sum()
        }
    }
}

#[test]
fn collections_in_an_exhausted_guard_panic_with_the_code_and_abort_nothing() {
    let alloc = sized(MIB, MIB);
    let frame = alloc.frame();
    let kept = frame.alloc_slice_fill(1000, 7_u8);
    let long = "x".repeat(2 * MIB);
    let messages = [
        panic_message(|| drop(frame.vec_with_capacity::<u64>(1 << 40))),
        panic_message(|| {
            let mut numbers = frame.vec();
            numbers.extend(0_u64..1 << 20);
        }),
        panic_message(|| drop(frame.map_with_capacity::<u64, u64>(1 << 30))),
        panic_message(|| {
            frame.alloc_slice_from_iter(0_u64..1 << 20);
        }),
        panic_message(|| {
            frame.alloc_fmt(format_args!("{long}"));
        }),
    ];
    for message in messages {
        assert!(message.contains("[FA003]"), "{message}");
    }
    let errors = [
        frame.try_alloc_slice_from_iter(0_u64..1 << 20).err(),
        frame.try_alloc_slice_fill(1 << 40, 0_u64).err(),
        frame.try_alloc_slice_copy(&[0_u8; 1 << 21]).err(),
        frame.try_alloc_fmt(format_args!("{long}")).err(),
    ];
    for error in errors {
        assert_eq!(error.unwrap().kind(), AllocErrorKind::ArenaExhausted);
    }
    let overflow = frame.try_alloc_slice_fill(usize::MAX, 0_u64).unwrap_err();
    assert_eq!(overflow.kind(), AllocErrorKind::CapacityOverflow);
    let mut plain = allocator_api2::vec::Vec::<u64, _>::new_in(&frame);
    assert!(plain.try_reserve(1 << 30).is_err());
    assert!(kept.iter().all(|&byte| byte == 7));
    assert_eq!(frame.alloc_str("still here"), "still here");
}

/// What `f` panics with.
fn panic_message(f: impl FnOnce()) -> String {
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(f));
    let payload = outcome.expect_err("it was to panic");
    payload
        .downcast_ref::<String>()
        .cloned()
        .unwrap_or_default()
}

//! The table of rows, with the limits that the gate enforces.
//!
//! A limit is a promise to users: raise one only with the reason in the same change. A target is what the design aims at;
//! where the library is not there yet, the limit keeps it from going further away.

use crate::ours::{CountedHeap, Pool, allocator};
use crate::peers::{BumpScopeDown, Heap};
use crate::trace::{self, replay};
use crate::workloads::*;
use crate::{Row, Subject};
use bumpalo::Bump;
use framealloc::HeapAudit;
use mimalloc::MiMalloc;
use std::alloc::System;
use std::marker::PhantomData;
use tikv_jemallocator::Jemalloc;

/// framealloc's way and the arenas' way of the same thing.
macro_rules! arenas {
    ($ours:expr, $theirs:ident $(, $values:ty)?) => {
        &[
            (Subject::Framealloc, || $ours),
            (Subject::Bumpalo, $theirs::<Bump $(, $values)?>),
            (Subject::BumpaloAlign8, $theirs::<Bump<8> $(, $values)?>),
            (Subject::BumpScope, $theirs::<BumpScopeDown $(, $values)?>),
        ]
    };
}

/// The same with general-purpose allocators, which can free one value at a time.
macro_rules! arenas_and_boxes {
    ($values:ty) => {
        &[
            (Subject::Framealloc, leases::<$values>),
            (Subject::Bumpalo, arena_behind::<Bump, $values>),
            (Subject::BumpaloAlign8, arena_behind::<Bump<8>, $values>),
            (Subject::BumpScope, arena_behind::<BumpScopeDown, $values>),
            (Subject::System, boxes::<System, $values>),
            (Subject::Mimalloc, boxes::<MiMalloc, $values>),
            (Subject::Jemalloc, boxes::<Jemalloc, $values>),
        ]
    };
}

/// A vector of numbers, wherever vectors can live.
macro_rules! vectors {
    (reserve: $reserve:literal) => {
        &[
            (Subject::Framealloc, || frame_vec($reserve)),
            (Subject::Bumpalo, || bumpalo_vec($reserve)),
            (Subject::BumpScope, || bump_scope_vec($reserve)),
            (Subject::System, || std_vec($reserve)),
        ]
    };
}

/// Owning boxes that may be freed anywhere.
macro_rules! owners {
    ($operation:ident, $ours:ident) => {
        &[
            (Subject::Framealloc, || $operation($ours(allocator()))),
            (Subject::System, || $operation(Heap::<System>(PhantomData))),
            (Subject::Mimalloc, || {
                $operation(Heap::<MiMalloc>(PhantomData))
            }),
            (Subject::Jemalloc, || {
                $operation(Heap::<Jemalloc>(PhantomData))
            }),
        ]
    };
}

/// Everything that is measured, in the order of the table.
pub static ROWS: &[Row] = &[
    Row {
        id: "guard-16",
        what: "`Frame::alloc`, 16 B, guard local",
        times: 1_000,
        target: Some(10),
        limit: 10,
        cells: arenas!(guard::<Words<2>>(), arena, Words<2>),
    },
    Row {
        id: "guard-64",
        what: "`Frame::alloc`, 64 B, guard local",
        times: 1_000,
        target: Some(16),
        limit: 16,
        cells: arenas!(guard::<Words<8>>(), arena, Words<8>),
    },
    Row {
        id: "guard-1k",
        what: "`Frame::alloc`, 1 KiB, guard local",
        times: 1_000,
        target: Some(74),
        // Half of an instruction is the slow path, which asks whether the guard is metered.
        limit: 75,
        cells: arenas!(guard::<Words<128>>(), arena, Words<128>),
    },
    Row {
        id: "guard-mixed",
        what: "`Frame::alloc`, eight types, guard local",
        times: 1_000,
        target: Some(13),
        limit: 13,
        cells: arenas!(guard::<Mixed>(), arena, Mixed),
    },
    Row {
        id: "reference-16",
        what: "`Frame::alloc`, 16 B, guard behind a reference",
        times: 1_000,
        target: Some(12),
        limit: 12,
        cells: arenas!(guard_behind::<Words<2>>(), arena_behind, Words<2>),
    },
    Row {
        id: "reference-64",
        what: "`Frame::alloc`, 64 B, guard behind a reference",
        times: 1_000,
        target: Some(18),
        limit: 18,
        cells: arenas!(guard_behind::<Words<8>>(), arena_behind, Words<8>),
    },
    Row {
        id: "reference-1k",
        what: "`Frame::alloc`, 1 KiB, guard behind a reference",
        times: 1_000,
        target: Some(76),
        // As above.
        limit: 77,
        cells: arenas!(guard_behind::<Words<128>>(), arena_behind, Words<128>),
    },
    Row {
        id: "reference-mixed",
        what: "`Frame::alloc`, eight types, guard behind a reference",
        times: 1_000,
        target: Some(15),
        limit: 15,
        cells: arenas!(guard_behind::<Mixed>(), arena_behind, Mixed),
    },
    Row {
        id: "lease-16",
        what: "`frame_box` and drop, 16 B",
        times: 1_000,
        target: Some(19),
        limit: 19,
        cells: arenas_and_boxes!(Words<2>),
    },
    Row {
        id: "lease-64",
        what: "`frame_box` and drop, 64 B",
        times: 1_000,
        target: Some(25),
        limit: 25,
        cells: arenas_and_boxes!(Words<8>),
    },
    Row {
        id: "lease-1k",
        what: "`frame_box` and drop, 1 KiB",
        times: 1_000,
        target: Some(83),
        limit: 83,
        cells: arenas_and_boxes!(Words<128>),
    },
    Row {
        id: "lease-mixed",
        what: "`frame_box` and drop, eight types",
        times: 1_000,
        target: Some(24),
        limit: 24,
        cells: arenas_and_boxes!(Mixed),
    },
    Row {
        id: "slice-guard",
        what: "copy of a 4 KiB slice, guard local",
        times: 200,
        target: None,
        // A chunk in 64 slices is new: its slow path asks whether the guard is metered, and who gets it back.
        limit: 439,
        cells: arenas!(guard::<Slices>(), arena, Slices),
    },
    Row {
        id: "slice-lease",
        what: "`frame_slice_copy` of 4 KiB and drop",
        times: 200,
        target: None,
        // As above.
        limit: 451,
        cells: arenas_and_boxes!(Slices),
    },
    Row {
        id: "vec-push",
        what: "push of 8 B to a vector with room, guard local",
        times: 1_000,
        target: Some(10),
        limit: 10,
        cells: vectors!(reserve: true),
    },
    Row {
        id: "vec-grow",
        what: "push of 8 B to a vector that grows from nothing, guard local",
        times: 1_000,
        target: None,
        limit: 10,
        cells: vectors!(reserve: false),
    },
    Row {
        id: "fixed-vec-push",
        what: "push of 8 B to a vector of fixed capacity (`FrameVec`; bump-scope: `FixedBumpVec`; std's with room)",
        times: 1_000,
        target: Some(9),
        limit: 3,
        cells: &[
            (Subject::Framealloc, fixed_vec),
            (Subject::BumpScope, bump_scope_fixed_vec),
            (Subject::System, || std_vec(true)),
        ],
    },
    Row {
        id: "map-insert",
        what: "insertion in a map with room (`FrameMap`; hashbrown's on the heap)",
        times: 1_000,
        target: None,
        limit: 104,
        cells: &[
            (Subject::Framealloc, fixed_map_insert),
            (Subject::System, heap_map_insert),
        ],
    },
    Row {
        id: "map-get",
        what: "look-up in a map (`FrameMap`; hashbrown's on the heap)",
        times: 1_000,
        target: None,
        // hashbrown's seed differs from run to run, and with it how long a probe is.
        limit: 42,
        cells: &[
            (Subject::Framealloc, fixed_map_get),
            (Subject::System, heap_map_get),
        ],
    },
    Row {
        id: "guard-open",
        what: "a guard opened and closed around one value (bumpalo: `new`; bump-scope: a scope)",
        times: 1_000,
        target: Some(31),
        limit: 31,
        cells: &[
            (Subject::Framealloc, guard_open),
            (Subject::Bumpalo, bumpalo_new::<1>),
            (Subject::BumpaloAlign8, bumpalo_new::<8>),
            (Subject::BumpScope, bump_scope_scoped),
        ],
    },
    Row {
        id: "frame-around-box",
        what: "`begin_frame`, one box, `end_frame` (arenas: one value, reset)",
        times: 1_000,
        target: Some(56),
        // Retained values, frees for other threads, and streams are looked after where frames begin and end.
        limit: 110,
        cells: arenas!(frame_around_a_box(), arena_around_a_value),
    },
    Row {
        id: "shared-frame",
        what: "a shared frame around one box",
        times: 1_000,
        target: Some(93),
        // Watching, which is off here, is asked about when a thread joins a frame; and the slow path of a lease, which only budgets
        // take each time, looks first whether a thread's credit pays: a call more.
        limit: 396,
        cells: arenas!(shared_frame_around_a_box(), arena_around_a_value),
    },
    Row {
        id: "two-allocators",
        what: "`frame_box` and drop, two allocators in turn",
        times: 1_000,
        target: Some(74),
        // As above.
        limit: 239,
        cells: &[(Subject::Framealloc, two_allocators)],
    },
    Row {
        id: "late-lease",
        what: "a frame box dropped after its frame",
        times: 1_000,
        target: Some(195),
        // An error, which is counted by code and tag, and compared with strict mode. What listeners are to be told of comes before
        // the arena is offered to other threads.
        limit: 1001,
        cells: &[(Subject::Framealloc, lease_outlives_its_frame)],
    },
    Row {
        id: "checkpoint",
        what: "a checkpoint, one box, the rollback (bump-scope: a scope)",
        times: 1_000,
        target: Some(249),
        // Metered arenas, and what retained values keep, are told apart here.
        limit: 353,
        cells: &[
            (Subject::Framealloc, checkpoint_around_a_box),
            (Subject::BumpScope, bump_scope_scoped),
        ],
    },
    Row {
        id: "speculative",
        what: "a speculative block that fails with one box",
        times: 1_000,
        target: None,
        // As above.
        limit: 363,
        cells: &[(Subject::Framealloc, speculative_block_around_a_box)],
    },
    Row {
        id: "tag",
        what: "a tag entered and left",
        times: 1_000,
        target: Some(20),
        limit: 37,
        cells: &[(Subject::Framealloc, tag_scope)],
    },
    Row {
        id: "pool-pair",
        what: "`pool_box` and drop, 64 B, one at a time",
        times: 10_000,
        // Two more than the target: both calls are counted by class, so that the totals are true at any time.
        target: Some(27),
        limit: 29,
        cells: owners!(pair, Pool),
    },
    Row {
        id: "pool-batch",
        what: "`pool_box` and drop, 64 B, a thousand at a time",
        times: 10_000,
        target: Some(36),
        limit: 36,
        cells: owners!(batch, Pool),
    },
    Row {
        id: "pool-churn",
        what: "`pool_box` replaced at random among 10,000, 64 B",
        times: 10_000,
        target: Some(39),
        limit: 39,
        cells: owners!(churn, Pool),
    },
    Row {
        id: "heap-pair",
        what: "`heap_box` and drop, 64 B, counted by tag",
        times: 1_000,
        target: None,
        // Around malloc and free: a word says who pays and whether anybody watches, the tag's counters are written both times, and
        // whether there are budgets is asked each time, since they may be turned on at any time.
        limit: 239,
        cells: owners!(pair, CountedHeap),
    },
    Row {
        id: "audit-system",
        what: "an allocation of a game's trace, with its growth and its free, `HeapAudit` over the system's allocator",
        times: trace::ALLOCATIONS,
        target: None,
        limit: 417,
        cells: &[
            (Subject::Framealloc, replay::<HeapAudit<System>>),
            (Subject::System, replay::<System>),
        ],
    },
    Row {
        id: "audit-mimalloc",
        what: "the same, `HeapAudit` over mimalloc",
        times: trace::ALLOCATIONS,
        target: None,
        limit: 243,
        cells: &[
            (Subject::Framealloc, replay::<HeapAudit<MiMalloc>>),
            (Subject::Mimalloc, replay::<MiMalloc>),
        ],
    },
];

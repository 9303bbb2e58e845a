//! Bevy diagnostics.
//!
//! What is at hand is measured every frame; what has to be summed up over tags and threads, at an interval.

use core::time::Duration;

use bevy_app::App;
use bevy_diagnostic::{
    Diagnostic, DiagnosticPath, Diagnostics, DiagnosticsStore, RegisterDiagnostic,
};
use bevy_ecs::prelude::*;
use bevy_platform::time::Instant;

use super::plugin::DiagnosticsPlugin;
use crate::HeapAudit;
use crate::bevy::{AllocResource, Budgets};
use crate::tags::TagTotals;

impl DiagnosticsPlugin {
    /// Bytes of frame memory that were handed out in the frame, over all threads. What was leased (`frame_box` and its kin), and
    /// with budgets or listeners what guards handed out too, counts in the frame in which its thread takes that memory again:
    /// the next one, unless the thread sleeps.
    pub const FRAME_BYTES: DiagnosticPath = DiagnosticPath::const_new("framealloc/frame_bytes");
    /// Bytes that frame arenas may use without growing, over all threads.
    pub const ARENA_BYTES: DiagnosticPath = DiagnosticPath::const_new("framealloc/arena_bytes");
    /// How much of its limit the fullest arena used, in percent: at 100, FA003 is reported.
    pub const ARENA_FILL: DiagnosticPath = DiagnosticPath::const_new("framealloc/arena_fill");
    /// Chunks of frame memory that are kept apart because something in them outlived its frame (FA002).
    pub const ESCAPED_CHUNKS: DiagnosticPath =
        DiagnosticPath::const_new("framealloc/escaped_chunks");
    /// Live bytes in pools.
    pub const POOL_BYTES: DiagnosticPath = DiagnosticPath::const_new("framealloc/pool_bytes");
    /// Live bytes on the heap: with a [`HeapAudit`], those of the whole program; otherwise those of `heap_box` and its kin.
    pub const HEAP_BYTES: DiagnosticPath = DiagnosticPath::const_new("framealloc/heap_bytes");
    /// Heap allocations a frame, of the same.
    pub const HEAP_ALLOCS: DiagnosticPath =
        DiagnosticPath::const_new("framealloc/heap_allocs_per_frame");
    /// Bytes that streams have reserved.
    pub const STREAMING_BYTES: DiagnosticPath =
        DiagnosticPath::const_new("framealloc/streaming_bytes");
    /// How full the worst budget was, in percent of its limit.
    pub const WORST_BUDGET: DiagnosticPath =
        DiagnosticPath::const_new("framealloc/worst_budget_percent");
}

/// When what takes time was measured last.
#[derive(Resource)]
pub(super) struct Pace {
    interval: Duration,
    last: Option<Instant>,
    frames: u32,
    heap_allocs: Option<u64>,
    frame_total: Option<u64>,
}

pub(super) fn register(app: &mut App, interval: Duration) {
    app.insert_resource(Pace {
        interval,
        last: None,
        frames: 0,
        heap_allocs: None,
        frame_total: None,
    });
    for (path, unit) in [
        (DiagnosticsPlugin::FRAME_BYTES, " B"),
        (DiagnosticsPlugin::ARENA_BYTES, " B"),
        (DiagnosticsPlugin::ARENA_FILL, "%"),
        (DiagnosticsPlugin::ESCAPED_CHUNKS, ""),
        (DiagnosticsPlugin::POOL_BYTES, " B"),
        (DiagnosticsPlugin::HEAP_BYTES, " B"),
        (DiagnosticsPlugin::HEAP_ALLOCS, ""),
        (DiagnosticsPlugin::STREAMING_BYTES, " B"),
        (DiagnosticsPlugin::WORST_BUDGET, "%"),
    ] {
        app.register_diagnostic(Diagnostic::new(path).with_suffix(unit));
    }
}

pub(super) fn measure(
    alloc: Res<AllocResource>,
    budgets: Option<Res<Budgets>>,
    store: Res<DiagnosticsStore>,
    mut diagnostics: Diagnostics,
    mut pace: ResMut<Pace>,
) {
    let is_on = |path: &DiagnosticPath| store.get(path).is_some_and(|it| it.is_enabled);
    let arenas = [
        DiagnosticsPlugin::FRAME_BYTES,
        DiagnosticsPlugin::ARENA_BYTES,
        DiagnosticsPlugin::ARENA_FILL,
        DiagnosticsPlugin::ESCAPED_CHUNKS,
    ];
    if arenas.iter().any(is_on) {
        let totals = alloc.arena_totals();
        // A thread that was idle keeps what its last frame used, whichever that was: so it is counted from frame to frame.
        let total_before = pace.frame_total.replace(totals.total_bytes).unwrap_or(0);
        let limit = alloc.config().frame_arena_limit() as f64;
        let values = [
            totals.total_bytes.saturating_sub(total_before) as f64,
            totals.capacity as f64,
            totals.fullest as f64 * 100.0 / limit.max(1.0),
            totals.retired_chunks as f64,
        ];
        for (path, value) in arenas.iter().zip(values) {
            diagnostics.add_measurement(path, || value);
        }
    }
    diagnostics.add_measurement(&DiagnosticsPlugin::STREAMING_BYTES, || {
        alloc.streaming().total_reserved() as f64
    });
    if let Some(budgets) = budgets {
        diagnostics.add_measurement(&DiagnosticsPlugin::WORST_BUDGET, || {
            f64::from(budgets.worst_percent())
        });
    }
    pace.frames += 1;
    let now = Instant::now();
    if pace.last.is_some_and(|last| now - last < pace.interval) {
        return;
    }
    pace.last = Some(now);
    diagnostics.add_measurement(&DiagnosticsPlugin::POOL_BYTES, || alloc.pool_bytes() as f64);
    let heap = [
        DiagnosticsPlugin::HEAP_BYTES,
        DiagnosticsPlugin::HEAP_ALLOCS,
    ];
    if heap.iter().any(is_on) {
        let sum = TagTotals::sum();
        let heap_traffic = if HeapAudit::is_installed() {
            sum.audit
        } else {
            sum.heap
        };
        diagnostics.add_measurement(&heap[0], || heap_traffic.live_bytes() as f64);
        if let Some(before) = pace.heap_allocs.replace(heap_traffic.allocs) {
            let allocs = heap_traffic.allocs.wrapping_sub(before);
            let frames = f64::from(pace.frames);
            diagnostics.add_measurement(&heap[1], || allocs as f64 / frames);
        }
    } else {
        pace.heap_allocs = None;
    }
    pace.frames = 0;
}

//! What is still alive when the app exits, and was not when it had started up.
//!
//! Everything that the world holds is alive then, so this is no list of leaks: it is where to look for them. What is meant to
//! live as long as the app goes into the allow-list.

use std::fmt;

use bevy_app::{App, AppExit, Main};
use bevy_ecs::prelude::*;

use crate::Bytes;
use crate::bevy::{AllocResource, BudgetSystems, SmartAllocSystems};
use crate::diagnostics::{self, DiagnosticCode};
use crate::tags::{TagId, TagTotals, TrafficTotals};

/// What an [`ExitReport`] leaves out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExitReportSettings {
    /// Tags that may hold memory at exit: paths, each with everything below it.
    pub allow: Vec<String>,
    /// Of pools and heap, less than this is left out. 1 byte unless set.
    pub min_bytes: u64,
    /// Of what a [`HeapAudit`](crate::HeapAudit) sees, less than this is left out: the world's own tables grow. 64 KiB unless set.
    pub min_audit_bytes: u64,
}

impl Default for ExitReportSettings {
    fn default() -> Self {
        Self {
            allow: Vec::new(),
            min_bytes: 1,
            min_audit_bytes: 64 << 10,
        }
    }
}

impl ExitReportSettings {
    /// Lets a tag, and everything below it, hold memory at exit.
    #[must_use]
    pub fn allow(mut self, path: impl Into<String>) -> Self {
        self.allow.push(path.into());
        self
    }
}

/// What is alive when the app exits that was not when its first frame had ended. It goes to the log, and is a resource
/// afterwards.
#[derive(Resource, Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExitReport {
    /// By tag, the most bytes first.
    pub rows: Vec<ExitReportRow>,
    /// By how much pools have grown, in live bytes; negative if they shrank.
    pub pool_growth: i64,
    /// By how much the heap has grown, in live bytes of `heap_box` and its kin.
    pub heap_growth: i64,
    /// Chunks of frame memory in which something has outlived its frame.
    pub escaped_chunks: usize,
    /// How often it was reported that frame memory outlived its frame (FA002).
    pub escapes_reported: u64,
}

/// One tag of an [`ExitReport`], its children not included. Bytes are live ones that were not at start-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExitReportRow {
    /// The tag.
    pub tag: TagId,
    /// In pools, where these are charged to tags.
    pub pool_bytes: u64,
    /// On the heap.
    pub heap_bytes: u64,
    /// In what a [`HeapAudit`](crate::HeapAudit) sees, if it is much.
    pub audit_bytes: u64,
    /// Values and blocks in all of that.
    pub count: u64,
}

impl ExitReportRow {
    fn bytes(&self) -> u64 {
        self.pool_bytes + self.heap_bytes + self.audit_bytes
    }
}

impl ExitReport {
    /// Whether nothing is left.
    pub fn is_clean(&self) -> bool {
        self.rows.is_empty() && self.escaped_chunks == 0
    }
}

impl fmt::Display for ExitReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes: u64 = self.rows.iter().map(ExitReportRow::bytes).sum();
        write!(
            f,
            "at exit, {} in {} tags are alive that were not at start-up; {} chunks of frame memory have outlived their frame",
            Bytes(bytes),
            self.rows.len(),
            self.escaped_chunks
        )?;
        for row in &self.rows {
            write!(f, "\n  {:>10}  {}", Bytes(row.bytes()).to_string(), row.tag)?;
            let parts = [
                ("pools", row.pool_bytes),
                ("heap", row.heap_bytes),
                ("global allocator", row.audit_bytes),
            ];
            let parts = parts.iter().filter(|(_, bytes)| *bytes != 0);
            let parts: Vec<_> = parts.map(|(name, _)| *name).collect();
            write!(f, " ({}, {} blocks)", parts.join(", "), row.count)?;
        }
        Ok(())
    }
}

/// What was alive when the first frame had ended.
#[derive(Resource)]
struct AtStart {
    settings: ExitReportSettings,
    totals: Option<TagTotals>,
    pool_bytes: usize,
    escapes: u64,
}

pub(super) fn install(app: &mut App, settings: ExitReportSettings) {
    app.insert_resource(AtStart {
        settings,
        totals: None,
        pool_bytes: 0,
        escapes: 0,
    })
    .add_systems(
        Main,
        (
            remember_start.run_if(|start: Res<AtStart>| start.totals.is_none()),
            report_exit.run_if(bevy_ecs::schedule::common_conditions::on_message::<AppExit>),
        )
            .chain()
            .run_if(bevy_ecs::schedule::common_conditions::resource_exists::<AllocResource>)
            .after(SmartAllocSystems::EndFrame)
            .after(BudgetSystems::Watch),
    );
}

fn remember_start(mut start: ResMut<AtStart>, alloc: Res<AllocResource>) {
    start.totals = Some(TagTotals::capture());
    start.pool_bytes = alloc.pool_bytes();
    start.escapes = diagnostics::count(DiagnosticCode::FA002);
}

fn report_exit(
    start: Res<AtStart>,
    alloc: Res<AllocResource>,
    earlier: Option<Res<ExitReport>>,
    mut commands: Commands,
) {
    let (Some(totals), None) = (&start.totals, earlier) else {
        return;
    };
    let report = start.report(&TagTotals::capture().since(totals), &alloc);
    if report.is_clean() {
        tracing::info!(target: "framealloc", "{report}");
    } else {
        tracing::warn!(target: "framealloc", "{report}");
    }
    commands.insert_resource(report);
}

impl AtStart {
    fn report(&self, since: &TagTotals, alloc: &AllocResource) -> ExitReport {
        let settings = &self.settings;
        let allowed: Vec<TagId> = settings
            .allow
            .iter()
            .map(|path| TagId::from_path(path))
            .collect();
        let live = |traffic: &TrafficTotals, least: u64| {
            let bytes = u64::try_from(traffic.live_bytes()).unwrap_or(0);
            if bytes < least.max(1) {
                return (0, 0);
            }
            (bytes, u64::try_from(traffic.live()).unwrap_or(0))
        };
        let mut rows: Vec<_> = since
            .rows()
            .filter(|row| {
                !allowed
                    .iter()
                    .any(|&tag| tag != TagId::ROOT && row.tag.is_in(tag))
            })
            .map(|row| {
                let pool = live(&row.pool, settings.min_bytes);
                let heap = live(&row.heap, settings.min_bytes);
                let audit = live(&row.audit, settings.min_audit_bytes);
                ExitReportRow {
                    tag: row.tag,
                    pool_bytes: pool.0,
                    heap_bytes: heap.0,
                    audit_bytes: audit.0,
                    count: pool.1 + heap.1 + audit.1,
                }
            })
            .filter(|row| row.bytes() != 0)
            .collect();
        rows.sort_by_key(|row| std::cmp::Reverse(row.bytes()));
        ExitReport {
            rows,
            pool_growth: alloc.pool_bytes() as i64 - self.pool_bytes as i64,
            heap_growth: since.rows().map(|row| row.heap.live_bytes()).sum(),
            escaped_chunks: alloc.arena_totals().retired_chunks,
            escapes_reported: diagnostics::count(DiagnosticCode::FA002) - self.escapes,
        }
    }
}

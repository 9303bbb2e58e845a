//! One look at an allocator: what all tabs show.
//!
//! Counters of tags are the whole process's; arenas, budgets and streams are the allocator's. What counts over time counts
//! from the look before.

use std::collections::HashMap;

use bevy_platform::time::Instant;

use super::tree::TagTree;
use crate::bevy::BudgetKind;
use crate::diagnostics::{self, DiagnosticCode};
use crate::tags::{TagTotals, TagUsage, TrafficTotals};
use crate::{ArenaStats, PoolClassStats, SmartAlloc, StreamInfo, StreamingStats, TagBudget};

/// What a tag used.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Use {
    /// Frame memory since the look before, in bytes.
    pub frame: u64,
    /// Live bytes.
    pub pool: u64,
    /// Live bytes.
    pub heap: u64,
    /// Live bytes from the global allocator, besides those of `heap`, which come from there as well.
    pub global: u64,
    /// Calls of the global allocator since the look before.
    pub calls: u64,
    /// Bytes of these calls.
    pub called: u64,
    /// Whether it has ever used anything.
    pub ever: bool,
}

impl Use {
    fn of(now: &TagUsage, before: &TagUsage) -> Self {
        // Threads' counters are read one after another: no less than nothing is live.
        let live = |traffic: &TrafficTotals| traffic.live_bytes().max(0) as u64;
        let heap = live(&now.heap);
        Self {
            frame: now.frame_bytes.wrapping_sub(before.frame_bytes),
            pool: live(&now.pool),
            heap,
            global: live(&now.audit).saturating_sub(heap),
            calls: now.audit.allocs.wrapping_sub(before.audit.allocs),
            called: now.audit.bytes.wrapping_sub(before.audit.bytes),
            ever: now.frame_bytes | now.pool.allocs | now.heap.allocs | now.audit.allocs != 0,
        }
    }

    /// Live bytes of all kinds but frame memory.
    pub fn live(&self) -> u64 {
        self.pool + self.heap + self.global
    }

    pub fn add(&mut self, other: &Self) {
        self.frame += other.frame;
        self.pool += other.pool;
        self.heap += other.heap;
        self.global += other.global;
        self.calls += other.calls;
        self.called += other.called;
        self.ever |= other.ever;
    }
}

/// The allocator's budgets.
pub struct Budgets {
    pub limit: u64,
    pub used: u64,
    pub peak: u64,
    pub tags: Vec<TagBudget>,
}

/// A size class, and what happened in it since the look before.
#[derive(Clone, Copy)]
pub struct PoolClass {
    pub stats: PoolClassStats,
    pub allocs: u64,
    pub frees: u64,
}

pub struct Look {
    /// The frame it was taken in.
    pub frame: u64,
    /// Frames since the look before, at least one.
    pub frames: u64,
    /// Seconds since the look before.
    pub seconds: f64,
    /// By place in the tree: what each tag used itself.
    pub own: Vec<Use>,
    /// By place in the tree: what it and everything below it used.
    pub below: Vec<Use>,
    /// By place in the tree: what each system used, with the tags that it made below its own. At places that are no owner's,
    /// nothing.
    pub owned: Vec<Use>,
    /// Whether a `HeapAudit` counts.
    pub audits: bool,
    pub arenas: Vec<ArenaStats>,
    pub pools: Vec<PoolClass>,
    /// Whether pools are charged to tags.
    pub pool_tags: bool,
    pub budgets: Option<Budgets>,
    /// The budget file, while it is not there.
    pub awaited_file: Option<String>,
    pub streaming: StreamingStats,
    pub streams: Vec<StreamInfo>,
    /// How many reports there were so far, rate limit or not.
    pub reports: u64,
}

impl Look {
    /// By frame.
    pub fn rate(&self, count: u64) -> f64 {
        count as f64 / self.frames as f64
    }

    /// What the whole process used.
    pub fn total(&self) -> Use {
        self.below.first().copied().unwrap_or_default()
    }

    pub fn pool_live(&self) -> u64 {
        let live = self.pools.iter().map(|class| class.stats.live_bytes());
        live.sum::<usize>() as u64
    }

    pub fn pool_reserved(&self) -> u64 {
        let reserved = self.pools.iter().map(|class| class.stats.reserved);
        reserved.sum::<usize>() as u64
    }

    /// Frame memory that the whole process used in a frame, on average. The arenas' own figures are each of its thread's last
    /// frame, which may be long ago.
    pub fn frame_bytes(&self) -> f64 {
        self.rate(self.total().frame)
    }

    pub fn frame_reserved(&self) -> u64 {
        let reserved = self.arenas.iter().map(|arena| arena.capacity);
        reserved.sum::<usize>() as u64
    }

    /// Adds what the plugin knows. Budgets are shown with the most that was live in the last frame: what systems take and give
    /// back within a frame is gone when it is looked at.
    pub fn add_watched(&mut self, watched: &crate::bevy::Budgets) {
        self.awaited_file = watched.awaited_file().map(str::to_owned);
        let Some(budgets) = &mut self.budgets else {
            return;
        };
        let mut peaks = HashMap::new();
        for row in watched.rows() {
            if row.kind == BudgetKind::Global {
                budgets.used = budgets.used.max(row.frame_peak as u64);
            } else {
                peaks.insert(row.name, row.frame_peak);
            }
        }
        for tag in &mut budgets.tags {
            if let Some(peak) = peaks.get(tag.name) {
                tag.current_usage = tag.current_usage.max(*peak);
            }
        }
    }

    /// The budget that is fullest, and how full, of 1.
    pub fn worst_budget(&self) -> Option<(&'static str, f64)> {
        let budgets = self.budgets.as_ref()?;
        let fraction = |used: u64, limit: u64| used as f64 / limit as f64;
        let whole =
            (budgets.limit != 0).then(|| ("everything", fraction(budgets.used, budgets.limit)));
        let tags = budgets.tags.iter().filter_map(|budget| {
            let limit = limit_of(budget)?;
            Some((budget.name, fraction(budget.current_usage as u64, limit)))
        });
        whole
            .into_iter()
            .chain(tags)
            .max_by(|a, b| a.1.total_cmp(&b.1))
    }
}

/// What a tag's budget ends at, if at anything.
pub fn limit_of(budget: &TagBudget) -> Option<u64> {
    let limit = budget.hard_limit.min(budget.soft_limit.max(1));
    let limit = if budget.hard_limit == usize::MAX {
        limit
    } else {
        budget.hard_limit
    };
    (limit != usize::MAX && limit != 0).then_some(limit as u64)
}

/// Remembers the look before.
#[derive(Default)]
pub struct Observer {
    totals: TagTotals,
    frame: u64,
    when: Option<Instant>,
    pools: Vec<PoolClassStats>,
}

impl Observer {
    /// Forgets what was seen, because another allocator is looked at: frames are counted anew.
    pub fn reset(&mut self) {
        *self = Self::default();
    }

    pub fn look(&mut self, alloc: &SmartAlloc, tree: &mut TagTree) -> Look {
        tree.refresh();
        let totals = TagTotals::capture();
        let frame = alloc.frame_number();
        let now = Instant::now();
        // At the first look nothing is known of any interval.
        let is_first = self.when.is_none();
        let before = if is_first { &totals } else { &self.totals };
        let own: Vec<Use> = tree
            .nodes
            .iter()
            .map(|node| Use::of(&totals.of(node.tag), &before.of(node.tag)))
            .collect();
        let mut below = own.clone();
        for place in (1..below.len()).rev() {
            let used = below[place];
            below[tree.nodes[place].parent as usize].add(&used);
        }
        let mut owned = vec![Use::default(); own.len()];
        for (place, node) in tree.nodes.iter().enumerate() {
            owned[node.owner as usize].add(&own[place]);
        }
        let pools = alloc.pool_classes();
        let streaming = alloc.streaming();
        let look = Look {
            frame,
            frames: frame.saturating_sub(self.frame).max(1),
            seconds: self.when.map_or(0.0, |when| (now - when).as_secs_f64()),
            audits: totals.rows().any(|row| row.audit.allocs != 0),
            own,
            below,
            owned,
            arenas: alloc.arenas(),
            pools: pools
                .iter()
                .map(|stats| self.since(stats, is_first))
                .collect(),
            pool_tags: alloc.config().pool_tags,
            budgets: alloc.budgets().map(|budgets| Budgets {
                limit: budgets.global_limit() as u64,
                used: budgets.current_usage() as u64,
                peak: budgets.peak_usage() as u64,
                tags: budgets.get_all_tag_budgets(),
            }),
            awaited_file: None,
            streaming: streaming.stats(),
            streams: streaming.streams(),
            reports: DiagnosticCode::ALL
                .iter()
                .copied()
                .map(diagnostics::count)
                .sum(),
        };
        *self = Self {
            totals,
            frame,
            when: Some(now),
            pools,
        };
        look
    }

    fn since(&self, stats: &PoolClassStats, is_first: bool) -> PoolClass {
        let mut known = self.pools.iter();
        let before = known.find(|known| known.block_size == stats.block_size);
        let before = match before {
            None if is_first => *stats,
            None => PoolClassStats::default(),
            Some(before) => *before,
        };
        PoolClass {
            stats: *stats,
            allocs: stats.allocs.saturating_sub(before.allocs),
            frees: stats.frees.saturating_sub(before.frees),
        }
    }
}

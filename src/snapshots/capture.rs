//! Filling a snapshot: one pass over the counters of every thread.
//!
//! It runs on the frame's thread, so it looks at each counter once, and copies no text that lives as long as the program.

use core::sync::atomic::Ordering::Relaxed;
use std::borrow::Cow;

use hashbrown::HashMap;

use super::PromotionTally;
use super::model::{
    BudgetInfo, RuntimeDiagnostic, Snapshot, SnapshotSummary, TagBudgetSnapshot, TagSnapshot,
    ThreadSnapshot, percent,
};
use super::promotions::Promotions;
use crate::allocators::domain::Owned;
use crate::allocators::record::{BLOCK_TAGS, TagCounters, for_each_record};
use crate::allocators::thread::{self, ThreadUse};
use crate::diagnostics;
use crate::smart_alloc::SmartAlloc;
use crate::sync::Mutex;
use crate::tags::{TagId, TagUsage, TrafficTotals};

/// As many of the newest reports go into a snapshot.
const REPORTS: usize = 256;

/// What the last snapshot saw, for what is counted from one to the next.
#[derive(Default)]
pub(crate) struct LastCapture {
    seen: Mutex<Seen>,
    pub(crate) promotions: PromotionTally,
}

#[derive(Default)]
struct Seen {
    frame: u64,
    /// By tag index.
    tags: Vec<TagUsage>,
    /// Rows of tags.
    rows: usize,
    transfers_completed: u64,
    deferred_processed: u64,
    peak_bytes: u64,
}

/// The threads that use something, visited one after the other: how many there are, and the last one.
#[derive(Clone, Copy, Default)]
struct Users {
    count: u32,
    /// Its place among the records.
    last: u32,
}

impl Users {
    #[inline(always)]
    fn add(&mut self, place: u32, is_user: bool) {
        self.count += u32::from(is_user);
        self.last = if is_user { place } else { self.last };
    }
}

/// One tag's counters, summed over threads, and who has them: of frames, pools, heap and the audit.
struct Sum {
    usage: TagUsage,
    users: [Users; 4],
}

impl SmartAlloc {
    /// What this allocator holds, as data: to be read, compared ([`SnapshotDiff`](crate::SnapshotDiff)), or written for tools that
    /// look on ([`SnapshotEmitter`](crate::SnapshotEmitter)).
    ///
    /// Take it after a frame's end. Tags, pools, heap, transfers and deferred frees are the whole process's; threads, budgets and
    /// promotions are this allocator's. What counts something over time counts from the snapshot before this one. Counters of
    /// other threads may lag by what they bumped since they last changed tags or chunks.
    ///
    /// It costs time in proportion to threads times tags (half a millisecond or so for 64 threads that all use 1,000 tags), so take
    /// one when somebody asks. [`SnapshotEmitter::maybe_emit_from`](crate::SnapshotEmitter::maybe_emit_from) does, and leaves nearly all
    /// of it to the writing thread.
    ///
    /// ```
    /// use framealloc::SmartAlloc;
    ///
    /// let alloc = SmartAlloc::with_defaults();
    /// alloc.begin_frame();
    /// alloc.with_tag("snapshot_example", |alloc| drop(alloc.frame_box([0u8; 1024])));
    /// alloc.end_frame();
    /// let snapshot = alloc.snapshot();
    /// assert_eq!(snapshot.frame, 1);
    /// let row = snapshot.tags.iter().find(|row| row.path == "snapshot_example").unwrap();
    /// assert_eq!((&*row.alloc_kind, row.bytes), ("frame", 1024));
    /// ```
    pub fn snapshot(&self) -> Snapshot {
        self.start_snapshot().finish()
    }

    /// What belongs to the frame that has ended, and is quickly told. The rest may follow on any thread.
    pub(super) fn start_snapshot(&self) -> Started {
        thread::settle();
        let mut snapshot = Snapshot::new(self.frame_number());
        let arenas = self.domain().arena_owners();
        self.fill_threads(&mut snapshot, &arenas);
        let codes = fill_diagnostics(&mut snapshot);
        self.fill_budgets(&mut snapshot);
        Started {
            alloc: self.clone(),
            snapshot,
            arenas,
            codes,
            promotions: self.parts().last_capture.promotions.take(),
        }
    }

    fn fill_threads(&self, snapshot: &mut Snapshot, arenas: &[Owned]) {
        let budgets = self.thread_budgets().all_stats();
        for arena in arenas {
            let stats = &arena.stats;
            let budget = budgets.get(&arena.thread);
            let limited = |used: u64, limit: usize| {
                (limit != usize::MAX).then(|| BudgetInfo::new(used, limit as u64))
            };
            snapshot.threads.push(ThreadSnapshot {
                id: format!("{:?}", arena.thread),
                name: stats.thread.clone(),
                frame_bytes: stats.frame_bytes as u64,
                peak_bytes: stats.peak_frame_bytes as u64,
                // The last frame's: that of the open one begins anew with each.
                budget: budget.and_then(|of| limited(stats.frame_bytes as u64, of.frame_budget)),
                pool_budget: budget.and_then(|of| limited(of.pool_used as u64, of.pool_budget)),
                alive: stats.alive,
                reserved_bytes: stats.capacity as u64,
                retired_chunks: stats.retired_chunks as u64,
                ..Default::default()
            });
        }
    }

    fn fill_budgets(&self, snapshot: &mut Snapshot) {
        let Some(budgets) = self.budgets() else {
            return;
        };
        let limit = Some(budgets.global_limit() as u64).filter(|limit| *limit != 0);
        let used = budgets.current_usage() as u64;
        snapshot.budgets.push(TagBudgetSnapshot {
            limit,
            used,
            peak: budgets.peak_usage() as u64,
            percent: limit.map_or(0, |limit| percent(used, limit)),
            ..Default::default()
        });
        let limited = |limit: usize| (limit != usize::MAX).then_some(limit as u64);
        for budget in budgets.get_all_tag_budgets() {
            let (soft_limit, limit) = (limited(budget.soft_limit), limited(budget.hard_limit));
            let used = budget.current_usage as u64;
            snapshot.budgets.push(TagBudgetSnapshot {
                path: budget.name.into(),
                soft_limit,
                limit,
                used,
                peak: budget.peak_usage as u64,
                percent: limit.or(soft_limit).map_or(0, |limit| percent(used, limit)),
                exceeded_count: budget.exceeded_count,
            });
        }
    }
}

/// A snapshot that lacks the counters of tags.
pub(super) struct Started {
    alloc: SmartAlloc,
    snapshot: Snapshot,
    /// In the order of the snapshot's threads.
    arenas: Vec<Owned>,
    codes: HashMap<TagId, Vec<Cow<'static, str>>>,
    promotions: Promotions,
}

impl Started {
    /// Adds them up, over all threads: what takes time.
    pub(super) fn finish(self) -> Snapshot {
        let Self {
            alloc,
            mut snapshot,
            arenas,
            codes,
            promotions,
        } = self;
        let (sums, threads) = sums();
        for (thread, arena) in snapshot.threads.iter_mut().zip(&arenas) {
            let mut used = threads.iter();
            if let Some(used) = used.find(|used| Some(used.number) == arena.record) {
                thread.pool_bytes = positive(used.own_pool_bytes());
                thread.heap_bytes = positive(used.own_heap_bytes());
            }
        }
        let transfers = alloc.transfer_stats();
        let deferred = alloc.deferred_stats();
        let mut seen = alloc.parts().last_capture.seen.lock();
        snapshot.interval_frames = snapshot.frame.saturating_sub(seen.frame);
        snapshot.promotions = promotions.stats;
        snapshot.transfers.pending = transfers.pending();
        snapshot.transfers.completed_this_frame = transfers
            .transfers_completed
            .saturating_sub(seen.transfers_completed);
        snapshot.deferred.queue_depth = deferred.current_depth;
        snapshot.deferred.processed_this_frame = deferred
            .total_processed
            .saturating_sub(seen.deferred_processed);
        snapshot.summary = summary(&snapshot, &sums, &threads);
        let peak = snapshot.summary.total_bytes.max(seen.peak_bytes);
        snapshot.summary.peak_bytes = match alloc.budgets() {
            Some(budgets) => peak.max(budgets.peak_usage() as u64),
            None => peak,
        };
        let paths = TagId::all_paths();
        let rows = Rows {
            paths: &paths,
            frames: snapshot.interval_frames,
            seen: &seen.tags,
            threads: &threads,
            arenas: &arenas,
            codes: &codes,
            promotions: &promotions,
        };
        // As many as before, or a few more.
        snapshot.tags.reserve(seen.rows + seen.rows / 16);
        rows.write(&sums, &mut snapshot.tags);
        *seen = Seen {
            frame: snapshot.frame,
            rows: snapshot.tags.len(),
            tags: sums.into_iter().map(|sum| sum.usage).collect(),
            transfers_completed: transfers.transfers_completed,
            deferred_processed: deferred.total_processed,
            peak_bytes: peak,
        };
        drop(seen);
        snapshot
    }
}

/// The counters of every tag that was ever made, by index, and what each thread holds.
///
/// Some tags of all threads, then some more: what is summed up stays in the fastest cache.
fn sums() -> (Vec<Sum>, Vec<ThreadUse>) {
    let mut sums: Vec<Sum> = TagId::all()
        .map(|tag| Sum {
            usage: TagUsage::none(tag),
            users: [Users::default(); 4],
        })
        .collect();
    let mut records = Vec::new();
    let mut threads = Vec::new();
    // A global allocator that is audited has charged the root before there was any other tag.
    let mut audits = false;
    for_each_record(|record| {
        let root = record.counters(TagId::ROOT.index());
        audits |= root.audit.allocs.load(Relaxed) != 0;
        records.push(record);
        threads.push(ThreadUse::of_pools(record));
    });
    // A tag made since is looked at next time.
    for (index, sums) in sums.chunks_mut(BLOCK_TAGS).enumerate() {
        for (place, (record, thread)) in records.iter().zip(&mut threads).enumerate() {
            let Some(counters) = record.block(index) else {
                continue;
            };
            thread.heap_bytes += if audits {
                add_all::<true>(sums, counters, place as u32)
            } else {
                add_all::<false>(sums, counters, place as u32)
            };
        }
    }
    (sums, threads)
}

/// Counters are asked for so far ahead: most of the time goes by in waiting for memory that other threads have written.
const AHEAD: usize = 24;

/// Adds the counters of the thread at `place` to the sums of their tags. Returns its live bytes on the heap.
#[inline]
fn add_all<const AUDITS: bool>(
    sums: &mut [Sum],
    counters: &[TagCounters; BLOCK_TAGS],
    place: u32,
) -> i64 {
    let mut heap_bytes = 0;
    counters.iter().take(AHEAD).for_each(TagCounters::prefetch);
    for (index, (sum, tag)) in sums.iter_mut().zip(counters).enumerate() {
        if let Some(next) = counters.get(index + AHEAD) {
            next.prefetch();
        }
        if tag.is_used(AUDITS) {
            let used = sum.usage.add(tag, AUDITS);
            for (users, used) in sum.users.iter_mut().zip(used) {
                users.add(place, used);
            }
            heap_bytes += tag.heap.live_bytes();
        }
    }
    heap_bytes
}

fn summary(snapshot: &Snapshot, sums: &[Sum], threads: &[ThreadUse]) -> SnapshotSummary {
    let frame_bytes = snapshot
        .threads
        .iter()
        .map(|thread| thread.frame_bytes)
        .sum();
    let pool_bytes = positive(threads.iter().map(|used| used.pool_bytes).sum());
    let heap_bytes = positive(sums.iter().map(|sum| sum.usage.heap.live_bytes()).sum());
    SnapshotSummary {
        frame_bytes,
        pool_bytes,
        heap_bytes,
        total_bytes: frame_bytes + pool_bytes + heap_bytes,
        peak_bytes: 0,
        frame_reserved_bytes: snapshot.threads.iter().map(|of| of.reserved_bytes).sum(),
        pool_reserved_bytes: threads.iter().map(|used| used.pool_reserved).sum(),
    }
}

/// Copies the newest reports, and returns the codes of each tag.
fn fill_diagnostics(snapshot: &mut Snapshot) -> HashMap<TagId, Vec<Cow<'static, str>>> {
    let mut codes: HashMap<TagId, Vec<Cow<'static, str>>> = HashMap::new();
    snapshot.diagnostics = diagnostics::newest(REPORTS, |report| {
        let code = Cow::Borrowed(report.code.name());
        let of_tag = codes.entry(report.tag).or_default();
        if !of_tag.contains(&code) {
            of_tag.push(code.clone());
        }
        RuntimeDiagnostic {
            code,
            tag: (report.tag != TagId::ROOT).then(|| report.tag.path().into()),
            message: report.message.clone(),
            level: report.kind.level().name().into(),
            count: report.count,
        }
    });
    codes
}

/// What the rows of tags are written from.
struct Rows<'a> {
    /// By tag index; no shorter than the sums.
    paths: &'a [&'static str],
    frames: u64,
    seen: &'a [TagUsage],
    threads: &'a [ThreadUse],
    arenas: &'a [Owned],
    codes: &'a HashMap<TagId, Vec<Cow<'static, str>>>,
    promotions: &'a Promotions,
}

impl Rows<'_> {
    fn write(&self, sums: &[Sum], rows: &mut Vec<TagSnapshot>) {
        for (index, sum) in sums.iter().enumerate() {
            let (now, tag) = (&sum.usage, sum.usage.tag);
            let before = match self.seen.get(index) {
                Some(before) => *before,
                None => TagUsage::none(tag),
            };
            let promoted = self.promotions.by_tag.get(&tag).copied().unwrap_or(0);
            let frame_bytes = now.frame_bytes.wrapping_sub(before.frame_bytes);
            if frame_bytes != 0 || promoted != 0 {
                let frames = self.frames.max(1);
                rows.push(TagSnapshot {
                    bytes: frame_bytes / frames,
                    promotion_rate: promoted as f64 / frames as f64,
                    ..self.row(tag, "frame", sum.users[0])
                });
            }
            let kinds = [
                ("pool", now.pool, before.pool, sum.users[1]),
                ("heap", now.heap, before.heap, sum.users[2]),
                ("audit", now.audit, before.audit, sum.users[3]),
            ];
            for (kind, now, before, users) in kinds {
                let (allocs, frees) = (
                    now.allocs.wrapping_sub(before.allocs),
                    now.frees.wrapping_sub(before.frees),
                );
                if now.live() > 0 || now.live_bytes() > 0 || allocs != 0 || frees != 0 {
                    rows.push(TagSnapshot {
                        alloc_count: positive(now.live()),
                        bytes: positive(now.live_bytes()),
                        avg_lifetime_frames: self.lifetime(&now, &before),
                        allocs,
                        frees,
                        ..self.row(tag, kind, users)
                    });
                }
            }
        }
    }

    fn row(&self, tag: TagId, kind: &'static str, users: Users) -> TagSnapshot {
        TagSnapshot {
            path: self.paths[tag.index() as usize].into(),
            thread: match users.count {
                0 => "?".into(),
                1 => self.name_of(users.last).map_or("?".into(), Cow::Owned),
                _ => "*".into(),
            },
            alloc_kind: kind.into(),
            diagnostics: self.codes.get(&tag).cloned().unwrap_or_default(),
            ..Default::default()
        }
    }

    fn name_of(&self, place: u32) -> Option<String> {
        let number = self.threads[place as usize].number;
        let mut arenas = self.arenas.iter();
        let arena = arenas.find(|arena| arena.record == Some(number))?;
        Some(arena.stats.thread.clone())
    }

    /// Little's law: who lives, divided by who is born a frame.
    fn lifetime(&self, now: &TrafficTotals, before: &TrafficTotals) -> f64 {
        let born = now.allocs.wrapping_sub(before.allocs);
        if born == 0 {
            return 0.0;
        }
        let live = (positive(now.live()) + positive(before.live())) as f64 / 2.0;
        live * self.frames as f64 / born as f64
    }
}

/// Sums over threads may lag behind one another: no less than nothing is live.
fn positive(figure: i64) -> u64 {
    figure.max(0) as u64
}

//! Figures by tag and kind of memory, and the allocator's way to them.

use core::fmt;
use std::thread::ThreadId;

use hashbrown::HashMap;

use super::report::BehaviorReport;
use super::thresholds::BehaviorThresholds;
use crate::diagnostics;
use crate::events::{Block, Switch};
use crate::smart_alloc::SmartAlloc;
use crate::sync::Mutex;
use crate::tags::TagId;
use crate::threads::this_thread;

/// A kind of memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(
    feature = "snapshots",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "lowercase")
)]
#[non_exhaustive]
pub enum AllocKind {
    /// Frame memory.
    Frame,
    /// A pool block.
    Pool,
    /// Heap memory.
    Heap,
}

impl fmt::Display for AllocKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Frame => "frame",
            Self::Pool => "pool",
            Self::Heap => "heap",
        })
    }
}

/// How one kind of memory of one tag behaved, its children not included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct TagBehaviorStats {
    /// The tag's path; empty for what nobody tagged.
    pub tag: &'static str,
    /// The kind of memory.
    pub kind: AllocKind,
    /// Allocations.
    pub total_allocs: u64,
    /// Their bytes.
    pub total_bytes: u64,
    /// Of the allocations, those that were followed to their end, or are being followed. All but some frame boxes are: see
    /// [`SmartAlloc::enable_behavior_filter`].
    pub followed_allocs: u64,
    /// Of those, allocations that outlived the frame that made them.
    pub survived_frame_count: u64,
    /// Ends of frames that they lived through, in sum.
    pub survived_frames: u64,
    /// Values that were promoted when their frame ended.
    pub promotion_count: u64,
    /// Allocations that were freed in the frame that made them, on the thread that made them.
    pub same_frame_frees: u64,
    /// Allocations that were made while a frame was open.
    pub in_frame_allocs: u64,
    /// The frame of the first allocation, counted since the filter was turned on.
    pub first_frame: u64,
    /// The frame of the last one.
    pub last_frame: u64,
}

impl TagBehaviorStats {
    fn new(tag: TagId, kind: AllocKind, frame: u64) -> Self {
        Self {
            tag: tag.path(),
            kind,
            total_allocs: 0,
            total_bytes: 0,
            followed_allocs: 0,
            survived_frame_count: 0,
            survived_frames: 0,
            promotion_count: 0,
            same_frame_frees: 0,
            in_frame_allocs: 0,
            first_frame: frame,
            last_frame: frame,
        }
    }

    /// Frames that an allocation lives, on average: ends of frames that it sees.
    pub fn average_lifetime(&self) -> f64 {
        part(self.survived_frames, self.followed_allocs)
    }

    /// The part of the allocations that outlives its frame.
    pub fn survival_rate(&self) -> f64 {
        part(self.survived_frame_count, self.followed_allocs)
    }

    /// The part of the allocations that is freed in its frame.
    pub fn same_frame_free_rate(&self) -> f64 {
        part(self.same_frame_frees, self.total_allocs)
    }

    /// Promotions a frame, from the first allocation to the last.
    pub fn promotions_per_frame(&self) -> f64 {
        part(self.promotion_count, self.last_frame - self.first_frame + 1)
    }
}

/// `n` of `of`; nothing of nothing.
pub(super) fn part(n: u64, of: u64) -> f64 {
    if of == 0 { 0.0 } else { n as f64 / of as f64 }
}

#[derive(Default)]
struct Figures {
    rows: HashMap<(TagId, AllocKind), TagBehaviorStats>,
    /// Frames that each thread has ended: threads' frames go on side by side, so the most of them is how far the program is.
    ended: HashMap<ThreadId, u64>,
    frame: u64,
}

/// Watches how the memory of an allocator behaves: see [`SmartAlloc::enable_behavior_filter`].
pub struct BehaviorFilter {
    switch: Switch,
    thresholds: Mutex<BehaviorThresholds>,
    figures: Mutex<Figures>,
}

impl BehaviorFilter {
    pub(crate) fn of(switch: Switch) -> Self {
        Self {
            switch,
            thresholds: Mutex::new(BehaviorThresholds::default()),
            figures: Mutex::new(Figures::default()),
        }
    }

    /// Turns it on.
    pub fn enable(&self) {
        self.switch.set(true);
    }

    /// Turns it off; the figures stay.
    pub fn disable(&self) {
        self.switch.set(false);
    }

    /// Whether it is on.
    pub fn is_enabled(&self) -> bool {
        self.switch.is_on()
    }

    /// From where on behaviour is an issue.
    pub fn thresholds(&self) -> BehaviorThresholds {
        *self.thresholds.lock()
    }

    /// Sets from where on behaviour is an issue.
    pub fn set_thresholds(&self, thresholds: BehaviorThresholds) {
        *self.thresholds.lock() = thresholds;
    }

    /// Frames that have ended while it was on; where threads have frames of their own, those of the thread with the most.
    pub fn current_frame(&self) -> u64 {
        self.figures.lock().frame
    }

    /// Forgets all figures.
    pub fn reset(&self) {
        *self.figures.lock() = Figures::default();
    }

    /// Judges the figures, and reports nothing anywhere.
    pub fn analyze(&self) -> BehaviorReport {
        let thresholds = self.thresholds();
        let (mut stats, frames) = {
            let figures = self.figures.lock();
            let rows: Vec<_> = figures.rows.values().copied().collect();
            (rows, figures.frame)
        };
        stats.sort_by_key(|row| (row.tag, row.kind));
        BehaviorReport::judge(stats, frames, self.is_enabled(), &thresholds)
    }

    // ---- What the allocator tells ---------------------------------------------------------------------------------

    #[inline]
    fn count(&self, tag: TagId, kind: AllocKind, count: impl FnOnce(&mut TagBehaviorStats, u64)) {
        if self.is_enabled() {
            self.count_here(tag, kind, count);
        }
    }

    #[cold]
    fn count_here(
        &self,
        tag: TagId,
        kind: AllocKind,
        count: impl FnOnce(&mut TagBehaviorStats, u64),
    ) {
        let mut figures = self.figures.lock();
        let frame = figures.frame;
        let row = figures
            .rows
            .entry((tag, kind))
            .or_insert_with(|| TagBehaviorStats::new(tag, kind, frame));
        count(row, frame);
    }

    /// A block was allocated.
    #[inline]
    pub(crate) fn allocated(&self, block: Block, followed: bool, in_frame: bool) {
        self.count(block.tag, block.kind, |row, frame| {
            row.total_allocs += 1;
            row.total_bytes += block.size as u64;
            row.followed_allocs += u64::from(followed);
            row.in_frame_allocs += u64::from(in_frame);
            row.last_frame = frame;
        });
    }

    /// A block was freed.
    #[inline]
    pub(crate) fn freed(&self, block: Block, same_frame: bool) {
        if same_frame {
            self.count(block.tag, block.kind, |row, _| row.same_frame_frees += 1);
        }
    }

    /// A frame has ended that a block lives on after: the first for it, or another.
    pub(crate) fn survived(&self, block: Block, first: bool) {
        self.count(block.tag, block.kind, |row, _| {
            row.survived_frames += 1;
            row.survived_frame_count += u64::from(first);
        });
    }

    /// A value of frame memory was promoted.
    pub(crate) fn promoted(&self, tag: TagId) {
        self.count(tag, AllocKind::Frame, |row, _| row.promotion_count += 1);
    }

    /// The calling thread's frame, or the shared one, has ended.
    pub(crate) fn end_frame(&self) {
        let mut figures = self.figures.lock();
        let ended = figures.ended.entry(this_thread()).or_default();
        *ended += 1;
        let ended = *ended;
        figures.frame = figures.frame.max(ended);
    }
}

impl fmt::Debug for BehaviorFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BehaviorFilter")
            .field("enabled", &self.is_enabled())
            .field("thresholds", &self.thresholds())
            .field("frames", &self.current_frame())
            .finish_non_exhaustive()
    }
}

impl SmartAlloc {
    /// Watches how memory behaves from now on, in figures for each tag and kind of memory. Off, it costs nothing; on, every
    /// allocation of the threads that are watched (see [`enable_lifecycle_tracking`](Self::enable_lifecycle_tracking)) takes a
    /// slow path.
    ///
    /// To see when frame boxes drop, each gets a mapping of its own while it is watched. That holds for 256 of them a thread at
    /// once; further ones are counted, but not [followed](TagBehaviorStats::followed_allocs).
    ///
    /// ```
    /// use framealloc::{DiagnosticCode, SmartAlloc};
    ///
    /// let alloc = SmartAlloc::with_defaults();
    /// alloc.enable_behavior_filter();
    /// for _ in 0..100 {
    ///     alloc.begin_frame();
    ///     alloc.with_tag("sorting", |alloc| drop(alloc.pool_box([0u32; 64])));
    ///     alloc.end_frame();
    /// }
    /// let report = alloc.behavior_report();
    /// assert_eq!(report.summary(), "Behavior analysis: 0 errors, 0 warnings, 1 hints (100 frames, 1 tags)");
    /// assert_eq!(report.issues[0].code, DiagnosticCode::FA510);
    /// ```
    pub fn enable_behavior_filter(&self) {
        self.behavior_filter().enable();
    }

    /// Stops watching; the figures stay.
    pub fn disable_behavior_filter(&self) {
        self.behavior_filter().disable();
    }

    /// Whether behaviour is being watched.
    pub fn is_behavior_filter_enabled(&self) -> bool {
        self.behavior_filter().is_enabled()
    }

    /// Sets from where on behaviour is an issue.
    pub fn set_behavior_thresholds(&self, thresholds: BehaviorThresholds) {
        self.behavior_filter().set_thresholds(thresholds);
    }

    /// Judges how memory has behaved. Every issue is reported as a diagnostic, too, so that in strict mode this panics:
    /// `FRAMEALLOC_STRICT=warning cargo test` fails where memory misbehaves. [`BehaviorFilter::analyze`] only judges.
    pub fn behavior_report(&self) -> BehaviorReport {
        let report = self.behavior_filter().analyze();
        diagnostics::report_all(report.issues.iter().map(|issue| {
            let tag = TagId::from_path(issue.tag);
            (issue.code, tag, issue.one_line())
        }));
        report
    }

    /// Forgets how memory has behaved.
    pub fn reset_behavior_stats(&self) {
        self.behavior_filter().reset();
    }

    /// What watches how memory behaves.
    pub fn behavior_filter(&self) -> &BehaviorFilter {
        &self.domain().hub().behavior
    }
}

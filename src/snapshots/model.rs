//! Schema v1: the order of the fields here is the order of the keys in a file.
//!
//! The version stays 1 while fields are only added. Those that were added since the first have a default, so that old files
//! can be read; unknown ones are passed over, so that new ones can.

use std::borrow::Cow;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize, Serializer};

/// The version of the schema that [`Snapshot`] is.
pub const SNAPSHOT_VERSION: u32 = 1;

/// What an allocator held at one moment, at best right after a frame's end. [`SmartAlloc::snapshot`] fills it.
///
/// [`SmartAlloc::snapshot`]: crate::SmartAlloc::snapshot
///
/// ```
/// use framealloc::{Snapshot, SnapshotSummary};
///
/// let snapshot = Snapshot::new(18_421)
///     .with_duration(16_600)
///     .with_summary(SnapshotSummary { frame_bytes: 4096, total_bytes: 4096, ..Default::default() });
/// let read = Snapshot::from_json(&snapshot.to_json()).unwrap();
/// assert_eq!(read, snapshot);
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// [`SNAPSHOT_VERSION`], or what the file said that it was read from.
    pub version: u32,
    /// When it was taken: RFC 3339 in UTC, to the second, as in `2026-11-25T20:26:02Z`.
    pub timestamp: String,
    /// The number of the frame that had been begun last.
    pub frame: u64,
    /// How long that frame took, in microseconds, if who made the snapshot said so; 0 otherwise.
    pub duration_us: u64,
    /// The totals.
    pub summary: SnapshotSummary,
    /// The threads that have used the allocator.
    pub threads: Vec<ThreadSnapshot>,
    /// Tags, by kind of memory.
    pub tags: Vec<TagSnapshot>,
    /// What became of retained values.
    pub promotions: SnapshotPromotionStats,
    /// Values on their way from thread to thread.
    pub transfers: SnapshotTransferStats,
    /// Memory that one thread freed for another.
    pub deferred: SnapshotDeferredStats,
    /// The newest reports of the process, oldest first, at most 256.
    pub diagnostics: Vec<RuntimeDiagnostic>,
    /// Frames since the snapshot before this one, or since the first frame: what is counted over time is counted over these.
    #[serde(default)]
    pub interval_frames: u64,
    /// The budget of the whole allocator (its path is empty), and those of tags.
    #[serde(default)]
    pub budgets: Vec<TagBudgetSnapshot>,
}

/// Totals, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotSummary {
    /// Frame memory that the last frame of each thread used.
    pub frame_bytes: u64,
    /// Live memory in pools, of the whole process.
    pub pool_bytes: u64,
    /// Live memory on the heap, of the whole process.
    pub heap_bytes: u64,
    /// The three together.
    pub total_bytes: u64,
    /// The most that `total_bytes` was in any snapshot so far; where there are budgets, the most that was ever live.
    pub peak_bytes: u64,
    /// Memory that frames may use without growing.
    #[serde(default)]
    pub frame_reserved_bytes: u64,
    /// The pools' pages, live or free.
    #[serde(default)]
    pub pool_reserved_bytes: u64,
}

/// A thread that has used the allocator, and its frame arena.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ThreadSnapshot {
    /// What tells it from all other threads of the process, as in `ThreadId(3)`.
    pub id: String,
    /// Its name, or its id.
    pub name: String,
    /// Frame memory that its last frame used.
    pub frame_bytes: u64,
    /// Live memory that it allocated from pools, less what it freed of others'; 0 if it freed more.
    pub pool_bytes: u64,
    /// The same of the heap.
    pub heap_bytes: u64,
    /// The most frame memory that a frame of it used.
    pub peak_bytes: u64,
    /// How much frame memory it may use in a frame.
    pub budget: Option<BudgetInfo>,
    /// How much pool and heap memory it may hold.
    #[serde(default)]
    pub pool_budget: Option<BudgetInfo>,
    /// Whether the thread still runs. The arena of one that does not waits for another.
    #[serde(default)]
    pub alive: bool,
    /// Frame memory that it may use without growing.
    #[serde(default)]
    pub reserved_bytes: u64,
    /// Chunks that are kept apart because something in them outlived its frame.
    #[serde(default)]
    pub retired_chunks: u64,
}

/// A limit, and where it stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BudgetInfo {
    /// Bytes that it may be.
    pub limit: u64,
    /// Bytes that it is.
    pub used: u64,
    /// That in percent, at most 255.
    pub percent: u8,
}

impl BudgetInfo {
    /// So much of so much.
    pub fn new(used: u64, limit: u64) -> Self {
        Self {
            limit,
            used,
            percent: percent(used, limit),
        }
    }
}

/// Rounded down, so that 100 is a budget that is used up. Of nothing, everything is more than all.
pub(super) fn percent(used: u64, limit: u64) -> u8 {
    let percent = match (used, limit) {
        (0, _) => 0,
        (_, 0) => u128::MAX,
        (used, limit) => u128::from(used) * 100 / u128::from(limit),
    };
    u8::try_from(percent).unwrap_or(u8::MAX)
}

/// One kind of memory of one tag, its children not included.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TagSnapshot {
    /// The tag: `game::ai::find_paths`. Empty for what nobody tagged.
    pub path: Cow<'static, str>,
    /// The one thread that uses it: its name; `?` if that has no frames in this allocator; `*` if there are several.
    pub thread: Cow<'static, str>,
    /// `frame`, `pool` (where pools are charged to tags), `heap`, or `audit`: what went to the global allocator, seen by a
    /// `HeapAudit`.
    pub alloc_kind: Cow<'static, str>,
    /// Live allocations. 0 for frame memory, whose allocations are not counted one by one.
    pub alloc_count: u64,
    /// Live bytes. For frame memory: bytes a frame, on average over the interval.
    pub bytes: u64,
    /// For how many frames an allocation lives, by Little's law: those that live, divided by those that are made a frame,
    /// over the interval. 0 for frame memory, and where nothing was allocated. Written with two decimals at most.
    #[serde(serialize_with = "two_decimals")]
    pub avg_lifetime_frames: f64,
    /// Promotions a frame over the interval; 0 except for frame memory. Written with two decimals at most.
    #[serde(serialize_with = "two_decimals")]
    pub promotion_rate: f64,
    /// Codes of the newest reports that concern the tag.
    pub diagnostics: Vec<Cow<'static, str>>,
    /// Allocations in the interval. 0 for frame memory.
    #[serde(default)]
    pub allocs: u64,
    /// Frees in the interval. 0 for frame memory.
    #[serde(default)]
    pub frees: u64,
}

/// What became of retained values in the interval, in values.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotPromotionStats {
    /// Promoted to a pool.
    pub to_pool: u64,
    /// Promoted to the heap.
    pub to_heap: u64,
    /// Not promoted, for lack of room or budget.
    pub failed: u64,
    /// Promoted to a scratch pool.
    #[serde(default)]
    pub to_scratch: u64,
}

/// Values on their way from thread to thread, in the whole process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotTransferStats {
    /// Made and not received yet.
    pub pending: u64,
    /// Received in the interval: in this frame, if the snapshot before was taken one frame ago.
    pub completed_this_frame: u64,
}

/// Memory that one thread freed for another, in blocks, in the whole process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotDeferredStats {
    /// Waiting to be taken back.
    pub queue_depth: u64,
    /// Taken back in the interval: in this frame, if the snapshot before was taken one frame ago.
    pub processed_this_frame: u64,
}

/// A report.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuntimeDiagnostic {
    /// Its code, as in `FA002`.
    pub code: Cow<'static, str>,
    /// The path of the tag that it concerns, if any.
    pub tag: Option<Cow<'static, str>>,
    /// What happened.
    pub message: Cow<'static, str>,
    /// `error`, `warning` or `hint`.
    #[serde(default)]
    pub level: Cow<'static, str>,
    /// How often it had been reported for this tag by then.
    #[serde(default)]
    pub count: u64,
}

/// A budget of a tag and everything below it. The allocator's own has an empty path.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TagBudgetSnapshot {
    /// The tag.
    pub path: Cow<'static, str>,
    /// Bytes from which it warns, if it does.
    pub soft_limit: Option<u64>,
    /// Bytes that it may be, if that is limited.
    pub limit: Option<u64>,
    /// Bytes that it is.
    pub used: u64,
    /// The most that it was.
    pub peak: u64,
    /// `used` in percent of `limit`, or of `soft_limit` where there is no other, at most 255.
    pub percent: u8,
    /// Allocations that exceeded it.
    pub exceeded_count: u64,
}

impl Snapshot {
    /// An empty one of this frame, taken now: to be filled by hand. [`SmartAlloc::snapshot`](crate::SmartAlloc::snapshot) gives
    /// a full one.
    pub fn new(frame: u64) -> Self {
        Self {
            version: SNAPSHOT_VERSION,
            timestamp: now(),
            frame,
            duration_us: 0,
            summary: SnapshotSummary::default(),
            threads: Vec::new(),
            tags: Vec::new(),
            promotions: SnapshotPromotionStats::default(),
            transfers: SnapshotTransferStats::default(),
            deferred: SnapshotDeferredStats::default(),
            diagnostics: Vec::new(),
            interval_frames: 0,
            budgets: Vec::new(),
        }
    }

    /// Says how long the frame took, in microseconds.
    #[must_use]
    pub fn with_duration(mut self, microseconds: u64) -> Self {
        self.duration_us = microseconds;
        self
    }

    /// Sets the totals.
    #[must_use]
    pub fn with_summary(mut self, summary: SnapshotSummary) -> Self {
        self.summary = summary;
        self
    }

    /// Adds a thread.
    pub fn add_thread(&mut self, thread: ThreadSnapshot) -> &mut Self {
        self.threads.push(thread);
        self
    }

    /// Adds a row of a tag.
    pub fn add_tag(&mut self, tag: TagSnapshot) -> &mut Self {
        self.tags.push(tag);
        self
    }

    /// Adds a report.
    pub fn add_diagnostic(&mut self, diagnostic: RuntimeDiagnostic) -> &mut Self {
        self.diagnostics.push(diagnostic);
        self
    }

    /// It as JSON: what a file holds.
    pub fn to_json(&self) -> String {
        // Numbers, strings, lists and structs: nothing that JSON cannot say.
        serde_json::to_string_pretty(self).expect("a snapshot is always valid JSON")
    }

    /// Reads [`to_json`](Self::to_json)'s text, or that of another version which has the fields of the first.
    ///
    /// # Errors
    ///
    /// If the text is not JSON, or lacks a field of the schema's first version.
    pub fn from_json(json: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(json)
    }
}

fn now() -> String {
    let since = web_time::SystemTime::now().duration_since(web_time::UNIX_EPOCH);
    rfc3339(since.map_or(0, |since| since.as_secs()))
}

/// So many seconds after 1970 began. What is before it, or after 9999, is said to be its edge.
fn rfc3339(seconds: u64) -> String {
    const LAST: u64 = 253_402_300_799;
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds.min(LAST));
    humantime::format_rfc3339_seconds(time).to_string()
}

fn two_decimals<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    // JSON has no infinities.
    let value = if value.is_finite() { *value } else { 0.0 };
    serializer.serialize_f64((value * 100.0).round() / 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_right() {
        for (seconds, date) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_709_251_199, "2024-02-29T23:59:59Z"),
            (1_763_856_000, "2025-11-23T00:00:00Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (u64::MAX, "9999-12-31T23:59:59Z"),
        ] {
            assert_eq!(rfc3339(seconds), date);
        }
    }

    #[test]
    fn percents_are_rounded_down_and_end_at_255() {
        assert_eq!(percent(999, 1000), 99);
        assert_eq!(percent(1000, 1000), 100);
        assert_eq!(percent(u64::MAX, 1), 255);
        assert_eq!(percent(1, 0), 255);
        assert_eq!(percent(0, 0), 0);
    }

    #[test]
    fn fractions_have_two_decimals_and_are_always_numbers() {
        for (value, text) in [
            (1.0, "1.0"),
            (1.239, "1.24"),
            (f64::NAN, "0.0"),
            (f64::INFINITY, "0.0"),
        ] {
            let mut json = Vec::new();
            two_decimals(&value, &mut serde_json::Serializer::new(&mut json)).unwrap();
            assert_eq!(json, text.as_bytes());
        }
    }
}

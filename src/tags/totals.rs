//! What each tag has used.

use super::registry::TagId;
use crate::allocators::record::{TagCounters, Traffic};
use crate::allocators::thread;

use core::sync::atomic::Ordering::Relaxed;

/// Allocations and frees, in calls and bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TrafficTotals {
    /// Allocating calls.
    pub allocs: u64,
    /// Bytes allocated.
    pub bytes: u64,
    /// Freeing calls, for what this tag allocated.
    pub frees: u64,
    /// Bytes freed, of what this tag allocated.
    pub freed_bytes: u64,
}

impl TrafficTotals {
    /// Bytes allocated and not freed. Negative in a difference if more was freed than allocated between the two.
    pub fn live_bytes(&self) -> i64 {
        self.bytes.wrapping_sub(self.freed_bytes) as i64
    }

    /// Allocations that were not freed. Negative in a difference if more were freed than made between the two.
    pub fn live(&self) -> i64 {
        self.allocs.wrapping_sub(self.frees) as i64
    }

    fn combine(self, other: Self, f: impl Fn(u64, u64) -> u64) -> Self {
        Self {
            allocs: f(self.allocs, other.allocs),
            bytes: f(self.bytes, other.bytes),
            frees: f(self.frees, other.frees),
            freed_bytes: f(self.freed_bytes, other.freed_bytes),
        }
    }

    /// Returns whether there were allocations.
    #[inline(always)]
    fn add(&mut self, traffic: &Traffic) -> bool {
        let [allocs, bytes, frees, freed_bytes] = [
            &traffic.allocs,
            &traffic.bytes,
            &traffic.frees,
            &traffic.freed_bytes,
        ]
        .map(|counter| counter.load(Relaxed));
        self.allocs = self.allocs.wrapping_add(allocs);
        self.bytes = self.bytes.wrapping_add(bytes);
        self.frees = self.frees.wrapping_add(frees);
        self.freed_bytes = self.freed_bytes.wrapping_add(freed_bytes);
        allocs != 0
    }
}

/// What one tag used, its children not included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct TagUsage {
    /// The tag.
    pub tag: TagId,
    /// Bytes of frame memory handed out.
    pub frame_bytes: u64,
    /// What `heap_alloc` and `heap_box` did.
    pub heap: TrafficTotals,
    /// Pool blocks, rounded up to size classes. All zero unless
    /// [`AllocConfig::pool_tags`](crate::AllocConfig::pool_tags) is on.
    pub pool: TrafficTotals,
    /// What went to the global allocator. All zero unless a [`HeapAudit`](crate::HeapAudit) is installed.
    pub audit: TrafficTotals,
}

impl TagUsage {
    pub(crate) fn none(tag: TagId) -> Self {
        Self {
            tag,
            frame_bytes: 0,
            heap: TrafficTotals::default(),
            pool: TrafficTotals::default(),
            audit: TrafficTotals::default(),
        }
    }

    /// Adds one thread's part, and returns whether that has frame memory, or made allocations in pools, on the heap, and in the
    /// audit. `audits` is whether there may be any audited traffic: its counters, and most of those of pools where these are not
    /// charged, are not even looked at otherwise, which halves what is read.
    #[inline(always)]
    pub(crate) fn add(&mut self, counters: &TagCounters, audits: bool) -> [bool; 4] {
        let bytes = counters.frame_bytes.load(Relaxed);
        self.frame_bytes = self.frame_bytes.wrapping_add(bytes);
        let heap = self.heap.add(&counters.heap);
        let pool = counters.pool.allocs.load(Relaxed) | counters.pool.frees.load(Relaxed) != 0
            && self.pool.add(&counters.pool);
        let audit = audits && self.audit.add(&counters.audit);
        [bytes != 0, pool, heap, audit]
    }

    fn combine(&mut self, other: &Self, f: impl Fn(u64, u64) -> u64 + Copy) {
        self.frame_bytes = f(self.frame_bytes, other.frame_bytes);
        self.heap = self.heap.combine(other.heap, f);
        self.pool = self.pool.combine(other.pool, f);
        self.audit = self.audit.combine(other.audit, f);
    }

    fn is_none(&self) -> bool {
        *self == Self::none(self.tag)
    }
}

/// What every tag has used, over all threads, since the program began; or between two such moments.
///
/// Counters of other threads may lag by what they bumped since they last changed tags or chunks. Taking the totals costs
/// time in proportion to threads and tags, so do it when someone looks, not every frame.
///
/// ```
/// use framealloc::{SmartAlloc, tags::{TagId, TagTotals}};
///
/// let alloc = SmartAlloc::with_defaults();
/// let before = TagTotals::capture();
/// alloc.with_tag("totals_example", |alloc| {
///     alloc.frame().alloc([0u8; 100]);
/// });
/// let spent = TagTotals::capture().since(&before);
/// assert_eq!(spent.of(TagId::from_path("totals_example")).frame_bytes, 104); // a multiple of 8
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TagTotals {
    /// By tag index; tags without any use may be missing.
    rows: Vec<TagUsage>,
}

impl TagTotals {
    /// The totals of this moment.
    pub fn capture() -> Self {
        let mut rows: Vec<TagUsage> = TagId::all().map(TagUsage::none).collect();
        thread::for_each_counter(|tag, counters| {
            // A tag made since is looked at next time.
            if let Some(row) = rows.get_mut(tag as usize) {
                row.add(counters, true);
            }
        });
        Self { rows }
    }

    /// What all tags have used together: [`capture`](Self::capture) and [`within`](Self::within) the root, at less cost.
    pub fn sum() -> TagUsage {
        let mut sum = TagUsage::none(TagId::ROOT);
        thread::for_each_counter(|_, counters| {
            sum.add(counters, true);
        });
        sum
    }

    /// What was used between `earlier` and this.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let mut rows = self.rows.clone();
        for row in &mut rows {
            row.combine(&earlier.of(row.tag), u64::wrapping_sub);
        }
        Self { rows }
    }

    /// Every tag that used anything.
    pub fn rows(&self) -> impl Iterator<Item = &TagUsage> {
        self.rows.iter().filter(|row| !row.is_none())
    }

    /// What `tag` used, its children not included.
    pub fn of(&self, tag: TagId) -> TagUsage {
        self.rows
            .get(tag.index() as usize)
            .copied()
            .unwrap_or_else(|| TagUsage::none(tag))
    }

    /// What `tag` and everything below it used.
    pub fn within(&self, tag: TagId) -> TagUsage {
        let mut sum = TagUsage::none(tag);
        for row in self.rows.iter().filter(|row| row.tag.is_in(tag)) {
            sum.combine(row, u64::wrapping_add);
        }
        sum
    }
}

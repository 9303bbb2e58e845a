//! What is traced, and the way to the report.

use core::fmt;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock, Weak};

use super::allowed::Allowed;
use super::report::{self, LeakReport};
use super::trace::{Stack, Trace};
use crate::events::{self, Block, Event, Hub, Switch};
use crate::smart_alloc::SmartAlloc;
use crate::sync::Mutex;
use crate::tags::{TagId, TagScope};

/// Remembers where what is alive was allocated, and reports it by tag and call site. Needs the feature `debug`.
///
/// Turned on, it keeps the call stack of every allocation, or of some ([`enable_sampled`](Self::enable_sampled)), until that is
/// freed: of pool and heap boxes, of what collections, groups, handles, streams and scratch pools allocate, and of frame memory
/// that is still held when its frame has ended. Nothing is looked up in debug information before somebody asks for a
/// [`report`](Self::report). When the last clone of the allocator is dropped, what is still held is reported as FA540, by tag.
///
/// ```
/// use framealloc::SmartAlloc;
///
/// let alloc = SmartAlloc::with_defaults();
/// alloc.leak_tracker().enable();
/// let forgotten = alloc.with_tag("enemies", |alloc| alloc.pool_box([0u8; 64]))?;
///
/// let report = alloc.leak_report();
/// assert_eq!(report.groups[0].tag.path(), "enemies");
/// assert_eq!((report.groups[0].count, report.groups[0].bytes), (1, 64));
/// println!("{report}");
/// # drop(forgotten);
/// # Ok::<(), framealloc::AllocError>(())
/// ```
///
/// # What it sees, and what it costs
///
/// Lines, and functions that were inlined, are known where there is debug information: in a release build, with
/// `debug = "line-tables-only"` in its profile.
///
/// Threads are watched as [`enable_lifecycle_tracking`](SmartAlloc::enable_lifecycle_tracking) says. Keeping a stack takes some
/// microseconds and half a KiB, so a game that allocates much wants samples. Of a thread's frame memory, 256 leases are followed
/// at once; those beyond are known only by tag, to FA002. Memory of guards ([`frame`](SmartAlloc::frame)) cannot outlive its guard
/// and is not traced. While it is off, it costs nothing. A [`HeapAudit`](crate::HeapAudit) charges
/// traces to the tag `framealloc::leak_tracker`.
pub struct LeakTracker {
    switch: Switch,
    /// One allocation in so many is traced.
    every: AtomicU32,
    allocations: AtomicU64,
    /// The newest frame of any thread.
    frame: AtomicU64,
    reports_at_drop: AtomicBool,
    allowed: Mutex<Allowed>,
    /// Leases that outlived their frames; their arenas keep the traces.
    escaped: Mutex<Vec<Weak<Trace>>>,
    /// Leases that were never given back when the arenas went.
    forgotten: Mutex<Vec<Arc<Trace>>>,
}

/// Whether a tracker was ever turned on.
static STACKS_ARE_WANTED: AtomicBool = AtomicBool::new(false);

/// Whether whoever checks blocks is to keep stacks, too: once any tracker has been turned on.
pub(crate) fn stacks_are_wanted() -> bool {
    STACKS_ARE_WANTED.load(Relaxed)
}

impl LeakTracker {
    pub(crate) fn of(switch: Switch) -> Self {
        Self {
            switch,
            every: AtomicU32::new(1),
            allocations: AtomicU64::new(0),
            frame: AtomicU64::new(0),
            reports_at_drop: AtomicBool::new(true),
            allowed: Mutex::new(Allowed::default()),
            escaped: Mutex::new(Vec::new()),
            forgotten: Mutex::new(Vec::new()),
        }
    }

    /// Traces every allocation from now on: counts and bytes of reports are exact.
    pub fn enable(&self) {
        self.enable_sampled(1);
    }

    /// Traces about one allocation in `every` from now on, and none twice. Which ones is decided by a hash of their number, so
    /// that a loop of that length is not always hit in the same place.
    ///
    /// Each traced allocation then counts for `every` in reports: counts and bytes are estimates, and say so. What was traced
    /// before keeps the weight that it had. Zero is taken for one.
    pub fn enable_sampled(&self, every: u32) {
        self.every.store(every.max(1), Relaxed);
        STACKS_ARE_WANTED.store(true, Relaxed);
        // Frames are heard of from now on only.
        self.frame.fetch_max(self.switch.frame_number(), Relaxed);
        self.switch.set(true);
    }

    /// Traces nothing new. What was traced is still followed to its end, and reported; but frame memory that is held then is
    /// forgotten, if nobody else listens to the allocator.
    pub fn disable(&self) {
        self.switch.set(false);
    }

    /// Whether it is on.
    pub fn is_enabled(&self) -> bool {
        self.switch.is_on()
    }

    /// One allocation in so many is traced.
    pub fn sampled_every(&self) -> u32 {
        self.every.load(Relaxed)
    }

    /// Passes over what this tag, and every tag below it, holds: it lives for the whole program.
    ///
    /// ```
    /// # let alloc = framealloc::SmartAlloc::with_defaults();
    /// use framealloc::tags::TagId;
    ///
    /// alloc.leak_tracker().allow_tag(TagId::from_path("engine::caches"));
    /// alloc.leak_tracker().allow_function("load_font*");
    /// ```
    pub fn allow_tag(&self, tag: TagId) {
        self.allowed.lock().add_tag(tag);
    }

    /// Passes over what was allocated by a function whose name contains `pattern`, or by a function that such a one called. In
    /// the pattern, `*` stands for any text and `?` for any character.
    pub fn allow_function(&self, pattern: &str) {
        self.allowed.lock().add_function(pattern);
    }

    /// Whether what is still held when the last clone of the allocator is dropped is reported (FA540). It is at first.
    pub fn set_report_at_drop(&self, report: bool) {
        self.reports_at_drop.store(report, Relaxed);
    }

    /// Everything traced that is alive now. Looks symbols up: that takes a while, the first time above all.
    pub fn report(&self) -> LeakReport {
        self.report_older_than(0)
    }

    /// What is alive and was allocated `frames` frames ago or before: in a loop that is warm, what does not come and go with the
    /// frames.
    ///
    /// A frame is one of the thread, of those that use the allocator, that has begun the most of them.
    pub fn report_older_than(&self, frames: u64) -> LeakReport {
        let now = self.frame.load(Relaxed);
        let mut traces = events::traces_of(self);
        traces.extend(self.escaped.lock().iter().filter_map(Weak::upgrade));
        traces.extend(self.forgotten.lock().iter().cloned());
        traces.retain(|trace| now.saturating_sub(trace.born) >= frames);
        let allowed = self.allowed.lock().clone();
        report::make(now, traces, &allowed)
    }

    // ---- What the allocator tells ---------------------------------------------------------------------------------

    /// A block was allocated on the calling thread, just now.
    pub(crate) fn trace(&self, block: Block) -> Option<Arc<Trace>> {
        if !self.switch.is_on() {
            return None;
        }
        let every = u64::from(self.every.load(Relaxed));
        if every > 1 && !mix(self.allocations.fetch_add(1, Relaxed)).is_multiple_of(every) {
            return None;
        }
        // A `HeapAudit` is to charge what traces take to nobody else.
        let _ours = TagScope::enter(own_tag());
        Some(Arc::new(Trace {
            block,
            weight: every,
            born: self.frame.load(Relaxed),
            stack: Stack::capture(),
        }))
    }

    /// A frame has ended, for the `frames`th time since this lease was made.
    pub(crate) fn escaped(&self, trace: Option<&Arc<Trace>>, frames: u64) {
        let (Some(trace), 1) = (trace, frames) else {
            return;
        };
        let mut escaped = self.escaped.lock();
        if escaped.len() == escaped.capacity() {
            escaped.retain(|trace| trace.strong_count() != 0);
        }
        escaped.push(Arc::downgrade(trace));
    }

    pub(crate) fn hear(&self, event: &Event) {
        if let Event::FrameBegun { number } = *event {
            self.frame.fetch_max(number, Relaxed);
        }
    }

    /// The arenas are about to go. Leases that are left have been forgotten: a live one borrows the allocator.
    pub(crate) fn keep_forgotten(&self) {
        let escaped = core::mem::take(&mut *self.escaped.lock());
        let forgotten = escaped.iter().filter_map(Weak::upgrade).collect();
        *self.forgotten.lock() = forgotten;
    }
}

/// Whom traces themselves are charged to.
fn own_tag() -> TagId {
    static TAG: OnceLock<TagId> = OnceLock::new();
    *TAG.get_or_init(|| TagId::from_path("framealloc::leak_tracker"))
}

/// Spreads numbers that follow each other: the last steps of SplitMix64.
fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

impl fmt::Debug for LeakTracker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LeakTracker")
            .field("enabled", &self.is_enabled())
            .field("sampled_every", &self.sampled_every())
            .finish_non_exhaustive()
    }
}

/// Reports what is still held when it is dropped: the last of an allocator's parts, after what those hold has gone.
#[derive(Default)]
pub(crate) struct ReportAtDrop(pub(crate) Option<Arc<Hub>>);

impl Drop for ReportAtDrop {
    fn drop(&mut self) {
        if let Some(hub) = self.0.take()
            && hub.leaks.reports_at_drop.load(Relaxed)
        {
            hub.leaks.report().send();
        }
    }
}

impl SmartAlloc {
    /// Where what is alive was allocated, once it is [turned on](LeakTracker::enable). Needs the feature `debug`.
    pub fn leak_tracker(&self) -> &LeakTracker {
        &self.domain().hub().leaks
    }

    /// Everything alive that the [`leak_tracker`](Self::leak_tracker) has traced, by tag and call site. Needs the feature
    /// `debug`.
    pub fn leak_report(&self) -> LeakReport {
        self.leak_tracker().report()
    }
}

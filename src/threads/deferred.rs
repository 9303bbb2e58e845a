//! Memory that one thread frees for another: when its owner takes it back, and how much may wait.

use crate::allocators::pool::deferred::{self, Mode, Settings, UNBOUNDED, WhenFull};
use crate::smart_alloc::SmartAlloc;

/// When a thread takes back the pool blocks that other threads have freed.
///
/// A [`PoolBox`](crate::PoolBox) that is dropped on another thread than it was made on goes back to that thread: the
/// dropping thread gathers up to 64 such blocks, hands them over when it has so many, when its frame ends or when it ends,
/// and their owner takes them from its queue. This decides when.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DeferredProcessing {
    /// When a frame begins on the thread, up to 1,024 blocks. What is left, or comes in the middle of a frame, is taken back
    /// 64 blocks at a time when the thread has no free block of the size it needs.
    #[default]
    AtFrameBegin,
    /// The same, when a frame ends.
    AtFrameEnd,
    /// Bit by bit: whenever the thread has no free block of the size it needs. Before its pool grows, everything that waits
    /// is looked through.
    Incremental {
        /// Blocks at a time.
        per_alloc: usize,
    },
    /// Only by [`SmartAlloc::process_deferred_frees`]. Where nobody calls that, pools grow for as long as others free.
    Explicit,
    /// Frees are not deferred to their owner at all: they are handed over to lists that every thread refills from. For
    /// threads that seldom allocate what they once made.
    Disabled,
}

/// What a thread does that frees a block whose owner's queue is full. Never is a block lost, and no thread blocks: what has
/// no room joins lists that every thread refills from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum QueueFullPolicy {
    /// It processes what it freed itself: the blocks go to the shared lists at once. (To drain the owner's lists in its
    /// stead would need a lock there, and to wait for the owner could take for ever.)
    ProcessImmediately,
    /// What has waited longest, which is the whole queue, goes to the shared lists, and the new blocks into the queue.
    DropOldest,
    /// As `ProcessImmediately`, and FA201 is reported.
    Fail,
    /// The queue grows.
    #[default]
    Grow,
}

/// How frees for other threads are processed. See [`SmartAlloc::set_deferred_config`].
///
/// ```
/// use framealloc::{DeferredConfig, QueueFullPolicy, SmartAlloc};
///
/// let alloc = SmartAlloc::with_defaults();
/// let config = DeferredConfig::bounded(1024).full_policy(QueueFullPolicy::ProcessImmediately);
/// alloc.set_deferred_config(config);
/// assert_eq!(alloc.deferred_config(), config);
/// # alloc.set_deferred_config(DeferredConfig::default());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DeferredConfig {
    /// When owners take their blocks back.
    pub mode: DeferredProcessing,
    /// Blocks that may wait for one thread. `usize::MAX`, the default, for any number.
    pub capacity: usize,
    /// What happens to blocks beyond it.
    pub full_policy: QueueFullPolicy,
    /// Percent of the capacity at which FA204 is reported; 80 unless set, 0 for never. Reported once until the queue is below
    /// it again.
    pub warning_threshold: u8,
}

impl Default for DeferredConfig {
    fn default() -> Self {
        Self {
            mode: DeferredProcessing::default(),
            capacity: UNBOUNDED,
            full_policy: QueueFullPolicy::default(),
            warning_threshold: 80,
        }
    }
}

impl DeferredConfig {
    /// Queues of up to `capacity` blocks; what exceeds them is processed immediately.
    pub fn bounded(capacity: usize) -> Self {
        Self {
            capacity,
            full_policy: QueueFullPolicy::ProcessImmediately,
            ..Self::default()
        }
    }

    /// `per_alloc` blocks are taken back at a time, when they are needed.
    pub fn incremental(per_alloc: usize) -> Self {
        Self {
            mode: DeferredProcessing::Incremental { per_alloc },
            ..Self::default()
        }
    }

    /// Blocks are taken back by [`SmartAlloc::process_deferred_frees`] only.
    pub fn explicit() -> Self {
        Self {
            mode: DeferredProcessing::Explicit,
            ..Self::default()
        }
    }

    /// Sets [`full_policy`](Self::full_policy).
    #[must_use]
    pub fn full_policy(mut self, policy: QueueFullPolicy) -> Self {
        self.full_policy = policy;
        self
    }

    /// Sets [`warning_threshold`](Self::warning_threshold).
    #[must_use]
    pub fn warning_threshold(mut self, percent: u8) -> Self {
        self.warning_threshold = percent;
        self
    }

    fn settings(self) -> Settings {
        let warn_at = match (self.capacity, self.warning_threshold) {
            (UNBOUNDED, _) | (_, 0) => UNBOUNDED,
            (capacity, percent) => {
                let blocks = (capacity as u128 * u128::from(percent)).div_ceil(100);
                usize::try_from(blocks).unwrap_or(UNBOUNDED).max(1)
            }
        };
        Settings {
            mode: self.mode.into(),
            capacity: self.capacity,
            when_full: match self.full_policy {
                QueueFullPolicy::ProcessImmediately => WhenFull::Share,
                QueueFullPolicy::DropOldest => WhenFull::ShareOldest,
                QueueFullPolicy::Fail => WhenFull::Report,
                QueueFullPolicy::Grow => WhenFull::Grow,
            },
            warn_at,
            warn_percent: self.warning_threshold,
        }
    }
}

impl From<DeferredProcessing> for Mode {
    fn from(mode: DeferredProcessing) -> Self {
        match mode {
            DeferredProcessing::AtFrameBegin => Self::FrameBegin,
            DeferredProcessing::AtFrameEnd => Self::FrameEnd,
            DeferredProcessing::Incremental { per_alloc } => Self::Incremental(per_alloc),
            DeferredProcessing::Explicit => Self::Explicit,
            DeferredProcessing::Disabled => Self::Disabled,
        }
    }
}

impl From<Settings> for DeferredConfig {
    fn from(settings: Settings) -> Self {
        Self {
            mode: match settings.mode {
                Mode::FrameBegin => DeferredProcessing::AtFrameBegin,
                Mode::FrameEnd => DeferredProcessing::AtFrameEnd,
                Mode::Incremental(per_alloc) => DeferredProcessing::Incremental { per_alloc },
                Mode::Explicit => DeferredProcessing::Explicit,
                Mode::Disabled => DeferredProcessing::Disabled,
            },
            capacity: settings.capacity,
            full_policy: match settings.when_full {
                WhenFull::Share => QueueFullPolicy::ProcessImmediately,
                WhenFull::ShareOldest => QueueFullPolicy::DropOldest,
                WhenFull::Report => QueueFullPolicy::Fail,
                WhenFull::Grow => QueueFullPolicy::Grow,
            },
            warning_threshold: settings.warn_percent,
        }
    }
}

/// Builds a [`DeferredConfig`] setting by setting.
#[derive(Debug, Clone, Copy, Default)]
pub struct DeferredConfigBuilder {
    config: DeferredConfig,
}

impl DeferredConfigBuilder {
    /// Starts from [`DeferredConfig::default`].
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets [`DeferredConfig::mode`].
    #[must_use]
    pub fn mode(mut self, mode: DeferredProcessing) -> Self {
        self.config.mode = mode;
        self
    }

    /// Sets [`DeferredConfig::capacity`].
    #[must_use]
    pub fn capacity(mut self, blocks: usize) -> Self {
        self.config.capacity = blocks;
        self
    }

    /// Sets [`DeferredConfig::full_policy`].
    #[must_use]
    pub fn full_policy(mut self, policy: QueueFullPolicy) -> Self {
        self.config.full_policy = policy;
        self
    }

    /// Sets [`DeferredConfig::warning_threshold`].
    #[must_use]
    pub fn warning_threshold(mut self, percent: u8) -> Self {
        self.config.warning_threshold = percent;
        self
    }

    /// The configuration.
    pub fn build(self) -> DeferredConfig {
        self.config
    }
}

/// What has become of frees for other threads. See [`SmartAlloc::deferred_stats`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeferredControlStats {
    /// Blocks that were freed on another thread than their owner's, since the program began.
    pub total_queued: u64,
    /// Of those, blocks that can be allocated again: taken back by their owner, or put on the shared lists.
    pub total_processed: u64,
    /// The others: blocks that wait in a queue, or that a thread still gathers to hand them over.
    pub current_depth: u64,
    /// The most blocks that waited in one thread's queue, as far as its owner, or this call, has seen it.
    pub peak_depth: u64,
    /// Bytes of the blocks of `current_depth`, rounded up to size classes.
    pub queued_bytes: u64,
    /// How often a thread handed blocks over that did not all fit the queue's capacity, whatever the policy.
    pub full_count: u64,
    /// How often FA204 was due.
    pub warning_count: u64,
    /// Blocks that were processed by the thread that freed them, under [`QueueFullPolicy::ProcessImmediately`].
    pub immediate_process_count: u64,
}

impl SmartAlloc {
    /// Sets when threads take back what others freed. See [`DeferredProcessing`].
    ///
    /// Pools are the process's, not an allocator's, and so is this setting: it holds for the pools of all threads, from now
    /// on.
    pub fn set_deferred_processing(&self, mode: DeferredProcessing) {
        let mut settings = deferred::settings();
        settings.mode = mode.into();
        deferred::set(settings);
    }

    /// Sets everything about frees for other threads, for the pools of all threads, from now on.
    ///
    /// What waits already is not touched; a queue that holds more than a new capacity takes nothing more until there is room.
    pub fn set_deferred_config(&self, config: DeferredConfig) {
        deferred::set(config.settings());
    }

    /// The settings.
    pub fn deferred_config(&self) -> DeferredConfig {
        deferred::settings().into()
    }

    /// Hands over what the calling thread has freed for others, takes back up to `max` blocks that others freed for it, and
    /// returns how many it took. In any mode.
    pub fn process_deferred_frees(&self, max: usize) -> usize {
        self.domain().process_deferred(max)
    }

    /// What has become of frees for other threads, over all threads of the process. Exact at any time.
    pub fn deferred_stats(&self) -> DeferredControlStats {
        let figures = deferred::figures();
        DeferredControlStats {
            total_queued: figures.queued,
            total_processed: figures.processed,
            current_depth: figures.depth,
            peak_depth: figures.peak,
            queued_bytes: figures.bytes,
            full_count: figures.full,
            warning_count: figures.warnings,
            immediate_process_count: figures.immediate,
        }
    }
}

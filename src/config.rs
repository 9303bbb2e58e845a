//! What an allocator is told when it is made.

/// How a [`SmartAlloc`](crate::SmartAlloc) is set up.
///
/// ```
/// use framealloc::{AllocConfig, SmartAlloc};
///
/// let alloc = SmartAlloc::new(AllocConfig::default().with_frame_arena_size(64 << 20));
/// # drop(alloc);
/// ```
///
/// The pools' size classes and pages are not settings: all allocators of the process share them, so that a
/// [`PoolBox`](crate::PoolBox) can be one word.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AllocConfig {
    /// Bytes that each thread's arena starts with. Address space until it is used. 16 MiB by default.
    pub frame_arena_size: usize,
    /// Bytes that each thread's arena may grow to; beyond it, allocations fail with FA003. Zero stands for four times
    /// [`frame_arena_size`](Self::frame_arena_size), and is the default.
    pub max_frame_arena_size: usize,
    /// Whether the system is asked to back large arenas with huge pages (Linux). First use of an arena is then four to ten
    /// times cheaper (`benches/RESULTS.md`), and each arena takes at least 2 MiB once it is used. On by default.
    pub huge_pages: bool,
    /// Whether this allocator's pool blocks are charged to tags. A pool box then costs some 10 ns instead of 2. On by default in
    /// debug builds only, and with budgets.
    pub pool_tags: bool,
    /// Whether this allocator has [`budgets`](crate::SmartAlloc::budgets). Each allocation then costs some nanoseconds more. Off
    /// by default.
    pub enable_budgets: bool,
    /// Bytes that all of this allocator's live memory may take; zero, the default, is no limit. A limit turns budgets on.
    pub global_memory_limit: usize,
    /// Bytes that the allocator's [streams](crate::SmartAlloc::streaming) may reserve. Zero, the default, stands for a quarter of
    /// the memory limit, and for 256 MiB without one.
    pub streaming_budget: usize,
    /// Bytes that each scratch pool starts with. 1 MiB by default.
    pub scratch_pool_size: usize,
    /// Bytes that each scratch pool may grow to; beyond it, allocations fail with FA403. Zero stands for 64 times
    /// [`scratch_pool_size`](Self::scratch_pool_size), and is the default.
    pub max_scratch_pool_size: usize,
}

impl Default for AllocConfig {
    fn default() -> Self {
        Self {
            frame_arena_size: 16 << 20,
            max_frame_arena_size: 0,
            huge_pages: true,
            pool_tags: cfg!(debug_assertions),
            enable_budgets: false,
            global_memory_limit: 0,
            streaming_budget: 0,
            scratch_pool_size: 1 << 20,
            max_scratch_pool_size: 0,
        }
    }
}

impl AllocConfig {
    /// For tools, tests and small games: arenas start with 1 MiB, and are not backed by huge pages.
    pub fn minimal() -> Self {
        Self {
            frame_arena_size: 1 << 20,
            huge_pages: false,
            ..Self::default()
        }
    }

    /// For large games: arenas start with 64 MiB.
    pub fn high_performance() -> Self {
        Self {
            frame_arena_size: 64 << 20,
            ..Self::default()
        }
    }

    /// Sets [`frame_arena_size`](Self::frame_arena_size): the remedy for FA003.
    #[must_use]
    pub fn with_frame_arena_size(mut self, bytes: usize) -> Self {
        self.frame_arena_size = bytes;
        self
    }

    /// Sets [`max_frame_arena_size`](Self::max_frame_arena_size).
    #[must_use]
    pub fn with_max_frame_arena_size(mut self, bytes: usize) -> Self {
        self.max_frame_arena_size = bytes;
        self
    }

    /// Sets [`huge_pages`](Self::huge_pages).
    #[must_use]
    pub fn with_huge_pages(mut self, on: bool) -> Self {
        self.huge_pages = on;
        self
    }

    /// Sets [`pool_tags`](Self::pool_tags).
    #[must_use]
    pub fn with_pool_tags(mut self, on: bool) -> Self {
        self.pool_tags = on;
        self
    }

    /// Sets [`enable_budgets`](Self::enable_budgets).
    #[must_use]
    pub fn with_budgets(mut self, on: bool) -> Self {
        self.enable_budgets = on;
        self
    }

    /// Sets [`global_memory_limit`](Self::global_memory_limit): the remedy for FA301.
    #[must_use]
    pub fn with_memory_limit(mut self, bytes: usize) -> Self {
        self.global_memory_limit = bytes;
        self
    }

    pub(crate) fn has_budgets(&self) -> bool {
        self.enable_budgets || self.global_memory_limit != 0
    }

    /// Sets [`streaming_budget`](Self::streaming_budget).
    #[must_use]
    pub fn with_streaming_budget(mut self, bytes: usize) -> Self {
        self.streaming_budget = bytes;
        self
    }

    /// The bytes that streams may reserve.
    pub fn streaming_limit(&self) -> usize {
        match (self.streaming_budget, self.global_memory_limit) {
            (0, 0) => 256 << 20,
            (0, limit) => limit / 4,
            (bytes, _) => bytes,
        }
    }

    /// Sets [`scratch_pool_size`](Self::scratch_pool_size).
    #[must_use]
    pub fn with_scratch_pool_size(mut self, bytes: usize) -> Self {
        self.scratch_pool_size = bytes;
        self
    }

    /// Sets [`max_scratch_pool_size`](Self::max_scratch_pool_size): the remedy for FA403.
    #[must_use]
    pub fn with_max_scratch_pool_size(mut self, bytes: usize) -> Self {
        self.max_scratch_pool_size = bytes;
        self
    }

    /// The limit of each scratch pool, in bytes: never less than what it starts with.
    pub fn scratch_pool_limit(&self) -> usize {
        let limit = match self.max_scratch_pool_size {
            0 => self.scratch_pool_size.saturating_mul(64),
            limit => limit,
        };
        limit.max(self.scratch_pool_size)
    }

    /// The limit of each thread's arena, in bytes: never less than what it starts with.
    pub fn frame_arena_limit(&self) -> usize {
        let limit = match self.max_frame_arena_size {
            0 => self.frame_arena_size.saturating_mul(4),
            limit => limit,
        };
        limit.max(self.frame_arena_size)
    }
}

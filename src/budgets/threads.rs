//! Budgets of single threads.

use core::alloc::Layout;
use core::fmt;
use core::sync::atomic::{
    AtomicBool, AtomicU64, AtomicUsize, Ordering::Acquire, Ordering::Relaxed, Ordering::Release,
};
use std::sync::{Arc, OnceLock};
use std::thread::ThreadId;

#[cfg(feature = "snapshots")]
use hashbrown::HashMap;

use super::account;
use super::ledger::{Admission, ByName, Ledger};
use super::node::{Node, Scope};
use super::policy::{BudgetEvent, BudgetExceededPolicy};
use crate::allocators::record::add;
use crate::diagnostics;
use crate::error::{AllocError, AllocErrorKind};
use crate::smart_alloc::SmartAlloc;
use crate::sync::Mutex;

/// What one thread may use of an allocator. See [`SmartAlloc::set_thread_budget_config`].
///
/// ```
/// use framealloc::{BudgetExceededPolicy, ThreadBudgetConfig};
///
/// let config = ThreadBudgetConfig {
///     frame_budget: 8 << 20,
///     frame_exceeded_policy: BudgetExceededPolicy::Fail,
///     warning_threshold: 80,
///     ..Default::default()
/// };
/// assert_eq!(config.pool_budget, 8 << 20);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ThreadBudgetConfig {
    /// Bytes of frame memory in one frame, guards and boxes together. 16 MiB by default.
    pub frame_budget: usize,
    /// Live bytes of pool and heap memory that this thread allocated. 8 MiB by default.
    pub pool_budget: usize,
    /// What happens to frame memory beyond that. `Warn` by default.
    pub frame_exceeded_policy: BudgetExceededPolicy,
    /// What happens to pool and heap memory beyond that. `Warn` by default.
    pub pool_exceeded_policy: BudgetExceededPolicy,
    /// The percentage of a budget above which [`BudgetEvent::ThreadWarning`] is sent, once until usage falls below it. 80 by
    /// default.
    pub warning_threshold: u8,
}

impl Default for ThreadBudgetConfig {
    fn default() -> Self {
        Self {
            frame_budget: 16 << 20,
            pool_budget: 8 << 20,
            frame_exceeded_policy: BudgetExceededPolicy::Warn,
            pool_exceeded_policy: BudgetExceededPolicy::Warn,
            warning_threshold: 80,
        }
    }
}

impl ThreadBudgetConfig {
    /// Budgets in MiB, beyond which allocations fail.
    pub fn strict(frame_mib: usize, pool_mib: usize) -> Self {
        Self::in_mib(frame_mib, pool_mib, BudgetExceededPolicy::Fail)
    }

    /// Budgets in MiB, beyond which allocations are reported.
    pub fn relaxed(frame_mib: usize, pool_mib: usize) -> Self {
        Self::in_mib(frame_mib, pool_mib, BudgetExceededPolicy::Warn)
    }

    fn in_mib(frame: usize, pool: usize, policy: BudgetExceededPolicy) -> Self {
        Self {
            frame_budget: frame.saturating_mul(1 << 20),
            pool_budget: pool.saturating_mul(1 << 20),
            frame_exceeded_policy: policy,
            pool_exceeded_policy: policy,
            ..Self::default()
        }
    }

    /// No limits.
    pub(crate) const UNLIMITED: Self = Self {
        frame_budget: usize::MAX,
        pool_budget: usize::MAX,
        frame_exceeded_policy: BudgetExceededPolicy::Allow,
        pool_exceeded_policy: BudgetExceededPolicy::Allow,
        warning_threshold: 100,
    };

    fn warns_above(&self, budget: usize) -> usize {
        let percent = usize::from(self.warning_threshold.min(100));
        budget / 100 * percent + budget % 100 * percent / 100
    }
}

/// One thread's budget, and where it stands.
pub(crate) struct ThreadBudget {
    config: Mutex<ThreadBudgetConfig>,
    /// The thread's name, if it has one, once it has used the allocator.
    name: OnceLock<Arc<str>>,
    /// Whether it was given its budget by itself, rather than by its name, or as every other thread.
    own: AtomicBool,
    /// Copies of what the frame path reads.
    limit: AtomicUsize,
    warns_above: AtomicUsize,
    pub(super) blocks: &'static Node,
    /// Bytes of frame memory that are charged: by the thread, and given back by whoever settles its guards.
    frame_used: AtomicUsize,
    frame_peak: AtomicUsize,
    /// The most that was used since [`ThreadBudgetManager::take_windows`].
    window_peak: AtomicUsize,
    exceeded: AtomicU64,
    promoted: AtomicU64,
}

impl ThreadBudget {
    pub(super) fn new(thread: ThreadId, config: ThreadBudgetConfig, own: bool) -> Self {
        let budget = Self {
            config: Mutex::new(config),
            name: OnceLock::new(),
            own: AtomicBool::new(own),
            limit: AtomicUsize::new(0),
            warns_above: AtomicUsize::new(0),
            blocks: account::node(Scope::Thread(thread)),
            frame_used: AtomicUsize::new(0),
            frame_peak: AtomicUsize::new(0),
            window_peak: AtomicUsize::new(0),
            exceeded: AtomicU64::new(0),
            promoted: AtomicU64::new(0),
        };
        budget.set(config);
        budget
    }

    pub(super) fn set(&self, config: ThreadBudgetConfig) {
        *self.config.lock() = config;
        self.limit.store(config.frame_budget, Relaxed);
        self.warns_above
            .store(config.warns_above(config.frame_budget), Relaxed);
        self.blocks.set(
            config.warns_above(config.pool_budget),
            config.pool_budget,
            config.pool_exceeded_policy,
        );
    }

    pub(super) fn config(&self) -> ThreadBudgetConfig {
        *self.config.lock()
    }

    /// Remembers the thread's name, if it was given a budget before it used the allocator.
    fn note_name(&self, name: Option<&str>) {
        if let Some(name) = name
            && self.name.get().is_none()
        {
            let _ = self.name.set(Arc::from(name));
        }
    }

    /// Bytes of frame memory that the budget leaves.
    pub(crate) fn frame_remaining(&self) -> usize {
        self.limit
            .load(Relaxed)
            .saturating_sub(self.frame_used.load(Relaxed))
    }

    /// Charges frame memory of this thread, whose budget it is. User code may run. What is promoted is not charged.
    pub(crate) fn admit(
        &self,
        ledger: &Ledger,
        layout: Layout,
        bytes: usize,
    ) -> Result<Admission, AllocError> {
        let used = self.frame_used.load(Relaxed);
        let limit = self.limit.load(Relaxed);
        let after = used.saturating_add(bytes);
        if after > limit {
            if ledger.settle_guards() {
                return self.admit(ledger, layout, bytes);
            }
            return self.exceed(ledger, layout, bytes);
        }
        self.charge(bytes);
        let warns_above = self.warns_above.load(Relaxed);
        if used <= warns_above && after > warns_above {
            ledger.deliver(
                vec![BudgetEvent::ThreadWarning {
                    current: after,
                    limit,
                }],
                bytes,
            );
        }
        Ok(Admission::Here)
    }

    #[cold]
    fn exceed(
        &self,
        ledger: &Ledger,
        layout: Layout,
        bytes: usize,
    ) -> Result<Admission, AllocError> {
        add(&self.exceeded, 1);
        let config = self.config();
        let left = self.frame_remaining();
        let event = BudgetEvent::ThreadLimitExceeded {
            current: self.frame_used.load(Relaxed).saturating_add(bytes),
            limit: config.frame_budget,
        };
        let policy = match config.frame_exceeded_policy {
            BudgetExceededPolicy::Custom => ledger.ask(bytes, left),
            policy => policy,
        };
        ledger.deliver(vec![event], bytes);
        match policy {
            BudgetExceededPolicy::Fail => {
                return Err(diagnostics::refused(AllocError::new(
                    AllocErrorKind::ThreadBudget,
                    layout,
                    left,
                )));
            }
            BudgetExceededPolicy::Promote => {
                add(&self.promoted, bytes as u64);
                return Ok(Admission::Promoted);
            }
            BudgetExceededPolicy::Allow => {}
            BudgetExceededPolicy::Warn | BudgetExceededPolicy::Custom => diagnostics::report(
                AllocErrorKind::ThreadBudget.code(),
                format_args!("{event} (allowed by its policy)"),
            ),
        }
        self.charge(bytes);
        Ok(Admission::Here)
    }

    fn charge(&self, bytes: usize) {
        let used = self
            .frame_used
            .fetch_add(bytes, Relaxed)
            .saturating_add(bytes);
        if used > self.frame_peak.load(Relaxed) {
            self.frame_peak.store(used, Relaxed);
        }
        if used > self.window_peak.load(Relaxed) {
            self.window_peak.fetch_max(used, Relaxed);
        }
    }

    fn take_window(&self, thread: ThreadId) -> ThreadBudgetWindow {
        let config = self.config();
        let frame_used = self.frame_used.load(Relaxed);
        ThreadBudgetWindow {
            thread,
            name: self.name.get().cloned(),
            frame_peak: self.window_peak.swap(frame_used, Relaxed),
            frame_budget: config.frame_budget,
            frame_warns_above: config.warns_above(config.frame_budget),
            pool_peak: self.blocks.take_window(),
            pool_budget: config.pool_budget,
            pool_warns_above: config.warns_above(config.pool_budget),
            exceeded_count: self.exceeded.load(Relaxed) + self.blocks.exceeded.load(Relaxed),
        }
    }

    /// Gives back what [`admit`](Self::admit) charged.
    pub(crate) fn release(&self, bytes: usize) {
        self.frame_used.fetch_sub(bytes, Relaxed);
    }

    fn stats(&self) -> ThreadBudgetStats {
        let config = self.config();
        ThreadBudgetStats {
            frame_used: self.frame_used.load(Relaxed),
            frame_budget: config.frame_budget,
            frame_peak: self.frame_peak.load(Relaxed),
            pool_used: self.blocks.usage(),
            pool_budget: config.pool_budget,
            pool_peak: self.blocks.peak(),
            exceeded_count: self.exceeded.load(Relaxed) + self.blocks.exceeded.load(Relaxed),
            promoted_bytes: self.promoted.load(Relaxed),
        }
    }
}

/// Where a thread's budget stands. Sizes are bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ThreadBudgetStats {
    /// Frame memory of the open frame.
    pub frame_used: usize,
    /// What it may be.
    pub frame_budget: usize,
    /// The most that it was.
    pub frame_peak: usize,
    /// Live pool and heap memory that the thread allocated.
    pub pool_used: usize,
    /// What it may be.
    pub pool_budget: usize,
    /// The most that it was.
    pub pool_peak: usize,
    /// Allocations that exceeded either, whatever became of them.
    pub exceeded_count: u64,
    /// Frame memory that was taken from elsewhere: [`BudgetExceededPolicy::Promote`].
    pub promoted_bytes: u64,
}

/// What happened to a thread's budget since somebody last looked. See [`ThreadBudgetManager::take_windows`]. Sizes are bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ThreadBudgetWindow {
    /// The thread.
    pub thread: ThreadId,
    /// Its name, if it has one and has used the allocator.
    pub name: Option<Arc<str>>,
    /// The most frame memory that it used at once.
    pub frame_peak: usize,
    /// What that may be in one frame. `usize::MAX` is no limit.
    pub frame_budget: usize,
    /// Above this, it is warned.
    pub frame_warns_above: usize,
    /// The most pool and heap memory that it held.
    pub pool_peak: usize,
    /// What that may be. `usize::MAX` is no limit.
    pub pool_budget: usize,
    /// Above this, it is warned.
    pub pool_warns_above: usize,
    /// Allocations that ever exceeded either, whatever became of them.
    pub exceeded_count: u64,
}

impl ThreadBudgetStats {
    /// Frame memory in percent of its budget.
    pub fn frame_usage_percent(&self) -> f32 {
        percent(self.frame_used, self.frame_budget)
    }

    /// Pool and heap memory in percent of its budget.
    pub fn pool_usage_percent(&self) -> f32 {
        percent(self.pool_used, self.pool_budget)
    }
}

/// `used` in percent of `limit`; of nothing, everything is more than all.
pub(super) fn percent(used: usize, limit: usize) -> f32 {
    match (used, limit) {
        (0, _) => 0.0,
        (_, 0) => f32::INFINITY,
        (used, limit) => (used as f64 * 100.0 / limit as f64) as f32,
    }
}

impl Ledger {
    /// The calling thread's budget, if it has one.
    pub(crate) fn this_thread(&self) -> Option<Arc<ThreadBudget>> {
        if !self.has_threads.load(Acquire) {
            return None;
        }
        let current = std::thread::current();
        let thread = current.id();
        let name = current.name();
        let (by_name, default) = {
            let threads = self.threads.lock();
            if let Some(known) = threads.known.get(&thread) {
                known.note_name(name);
                return Some(known.clone());
            }
            (threads.by_name.clone(), threads.default)
        };
        // It is the user's, and runs with nothing locked.
        let config = by_name.and_then(|by_name| by_name(name.unwrap_or_default()));
        let config = config.or(default)?;
        let mut threads = self.threads.lock();
        let budget = threads
            .known
            .entry(thread)
            .or_insert_with(|| Arc::new(ThreadBudget::new(thread, config, false)));
        budget.note_name(name);
        Some(budget.clone())
    }
}

/// The budgets of an allocator's threads. See [`SmartAlloc::thread_budgets`].
#[derive(Clone, Copy)]
pub struct ThreadBudgetManager<'a> {
    alloc: &'a SmartAlloc,
}

impl ThreadBudgetManager<'_> {
    fn ledger(&self) -> &Ledger {
        self.alloc.domain().ledger()
    }

    /// Gives a thread a budget, or another one.
    ///
    /// Frame memory counts from the thread's next allocation on. Pool memory counts from its next frame on, or at once in an
    /// allocator that was made with [`AllocConfig::with_budgets`](crate::AllocConfig::with_budgets).
    pub fn set_thread_config(&self, thread: ThreadId, config: ThreadBudgetConfig) {
        let ledger = self.ledger();
        let budget = ledger
            .threads
            .lock()
            .known
            .entry(thread)
            .or_insert_with(|| Arc::new(ThreadBudget::new(thread, config, true)))
            .clone();
        budget.own.store(true, Relaxed);
        budget.set(config);
        self.turn_on();
    }

    /// Gives each thread the budget that `by_name` has for its name, which is empty for a thread without one. Replaces the one
    /// before: threads that it gave budgets to get other ones, or none. Threads with
    /// [budgets of their own](Self::set_thread_config) keep them, and those it has none for get that of
    /// [all others](Self::set_default_config).
    ///
    /// It runs with nothing locked, here and on each thread that uses the allocator for the first time.
    ///
    /// ```
    /// use framealloc::{SmartAlloc, ThreadBudgetConfig};
    ///
    /// let alloc = SmartAlloc::with_defaults();
    /// alloc.thread_budgets().set_configs_by_name(|name| {
    ///     name.starts_with("Compute Task Pool").then(|| ThreadBudgetConfig::relaxed(8, 8))
    /// });
    /// ```
    pub fn set_configs_by_name(
        &self,
        by_name: impl Fn(&str) -> Option<ThreadBudgetConfig> + Send + Sync + 'static,
    ) {
        let by_name: ByName = Arc::new(by_name);
        let (replaced, known, default) = {
            let mut threads = self.ledger().threads.lock();
            let replaced = threads.by_name.replace(by_name.clone());
            let known: Vec<_> = threads.known.values().cloned().collect();
            (replaced, known, threads.default)
        };
        drop(replaced);
        for budget in known.iter().filter(|budget| !budget.own.load(Relaxed)) {
            let name = budget.name.get().map_or("", |name| &**name);
            let config = by_name(name).or(default);
            budget.set(config.unwrap_or(ThreadBudgetConfig::UNLIMITED));
        }
        self.turn_on();
    }

    /// What happened to the budget of each thread since the last call, into `windows`, which is emptied first: for one caller
    /// that looks once a frame. Other figures do not start over.
    pub fn take_windows(&self, windows: &mut Vec<ThreadBudgetWindow>) {
        windows.clear();
        if !self.ledger().has_threads.load(Acquire) {
            return;
        }
        self.ledger().settle_guards();
        let threads = self.ledger().threads.lock();
        let known = threads.known.iter();
        windows.extend(known.map(|(&thread, budget)| budget.take_window(thread)));
    }

    /// Gives every thread a budget that has none of its own.
    pub fn set_default_config(&self, config: ThreadBudgetConfig) {
        self.ledger().threads.lock().default = Some(config);
        self.turn_on();
    }

    fn turn_on(&self) {
        let ledger = self.ledger();
        ledger.has_threads.store(true, Release);
        ledger.changed();
        self.alloc.domain().meter();
    }

    /// A thread's budget.
    pub fn get_config(&self, thread: ThreadId) -> Option<ThreadBudgetConfig> {
        let threads = self.ledger().threads.lock();
        let own = threads.known.get(&thread).map(|budget| budget.config());
        own.or(threads.default)
    }

    /// Where a thread's budget stands; `None` if it has none, or has not used the allocator since it was given one.
    pub fn get_stats(&self, thread: ThreadId) -> Option<ThreadBudgetStats> {
        self.ledger().settle_guards();
        let threads = self.ledger().threads.lock();
        threads.known.get(&thread).map(|budget| budget.stats())
    }

    /// Where the budget of each thread stands that has one and has used the allocator since.
    #[cfg(feature = "snapshots")]
    pub(crate) fn all_stats(&self) -> HashMap<ThreadId, ThreadBudgetStats> {
        if !self.ledger().has_threads.load(Acquire) {
            return HashMap::new();
        }
        self.ledger().settle_guards();
        let threads = self.ledger().threads.lock();
        let known = threads.known.iter();
        known.map(|(id, budget)| (*id, budget.stats())).collect()
    }

    /// What [`BudgetExceededPolicy::Custom`] asks: which thread asked, for how many bytes, and how many are left.
    ///
    /// It runs on the thread that allocates, with nothing locked.
    pub fn set_exceeded_handler(
        &self,
        handler: impl Fn(ThreadId, usize, usize) -> BudgetExceededPolicy + Send + Sync + 'static,
    ) {
        let replaced = self.ledger().handler.lock().replace(Arc::new(handler));
        drop(replaced);
    }
}

impl fmt::Debug for ThreadBudgetManager<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let threads = self.ledger().threads.lock();
        f.debug_struct("ThreadBudgetManager")
            .field("default", &threads.default)
            .field("threads", &threads.known.len())
            .finish()
    }
}

impl SmartAlloc {
    /// The budgets of threads.
    pub fn thread_budgets(&self) -> ThreadBudgetManager<'_> {
        ThreadBudgetManager { alloc: self }
    }

    /// Gives a thread a budget. See [`ThreadBudgetManager::set_thread_config`].
    ///
    /// ```
    /// use framealloc::{AllocErrorKind, BudgetExceededPolicy, SmartAlloc, ThreadBudgetConfig};
    ///
    /// let alloc = SmartAlloc::with_defaults();
    /// let config = ThreadBudgetConfig {
    ///     frame_budget: 1000,
    ///     frame_exceeded_policy: BudgetExceededPolicy::Fail,
    ///     ..Default::default()
    /// };
    /// alloc.set_thread_budget_config(std::thread::current().id(), config);
    ///
    /// alloc.begin_frame();
    /// let first = alloc.frame_box([0u8; 800])?;
    /// assert_eq!(alloc.frame_remaining(), 200);
    /// let refused = alloc.frame_box([0u8; 800]).unwrap_err();
    /// assert_eq!(refused.kind(), AllocErrorKind::ThreadBudget);
    /// drop(first);
    /// alloc.end_frame();
    /// assert_eq!(alloc.frame_remaining(), 1000);
    /// # Ok::<(), framealloc::AllocError>(())
    /// ```
    pub fn set_thread_budget_config(&self, thread: ThreadId, config: ThreadBudgetConfig) {
        self.thread_budgets().set_thread_config(thread, config);
    }

    /// Bytes of frame memory that the calling thread may still allocate: what its budget leaves, and what its arena may still
    /// become, whichever is less.
    pub fn frame_remaining(&self) -> usize {
        self.domain().frame_remaining()
    }
}

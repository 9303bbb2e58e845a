//! Tracy as a profiler of memory.

use core::cell::RefCell;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::OnceLock;

use tracy_client::{Client, Span};

use super::client::{MemoryProfiler, PlotUnit, ProfilerName};
use super::profiler::Profiler;
use super::session::ProfilingConfig;
use crate::allocators::tracy::Running;
use crate::smart_alloc::SmartAlloc;

struct Tracy {
    running: Running,
    was_connected: AtomicBool,
    viewers: AtomicU64,
}

thread_local! {
    /// The zones that this thread has open. They end with it.
    static SPANS: RefCell<Vec<Span>> = const { RefCell::new(Vec::new()) };
}

impl MemoryProfiler for Tracy {
    fn alloc(&self, pool: ProfilerName, address: usize, size: usize) {
        self.running.alloc(pool, address, size);
    }

    fn free(&self, pool: ProfilerName, address: usize) {
        self.running.free(pool, address);
    }

    fn discard(&self, pool: ProfilerName) {
        self.running.discard(pool);
    }

    fn frame_mark(&self, name: Option<ProfilerName>) {
        self.running.frame_mark(name);
    }

    fn declare_plot(&self, name: ProfilerName, unit: PlotUnit) {
        self.running.declare_plot(name, unit);
    }

    fn plot(&self, name: ProfilerName, value: f64) {
        self.running.plot(name, value);
    }

    fn zone_begin(&self, name: &'static str) {
        let _ = SPANS.try_with(|spans| {
            if let Some(client) = Client::running() {
                let span = client.span_alloc(Some(name), "phase", "", 0, 0);
                spans.borrow_mut().push(span);
            }
        });
    }

    fn zone_end(&self) {
        let _ = SPANS.try_with(|spans| spans.borrow_mut().pop());
    }

    fn viewer(&self) -> Option<u64> {
        if !cfg!(feature = "tracy-on-demand") {
            // Whoever connects is sent what has been collected until then.
            return Some(0);
        }
        if !Client::is_connected() {
            self.was_connected.store(false, Relaxed);
            return None;
        }
        if !self.was_connected.swap(true, Relaxed) {
            self.viewers.fetch_add(1, Relaxed);
        }
        Some(self.viewers.load(Relaxed))
    }
}

impl Profiler {
    /// Tracy, the one of this process. Starts its client, if nobody has: from here on it listens for viewers, and collects. Feature
    /// `tracy`.
    pub fn tracy() -> &'static Self {
        static TRACY: OnceLock<Profiler> = OnceLock::new();
        TRACY.get_or_init(|| {
            Self::new(Tracy {
                running: Running::start(),
                was_connected: AtomicBool::new(false),
                viewers: AtomicU64::new(0),
            })
        })
    }
}

impl SmartAlloc {
    /// Shows this allocator's memory in Tracy from now on, as [`profile_with`](Self::profile_with) tells, under the name
    /// `framealloc`. [`stop_profiling`](Self::stop_profiling) ends that. Feature `tracy`.
    ///
    /// Until then nothing of Tracy runs, unless another part of the program starts it. See `docs/tracy.md`.
    ///
    /// ```
    /// # let alloc = framealloc::SmartAlloc::with_defaults();
    /// if std::env::args().any(|arg| arg == "--tracy") {
    ///     alloc.enable_tracy();
    /// }
    /// ```
    pub fn enable_tracy(&self) {
        self.enable_tracy_with(ProfilingConfig::default());
    }

    /// [`enable_tracy`](Self::enable_tracy) under another name, or beside somebody who marks the program's frames.
    ///
    /// ```
    /// use framealloc::{ProfilingConfig, SmartAlloc};
    ///
    /// let alloc = SmartAlloc::with_defaults();
    /// // With Bevy's `trace_tracy`, which marks frames itself.
    /// alloc.enable_tracy_with(ProfilingConfig { marks_frames: false, ..Default::default() });
    /// ```
    pub fn enable_tracy_with(&self, config: ProfilingConfig) {
        self.profile_with(Profiler::tracy(), config);
    }
}

//! An allocator in a profiler: what becomes of its events there.

use core::fmt;
use std::borrow::Cow;
use std::sync::Arc;
use std::thread::ThreadId;

use super::client::{PlotUnit, ProfilerName};
use super::profiler::{Profiler, is_inside};
use super::zones;
use crate::allocators::domain::Domain;
use crate::behavior::AllocKind;
use crate::events::{Block, Event, Switch};
use crate::smart_alloc::SmartAlloc;
use crate::stats::AllocStats;
use crate::sync::Mutex;
use crate::threads::this_thread;

/// How an allocator appears in a profiler.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProfilingConfig {
    /// What its pools, plots and frames are called by: `framealloc`, unless you have several allocators.
    pub name: Cow<'static, str>,
    /// Whether its frames are the program's, or a set of frames of that name beside them. Say `false` where somebody else marks the
    /// program's frames, as Bevy's `trace_tracy` does.
    ///
    /// Its frames are its [shared frames](SmartAlloc::shared_frames), or those of the thread that turned profiling on. Frames
    /// of other threads are sets of their own, `<name>: <name of the thread>`.
    pub marks_frames: bool,
}

impl Default for ProfilingConfig {
    fn default() -> Self {
        Self {
            name: Cow::Borrowed("framealloc"),
            marks_frames: true,
        }
    }
}

/// The profiler of one allocator, or none.
pub(crate) struct Profiling {
    switch: Switch,
    session: Mutex<Option<Arc<Session>>>,
}

struct Session {
    id: u64,
    profiler: Profiler,
    config: ProfilingConfig,
    names: Names,
    /// Where profiling was turned on.
    main: ThreadId,
}

struct Names {
    frames: ProfilerName,
    pools: [ProfilerName; 3],
    plots: Plots,
}

struct Plots {
    frame_bytes: ProfilerName,
    arena_bytes: ProfilerName,
    pool_bytes: ProfilerName,
    heap_bytes: ProfilerName,
    budget: ProfilerName,
}

impl Names {
    fn new(name: &str) -> Self {
        let of = |what: &str| ProfilerName::new(&format!("{name} {what}"));
        Self {
            frames: ProfilerName::new(name),
            pools: [of("frame"), of("pool"), of("heap")],
            plots: Plots {
                frame_bytes: of("frame bytes"),
                arena_bytes: of("arena bytes"),
                pool_bytes: of("pool bytes"),
                heap_bytes: of("heap bytes"),
                budget: of("fullest budget"),
            },
        }
    }

    fn pool(&self, kind: AllocKind) -> ProfilerName {
        self.pools[match kind {
            AllocKind::Frame => 0,
            AllocKind::Pool => 1,
            AllocKind::Heap => 2,
        }]
    }
}

impl Profiling {
    pub(crate) fn of(switch: Switch) -> Self {
        Self {
            switch,
            session: Mutex::new(None),
        }
    }

    fn start(&self, profiler: &Profiler, config: ProfilingConfig) {
        if is_inside() {
            return;
        }
        let session = Some(Arc::new(Session::new(profiler.clone(), config)));
        self.replace(session);
        self.switch.set(true);
    }

    fn stop(&self) {
        if !is_inside() {
            self.switch.set(false);
            self.replace(None);
        }
    }

    fn replace(&self, session: Option<Arc<Session>>) {
        let before = core::mem::replace(&mut *self.session.lock(), session);
        // The profiler may be the last to go: its destructor runs with no lock held.
        if let Some(before) = before {
            before.end();
        }
    }

    fn session(&self) -> Option<Arc<Session>> {
        self.session.lock().clone()
    }

    /// The allocator is gone, and frame memory with it. Blocks of pools and heap may live on.
    pub(crate) fn arenas_gone(&self) {
        if !is_inside()
            && let Some(session) = self.session()
        {
            let pool = session.names.pool(AllocKind::Frame);
            session.profiler.clear(session.id, pool);
        }
    }

    /// Tells the profiler of an event. `domain` is the allocator's, if that is still there.
    pub(crate) fn hear(&self, event: &Event, domain: impl FnOnce() -> Option<Arc<Domain>>) {
        if is_inside() {
            return;
        }
        let Some(session) = self.session() else {
            return;
        };
        match *event {
            Event::Allocated { block, .. } => session.allocated(&block),
            Event::Freed { block, .. } => session.profiler.freed(block.id, block.address),
            Event::ZoneBegun(name) => zones::begin(session.id, &session.profiler, name),
            Event::ZoneEnded => zones::end(session.id, &session.profiler),
            Event::FrameEnded { .. } => {
                if let Some(domain) = domain() {
                    session.frame_ended(&domain);
                }
            }
            _ => {}
        }
    }
}

impl Session {
    fn new(profiler: Profiler, config: ProfilingConfig) -> Self {
        let names = Names::new(&config.name);
        let plots = &names.plots;
        profiler.call(|client| {
            for plot in [
                plots.frame_bytes,
                plots.arena_bytes,
                plots.pool_bytes,
                plots.heap_bytes,
            ] {
                client.declare_plot(plot, PlotUnit::Bytes);
            }
            client.declare_plot(plots.budget, PlotUnit::Percent);
        });
        Self {
            id: profiler.begin(names.pools),
            profiler,
            config,
            names,
            main: this_thread(),
        }
    }

    fn allocated(&self, block: &Block) {
        // It was made while none was told, or has no memory, and so no address of its own.
        if block.id == 0 || block.size == 0 {
            return;
        }
        let pool = self.names.pool(block.kind);
        self.profiler
            .allocated(self.id, pool, block.id, block.address, block.size);
    }

    fn frame_ended(&self, domain: &Domain) {
        if !domain.is_shared() && self.main != this_thread() {
            let thread = std::thread::current();
            let thread = thread.name().unwrap_or("other threads");
            let name = ProfilerName::new(&format!("{}: {thread}", self.config.name));
            return self.profiler.call(|client| client.frame_mark(Some(name)));
        }
        self.profiler.look();
        let mark = (!self.config.marks_frames).then_some(self.names.frames);
        self.profiler.call(|client| client.frame_mark(mark));
        if !self.profiler.is_seen() {
            return;
        }
        let stats = AllocStats::of(domain);
        let fullest = domain.ledger().fullest_percent();
        let plots = &self.names.plots;
        self.profiler.call(|client| {
            for (plot, bytes) in [
                (plots.frame_bytes, stats.frame_allocated),
                (plots.arena_bytes, stats.frame_reserved),
                (plots.pool_bytes, stats.pool_allocated),
                (plots.heap_bytes, stats.heap_allocated),
            ] {
                client.plot(plot, bytes as f64);
            }
            if let Some(percent) = fullest {
                client.plot(plots.budget, percent);
            }
        });
    }

    fn end(&self) {
        zones::end_all(self.id);
        self.profiler.end(self.id);
    }
}

impl fmt::Debug for Profiling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Profiling").finish_non_exhaustive()
    }
}

impl SmartAlloc {
    /// Shows this allocator's memory in a profiler from now on, instead of the one before.
    ///
    /// It is told of every block of frames, pools and heap, each kind in a pool of its own, of the threads that are watched (see
    /// [`enable_lifecycle_tracking`](Self::enable_lifecycle_tracking)); of the ends of frames; and of phases, as zones. At the end of
    /// [its frames](ProfilingConfig::marks_frames) plots follow: bytes of the frame, bytes of arenas, live bytes of pools and heap, and how
    /// full the fullest budget is.
    ///
    /// Blocks that live already are not told of. Blocks that outlive the allocator are.
    pub fn profile_with(&self, profiler: &Profiler, config: ProfilingConfig) {
        self.domain().hub().profiling.start(profiler, config);
    }

    /// Ends that. Blocks that live on are told of as freed. Phases that other threads are in end as zones when those threads do.
    pub fn stop_profiling(&self) {
        self.domain().hub().profiling.stop();
    }

    /// Whether a profiler is told of this allocator's memory.
    pub fn is_profiled(&self) -> bool {
        self.domain().hub().profiling.switch.is_on()
    }
}

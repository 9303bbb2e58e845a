//! Who listens, and the way of an event to them.

use core::sync::atomic::{
    AtomicBool, AtomicU32, AtomicUsize, Ordering::AcqRel, Ordering::Acquire, Ordering::Release,
};
use std::sync::{Arc, Weak};
use std::thread::ThreadId;

use super::blocks;
use super::event::{Block, Event};
use super::hooks::DiagnosticsHooks;
use super::lifecycle::LifecycleManager;
use super::listeners::{self, Delivery};
use super::profiler::ProfilerHooks;
use crate::allocators::domain::Domain;
use crate::allocators::thread::local;
use crate::behavior::{AllocKind, BehaviorFilter};
#[cfg(feature = "debug")]
use crate::leaks::LeakTracker;
use crate::profiling::{self, Profiling};
use crate::stats::AllocStats;
use crate::tags::TagId;
use crate::threads::this_thread;

/// Allocators that are watched. While there are any, threads look for them where they otherwise would not.
static WATCHED: AtomicUsize = AtomicUsize::new(0);

/// Whether any allocator is watched.
pub(crate) fn somebody_watches() -> bool {
    WATCHED.load(Acquire) != 0
}

const LIFECYCLE: u32 = 1;
const DIAGNOSTICS: u32 = 2;
const PROFILER: u32 = 4;
const BEHAVIOR: u32 = 8;
#[cfg(feature = "debug")]
const LEAKS: u32 = 32;
const PROFILING: u32 = 16;

/// What listens to one allocator. Blocks that are watched hold it, so it may outlive the allocator.
pub(crate) struct Hub {
    /// Who is on.
    listening: AtomicU32,
    domain: Weak<Domain>,
    pub(crate) lifecycle: LifecycleManager,
    pub(crate) hooks: DiagnosticsHooks,
    pub(crate) profiler: ProfilerHooks,
    pub(crate) behavior: BehaviorFilter,
    #[cfg(feature = "debug")]
    pub(crate) leaks: LeakTracker,
    pub(crate) profiling: Profiling,
}

/// Turns a listener of an allocator, or one of its own, on and off.
pub(crate) struct Switch {
    on: AtomicBool,
    hub: Weak<Hub>,
    flag: u32,
}

impl Switch {
    /// For what is no allocator's.
    pub(crate) fn alone(on: bool) -> Self {
        Self {
            on: AtomicBool::new(on),
            hub: Weak::new(),
            flag: 0,
        }
    }

    fn of(hub: &Weak<Hub>, flag: u32) -> Self {
        Self {
            on: AtomicBool::new(false),
            hub: hub.clone(),
            flag,
        }
    }

    #[inline]
    pub(crate) fn is_on(&self) -> bool {
        self.on.load(Acquire)
    }

    /// The number of the calling thread's newest frame in its allocator.
    #[cfg(feature = "debug")]
    pub(crate) fn frame_number(&self) -> u64 {
        let hub = self.hub.upgrade();
        let domain = hub.and_then(|hub| hub.domain.upgrade());
        domain.map_or(0, |domain| local(|local| domain.frame_here(local)).0)
    }

    /// Whether it is of an allocator.
    pub(super) fn is_attached(&self) -> bool {
        self.flag != 0
    }

    pub(crate) fn set(&self, on: bool) {
        if self.on.swap(on, AcqRel) != on
            && let Some(hub) = self.hub.upgrade()
        {
            hub.set(self.flag, on);
        }
    }
}

/// A domain's hub. With the domain, listening ends.
pub(crate) struct Events(Arc<Hub>);

impl Events {
    pub(crate) fn new(domain: &Weak<Domain>) -> Self {
        Self(Arc::new_cyclic(|hub| Hub {
            listening: AtomicU32::new(0),
            domain: domain.clone(),
            lifecycle: LifecycleManager::of(Switch::of(hub, LIFECYCLE)),
            hooks: DiagnosticsHooks::of(Switch::of(hub, DIAGNOSTICS)),
            profiler: ProfilerHooks::of(Switch::of(hub, PROFILER)),
            behavior: BehaviorFilter::of(Switch::of(hub, BEHAVIOR)),
            #[cfg(feature = "debug")]
            leaks: LeakTracker::of(Switch::of(hub, LEAKS)),
            profiling: Profiling::of(Switch::of(hub, PROFILING)),
        }))
    }

    pub(crate) fn hub(&self) -> &Arc<Hub> {
        &self.0
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        let before = self.0.listening.load(Acquire);
        // A profiler hears of the blocks that live on.
        self.0.listening.store(before & PROFILING, Release);
        if before != 0 {
            WATCHED.fetch_sub(1, AcqRel);
        }
        #[cfg(feature = "debug")]
        self.0.leaks.keep_forgotten();
        self.0.profiling.arenas_gone();
        // Blocks may hold the hub for longer; what the listeners hold is not theirs.
        self.0.lifecycle.clear_callbacks();
        self.0.hooks.clear_listeners();
        self.0.profiler.clear_callback();
    }
}

impl Hub {
    /// Whether anybody listens.
    #[inline]
    pub(crate) fn is_on(&self) -> bool {
        self.listening.load(Acquire) != 0
    }

    /// Whether what the calling thread allocates now is watched: somebody listens, and it is no listener that allocates.
    pub(crate) fn watches(&self) -> bool {
        self.is_on() && !listeners::is_inside()
    }

    /// Whether anybody wants to hear of each block.
    pub(crate) fn wants_blocks(&self) -> bool {
        self.listening.load(Acquire) & (LIFECYCLE | PROFILER | PROFILING) != 0
    }

    fn set(&self, flag: u32, on: bool) {
        let Some(domain) = self.domain.upgrade() else {
            return;
        };
        domain.watch(|| {
            let before = self.listening.load(Acquire);
            let after = if on { before | flag } else { before & !flag };
            self.listening.store(after, Release);
            match (before, after) {
                (0, 1..) => drop(WATCHED.fetch_add(1, AcqRel)),
                (1.., 0) => drop(WATCHED.fetch_sub(1, AcqRel)),
                _ => {}
            }
            after != 0
        });
    }

    /// The domain, for as long as it is there.
    pub(crate) fn domain(&self) -> &Weak<Domain> {
        &self.domain
    }

    /// The number of the frame that is open for the calling thread, if one is.
    pub(crate) fn frame_here(&self) -> Option<u64> {
        let domain = self.domain.upgrade()?;
        match local(|local| domain.frame_here(local)) {
            (number, true) => Some(number),
            (_, false) => None,
        }
    }

    /// Whether the frames of `thread` are those of the calling one.
    pub(super) fn same_clock(&self, thread: ThreadId) -> bool {
        thread == this_thread()
            || self
                .domain
                .upgrade()
                .is_some_and(|domain| domain.is_shared())
    }

    /// A block that has just been allocated.
    pub(crate) fn block(&self, kind: AllocKind, address: usize, size: usize, tag: TagId) -> Block {
        let profiled = self.listening.load(Acquire) & PROFILING != 0;
        Block {
            kind,
            address,
            size,
            tag,
            id: if profiled { profiling::fresh_id() } else { 0 },
        }
    }

    /// Tells of a block that was allocated from a pool or from the heap. User code may run.
    /// `frame` is the number of the frame that is open for the calling thread, if one is.
    pub(crate) fn allocated(
        self: &Arc<Self>,
        kind: AllocKind,
        address: usize,
        size: usize,
        frame: Option<u64>,
    ) {
        let block = self.block(kind, address, size, TagId::current());
        blocks::remember(self.clone(), block, frame);
        self.behavior.allocated(block, true, frame.is_some());
        self.tell(&Event::Allocated {
            block,
            frame: frame.unwrap_or(0),
        });
    }

    /// Delivers an event to everybody who listens. User code may run.
    pub(crate) fn tell(&self, event: &Event) {
        let listening = self.listening.load(Acquire);
        if listening == 0 {
            return;
        }
        #[cfg(feature = "debug")]
        self.leaks.hear(event);
        if listening & BEHAVIOR != 0 && matches!(event, Event::FrameEnded { .. }) {
            self.behavior.end_frame();
        }
        let here = this_thread();
        let noted = (listening & LIFECYCLE != 0).then(|| self.lifecycle.note(event, here));
        if listening & PROFILING != 0 {
            self.profiling.hear(event, || self.domain.upgrade());
        }
        let Some(mut delivery) = Delivery::begin() else {
            return self.lifecycle.miss();
        };
        if let Some(noted) = noted {
            self.lifecycle.tell(&mut delivery, event, here, &noted);
        }
        if listening & DIAGNOSTICS != 0 {
            let stats = || {
                let domain = self.domain.upgrade();
                domain.map_or_else(AllocStats::default, |domain| AllocStats::of(&domain))
            };
            self.hooks.hear(&mut delivery, event, stats);
        }
        if listening & PROFILER != 0 {
            self.profiler.hear(&mut delivery, event);
        }
        delivery.finish();
    }
}

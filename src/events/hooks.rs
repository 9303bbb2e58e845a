//! Events and history for user interfaces.

use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::collections::VecDeque;
use std::sync::Arc;

use super::event::Event;
use super::hub::Switch;
use super::listeners::{Delivery, ListenerId, Listeners};
use crate::allocators::pool::class::class_size;
use crate::smart_alloc::SmartAlloc;
use crate::stats::AllocStats;
use crate::sync::Mutex;
use crate::tags::TagId;

/// An allocation of more bytes than this is told of as [`DiagnosticsEvent::LargeAllocation`]: what pools do not hold.
const LARGE: usize = 4096;
/// Frames that are remembered.
const HISTORY: usize = 300;

/// Something that a user interface may want to show. Sizes are bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum DiagnosticsEvent {
    /// A frame was opened.
    FrameBegin {
        /// Its number.
        frame_number: u64,
    },
    /// A frame has ended.
    FrameEnd {
        /// Its number.
        frame_number: u64,
    },
    /// More than 4 KiB were allocated at once.
    LargeAllocation {
        /// Bytes.
        size: usize,
        /// Whom it is charged to.
        tag: TagId,
    },
    /// An allocation took a budget above its soft limit.
    MemoryPressure {
        /// Bytes that are used.
        current: usize,
        /// The limit.
        limit: usize,
    },
    /// A pool has got another page.
    SlabRefill {
        /// The size class, in bytes.
        size_class: usize,
        /// Blocks of that page.
        count: usize,
    },
    /// A thread has taken back blocks that others freed.
    DeferredFree {
        /// Blocks.
        count: usize,
    },
    /// A tag's usage came to lie above its soft limit. Follows the `MemoryPressure`.
    BudgetWarning {
        /// The tag.
        tag: TagId,
        /// Bytes that are used.
        current: usize,
        /// The soft limit.
        limit: usize,
    },
    /// An allocation would exceed a budget, or did, if its policy lets it.
    BudgetExceeded {
        /// The tag; the root's is the budget of the allocator, or of a thread.
        tag: TagId,
        /// Bytes that would be used.
        current: usize,
        /// The limit.
        limit: usize,
    },
}

/// Memory at the end of one frame.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemorySample {
    /// The frame's number; zero for what was before the first.
    pub frame_number: u64,
    /// Live bytes: [`AllocStats::total_allocated`].
    pub current: usize,
    /// The most of any frame until then.
    pub peak: usize,
}

/// Memory over frames, to draw: three series of equal length, the oldest frame first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemoryGraphData {
    /// Live bytes.
    pub current: Vec<usize>,
    /// The most of any frame until then.
    pub peak: Vec<usize>,
    /// The frames' numbers; zero for what was before the first.
    pub frames: Vec<u64>,
}

impl MemoryGraphData {
    /// The highest value of all.
    pub fn max_value(&self) -> usize {
        let all = self.current.iter().chain(&self.peak);
        all.copied().max().unwrap_or(0)
    }

    /// Live bytes as parts of the highest value, from 0 to 1.
    pub fn normalized_current(&self) -> Vec<f32> {
        let max = self.max_value().max(1) as f32;
        self.current
            .iter()
            .map(|&bytes| bytes as f32 / max)
            .collect()
    }

    /// Points.
    pub fn len(&self) -> usize {
        self.frames.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }
}

type Listener = dyn Fn(&DiagnosticsEvent) + Send + Sync;

/// Events and a history of memory for user interfaces: an allocator's ([`SmartAlloc::diagnostics`]), or one's own, which is told
/// of its frames by [`on_frame_begin`](Self::on_frame_begin) and [`on_frame_end`](Self::on_frame_end).
///
/// What holds while a listener runs is told at [`LifecycleManager`](crate::LifecycleManager).
///
/// ```
/// use framealloc::SmartAlloc;
/// use framealloc::diagnostics::{DiagnosticsEvent, DiagnosticsHooks};
///
/// let hooks = DiagnosticsHooks::new();
/// hooks.add_listener(|event| match event {
///     DiagnosticsEvent::MemoryPressure { current, limit } => println!("{current} of {limit}"),
///     _ => {}
/// });
/// hooks.on_frame_begin();
/// hooks.on_frame_end(&SmartAlloc::with_defaults().stats());
/// assert_eq!(hooks.get_memory_graph_data(100).len(), 100);
/// ```
pub struct DiagnosticsHooks {
    switch: Switch,
    listeners: Listeners<Listener>,
    frame: AtomicU64,
    history: Mutex<VecDeque<MemorySample>>,
}

impl DiagnosticsHooks {
    /// Hooks of one's own, turned on.
    pub fn new() -> Self {
        Self::of(Switch::alone(true))
    }

    pub(super) fn of(switch: Switch) -> Self {
        Self {
            switch,
            listeners: Listeners::new(),
            frame: AtomicU64::new(0),
            history: Mutex::new(VecDeque::new()),
        }
    }

    /// Turns events and history on or off.
    pub fn set_enabled(&self, enabled: bool) {
        self.switch.set(enabled);
    }

    /// Whether they are on.
    pub fn is_enabled(&self) -> bool {
        self.switch.is_on()
    }

    /// Tells `listener` of every event. That turns the hooks of an allocator on.
    pub fn add_listener(
        &self,
        listener: impl Fn(&DiagnosticsEvent) + Send + Sync + 'static,
    ) -> ListenerId {
        let id = self.listeners.add(Arc::new(listener));
        if self.switch.is_attached() {
            self.set_enabled(true);
        }
        id
    }

    /// Removes a listener, and returns whether it was there.
    pub fn remove_listener(&self, id: ListenerId) -> bool {
        self.listeners.remove(id)
    }

    /// Removes all listeners.
    pub fn clear_listeners(&self) {
        self.listeners.clear();
    }

    /// Runs `f` with these hooks.
    pub fn with<R>(&self, f: impl FnOnce(&Self) -> R) -> R {
        f(self)
    }

    /// Tells the listeners of an event that the program has made, if the hooks are on. One made inside listeners is told too,
    /// eight deep at most.
    pub fn emit(&self, event: DiagnosticsEvent) {
        if self.is_enabled()
            && let Some(mut delivery) = Delivery::begin_by_hand()
        {
            delivery.tell(&self.listeners, |listener| listener(&event));
            delivery.finish();
        }
    }

    /// A frame begins, of a program that counts its own.
    pub fn on_frame_begin(&self) {
        if self.is_enabled() {
            let frame_number = self.frame.fetch_add(1, Relaxed) + 1;
            self.emit(DiagnosticsEvent::FrameBegin { frame_number });
        }
    }

    /// It ends, with these totals.
    pub fn on_frame_end(&self, stats: &AllocStats) {
        if self.is_enabled() {
            let frame_number = self.frame_number();
            self.remember(frame_number, stats);
            self.emit(DiagnosticsEvent::FrameEnd { frame_number });
        }
    }

    fn remember(&self, frame_number: u64, stats: &AllocStats) {
        let current = stats.total_allocated;
        let mut history = self.history.lock();
        let before = history.back().map_or(0, |sample| sample.peak);
        if history.len() == HISTORY {
            history.pop_front();
        }
        history.push_back(MemorySample {
            frame_number,
            current,
            peak: before.max(current),
        });
    }

    /// The last 300 frames, the oldest first.
    pub fn history(&self) -> Vec<MemorySample> {
        self.history.lock().iter().copied().collect()
    }

    /// Forgets them.
    pub fn clear_history(&self) {
        self.history.lock().clear();
    }

    /// The number of the newest frame.
    pub fn frame_number(&self) -> u64 {
        self.frame.load(Relaxed)
    }

    /// The last `points` frames, so many exactly: what was before the first is zero.
    pub fn get_memory_graph_data(&self, points: usize) -> MemoryGraphData {
        let history = self.history.lock();
        let known = history.len().min(points);
        let before = core::iter::repeat_n(MemorySample::default(), points - known);
        let samples = before.chain(history.iter().skip(history.len() - known).copied());
        let mut data = MemoryGraphData::default();
        for sample in samples {
            data.current.push(sample.current);
            data.peak.push(sample.peak);
            data.frames.push(sample.frame_number);
        }
        data
    }

    pub(super) fn hear(
        &self,
        delivery: &mut Delivery,
        event: &Event,
        stats: impl FnOnce() -> AllocStats,
    ) {
        let mut warning = None;
        let event = match *event {
            Event::FrameBegun { number } => {
                self.frame.store(number, Relaxed);
                DiagnosticsEvent::FrameBegin {
                    frame_number: number,
                }
            }
            Event::FrameEnded { number, .. } => {
                self.remember(number, &stats());
                DiagnosticsEvent::FrameEnd {
                    frame_number: number,
                }
            }
            Event::Allocated { block, .. } if block.size > LARGE => {
                DiagnosticsEvent::LargeAllocation {
                    size: block.size,
                    tag: block.tag,
                }
            }
            Event::Refilled { class, blocks } => DiagnosticsEvent::SlabRefill {
                size_class: class_size(class),
                count: blocks,
            },
            Event::Processed { blocks, .. } => DiagnosticsEvent::DeferredFree {
                count: blocks as usize,
            },
            Event::Pressure { tag, used, budget } => {
                warning = tag.filter(|&tag| tag != TagId::ROOT).map(|tag| {
                    DiagnosticsEvent::BudgetWarning {
                        tag,
                        current: used,
                        limit: budget,
                    }
                });
                DiagnosticsEvent::MemoryPressure {
                    current: used,
                    limit: budget,
                }
            }
            Event::Exceeded {
                tag,
                requested,
                used,
                budget,
            } => DiagnosticsEvent::BudgetExceeded {
                tag: tag.unwrap_or(TagId::ROOT),
                current: used.saturating_add(requested),
                limit: budget,
            },
            _ => return,
        };
        for event in [Some(event), warning].iter().flatten() {
            delivery.tell(&self.listeners, |listener| listener(event));
        }
    }
}

impl Default for DiagnosticsHooks {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for DiagnosticsHooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DiagnosticsHooks")
            .field("enabled", &self.is_enabled())
            .field("frame_number", &self.frame_number())
            .finish_non_exhaustive()
    }
}

impl SmartAlloc {
    /// Events and a history of this allocator's memory, for user interfaces; on from the first listener, or from
    /// [`set_enabled`](DiagnosticsHooks::set_enabled).
    ///
    /// ```
    /// # let alloc = framealloc::SmartAlloc::with_defaults();
    /// alloc.diagnostics().set_enabled(true);
    /// for _ in 0..10 {
    ///     alloc.begin_frame();
    ///     alloc.end_frame();
    /// }
    /// let graph = alloc.diagnostics().get_memory_graph_data(100);
    /// assert_eq!((graph.frames.len(), graph.frames[99]), (100, 10));
    /// ```
    pub fn diagnostics(&self) -> &DiagnosticsHooks {
        &self.domain().hub().hooks
    }
}

//! Frame events, and what threads did in their frames.

use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::alloc::System;
use std::sync::Arc;
use std::thread::ThreadId;

use hashbrown::{DefaultHashBuilder, HashMap};
use web_time::Instant;

use super::event::Event;
use super::hub::Switch;
use super::listeners::{Delivery, List, ListenerId, Listeners};
use crate::smart_alloc::SmartAlloc;
use crate::tags::TagId;

/// Something that has happened in an allocator. Sizes are bytes that were asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FrameEvent {
    /// A thread has opened its frame, or the owner of shared frames has.
    FrameBegin {
        /// The thread.
        thread_id: ThreadId,
        /// The frame's number, from 1.
        frame_number: u64,
        /// When.
        timestamp: Instant,
    },
    /// Memory was allocated: of a frame, a pool or the heap.
    Alloc {
        /// The thread that allocated.
        thread_id: ThreadId,
        /// Bytes.
        size: usize,
        /// Whom it is charged to.
        tag: TagId,
        /// The number of the frame that was open; zero if none was.
        frame_number: u64,
    },
    /// Such memory is about to be free again.
    Free {
        /// The thread that freed it.
        thread_id: ThreadId,
        /// Bytes.
        size: usize,
        /// Whether another thread had allocated it.
        was_cross_thread: bool,
    },
    /// A frame has ended. Its frees were told of before.
    FrameEnd {
        /// The thread.
        thread_id: ThreadId,
        /// The frame's number.
        frame_number: u64,
        /// How long it was open, in microseconds.
        duration_us: u64,
        /// Bytes that the thread allocated in it.
        total_allocated: u64,
        /// The most bytes that were live at once, in it, of all that the thread has allocated since it is watched.
        peak_memory: u64,
    },
    /// A block went to the thread that owns it, since another freed it. Follows its `Free`.
    CrossThreadFreeQueued {
        /// The thread that freed it.
        from: ThreadId,
        /// The thread that had allocated it.
        to: ThreadId,
        /// Bytes.
        size: usize,
    },
    /// A thread has taken back blocks that others freed.
    DeferredProcessed {
        /// The thread.
        thread_id: ThreadId,
        /// Blocks.
        count: u64,
        /// Their bytes, rounded up to size classes.
        total_bytes: u64,
    },
    /// A value was made that is to be received on another thread.
    TransferInitiated {
        /// The thread that made it.
        from_thread: ThreadId,
        /// Bytes.
        size: usize,
    },
    /// It was received.
    TransferCompleted {
        /// The thread that received it.
        to_thread: ThreadId,
        /// Bytes.
        size: usize,
    },
    /// An allocation of this thread took a budget above its soft limit.
    MemoryPressure {
        /// The thread.
        thread_id: ThreadId,
        /// Bytes that are used.
        used: usize,
        /// The soft limit; a thread's budget itself.
        budget: usize,
    },
    /// An allocation of this thread exceeds a budget, and is refused if that budget's policy says so.
    BudgetExceeded {
        /// The thread.
        thread_id: ThreadId,
        /// Bytes that were asked for.
        requested: usize,
        /// Bytes that the budget had left.
        available: usize,
        /// The budget.
        budget: usize,
    },
}

/// What a thread did in its frames, while lifecycle tracking was on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ThreadFrameStats {
    /// Frames that it opened.
    pub frames_started: u64,
    /// Frames that it closed.
    pub frames_completed: u64,
    /// The number of its newest frame.
    pub current_frame: u64,
    /// Bytes that it allocated from frames, pools and heap.
    pub total_allocated: u64,
    /// The most bytes that were live at once of what it allocated.
    pub peak_memory: u64,
    /// Blocks that it freed for other threads.
    pub cross_thread_frees: u64,
}

/// What all threads did, while lifecycle tracking was on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LifecycleSummary {
    /// Threads that were seen.
    pub threads: usize,
    /// Frames that were opened.
    pub frames_started: u64,
    /// Frames that were closed.
    pub frames_completed: u64,
    /// Bytes that were allocated.
    pub total_allocated: u64,
    /// The most bytes that were live at once of what one thread allocated.
    pub peak_memory: u64,
    /// Blocks that were freed for other threads.
    pub cross_thread_frees: u64,
    /// Events that were made by listeners, and so not delivered.
    pub missed_events: u64,
}

impl fmt::Display for LifecycleSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} of {} frames completed on {} threads, {} bytes allocated, peak {} bytes, {} cross-thread frees, {} events missed",
            self.frames_completed,
            self.frames_started,
            self.threads,
            self.total_allocated,
            self.peak_memory,
            self.cross_thread_frees,
            self.missed_events
        )
    }
}

#[derive(Default)]
struct ThreadState {
    stats: ThreadFrameStats,
    live: u64,
    /// Of the present frame.
    allocated: u64,
    peak: u64,
}

/// A `HeapAudit` does not see it: it would be charged to whatever tag a thread is first seen with.
type Threads = HashMap<ThreadId, ThreadState, DefaultHashBuilder, System>;

type Callback = dyn Fn(&FrameEvent) + Send + Sync;

/// What there is to tell of an event, and who listened when it happened.
pub(super) struct Noted {
    event: Option<FrameEvent>,
    listeners: List<Callback>,
}

/// Frame events and the figures of threads: an allocator's ([`SmartAlloc::lifecycle`]), or one's own, which is told by
/// [`emit`](Self::emit).
///
/// Callbacks run on the thread on which it happened, after it has, with nothing locked: they may use the allocator, and add and
/// remove callbacks. Of memory that is freed they hear when nobody uses it any more, and before anybody can be given it again.
///
/// What happens on a thread that runs one is counted in the figures and as
/// [`missed_events`](LifecycleSummary::missed_events), and told to nobody; what a callback allocates is not watched. If a
/// callback panics, the others are told, and the panic goes on to whoever made the event happen; on a thread that unwinds
/// already it ends there.
pub struct LifecycleManager {
    switch: Switch,
    callbacks: Listeners<Callback, Threads>,
    frame: AtomicU64,
    missed: AtomicU64,
}

impl LifecycleManager {
    /// One's own, turned off.
    pub fn new() -> Self {
        Self::of(Switch::alone(false))
    }

    pub(super) fn of(switch: Switch) -> Self {
        Self {
            switch,
            callbacks: Listeners::new(),
            frame: AtomicU64::new(0),
            missed: AtomicU64::new(0),
        }
    }

    /// Turns it on.
    pub fn enable(&self) {
        if !self.is_enabled() {
            // What was freed while it was off was not seen.
            self.callbacks.counts(|threads| {
                for state in threads.values_mut() {
                    state.live = 0;
                }
            });
        }
        self.switch.set(true);
    }

    /// Turns it off. Callbacks and figures stay.
    pub fn disable(&self) {
        self.switch.set(false);
    }

    /// Whether it is on.
    pub fn is_enabled(&self) -> bool {
        self.switch.is_on()
    }

    /// Tells `callback` of every event while it is on.
    pub fn on_event(&self, callback: impl Fn(&FrameEvent) + Send + Sync + 'static) -> ListenerId {
        self.callbacks.add(Arc::new(callback))
    }

    /// Removes a callback, and returns whether it was there. One that is running on another thread may run to its end.
    pub fn remove_callback(&self, id: ListenerId) -> bool {
        self.callbacks.remove(id)
    }

    /// Removes all callbacks.
    pub fn clear_callbacks(&self) {
        self.callbacks.clear();
    }

    /// Tells the callbacks of an event that the program has made, if it is on. One made inside callbacks is told too, eight deep
    /// at most. It changes no figures.
    pub fn emit(&self, event: FrameEvent) {
        if !self.is_enabled() {
            return;
        }
        let Some(mut delivery) = Delivery::begin_by_hand() else {
            return self.miss();
        };
        self.deliver(&mut delivery, &event);
        delivery.finish();
    }

    fn deliver(&self, delivery: &mut Delivery, event: &FrameEvent) {
        delivery.tell(&self.callbacks, |callback| callback(event));
    }

    /// Counts an event that was not delivered.
    pub(super) fn miss(&self) {
        self.missed.fetch_add(1, Relaxed);
    }

    /// The highest frame number that was seen.
    pub fn frame_number(&self) -> u64 {
        self.frame.load(Relaxed)
    }

    /// Counts a frame by hand, and returns its number.
    pub fn increment_frame(&self) -> u64 {
        self.frame.fetch_add(1, Relaxed) + 1
    }

    /// What a thread did; `None` if it was not seen.
    pub fn thread_stats(&self, thread: ThreadId) -> Option<ThreadFrameStats> {
        self.callbacks
            .counts(|threads| threads.get(&thread).map(|state| state.stats))
    }

    /// What every thread did that was seen.
    pub fn all_thread_stats(&self) -> Vec<(ThreadId, ThreadFrameStats)> {
        let stats = |(id, state): (&ThreadId, &ThreadState)| (*id, state.stats);
        self.callbacks
            .counts(|threads| threads.iter().map(stats).collect())
    }

    /// Forgets what threads did.
    pub fn reset_stats(&self) {
        self.callbacks.counts(Threads::clear);
        self.missed.store(0, Relaxed);
    }

    /// What all threads did.
    pub fn summary(&self) -> LifecycleSummary {
        let mut summary = LifecycleSummary {
            missed_events: self.missed.load(Relaxed),
            ..LifecycleSummary::default()
        };
        self.callbacks.counts(|threads| {
            summary.threads = threads.len();
            for ThreadState { stats, .. } in threads.values() {
                summary.frames_started += stats.frames_started;
                summary.frames_completed += stats.frames_completed;
                summary.total_allocated += stats.total_allocated;
                summary.peak_memory = summary.peak_memory.max(stats.peak_memory);
                summary.cross_thread_frees += stats.cross_thread_frees;
            }
        });
        summary
    }
}

impl LifecycleManager {
    /// Counts what happened on the thread `here`, and says it in the words of frame events, if there are any for it.
    pub(super) fn note(&self, event: &Event, here: ThreadId) -> Noted {
        let (event, listeners) = self.callbacks.count(|threads| match *event {
            Event::FrameBegun { number } => {
                let state = threads.entry(here).or_default();
                state.stats.frames_started += 1;
                state.stats.current_frame = number;
                (state.allocated, state.peak) = (0, state.live);
                self.frame.fetch_max(number, Relaxed);
                Some(FrameEvent::FrameBegin {
                    thread_id: here,
                    frame_number: number,
                    timestamp: Instant::now(),
                })
            }
            Event::FrameEnded {
                number,
                duration_us,
            } => {
                let state = threads.entry(here).or_default();
                state.stats.frames_completed += 1;
                Some(FrameEvent::FrameEnd {
                    thread_id: here,
                    frame_number: number,
                    duration_us,
                    total_allocated: state.allocated,
                    peak_memory: state.peak,
                })
            }
            Event::Allocated { block, frame } => {
                let state = threads.entry(here).or_default();
                let bytes = block.size as u64;
                state.live += bytes;
                state.allocated += bytes;
                state.peak = state.peak.max(state.live);
                state.stats.total_allocated += bytes;
                state.stats.peak_memory = state.stats.peak_memory.max(state.live);
                Some(FrameEvent::Alloc {
                    thread_id: here,
                    size: block.size,
                    tag: block.tag,
                    frame_number: frame,
                })
            }
            Event::Freed { block, by } => {
                let state = threads.entry(by).or_default();
                state.live = state.live.saturating_sub(block.size as u64);
                let was_cross_thread = by != here;
                if was_cross_thread {
                    threads.entry(here).or_default().stats.cross_thread_frees += 1;
                }
                Some(FrameEvent::Free {
                    thread_id: here,
                    size: block.size,
                    was_cross_thread,
                })
            }
            _ => not_counted(event, here),
        });
        Noted { event, listeners }
    }

    /// Tells the callbacks of what was noted.
    pub(super) fn tell(
        &self,
        delivery: &mut Delivery,
        event: &Event,
        here: ThreadId,
        noted: &Noted,
    ) {
        if let Some(event) = &noted.event {
            delivery.tell_all(&noted.listeners, |callback| callback(event));
        }
        // Blocks of the heap go back to the system at once.
        if let Event::Freed { block, by } = *event
            && by != here
            && block.is_pooled()
        {
            let queued = FrameEvent::CrossThreadFreeQueued {
                from: here,
                to: by,
                size: block.size,
            };
            // To who listens now.
            self.deliver(delivery, &queued);
        }
    }
}

/// Says an event in the words of frame events that changes no figures.
fn not_counted(event: &Event, here: ThreadId) -> Option<FrameEvent> {
    match *event {
        Event::Processed { blocks, bytes } => Some(FrameEvent::DeferredProcessed {
            thread_id: here,
            count: blocks,
            total_bytes: bytes,
        }),
        Event::TransferBegun { size } => Some(FrameEvent::TransferInitiated {
            from_thread: here,
            size,
        }),
        Event::TransferEnded { size } => Some(FrameEvent::TransferCompleted {
            to_thread: here,
            size,
        }),
        Event::Pressure { used, budget, .. } => Some(FrameEvent::MemoryPressure {
            thread_id: here,
            used,
            budget,
        }),
        Event::Exceeded {
            requested,
            used,
            budget,
            ..
        } => Some(FrameEvent::BudgetExceeded {
            thread_id: here,
            requested,
            available: budget.saturating_sub(used),
            budget,
        }),
        _ => None,
    }
}

impl Default for LifecycleManager {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for LifecycleManager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LifecycleManager")
            .field("enabled", &self.is_enabled())
            .field("summary", &self.summary())
            .finish_non_exhaustive()
    }
}

impl SmartAlloc {
    /// Turns on events and figures of frames and allocations, for all threads: see [`LifecycleManager`].
    ///
    /// A thread that runs already is watched from its next frame or frame allocation on; this one, and those that start later,
    /// at once. While it is on, every allocation of those threads takes a slow path.
    ///
    /// ```
    /// use framealloc::{FrameEvent, SmartAlloc};
    ///
    /// let alloc = SmartAlloc::with_defaults();
    /// alloc.enable_lifecycle_tracking();
    /// alloc.on_frame_event(|event| match event {
    ///     FrameEvent::FrameBegin { thread_id, frame_number, .. } => {
    ///         println!("frame {frame_number} of {thread_id:?}");
    ///     }
    ///     FrameEvent::FrameEnd { duration_us, peak_memory, .. } => {
    ///         println!("took {duration_us} µs, peak {peak_memory} bytes");
    ///     }
    ///     _ => {}
    /// });
    /// alloc.begin_frame();
    /// alloc.end_frame();
    /// let stats = alloc.thread_frame_stats(std::thread::current().id());
    /// assert_eq!(stats.frames_completed, 1);
    /// ```
    pub fn enable_lifecycle_tracking(&self) {
        self.lifecycle().enable();
    }

    /// Turns it off. Callbacks and figures stay.
    pub fn disable_lifecycle_tracking(&self) {
        self.lifecycle().disable();
    }

    /// Whether it is on.
    pub fn is_lifecycle_tracking_enabled(&self) -> bool {
        self.lifecycle().is_enabled()
    }

    /// Tells `callback` of every event, while tracking is on. What holds while it runs is told at [`LifecycleManager`].
    pub fn on_frame_event(
        &self,
        callback: impl Fn(&FrameEvent) + Send + Sync + 'static,
    ) -> ListenerId {
        self.lifecycle().on_event(callback)
    }

    /// What a thread did while tracking was on: all zero if it was not seen.
    pub fn thread_frame_stats(&self, thread: ThreadId) -> ThreadFrameStats {
        self.lifecycle().thread_stats(thread).unwrap_or_default()
    }

    /// This allocator's frame events.
    pub fn lifecycle(&self) -> &LifecycleManager {
        &self.domain().hub().lifecycle
    }
}

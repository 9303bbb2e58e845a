//! What listens to the allocator.
//!
//! ```text
//!  frames, leases, guards       +-----+  statistics: ThreadFrameStats, BehaviorFilter, history
//!  pool and heap blocks  -----> | Hub |  stacks: LeakTracker
//!  budgets, transfers, phases   +-----+  listeners: FrameEvent, DiagnosticsEvent, MemoryEvent
//! ```
//!
//! | file | what it is |
//! |---|---|
//! | `hub.rs` | who listens, and the way of an event to them |
//! | `listeners.rs` | lists of listeners, and what holds while they run |
//! | `blocks.rs` | the watched blocks of pools and heap |
//! | `event.rs` | events, as the allocator tells them |
//! | `lifecycle.rs` | frame events and the figures of threads |
//! | `hooks.rs` | events and history for user interfaces |
//! | `profiler.rs` | events for profilers |
//!
//! While nobody listens nothing of this runs. Once somebody does, the allocator is *watched*: its threads take the slow paths
//! (see [metering](crate::allocators)), which tell the hub. A thread begins to be watched with its next frame or allocation of
//! frame memory; the one that turns watching on, and threads that start later, at once.
//!
//! Invariants: an event is delivered when what it tells of is done and whole, with no lock and no borrow held. A block is told of
//! as freed only if it was told of as allocated, and before its memory can be used again: blocks of pools and heap are given back
//! after that, also if a listener panics; an arena tells of what was freed in it before it tells of a new block, and before it lets
//! go of memory.

mod blocks;
mod event;
mod hooks;
mod hub;
mod lifecycle;
mod listeners;
mod profiler;

pub use hooks::{DiagnosticsEvent, DiagnosticsHooks, MemoryGraphData, MemorySample};
pub use lifecycle::{FrameEvent, LifecycleManager, LifecycleSummary, ThreadFrameStats};
pub use listeners::ListenerId;
pub use profiler::{MemoryEvent, ProfilerHooks, ProfilerZone};

#[cfg(feature = "debug")]
pub(crate) use blocks::traces_of;
pub(crate) use blocks::{Freed, forget};
pub(crate) use event::{Block, Event};
pub(crate) use hub::{Events, Hub, Switch, somebody_watches};
pub(crate) use listeners::swallow;

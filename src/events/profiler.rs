//! Events for profilers such as Tracy and Optick.

use core::fmt;
use std::sync::Arc;

use super::event::Event;
use super::hub::Switch;
use super::listeners::{Delivery, Listeners};
use crate::smart_alloc::SmartAlloc;
use crate::tags::TagId;

/// What a profiler is told. Every `Free` is of an address that was told of as allocated, and for one address it comes before the
/// next `Alloc`, whichever threads those are of: memory is given back when the callback has returned.
///
/// What the callback itself frees is not told of, as nothing is that it does. A profiler that minds is shown memory by
/// [`profile_with`](SmartAlloc::profile_with).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum MemoryEvent {
    /// Memory was allocated: of a frame, a pool or the heap.
    Alloc {
        /// Its address.
        ptr: usize,
        /// Bytes.
        size: usize,
        /// Whom it is charged to.
        tag: TagId,
    },
    /// It is about to be free again. Frame memory of guards is told of when the allocator sees that the guard has closed: when the next
    /// one opens on that thread, or the frame ends.
    Free {
        /// Its address.
        ptr: usize,
    },
    /// A frame has ended.
    FrameMark {
        /// Its number.
        frame_number: u64,
    },
    /// A [phase](SmartAlloc::begin_phase) begins on this thread.
    ZoneBegin {
        /// Its name.
        name: &'static str,
    },
    /// The innermost phase ends on this thread.
    ZoneEnd,
}

type Callback = dyn Fn(MemoryEvent) + Send + Sync;

/// Passes memory events on to a profiler: an allocator's ([`SmartAlloc::profiler`]), or those that the program emits.
///
/// What holds while the callback runs is told at [`LifecycleManager`](crate::LifecycleManager).
///
/// ```
/// use framealloc::{SmartAlloc, diagnostics::MemoryEvent};
///
/// let alloc = SmartAlloc::with_defaults();
/// alloc.profiler().set_callback(|event| match event {
///     MemoryEvent::Alloc { ptr, size, tag } => println!("{tag}: {size} bytes at {ptr:#x}"),
///     MemoryEvent::Free { ptr } => println!("{ptr:#x} is free"),
///     _ => {}
/// });
/// drop(alloc.pool_box(7)?);
/// # Ok::<(), framealloc::AllocError>(())
/// ```
pub struct ProfilerHooks {
    switch: Switch,
    /// One, or none.
    callback: Listeners<Callback>,
}

impl ProfilerHooks {
    /// Hooks of one's own, turned on, without a callback.
    pub fn new() -> Self {
        Self::of(Switch::alone(true))
    }

    pub(super) fn of(switch: Switch) -> Self {
        Self {
            switch,
            callback: Listeners::new(),
        }
    }

    /// Tells `callback` of everything, instead of the one before, and turns the hooks on.
    pub fn set_callback(&self, callback: impl Fn(MemoryEvent) + Send + Sync + 'static) {
        self.callback.replace_all(Arc::new(callback));
        self.set_enabled(true);
    }

    /// Takes the callback away, and turns the hooks off.
    pub fn clear_callback(&self) {
        self.set_enabled(false);
        self.callback.clear();
    }

    /// Turns the hooks on or off.
    pub fn set_enabled(&self, enabled: bool) {
        self.switch.set(enabled);
    }

    /// Whether they are on.
    pub fn is_enabled(&self) -> bool {
        self.switch.is_on()
    }

    /// Tells of memory that the program manages by itself.
    pub fn emit_alloc(&self, ptr: usize, size: usize, tag: TagId) {
        self.emit(MemoryEvent::Alloc { ptr, size, tag });
    }

    /// Tells that it is free again.
    pub fn emit_free(&self, ptr: usize) {
        self.emit(MemoryEvent::Free { ptr });
    }

    /// Tells of the end of a frame.
    pub fn emit_frame_mark(&self, frame_number: u64) {
        self.emit(MemoryEvent::FrameMark { frame_number });
    }

    /// Begins a zone. See [`ProfilerZone`].
    pub fn emit_zone_begin(&self, name: &'static str) {
        self.emit(MemoryEvent::ZoneBegin { name });
    }

    /// Ends the innermost zone.
    pub fn emit_zone_end(&self) {
        self.emit(MemoryEvent::ZoneEnd);
    }

    fn emit(&self, event: MemoryEvent) {
        if self.is_enabled()
            && let Some(mut delivery) = Delivery::begin_by_hand()
        {
            delivery.tell(&self.callback, |callback| callback(event));
            delivery.finish();
        }
    }

    pub(super) fn hear(&self, delivery: &mut Delivery, event: &Event) {
        let event = match *event {
            Event::Allocated { block, .. } => MemoryEvent::Alloc {
                ptr: block.address,
                size: block.size,
                tag: block.tag,
            },
            Event::Freed { block, .. } => MemoryEvent::Free { ptr: block.address },
            Event::FrameEnded { number, .. } => MemoryEvent::FrameMark {
                frame_number: number,
            },
            Event::ZoneBegun(name) => MemoryEvent::ZoneBegin { name },
            Event::ZoneEnded => MemoryEvent::ZoneEnd,
            _ => return,
        };
        delivery.tell(&self.callback, |callback| callback(event));
    }
}

impl Default for ProfilerHooks {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for ProfilerHooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProfilerHooks")
            .field("enabled", &self.is_enabled())
            .finish_non_exhaustive()
    }
}

/// A zone that ends when this drops.
#[must_use = "the zone ends when this drops"]
#[derive(Debug)]
pub struct ProfilerZone<'a>(&'a ProfilerHooks);

impl<'a> ProfilerZone<'a> {
    /// Begins a zone.
    pub fn new(hooks: &'a ProfilerHooks, name: &'static str) -> Self {
        let zone = Self(hooks);
        hooks.emit_zone_begin(name);
        zone
    }
}

impl Drop for ProfilerZone<'_> {
    fn drop(&mut self) {
        self.0.emit_zone_end();
    }
}

impl SmartAlloc {
    /// Passes this allocator's memory events on to a profiler, from when a callback is set.
    ///
    /// They are of every allocation of frames, pools and heap of the threads that are watched (see
    /// [`enable_lifecycle_tracking`](Self::enable_lifecycle_tracking)), with the ends of frames, and with phases as zones.
    pub fn profiler(&self) -> &ProfilerHooks {
        &self.domain().hub().profiler
    }
}

//! What an arena remembers of its blocks while somebody listens, to tell when they are free.
//!
//! A box that drops tells its chunk, and nobody else. So a block that is *followed* has a chunk of its own, which is retired from
//! the start: that is recycled the moment the block is dropped, and until then every frame's end finds it. As such a chunk is
//! a mapping, so many are followed at once and no more. Blocks beyond that are told of as freed when their chunk is, and those
//! of guards when the guard is seen to have closed.
//!
//! - **A block is told of as free before its memory is used again**: what was freed waits here, and who is about to tell of a new
//!   block tells of that first.

use core::cell::{Cell, RefCell};
use core::ptr::null;
use std::alloc::System;

use super::metering::chunk_of;
use super::{Arena, GuardMeter, Unaudited};
use crate::allocators::chunk::Chunk;
use crate::events::{Block, Event, Hub};
#[cfg(feature = "debug")]
use crate::leaks::Trace;
use crate::threads::this_thread;

/// Blocks of an arena that are followed at once.
const FOLLOWED: usize = 256;

/// No guard: the block is a lease.
pub(crate) const NO_GUARD: *const GuardMeter = null();

/// A block that was told of as allocated.
pub(super) struct Watched {
    chunk: *mut Chunk,
    /// The meter of the guard that it is of, or [`NO_GUARD`].
    guard: *const GuardMeter,
    block: Block,
    /// Ends of frames that it has seen.
    frames: u64,
    /// Where it was allocated, if that is tracked and the block is followed.
    #[cfg(feature = "debug")]
    trace: Option<std::sync::Arc<Trace>>,
}

pub(super) struct Watch {
    /// Leases with chunks of their own.
    followed: RefCell<Unaudited<Watched>>,
    others: RefCell<Unaudited<Watched>>,
    freed: RefCell<Unaudited<Watched>>,
    any: Cell<bool>,
}

impl Watch {
    pub(super) const fn new() -> Self {
        Self {
            followed: RefCell::new(Unaudited::new_in(System)),
            others: RefCell::new(Unaudited::new_in(System)),
            freed: RefCell::new(Unaudited::new_in(System)),
            any: Cell::new(false),
        }
    }

    /// Whether one more block may be followed.
    pub(super) fn has_room(&self) -> bool {
        self.followed.borrow().len() < FOLLOWED
    }

    /// A chunk is free again, and whatever was in it.
    pub(super) fn chunk_freed(&self, chunk: *mut Chunk) {
        if !self.any.get() {
            return;
        }
        let mut followed = self.followed.borrow_mut();
        if let Some(index) = followed.iter().position(|watched| watched.chunk == chunk) {
            self.freed.borrow_mut().push(followed.swap_remove(index));
            return;
        }
        self.take_others(|watched| watched.guard.is_null() && watched.chunk == chunk);
    }

    /// A guard has closed.
    pub(super) fn guard_closed(&self, meter: *const GuardMeter) {
        if self.any.get() {
            self.take_others(|watched| watched.guard == meter);
        }
    }

    fn take_others(&self, is_freed: impl Fn(&Watched) -> bool) {
        let (mut others, mut freed) = (self.others.borrow_mut(), self.freed.borrow_mut());
        let mut index = 0;
        while index < others.len() {
            if is_freed(&others[index]) {
                freed.push(others.swap_remove(index));
            } else {
                index += 1;
            }
        }
    }

    /// A frame has ended, and its chunks are retired or free.
    pub(super) fn frame_ended(&self, hub: &Hub) {
        if !self.any.get() {
            return;
        }
        for watched in &mut *self.followed.borrow_mut() {
            // SAFETY: a followed block's chunk is retired, and mapped until it is recycled (I1).
            if unsafe { (*watched.chunk).escaping_bytes() } == 0 {
                // Kept on purpose: a retained value's.
                continue;
            }
            watched.frames += 1;
            hub.behavior.survived(watched.block, watched.frames == 1);
            #[cfg(feature = "debug")]
            hub.leaks.escaped(watched.trace.as_ref(), watched.frames);
        }
    }

    /// What has been freed and not told of.
    pub(super) fn take_freed(&self) -> Unaudited<Watched> {
        if !self.any.get() {
            return Unaudited::new_in(System);
        }
        self.freed.replace(Unaudited::new_in(System))
    }

    /// Tells of what has been freed. User code may run.
    pub(super) fn tell_freed(&self, hub: &Hub) {
        tell(self.take_freed(), hub);
    }

    /// Nobody listens any more.
    pub(super) fn forget_all(&self) {
        if self.any.replace(false) {
            for list in [&self.followed, &self.others, &self.freed] {
                list.borrow_mut().clear();
            }
        }
    }
}

/// Tells of blocks that are free. User code may run.
pub(super) fn tell(freed: Unaudited<Watched>, hub: &Hub) {
    for Watched { block, frames, .. } in freed {
        hub.behavior.freed(block, frames == 0);
        hub.tell(Event::Freed {
            block,
            by: this_thread(),
        });
    }
}

impl Arena {
    /// Remembers a block that was just allocated, and tells of it, after what was freed before. User code may run.
    ///
    /// `guard` is the meter of the guard that it is of, or [`NO_GUARD`]; `frame` the number of the frame.
    pub(crate) fn watch(&self, hub: &Hub, block: Block, guard: *const GuardMeter, frame: u64) {
        let chunk = chunk_of(block.address);
        // SAFETY: the chunk of a live block is mapped (I1, I3).
        let alone = unsafe { (*chunk).is_big };
        let followed = guard.is_null() && alone;
        self.watch.tell_freed(hub);
        #[cfg(feature = "debug")]
        let trace = if followed {
            hub.leaks.trace(block)
        } else {
            None
        };
        if followed || hub.wants_blocks() {
            self.watch.any.set(true);
            let list = if followed {
                &self.watch.followed
            } else {
                &self.watch.others
            };
            list.borrow_mut().push(Watched {
                chunk,
                guard,
                block,
                frames: 0,
                #[cfg(feature = "debug")]
                trace,
            });
        }
        // A guard's memory cannot outlive the guard.
        let to_its_end = followed || !guard.is_null();
        hub.behavior.allocated(block, to_its_end, true);
        hub.tell(Event::Allocated { block, frame });
    }
}

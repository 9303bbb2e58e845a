//! What an arena remembers of its blocks while somebody listens, to tell when they are free.
//!
//! A box that drops tells its chunk, and nobody else. So a block that is *followed* has a chunk of its own, which is retired from
//! the start: that is recycled the moment the block is dropped, and until then every frame's end finds it. As such a chunk is
//! a mapping, so many are followed at once and no more. Blocks beyond that are told of as freed when their chunk is, and those
//! of guards when the guard is seen to have closed.
//!
//! - **A block is told of as free before its memory is used again**: what was freed waits here, and who is about to tell of a new
//!   block tells of that first. Until then its memory does not leave the arena.

use core::cell::{Cell, RefCell};
use core::ops::Range;
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
    pub(super) guard: *const GuardMeter,
    block: Block,
    /// Ends of frames that it has seen.
    frames: u64,
    /// Where it was allocated, if that is tracked and the block is followed.
    #[cfg(feature = "debug")]
    trace: Option<std::sync::Arc<Trace>>,
}

pub(super) struct Watch {
    /// Leases with chunks of their own: they are with those, in [`Big::followed`](super::Big).
    followed: Cell<usize>,
    others: RefCell<Unaudited<Watched>>,
    freed: RefCell<Unaudited<Watched>>,
    any: Cell<bool>,
}

impl Watch {
    pub(super) const fn new() -> Self {
        Self {
            followed: Cell::new(0),
            others: RefCell::new(Unaudited::new_in(System)),
            freed: RefCell::new(Unaudited::new_in(System)),
            any: Cell::new(false),
        }
    }

    /// Whether one more block may be followed.
    pub(super) fn has_room(&self) -> bool {
        self.followed.get() < FOLLOWED
    }

    /// Blocks are free again, of those that are not followed.
    pub(super) fn freed_where(&self, is_freed: impl Fn(&Watched) -> bool) {
        if !self.any.get() {
            return;
        }
        let mut others = self.others.borrow_mut();
        let mut index = 0;
        while index < others.len() {
            if is_freed(&others[index]) {
                self.freed.borrow_mut().push(others.swap_remove(index));
            } else {
                index += 1;
            }
        }
    }

    /// Whether something has been freed and not told of.
    pub(super) fn has_to_tell(&self) -> bool {
        !self.freed.borrow().is_empty()
    }

    /// Whether something in this chunk was told of as allocated, and not yet as free.
    pub(super) fn has_to_tell_of(&self, chunk: *mut Chunk) -> bool {
        let lists = [&self.others, &self.freed];
        let is_in_it = |watched: &Watched| watched.chunk == chunk;
        lists.iter().any(|list| list.borrow().iter().any(is_in_it))
    }

    /// Tells of what has been freed. User code may run; if it panics, the rest is told of all the same.
    pub(super) fn tell_freed(&self, hub: &Hub) {
        if !self.has_to_tell() {
            return;
        }
        let mut telling = Telling {
            watch: self,
            hub,
            blocks: self.freed.replace(Unaudited::new_in(System)),
            next: 0,
        };
        telling.go_on();
    }
}

/// Blocks that are being told of as free.
struct Telling<'a> {
    watch: &'a Watch,
    hub: &'a Hub,
    blocks: Unaudited<Watched>,
    next: usize,
}

impl Telling<'_> {
    fn go_on(&mut self) {
        while let Some(&Watched { block, frames, .. }) = self.blocks.get(self.next) {
            self.next += 1;
            self.hub.behavior.freed(block, frames == 0);
            self.hub.tell(&Event::Freed {
                block,
                by: this_thread(),
            });
        }
    }
}

impl Drop for Telling<'_> {
    fn drop(&mut self) {
        // What is left if a listener has panicked: another one's panic ends where it is, on a thread that unwinds.
        self.go_on();
        self.blocks.clear();
        let mut freed = self.watch.freed.borrow_mut();
        if freed.capacity() == 0 {
            // The next blocks take the same memory.
            core::mem::swap(&mut *freed, &mut self.blocks);
        }
    }
}

impl Arena {
    /// A chunk is free again, and whatever was leased in it.
    pub(super) fn chunk_freed(&self, chunk: *mut Chunk) {
        if !self.watch.any.get() {
            return;
        }
        // SAFETY: the chunk is mapped and this thread's (I2).
        if unsafe { (*chunk).is_big }
            && let Some(watched) = self.bigs.borrow_mut().of(chunk).followed.take()
        {
            self.watch.followed.update(|followed| followed - 1);
            self.watch.freed.borrow_mut().push(watched);
            return;
        }
        let is_lease = |watched: &Watched| watched.guard.is_null();
        self.watch
            .freed_where(|watched| is_lease(watched) && watched.chunk == chunk);
    }

    /// A frame has ended, and its chunks are retired or free.
    pub(super) fn frame_ended_for_watched(&self, hub: &Hub) {
        if self.watch.followed.get() == 0 {
            return;
        }
        let mut bigs = self.bigs.borrow_mut();
        for watched in bigs.iter_mut().filter_map(|big| big.followed.as_mut()) {
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

    /// Nobody listens any more.
    pub(super) fn forget_watched(&self) {
        if !self.watch.any.replace(false) {
            return;
        }
        for list in [&self.watch.others, &self.watch.freed] {
            list.borrow_mut().clear();
        }
        if self.watch.followed.replace(0) != 0 {
            for big in self.bigs.borrow_mut().iter_mut() {
                big.followed = None;
            }
        }
    }

    /// The open guard of this meter gives blocks back: those that lie at these addresses.
    pub(crate) fn guard_gave_back(&self, meter: *const GuardMeter, addresses: Range<usize>) {
        self.watch.freed_where(|watched| {
            watched.guard == meter && addresses.contains(&watched.block.address)
        });
    }

    /// Remembers a block that was just allocated, and tells of it, after what was freed before. User code may run.
    ///
    /// `guard` is the meter of the guard that it is of, or [`NO_GUARD`]; `frame` the number of the frame.
    pub(crate) fn watch(&self, hub: &Hub, block: Block, guard: *const GuardMeter, frame: u64) {
        let chunk = chunk_of(block.address);
        // SAFETY: the chunk of a live block is mapped (I1, I3).
        let alone = unsafe { (*chunk).is_big };
        let followed = guard.is_null() && alone;
        // What guards held that have closed may be where the block is.
        self.take_back_metered();
        self.watch.tell_freed(hub);
        #[cfg(feature = "debug")]
        let trace = if followed {
            hub.leaks.trace(block)
        } else {
            None
        };
        if followed || hub.wants_blocks() {
            self.watch.any.set(true);
            let watched = Watched {
                chunk,
                guard,
                block,
                frames: 0,
                #[cfg(feature = "debug")]
                trace,
            };
            if followed {
                self.watch.followed.update(|followed| followed + 1);
                self.bigs.borrow_mut().of(chunk).followed = Some(watched);
            } else {
                self.watch.others.borrow_mut().push(watched);
            }
        }
        // A guard's memory cannot outlive the guard.
        let to_its_end = followed || !guard.is_null();
        hub.behavior.allocated(block, to_its_end, true);
        hub.tell(&Event::Allocated { block, frame });
    }
}

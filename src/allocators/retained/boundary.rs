//! What the ends of frames, threads and domains do with retained values.

use core::marker::PhantomData;
use core::sync::atomic::Ordering::Relaxed;

use super::kind::{Owned, Room};
use super::list::{Due, Meta, Retained, Taken};
use crate::allocators::arena::Arena;
use crate::allocators::domain::Domain;
use crate::allocators::thread::local;
use crate::error::FrameError;

/// The retained values of the calling thread's arena.
pub(crate) struct Mine<'a> {
    arena: &'a Arena,
    /// Stays on the arena's thread (I2).
    _thread: PhantomData<*const ()>,
}

/// The retained values of an arena, seen from any thread.
pub(crate) struct Theirs<'a>(pub &'a Retained);

/// A value of a thread that has ended while the shared frame goes on. It lies in a plain box.
pub(crate) struct Stray {
    pub meta: Meta,
    pub value: Owned,
}

impl<'a> Mine<'a> {
    /// # Safety
    ///
    /// The arena is the calling thread's, and lives for `'a`.
    pub(crate) unsafe fn new(arena: *const Arena) -> Self {
        Self {
            // SAFETY: the caller's contract.
            arena: unsafe { &*arena },
            _thread: PhantomData,
        }
    }

    pub(crate) fn lists(&self) -> &'a Retained {
        &self.arena.retained
    }

    /// Drops the first value where it is, or leaves it to its handle.
    pub(crate) fn discard_first(&self) -> Option<Due> {
        // SAFETY: this is the arena's thread.
        unsafe { self.arena.retained.discard_first() }
    }

    /// Drops every value. What their destructors retain is dropped as well. One that panics does not keep the others from
    /// being dropped.
    pub(crate) fn discard_all(&self) {
        until_none(|| self.discard_first());
    }

    /// Ends the leases of values that have moved.
    pub(crate) fn look(&self) {
        // SAFETY: this is the arena's thread.
        unsafe { self.arena.retained.look() }
    }
}

/// Runs `step` until it returns `None`, also when it panics in between.
fn until_none<R>(step: impl FnMut() -> Option<R>) {
    struct Rest<R, F: FnMut() -> Option<R>>(F);
    impl<R, F: FnMut() -> Option<R>> Drop for Rest<R, F> {
        fn drop(&mut self) {
            while (self.0)().is_some() {}
        }
    }
    let mut rest = Rest(step);
    while (rest.0)().is_some() {}
}

impl Theirs<'_> {
    /// Drops every value, on the calling thread.
    fn discard_all(&self) {
        until_none(|| {
            let due = self.0.first()?;
            // Without memory it stays, and its own thread drops it where it is.
            let room = Room::boxed(due.kind)?;
            Some(self.0.take_first(&due, room, true))
        });
    }
}

/// A thread's frame that is about to end: it is still open, and ends when this drops.
pub(crate) struct EndingFrame<'a> {
    domain: &'a Domain,
    mine: Mine<'a>,
    frame: u64,
}

impl<'a> EndingFrame<'a> {
    pub(crate) fn mine(&self) -> &Mine<'a> {
        &self.mine
    }

    /// Ends the frame. Returns whether it was still open.
    pub(crate) fn end(self) -> bool {
        self.is_open()
    }

    /// Code of the user's that ran meanwhile may have ended it already, and begun another.
    fn is_open(&self) -> bool {
        self.mine.arena.open.get() && self.mine.arena.frames() == self.frame
    }
}

impl Drop for EndingFrame<'_> {
    fn drop(&mut self) {
        self.mine.look();
        if self.is_open() {
            let _ = self.domain.end_frame();
        }
    }
}

/// A shared frame that is about to end: it is still open, and ends when this drops. Values that are left are dropped.
pub(crate) struct EndingSharedFrame<'a>(&'a Domain);

impl Drop for EndingSharedFrame<'_> {
    fn drop(&mut self) {
        struct End<'a>(&'a Domain);
        impl Drop for End<'_> {
            fn drop(&mut self) {
                self.0.end_shared();
            }
        }
        let end = End(self.0);
        if end.0.retains.load(Relaxed) {
            end.0.discard_everywhere();
        }
    }
}

impl Domain {
    /// The retained values of the calling thread.
    pub(crate) fn mine(&self) -> Mine<'_> {
        // SAFETY: the arena of this thread in this domain, which owns it.
        unsafe { Mine::new(local(|local| self.resolve(local))) }
    }

    /// Begins to end the calling thread's frame.
    pub(crate) fn ending_frame(&self) -> Result<EndingFrame<'_>, FrameError> {
        let mine = self.mine();
        if !mine.arena.open.get() {
            return Err(self.no_frame());
        }
        Ok(EndingFrame {
            domain: self,
            frame: mine.arena.frames(),
            mine,
        })
    }

    /// Begins to end the shared frame.
    pub(crate) fn ending_shared_frame(&self) -> Result<EndingSharedFrame<'_>, FrameError> {
        if !self.shared_is_open() {
            return Err(FrameError::NotOpen);
        }
        Ok(EndingSharedFrame(self))
    }

    /// Ends the frame of an arena in which values are retained, and drops those.
    ///
    /// # Safety
    ///
    /// The arena is the calling thread's in this domain, and `open` was taken from it just now.
    #[cold]
    #[inline(never)]
    pub(crate) unsafe fn discard_and_end(&self, arena: *const Arena) {
        // SAFETY: the caller's contract.
        let mine = unsafe { Mine::new(arena) };
        // The destructors run in the frame of their values, as they do at the end of a scope.
        mine.arena.open.set(true);
        let ending = EndingFrame {
            domain: self,
            frame: mine.arena.frames(),
            mine,
        };
        ending.mine.discard_all();
    }

    /// Drops the retained values of all threads, on this one.
    fn discard_everywhere(&self) {
        self.mine().discard_all();
        let mut arenas = (0..).map_while(|index| self.retained_of(index));
        until_none(|| arenas.next().map(|retained| Theirs(retained).discard_all()));
        drop(self.take_strays());
    }

    /// What the calling thread does with its retained values when it ends.
    ///
    /// Those of its own frame are dropped. Those of a shared frame wait elsewhere for the end of that.
    ///
    /// # Safety
    ///
    /// The arena is the calling thread's in this domain.
    pub(crate) unsafe fn leave_retained(&self, arena: *const Arena) {
        // SAFETY: the caller's contract; the domain owns the arena.
        let mine = unsafe { Mine::new(arena) };
        let in_shared_frame =
            !mine.arena.open.get() && self.shared_is_open() && self.has_joined(mine.arena);
        while in_shared_frame
            && let Some(due) = mine.lists().first()
            && let Some(room) = Room::boxed(due.kind)
        {
            let rest = self.stray(|| {
                // A handle that is still alive dies with the thread, too late for the value to go anywhere.
                match mine.lists().take_first(&due, room, true) {
                    Taken::Moved(value) => Ok(Stray {
                        meta: due.meta,
                        value,
                    }),
                    other => Err(other),
                }
            });
            drop(rest);
        }
        mine.discard_all();
        mine.look();
    }
}

impl Drop for Domain {
    fn drop(&mut self) {
        if !self.retains.load(Relaxed) {
            return;
        }
        let mut arenas = (0..).map_while(|index| self.retained_of(index));
        // SAFETY: the domain is gone, and with it all that borrowed a handle of it.
        until_none(|| arenas.next().map(|retained| unsafe { retained.drop_all() }));
    }
}

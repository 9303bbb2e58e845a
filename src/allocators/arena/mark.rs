//! Checkpoints as the allocator's front sees them: a mark in this thread's frame, and what may be done with it.

use core::ptr;

use super::Arena;
use super::seals::{InUse, Refused};
use crate::allocators::domain::Domain;
use crate::allocators::one_thread::Here;
use crate::allocators::thread::{Local, local_by_address};
use crate::checkpoints::{RollbackError, RollbackErrorKind};

/// A place in a frame to roll back to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    domain: u64,
    /// The arena's address, for comparing.
    arena: usize,
    /// The seal's, and zero if no frame was open.
    number: u64,
    pub(crate) frame: u64,
    pub(crate) head: usize,
    /// An arena is one thread's.
    _here: Here<'static>,
}

impl Mark {
    /// Whether a frame was open where it was taken.
    pub(crate) fn is_in_a_frame(&self) -> bool {
        self.number != 0
    }
}

impl Domain {
    /// Marks where this thread's frame stands. If none is open here, the mark is in none.
    pub(crate) fn mark(&self) -> Mark {
        local_by_address(|local| {
            let Some(arena) = self.open_arena(local) else {
                return Mark {
                    domain: self.id(),
                    arena: 0,
                    number: 0,
                    frame: 0,
                    head: 0,
                    _here: Here::NOW,
                };
            };
            let (number, head) = arena.seal(local);
            hood_if_metered(arena, local);
            Mark {
                domain: self.id(),
                arena: ptr::from_ref(arena).addr(),
                number,
                frame: self.frame_of(arena).0,
                head,
                _here: Here::NOW,
            }
        })
    }

    /// Frees what was leased on this thread since `mark`. On an error nothing has changed.
    pub(crate) fn roll_back(&self, mark: Mark) -> Result<(), RollbackError> {
        let refuse = |kind| Err(RollbackError::new(kind));
        if mark.domain != self.id() {
            return refuse(RollbackErrorKind::OtherAllocator);
        }
        local_by_address(|local| {
            let Some(arena) = self.open_arena(local) else {
                return refuse(RollbackErrorKind::NoFrame);
            };
            if ptr::from_ref(arena).addr() != mark.arena {
                return refuse(if mark.is_in_a_frame() {
                    RollbackErrorKind::OtherThread
                } else {
                    RollbackErrorKind::OtherFrame
                });
            }
            let result = arena.roll_back(local, mark.number);
            hood_if_metered(arena, local);
            result.map_err(|refused| match refused {
                Refused::InUse(InUse { bytes, tags }) => RollbackError::in_use(bytes, tags),
                Refused::Unsealed => RollbackError::new(self.why_unsealed(mark, arena)),
            })
        })
    }

    /// Why an arena has no seal for one of its marks.
    #[cold]
    fn why_unsealed(&self, mark: Mark, arena: &Arena) -> RollbackErrorKind {
        if mark.number <= arena.seals.ended.get() || mark.frame != self.frame_of(arena).0 {
            RollbackErrorKind::OtherFrame
        } else {
            RollbackErrorKind::Stale
        }
    }

    /// Keeps what was leased on this thread since `mark`, which becomes stale.
    pub(crate) fn release(&self, mark: Mark) {
        local_by_address(|local| {
            if let Some(arena) = self.open_arena(local)
                && ptr::from_ref(arena).addr() == mark.arena
            {
                arena.release(local, mark.number);
                hood_if_metered(arena, local);
            }
        });
    }

    /// This thread's arena, active, if a frame is open here.
    fn open_arena(&self, local: &Local) -> Option<&Arena> {
        if local.key.get() != self.key() {
            self.enter(local).ok()?;
        }
        // SAFETY: the arena of this thread in this domain, which is active.
        Some(unsafe { &*local.arena.get() })
    }
}

/// Hides the room of the chunk that bumping goes on in from the fast paths, if allocations are counted.
#[inline]
fn hood_if_metered(arena: &Arena, local: &Local) {
    if arena.is_metered() {
        local.hood();
    }
}

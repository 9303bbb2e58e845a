//! What a handle and the promoted item of its value share once the frame has ended: the place that the value will move to.

use core::mem;
use core::ptr::NonNull;
use std::sync::Arc;

use super::kind::{Owned, Room};
use crate::sync::Mutex;

pub(super) struct Pending(Mutex<State>);

enum State {
    /// The handle is alive.
    Waiting(Room),
    /// It has let go, and the value has moved.
    Arrived(Owned),
    /// The item is gone, or its value was taken.
    Gone,
}

impl Pending {
    /// The handle's half and the item's.
    pub(super) fn new(room: Room) -> (Arc<Self>, Claim) {
        let pending = Arc::new(Self(Mutex::new(State::Waiting(room))));
        (Arc::clone(&pending), Claim(pending))
    }

    /// Moves the value to its room. Returns whether the room was still there; otherwise the value is still the caller's.
    ///
    /// # Safety
    ///
    /// `value` is a value of the room's kind. It is the caller's, who does not use it any more if this returns true.
    pub(super) unsafe fn arrive(&self, value: NonNull<u8>) -> bool {
        let mut state = self.0.lock();
        match mem::replace(&mut *state, State::Gone) {
            State::Waiting(room) => {
                // SAFETY: the caller's contract. Moving runs nobody's code.
                *state = State::Arrived(unsafe { room.fill(value) });
                true
            }
            State::Arrived(_) | State::Gone => false,
        }
    }
}

/// The item's half: owns the room, and the value once it has arrived.
pub(crate) struct Claim(Arc<Pending>);

impl Claim {
    pub(crate) fn has_arrived(&self) -> bool {
        matches!(*self.0.0.lock(), State::Arrived(_))
    }

    /// The value, if it has arrived.
    pub(crate) fn redeem(self) -> Result<Owned, Self> {
        let mut state = self.0.0.lock();
        match mem::replace(&mut *state, State::Gone) {
            State::Arrived(owned) => Ok(owned),
            other => {
                *state = other;
                drop(state);
                Err(self)
            }
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let state = mem::replace(&mut *self.0.0.lock(), State::Gone);
        // Its destructor is the user's code: it runs with the lock released.
        drop(state);
    }
}

//! Handles: values that may move, found through slots that know where they are.
//!
//! ```text
//!  Handle (owner, slot 2, generation 7)
//!                    |
//!  slots:  [ word | address ] [ word | address ] [ word 7 | address ]      never move, found without a lock
//!                                                             |
//!  segment, 64 KiB:   [ value |   hole   | value | value | hole ... ]      values slide from sparse segments
//!  segment, 64 KiB:   [ value | value | value |     hole      | ... ]      into the holes of full ones
//!  block of its own:  [ large value ]                                      never moves
//! ```
//!
//! - **H1** (owner, slot, generation) is given out once, for a value of one type.
//! - **H2** A slot's address changes only under the lock, by whoever claimed or moves the value; it is a valid address of
//!   the value whenever the word says that somebody may use it.
//! - **H3** Granules are marked as used from before a value is written until after it was dropped or moved away, and nothing
//!   else lies in them.

pub(crate) mod granules;
mod guards;
mod handle;
mod plan;
mod space;
mod state;

pub use guards::{HandleMut, HandleRef};
pub use handle::Handle;

use core::alloc::Layout;
use core::mem::ManuallyDrop;
use core::num::NonZero;
use core::ptr::{self, NonNull, null_mut};
use core::sync::atomic::{AtomicPtr, Ordering::Relaxed};
use std::sync::Arc;

use super::borrow::word::Word;
use super::domain::fresh_key;
use super::pages::Pages;
use super::panics::FirstPanic;
use super::payer::Payer;
use crate::error::AllocError;
use crate::handles::{HandleAllocatorStats, HandleError};
use crate::sync::Mutex;
use handle::Key;
use state::{Kind, Memory, Place, State};

/// What is told of a value's new address, by whoever writes the value meanwhile.
type Relocated = Arc<dyn Fn(NonNull<u8>) + Send + Sync>;

/// The same, of a known type.
pub(crate) type Callback<T> = Arc<dyn Fn(&mut T) + Send + Sync>;

pub(super) struct Slot {
    word: Word,
    value: AtomicPtr<u8>,
}

/// See the module's documentation.
pub(crate) struct HandleHeap {
    owner: NonZero<u64>,
    slots: Pages<Slot>,
    state: Mutex<State>,
    payer: Payer,
}

impl HandleHeap {
    pub(crate) fn new(payer: Payer) -> Self {
        Self {
            owner: NonZero::new(fresh_key()).expect("keys begin at one"),
            slots: Pages::new(),
            state: Mutex::new(State::default()),
            payer,
        }
    }

    /// The slot that a handle of this heap means. If its word agrees, the slot's value is a `T` (H1).
    #[inline(always)]
    fn slot<T>(&self, handle: Handle<T>) -> Result<&Slot, HandleError> {
        if handle.owner != self.owner {
            return Err(not_ours(handle));
        }
        self.slots.get(handle.key.slot).ok_or(HandleError::Freed)
    }

    /// Takes a value and stores it. `relocated` is called after each of its moves. If there is no memory, the value stays
    /// where it is: it is passed by reference so that large ones are not copied from call to call.
    ///
    /// # Panics
    ///
    /// If there is no value.
    pub(crate) fn insert<T: Send + Sync + 'static>(
        &self,
        value: &mut Option<T>,
        relocatable: bool,
        relocated: Option<Callback<T>>,
    ) -> Result<Handle<T>, AllocError> {
        let kind = Kind::of::<T>();
        // What is allocated is allocated with the lock released: a budget may have something to say to its owner. What
        // turns out not to be needed goes when this drops, with the lock released too.
        let mut fresh = None;
        assert!(value.is_some());
        loop {
            let mut state = self.state.lock();
            let index = state.next_slot();
            let Some(slot) = self.slots.get(index) else {
                drop(state);
                self.slots.grow(index, &self.payer, || Slot {
                    word: Word::vacant(0),
                    value: AtomicPtr::new(null_mut()),
                })?;
                continue;
            };
            let Some((block, home)) = state.room(kind.layout, &mut fresh) else {
                drop(state);
                fresh = Some(Memory::allocate(kind.layout, &self.payer)?);
                continue;
            };
            // SAFETY: the room is nobody else's (H3), and large and aligned enough.
            unsafe { block.cast::<T>().write(value.take().expect("a value")) };
            slot.value.store(block.as_ptr(), Relaxed);
            let place = Place {
                home,
                kind,
                relocatable,
                relocated: relocated.map(|relocated| -> Relocated {
                    // SAFETY: called with the address of the `T` of this slot, by whoever writes it (B1).
                    Arc::new(move |value| relocated(unsafe { value.cast::<T>().as_mut() }))
                }),
            };
            state.occupy(index, place);
            let generation = slot.word.publish();
            let key = Key {
                slot: index,
                generation,
            };
            return Ok(Handle::new(key, self.owner));
        }
    }

    /// Reads a value.
    #[inline]
    pub(crate) fn read<T>(&self, handle: Handle<T>) -> Result<HandleRef<'_, T>, HandleError> {
        let slot = self.slot(handle)?;
        slot.word.read(handle.key.generation)?;
        // SAFETY: the read has begun, and the value is a `T` (H1).
        Ok(unsafe { HandleRef::new(slot) })
    }

    /// Writes a value.
    #[inline]
    pub(crate) fn write<T>(&self, handle: Handle<T>) -> Result<HandleMut<'_, T>, HandleError> {
        let slot = self.slot(handle)?;
        slot.word.write(handle.key.generation)?;
        // SAFETY: the write has begun, and the value is a `T` (H1).
        Ok(unsafe { HandleMut::new(slot) })
    }

    /// Pins a value once more, and returns where it is.
    pub(crate) fn pin<T>(&self, handle: Handle<T>) -> Result<*mut T, HandleError> {
        let slot = self.slot(handle)?;
        slot.word.pin(handle.key.generation)?;
        Ok(slot.value.load(Relaxed).cast())
    }

    pub(crate) fn unpin<T>(&self, handle: Handle<T>) -> Result<(), HandleError> {
        Ok(self.slot(handle)?.word.unpin(handle.key.generation)?)
    }

    pub(crate) fn is_live<T>(&self, handle: Handle<T>) -> bool {
        handle.owner == self.owner
            && self
                .slots
                .get(handle.key.slot)
                .is_some_and(|slot| slot.word.state() == (handle.key.generation, true))
    }

    /// Drops a value and frees its memory.
    pub(crate) fn free<T>(&self, handle: Handle<T>) -> Result<(), HandleError> {
        let claimed = self.claim(handle)?;
        // SAFETY: claimed, so it is ours, and dropped once; it is a `T` (H1). Its memory is freed when `claimed` drops, on
        // unwinding too.
        unsafe { ptr::drop_in_place(claimed.address().cast::<T>()) };
        Ok(())
    }

    /// Moves a value out, and frees its memory.
    pub(crate) fn take<T>(&self, handle: Handle<T>) -> Result<T, HandleError> {
        let claimed = self.claim(handle)?;
        // SAFETY: claimed, so it is ours, and read once; it is a `T` (H1).
        Ok(unsafe { claimed.address().cast::<T>().read() })
    }

    fn claim<T>(&self, handle: Handle<T>) -> Result<Claimed<'_>, HandleError> {
        let next = self.slot(handle)?.word.claim(handle.key.generation)?;
        Ok(Claimed {
            heap: self,
            slot: handle.key.slot,
            usable_again: next.is_some(),
        })
    }

    /// Moves values together until no further segment can be emptied, or until values of `limit` bytes have moved. Returns
    /// how many moved.
    pub(crate) fn defragment(&self, limit: usize) -> usize {
        let mut told = Vec::new();
        // Memory is freed, and callbacks run, with the lock released.
        let (moves, freed) = self.compact(limit, &mut told);
        drop(freed);
        tell(told);
        moves
    }

    fn compact<'a>(&'a self, limit: usize, told: &mut Vec<Told<'a>>) -> (usize, Vec<Memory>) {
        let mut freed = Vec::new();
        let mut moves = 0;
        let mut bytes = 0;
        let mut state = self.state.lock();
        freed.extend(state.take_spare());
        let plan = state.plan(limit, |slot| {
            let uses = self.slots.get(slot).map(|slot| slot.word.uses());
            uses == Some((0, false))
        });
        for evacuation in plan {
            let mut within = 0;
            for (tenant, _) in &evacuation.moves {
                // Something moves each time, or a value larger than the limit would stand in the way for ever.
                if bytes + tenant.bytes > limit && moves + within > 0 {
                    break;
                }
                bytes += tenant.bytes;
                within += 1;
            }
            // All or none: part of a segment would move for nothing.
            let chosen = &evacuation.moves[..within];
            let movers: Vec<_> = chosen
                .iter()
                .map_while(|(tenant, _)| Mover::begin(self.slots.get(tenant.slot)?))
                .collect();
            if movers.len() < within {
                continue;
            }
            for ((tenant, room), mover) in chosen.iter().zip(movers) {
                let (to, relocated) = state.relocate(tenant.slot, *room, tenant.need);
                let from = mover.0.value.load(Relaxed);
                // SAFETY: the value moves (B1), from one place of its size to another that is nobody's (H3).
                unsafe { ptr::copy_nonoverlapping(from, to.as_ptr(), tenant.bytes) };
                mover.0.value.store(to.as_ptr(), Relaxed);
                state.leave(evacuation.segment, from, tenant.need);
                moves += 1;
                if let Some(relocated) = relocated {
                    // SAFETY: from here on we write the value, and nothing is done with it but passing on its address.
                    let value = unsafe { HandleMut::new(mover.into_writer()) };
                    told.push(Told { value, relocated });
                }
            }
            freed.extend(state.take_if_empty(evacuation.segment));
            if within < evacuation.moves.len() {
                break;
            }
        }
        state.relocations += moves as u64;
        (moves, freed)
    }

    pub(crate) fn stats(&self) -> HandleAllocatorStats {
        let state = self.state.lock();
        let pinned = state.live_slots().filter(|&slot| {
            self.slots
                .get(slot)
                .is_some_and(|slot| slot.word.uses().0 > 0)
        });
        let pinned_count = pinned.count() as u32;
        state.stats(pinned_count)
    }

    pub(crate) fn counts(&self) -> (u64, u32, u64) {
        let state = self.state.lock();
        (state.allocated, state.active, state.relocations)
    }
}

#[cold]
fn not_ours<T>(handle: Handle<T>) -> HandleError {
    match handle.is_dangling() {
        true => HandleError::Dangling,
        false => HandleError::Foreign,
    }
}

/// A value that is claimed: its place is given back when this drops.
struct Claimed<'a> {
    heap: &'a HandleHeap,
    slot: u32,
    usable_again: bool,
}

impl Claimed<'_> {
    fn address(&self) -> *mut u8 {
        let slot = self.heap.slots.get(self.slot).expect("it was claimed");
        slot.value.load(Relaxed)
    }
}

impl Drop for Claimed<'_> {
    fn drop(&mut self) {
        // What is left, memory and callback, drops with the lock released.
        let _rest = self.heap.state.lock().vacate(self.slot, self.usable_again);
    }
}

/// A value that is being moved. When this drops, others may use it.
struct Mover<'a>(&'a Slot);

impl<'a> Mover<'a> {
    /// `None` if somebody uses the value or pins it.
    fn begin(slot: &'a Slot) -> Option<Self> {
        slot.word.begin_move().then_some(Self(slot))
    }

    /// Ends the move, but keeps others from the value: the caller has begun to write it.
    fn into_writer(self) -> &'a Slot {
        let slot = ManuallyDrop::new(self).0;
        slot.word.end_move(true);
        slot
    }
}

impl Drop for Mover<'_> {
    fn drop(&mut self) {
        self.0.word.end_move(false);
    }
}

/// A value that has moved, whose owner wants to know. Nobody else sees it at its new address before.
struct Told<'a> {
    value: HandleMut<'a, u8>,
    relocated: Relocated,
}

/// Tells each owner. The first of their panics goes on when all are told.
fn tell(told: Vec<Told<'_>>) {
    let mut panic = FirstPanic::default();
    for Told { value, relocated } in told {
        panic.run(|| relocated(value.address()));
        drop(value);
        // It may be the last owner of what it captured.
        panic.run(|| drop(relocated));
    }
    panic.resume();
}

impl Drop for HandleHeap {
    fn drop(&mut self) {
        let mut panic = FirstPanic::default();
        let destructors = self.state.lock().destructors();
        for (index, drop) in destructors {
            if let Some(slot) = self.slots.get(index) {
                // SAFETY: it has a value, which nobody can have a guard of any more; dropped once.
                panic.run(|| unsafe { drop(slot.value.load(Relaxed)) });
            }
        }
        panic.resume();
    }
}

/// Where a value of a layout without a size lies.
fn nowhere(layout: Layout) -> NonNull<u8> {
    layout.dangling_ptr()
}

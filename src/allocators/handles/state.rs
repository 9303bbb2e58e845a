//! What is known of a heap of handles under its lock: which slots have values, and where they lie.

use core::alloc::Layout;
use core::mem;
use core::ptr::{self, NonNull};

use super::granules::{GRANULE, Need, SEGMENT};
use super::plan::{self, Candidate, Evacuation, Tenant};
use super::space::{Room, Space};
use super::{Relocated, nowhere};
use crate::allocators::payer::Payer;
use crate::allocators::{heap, os};
use crate::error::AllocError;
use crate::handles::HandleAllocatorStats;

/// A segment, or the block of one large value. Freed when it drops.
pub(super) struct Memory {
    start: NonNull<u8>,
    layout: Layout,
}

// SAFETY: it owns its memory.
unsafe impl Send for Memory {}

/// Segments begin at cache lines.
const SEGMENT_LAYOUT: Layout = match Layout::from_size_align(SEGMENT, 64) {
    Ok(layout) => layout,
    Err(_) => unreachable!(),
};

impl Memory {
    /// A segment for values of this layout, or a block for one.
    pub(super) fn allocate(value: Layout, payer: &Payer) -> Result<Self, AllocError> {
        let layout = match Need::of(value) {
            Some(_) => SEGMENT_LAYOUT,
            None => value,
        };
        let start = heap::allocate(layout, payer)?;
        if layout == SEGMENT_LAYOUT {
            os::conceal(start.as_ptr() as usize, SEGMENT);
        }
        Ok(Self { start, layout })
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        os::reveal(self.start.as_ptr() as usize, self.layout.size());
        // SAFETY: allocated with this layout, and no value is in it.
        unsafe { heap::free(self.start, self.layout) };
    }
}

/// Drops the value at an address, which is the caller's.
type Destructor = unsafe fn(*mut u8);

/// What is known of a type.
#[derive(Clone, Copy)]
pub(super) struct Kind {
    pub(super) layout: Layout,
    drop: Option<Destructor>,
}

impl Kind {
    pub(super) const fn of<T>() -> Self {
        unsafe fn drop_value<T>(value: *mut u8) {
            // SAFETY: the caller owns the value.
            unsafe { ptr::drop_in_place(value.cast::<T>()) }
        }
        Self {
            layout: Layout::new::<T>(),
            drop: if mem::needs_drop::<T>() {
                Some(drop_value::<T>)
            } else {
                None
            },
        }
    }
}

/// Where a value lies.
pub(super) enum Home {
    /// It has no size.
    Nowhere,
    Segment {
        room: Room,
        /// Where among the segment's tenants it is.
        at: usize,
    },
    Own(Memory),
}

pub(super) struct Place {
    pub(super) home: Home,
    pub(super) kind: Kind,
    pub(super) relocatable: bool,
    pub(super) relocated: Option<Relocated>,
}

#[derive(Default)]
pub(super) struct State {
    /// By slot; `None` without a value.
    places: Vec<Option<Place>>,
    free_slots: Vec<u32>,
    space: Space,
    /// The segments' memory, by their numbers.
    segments: Vec<Option<Memory>>,
    /// A segment without values, kept so that one value that comes and goes does not take and free one each time.
    spare: Option<u32>,
    /// Nothing has changed since compaction found nothing to do, and nothing was in its way but what stays so.
    settled: bool,
    pub(super) allocated: u64,
    pub(super) active: u32,
    pub(super) relocations: u64,
    live_bytes: usize,
    segment_bytes: usize,
    own_bytes: usize,
    relocatable: u32,
    retired: u32,
}

impl State {
    /// The slot that the next value gets.
    pub(super) fn next_slot(&self) -> u32 {
        match self.free_slots.last() {
            Some(&slot) => slot,
            None => u32::try_from(self.places.len()).unwrap_or(u32::MAX),
        }
    }

    /// Takes room for a value. If there is none, `fresh` is taken in; without it, the answer is `None`.
    pub(super) fn room(
        &mut self,
        layout: Layout,
        fresh: &mut Option<Memory>,
    ) -> Option<(NonNull<u8>, Home)> {
        if layout.size() == 0 {
            return Some((nowhere(layout), Home::Nowhere));
        }
        let Some(need) = Need::of(layout) else {
            let memory = fresh.take()?;
            self.own_bytes += layout.size();
            return Some((memory.start, Home::Own(memory)));
        };
        let room = match self.space.find(need) {
            Some(room) => room,
            None => {
                self.add(fresh.take()?);
                self.space.find(need).expect("an empty segment has room")
            }
        };
        if self.spare == Some(room.segment) {
            self.spare = None;
        }
        Some((self.block(room, need), Home::Segment { room, at: 0 }))
    }

    fn add(&mut self, memory: Memory) {
        let number = self.space.add(memory.start.as_ptr() as usize) as usize;
        if number == self.segments.len() {
            self.segments.push(None);
        }
        self.segments[number] = Some(memory);
        self.segment_bytes += SEGMENT;
    }

    /// Takes room and returns its address.
    fn block(&mut self, room: Room, need: Need) -> NonNull<u8> {
        self.space.take(room, need);
        let memory = self.segments[room.segment as usize].as_ref();
        let start = memory.expect("the segment is there").start;
        // SAFETY: the room lies in the segment.
        let block = unsafe { start.add(usize::from(room.start) * GRANULE) };
        os::reveal(block.as_ptr() as usize, usize::from(need.len) * GRANULE);
        block
    }

    /// Enters a value.
    pub(super) fn occupy(&mut self, slot: u32, mut place: Place) {
        if let Home::Segment { room, at } = &mut place.home {
            let tenants = &mut self.space.segment_mut(room.segment).tenants;
            *at = tenants.len();
            tenants.push(slot);
            self.relocatable += u32::from(place.relocatable);
        }
        self.settled = false;
        self.allocated += 1;
        self.active += 1;
        self.live_bytes += place.kind.layout.size();
        if self.free_slots.pop().is_none() {
            self.places.push(None);
        }
        self.places[slot as usize] = Some(place);
    }

    /// Removes a value that is dropped or moved out. Returns what is to drop with the lock released.
    pub(super) fn vacate(
        &mut self,
        slot: u32,
        usable_again: bool,
    ) -> (Option<Memory>, Option<Relocated>) {
        let place = self.places[slot as usize].take().expect("it has a value");
        let layout = place.kind.layout;
        self.settled = false;
        self.active -= 1;
        self.live_bytes -= layout.size();
        match usable_again {
            true => self.free_slots.push(slot),
            false => self.retired += 1,
        }
        let memory = match place.home {
            Home::Nowhere => None,
            Home::Own(memory) => {
                self.own_bytes -= layout.size();
                Some(memory)
            }
            Home::Segment { room, at } => {
                self.relocatable -= u32::from(place.relocatable);
                self.remove_tenant(room.segment, at);
                self.release(room, Need::of(layout).expect("it lies in a segment"));
                match self.space.segment(room.segment).tenants.is_empty() {
                    // One empty segment is kept.
                    true if self.spare.is_none() => {
                        self.spare = Some(room.segment);
                        None
                    }
                    true => self.remove_segment(room.segment),
                    false => None,
                }
            }
        };
        (memory, place.relocated)
    }

    fn remove_tenant(&mut self, segment: u32, at: usize) {
        let tenants = &mut self.space.segment_mut(segment).tenants;
        tenants.swap_remove(at);
        if let Some(&moved) = tenants.get(at)
            && let Some(Place {
                home: Home::Segment { at: place, .. },
                ..
            }) = &mut self.places[moved as usize]
        {
            *place = at;
        }
    }

    fn release(&mut self, room: Room, need: Need) {
        self.space.release(room, need);
        if os::HIDES {
            let memory = self.segments[room.segment as usize].as_ref();
            let start = memory.expect("the segment is there").start;
            let block = start.as_ptr() as usize + usize::from(room.start) * GRANULE;
            // SAFETY: the room is mapped, and nothing lies in it any more.
            unsafe { os::poison(block, usize::from(need.len) * GRANULE) };
        }
    }

    fn remove_segment(&mut self, segment: u32) -> Option<Memory> {
        self.space.remove(segment);
        self.segment_bytes -= SEGMENT;
        self.segments[segment as usize].take()
    }

    pub(super) fn take_spare(&mut self) -> Option<Memory> {
        let spare = self.spare.take()?;
        self.remove_segment(spare)
    }

    /// Plans a compaction. `idle` tells whether nobody uses or pins a slot's value.
    pub(super) fn plan(&mut self, limit: usize, idle: impl Fn(u32) -> bool) -> Vec<Evacuation> {
        if self.settled || limit == 0 {
            return Vec::new();
        }
        let mut all_idle = true;
        let mut candidates = Vec::new();
        for (number, segment) in self.space.segments() {
            let mut movable = Some(Vec::with_capacity(segment.tenants.len()));
            for &slot in &segment.tenants {
                let place = self.places[slot as usize].as_ref().expect("it has a value");
                let is_idle = idle(slot);
                all_idle &= is_idle || !place.relocatable;
                match &mut movable {
                    Some(tenants) if is_idle && place.relocatable => tenants.push(Tenant {
                        slot,
                        need: Need::of(place.kind.layout).expect("it lies in a segment"),
                        bytes: place.kind.layout.size(),
                    }),
                    _ => movable = None,
                }
            }
            candidates.push(Candidate {
                segment: number,
                granules: segment.granules.clone(),
                movable,
            });
        }
        let plan = plan::plan(candidates, limit);
        self.settled = plan.is_empty() && all_idle;
        plan
    }

    /// Gives a value that moves its new room, whose address is returned, and who wants to know. Its old room is still taken.
    pub(super) fn relocate(
        &mut self,
        slot: u32,
        to: Room,
        need: Need,
    ) -> (NonNull<u8>, Option<Relocated>) {
        let block = self.block(to, need);
        let place = self.places[slot as usize].as_mut().expect("it has a value");
        let relocated = place.relocated.clone();
        let tenants = &mut self.space.segment_mut(to.segment).tenants;
        let home = Home::Segment {
            room: to,
            at: tenants.len(),
        };
        tenants.push(slot);
        if let Home::Segment { room, at } = mem::replace(&mut place.home, home) {
            self.remove_tenant(room.segment, at);
        }
        (block, relocated)
    }

    /// Gives the room back that a value has moved out of.
    pub(super) fn leave(&mut self, segment: u32, from: *mut u8, need: Need) {
        let memory = self.segments[segment as usize].as_ref();
        let start = memory.expect("the segment is there").start;
        let room = Room {
            segment,
            start: ((from as usize - start.as_ptr() as usize) / GRANULE) as u16,
        };
        self.release(room, need);
    }

    pub(super) fn take_if_empty(&mut self, segment: u32) -> Option<Memory> {
        let empty = self.space.segment(segment).tenants.is_empty();
        empty.then(|| self.remove_segment(segment)).flatten()
    }

    pub(super) fn live_slots(&self) -> impl Iterator<Item = u32> {
        (0..)
            .zip(&self.places)
            .filter_map(|(slot, place)| place.as_ref().map(|_| slot))
    }

    /// What drops the values that need it, with their slots.
    pub(super) fn destructors(&self) -> Vec<(u32, Destructor)> {
        let places = (0..).zip(&self.places);
        places
            .filter_map(|(slot, place)| Some((slot, place.as_ref()?.kind.drop?)))
            .collect()
    }

    pub(super) fn stats(&self, pinned_count: u32) -> HandleAllocatorStats {
        HandleAllocatorStats {
            total_allocated: self.allocated,
            active_handles: self.active,
            total_slots: self.places.len() as u32,
            free_slots: self.free_slots.len() as u32,
            retired_slots: self.retired,
            relocatable_count: self.relocatable,
            pinned_count,
            relocation_count: self.relocations,
            live_bytes: self.live_bytes,
            segment_live_bytes: self.live_bytes - self.own_bytes,
            segment_bytes: self.segment_bytes,
            large_bytes: self.own_bytes,
        }
    }
}

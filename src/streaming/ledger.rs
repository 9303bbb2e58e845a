//! What is reserved, by whom, against which budget.
//!
//! One lock guards it. Under it a stream changes its state, except for what needs no account: borrows, and bytes being
//! written. No memory is taken or freed under it, and no user code runs.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::call::Call;
use super::eviction::{Claimed, Order};
use super::listeners::{EvictedStream, Listeners};
use super::{
    StreamError, StreamErrorKind, StreamId, StreamPriority, StreamState, StreamingStats, id,
};
use crate::allocators::payer::Payer;
use crate::allocators::streams::{Block, Freed, Settle, Slot, Streams, View};
use crate::budgets;
use crate::sync::Mutex;
use crate::tags::TagId;

/// The streams with their ledger.
pub(super) type Shared = Streams<Ledger>;

pub(super) struct Ledger {
    /// Which allocator it is: ids carry it.
    pub(super) id: u64,
    /// The stamp of the latest use of any stream.
    pub(super) clock: AtomicU64,
    /// Frames that have ended.
    pub(super) frame: AtomicU64,
    pub(super) payer: Payer,
    pub(super) listeners: Listeners,
    pub(super) accounts: Mutex<Accounts>,
}

/// The limits on a request's memory besides the budget, if it has any.
pub(super) type Limits = Option<budgets::Room>;

/// What the lock guards.
pub(super) struct Accounts {
    budget: usize,
    /// Never above the budget, unless that was lowered.
    reserved: usize,
    /// By slot.
    entries: Vec<Entry>,
    /// Slots without a stream.
    vacant: Vec<u32>,
    order: Order,
    reserved_count: usize,
    loading_count: usize,
    ready_count: usize,
    evictions: u64,
    evicted_bytes: u64,
}

/// What is known of a slot's present or latest stream.
pub(super) struct Entry {
    pub(super) generation: u32,
    pub(super) size: usize,
    pub(super) priority: StreamPriority,
    pub(super) tag: TagId,
    pub(super) pins: u32,
    /// Whether its writer has gone after writing everything, and it waits for `finish_load`.
    pub(super) writer_left: bool,
    /// The stamp under which it is in the order of eviction, if it is.
    pub(super) order_stamp: Option<u64>,
}

/// A stream whose block was taken by an eviction. The memory is freed when this drops.
pub(super) struct Victim {
    pub(super) evicted: EvictedStream,
    pub(super) block: Block,
}

/// The answer to a request for room.
pub(super) enum Room {
    /// The bytes are reserved. Once the victims' memory has been freed, the request's may be taken.
    Granted {
        victims: Vec<Victim>,
        /// Bytes that are reserved for the request and its victims together.
        held: usize,
    },
    /// There would be room, but what is evicted would not pay for the memory. The caller has to take that first.
    TakeFirst,
    /// There is no room. Nothing has changed.
    None { available: usize, evictable: usize },
}

impl Ledger {
    pub(super) fn new(budget: usize, payer: Payer) -> Self {
        Self {
            id: id::next_allocator(),
            // A slot that was never used has the stamp 0, which is not the latest then.
            clock: AtomicU64::new(1),
            frame: AtomicU64::new(0),
            payer,
            listeners: Listeners::new(),
            accounts: Mutex::new(Accounts {
                budget,
                reserved: 0,
                entries: Vec::new(),
                vacant: Vec::new(),
                order: Order::new(),
                reserved_count: 0,
                loading_count: 0,
                ready_count: 0,
                evictions: 0,
                evicted_bytes: 0,
            }),
        }
    }

    pub(super) fn id_of(&self, index: u32, generation: u32) -> StreamId {
        StreamId::new(self.id, index, generation)
    }
}

impl Accounts {
    pub(super) fn budget(&self) -> usize {
        self.budget
    }

    pub(super) fn set_budget(&mut self, budget: usize) {
        self.budget = budget;
    }

    pub(super) fn reserved(&self) -> usize {
        self.reserved
    }

    pub(super) fn available(&self) -> usize {
        self.budget.saturating_sub(self.reserved)
    }

    pub(super) fn evictable(&self, highest: StreamPriority) -> usize {
        self.order.bytes_up_to(highest)
    }

    pub(super) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The slot of a stream that there is, and how far it is.
    pub(super) fn live<'a>(
        &self,
        streams: &'a Shared,
        call: Call,
    ) -> Result<(&'a Slot, StreamState), StreamError> {
        let slot = call.slot(streams)?;
        let view = slot.view();
        match StreamState::of(view, call.id.generation()) {
            None | Some(StreamState::Evicting) => Err(call.unfit(Some(view))),
            Some(state) => Ok((slot, state)),
        }
    }

    pub(super) fn entry(&self, id: StreamId) -> &Entry {
        &self.entries[id.index() as usize]
    }

    fn count(&mut self, state: StreamState) -> &mut usize {
        match state {
            StreamState::Reserved => &mut self.reserved_count,
            StreamState::Loading => &mut self.loading_count,
            StreamState::Ready | StreamState::Evicting => &mut self.ready_count,
        }
    }

    // ---- Room -----------------------------------------------------------------------------------------------------

    /// Reserves `size` bytes, evicting if need be. `memory` has the limits on the memory, and is `None` if
    /// that was taken.
    pub(super) fn make_room(
        &mut self,
        streams: &Shared,
        size: usize,
        priority: StreamPriority,
        memory: Option<&Limits>,
    ) -> Room {
        let available = self.available();
        if size <= available {
            self.reserved += size;
            return Room::Granted {
                victims: Vec::new(),
                held: size,
            };
        }
        let need = size - available + self.reserved.saturating_sub(self.budget);
        let at_best = self.order.bytes_up_to(priority);
        if at_best < need {
            return Room::None {
                available,
                evictable: at_best,
            };
        }
        let claimed = self.claim(streams, need, priority);
        if claimed.bytes < need {
            Order::release(streams.slots(), &self.entries, &claimed);
            return Room::None {
                available,
                evictable: claimed.bytes,
            };
        }
        let paid = memory.is_none_or(|limits| self.pays(&claimed, size, limits));
        if !paid {
            Order::release(streams.slots(), &self.entries, &claimed);
            return Room::TakeFirst;
        }
        // Whichever is more stays reserved until the victims' memory is free.
        let held = claimed.bytes.max(size);
        self.reserved += held - claimed.bytes;
        Room::Granted {
            victims: self.evict(streams, claimed),
            held,
        }
    }

    /// Evicts whatever may be evicted until the budget is kept. The victims' bytes stay reserved.
    pub(super) fn evict_excess(&mut self, streams: &Shared) -> Vec<Victim> {
        let excess = self.reserved.saturating_sub(self.budget);
        let claimed = self.claim(streams, excess, StreamPriority::Critical);
        self.evict(streams, claimed)
    }

    fn claim(&mut self, streams: &Shared, need: usize, highest: StreamPriority) -> Claimed {
        let now = streams.ledger().clock.load(Relaxed);
        self.order
            .claim(streams.slots(), &mut self.entries, need, highest, now)
    }

    /// Whether evicting claimed streams makes sure of `size` bytes of memory.
    fn pays(&self, claimed: &Claimed, size: usize, limits: &Limits) -> bool {
        let freed_within = |tag| -> usize {
            let entries = claimed
                .streams
                .iter()
                .map(|&index| &self.entries[index as usize]);
            let within = entries.filter(|entry| entry.tag.is_in(tag));
            within.map(|entry| entry.size).sum()
        };
        let Some(limits) = limits else {
            return claimed.bytes >= size;
        };
        let near = limits.tags.iter().any(|(_, room)| *room < size);
        // A thread's budget gets nothing back from what others allocated.
        let fits = size <= limits.thread
            && limits
                .tags
                .iter()
                .all(|(tag, room)| size <= room.saturating_add(freed_within(*tag)));
        // Where no limit is near it is the system that may refuse, unless it just got back as much.
        fits && (near || claimed.bytes >= size)
    }

    fn evict(&mut self, streams: &Shared, claimed: Claimed) -> Vec<Victim> {
        let mut victims = Vec::with_capacity(claimed.streams.len());
        for index in claimed.streams {
            let entry = &mut self.entries[index as usize];
            let slot = streams.slots().get(index).expect("the stream has a slot");
            let Ok(block) = slot.evict(entry.generation) else {
                unreachable!("a claim is decided by who made it");
            };
            self.order.remove(index, entry);
            self.ready_count -= 1;
            self.evictions += 1;
            self.evicted_bytes += entry.size as u64;
            victims.push(Victim {
                evicted: EvictedStream {
                    id: streams.ledger().id_of(index, entry.generation),
                    size: entry.size,
                    priority: entry.priority,
                    tag: entry.tag,
                },
                block,
            });
        }
        victims
    }

    /// Returns bytes to the budget whose memory has been freed.
    pub(super) fn give_back(&mut self, bytes: usize) {
        self.reserved -= bytes;
    }

    // ---- Streams come and go ---------------------------------------------------------------------------------------

    /// Makes a stream of a block whose bytes are reserved.
    pub(super) fn install(
        &mut self,
        streams: &Shared,
        block: Block,
        size: usize,
        priority: StreamPriority,
        tag: TagId,
    ) -> StreamId {
        let index = self
            .vacant
            .pop()
            .unwrap_or_else(|| u32::try_from(self.entries.len()).expect("too many streams"));
        let Ok(generation) = streams.slots().make(index).install(block) else {
            unreachable!("a vacant slot has no stream");
        };
        let entry = Entry {
            generation,
            size,
            priority,
            tag,
            pins: 0,
            writer_left: false,
            order_stamp: None,
        };
        match self.entries.get_mut(index as usize) {
            Some(place) => *place = entry,
            None => self.entries.push(entry),
        }
        self.reserved_count += 1;
        streams.ledger().id_of(index, generation)
    }

    /// Takes a stream off the lists. Its block, if nobody uses that any more: then the slot is to be
    /// [vacated](Self::vacate) when it has been freed.
    pub(super) fn remove(
        &mut self,
        streams: &Shared,
        call: Call,
    ) -> Result<Option<Block>, StreamError> {
        let (slot, state) = self.live(streams, call)?;
        let freed = slot
            .remove(call.id.generation())
            .map_err(|view| call.unfit(Some(view)))?;
        let index = call.id.index();
        self.order.remove(index, &mut self.entries[index as usize]);
        *self.count(state) -= 1;
        Ok(match freed {
            Freed::Now(block) => Some(block),
            // Its writer, for whom it would wait, has gone already.
            Freed::Later if self.entry(call.id).writer_left && state == StreamState::Loading => {
                slot.writer_gone(call.id.generation()).ok()
            }
            Freed::Later => None,
        })
    }

    /// Lets the next stream into a slot whose block has been taken, and leaves its bytes reserved.
    pub(super) fn vacate(&mut self, streams: &Shared, index: u32, generation: u32) {
        let slot = streams.slots().make(index);
        streams.forget_loaded(slot);
        if slot.vacate(generation) {
            self.vacant.push(index);
        }
    }

    pub(super) fn has_begun(&mut self) {
        self.reserved_count -= 1;
        self.loading_count += 1;
    }

    /// The writer of a loading stream went without finishing it.
    pub(super) fn has_failed(&mut self) {
        self.loading_count -= 1;
    }

    /// Lets a loading stream whose writer has written everything wait for `finish_load`. Whether it does.
    pub(super) fn writer_leaves(&mut self, streams: &Shared, index: u32, generation: u32) -> bool {
        let slot = streams.slots().make(index);
        let view = slot.view();
        let is_loading = StreamState::of(view, generation) == Some(StreamState::Loading);
        let waits = is_loading && !view.is_ending() && slot.is_whole();
        if waits {
            self.entries[index as usize].writer_left = true;
        }
        waits
    }

    /// Makes a loading stream ready if its bytes are there and its writer is not at them.
    pub(super) fn finish(
        &mut self,
        streams: &Shared,
        index: u32,
        generation: u32,
    ) -> Result<(), View> {
        let slot = streams.slots().make(index);
        slot.finish(generation)?;
        streams.raise_loaded(slot, slot.size());
        self.loading_count -= 1;
        self.ready_count += 1;
        let ledger = streams.ledger();
        slot.touch(&ledger.clock, ledger.frame.load(Relaxed));
        self.order
            .insert(index, &mut self.entries[index as usize], slot.stamp());
        Ok(())
    }

    /// Changes what decides on a stream's place in the order of eviction.
    pub(super) fn reorder(
        &mut self,
        streams: &Shared,
        call: Call,
        change: impl FnOnce(&mut Entry) -> Result<(), StreamErrorKind>,
    ) -> Result<(), StreamError> {
        let (slot, state) = self.live(streams, call)?;
        let index = call.id.index();
        let entry = &mut self.entries[index as usize];
        self.order.remove(index, entry);
        let changed = change(entry);
        if state == StreamState::Ready {
            self.order.insert(index, entry, slot.stamp());
        }
        changed.map_err(|kind| call.refused(kind, Some(state)))
    }

    pub(super) fn stats(&self, loaded: usize) -> StreamingStats {
        StreamingStats {
            budget: self.budget,
            total_reserved: self.reserved,
            total_loaded: loaded,
            allocation_count: self.reserved_count + self.loading_count + self.ready_count,
            reserved_count: self.reserved_count,
            loading_count: self.loading_count,
            ready_count: self.ready_count,
            evictions: self.evictions,
            evicted_bytes: self.evicted_bytes,
            eviction_steps: self.order.steps(),
        }
    }
}

impl Settle for Ledger {
    fn settle(streams: &Shared, index: u32, generation: u32) {
        let mut accounts = streams.ledger().accounts.lock();
        let slot = streams.slots().make(index);
        if slot.view().is_ending() {
            if slot.is_whole() {
                let _ = accounts.finish(streams, index, generation);
            }
        } else if let Ok(block) = slot.reap(generation) {
            drop(accounts);
            free(streams, index, generation, block);
        }
    }
}

/// Frees the block of a stream that is off the lists, then returns its bytes to the budget.
pub(super) fn free(streams: &Shared, index: u32, generation: u32, block: Block) {
    drop(block);
    let mut accounts = streams.ledger().accounts.lock();
    let size = accounts.entries[index as usize].size;
    accounts.vacate(streams, index, generation);
    accounts.give_back(size);
}

//! Metering: allocations of frame memory that are counted one by one, against budgets and for phases.
//!
//! The fast paths count nothing and look at nothing. So an arena that is metered *hoods* whatever they see: no room is left
//! between the bump pointer and the limit that they compare, so every allocation comes to the slow path, which knows the chunk's
//! real limit.
//!
//! ```text
//!                      ptr = limit (hooded)                 real limit
//!                             v                                  v
//!  chunk: | header | blocks  |  room that only the slow path sees |
//! ```
//!
//! - The thread's `Local` is hooded while a metered arena is active.
//! - A guard opened from a metered arena is hooded, and the first of its chunks has a [`GuardMeter`]. For that its opening
//!   has to take the slow path: the cache that it looks into is empty, and the chunks are in another.
//!
//! **Who is charged until when.** What a lease was charged lies with its chunk, and is released when that is free again. What a
//! guard was charged lies with its meter, and is released when the guard closes. A guard whose pointer equals its limit as it
//! closes looks whether it has a meter; that is all that an unmetered one pays.

use core::cell::Cell;
use core::ptr::null;
use std::alloc::Layout;

use super::{Arena, Big, Refused};
use crate::allocators::chunk::{self, Chunk};
use crate::allocators::domain::Domain;
use crate::allocators::layout::{self, footprint};
use crate::allocators::thread::Local;
use crate::budgets::{Account, Admission, Ledger, Memory, ThreadBudget};
use crate::error::AllocError;
use crate::phases;

/// Set in [`Arena::escaping`] while the arena is metered, so that its rewinds take the slow path.
pub(super) const METERED: usize = 1 << (usize::BITS - 1);

/// Who pays for frame memory, and is asked before it is given.
#[derive(Clone, Copy)]
pub(crate) struct FramePayer {
    account: Option<&'static Account>,
    /// The thread's budget, which the ledger keeps; null if it has none.
    thread: *const ThreadBudget,
}

/// What was charged to a payer for one allocation or several.
#[derive(Clone, Copy)]
pub(crate) struct FrameCharge {
    payer: FramePayer,
    bytes: usize,
    /// Of these, what was charged to the thread.
    thread_bytes: usize,
}

impl FramePayer {
    const NOBODY: Self = Self {
        account: None,
        thread: null(),
    };

    fn thread(&self) -> Option<&ThreadBudget> {
        // SAFETY: the ledger keeps the budgets of threads as long as it lives, and whoever holds a payer holds the domain,
        // which has the ledger.
        unsafe { self.thread.as_ref() }
    }

    /// Asks for `bytes`. User code may run.
    pub(crate) fn admit(
        self,
        ledger: &Ledger,
        layout: Layout,
        bytes: usize,
    ) -> Result<(FrameCharge, Admission), AllocError> {
        let mut charge = FrameCharge {
            payer: self,
            bytes: 0,
            thread_bytes: 0,
        };
        let mut admission = Admission::Here;
        if let Some(thread) = self.thread() {
            admission = thread.admit(ledger, layout, bytes)?;
            if admission == Admission::Here {
                charge.thread_bytes = bytes;
            }
        }
        if let Some(account) = self.account {
            // If it refuses, or what it runs panics, the thread gets its bytes back.
            let pending = Pending(charge);
            if ledger.admit(account, Memory::Frame, layout, bytes)? == Admission::Promoted {
                admission = Admission::Promoted;
            }
            core::mem::forget(pending);
            charge.bytes = bytes;
        }
        Ok((charge, admission))
    }
}

/// A charge that is given back unless it is forgotten.
struct Pending(FrameCharge);

impl Drop for Pending {
    fn drop(&mut self) {
        self.0.release();
    }
}

impl FrameCharge {
    fn is_nothing(&self) -> bool {
        self.bytes == 0 && self.thread_bytes == 0
    }

    fn same_payer(&self, other: &Self) -> bool {
        let account = |charge: &Self| charge.payer.account.map(core::ptr::from_ref);
        account(self) == account(other) && core::ptr::eq(self.payer.thread, other.payer.thread)
    }

    fn add(&mut self, more: Self) {
        self.bytes += more.bytes;
        self.thread_bytes += more.thread_bytes;
    }

    /// Gives part of it back, or what there is.
    fn release_part(&mut self, bytes: usize) {
        let part = Self {
            payer: self.payer,
            bytes: self.bytes.min(bytes),
            thread_bytes: self.thread_bytes.min(bytes),
        };
        self.bytes -= part.bytes;
        self.thread_bytes -= part.thread_bytes;
        part.release();
    }

    /// Gives it back.
    pub(crate) fn release(self) {
        if let Some(account) = self.payer.account
            && self.bytes != 0
        {
            account.release_frames(self.bytes);
        }
        if let Some(thread) = self.payer.thread()
            && self.thread_bytes != 0
        {
            thread.release(self.thread_bytes);
        }
    }
}

/// What was charged for the leases in a chunk.
pub(super) struct ChunkCharge {
    chunk: *mut Chunk,
    charge: FrameCharge,
}

/// What a guard's allocations are counted by. Belongs to the arena, and serves one guard after another.
pub(crate) struct GuardMeter {
    charge: Cell<FrameCharge>,
    domain: u64,
    free: Cell<bool>,
}

impl Arena {
    /// Whether allocations are counted one by one.
    #[inline]
    pub(crate) fn is_metered(&self) -> bool {
        self.escaping.get() & METERED != 0
    }

    /// Starts or stops counting. The arena is active in `local`.
    pub(crate) fn set_metered(&self, local: &Local, by_domain: bool, ledger: &Ledger) {
        if by_domain && self.ledger_version.replace(ledger.version()) != ledger.version() {
            let budget = ledger.this_thread();
            // Kept by the ledger.
            self.thread_budget
                .set(budget.map_or(null(), |budget| std::sync::Arc::as_ptr(&budget)));
        }
        let metered = by_domain || self.phased.get();
        if metered {
            self.escaping.set(self.escaping.get() | METERED);
            local.hood();
            // What guards that are not metered have given back.
            self.move_cache(&self.cache, &self.hidden);
        } else if self.is_metered() {
            self.escaping.set(self.escaping.get() & !METERED);
            local.limit.set(self.real_limit());
            self.move_cache(&self.hidden, &self.cache);
        }
    }

    fn move_cache(&self, from: &Cell<*mut Chunk>, to: &Cell<*mut Chunk>) {
        while !from.get().is_null() {
            let chunk = from.get();
            // SAFETY: cached chunks are mapped and this thread's (I2).
            unsafe {
                from.set((*chunk).next.get());
                (*chunk).next.set(to.get());
            }
            to.set(chunk);
        }
    }

    /// Where free chunks are.
    pub(super) fn free_chunks(&self) -> &Cell<*mut Chunk> {
        if self.is_metered() {
            &self.hidden
        } else {
            &self.cache
        }
    }

    /// Where the active chunk ends.
    fn real_limit(&self) -> usize {
        let top = self.top.get();
        if top.is_null() {
            return 0;
        }
        // SAFETY: the active chunk is mapped and this thread's (I2).
        unsafe { (*top).limit.get() }
    }

    /// Bytes that may still be allocated.
    pub(crate) fn remaining(&self, local: &Local, ledger: &Ledger) -> usize {
        let mut bigs = self.bigs.borrow_mut();
        let reusable = bigs.iter().filter(|big| !big.promoted && big.is_free());
        let reusable: usize = reusable.map(Big::capacity).sum();
        let room = self.room(&mut bigs, 0) + reusable;
        // Free chunks are carved, but not used.
        let mut free = 0;
        for list in [&self.cache, &self.hidden] {
            let mut next = list.get();
            while !next.is_null() {
                free += self.limits.payload;
                // SAFETY: cached chunks are mapped and this thread's (I2).
                next = unsafe { (*next).next.get() };
            }
        }
        let arena = room + free + (self.real_limit() - local.ptr.get().min(self.real_limit()));
        let payer = self.payer(local, ledger);
        payer
            .thread()
            .map_or(arena, |thread| thread.frame_remaining().min(arena))
    }

    /// Who pays for what the current tag allocates.
    pub(crate) fn payer(&self, local: &Local, ledger: &Ledger) -> FramePayer {
        FramePayer {
            account: self.budgeted.then(|| local.account(ledger)),
            thread: self.thread_budget.get(),
        }
    }

    /// Leases a block that was admitted, in a metered arena that is active in `local`.
    pub(crate) fn lease_metered(
        &self,
        local: &Local,
        layout: Layout,
        charge: FrameCharge,
        admission: Admission,
    ) -> Result<usize, Refused> {
        let leased = if admission == Admission::Promoted {
            self.lease_big(local, layout, true)
        } else {
            local.limit.set(self.real_limit());
            match super::bump_first(local, layout) {
                Some(block) => Ok(block),
                None => self.lease_slowly(local, layout),
            }
        };
        local.hood();
        let block = leased?;
        if !charge.is_nothing() {
            self.charge_chunk(chunk_of(block), charge);
        }
        if local.phases.get() != 0 {
            phases::count(self.domain_id, layout.size());
        }
        Ok(block)
    }

    /// Whether the block from `block` to `old_end` may become one that ends at `end`: it is the last one, and there is room.
    pub(crate) fn has_room(&self, local: &Local, old_end: usize, end: usize) -> bool {
        local.ptr.get() == old_end && end <= self.real_limit()
    }

    /// Moves the end of the last block, for which `charge` was made, in a metered arena that is active in `local`.
    pub(crate) fn grow_metered(
        &self,
        local: &Local,
        block: usize,
        end: usize,
        charge: FrameCharge,
    ) {
        local.ptr.set(end);
        local.hood();
        if !charge.is_nothing() {
            self.charge_chunk(chunk_of(block), charge);
        }
    }

    fn charge_chunk(&self, chunk: *mut Chunk, charge: FrameCharge) {
        let mut charges = self.charges.borrow_mut();
        if let Some(last) = charges
            .iter_mut()
            .rev()
            .find(|entry| entry.chunk == chunk && entry.charge.same_payer(&charge))
        {
            last.charge.add(charge);
        } else {
            charges.push(ChunkCharge { chunk, charge });
        }
    }

    /// Releases what was charged for leases in a chunk that is free again.
    pub(super) fn release_charges(&self, chunk: *mut Chunk) {
        self.charges.borrow_mut().retain(|entry| {
            let stays = entry.chunk != chunk;
            if !stays {
                entry.charge.release();
            }
            stays
        });
    }

    /// A block at `block` has become smaller by `bytes`.
    pub(crate) fn release_some(&self, block: usize, bytes: usize) {
        let chunk = chunk_of(block);
        let mut charges = self.charges.borrow_mut();
        if let Some(entry) = charges.iter_mut().rev().find(|entry| entry.chunk == chunk) {
            entry.charge.release_part(bytes);
        }
    }

    // ---- Guards ---------------------------------------------------------------------------------------------------

    /// Sets a meter on a guard that opens with this first chunk.
    pub(crate) fn meter_guard(&self, first: *mut Chunk, local: &Local, domain: &Domain) {
        let payer = self.payer(local, domain.ledger());
        let charge = FrameCharge {
            payer,
            bytes: 0,
            thread_bytes: 0,
        };
        let mut meters = self.meters.borrow_mut();
        let index = match meters.iter().position(|meter| meter.free.get()) {
            Some(index) => index,
            None => {
                meters.push(Box::new(GuardMeter {
                    charge: Cell::new(charge),
                    domain: self.domain_id,
                    free: Cell::new(false),
                }));
                meters.len() - 1
            }
        };
        let meter = &*meters[index];
        meter.charge.set(charge);
        meter.free.set(false);
        // SAFETY: the guard's chunk is mapped and this thread's. The meter is boxed and lives as long as the arena.
        unsafe { (*first).set_meter(meter) };
    }
}

impl GuardMeter {
    /// The meter of the guard with this first chunk.
    ///
    /// # Safety
    ///
    /// The guard is open, on this thread.
    pub(crate) unsafe fn of<'a>(first: *mut Chunk) -> Option<&'a Self> {
        // SAFETY: a guard's chunks are mapped (I3), and a meter lives as long as the arena, whose domain the guard borrows.
        unsafe { (*first).meter().as_ref() }
    }

    /// Asks for `bytes` more. User code may run.
    pub(crate) fn admit(
        &self,
        ledger: &Ledger,
        layout: Layout,
        bytes: usize,
    ) -> Result<(FrameCharge, Admission), AllocError> {
        self.charge.get().payer.admit(ledger, layout, bytes)
    }

    /// Asks for `bytes` more for a block that grows. User code may run.
    pub(crate) fn admit_more(&self, arena: &Arena, bytes: usize) -> bool {
        let domain = arena.domain();
        let admitted = Layout::from_size_align(bytes, 1)
            .ok()
            .and_then(|layout| self.admit(domain.ledger(), layout, bytes).ok());
        match admitted {
            Some((charge, Admission::Here)) => {
                let mut sum = self.charge.get();
                sum.add(charge);
                self.charge.set(sum);
                true
            }
            // It is to come from elsewhere.
            Some((charge, Admission::Promoted)) => {
                charge.release();
                false
            }
            None => false,
        }
    }

    /// Keeps what was charged until the guard closes.
    pub(crate) fn keep(&self, charge: FrameCharge, local: &Local, layout: Layout) {
        let mut sum = self.charge.get();
        sum.add(charge);
        self.charge.set(sum);
        if local.phases.get() != 0 {
            phases::count(self.domain, layout.size());
        }
    }

    /// The guard has given `bytes` back.
    pub(crate) fn give_back(&self, bytes: usize) {
        let mut sum = self.charge.get();
        sum.release_part(bytes);
        self.charge.set(sum);
    }

    /// The guard closes.
    pub(crate) fn close(&self, first: *mut Chunk) {
        let charge = self.charge.get();
        self.charge.set(FrameCharge {
            payer: FramePayer::NOBODY,
            bytes: 0,
            thread_bytes: 0,
        });
        self.free.set(true);
        // SAFETY: the guard's chunks are mapped and its own until it has closed (I3).
        unsafe { (*first).set_meter(null()) };
        charge.release();
    }
}

/// The chunk of a leased block.
fn chunk_of(block: usize) -> *mut Chunk {
    // A block where a chunk would begin has its header right before it.
    let adjacent = block.is_multiple_of(layout::CHUNK);
    chunk::of_block(block, if adjacent { layout::CHUNK } else { 1 })
}

/// What a block takes in a chunk of an arena whose chunks hold `payload` bytes, before which `ptr` stands.
pub(crate) fn cost(ptr: usize, limit: usize, layout: Layout, payload: usize) -> usize {
    if let Some((_, end)) = layout::bump(ptr, limit, layout) {
        return end - ptr;
    }
    // In a chunk of its own, or at the start of the next one: chunks are aligned, so that padding is the same in each.
    match layout::bump(layout::HEADER, layout::HEADER + payload, layout) {
        Some((_, end)) if !layout::is_big(layout, payload) => end - layout::HEADER,
        _ => footprint(layout.size()),
    }
}

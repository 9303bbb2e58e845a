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
//! - A guard opened from a metered arena is hooded, and the first of its chunks has a [`GuardMeter`], which is also its
//!   [home](super::home). For that its opening has to take the slow path: the cache that it looks into is empty, and the free
//!   chunks are in another.
//!
//! **Who is charged until when.** What a lease was charged lies with its chunk, and is released when that is free again. What a
//! guard was charged lies with its meter, and counts until the guard closes. Closing does not say so to anyone, since that
//! would cost guards that are not counted; but a meter's home tells. So whoever wants to know what is used, or is about to
//! refuse memory for it, *settles* the meters of closed guards first, whichever thread's they are.

use core::cell::{Cell, RefMut};
use core::ptr::{null, null_mut};
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering::AcqRel, Ordering::Relaxed};
use std::alloc::Layout;
use std::sync::Arc;

use super::{Arena, Big, GuardHome, Refused, Unaudited};
use crate::allocators::chunk::{self, Chunk};
use crate::allocators::domain::Domain;
use crate::allocators::layout::{self, footprint};
use crate::allocators::thread::Local;
use crate::budgets::{Admission, Ledger, Memory, Payee, ThreadBudget};
use crate::error::AllocError;
use crate::phases;
use crate::tags::TagId;

/// Set in [`Arena::escaping`] while the arena is metered, so that its rewinds take the slow path.
pub(super) const METERED: usize = 1 << (usize::BITS - 1);

/// Who pays for frame memory, and is asked before it is given.
#[derive(Clone, Copy)]
pub(crate) struct FramePayer {
    payee: Option<Payee>,
    /// The thread's budget, which the ledger keeps; null if it has none.
    thread: *const ThreadBudget,
}

/// What was charged to a payer for one allocation or several.
#[derive(Clone, Copy)]
pub(crate) struct FrameCharge {
    payer: FramePayer,
    pub(super) bytes: usize,
    /// Of these, what was charged to the thread.
    thread_bytes: usize,
}

impl FramePayer {
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
        if let Some(payee) = self.payee {
            if payee.slot.spend(bytes) {
                charge.bytes = bytes;
                return Ok((charge, admission));
            }
            // If it refuses, or what it runs panics, the thread gets its bytes back.
            let pending = Pending(charge);
            if ledger.admit(payee, Memory::Frame, layout, bytes)? == Admission::Promoted {
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
        let account = |charge: &Self| {
            charge
                .payer
                .payee
                .map(|payee| core::ptr::from_ref(payee.account))
        };
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
        if let Some(payee) = self.payer.payee
            && self.bytes != 0
        {
            payee.account.release_frames(self.bytes);
        }
        if let Some(thread) = self.payer.thread()
            && self.thread_bytes != 0
        {
            thread.release(self.thread_bytes);
        }
    }
}

/// What was charged for the leases in a standard chunk.
pub(super) struct ChunkCharge {
    chunk: *mut Chunk,
    pub(super) charge: FrameCharge,
}

/// What a guard's allocations are counted by. Shared by the arena, which reuses it for one guard after another, and the
/// ledger.
///
/// While its guard is open, only the arena's thread writes. When it has closed, whoever sets `settled` releases the charge; then
/// the arena's thread takes the chunks back.
pub(crate) struct GuardMeter {
    pub(crate) home: GuardHome,
    domain: u64,
    payee: Cell<Option<Payee>>,
    thread: Cell<*const ThreadBudget>,
    /// The tag that the guard was opened under. Used by the arena's thread alone.
    tag: Cell<TagId>,
    bytes: AtomicUsize,
    thread_bytes: AtomicUsize,
    settled: AtomicBool,
    /// Serves no guard. Touched by the arena's thread alone.
    free: Cell<bool>,
}

// SAFETY: `payee` and `thread` are written by the arena's thread before the guard opens, and read by others only after it
// has closed, which its home tells them (release and acquire); `free` is the arena's thread's; the rest is atomic.
unsafe impl Send for GuardMeter {}
// SAFETY: as above.
unsafe impl Sync for GuardMeter {}

impl Arena {
    /// Whether allocations are counted one by one.
    #[inline]
    pub(crate) fn is_metered(&self) -> bool {
        self.escaping.get() & METERED != 0
    }

    /// Starts or stops counting, as the domain and phases want it. The arena is active in `local`.
    #[inline(always)]
    pub(crate) fn set_metered(&self, local: &Local, by_domain: bool, ledger: &Ledger) {
        if by_domain || self.phased.get() || self.is_metered() {
            self.meter(local, by_domain, ledger);
        }
    }

    #[cold]
    fn meter(&self, local: &Local, by_domain: bool, ledger: &Ledger) {
        if by_domain && self.ledger_version.replace(ledger.version()) != ledger.version() {
            let budget = ledger.this_thread();
            // Kept by the ledger.
            drop(self.charges());
            self.tab.close();
            self.thread_budget
                .set(budget.map_or(null(), |budget| Arc::as_ptr(&budget)));
        }
        let metered = by_domain || self.phased.get();
        if metered {
            if !self.is_metered() {
                local.look_for_watchers();
            }
            self.escaping.set(self.escaping.get() | METERED);
            local.hood();
            // What guards that are not metered have given back.
            let chunks = self.home.cache();
            self.home.set_cache(null_mut());
            self.move_chunks(chunks);
            self.take_back_metered();
        } else if self.is_metered() {
            self.escaping.set(self.escaping.get() & !METERED);
            local.look_for_watchers();
            self.forget_watched();
            local.limit.set(self.real_limit());
            self.move_chunks(self.hidden.replace(null_mut()));
            self.take_back_metered();
        }
    }

    /// Puts a list of chunks into the cache.
    fn move_chunks(&self, mut from: *mut Chunk) {
        while !from.is_null() {
            let chunk = from;
            // SAFETY: free chunks are mapped and this thread's (I2), and on one list.
            unsafe {
                from = (*chunk).next.get();
                self.push_free(chunk);
            }
        }
    }

    /// Takes back the chunks of metered guards that have closed. Returns whether there were any.
    pub(super) fn take_back_metered(&self) -> bool {
        let mut any = false;
        for meter in &*self.meters.borrow() {
            if meter.home.is_empty() {
                continue;
            }
            meter.settle();
            let its = Arc::as_ptr(meter);
            self.watch.freed_where(|watched| watched.guard == its);
            let chunks = meter.home.cache();
            meter.home.set_cache(null_mut());
            self.home.count(meter.home.bytes.swap(0, Relaxed) as usize);
            self.move_chunks(chunks);
            meter.free.set(true);
            any = true;
        }
        any
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
    pub(crate) fn remaining(&self, local: &Local, ledger: &Arc<Ledger>) -> usize {
        let mut bigs = self.bigs.borrow_mut();
        let reusable = bigs.iter().filter(|big| !big.promoted && big.is_free());
        let reusable: usize = reusable.map(Big::capacity).sum();
        let room = self.room(&mut bigs, 0) + reusable;
        // Free chunks are carved, but not used.
        let mut free = 0;
        self.for_each_cached(|_| free += self.limits.payload);
        let arena = room + free + (self.real_limit() - local.ptr.get().min(self.real_limit()));
        let payer = self.payer(local, ledger);
        payer
            .thread()
            .map_or(arena, |thread| thread.frame_remaining().min(arena))
    }

    /// Who pays for what the current tag allocates.
    pub(crate) fn payer(&self, local: &Local, ledger: &Arc<Ledger>) -> FramePayer {
        FramePayer {
            payee: ledger.is_on().then(|| local.payee(ledger)),
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
        watched: bool,
    ) -> Result<usize, Refused> {
        // A block that is followed has a chunk of its own, whose end is that of the block.
        let alone = if watched && admission == Admission::Here && self.watch.has_room() {
            self.lease_big(local, layout, false).ok()
        } else {
            None
        };
        let leased = if let Some(block) = alone {
            Ok(block)
        } else if admission == Admission::Promoted {
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
            let charged = self.charge_chunk(chunk_of(block), charge);
            self.open_tab(local, chunk_of(block), charge, charged);
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

    /// The charges of chunks, up to date.
    fn charges(&self) -> RefMut<'_, Unaudited<ChunkCharge>> {
        let mut charges = self.charges.borrow_mut();
        self.tab.settle(&mut charges);
        charges
    }

    /// What follows a lease for which `charge` was added to the charge with this index, and that is like it, is paid for the same
    /// way, if its thread may pay from credit.
    fn open_tab(
        &self,
        local: &Local,
        chunk: *mut Chunk,
        charge: FrameCharge,
        index: Option<usize>,
    ) {
        if let Some(index) = index
            && let Some(payee) = charge.payer.payee
            && charge.payer.thread.is_null()
            && self.thread_budget.get().is_null()
            && chunk == self.top.get()
            && local.phases.get() == 0
        {
            self.tab.open(payee.account, chunk, index);
        }
    }

    /// Returns which charge it was added to, of a standard chunk.
    fn charge_chunk(&self, chunk: *mut Chunk, charge: FrameCharge) -> Option<usize> {
        // SAFETY: the chunk is mapped and this thread's (I2).
        if unsafe { (*chunk).is_big } {
            self.bigs.borrow_mut().of(chunk).charge = Some(charge);
            return None;
        }
        let mut charges = self.charges();
        let is_its = |entry: &ChunkCharge| entry.chunk == chunk && entry.charge.same_payer(&charge);
        if let Some(index) = charges.iter().rposition(is_its) {
            charges[index].charge.add(charge);
            Some(index)
        } else {
            charges.push(ChunkCharge { chunk, charge });
            Some(charges.len() - 1)
        }
    }

    /// Releases what was charged for leases in a chunk that is free again.
    pub(super) fn release_charges(&self, chunk: *mut Chunk) {
        self.chunk_freed(chunk);
        // SAFETY: the chunk is mapped and this thread's (I2).
        if unsafe { (*chunk).is_big } {
            let charge = self.bigs.borrow_mut().of(chunk).charge.take();
            if let Some(charge) = charge {
                charge.release();
            }
            return;
        }
        let mut charges = self.charges();
        self.tab.close();
        charges.retain(|entry| {
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
        // The last block of the active chunk, which is a standard one.
        let mut charges = self.charges();
        if let Some(entry) = charges.iter_mut().rev().find(|entry| entry.chunk == chunk) {
            entry.charge.release_part(bytes);
        }
    }

    // ---- Guards ---------------------------------------------------------------------------------------------------

    /// Sets a meter on a guard that opens with this first chunk: it is the guard's home.
    pub(crate) fn meter_guard(
        &self,
        first: *mut Chunk,
        local: &Local,
        domain: &Domain,
    ) -> &GuardHome {
        let payer = self.payer(local, domain.ledger());
        let mut meters = self.meters.borrow_mut();
        let index = match meters.iter().position(|meter| meter.free.get()) {
            Some(index) => index,
            None => {
                let meter = Arc::new(GuardMeter::new(self.domain_id));
                domain.ledger().watch_guard(meter.clone());
                meters.push(meter);
                meters.len() - 1
            }
        };
        let meter = Arc::as_ptr(&meters[index]);
        // SAFETY: the guard's chunk is mapped and this thread's; the arena keeps its meters as long as it lives.
        unsafe {
            (*first).set_meter(meter);
            (*meter).open(payer);
            &(*meter).home
        }
    }
}

impl GuardMeter {
    fn new(domain: u64) -> Self {
        Self {
            home: GuardHome::new(),
            domain,
            payee: Cell::new(None),
            thread: Cell::new(null()),
            tag: Cell::new(TagId::ROOT),
            bytes: AtomicUsize::new(0),
            thread_bytes: AtomicUsize::new(0),
            settled: AtomicBool::new(true),
            free: Cell::new(true),
        }
    }

    fn open(&self, payer: FramePayer) {
        self.free.set(false);
        self.payee.set(payer.payee);
        self.thread.set(payer.thread);
        self.tag.set(TagId::current());
        self.bytes.store(0, Relaxed);
        self.thread_bytes.store(0, Relaxed);
        self.settled.store(false, Relaxed);
    }

    pub(crate) fn tag(&self) -> TagId {
        self.tag.get()
    }

    fn payer(&self) -> FramePayer {
        FramePayer {
            payee: self.payee.get(),
            thread: self.thread.get(),
        }
    }

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
        self.payer().admit(ledger, layout, bytes)
    }

    /// Asks for `bytes` more for a block that grows. User code may run.
    pub(crate) fn admit_more(&self, arena: &Arena, bytes: usize) -> bool {
        let domain = arena.domain();
        let admitted = Layout::from_size_align(bytes, 1)
            .ok()
            .and_then(|layout| self.admit(domain.ledger(), layout, bytes).ok());
        match admitted {
            Some((charge, Admission::Here)) => {
                self.add(charge);
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

    fn add(&self, charge: FrameCharge) {
        let sum = self.bytes.load(Relaxed) + charge.bytes;
        self.bytes.store(sum, Relaxed);
        let sum = self.thread_bytes.load(Relaxed) + charge.thread_bytes;
        self.thread_bytes.store(sum, Relaxed);
    }

    /// Keeps what was charged for a block until the guard closes.
    pub(crate) fn keep(&self, charge: FrameCharge, local: &Local, layout: Layout) {
        self.add(charge);
        if local.phases.get() != 0 {
            phases::count(self.domain, layout.size());
        }
    }

    fn charge(&self) -> FrameCharge {
        FrameCharge {
            payer: self.payer(),
            bytes: self.bytes.load(Relaxed),
            thread_bytes: self.thread_bytes.load(Relaxed),
        }
    }

    /// The guard, which is open, has given `bytes` back.
    pub(crate) fn give_back(&self, bytes: usize) {
        let mut charge = self.charge();
        charge.release_part(bytes);
        self.bytes.store(charge.bytes, Relaxed);
        self.thread_bytes.store(charge.thread_bytes, Relaxed);
    }

    /// Releases the charge of a guard that has closed, unless that is done. Returns whether it did. Any thread may call it.
    pub(crate) fn settle(&self) -> bool {
        if self.home.is_empty() || self.settled.swap(true, AcqRel) {
            return false;
        }
        self.charge().release();
        true
    }
}

/// The chunk of a leased block.
pub(super) fn chunk_of(block: usize) -> *mut Chunk {
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

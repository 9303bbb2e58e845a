//! The frame memory of one (domain, thread): where chunks come from, and what becomes of them.
//!
//! ```text
//!            carve                     take                 every lease dropped
//!  regions ---------> chunk in cache <-------> active (top) ------------------> rewound in place
//!                        ^      ^------------> guard's                  \
//!                        |                                               \ left, or its frame ended, with leases
//!                        +------------------- retired <------------------'
//!                           last lease drops
//! ```
//!
//! A checkpoint seals the active chunk: it is set aside until the arena comes back to it. See [`seals`].
//!
//! The cache is a stack, so the chunk that was used last, and is warm in the CPU's cache, is used next. A chunk is carved
//! only when the cache is empty, so the number carved is the high-water mark of chunks in use: what the arena is resized to.

mod big;
mod home;
mod limits;
mod mark;
mod metering;
mod region;
mod seals;
mod supply;
mod tab;
mod watch;

use core::cell::{Cell, RefCell};
use core::ptr::{null, null_mut};
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::alloc::{Layout, System};
use std::sync::{Arc, Weak};

use web_time::Instant;

use big::{Big, Bigs};
use metering::{ChunkCharge, METERED};
use region::Region;
use seals::Seals;
use tab::Tab;
use watch::Watch;

use super::chunk::{self, Chunk, State, payload_start};
use super::domain::Domain;
use super::layout::{self, footprint};
use super::os;
use super::pool;
use super::record::add;
use super::retained::{Mine, Retained};
use super::thread::{Local, NotedTags};
use crate::budgets::ThreadBudget;
use crate::diagnostics;
use crate::events::Event;
use crate::phases;
use crate::stats::{ArenaStats, ArenaTotals};

pub(crate) use home::GuardHome;
pub(crate) use limits::{ArenaLimits, Refused};
pub(crate) use mark::Mark;
pub(crate) use metering::{GuardMeter, cost};
pub(crate) use watch::NO_GUARD;

/// The arena is looked over every so many frames: its high-water mark is taken and forgotten.
const WINDOW: u32 = 64;
/// After this many windows in which half of it would have done, an arena gives memory back.
const CALM_WINDOWS: u32 = 4;

/// A vector that a `HeapAudit` does not see: an arena that grows makes no heap traffic of its tag's.
type Unaudited<T> = allocator_api2::vec::Vec<T, System>;

#[repr(C)]
pub(crate) struct Arena {
    /// The cache of free chunks, and where guards give theirs back: at the arena's own address, which guards have at hand.
    pub(crate) home: GuardHome,
    /// The chunk that leases are bumped in. While the arena is active its bump state is in the thread's `Local`.
    top: Cell<*mut Chunk>,
    /// The cache of a metered arena, hidden from guards that open.
    hidden: Cell<*mut Chunk>,
    retired: Cell<*mut Chunk>,
    /// Chunks retired in the present frame whose leases have not ended; one more while there are seals; and [`METERED`]. Zero
    /// if a frame's end has none of them to see to.
    escaping: Cell<usize>,
    seals: Seals,
    /// A phase was begun since the arena was last rewound.
    pub(crate) phased: Cell<bool>,
    /// What leases are charged for, by chunk.
    charges: RefCell<Unaudited<ChunkCharge>>,
    tab: Tab,
    meters: RefCell<Unaudited<Arc<GuardMeter>>>,
    /// The state of the ledger in which `thread_budget` was looked up. The ledger keeps the budget.
    ledger_version: Cell<u64>,
    thread_budget: Cell<*const ThreadBudget>,
    /// Whether the thread's own frame is open.
    pub(crate) open: Cell<bool>,
    /// The thread has let go of the arena, of which something is in use: when nothing is any more, another may adopt it.
    ended: Cell<bool>,
    /// Values whose policy says where they go when the frame ends. Each holds a lease, so a frame that has any ends slowly.
    pub(crate) retained: Retained,
    domain: Weak<Domain>,
    pub(crate) domain_id: u64,
    /// The domain's epoch when this arena was last rewound for it.
    pub(crate) joined: Cell<u64>,
    /// Rewinds until the arena is looked over.
    countdown: Cell<u32>,
    calm: Cell<u32>,
    limits: ArenaLimits,
    regions: RefCell<Unaudited<Region>>,
    carved: Cell<usize>,
    bigs: RefCell<Bigs>,
    /// Bytes leased in chunks that were left in the present frame.
    left_bytes: Cell<usize>,
    /// `home.bytes` at the last rewind.
    guard_mark: Cell<u64>,
    // What other threads read.
    lease_bytes: AtomicU64,
    frames: AtomicU64,
    capacity: AtomicUsize,
    last_frame: AtomicUsize,
    peak_frame: AtomicUsize,
    retired_chunks: AtomicUsize,
    /// What there is to tell of blocks, while somebody listens.
    watch: Watch,
    /// The number of the open frame, and when it was opened, if somebody listened.
    pub(crate) begun_at: Cell<Option<(u64, Instant)>>,
}

impl Arena {
    pub(crate) fn new(limits: ArenaLimits, domain: &Domain) -> Box<Self> {
        Box::new(Self {
            top: Cell::new(null_mut()),
            home: GuardHome::new(),
            hidden: Cell::new(null_mut()),
            retired: Cell::new(null_mut()),
            escaping: Cell::new(0),
            seals: Seals::new(),
            open: Cell::new(false),
            ended: Cell::new(false),
            phased: Cell::new(false),
            charges: RefCell::new(Unaudited::new_in(System)),
            tab: Tab::new(),
            meters: RefCell::new(Unaudited::new_in(System)),
            ledger_version: Cell::new(0),
            thread_budget: Cell::new(null()),
            retained: Retained::new(),
            domain: domain.weak(),
            domain_id: domain.id(),
            joined: Cell::new(0),
            countdown: Cell::new(WINDOW),
            calm: Cell::new(0),
            limits,
            regions: RefCell::new(Unaudited::new_in(System)),
            carved: Cell::new(0),
            bigs: RefCell::new(Bigs::new()),
            left_bytes: Cell::new(0),
            guard_mark: Cell::new(0),
            lease_bytes: AtomicU64::new(0),
            frames: AtomicU64::new(0),
            capacity: AtomicUsize::new(0),
            last_frame: AtomicUsize::new(0),
            peak_frame: AtomicUsize::new(0),
            retired_chunks: AtomicUsize::new(0),
            watch: Watch::new(),
            begun_at: Cell::new(None),
        })
    }

    pub(crate) fn frames(&self) -> u64 {
        self.frames.load(Relaxed)
    }

    #[inline(always)]
    pub(crate) fn begun(&self) {
        add(&self.frames, 1);
    }

    pub(crate) fn stats(&self, thread: String, alive: bool) -> ArenaStats {
        ArenaStats {
            thread,
            alive,
            capacity: self.capacity.load(Relaxed),
            frame_bytes: self.last_frame.load(Relaxed),
            peak_frame_bytes: self.peak_frame.load(Relaxed),
            retired_chunks: self.retired_chunks.load(Relaxed),
            total_bytes: self.lease_bytes.load(Relaxed) + self.home.bytes.load(Relaxed),
        }
    }

    pub(crate) fn add_to(&self, totals: &mut ArenaTotals) {
        let frame_bytes = self.last_frame.load(Relaxed);
        totals.arenas += 1;
        totals.capacity += self.capacity.load(Relaxed);
        totals.frame_bytes += frame_bytes;
        totals.fullest = totals.fullest.max(frame_bytes);
        totals.retired_chunks += self.retired_chunks.load(Relaxed);
        totals.total_bytes += self.lease_bytes.load(Relaxed) + self.home.bytes.load(Relaxed);
    }

    // ---- Rewinding ------------------------------------------------------------------------------------------------

    /// Ends the arena's frame: what is leased stays, everything else is free again.
    ///
    /// The arena is active in `local`. Costs the same whatever was allocated, unless leases outlive the frame.
    #[inline]
    pub(crate) fn rewind(&self, local: &Local, domain: &Domain) {
        let top = self.top.get();
        if top.is_null() || self.escaping.get() != 0 || self.countdown.get() <= 1 {
            return self.rewind_slowly(local, domain);
        }
        let start = payload_start(top);
        let used = local.ptr.get() - start;
        // SAFETY: the active chunk is mapped and this thread's (I2).
        let balance = unsafe { &(*top).balance };
        if balance.get() != used as isize {
            return self.rewind_slowly(local, domain);
        }
        balance.set(0);
        // SAFETY: nothing in the chunk is leased.
        unsafe { os::poison(start, used) };
        local.rewound(start, used);
        self.countdown.set(self.countdown.get() - 1);
        self.count_frame(used);
        pool::deferred::frame_ends(local, domain);
    }

    /// Books the bytes of the frame that ends.
    #[inline(always)]
    fn count_frame(&self, used: usize) {
        let leased = used + self.left_bytes.replace(0);
        add(&self.lease_bytes, leased as u64);
        let guarded = self.home.bytes.load(Relaxed);
        let bytes = leased + (guarded - self.guard_mark.replace(guarded)) as usize;
        self.last_frame.store(bytes, Relaxed);
        if bytes > self.peak_frame.load(Relaxed) {
            self.peak_frame.store(bytes, Relaxed);
        }
    }

    #[cold]
    #[inline(never)]
    fn rewind_slowly(&self, local: &Local, domain: &Domain) {
        if domain.retains.load(Relaxed) {
            // SAFETY: this is the arena's thread.
            unsafe { Mine::new(self) }.look();
            if self.retained.count() != 0 {
                // SAFETY: as above; an arena that joins a shared frame has none, so a thread's own frame ends.
                return unsafe { domain.discard_and_end(self) };
            }
        }
        self.take_back_metered();
        self.leave_top(local.ptr.get(), local.take_noted());
        self.end_seals();
        local.jump(0, 0);
        self.count_frame(0);
        let unended = if self.phased.replace(false) {
            phases::end_frame(self.domain_id)
        } else {
            Vec::new()
        };
        let mut escaped = Unaudited::new_in(System);
        let escaping = self.escaping.replace(self.escaping.get() & METERED);
        if escaping & !METERED != 0 {
            self.seals.splits_escaped();
            let mut next = self.retired.get();
            while !next.is_null() {
                // SAFETY: retired chunks are mapped and this thread's (I1, I2).
                let chunk = unsafe { &*next };
                if matches!(chunk.state.get(), State::Retired | State::Split) {
                    chunk.state.set(State::Escaped);
                    let bytes = chunk.escaping_bytes();
                    if bytes != 0 {
                        escaped.push((chunk.tags(), bytes));
                    }
                }
                next = chunk.next.get();
            }
        }
        self.frame_ended_for_watched(domain.hub());
        // From here on with nothing borrowed: what is told and reported may run code that uses this very arena (I6).
        self.watch.tell_freed(domain.hub());
        let countdown = self.countdown.get().saturating_sub(1);
        self.countdown.set(countdown);
        if countdown == 0 {
            self.countdown.set(WINDOW);
            // Another thread may get the memory: not before it was told of as free.
            if self.is_idle() && !self.watch.has_to_tell() {
                self.look_over();
            }
        }
        for _ in &unended {
            domain.hub().tell(&Event::ZoneEnded);
        }
        if !escaped.is_empty() {
            domain.report_escapes(escaped);
        }
        if !unended.is_empty() {
            phases::report_unended(&unended);
        }
        pool::deferred::frame_ends(local, domain);
    }

    /// Takes leave of the active chunk: it goes to the cache, or is retired if something in it is leased.
    fn leave_top(&self, ptr: usize, noted: NotedTags) {
        let top = self.top.replace(null_mut());
        if !top.is_null() {
            self.leave(top, ptr, noted);
        }
    }

    /// Takes leave of a chunk that was bumped in up to `ptr`, and is neither active nor sealed any more.
    #[inline(always)]
    fn leave(&self, top: *mut Chunk, ptr: usize, noted: NotedTags) {
        let used = ptr - payload_start(top);
        self.left_bytes.set(self.left_bytes.get() + used);
        // SAFETY: the chunk is mapped and this thread's (I2).
        let chunk = unsafe { &*top };
        let leased = used as isize - chunk.balance.get();
        if leased == 0 {
            // SAFETY: nothing in it is leased, and it was never a guard's.
            unsafe { self.recycle(top, used) };
        } else {
            chunk.balance.set(-leased);
            chunk.set_tags(noted);
            self.retire(top);
        }
    }

    /// Puts a chunk with leases on the retired list.
    fn retire(&self, top: *mut Chunk) {
        // SAFETY: the chunk is mapped and this thread's (I2), and so are those on the list.
        unsafe {
            let next = self.retired.get();
            (*top).state.set(State::Retired);
            (*top).retired_at.set(self.seals.now());
            (*top).set_prev(null_mut());
            (*top).next.set(next);
            if !next.is_null() {
                (*next).set_prev(top);
            }
        }
        self.retired.set(top);
        self.retired_chunks
            .store(self.retired_chunks.load(Relaxed) + 1, Relaxed);
        self.escaping.set(self.escaping.get() + 1);
    }

    /// Takes a retired chunk back, whose last lease has just ended.
    ///
    /// # Safety
    ///
    /// `chunk` is on this arena's retired list, its balance is zero, and the calling thread is the arena's.
    pub(crate) unsafe fn recycle_retired(&self, chunk: *mut Chunk) {
        // SAFETY: the caller's contract; neighbours on the list are mapped.
        unsafe {
            let (prev, next) = ((*chunk).prev(), (*chunk).next.get());
            if prev.is_null() {
                self.retired.set(next);
            } else {
                (*prev).next.set(next);
            }
            if !next.is_null() {
                (*next).set_prev(prev);
            }
            self.retired_chunks
                .store(self.retired_chunks.load(Relaxed) - 1, Relaxed);
            match (*chunk).state.replace(State::Plain) {
                State::Retired => self.escaping.set(self.escaping.get() - 1),
                State::Split => self.forget_split(),
                State::Plain | State::Escaped => {}
            }
            self.recycle(
                chunk,
                (*chunk).limit.get().wrapping_sub(payload_start(chunk)),
            );
        }
        let _offer = OfferWhenTold(self);
        // None if the lease was ended by the domain itself, which is going: nobody listens any more.
        if self.watch.has_to_tell() && self.domain.strong_count() != 0 {
            // SAFETY: whose lease has just ended borrows a handle of the domain (I1).
            let domain = unsafe { &*self.domain.as_ptr() };
            self.watch.tell_freed(domain.hub());
        }
    }

    /// Offers the arena for adoption, if its thread has ended and nothing of it is in use.
    fn offer(&self) {
        if !self.ended.get() {
            return;
        }
        self.take_back_metered();
        if self.is_idle()
            && let Some(domain) = self.domain.upgrade()
        {
            domain.orphan(self);
        }
    }

    /// Begins a life on another thread.
    pub(crate) fn begin_life(&self) {
        self.ended.set(false);
        self.ledger_version.set(0);
        self.frames.store(0, Relaxed);
    }

    /// Makes a chunk free for its next use.
    ///
    /// # Safety
    ///
    /// Nothing in the chunk is leased, no guard holds it, and it is neither active nor on a list.
    #[inline(always)]
    pub(crate) unsafe fn recycle(&self, chunk: *mut Chunk, used: usize) {
        if self.is_metered() {
            self.release_charges(chunk);
        }
        // SAFETY: the chunk is mapped and this thread's (I2).
        unsafe {
            if (*chunk).is_big {
                return self.recycle_big(chunk);
            }
            self.give_back(chunk, used);
        }
    }

    /// Puts a standard chunk into the cache.
    ///
    /// # Safety
    ///
    /// As for [`recycle`](Self::recycle).
    #[inline(always)]
    unsafe fn give_back(&self, chunk: *mut Chunk, used: usize) {
        // SAFETY: the chunk is mapped and this thread's (I2), and nothing in it is in use.
        unsafe {
            os::poison(payload_start(chunk), used);
            self.push_free(chunk);
        }
    }

    #[cold]
    #[inline(never)]
    fn recycle_big(&self, chunk: *mut Chunk) {
        let mut bigs = self.bigs.borrow_mut();
        let big = bigs.free(chunk);
        // SAFETY: the block is free.
        unsafe { os::poison(big.block(), big.capacity()) };
    }

    /// Nothing of the arena is in use: no chunk is retired, active or a guard's (not even a forgotten one's).
    ///
    /// Guards are not counted, since opening one would pay for it: what is not in the cache is in use.
    fn is_idle(&self) -> bool {
        let mut cached = 0;
        self.for_each_cached(|_| cached += 1);
        cached == self.carved.get() && self.bigs.borrow().iter().all(Big::is_free)
    }

    /// Fits the arena to what it was used for. It is idle, and has no active chunk.
    fn look_over(&self) {
        let limits = &self.limits;
        let peak = self.carved.replace(0);
        self.home.set_cache(null_mut());
        self.hidden.set(null_mut());
        let mut regions = self.regions.borrow_mut();
        let mut bigs = self.bigs.borrow_mut();
        let chunks: usize = regions.iter().map(|region| region.chunks).sum();
        let wanted = peak.max(limits.start_chunks);
        let roomy = wanted <= chunks / 2;
        self.calm.set(if roomy { self.calm.get() + 1 } else { 0 });
        if regions.len() > 1 || self.calm.get() >= CALM_WINDOWS {
            self.calm.set(0);
            // Without memory for the new region the old ones serve on.
            if let Some(region) = Region::map(wanted, limits) {
                for old in regions.drain(..) {
                    // SAFETY: the arena is idle, and the cache that listed these chunks was emptied.
                    unsafe { old.unmap() };
                }
                regions.push(region);
            }
        }
        bigs.look_over();
        self.note_capacity(&regions, &bigs);
    }

    fn note_capacity(&self, regions: &[Region], bigs: &Bigs) {
        let chunks: usize = regions.iter().map(|region| region.chunks).sum();
        let bytes = chunks * self.limits.payload + bigs.iter().map(Big::capacity).sum::<usize>();
        self.capacity.store(bytes, Relaxed);
    }

    // ---- Leasing --------------------------------------------------------------------------------------------------

    /// Makes room for a block of `layout`, which did not fit the active chunk, and leases it.
    ///
    /// The arena is active in `local`. On an error nothing has changed.
    #[cold]
    #[inline(never)]
    pub(crate) fn lease_slowly(&self, local: &Local, layout: Layout) -> Result<usize, Refused> {
        if self.is_big(layout) {
            return self.lease_big(local, layout, false);
        }
        let top = self.top.get();
        if !top.is_null() && self.top_is_free(top, local) {
            // Everything in it is dropped: it starts over in the middle of the frame.
            self.start_over(top, local);
            if let Some(block) = bump_first(local, layout) {
                return Ok(block);
            }
        }
        let next = match self.take(layout) {
            Ok(next) => next,
            Err(refused) => return self.lease_from_sealed(local, layout).ok_or(refused),
        };
        self.leave_top(local.ptr.get(), local.take_noted());
        self.start_with(next, local);
        Ok(bump_first(local, layout).unwrap_or_else(|| {
            diagnostics::bug("a chunk does not hold the block that it was taken for")
        }))
    }

    /// Makes a chunk the active one that was just taken, or in which nothing is leased.
    #[inline(always)]
    fn start_with(&self, chunk: *mut Chunk, local: &Local) {
        self.top.set(chunk);
        // SAFETY: the chunk is mapped and this thread's (I2).
        unsafe {
            (*chunk).balance.set(0);
            local.jump(payload_start(chunk), (*chunk).limit.get());
        }
    }

    /// Empties the active chunk, in which nothing is leased any more, in the middle of the frame.
    fn start_over(&self, top: *mut Chunk, local: &Local) {
        let start = payload_start(top);
        let used = local.ptr.get() - start;
        // SAFETY: nothing in the chunk is leased.
        unsafe { os::poison(start, used) };
        self.left_bytes.set(self.left_bytes.get() + used);
        if self.is_metered() {
            self.release_charges(top);
        }
        local.take_noted();
        self.start_with(top, local);
    }

    /// Leases a block with a chunk of its own: retired from the start, so that its one lease recycles it.
    fn lease_big(&self, local: &Local, layout: Layout, promoted: bool) -> Result<usize, Refused> {
        let (chunk, block) = self.take_big(layout, promoted)?;
        let size = footprint(layout.size());
        // SAFETY: the chunk is ours and on no list.
        unsafe {
            (*chunk).balance.set(-(size as isize));
            (*chunk).set_tags(local.only_this_tag());
        }
        self.retire(chunk);
        self.left_bytes.set(self.left_bytes.get() + size);
        local.charge(size);
        Ok(block)
    }

    /// Whether a block of `layout` gets a chunk of its own.
    pub(crate) fn is_big(&self, layout: Layout) -> bool {
        layout::is_big(layout, self.limits.payload)
    }

    /// Bytes of blocks that a standard chunk holds.
    pub(crate) fn payload(&self) -> usize {
        self.limits.payload
    }

    /// The domain, for someone who has a guard or a lease of it.
    pub(crate) fn domain(&self) -> Arc<Domain> {
        let domain = self.domain.upgrade();
        domain.unwrap_or_else(|| diagnostics::bug("a guard has outlived its domain"))
    }

    fn top_is_free(&self, top: *mut Chunk, local: &Local) -> bool {
        // SAFETY: the active chunk is mapped and this thread's (I2).
        unsafe { (*top).balance.get() as usize == local.ptr.get() - payload_start(top) }
    }

    // ---- The ends -------------------------------------------------------------------------------------------------

    /// The arena's thread ends. `ptr` and `noted` are its last bump state.
    ///
    /// # Safety
    ///
    /// The calling thread is the arena's, and the arena is not active.
    pub(crate) unsafe fn thread_ended(&self, ptr: usize, noted: NotedTags) {
        self.open.set(false);
        self.leave_top(ptr, noted);
        self.end_seals();
        self.count_frame(0);
        self.ended.set(true);
        self.offer();
    }
}

/// Offers an arena when it drops: only when it was told what was freed in it may another thread tell of its memory.
struct OfferWhenTold<'a>(&'a Arena);

impl Drop for OfferWhenTold<'_> {
    fn drop(&mut self) {
        self.0.offer();
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        // Every lease and guard is gone or was forgotten: they borrowed a handle of the domain.
        for region in self.regions.get_mut().drain(..) {
            // SAFETY: see above.
            unsafe { region.unmap() };
        }
        // SAFETY: see above.
        unsafe { self.bigs.get_mut().unmap_all() };
    }
}

/// Bumps a block in a chunk that has just become the active one.
#[inline(always)]
fn bump_first(local: &Local, layout: Layout) -> Option<usize> {
    let start = local.ptr.get();
    let (block, end) = layout::bump(start, local.limit.get(), layout)?;
    // SAFETY: `start` lies in the active chunk.
    unsafe { chunk::credit(start, block - start) };
    local.ptr.set(end);
    Some(block)
}

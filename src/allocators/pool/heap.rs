//! One thread's pools: a list of free blocks for each size class, and the pages that they come from.
//!
//! ```text
//!  PoolHeap (in the thread's record)             page: 64 KiB, aligned
//! +----------------------------+               +-------+-------+-------+-------+-----------------+
//! | free[class] --> block --> block -->         | owner | block | block | block | not carved yet  |
//! | fresh[class]: uncarved rest of a page ----->| class |       |       |       |                 |
//! | batch: frees for one other owner            | queue |       |       |       |                 |
//! +----------------------------+               +-------+-------+-------+-------+-----------------+
//! ```
//!
//! **Charges.** Who a block is charged to is not known on the fast paths, which would pay for it. An allocator that wants to
//! know pops from the second half of `free`, which is always empty, so that every call misses and comes to the slow path. That
//! serves it from a second heap of the record: each page of it has a table of its blocks' charges, and since it is never
//! `Local::pool`, its blocks come back by the slow path too, whoever frees them.
//!
//! A block freed by its owner goes to the front of its class's list, whatever its page: one list a class and no lists of
//! pages is what makes churn cheap. A block of another thread's page joins the batch for that owner; a full batch is handed
//! over with one atomic exchange, to the queue of its owner's record. When that takes it back, and what happens if too much
//! waits, is [`deferred`]'s concern.

use core::cell::Cell;
use core::ptr::{NonNull, null_mut};
use core::sync::atomic::{AtomicPtr, AtomicU64, Ordering::Relaxed};
use std::alloc::Layout;

use super::batch::{self, Batch};
use super::charged::{self, charge_entry, new_charge_entry};
use super::class::{CLASSES, PAGE, blocks_per_page, class_size, first_block};
use super::deferred::{self, Mode, Notice, Returns};
use super::page::{
    FREE_BYTES, Page, class_of_block, leave_on_list, links, links_of, page_of, take_page,
};
use super::remote::Block;
use crate::allocators::os;
use crate::allocators::payer::{Charge, Payer};
use crate::allocators::record::{LIMBO, Record, add};
use crate::allocators::thread::{Local, local};
use crate::behavior::AllocKind;
use crate::diagnostics;
use crate::error::{AllocError, AllocErrorKind};
use crate::events::{self, Event, Freed};
use crate::sync::Mutex;
use crate::tags::TagId;

/// A list is refilled with at most so many bytes of fresh blocks.
const REFILL_BYTES: usize = 4096;

/// Which lists an allocator takes blocks from: an offset into [`PoolHeap::free`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lists(usize);

impl Lists {
    /// Those of free blocks.
    pub(crate) const FREE: Self = Self(0);
    /// Those that are always empty, for allocators whose blocks are charged.
    pub(crate) const EMPTY: Self = Self(CLASSES);
}

#[repr(C, align(128))]
pub(crate) struct PoolHeap {
    /// By class; the second half is always empty (see [`Lists`]).
    free: [Cell<*mut Block>; 2 * CLASSES],
    /// The uncarved rest of the newest page of each class: start and end.
    fresh: [Cell<(usize, usize)>; CLASSES],
    batch: Batch,
    /// Whether its blocks are charged to someone. Then they never get onto the lists of a heap whose blocks are not, nor the
    /// other way round: a page of uncharged blocks has no table, and its owner frees without looking for one.
    charged: bool,
    /// Blocks handed out and taken back by this thread, by class; what is live is the difference over all threads.
    pub(super) allocs: [AtomicU64; CLASSES],
    pub(super) frees: [AtomicU64; CLASSES],
    /// Blocks of other owners that this thread freed.
    gave: [AtomicU64; CLASSES],
    /// Pages taken, by class.
    pages: [AtomicU64; CLASSES],
}

// SAFETY: the cells are touched by the thread that holds the record (limbo's under its lock); the rest is atomic (I5).
unsafe impl Sync for PoolHeap {}

impl PoolHeap {
    pub(crate) const fn new(charged: bool) -> Self {
        Self {
            charged,
            free: [const { Cell::new(null_mut()) }; 2 * CLASSES],
            fresh: [const { Cell::new((0, 0)) }; CLASSES],
            batch: Batch::new(),
            allocs: [const { AtomicU64::new(0) }; CLASSES],
            frees: [const { AtomicU64::new(0) }; CLASSES],
            gave: [const { AtomicU64::new(0) }; CLASSES],
            pages: [const { AtomicU64::new(0) }; CLASSES],
        }
    }

    /// Blocks of `class` that this thread handed out and took back.
    pub(crate) fn traffic(&self, class: usize) -> (u64, u64) {
        (
            self.allocs[class].load(Relaxed),
            self.frees[class].load(Relaxed) + self.gave[class].load(Relaxed),
        )
    }

    /// Bytes that this thread handed out and did not take back. Negative if it took back more, of what others handed out.
    pub(crate) fn live_bytes(&self) -> i64 {
        (0..CLASSES).fold(0, |live, class| {
            let (allocs, frees) = self.traffic(class);
            live + allocs.wrapping_sub(frees) as i64 * class_size(class) as i64
        })
    }

    /// Blocks of `class` that this thread freed for others.
    pub(super) fn gave(&self, class: usize) -> u64 {
        self.gave[class].load(Relaxed)
    }

    pub(super) fn is_charged(&self) -> bool {
        self.charged
    }

    /// Whether there is a free block of `class`.
    pub(super) fn has(&self, class: usize) -> bool {
        !self.free[class].get().is_null()
    }

    /// Bytes of this thread's pages.
    pub(crate) fn page_bytes(&self) -> u64 {
        (0..CLASSES).map(|class| self.pages(class)).sum::<u64>() * PAGE as u64
    }

    /// This thread's pages of `class`.
    pub(crate) fn pages(&self, class: usize) -> u64 {
        self.pages[class].load(Relaxed)
    }

    /// Takes a block from the list of `class`, refilling it. `returns` is of the same record.
    #[cold]
    fn refill(&self, returns: &Returns, class: usize) -> *mut Block {
        let mode = deferred::mode();
        match mode {
            Mode::Explicit => {}
            Mode::Incremental(blocks) => {
                returns.take_back(blocks);
            }
            _ => returns.take_back_until(self, class),
        }
        if !self.has(class) {
            // Nobody's, and so anybody's.
            self.free[class].set(deferred::take_shared(self.charged, class));
        }
        let (start, end) = self.fresh[class].get();
        if !self.has(class) && start == end && matches!(mode, Mode::Incremental(_)) {
            // Before the pool grows, everything is looked through, so that memory stays flat whatever the rate.
            returns.take_back_until(self, class);
        }
        match self.pop(Lists::FREE, class) {
            Some(block) => block,
            None => self.carve(returns, class),
        }
    }

    /// Adds fresh blocks to the list of `class`, and takes one. Null if the system has no more memory.
    fn carve(&self, returns: &Returns, class: usize) -> *mut Block {
        let size = class_size(class);
        let (mut start, mut end) = self.fresh[class].get();
        if start == end {
            let page = take_page();
            if page.is_null() {
                return null_mut();
            }
            // SAFETY: the page is ours alone, and aligned.
            unsafe {
                page.write(Page {
                    owner: self,
                    class,
                    queue: &raw const returns.queue,
                    charges: AtomicPtr::new(null_mut()),
                });
            }
            add(&self.pages[class], 1);
            start = page as usize + first_block(class);
            end = start + blocks_per_page(class) * size;
            os::conceal(start, end - start);
        }
        let count = ((end - start) / size).min((REFILL_BYTES / size).max(1));
        self.fresh[class].set((start + count * size, end));
        for index in (0..count).rev() {
            let block = (start + index * size) as *mut Block;
            os::reveal(block as usize, FREE_BYTES);
            // SAFETY: a fresh block of our page.
            unsafe { self.put(block, class) };
        }
        self.pop(Lists::FREE, class)
            .unwrap_or_else(|| diagnostics::bug("a refilled list is empty"))
    }

    /// Puts the blocks of a batch that came back onto their lists, and returns how many there were.
    ///
    /// # Safety
    ///
    /// `root` is a batch of blocks of this heap's pages, and the caller's; so is the heap.
    pub(super) unsafe fn put_batch(&self, root: *mut Block, took: &[AtomicU64; CLASSES]) -> usize {
        // Runs of one class at a time, since most batches are one: their list is then in registers.
        let (mut class, mut head, mut run) = (0, self.free[0].get(), 0);
        let end_run = |class: usize, head, run| {
            self.free[class].set(head);
            add(&took[class], run);
        };
        // SAFETY: the caller's contract; pages are never freed.
        let len = unsafe {
            batch::unbind(root, links, |block| {
                let of = class_of_block(block);
                if of != class {
                    end_run(class, head, run);
                    (class, head, run) = (of, self.free[of].get(), 0);
                }
                leave_on_list(block, class);
                Block::set_next(block, head);
                head = block;
                run += 1;
            })
        };
        end_run(class, head, run);
        len
    }

    /// Puts a block that came back, with others, onto its list.
    ///
    /// # Safety
    ///
    /// `block` is free, of a page of this heap, and the caller's; so is the heap.
    pub(super) unsafe fn put_back(&self, block: *mut Block, took: &[AtomicU64; CLASSES]) {
        // SAFETY: the caller's contract.
        unsafe {
            let class = class_of_block(block);
            leave_on_list(block, class);
            self.put(block, class);
            add(&took[class], 1);
        }
    }

    /// # Safety
    ///
    /// `block` is free, the caller's, of `class`, and of a page of blocks that are charged if this heap's are.
    #[inline(always)]
    pub(super) unsafe fn put(&self, block: *mut Block, class: usize) {
        let list = &self.free[class];
        // SAFETY: the caller's contract.
        unsafe { Block::set_next(block, list.get()) };
        list.set(block);
    }

    /// Takes the block that [`first`](Self::first) has returned.
    ///
    /// # Safety
    ///
    /// It has, just now.
    #[inline(always)]
    pub(super) unsafe fn take_first(&self, block: *mut Block, class: usize) {
        // SAFETY: blocks on the list are free and ours.
        self.free[class].set(unsafe { Block::next(block) });
    }

    /// The free block that would be taken next.
    #[inline(always)]
    pub(super) fn first(&self, class: usize) -> Option<*mut Block> {
        let block = self.free[class].get();
        (!block.is_null()).then_some(block)
    }

    #[inline(always)]
    pub(super) fn pop(&self, lists: Lists, class: usize) -> Option<*mut Block> {
        // SAFETY: a class is less than `CLASSES`, and the lists' offset is zero or that.
        let list = unsafe { self.free.get_unchecked(lists.0 + class) };
        let block = list.get();
        if block.is_null() {
            return None;
        }
        // SAFETY: blocks on the list are free and ours.
        list.set(unsafe { Block::next(block) });
        Some(block)
    }

    /// Hands the gathered frees over to their owner.
    #[cold]
    #[inline(never)]
    pub(crate) fn flush(&self) {
        if let Some(notice) = deferred::hand_over(&self.batch) {
            notice.report();
        }
    }

    /// The frees for another thread that are gathered.
    #[inline(always)]
    pub(super) fn gathered(&self) -> usize {
        self.batch.len()
    }
}

/// A block of `class` for `layout`, not initialised.
///
/// User code may run before the block is taken: what budgets have to say.
#[inline(always)]
pub(crate) fn allocate(
    class: usize,
    layout: Layout,
    lists: Lists,
    payer: &Payer,
) -> Result<NonNull<u8>, AllocError> {
    let block = local(|local| {
        // SAFETY: heaps are never freed (I5), and this one is the calling thread's.
        let heap = unsafe { &*local.pool.get() };
        let block = heap.pop(lists, class)?;
        add(&heap.allocs[class], 1);
        os::reveal(block as usize, class_size(class));
        NonNull::new(block.cast())
    });
    let block = match block {
        Some(block) => block,
        None => take_slowly(class, layout, lists, payer)?,
    };
    Ok(block)
}

/// A block where the list has none, or there may be somebody to pay.
#[inline(always)]
fn take_slowly(
    class: usize,
    layout: Layout,
    lists: Lists,
    payer: &Payer,
) -> Result<NonNull<u8>, AllocError> {
    // A call of its own, which needs hardly more registers than a call may use: it is most of what a budget costs.
    if lists == Lists::EMPTY
        && let Some(block) = charged::take_on_credit(class, payer)
    {
        return Ok(block);
    }
    allocate_with_care(class, layout, lists, payer)
}

/// Allocates where somebody has to be asked or told, or the list is empty.
#[cold]
#[inline(never)]
fn allocate_with_care(
    class: usize,
    layout: Layout,
    lists: Lists,
    payer: &Payer,
) -> Result<NonNull<u8>, AllocError> {
    let size = class_size(class);
    // A thread that allocates for the first time learns now whether anybody listens.
    let _ = local(Local::record);
    let noted = Payer::must_note();
    // Asked before the block is taken: a watched one has to be of a page that remembers charges.
    let watcher = if noted { payer.watcher() } else { None };
    let charge = if lists == Lists::EMPTY || payer.is_limited() {
        payer.admit(layout, size)?
    } else if watcher.is_some() {
        Charge::tag(TagId::current())
    } else {
        Charge::NOBODY
    };
    let pages = || local(|local| local.own_record().charged.pages(class));
    let before = watcher.map(|_| pages());
    let Some(block) = take_block(class, charge) else {
        charge.release(size);
        return Err(diagnostics::refused(AllocError::new(
            AllocErrorKind::OutOfMemory,
            layout,
            0,
        )));
    };
    os::reveal(block.as_ptr() as usize, size);
    if noted {
        payer.count_for_phase(size);
    }
    if let Some(hub) = watcher {
        // If a listener panics, the block is free again.
        let unless_told = Untold { block, class };
        if before != Some(pages()) {
            hub.tell(&Event::Refilled {
                class,
                blocks: blocks_per_page(class),
            });
        }
        // SAFETY: a block of this class, of a page of charged blocks: its entry is there.
        if let Some(entry) = unsafe { charge_entry(block.as_ptr().cast(), class) } {
            entry.store(charge.watched().to_word(), Relaxed);
        }
        let address = block.as_ptr() as usize;
        hub.allocated(AllocKind::Pool, address, layout.size(), payer.frame_here());
        core::mem::forget(unless_told);
    }
    Ok(block)
}

/// A block that nobody was given yet: freed when it drops.
struct Untold {
    block: NonNull<u8>,
    class: usize,
}

impl Drop for Untold {
    fn drop(&mut self) {
        // SAFETY: just allocated, and nobody's.
        unsafe { free(self.block, self.class) }
    }
}

/// A block from the calling thread's heaps, or from limbo's.
fn take_block(class: usize, charge: Charge) -> Option<NonNull<u8>> {
    let record = local(Local::record);
    if record.is_none() {
        diagnostics::thread_state_missing("pool memory");
    }
    let limbo = record.is_none().then(|| LIMBO_LOCK.lock());
    let pools = record.unwrap_or(&LIMBO);
    let heap = if charge == Charge::NOBODY {
        &pools.pool
    } else {
        &pools.charged
    };
    let block = match heap.pop(Lists::FREE, class) {
        Some(block) => block,
        None => heap.refill(&pools.returns, class),
    };
    let taken = NonNull::new(block.cast::<u8>())?;
    if let Some(tag) = charge.charged_tag() {
        // SAFETY: a block of this class, of a page of this heap.
        let Some(entry) = (unsafe { new_charge_entry(block, class) }) else {
            // SAFETY: just taken.
            unsafe { heap.put(block, class) };
            return None;
        };
        entry.store(charge.to_word(), Relaxed);
        let counters = pools.counters(tag.index());
        match limbo {
            None => counters.pool.allocated(class_size(class)),
            Some(_) => counters.pool.allocated_shared(class_size(class)),
        }
    }
    match limbo {
        None => add(&heap.allocs[class], 1),
        Some(_) => drop(heap.allocs[class].fetch_add(1, Relaxed)),
    }
    Some(taken)
}

/// Frees a block.
///
/// # Safety
///
/// `block` came from [`allocate`] with the same class, and is not used any more.
#[inline(always)]
pub(crate) unsafe fn free(block: NonNull<u8>, class: usize) {
    let block = block.as_ptr().cast::<Block>();
    // SAFETY: the block is the caller's to give.
    unsafe { os::poison(block as usize, class_size(class)) };
    os::reveal(block as usize, FREE_BYTES);
    local(|local| {
        let heap = local.pool.get();
        // SAFETY: pages and heaps are never freed (I5); `owner` is written once, before the page's first block is handed
        // out.
        unsafe {
            if (*page_of(block)).owner == heap {
                (*heap).put(block, class);
                add(&(*heap).frees[class], 1);
            } else {
                free_slowly(local, block, class);
            }
        }
    })
}

#[cold]
#[inline(never)]
unsafe fn free_slowly(local: &Local, block: *mut Block, class: usize) {
    os::reveal(block as usize, links_of(class) * size_of::<*mut Block>());
    // SAFETY: as in `free`; records are never freed (I5), and this one is the calling thread's.
    let done = unsafe {
        match charge_entry(block, class) {
            Some(entry) => charged::free_into_credit(local, block, class, entry),
            // Another thread's. Most of the time, it goes where the last one went.
            None => local.record.get().as_ref().is_some_and(|record| {
                let added = record
                    .pool
                    .batch
                    .add_another(block, (*page_of(block)).owner);
                if added {
                    add(&record.pool.gave[class], 1);
                }
                added
            }),
        }
    };
    if !done {
        // SAFETY: the caller's contract.
        unsafe { free_with_care(local, block, class) }
    }
}

/// Frees a block that is charged, or that goes elsewhere than the last one.
#[inline(never)]
unsafe fn free_with_care(local: &Local, block: *mut Block, class: usize) {
    // SAFETY: as in `free`.
    let (owner, entry) = unsafe { ((*page_of(block)).owner, charge_entry(block, class)) };
    let record = local.record();
    let mut charge = Charge::NOBODY;
    let mut freed = Freed::NOTHING;
    if let Some(entry) = entry {
        // SAFETY: entries hold charges.
        charge = unsafe { Charge::from_word(entry.load(Relaxed)) };
        entry.store(Charge::NOBODY.to_word(), Relaxed);
        if charge.is_watched() {
            freed = events::forget(block as usize);
        }
        if let Some(tag) = charge.charged_tag() {
            let counters = record.unwrap_or(&LIMBO).counters(tag.index());
            match record {
                Some(_) => counters.pool.freed(class_size(class)),
                None => counters.pool.freed_shared(class_size(class)),
            }
        }
    }
    let freeing = Freeing {
        record,
        block,
        class,
        owner,
        charge,
    };
    // Before anybody can have its address, and tell of that. Runs user code; if it panics, the block is given back all the same.
    let unless_told = OnPanic(&freeing);
    freed.tell();
    core::mem::forget(unless_told);
    // Last: it runs user code.
    if let Some(notice) = freeing.give_back() {
        notice.report();
    }
}

/// A block that is to be given back.
struct Freeing {
    record: Option<&'static Record>,
    block: *mut Block,
    class: usize,
    owner: *const PoolHeap,
    charge: Charge,
}

impl Freeing {
    fn give_back(&self) -> Option<Notice> {
        let notice = match self.record {
            // SAFETY: the block is ours to give.
            Some(record) => unsafe { give_back(record, self.block, self.owner, self.class) },
            None => {
                LIMBO.pool.gave[self.class].fetch_add(1, Relaxed);
                let batch = Batch::new();
                batch.add(self.block, self.owner);
                deferred::hand_over(&batch)
            }
        };
        // When the block is: whoever gets the budget finds it free.
        self.charge.release(class_size(self.class));
        notice
    }
}

/// Gives the block back when a listener has panicked.
struct OnPanic<'a>(&'a Freeing);

impl Drop for OnPanic<'_> {
    fn drop(&mut self) {
        // Nothing is reported on top of that panic.
        let _ = self.0.give_back();
    }
}

/// Puts a block back where it belongs: on a list of this thread's, or into the batch for its owner.
///
/// # Safety
///
/// The block is free, of `class` and of a page of `owner`, and the caller's to give.
unsafe fn give_back(
    record: &Record,
    block: *mut Block,
    owner: *const PoolHeap,
    class: usize,
) -> Option<Notice> {
    for heap in [&record.charged, &record.pool] {
        if core::ptr::eq(owner, heap) {
            // A charged block; or the first thing this thread does with its record is to free a block that an adopted
            // predecessor handed out.
            add(&heap.frees[class], 1);
            leave_on_list(block, class);
            // SAFETY: the page is this heap's.
            unsafe { heap.put(block, class) };
            return None;
        }
    }
    let heap = &record.pool;
    add(&heap.gave[class], 1);
    if heap.batch.add(block, owner) {
        return None;
    }
    let notice = deferred::hand_over(&heap.batch);
    heap.batch.add(block, owner);
    notice
}

/// Guards the cells of limbo's pool.
static LIMBO_LOCK: Mutex<()> = Mutex::new(());

//! The immortal, process-wide state of a thread: what it charged to each tag, and its pools.
//!
//! ```text
//!  ALL ---> Record ---> Record ---> Record ---> null         every record ever made
//!             ^ a thread's            ^
//!                                   IDLE: those whose threads have ended, for the next ones
//!
//!  Record.blocks:  [ * | null | * | ... ]                    made when a tag of the block is first used
//!                    v
//!                  [TagCounters; 128]                        written by the record's thread alone, read by all
//! ```

use core::cell::Cell;
use core::ptr::{null, null_mut};
#[cfg(feature = "snapshots")]
use core::sync::atomic::AtomicI64;
use core::sync::atomic::{
    AtomicPtr, AtomicU64, Ordering::Acquire, Ordering::Relaxed, Ordering::Release,
};
use std::alloc::Layout;
use std::sync::{Mutex, PoisonError};

use super::os;
use super::pool::deferred::Returns;
use super::pool::heap::PoolHeap;
use super::transfers::Transfers;

/// What one thread charged to one tag since the program began. Only the record's thread writes (plain loads and stores,
/// never read-modify-write); anyone reads.
#[derive(Default)]
#[repr(C, align(64))]
pub(crate) struct TagCounters {
    /// Bytes of frame memory, settled when the tag changes.
    pub frame_bytes: AtomicU64,
    /// Calls and bytes of `heap_alloc`, `heap_box`, and of pool requests too large for a pool.
    pub heap: Traffic,
    /// Blocks and bytes of the pools, where they are charged to tags.
    pub pool: Traffic,
    /// Calls and bytes that went to the global allocator, if a `HeapAudit` is installed.
    pub audit: Traffic,
}

/// Allocations and frees, as counts and bytes. What is live is the difference, summed over all threads.
#[derive(Default)]
#[repr(C)]
pub(crate) struct Traffic {
    pub allocs: AtomicU64,
    pub bytes: AtomicU64,
    pub frees: AtomicU64,
    pub freed_bytes: AtomicU64,
}

/// Adds to a counter that only this thread writes.
#[inline(always)]
pub(crate) fn add(counter: &AtomicU64, n: u64) {
    counter.store(counter.load(Relaxed).wrapping_add(n), Relaxed);
}

impl Traffic {
    const fn new() -> Self {
        Self {
            allocs: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            frees: AtomicU64::new(0),
            freed_bytes: AtomicU64::new(0),
        }
    }

    /// Bytes that this thread allocated, less those that it freed, its own or others'.
    #[cfg(feature = "snapshots")]
    pub(crate) fn live_bytes(&self) -> i64 {
        let (bytes, freed) = (self.bytes.load(Relaxed), self.freed_bytes.load(Relaxed));
        bytes.wrapping_sub(freed) as i64
    }

    #[inline(always)]
    pub(crate) fn allocated(&self, bytes: usize) {
        add(&self.allocs, 1);
        add(&self.bytes, bytes as u64);
    }

    #[inline(always)]
    pub(crate) fn freed(&self, bytes: usize) {
        add(&self.frees, 1);
        add(&self.freed_bytes, bytes as u64);
    }

    /// [`allocated`](Self::allocated) for counters that several threads write.
    pub(crate) fn allocated_shared(&self, bytes: usize) {
        self.allocs.fetch_add(1, Relaxed);
        self.bytes.fetch_add(bytes as u64, Relaxed);
    }

    /// [`freed`](Self::freed) for counters that several threads write.
    pub(crate) fn freed_shared(&self, bytes: usize) {
        self.frees.fetch_add(1, Relaxed);
        self.freed_bytes.fetch_add(bytes as u64, Relaxed);
    }
}

impl TagCounters {
    /// Asks the processor to fetch what [`is_used`](Self::is_used) looks at. It may not.
    #[cfg(feature = "snapshots")]
    #[inline(always)]
    pub(crate) fn prefetch(&self) {
        #[cfg(all(target_arch = "x86_64", not(miri)))]
        // SAFETY: a hint, which changes nothing, and every x86-64 processor takes it.
        unsafe {
            use core::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
            _mm_prefetch::<_MM_HINT_T0>(core::ptr::from_ref(self).cast());
        }
    }

    /// Whether the thread has used the tag: what it takes to find out lies in one cache line.
    #[cfg(feature = "snapshots")]
    #[inline]
    pub(crate) fn is_used(&self, audits: bool) -> bool {
        let Self {
            frame_bytes,
            heap,
            pool,
            audit,
        } = self;
        let all = [
            frame_bytes,
            &heap.allocs,
            &heap.frees,
            &pool.allocs,
            &pool.frees,
        ];
        let used = all.iter().fold(0, |used, next| used | next.load(Relaxed));
        used != 0 || audits && audit.allocs.load(Relaxed) | audit.frees.load(Relaxed) != 0
    }

    const fn new() -> Self {
        Self {
            frame_bytes: AtomicU64::new(0),
            heap: Traffic::new(),
            pool: Traffic::new(),
            audit: Traffic::new(),
        }
    }
}

/// Tags whose counters lie together.
pub(crate) const BLOCK_TAGS: usize = 128;
const BLOCKS: usize = 512;
/// Tags beyond this many are charged to the root: a program that makes more of them makes them from data.
pub(crate) const MAX_TAGS: usize = BLOCK_TAGS * BLOCKS - 1;

type CounterBlock = [TagCounters; BLOCK_TAGS];

/// The process-wide state of one thread. Never freed; adopted by a new thread when its own has ended (I5).
#[repr(C)]
pub(crate) struct Record {
    pub(crate) pool: PoolHeap,
    /// The pool of blocks that are charged to someone.
    pub(crate) charged: PoolHeap,
    /// What other threads freed of both.
    pub(crate) returns: Returns,
    blocks: [AtomicPtr<CounterBlock>; BLOCKS],
    pub(crate) transfers: Transfers,
    /// What the threads before its present one left on their account.
    #[cfg(feature = "snapshots")]
    pub(super) inherited: Inherited,
    /// Set before the record is published; limbo's is 0.
    number: AtomicU64,
    next_all: AtomicPtr<Record>,
    next_idle: Cell<*const Record>,
}

/// Live bytes by what earlier threads of a record did, which may have freed more than they allocated.
#[cfg(feature = "snapshots")]
pub(super) struct Inherited {
    pub(super) pool_bytes: AtomicI64,
    pub(super) heap_bytes: AtomicI64,
}

// SAFETY: `pool`, `charged`, `returns` and `next_idle` are touched only by the thread that holds the record, or under the idle list's lock;
// the rest is atomic (I5).
unsafe impl Sync for Record {}

impl Record {
    pub(super) const fn new() -> Self {
        Self {
            pool: PoolHeap::new(false),
            charged: PoolHeap::new(true),
            returns: Returns::new(),
            blocks: [const { AtomicPtr::new(null_mut()) }; BLOCKS],
            transfers: Transfers::new(),
            #[cfg(feature = "snapshots")]
            inherited: Inherited {
                pool_bytes: AtomicI64::new(0),
                heap_bytes: AtomicI64::new(0),
            },
            number: AtomicU64::new(0),
            next_all: AtomicPtr::new(null_mut()),
            next_idle: Cell::new(null()),
        }
    }

    /// A record for a thread that starts: a dead thread's, or a new one. `None` if there is no memory for one.
    pub(super) fn take() -> Option<&'static Self> {
        let idle = {
            let mut list = IDLE.lock().unwrap_or_else(PoisonError::into_inner);
            let first = list.0;
            if !first.is_null() {
                // SAFETY: records are never freed, and `next_idle` is ours under the lock.
                list.0 = unsafe { &*first }.next_idle.get();
            }
            first
        };
        let record = if idle.is_null() { new_record() } else { idle };
        // SAFETY: records are never freed.
        let record = unsafe { record.as_ref() };
        #[cfg(feature = "snapshots")]
        if let Some(adopted) = record {
            adopted.inherit();
        }
        record
    }

    /// A thread takes over: what the ones before it did is not its own.
    #[cfg(feature = "snapshots")]
    fn inherit(&self) {
        let pool = self.pool.live_bytes() + self.charged.live_bytes();
        let mut heap = 0;
        self.visit(&mut |_, counters| heap += counters.heap.live_bytes());
        self.inherited.pool_bytes.store(pool, Relaxed);
        self.inherited.heap_bytes.store(heap, Relaxed);
    }

    /// Leaves the record, which the calling thread holds, to the next thread that starts.
    pub(super) fn hand_back(&'static self) {
        let mut list = IDLE.lock().unwrap_or_else(PoisonError::into_inner);
        self.next_idle.set(list.0);
        list.0 = self;
    }

    /// A number that no other record has.
    pub(super) fn number(&self) -> u64 {
        self.number.load(Relaxed)
    }

    /// The counters of a tag, made on first use.
    #[inline(always)]
    pub(crate) fn counters(&self, tag: u32) -> &TagCounters {
        let tag = tag as usize;
        debug_assert!(tag < MAX_TAGS);
        // Limbo's blocks may be another thread's work.
        let block = self.blocks[tag / BLOCK_TAGS % BLOCKS].load(Acquire);
        let block = if block.is_null() {
            self.add_block(tag / BLOCK_TAGS)
        } else {
            block
        };
        // SAFETY: a block, once stored, is never freed.
        unsafe { &(&*block)[tag % BLOCK_TAGS] }
    }

    /// The counters of a tag, if they were made.
    #[inline(always)]
    pub(crate) fn known_counters(&self, tag: u32) -> Option<&TagCounters> {
        let tag = tag as usize;
        let block = self.block(tag / BLOCK_TAGS % BLOCKS)?;
        Some(&block[tag % BLOCK_TAGS])
    }

    #[cold]
    #[inline(never)]
    fn add_block(&self, index: usize) -> *mut CounterBlock {
        let layout = Layout::new::<CounterBlock>();
        let Some(fresh) = os::map(layout) else {
            // Without memory for counters there is none for anything else either; what is counted here is not.
            return (&raw const LIMBO_BLOCK).cast_mut();
        };
        let fresh = fresh.as_ptr().cast::<CounterBlock>();
        // SAFETY: the memory is ours, and of the right size and alignment.
        unsafe { fresh.write([const { TagCounters::new() }; BLOCK_TAGS]) };
        // Only limbo's blocks can be raced for.
        match self.blocks[index].compare_exchange(null_mut(), fresh, Release, Acquire) {
            Ok(_) => fresh,
            Err(first) => {
                // SAFETY: just mapped, and published to nobody.
                unsafe { os::unmap(core::ptr::NonNull::new_unchecked(fresh.cast()), layout) };
                first
            }
        }
    }

    /// Calls `visit` with each tag that this record has counters for.
    pub(crate) fn visit(&self, visit: &mut impl FnMut(u32, &TagCounters)) {
        for index in 0..BLOCKS {
            let counters = self.block(index).into_iter().flatten();
            for (offset, counters) in counters.enumerate() {
                visit((index * BLOCK_TAGS + offset) as u32, counters);
            }
        }
    }

    /// The counters of [`BLOCK_TAGS`] tags, from that of index `index * BLOCK_TAGS` on. `None` if this record has none of theirs.
    #[inline(always)]
    pub(crate) fn block(&self, index: usize) -> Option<&[TagCounters; BLOCK_TAGS]> {
        // SAFETY: a block, once stored, is never freed.
        unsafe { self.blocks[index].load(Acquire).as_ref() }
    }
}

pub(super) static LIMBO_BLOCK: CounterBlock = [const { TagCounters::new() }; BLOCK_TAGS];
/// Serves code that runs where a thread has no record: before one could be made, and after it was given back.
/// Its counters are written by several threads, atomically.
pub(crate) static LIMBO: Record = Record::new();
static ALL: AtomicPtr<Record> = AtomicPtr::new(null_mut());

struct IdleRecords(*const Record);
// SAFETY: records are shared (see above), and the list is only reached under its lock.
unsafe impl Send for IdleRecords {}
/// The standard library's lock, whatever the features: a `HeapAudit` comes here with a thread's first allocation, which may
/// be one that `parking_lot` makes with its own table locked.
static IDLE: Mutex<IdleRecords> = Mutex::new(IdleRecords(null()));

fn new_record() -> *const Record {
    let Some(memory) = os::map(Layout::new::<Record>()) else {
        return null();
    };
    let record = memory.as_ptr().cast::<Record>();
    // SAFETY: the memory is ours, and of the right size and alignment.
    unsafe { record.write(Record::new()) };
    static RECORDS: AtomicU64 = AtomicU64::new(1);
    let number = RECORDS.fetch_add(1, Relaxed);
    // SAFETY: not published yet.
    unsafe { (*record).number.store(number, Relaxed) };
    let mut head = ALL.load(Relaxed);
    loop {
        // SAFETY: not published yet.
        unsafe { (*record).next_all.store(head, Relaxed) };
        match ALL.compare_exchange_weak(head, record, Release, Relaxed) {
            Ok(_) => return record,
            Err(now) => head = now,
        }
    }
}

/// Calls `visit` with every record there is, limbo's included.
pub(crate) fn for_each_record(mut visit: impl FnMut(&'static Record)) {
    visit(&LIMBO);
    let mut next = ALL.load(Acquire);
    while !next.is_null() {
        // SAFETY: records are never freed.
        let record: &'static Record = unsafe { &*next };
        visit(record);
        next = record.next_all.load(Relaxed);
    }
}

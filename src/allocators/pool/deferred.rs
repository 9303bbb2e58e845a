//! What becomes of blocks that are freed on other threads: when their owner takes them back, and how many may wait for it.
//!
//! ```text
//!  freeing thread               owner
//!  +-------+   room in queue   +-------+   when the mode says so   +------------+
//!  | batch | ----------------> | queue | ------------------------> | free lists |
//!  +-------+                   +-------+                           +------------+
//!      \         no room           \                                     ^
//!       \----------------------\    \ (DropOldest)                       |
//!                               \    \                                   |
//!                              shared[class]  ----- anybody's refill ----+
//! ```
//!
//! The settings are the process's, as the pools are. Nothing is ever lost: a block that finds no room in its owner's queue
//! joins the shared list of its class, from which any thread refills. A block may so serve a thread that does not own its
//! page; when it is freed, it goes to the queue of its page's owner again.
//!
//! - **Room is exact.** Whoever hands blocks over reserves room for them first, so that a queue never holds more than its
//!   capacity, however many threads hand over at once.

use core::cell::Cell;
use core::ptr::null_mut;
use core::sync::atomic::{
    AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering::Acquire, Ordering::Relaxed,
    Ordering::Release,
};

use super::batch::{self, Batch, CAPACITY};
use super::class::{CLASSES, class_size};
use super::heap::PoolHeap;
use super::page::{class_of_block, leave_on_list, links, owner_of, queue_of};
use super::remote::{Block, RemoteList};
use crate::allocators::domain::Domain;
use crate::allocators::os;
use crate::allocators::record::for_each_record;
use crate::allocators::thread::{Local, local};
use crate::diagnostics::{self, DiagnosticCode};

/// At most so many blocks are taken back at a frame boundary: a bound on what the boundary costs, some 10 µs. The rest is
/// taken back as it is needed.
pub(crate) const AT_BOUNDARY: usize = 16 * CAPACITY;

/// When owners take their blocks back.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    FrameBegin,
    FrameEnd,
    Explicit,
    Disabled,
    Incremental(usize),
}

/// What is done with blocks that find no room.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum WhenFull {
    Grow,
    Share,
    ShareOldest,
    Report,
}

/// A queue without a limit.
pub(crate) const UNBOUNDED: usize = usize::MAX;

/// The settings.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Settings {
    pub mode: Mode,
    /// Blocks that may wait for one owner.
    pub capacity: usize,
    pub when_full: WhenFull,
    /// Blocks that wait for one owner when FA204 is reported; [`UNBOUNDED`] for never.
    pub warn_at: usize,
    /// The same in percent of the capacity, as it was set.
    pub warn_percent: u8,
}

/// The mode as a number: `Incremental(n)` is `n` more than the others.
static MODE: AtomicUsize = AtomicUsize::new(0);
static LIMIT: AtomicUsize = AtomicUsize::new(UNBOUNDED);
static WHEN_FULL: AtomicU8 = AtomicU8::new(0);
static WARN_AT: AtomicUsize = AtomicUsize::new(UNBOUNDED);
static WARN_PERCENT: AtomicU8 = AtomicU8::new(80);
/// Whether handing over is more than that.
static LIMITED: AtomicBool = AtomicBool::new(false);

const MODES: [Mode; 4] = [
    Mode::FrameBegin,
    Mode::FrameEnd,
    Mode::Explicit,
    Mode::Disabled,
];
const WHEN_FULL_ALL: [WhenFull; 4] = [
    WhenFull::Grow,
    WhenFull::Share,
    WhenFull::ShareOldest,
    WhenFull::Report,
];

#[inline]
pub(crate) fn mode() -> Mode {
    let mode = MODE.load(Relaxed);
    match MODES.get(mode) {
        Some(&mode) => mode,
        None => Mode::Incremental(mode - MODES.len()),
    }
}

pub(crate) fn settings() -> Settings {
    Settings {
        mode: mode(),
        capacity: LIMIT.load(Relaxed),
        when_full: WHEN_FULL_ALL[usize::from(WHEN_FULL.load(Relaxed))],
        warn_at: WARN_AT.load(Relaxed),
        warn_percent: WARN_PERCENT.load(Relaxed),
    }
}

/// For all threads, from now on. A thread that is just handing over may still go by a part of the former settings, each of
/// which is sound with each of these.
pub(crate) fn set(settings: Settings) {
    let mode = match settings.mode {
        Mode::Incremental(blocks) => blocks.saturating_add(MODES.len()),
        Mode::FrameBegin => 0,
        Mode::FrameEnd => 1,
        Mode::Explicit => 2,
        Mode::Disabled => 3,
    };
    MODE.store(mode, Relaxed);
    LIMIT.store(settings.capacity, Relaxed);
    WHEN_FULL.store(settings.when_full as u8, Relaxed);
    WARN_AT.store(settings.warn_at, Relaxed);
    WARN_PERCENT.store(settings.warn_percent, Relaxed);
    let limited = settings.mode == Mode::Disabled
        || settings.capacity != UNBOUNDED
        || settings.warn_at != UNBOUNDED;
    LIMITED.store(limited, Relaxed);
}

// ---- Queues --------------------------------------------------------------------------------------------------------

/// Blocks that other threads have handed over to one owner. What they write and what it writes are apart: cache lines go
/// back and forth between cores.
pub(super) struct Queue {
    incoming: Aligned<Incoming>,
    outgoing: Aligned<Outgoing>,
}

#[repr(align(128))]
struct Aligned<T>(T);

struct Incoming {
    list: RemoteList,
    /// Blocks ever handed over, less those that were taken out again for the shared lists. Counted before they are on the
    /// list.
    pushed: AtomicU64,
}

/// Written by the owner alone.
struct Outgoing {
    taken: AtomicU64,
    /// The most blocks that waited, as the owner saw it.
    peak: AtomicU64,
}

impl Queue {
    pub(super) const fn new() -> Self {
        Self {
            incoming: Aligned(Incoming {
                list: RemoteList::new(),
                pushed: AtomicU64::new(0),
            }),
            outgoing: Aligned(Outgoing {
                taken: AtomicU64::new(0),
                peak: AtomicU64::new(0),
            }),
        }
    }

    /// The first of what was handed over and not taken; null if there is nothing.
    #[inline(always)]
    pub(super) fn first(&self) -> *mut Block {
        self.incoming.0.list.first()
    }

    /// Everything that was handed over: batches, linked by their roots. They are the caller's.
    pub(super) fn take(&self) -> *mut Block {
        self.incoming.0.list.take()
    }

    /// [`take`](Self::take) for the owner, which has looked into all that it took before.
    pub(super) fn take_as_owner(&self) -> *mut Block {
        let root = self.take();
        // Here, where this core has the others' cache line anyway.
        let depth = self.depth();
        if depth > self.outgoing.0.peak.load(Relaxed) {
            self.outgoing.0.peak.store(depth, Relaxed);
        }
        root
    }

    /// # Safety
    ///
    /// `root` is a batch of the caller's, which gives it up.
    unsafe fn push(&self, root: *mut Block) {
        // SAFETY: the caller's contract.
        unsafe { self.incoming.0.list.push_chain(root, root) };
    }

    /// Blocks that wait.
    fn depth(&self) -> u64 {
        // First, and together with what was pushed before it was taken.
        let taken = self.outgoing.0.taken.load(Acquire);
        self.incoming.0.pushed.load(Relaxed).saturating_sub(taken)
    }

    /// Reserves room for up to `len` blocks, and returns for how many there is, and how many waited before.
    fn reserve(&self, len: usize, capacity: usize) -> (usize, usize) {
        let pushed = &self.incoming.0.pushed;
        let taken = self.outgoing.0.taken.load(Acquire);
        let before = pushed.fetch_add(len as u64, Relaxed);
        let waiting = before.saturating_sub(taken) as usize;
        let room = capacity.saturating_sub(waiting).min(len);
        if room < len {
            pushed.fetch_sub((len - room) as u64, Relaxed);
        }
        (room, waiting)
    }

    /// Notes that the owner takes back so many.
    #[inline]
    pub(super) fn note_taken(&self, blocks: usize) {
        let taken = &self.outgoing.0.taken;
        taken.store(taken.load(Relaxed) + blocks as u64, Release);
    }
}

/// Hands a batch over to its owner, if there is one and room for it.
pub(super) fn hand_over(batch: &Batch) -> Option<Notice> {
    let first = batch.first()?;
    // SAFETY: the block is pooled, and the others are of the same owner.
    let queue = unsafe { queue_of(first) };
    if LIMITED.load(Relaxed) {
        return hand_over_within_limits(queue, batch);
    }
    queue
        .incoming
        .0
        .pushed
        .fetch_add(batch.len() as u64, Relaxed);
    // SAFETY: the batch is ours to give.
    unsafe { queue.push(batch.take(links)) };
    None
}

#[cold]
#[inline(never)]
fn hand_over_within_limits(queue: &Queue, batch: &Batch) -> Option<Notice> {
    let settings = settings();
    let len = batch.len();
    let blocks = batch.take_blocks();
    let blocks = &blocks[..len];
    let disabled = settings.mode == Mode::Disabled;
    let capacity = match settings.when_full {
        _ if disabled => 0,
        WhenFull::Grow => UNBOUNDED,
        _ => settings.capacity,
    };
    let (mut room, mut waiting) = queue.reserve(len, capacity);
    let warn = !disabled && waiting < settings.warn_at && waiting + len >= settings.warn_at;
    let mut full = room < len;
    if full && settings.when_full == WhenFull::ShareOldest && !disabled {
        share_queue(queue);
        let (more, before) = queue.reserve(len - room, capacity);
        room += more;
        waiting = before;
    }
    waiting += len;
    let (fitting, rest) = blocks.split_at(room);
    if !fitting.is_empty() {
        // SAFETY: the blocks are free, and ours to give.
        unsafe {
            queue.push(batch::bind(fitting, links));
        }
    }
    share(rest);
    full = (full || waiting > settings.capacity) && !disabled;
    let waiting = waiting.min(capacity);
    if full {
        FULL.fetch_add(1, Relaxed);
        if settings.when_full == WhenFull::Share {
            IMMEDIATE.fetch_add(rest.len() as u64, Relaxed);
        }
    }
    if full && settings.when_full == WhenFull::Report {
        Some(Notice::Refused {
            blocks: rest.len(),
            waiting,
            capacity,
        })
    } else if warn {
        WARNINGS.fetch_add(1, Relaxed);
        Some(Notice::PilesUp { waiting })
    } else {
        None
    }
}

/// What there is to report of a queue, once nothing is in hand any more: the report may run code that frees (I6), or panic.
#[must_use]
pub(super) enum Notice {
    Refused {
        blocks: usize,
        waiting: usize,
        capacity: usize,
    },
    PilesUp {
        waiting: usize,
    },
}

impl Notice {
    #[cold]
    pub(super) fn report(self) {
        match self {
            Self::Refused {
                blocks,
                waiting,
                capacity,
            } => diagnostics::report(
                DiagnosticCode::FA201,
                format_args!(
                    "{blocks} blocks freed for another thread were refused by its queue, which holds {waiting} of {capacity}; every thread may use them now"
                ),
            ),
            Self::PilesUp { waiting } => diagnostics::report(
                DiagnosticCode::FA204,
                format_args!(
                    "{waiting} blocks that others have freed wait in the queue of one thread"
                ),
            ),
        }
    }
}

// ---- Shared lists --------------------------------------------------------------------------------------------------

/// Blocks that found no room in their owner's queue, by class, linked like a free list. Those of charged heaps are apart.
static SHARED: [[RemoteList; CLASSES]; 2] = [const { [const { RemoteList::new() }; CLASSES] }; 2];
/// Blocks ever put there.
static SHARED_BLOCKS: [AtomicU64; CLASSES] = [const { AtomicU64::new(0) }; CLASSES];
static FULL: AtomicU64 = AtomicU64::new(0);
static WARNINGS: AtomicU64 = AtomicU64::new(0);
static IMMEDIATE: AtomicU64 = AtomicU64::new(0);

/// All shared blocks of `class`, linked; they are the caller's.
#[inline]
pub(super) fn take_shared(charged: bool, class: usize) -> *mut Block {
    let list = &SHARED[usize::from(charged)][class];
    // Nearly always empty, and then only read.
    if list.first().is_null() {
        return null_mut();
    }
    list.take()
}

/// Puts blocks of one owner, which are free and the caller's to give, on the shared lists.
fn share(blocks: &[*mut Block]) {
    let mut blocks = blocks.iter().copied();
    let Some(mut first) = blocks.next() else {
        return;
    };
    // Runs of one class at a time; most batches are one.
    // SAFETY: the caller's contract.
    unsafe {
        let lists = &SHARED[usize::from(owner_of(first).is_charged())];
        let mut last = first;
        let mut class = class_of_block(first);
        leave_on_list(first, class);
        let mut run = 1;
        for block in blocks {
            leave_on_list(block, class_of_block(block));
            if class_of_block(block) == class {
                Block::set_next(last, block);
            } else {
                share_run(lists, class, first, last, run);
                (first, class, run) = (block, class_of_block(block), 0);
            }
            last = block;
            run += 1;
        }
        share_run(lists, class, first, last, run);
    }
}

unsafe fn share_run(
    lists: &[RemoteList; CLASSES],
    class: usize,
    first: *mut Block,
    last: *mut Block,
    blocks: u64,
) {
    // Counted before anybody can take them.
    SHARED_BLOCKS[class].fetch_add(blocks, Relaxed);
    // SAFETY: linked, free, and the caller's to give.
    unsafe { lists[class].push_chain(first, last) };
}

/// Puts everything that waits in a queue, and that its owner has not begun to take back, on the shared lists.
fn share_queue(queue: &Queue) {
    // Any thread may take: it takes everything, and so shares nothing with another that does.
    let mut next = queue.take();
    while !next.is_null() {
        let root = next;
        let mut blocks = [null_mut(); CAPACITY];
        let mut len = 0;
        // SAFETY: what was taken is ours: each root brings its batch.
        unsafe {
            next = Block::next(root);
            batch::unbind(root, links, |block| {
                blocks[len] = block;
                len += 1;
            });
        }
        share(&blocks[..len]);
        queue.incoming.0.pushed.fetch_sub(len as u64, Relaxed);
    }
}

// ---- The owner's side ----------------------------------------------------------------------------------------------

/// What other threads freed for the thread that holds a record, for both of its heaps.
pub(crate) struct Returns {
    pub(super) queue: Queue,
    /// Batches taken from the queue, not looked into yet.
    returned: Cell<*mut Block>,
    /// What is left of a batch of which only a part was taken back, linked.
    loose: Cell<*mut Block>,
    /// Blocks taken back, by class.
    took: [AtomicU64; CLASSES],
}

impl Returns {
    pub(crate) const fn new() -> Self {
        Self {
            queue: Queue::new(),
            returned: Cell::new(null_mut()),
            loose: Cell::new(null_mut()),
            took: [const { AtomicU64::new(0) }; CLASSES],
        }
    }

    /// Takes back what other threads freed until `heap`, which is of the same record, has a block of `class`.
    ///
    /// One batch at a time: its blocks are used while they are near, and no allocation pays for all that came back.
    pub(super) fn take_back_until(&self, heap: &PoolHeap, class: usize) {
        while !heap.has(class) && self.take_back_batch(usize::MAX) != 0 {}
    }

    /// Takes back so many blocks that other threads freed, or as many as there are, and returns their number.
    pub(super) fn take_back(&self, max: usize) -> usize {
        let mut taken = 0;
        while taken < max {
            match self.take_back_batch(max - taken) {
                0 => break,
                blocks => taken += blocks,
            }
        }
        taken
    }

    /// Asks for what will be looked into next, while the blocks of the last batch are used: other cores have written it.
    ///
    /// # Safety
    ///
    /// The caller is the owner.
    unsafe fn prefetch_next(&self) {
        let root = self.returned.get();
        if !root.is_null() {
            // SAFETY: what was taken is ours.
            unsafe {
                batch::prefetch(root, links);
                os::prefetch_to_write(Block::next(root));
            }
        }
    }

    /// Takes back a batch, or a part of one. Zero if there is none.
    fn take_back_batch(&self, max: usize) -> usize {
        let blocks = if !self.loose.get().is_null() {
            self.take_back_loose(max)
        } else {
            let Some(root) = self.next_returned() else {
                return 0;
            };
            // SAFETY: what was taken is ours: each root brings its batch, of pages of one of this record's heaps.
            unsafe {
                let blocks = if max < CAPACITY {
                    batch::unbind(root, links, |block| {
                        Block::set_next(block, self.loose.get());
                        self.loose.set(block);
                    });
                    self.take_back_loose(max)
                } else {
                    owner_of(root).put_batch(root, &self.took)
                };
                self.prefetch_next();
                blocks
            }
        };
        self.queue.note_taken(blocks);
        blocks
    }

    fn take_back_loose(&self, max: usize) -> usize {
        let mut blocks = 0;
        while blocks < max && !self.loose.get().is_null() {
            let block = self.loose.get();
            // SAFETY: the blocks on the list are free, ours, and of pages of this record's heaps.
            unsafe {
                self.loose.set(Block::next(block));
                owner_of(block).put_back(block, &self.took);
            }
            blocks += 1;
        }
        blocks
    }

    /// The root of a batch that another thread has handed over.
    fn next_returned(&self) -> Option<*mut Block> {
        if self.returned.get().is_null() {
            self.returned.set(self.queue.take_as_owner());
        }
        let root = self.returned.get();
        if root.is_null() {
            return None;
        }
        // SAFETY: what was taken is ours.
        self.returned.set(unsafe { Block::next(root) });
        Some(root)
    }
}

/// Hands over what the calling thread has gathered for others, and takes back up to `max` blocks that they freed.
pub(crate) fn process(max: usize) -> usize {
    local(|local| {
        // Not the empty record that stands in where there is none: that is shared.
        let Some(record) = local.record() else {
            return 0;
        };
        record.pool.flush();
        record.returns.take_back(max)
    })
}

/// Blocks that the calling thread has taken back since its record was made, and their bytes.
pub(crate) fn taken_back(local: &Local) -> (u64, u64) {
    let took = &local.own_record().returns.took;
    let blocks = took.iter().map(|blocks| blocks.load(Relaxed));
    blocks
        .enumerate()
        .fold((0, 0), |(sum, bytes), (class, blocks)| {
            (sum + blocks, bytes + blocks * class_size(class) as u64)
        })
}

/// A frame begins on this thread.
#[inline(always)]
pub(crate) fn frame_begins(local: &Local) {
    if !local.own_record().returns.queue.first().is_null() {
        take_back_at_begin(local);
    }
}

/// A frame ends on this thread.
#[inline(always)]
pub(crate) fn frame_ends(local: &Local, domain: &Domain) {
    let record = local.own_record();
    if record.pool.gathered() | record.returns.queue.first() as usize != 0 {
        exchange(local, domain);
    }
}

#[cold]
#[inline(never)]
fn take_back_at_begin(local: &Local) {
    if mode() == Mode::FrameBegin {
        local.own_record().returns.take_back(AT_BOUNDARY);
    }
}

#[cold]
#[inline(never)]
fn exchange(local: &Local, domain: &Domain) {
    let record = local.own_record();
    record.pool.flush();
    // A thread joins a shared frame where its last one ends.
    if mode() == Mode::FrameEnd || (mode() == Mode::FrameBegin && domain.is_shared()) {
        record.returns.take_back(AT_BOUNDARY);
    }
}

// ---- Figures -------------------------------------------------------------------------------------------------------

/// What has happened since the program began, and what waits now.
#[derive(Default)]
pub(crate) struct Figures {
    pub queued: u64,
    pub processed: u64,
    pub depth: u64,
    pub bytes: u64,
    pub peak: u64,
    pub full: u64,
    pub warnings: u64,
    pub immediate: u64,
}

pub(crate) fn figures() -> Figures {
    let mut figures = Figures {
        full: FULL.load(Relaxed),
        warnings: WARNINGS.load(Relaxed),
        immediate: IMMEDIATE.load(Relaxed),
        ..Figures::default()
    };
    for (class, shared) in SHARED_BLOCKS.iter().enumerate() {
        // What was processed first: never more than was queued.
        let (mut took, mut gave) = (shared.load(Relaxed), 0);
        for_each_record(|record| took += record.returns.took[class].load(Relaxed));
        for_each_record(|record| gave += record.pool.gave(class));
        figures.queued += gave;
        figures.processed += took;
        let waiting = gave.saturating_sub(took);
        figures.depth += waiting;
        figures.bytes += waiting * class_size(class) as u64;
    }
    for_each_record(|record| {
        let queue = &record.returns.queue;
        let peak = queue.outgoing.0.peak.load(Relaxed).max(queue.depth());
        figures.peak = figures.peak.max(peak);
    });
    figures
}

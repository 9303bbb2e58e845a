//! What each thread keeps: the state of its fast paths, and its immortal record.
//!
//! ```text
//!  thread-local `Local` (no destructor)        heap                               static
//! +------------------------------+
//! | key, ptr, limit   active arena|---arena---> Arena (owned by its domain)
//! | mark, seen        unsettled   |
//! | tag, counters ----------------|----------> Record.blocks[tag / 128][tag % 128]
//! | record -----------------------|----------> Record  <--- ALL (every record ever made)
//! | table ------------------------|--> [Entry: one for each domain this thread used]
//! +------------------------------+
//! ```
//!
//! `Local` has no destructor, so reaching it costs one segment-relative access and works at any time, in other
//! thread-locals' destructors too. `EXIT` is the destructor: it hands arenas back to their domains and the record to the
//! next thread. What runs on a thread after that is served from the `LIMBO` record, and from arenas that `LATE_EXIT` hands
//! back.

use core::cell::Cell;
use core::ptr::{null, null_mut};
#[cfg(feature = "snapshots")]
use core::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Weak};

use super::arena::Arena;
use super::domain::Domain;
use super::pool::heap::PoolHeap;
use super::record::{LIMBO_BLOCK, Record, TagCounters, add, for_each_record};
use crate::budgets::{Payee, pools_are_closed};
use crate::diagnostics;
use crate::events::somebody_watches;

/// What a thread without a record finds: nothing free, and no page is its own, so that every path is the slow one.
static EMPTY: Record = Record::new();

/// The tag before the current one, and its counters on this thread.
#[derive(Debug)]
pub(crate) struct OuterTag {
    tag: u32,
    counters: *const TagCounters,
}

/// One domain that this thread has used: its arena, and the arena's bump state while another domain's is active.
struct Entry {
    domain: u64,
    arena: *const Arena,
    owner: Weak<Domain>,
    ptr: usize,
    limit: usize,
    noted: NotedTags,
}

/// The tags that last made leases in a chunk, newest first; [`NO_TAG`] where there are fewer.
pub(crate) type NotedTags = [u32; 4];
/// No tag, in [`NotedTags`].
pub(crate) const NO_TAG: u32 = u32::MAX;
/// Set in [`Local::phases`] while any allocator is watched.
pub(crate) const WATCHED: usize = 1 << (usize::BITS - 1);
pub(crate) const NOTHING_NOTED: NotedTags = [NO_TAG; 4];

/// The state of the fast paths. See the module's drawing.
pub(crate) struct Local {
    /// The key of the frame that is open here, and zero if none is. If it equals a domain's key, then `arena` is that
    /// domain's arena on this thread and `ptr`/`limit` are its bump state.
    pub key: Cell<u64>,
    pub ptr: Cell<usize>,
    pub limit: Cell<usize>,
    /// `ptr - mark` bytes have been allocated under the current tag since it was last settled.
    pub mark: Cell<usize>,
    /// Where `ptr` stood when tags last changed: if it moved, the tag made leases in the active chunk.
    seen: Cell<usize>,
    /// The tags that made leases in the active chunk, for the report of leases that escape their frame.
    noted: Cell<NotedTags>,
    /// Like `key`, but also set while no frame is open: enough for a guard.
    pub home: Cell<u64>,
    pub arena: Cell<*const Arena>,
    pub tag: Cell<u32>,
    pub counters: Cell<*const TagCounters>,
    pub record: Cell<*const Record>,
    /// The account that was looked up last: of which state of which ledger, and for which tag.
    pub known_payee: Cell<Option<((u64, u32), Payee)>>,
    /// The pool of the fast paths: the record's; an empty one while there is no record, or a phase that counts its blocks, and
    /// once an allocator was given budgets that was made without.
    pub pool: Cell<*const PoolHeap>,
    /// Phases that are open on this thread, of all allocators; and [`WATCHED`]. Zero if no slow path has more to do.
    pub phases: Cell<usize>,
    /// The record; an empty one while there is none.
    mine: Cell<*const Record>,
    /// One more than the index of the table's active entry, and zero if none is active.
    active: Cell<usize>,
    table: Cell<*mut Vec<Entry>>,
    starting: Cell<bool>,
}

thread_local! {
    static LOCAL: Local = const {
        Local {
            key: Cell::new(0),
            ptr: Cell::new(0),
            limit: Cell::new(0),
            mark: Cell::new(0),
            seen: Cell::new(0),
            noted: Cell::new(NOTHING_NOTED),
            home: Cell::new(0),
            arena: Cell::new(null()),
            tag: Cell::new(0),
            counters: Cell::new(&raw const LIMBO_BLOCK[0]),
            record: Cell::new(null()),
            known_payee: Cell::new(None),
            pool: Cell::new(&raw const EMPTY.pool),
            phases: Cell::new(0),
            mine: Cell::new(&raw const EMPTY),
            active: Cell::new(0),
            table: Cell::new(null_mut()),
            starting: Cell::new(false),
        }
    };
    static EXIT: Exit = const { Exit };
    static LATE_EXIT: Exit = const { Exit };
}

/// Runs `f` with the calling thread's state. For the fast paths, which reach a field or two: each is one segment-relative access.
#[inline(always)]
pub(crate) fn local<R>(f: impl FnOnce(&Local) -> R) -> R {
    LOCAL.with(f)
}

/// [`local`] for what reaches many fields: finds the address once, and inlines `f` whatever its size.
#[inline(always)]
pub(crate) fn local_by_address<R>(f: impl FnOnce(&Local) -> R) -> R {
    let local = LOCAL.with(core::ptr::from_ref);
    // SAFETY: the state has no destructor, so it is there as long as its thread, which this is.
    f(unsafe { &*local })
}

struct Exit;

impl Drop for Exit {
    fn drop(&mut self) {
        local(Local::end_thread);
    }
}

impl Local {
    /// This thread's record, made on first use. `None` where the thread has none: see [`LIMBO`].
    #[inline(always)]
    pub(crate) fn record(&self) -> Option<&'static Record> {
        if self.record.get().is_null() {
            self.start_thread()
        } else {
            // SAFETY: records are never freed (I5).
            Some(unsafe { &*self.record.get() })
        }
    }

    #[cold]
    #[inline(never)]
    fn start_thread(&self) -> Option<&'static Record> {
        // Set while the record is being made and once it was given back: allocations of the global allocator made
        // meanwhile find no record instead of starting over.
        if self.starting.replace(true) {
            return None;
        }
        // Fails when this thread's destructors are past ours: then nobody would give the record back.
        EXIT.try_with(|_| ()).ok()?;
        let record = Record::take()?;
        self.record.set(record);
        self.mine.set(record);
        self.look_for_watchers();
        self.counters.set(record.counters(self.tag.get()));
        Some(record)
    }

    fn end_thread(&self) {
        // The destructors of retained values may use allocators, which starts another table.
        while let table = self.table.replace(null_mut())
            && !table.is_null()
        {
            // SAFETY: `table` came from `Box::into_raw`, and is unlinked.
            let mut entries = *unsafe { Box::from_raw(table) };
            self.deactivate(&mut entries);
            for entry in entries {
                if let Some(alive) = entry.owner.upgrade() {
                    // SAFETY: the domain is alive, so its arena is; it is this thread's (I2).
                    unsafe {
                        alive.leave_retained(entry.arena);
                        (*entry.arena).thread_ended(entry.ptr, entry.noted);
                    }
                }
            }
        }
        self.settle();
        self.counters.set(&raw const LIMBO_BLOCK[0]);
        let record = self.record.replace(null());
        self.pool.set(&raw const EMPTY.pool);
        self.mine.set(&raw const EMPTY);
        self.starting.set(true);
        if !record.is_null() {
            // SAFETY: records are never freed; this thread held it until here.
            let shared = unsafe { &*record };
            shared.pool.flush();
            shared.hand_back();
        }
    }

    /// Whether this thread's record is being made, was given back, or could not be made: see [`LIMBO`](super::record::LIMBO).
    pub(crate) fn is_past_its_end(&self) -> bool {
        self.record.get().is_null() && self.starting.get()
    }

    /// The number of the frame in the domain that is active here, and whether it is open. Zero if none is active.
    pub(crate) fn frame(&self) -> (u64, bool) {
        let Some(index) = self.active.get().checked_sub(1) else {
            return (0, false);
        };
        // SAFETY: there is a table if an entry is active; it is this thread's, and not borrowed elsewhere (I6).
        let entry = unsafe { &(&*self.table.get())[index] };
        let (arena, owner) = (entry.arena, entry.owner.upgrade());
        match owner {
            // SAFETY: the domain is alive, so its arena is; it is this thread's (I2).
            Some(domain) => domain.frame_of(unsafe { &*arena }),
            None => (0, false),
        }
    }

    /// Charges what has been bumped since the last time to the current tag.
    #[inline(always)]
    pub(crate) fn settle(&self) {
        if self.ptr.get() != self.mark.get() {
            self.settle_bytes();
        }
    }

    #[inline]
    fn settle_bytes(&self) {
        let ptr = self.ptr.get();
        let bytes = self.pending();
        self.mark.set(ptr);
        add(&self.counters().frame_bytes, bytes as u64);
        if ptr != self.seen.get() {
            self.note_tag(ptr);
        }
    }

    /// Remembers that the current tag made leases in the active chunk, for the report of leases that escape.
    #[inline]
    fn note_tag(&self, ptr: usize) {
        self.seen.set(ptr);
        let noted = self.noted.get();
        let tag = self.tag.get();
        if noted[0] != tag {
            self.noted.set([tag, noted[0], noted[1], noted[2]]);
        }
    }

    /// Settles, and takes the tags that made leases in the active chunk, which is being left.
    #[inline]
    pub(crate) fn take_noted(&self) -> NotedTags {
        self.settle();
        self.noted.replace(NOTHING_NOTED)
    }

    /// The tags that made leases in the active chunk so far.
    pub(crate) fn noted_tags(&self) -> NotedTags {
        self.settle();
        self.noted.get()
    }

    /// The tags that made leases in a chunk that is the active one again.
    #[inline]
    pub(crate) fn resume_noted(&self, noted: NotedTags) {
        self.noted.set(noted);
    }

    /// The set of noted tags that has the current one alone.
    pub(crate) fn only_this_tag(&self) -> NotedTags {
        [self.tag.get(), NO_TAG, NO_TAG, NO_TAG]
    }

    /// Bytes that are not charged to a tag yet.
    pub(crate) fn pending(&self) -> usize {
        self.ptr.get().wrapping_sub(self.mark.get())
    }

    /// Counts bytes for the current tag that were not bumped in the active chunk.
    #[inline(always)]
    pub(crate) fn charge(&self, bytes: usize) {
        self.mark.set(self.mark.get().wrapping_sub(bytes));
    }

    /// The active chunk, of which `used` bytes from `start` were in use, is empty again.
    #[inline(always)]
    pub(crate) fn rewound(&self, start: usize, used: usize) {
        self.ptr.set(start);
        self.charge(used);
        self.seen.set(start);
        self.noted.set(NOTHING_NOTED);
    }

    /// Moves the bump pointer to another place, keeping what is not settled yet unsettled.
    #[inline(always)]
    pub(crate) fn jump(&self, ptr: usize, limit: usize) {
        let pending = self.pending();
        self.ptr.set(ptr);
        self.limit.set(limit);
        self.mark.set(ptr.wrapping_sub(pending));
        self.seen.set(ptr);
    }

    /// Makes `tag` the current one.
    #[inline(always)]
    pub(crate) fn enter_tag(&self, tag: u32) -> OuterTag {
        // First, since it may move the present tag's counters from limbo to the record.
        let record = self.record();
        self.settle();
        let outer = OuterTag {
            tag: self.tag.replace(tag),
            counters: self.counters.get(),
        };
        if let Some(record) = record {
            self.counters.set(record.counters(tag));
        }
        outer
    }

    /// Makes the tag before it the current one again.
    #[inline(always)]
    pub(crate) fn leave_tag(&self, outer: &OuterTag) {
        self.settle();
        self.tag.set(outer.tag);
        self.counters.set(outer.counters);
    }

    /// This thread's record; an empty one, which stays so, if it has none.
    #[inline(always)]
    pub(crate) fn own_record(&self) -> &'static Record {
        // SAFETY: records are never freed (I5).
        unsafe { &*self.mine.get() }
    }

    /// Sees whether any allocator is watched: then this thread's pools have no fast paths.
    pub(crate) fn look_for_watchers(&self) {
        let phases = self.phases.get() & !WATCHED;
        let watched = if somebody_watches() { WATCHED } else { 0 };
        self.phases.set(phases | watched);
        self.choose_pool();
    }

    /// The arena of this thread in `domain`, if it has one.
    pub(crate) fn arena_in(&self, domain: &Domain) -> Option<*const Arena> {
        // SAFETY: the table is this thread's, and not borrowed elsewhere (I6).
        let entries = unsafe { self.table.get().as_ref() }?;
        let entry = entries.iter().find(|entry| entry.domain == domain.id())?;
        Some(entry.arena)
    }

    /// Decides whether pools have fast paths on this thread.
    pub(crate) fn choose_pool(&self) {
        let record = self.record.get();
        self.pool.set(
            if record.is_null() || self.phases.get() != 0 || pools_are_closed() {
                &raw const EMPTY.pool
            } else {
                // SAFETY: records are never freed (I5).
                unsafe { &raw const (*record).pool }
            },
        );
    }

    /// Leaves no room in the active chunk that the fast path could see: every allocation takes the slow one.
    pub(crate) fn hood(&self) {
        self.limit.set(self.ptr.get());
    }

    /// The counters of the current tag; limbo's where this thread has no record.
    #[inline(always)]
    pub(crate) fn counters(&self) -> &'static TagCounters {
        // SAFETY: points at counters that are never freed.
        unsafe { &*self.counters.get() }
    }

    /// The counters of `tag` on this thread, unless it has no record.
    #[inline(always)]
    pub(crate) fn counters_of(&self, tag: u32) -> Option<&'static TagCounters> {
        self.record().map(|record| record.counters(tag))
    }

    /// The counters of `tag`, if this thread has got them already.
    #[inline(always)]
    pub(crate) fn known_counters_of(&self, tag: u32) -> Option<&'static TagCounters> {
        // SAFETY: records are never freed (I5).
        unsafe { self.record.get().as_ref() }?.known_counters(tag)
    }

    /// Whether `ptr` and `limit` are this arena's bump state.
    pub(crate) fn is_active(&self, arena: *const Arena) -> bool {
        core::ptr::eq(self.arena.get(), arena)
    }

    /// The domain whose arena is the active one, unless it is gone: the one that was used last on this thread.
    pub(crate) fn active_domain(&self) -> Option<Arc<Domain>> {
        let index = self.active.get().checked_sub(1)?;
        // SAFETY: an entry is active, so there is a table; it is this thread's, and not borrowed elsewhere (I6).
        let entries = unsafe { &*self.table.get() };
        entries[index].owner.upgrade()
    }

    /// Makes the arena of `domain` on this thread the active one, creating or adopting it on first use.
    ///
    /// Afterwards `arena`, `ptr` and `limit` are that arena's; the caller sets `key` and `home`.
    pub(crate) fn activate(&self, domain: &Domain) -> *const Arena {
        let table = self.table.get();
        if !table.is_null() {
            // SAFETY: the table is this thread's, and not borrowed elsewhere (I6).
            let entries = unsafe { &mut *table };
            if let Some(index) = entries.iter().position(|entry| entry.domain == domain.id()) {
                if self.active.get() != index + 1 {
                    self.deactivate(entries);
                    self.activate_entry(&entries[index], index);
                }
                return self.arena.get();
            }
        }
        self.activate_first(domain)
    }

    #[inline(always)]
    fn activate_entry(&self, entry: &Entry, index: usize) {
        self.jump(entry.ptr, entry.limit);
        self.noted.set(entry.noted);
        self.arena.set(entry.arena);
        self.active.set(index + 1);
    }

    /// [`activate`](Self::activate) for a domain that this thread has not used.
    #[cold]
    #[inline(never)]
    fn activate_first(&self, domain: &Domain) -> *const Arena {
        if self.record().is_none() {
            diagnostics::thread_state_missing("frame memory");
            // `EXIT` has run: what other thread-locals' destructors use from here on is handed back after them.
            let _ = LATE_EXIT.try_with(|_| ());
        }
        if self.table.get().is_null() {
            self.table.set(Box::into_raw(Box::default()));
        }
        let entry = Entry {
            domain: domain.id(),
            arena: domain.arena_for_this_thread(),
            owner: domain.weak(),
            ptr: 0,
            limit: 0,
            noted: NOTHING_NOTED,
        };
        // SAFETY: the table is this thread's, and not borrowed elsewhere (I6).
        let entries = unsafe { &mut *self.table.get() };
        self.deactivate(entries);
        entries.retain(|entry| entry.owner.strong_count() > 0);
        entries.push(entry);
        self.activate_entry(&entries[entries.len() - 1], entries.len() - 1);
        self.arena.get()
    }

    /// Writes the active arena's bump state back to its entry.
    #[inline(always)]
    fn deactivate(&self, entries: &mut [Entry]) {
        let Some(index) = self.active.replace(0).checked_sub(1) else {
            return;
        };
        let entry = &mut entries[index];
        entry.noted = self.take_noted();
        entry.ptr = self.ptr.get();
        entry.limit = self.limit.get();
        self.jump(0, 0);
        self.arena.set(null());
        self.key.set(0);
        self.home.set(0);
    }
}

/// Calls `visit` with the counters of every (thread, tag) pair, after settling the calling thread.
pub(crate) fn for_each_counter(mut visit: impl FnMut(u32, &TagCounters)) {
    local(Local::settle);
    for_each_record(|record| record.visit(&mut visit));
}

/// What the threads of one record took from pools and heap, less what they gave back, their own or others'.
#[cfg(feature = "snapshots")]
pub(crate) struct ThreadUse {
    /// The record's number.
    pub(crate) number: u64,
    pub(crate) pool_bytes: i64,
    /// Filled by who looks at the counters of tags.
    pub(crate) heap_bytes: i64,
    pub(crate) pool_reserved: u64,
    inherited_pool_bytes: i64,
    inherited_heap_bytes: i64,
}

#[cfg(feature = "snapshots")]
impl ThreadUse {
    pub(crate) fn of_pools(record: &Record) -> Self {
        let heaps = [&record.pool, &record.charged];
        Self {
            number: record.number(),
            pool_bytes: heaps.iter().map(|heap| heap.live_bytes()).sum(),
            heap_bytes: 0,
            pool_reserved: heaps.iter().map(|heap| heap.page_bytes()).sum(),
            inherited_pool_bytes: record.inherited.pool_bytes.load(Relaxed),
            inherited_heap_bytes: record.inherited.heap_bytes.load(Relaxed),
        }
    }

    /// The part of the pools that is the present thread's doing: below zero where it frees what others allocate.
    pub(crate) fn own_pool_bytes(&self) -> i64 {
        self.pool_bytes - self.inherited_pool_bytes
    }

    /// The same of the heap.
    pub(crate) fn own_heap_bytes(&self) -> i64 {
        self.heap_bytes - self.inherited_heap_bytes
    }
}

/// Brings the calling thread's counters up to date.
#[cfg(feature = "snapshots")]
pub(crate) fn settle() {
    local(Local::settle);
}

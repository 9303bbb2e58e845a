//! What one `SmartAlloc` and its clones share.

use core::fmt;
use core::sync::atomic::{
    AtomicBool, AtomicU8, AtomicU64, Ordering::Acquire, Ordering::Relaxed, Ordering::Release,
};
use std::sync::{Arc, Weak};
use std::thread::ThreadId;

use web_time::Instant;

use super::arena::{Arena, ArenaLimits};
use super::pool;
use super::record::Record;
use super::retained::{Mine, Retained, Stray};
use super::thread::{Local, NO_TAG, NotedTags, local};
use crate::budgets::{self, Ledger};
use crate::config::AllocConfig;
use crate::diagnostics::{self, DiagnosticCode};
use crate::error::{AllocErrorKind, FrameError};
use crate::events::{Event, Events, Hub};
use crate::stats::{ArenaStats, ArenaTotals};
use crate::sync::Mutex;
use crate::tags::TagId;

/// Domain ids, frame keys and the ids of groups' and handles' allocators, never reused (I4).
static NEXT_KEY: AtomicU64 = AtomicU64::new(1);

pub(crate) fn fresh_key() -> u64 {
    NEXT_KEY.fetch_add(1, Relaxed)
}

pub(crate) struct Domain {
    /// What a thread's cached key has to equal for its fast path. Replaced whenever a shared frame opens or closes, or metering
    /// begins, so that every thread comes to its slow path once and joins the new frame, or learns that there is none.
    key: AtomicU64,
    /// Replaced whenever a shared frame closes: an arena that has not seen it is rewound.
    epoch: AtomicU64,
    /// Why every allocation of frame memory is seen one by one, which takes the fast paths away: [`BUDGETED`], [`WATCHED`].
    metered: AtomicU8,
    /// Held while it is decided whether the domain is watched.
    watching: Mutex<()>,
    events: Events,
    id: u64,
    weak: Weak<Domain>,
    config: AllocConfig,
    limits: ArenaLimits,
    ledger: Arc<Ledger>,
    arenas: Mutex<Vec<ArenaSlot>>,
    /// Whether a `SharedFrames` token exists. Then threads cannot open frames of their own.
    shared: AtomicBool,
    shared_open: AtomicBool,
    shared_frames: AtomicU64,
    /// The number of the open shared frame, and when it was opened, if somebody listened.
    shared_since: Mutex<Option<(u64, Instant)>>,
    /// Whether a value was ever retained, so that nobody else looks for one.
    pub(crate) retains: AtomicBool,
    /// Retained values of threads that have ended.
    strays: Mutex<Vec<Stray>>,
}

/// There are budgets.
const BUDGETED: u8 = 1;
/// Somebody listens.
const WATCHED: u8 = 2;

struct ArenaSlot {
    arena: Box<Arena>,
    thread: String,
    thread_id: ThreadId,
    /// The number of the thread's record; `None` if it had none, or the record is another slot's now.
    record: Option<u64>,
    /// The thread has ended and left nothing behind: another may adopt the arena.
    orphan: bool,
}

/// An arena's figures, and the thread that they are of.
#[cfg(feature = "snapshots")]
pub(crate) struct Owned {
    pub(crate) stats: ArenaStats,
    pub(crate) thread: ThreadId,
    /// The number of the thread's record, if that has one.
    pub(crate) record: Option<u64>,
}

// SAFETY: the arenas are each touched by one thread at a time (I2); the list of them is locked.
unsafe impl Send for Domain {}
// SAFETY: as above.
unsafe impl Sync for Domain {}

impl Domain {
    pub(crate) fn new(config: AllocConfig) -> Arc<Self> {
        let id = fresh_key();
        let ledger = Arc::new(Ledger::new(config.global_memory_limit));
        if config.has_budgets() {
            ledger.turn_on();
        }
        Arc::new_cyclic(|weak| Self {
            key: AtomicU64::new(id),
            epoch: AtomicU64::new(id),
            metered: AtomicU8::new(if config.has_budgets() { BUDGETED } else { 0 }),
            watching: Mutex::new(()),
            events: Events::new(weak),
            id,
            weak: weak.clone(),
            limits: ArenaLimits::new(&config),
            ledger,
            config,
            arenas: Mutex::new(Vec::new()),
            shared: AtomicBool::new(false),
            shared_open: AtomicBool::new(false),
            shared_frames: AtomicU64::new(0),
            shared_since: Mutex::new(None),
            retains: AtomicBool::new(false),
            strays: Mutex::new(Vec::new()),
        })
    }

    #[inline(always)]
    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    pub(crate) fn weak(&self) -> Weak<Self> {
        self.weak.clone()
    }

    pub(crate) fn config(&self) -> &AllocConfig {
        &self.config
    }

    pub(crate) fn ledger(&self) -> &Arc<Ledger> {
        &self.ledger
    }

    /// Counts every allocation of frame memory from now on, on all threads.
    pub(crate) fn meter(&self) {
        self.metered.fetch_or(BUDGETED, Release);
        self.key.store(fresh_key(), Release);
    }

    /// Counts every allocation against the budgets from now on. Threads find out when they next come to their slow path; the
    /// calling one, and those that start, at once.
    pub(crate) fn turn_budgets_on(&self) {
        if self.ledger.is_on() {
            return;
        }
        self.ledger.turn_on();
        budgets::close_pools();
        self.meter();
        local(Local::look_for_watchers);
    }

    fn is_metered(&self) -> bool {
        self.metered.load(Acquire) != 0
    }

    /// What listens to it.
    pub(crate) fn hub(&self) -> &Arc<Hub> {
        self.events.hub()
    }

    /// Changes who listens, which returns whether anybody does now. Threads find out when they next come to their slow path;
    /// the calling one, and those that start, at once.
    pub(crate) fn watch(&self, change: impl FnOnce() -> bool) {
        {
            let _one = self.watching.lock();
            let before = self.metered.load(Acquire) & WATCHED != 0;
            let now = change();
            if now != before {
                self.metered.fetch_xor(WATCHED, Release);
                self.ledger.set_watched(now.then(|| self.hub()));
                self.key.store(fresh_key(), Release);
            }
        }
        local(Local::look_for_watchers);
    }

    /// The number of the calling thread's frame, and whether it is open. Nothing is rewound for it, and no arena made.
    pub(crate) fn frame_here(&self, local: &Local) -> (u64, bool) {
        match local.arena_in(self) {
            // SAFETY: the arena of this thread in this domain, which owns it.
            Some(arena) => self.frame_of(unsafe { &*arena }),
            None if self.is_shared() => (self.shared_frames.load(Relaxed), self.shared_is_open()),
            None => (0, false),
        }
    }

    #[inline(always)]
    pub(crate) fn key(&self) -> u64 {
        self.key.load(Relaxed)
    }

    #[inline(always)]
    pub(crate) fn is_shared(&self) -> bool {
        self.shared.load(Acquire)
    }

    #[inline(always)]
    pub(crate) fn shared_is_open(&self) -> bool {
        self.shared_open.load(Acquire)
    }

    /// Finds an orphaned arena or makes one.
    pub(crate) fn arena_for_this_thread(&self) -> *const Arena {
        let thread = std::thread::current();
        let name = match thread.name() {
            Some(name) => name.to_owned(),
            None => format!("{:?}", thread.id()),
        };
        let record = local(Local::record).map(Record::number);
        let mut arenas = self.arenas.lock();
        for slot in arenas.iter_mut().filter(|slot| slot.record == record) {
            // Of a thread that has ended, and whose record this one has adopted.
            slot.record = None;
        }
        let slot = match arenas.iter().position(|slot| slot.orphan) {
            Some(index) => {
                let slot = &mut arenas[index];
                slot.orphan = false;
                slot.thread = name;
                slot.thread_id = thread.id();
                slot.record = record;
                slot
            }
            None => arenas.push_mut(ArenaSlot {
                arena: Arena::new(self.limits, self),
                thread: name,
                thread_id: thread.id(),
                record,
                orphan: false,
            }),
        };
        slot.arena.begin_life();
        &raw const *slot.arena
    }

    /// Lets another thread adopt an arena whose own has ended.
    ///
    /// The caller has made sure that nothing of it is leased or guarded: the dead thread's remaining destructors could
    /// otherwise touch it while its next owner does, and no lock would order the two. With nothing left they hold nothing
    /// of it, and an allocation that they make finds no cached arena and gets another one, never this (I2).
    pub(crate) fn orphan(&self, arena: *const Arena) {
        let mut arenas = self.arenas.lock();
        if let Some(slot) = arenas
            .iter_mut()
            .find(|slot| core::ptr::eq(&raw const *slot.arena, arena))
        {
            slot.orphan = true;
        }
    }

    pub(crate) fn arena_stats(&self) -> Vec<ArenaStats> {
        let arenas = self.arenas.lock();
        arenas
            .iter()
            .map(|slot| slot.arena.stats(slot.thread.clone(), !slot.orphan))
            .collect()
    }

    pub(crate) fn arena_totals(&self) -> ArenaTotals {
        let mut totals = ArenaTotals::default();
        for slot in self.arenas.lock().iter() {
            slot.arena.add_to(&mut totals);
        }
        totals
    }

    /// [`arena_stats`](Self::arena_stats), and whose they are.
    #[cfg(feature = "snapshots")]
    pub(crate) fn arena_owners(&self) -> Vec<Owned> {
        let arenas = self.arenas.lock();
        arenas
            .iter()
            .map(|slot| Owned {
                stats: slot.arena.stats(slot.thread.clone(), !slot.orphan),
                thread: slot.thread_id,
                record: slot.record,
            })
            .collect()
    }

    /// Makes this thread's arena the active one and opens what `home` stands for. Does not require an open frame.
    ///
    /// If the shared frame has moved on since this thread last looked, its arena is rewound.
    #[cold]
    #[inline(never)]
    pub(crate) fn resolve(&self, local: &Local) -> *const Arena {
        loop {
            // Before the epoch: if that is newer than the key, the key is old, and this thread comes here again.
            let key = self.key.load(Acquire);
            let arena = local.activate(self);
            if local.home.get() == key {
                return arena;
            }
            // SAFETY: the arena of this thread in a domain that the caller holds alive.
            let mine = unsafe { &*arena };
            let epoch = self.epoch.load(Acquire);
            if mine.joined.get() != epoch && !mine.open.get() {
                if self.retains.load(Relaxed) && mine.retained.count() != 0 {
                    // Of a frame whose end missed them. Their destructors may do anything, so look again.
                    // SAFETY: as above.
                    unsafe { Mine::new(arena) }.discard_all();
                    continue;
                }
                mine.joined.set(epoch);
                mine.rewind(local, self);
                // What escaped was reported, and the sink may have made another domain's arena the active one.
                if !local.is_active(arena) {
                    continue;
                }
            }
            mine.set_metered(local, self.is_metered(), &self.ledger);
            if local.key.get() != key {
                local.key.set(0);
            }
            // A metered arena has no home: each guard that is opened comes here.
            local.home.set(if mine.is_metered() { 0 } else { key });
            return arena;
        }
    }

    /// Gives the fast path what it needs, if a frame is open here.
    #[inline]
    pub(crate) fn enter(&self, local: &Local) -> Result<(), AllocErrorKind> {
        // If it is replaced meanwhile, this thread comes here again.
        let key = self.key.load(Acquire);
        let arena = self.resolve(local);
        // SAFETY: as in `resolve`.
        let open = unsafe { &*arena }.open.get() || self.shared_is_open();
        if !open {
            return Err(AllocErrorKind::NoFrame);
        }
        local.key.set(key);
        Ok(())
    }

    #[inline]
    pub(crate) fn begin_frame(&self) -> Result<(), FrameError> {
        local(|local| {
            let key = self.key();
            if local.home.get() != key {
                return self.begin_frame_slowly(local);
            }
            // SAFETY: as in `resolve`.
            let arena = unsafe { &*local.arena.get() };
            self.open_frame(local, arena, key)
        })
    }

    #[inline(always)]
    fn open_frame(&self, local: &Local, arena: &Arena, key: u64) -> Result<(), FrameError> {
        if arena.open.get() {
            return Err(FrameError::AlreadyOpen);
        }
        if self.is_shared() {
            return Err(FrameError::Shared);
        }
        arena.open.set(true);
        arena.begun();
        local.key.set(key);
        pool::deferred::frame_begins(local);
        Ok(())
    }

    /// [`begin_frame`](Self::begin_frame) of an arena that is not at home: a watched one never is.
    #[cold]
    #[inline(never)]
    fn begin_frame_slowly(&self, local: &Local) -> Result<(), FrameError> {
        let key = self.key.load(Acquire);
        // SAFETY: as in `resolve`.
        let arena = unsafe { &*self.resolve(local) };
        if !self.hub().is_on() {
            return self.open_frame(local, arena, key);
        }
        let before = pool::deferred::taken_back(local);
        self.open_frame(local, arena, key)?;
        let number = arena.frames();
        arena.begun_at.set(Some((number, Instant::now())));
        self.hub().tell(&Event::FrameBegun { number });
        self.tell_taken_back(local, before);
        Ok(())
    }

    /// [`process`](pool::deferred::process), and tells of it.
    pub(crate) fn process_deferred(&self, max: usize) -> usize {
        if !self.hub().is_on() {
            return pool::deferred::process(max);
        }
        local(|local| {
            let before = pool::deferred::taken_back(local);
            let blocks = pool::deferred::process(max);
            self.tell_taken_back(local, before);
            blocks
        })
    }

    /// Tells of blocks that other threads freed and that this one has taken back meanwhile. User code may run.
    fn tell_taken_back(&self, local: &Local, before: (u64, u64)) {
        let now = pool::deferred::taken_back(local);
        let (blocks, bytes) = (now.0 - before.0, now.1 - before.1);
        if blocks != 0 {
            self.hub().tell(&Event::Processed { blocks, bytes });
        }
    }

    #[inline]
    pub(crate) fn end_frame(&self) -> Result<(), FrameError> {
        local(|local| {
            if local.home.get() != self.key() {
                return self.end_frame_slowly(local);
            }
            // SAFETY: as in `resolve`.
            let arena = unsafe { &*local.arena.get() };
            self.close_frame(local, arena)
        })
    }

    #[inline(always)]
    fn close_frame(&self, local: &Local, arena: &Arena) -> Result<(), FrameError> {
        if !arena.open.replace(false) {
            return Err(self.no_frame());
        }
        local.key.set(0);
        arena.rewind(local, self);
        Ok(())
    }

    /// [`end_frame`](Self::end_frame) of an arena that is not at home: a watched one never is.
    #[cold]
    #[inline(never)]
    fn end_frame_slowly(&self, local: &Local) -> Result<(), FrameError> {
        // SAFETY: as in `resolve`.
        let arena = unsafe { &*self.resolve(local) };
        if !self.hub().is_on() {
            return self.close_frame(local, arena);
        }
        let number = arena.frames();
        let before = pool::deferred::taken_back(local);
        self.close_frame(local, arena)?;
        self.tell_taken_back(local, before);
        // Gone if a destructor has ended the frame, which has told of it then; of another frame if one has begun since.
        if let Some((of, since)) = arena.begun_at.take() {
            if of == number {
                self.tell_frame_ended(number, since);
            } else {
                arena.begun_at.set(Some((of, since)));
            }
        }
        Ok(())
    }

    fn tell_frame_ended(&self, number: u64, since: Instant) {
        self.hub().tell(&Event::FrameEnded {
            number,
            duration_us: since.elapsed().as_micros() as u64,
        });
    }

    /// Why the calling thread has no frame to end.
    pub(crate) fn no_frame(&self) -> FrameError {
        if self.is_shared() {
            FrameError::Shared
        } else {
            FrameError::NotOpen
        }
    }

    /// The number of frames that were begun: on this thread, or together where frames are shared.
    pub(crate) fn frame_number(&self) -> u64 {
        if self.is_shared() {
            return self.shared_frames.load(Relaxed);
        }
        local(|local| {
            let arena = self.resolve(local);
            // SAFETY: as in `resolve`.
            unsafe { &*arena }.frames()
        })
    }

    /// The number of the frame for the thread whose arena this is, and whether it is open. Nobody joins it by asking.
    pub(crate) fn frame_of(&self, arena: &Arena) -> (u64, bool) {
        if self.is_shared() {
            (self.shared_frames.load(Relaxed), self.shared_is_open())
        } else {
            (arena.frames(), arena.open.get())
        }
    }

    /// Whether an arena of the calling thread is in the present shared frame.
    pub(crate) fn has_joined(&self, arena: &Arena) -> bool {
        arena.joined.get() == self.epoch.load(Acquire)
    }

    pub(crate) fn frame_is_open(&self) -> bool {
        self.shared_is_open()
            || local(|local| {
                let arena = self.resolve(local);
                // SAFETY: as in `resolve`.
                unsafe { &*arena }.open.get()
            })
    }

    /// Makes every thread look again, and rewind its arena.
    fn advance(&self) {
        let key = fresh_key();
        self.epoch.store(key, Release);
        self.key.store(key, Release);
    }

    pub(crate) fn take_token(&self) -> Result<(), FrameError> {
        if self.shared.swap(true, Acquire) {
            return Err(FrameError::TokenTaken);
        }
        self.advance();
        Ok(())
    }

    pub(crate) fn return_token(&self) {
        self.shared_open.store(false, Release);
        self.advance();
        // Last: from here on the next owner may set a key of its own.
        self.shared.store(false, Release);
    }

    pub(crate) fn begin_shared(&self) -> Result<(), FrameError> {
        if self.shared_open.swap(true, Relaxed) {
            return Err(FrameError::AlreadyOpen);
        }
        let number = self.shared_frames.fetch_add(1, Relaxed) + 1;
        // Not the epoch: who has not rewound since the frame before ended does so now, and nobody does it twice.
        self.key.store(fresh_key(), Release);
        if self.hub().is_on() {
            *self.shared_since.lock() = Some((number, Instant::now()));
            self.hub().tell(&Event::FrameBegun { number });
        }
        Ok(())
    }

    /// Closes the shared frame. What was retained in it has been dealt with: see `ending_shared_frame`.
    pub(crate) fn end_shared(&self) {
        self.shared_open.store(false, Relaxed);
        self.advance();
        // The owner's own arena is rewound here and now; the others' when they next look.
        local(|local| self.resolve(local));
        if self.hub().is_on() {
            let since = self.shared_since.lock().take();
            if let Some((number, since)) = since {
                self.tell_frame_ended(number, since);
            }
        }
    }

    /// The lists of the arena with this index, and `None` beyond the last.
    pub(crate) fn retained_of(&self, index: usize) -> Option<&Retained> {
        let arenas = self.arenas.lock();
        let retained = &raw const arenas.get(index)?.arena.retained;
        // SAFETY: arenas stay where they are for as long as the domain lives, and their lists have a lock of their own.
        Some(unsafe { &*retained })
    }

    /// Adds what `take` has taken from its list, in one step for those who look at lists first and at strays then.
    ///
    /// Runs it under a lock, so what it did not take is dropped by the caller.
    pub(crate) fn stray<R>(&self, take: impl FnOnce() -> Result<Stray, R>) -> Option<R> {
        let mut strays = self.strays.lock();
        match take() {
            Ok(stray) => {
                strays.push(stray);
                None
            }
            Err(rest) => Some(rest),
        }
    }

    pub(crate) fn take_strays(&self) -> Vec<Stray> {
        core::mem::take(&mut *self.strays.lock())
    }

    /// Counts what this thread allocates from now until its frame ends: a phase has begun.
    pub(crate) fn count_phases(&self) {
        local(|local| {
            // Without a record there would be no pool to take the fast path from.
            let _ = local.record();
            let arena = self.resolve(local);
            // SAFETY: as in `resolve`.
            let arena = unsafe { &*arena };
            arena.phased.set(true);
            arena.set_metered(local, self.is_metered(), &self.ledger);
            local.home.set(0);
        });
    }

    /// Bytes of frame memory that this thread may still allocate.
    pub(crate) fn frame_remaining(&self) -> usize {
        self.ledger.settle_guards();
        local(|local| {
            let arena = self.resolve(local);
            // SAFETY: as in `resolve`.
            unsafe { &*arena }.remaining(local, &self.ledger)
        })
    }

    /// Reports leases that are still held though their frame has ended, by chunk: who made them, and their bytes.
    pub(crate) fn report_escapes(&self, escaped: impl IntoIterator<Item = (NotedTags, usize)>) {
        let messages = escaped.into_iter().map(|(tags, bytes)| {
            let newest = match tags[0] {
                NO_TAG => TagId::ROOT,
                tag => TagId::from_index(tag),
            };
            let tags = TagNames(tags);
            (newest, Escape { tags, bytes })
        });
        diagnostics::report_each(DiagnosticCode::FA002, messages);
    }
}

/// What is reported of a chunk whose leases escape their frame.
struct Escape {
    tags: TagNames,
    bytes: usize,
}

impl fmt::Display for Escape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { tags, bytes } = self;
        write!(
            f,
            "{bytes} bytes of frame memory from {tags} are still in use after their frame ended"
        )
    }
}

/// The names of the tags that made leases in a chunk.
pub(crate) struct TagNames(pub(crate) NotedTags);

impl fmt::Display for TagNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut seen = [NO_TAG; 4];
        for (index, &tag) in self.0.iter().enumerate() {
            if tag == NO_TAG || seen.contains(&tag) {
                continue;
            }
            if index > 0 {
                f.write_str(", ")?;
            }
            write!(f, "`{}`", TagId::from_index(tag))?;
            seen[index] = tag;
        }
        Ok(())
    }
}

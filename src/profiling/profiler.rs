//! What a profiler was told of, and what it has to be told to keep that true.

use core::cell::Cell;
use core::fmt;
use core::panic::AssertUnwindSafe;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::panic::catch_unwind;
use std::sync::Arc;

use hashbrown::HashMap;

use super::client::{MemoryProfiler, ProfilerName};
use crate::events::swallow;
use crate::sync::{Mutex, MutexGuard};

/// A [`MemoryProfiler`], and what it was told of. Clones share both: allocators that appear in one profiler share one of these.
#[derive(Clone)]
pub struct Profiler(Arc<Shared>);

struct Shared {
    client: Box<dyn MemoryProfiler>,
    told: Mutex<Told>,
}

/// Changed and said under one lock, so that the profiler hears it in the order in which it is true.
#[derive(Default)]
pub(super) struct Told {
    /// By address: what was told of as allocated, and not as freed.
    live: HashMap<usize, Live>,
    sessions: Vec<Session>,
    viewer: Option<u64>,
}

struct Live {
    id: u64,
    session: u64,
    pool: ProfilerName,
    size: usize,
}

/// An allocator that is being told of.
struct Session {
    id: u64,
    pools: [ProfilerName; 3],
}

/// A number that no other block, or session, has. Never zero.
pub(crate) fn fresh_id() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Relaxed)
}

thread_local! {
    /// Whether the calling thread runs a profiler's code.
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

pub(super) fn is_inside() -> bool {
    INSIDE.try_with(Cell::get).unwrap_or(false)
}

impl Profiler {
    /// A profiler that has been told of nothing yet.
    pub fn new(client: impl MemoryProfiler + 'static) -> Self {
        Self(Arc::new(Shared {
            client: Box::new(client),
            told: Mutex::new(Told::default()),
        }))
    }

    /// Calls the client. What it throws is lost.
    pub(super) fn call(&self, f: impl FnOnce(&dyn MemoryProfiler)) {
        let before = INSIDE.try_with(|inside| inside.replace(true));
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| f(&*self.0.client))) {
            swallow(payload);
        }
        let _ = INSIDE.try_with(|inside| inside.set(before.unwrap_or(false)));
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.0.told.lock()
    }

    /// Whether a viewer looks on, as far as is known.
    pub(super) fn is_seen(&self) -> bool {
        self.told().viewer.is_some()
    }

    /// Begins to tell of an allocator, and returns the session's number.
    pub(super) fn begin(&self, pools: [ProfilerName; 3]) -> u64 {
        let id = fresh_id();
        self.look();
        self.told().sessions.push(Session { id, pools });
        id
    }

    /// Ends that: what lives on is told of as freed.
    pub(super) fn end(&self, session: u64) {
        let mut told = self.told();
        told.sessions.retain(|of| of.id != session);
        self.free_all(&mut told, |live| live.session == session);
    }

    /// The session's blocks in this pool are all free.
    pub(super) fn clear(&self, session: u64, pool: ProfilerName) {
        let in_it = |live: &Live| live.session == session && live.pool == pool;
        self.free_all(&mut self.told(), in_it);
    }

    fn free_all(&self, told: &mut Told, is_free: impl Fn(&Live) -> bool) {
        for (address, live) in told.live.extract_if(|_, live| is_free(live)) {
            self.call(|client| client.free(live.pool, address));
        }
    }

    pub(super) fn allocated(
        &self,
        session: u64,
        pool: ProfilerName,
        id: u64,
        address: usize,
        size: usize,
    ) {
        let mut told = self.told();
        if !told.sessions.iter().any(|of| of.id == session) {
            // It has ended meanwhile.
            return;
        }
        let live = Live {
            id,
            session,
            pool,
            size,
        };
        // It was freed inside a profiler, where nothing is heard.
        if let Some(stale) = told.live.insert(address, live) {
            self.call(|client| client.free(stale.pool, address));
        }
        self.call(|client| client.alloc(pool, address, size));
    }

    pub(super) fn freed(&self, id: u64, address: usize) {
        let mut told = self.told();
        if told.live.get(&address).is_some_and(|live| live.id == id)
            && let Some(live) = told.live.remove(&address)
        {
            self.call(|client| client.free(live.pool, address));
        }
    }

    /// Sees who looks on. A viewer that is new is told of what is live: what it has heard since it connected is a part of that.
    pub(super) fn look(&self) {
        let mut told = self.told();
        let mut viewer = None;
        self.call(|client| viewer = client.viewer());
        if core::mem::replace(&mut told.viewer, viewer) == viewer || viewer.is_none() {
            return;
        }
        for pool in told.sessions.iter().flat_map(|session| session.pools) {
            self.call(|client| client.discard(pool));
        }
        for (&address, live) in &told.live {
            self.call(|client| client.alloc(live.pool, address, live.size));
        }
    }
}

impl fmt::Debug for Profiler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Profiler").finish_non_exhaustive()
    }
}

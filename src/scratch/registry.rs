//! The scratch pools of one allocator, by name.

use core::fmt;

use hashbrown::HashMap;

use super::pool::{ScratchPool, ScratchPoolStats, report_in_use};
use crate::allocators::payer::Payer;
use crate::sync::Mutex;

/// Scratch pools by name. An allocator has one, reached by [`SmartAlloc::scratch`](crate::SmartAlloc::scratch).
///
/// ```
/// use framealloc::SmartAlloc;
///
/// let alloc = SmartAlloc::with_defaults();
/// let scratch = alloc.scratch();
/// drop(scratch.get_or_create("level").alloc_box(7));
/// for pool in scratch.stats() {
///     println!("{}: {} / {} bytes", pool.name, pool.allocated, pool.capacity);
/// }
/// assert_eq!(scratch.reset_all(), 1);
/// ```
pub struct ScratchRegistry {
    capacity: usize,
    limit: usize,
    payer: Payer,
    pools: Mutex<HashMap<&'static str, ScratchPool>>,
}

impl ScratchRegistry {
    /// A registry that stands alone, whose pools start with `default_capacity` bytes and grow to 64 times that.
    pub fn new(default_capacity: usize) -> Self {
        let limit = default_capacity.saturating_mul(64);
        Self::with(default_capacity, limit, Default::default())
    }

    pub(crate) fn with(capacity: usize, limit: usize, payer: Payer) -> Self {
        Self {
            capacity,
            limit,
            payer,
            pools: Mutex::new(HashMap::new()),
        }
    }

    /// The pool with this name, made with the registry's defaults if need be.
    pub fn get_or_create(&self, name: &'static str) -> ScratchPool {
        self.get_or_create_with(name, self.capacity, self.limit)
    }

    /// The pool with this name. If it has to be made, it starts with `capacity` bytes and grows to `limit` bytes.
    pub fn get_or_create_with(
        &self,
        name: &'static str,
        capacity: usize,
        limit: usize,
    ) -> ScratchPool {
        self.pools
            .lock()
            .entry(name)
            .or_insert_with(|| ScratchPool::with(name, capacity, limit, self.payer.clone()))
            .clone()
    }

    /// The pool with this name, if there is one.
    pub fn get(&self, name: &str) -> Option<ScratchPool> {
        self.pools.lock().get(name).cloned()
    }

    /// Runs `f` with the pool of this name, made if need be.
    pub fn with_pool<R>(&self, name: &'static str, f: impl FnOnce(&ScratchPool) -> R) -> R {
        f(&self.get_or_create(name))
    }

    /// Resets the pool with this name, as [`ScratchPool::reset`] does. Returns whether there is one and it was reset.
    pub fn reset(&self, name: &str) -> bool {
        self.get(name).is_some_and(|pool| {
            let result = pool.try_reset();
            report_in_use(result.err());
            result.is_ok()
        })
    }

    /// Resets every pool, as [`ScratchPool::reset`] does, and returns how many were reset.
    pub fn reset_all(&self) -> usize {
        let pools = self.all();
        let refused: Vec<_> = pools
            .iter()
            .filter_map(|pool| pool.try_reset().err())
            .collect();
        let count = pools.len() - refused.len();
        report_in_use(refused);
        count
    }

    /// Forgets the pool with this name, and returns it. Its memory is freed when its last clone and the last of its boxes are
    /// gone; the next pool of that name is another.
    pub fn remove(&self, name: &str) -> Option<ScratchPool> {
        self.pools.lock().remove(name)
    }

    /// The figures of every pool, ordered by name.
    pub fn stats(&self) -> Vec<ScratchPoolStats> {
        let mut stats: Vec<_> = self.all().iter().map(ScratchPool::stats).collect();
        stats.sort_by_key(|pool| pool.name);
        stats
    }

    /// The pools of this moment, so that nothing is done to them under the registry's lock.
    fn all(&self) -> Vec<ScratchPool> {
        self.pools.lock().values().cloned().collect()
    }
}

impl fmt::Debug for ScratchRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.stats()).finish()
    }
}

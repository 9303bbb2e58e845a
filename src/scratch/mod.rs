//! Scratch pools: named memory that outlives frames, shared by threads, and freed all at once.
//!
//! A pool grows chunk by chunk to its limit. Its values are owned by [`ScratchBox`]es, which drop them; what their memory was
//! is reclaimed by a reset, and a reset is refused while one of them lives. After a reset one chunk of the size that was used
//! replaces many.

mod pool;
mod registry;

pub use pool::{ScratchInUse, ScratchPool, ScratchPoolHandle, ScratchPoolStats, ScratchRefused};
pub use registry::ScratchRegistry;

use crate::smart_alloc::SmartAlloc;

#[cfg(doc)]
use crate::ScratchBox;

impl SmartAlloc {
    /// The scratch pool with this name, made if need be. See [`ScratchPool`].
    ///
    /// ```
    /// # let alloc = framealloc::SmartAlloc::with_defaults();
    /// #[derive(Clone, Copy)]
    /// struct PathNode(u32);
    ///
    /// let pool = alloc.scratch_pool("pathfinding");
    /// let nodes = pool.alloc_box([PathNode(0); 1024]); // valid across frames
    /// assert_eq!(nodes[1023].0, 0);
    /// drop(nodes);
    /// pool.reset(); // at the end of a level, say
    /// ```
    pub fn scratch_pool(&self, name: &'static str) -> ScratchPoolHandle<'_> {
        ScratchPoolHandle::new(self.scratch().get_or_create(name))
    }

    /// All scratch pools of this allocator. See [`ScratchRegistry`].
    pub fn scratch(&self) -> &ScratchRegistry {
        self.parts().scratch.get_or_init(|| {
            ScratchRegistry::with(
                self.config().scratch_pool_size,
                self.config().scratch_pool_limit(),
                self.parts().payer.clone(),
            )
        })
    }
}

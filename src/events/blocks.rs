//! The watched blocks of pools and heap, by address.
//!
//! Such a block may be freed by a thread that does not know where it came from, or after its allocator is gone. Its charge says
//! that it is watched (see [`payer`](crate::allocators)), and this table by whom.

use std::alloc::System;
use std::sync::{Arc, LazyLock};
use std::thread::ThreadId;

use hashbrown::{DefaultHashBuilder, HashMap};

use super::event::{Block, Event};
use super::hub::Hub;
#[cfg(feature = "debug")]
use crate::leaks::{LeakTracker, Trace};
use crate::sync::Mutex;
use crate::threads::this_thread;

struct Watched {
    hub: Arc<Hub>,
    block: Block,
    by: ThreadId,
    /// The frame of that thread that was open then.
    frame: Option<u64>,
    /// Where it was allocated, if that is tracked.
    #[cfg(feature = "debug")]
    trace: Option<Arc<Trace>>,
}

const SHARDS: usize = 16;

/// By address; a `HeapAudit` does not see it, so that watching makes no heap traffic of the tag's whose block is watched.
type Blocks = HashMap<usize, Watched, DefaultHashBuilder, System>;

static BLOCKS: LazyLock<[Mutex<Blocks>; SHARDS]> = LazyLock::new(Default::default);

fn shard(address: usize) -> &'static Mutex<Blocks> {
    &BLOCKS[(address >> 4) % SHARDS]
}

/// Remembers a block that has just been allocated on the calling thread.
pub(super) fn remember(hub: Arc<Hub>, block: Block, frame: Option<u64>) {
    let watched = Watched {
        #[cfg(feature = "debug")]
        trace: hub.leaks.trace(block),
        hub,
        block,
        by: this_thread(),
        frame,
    };
    shard(block.address).lock().insert(block.address, watched);
}

/// The traces of live blocks that this tracker has.
#[cfg(feature = "debug")]
pub(crate) fn traces_of(tracker: &LeakTracker) -> Vec<Arc<Trace>> {
    let mut traces = Vec::new();
    for shard in &*BLOCKS {
        let blocks = shard.lock();
        let its = blocks
            .values()
            .filter(|watched| core::ptr::eq(&watched.hub.leaks, tracker));
        traces.extend(its.filter_map(|watched| watched.trace.clone()));
    }
    traces
}

/// Forgets a watched block that is about to be freed.
pub(crate) fn forget(address: usize) -> Freed {
    Freed(shard(address).lock().remove(&address))
}

/// What there is to tell before the block is given back.
#[must_use]
pub(crate) struct Freed(Option<Watched>);

impl Freed {
    pub(crate) const NOTHING: Self = Self(None);

    /// Tells of it. User code may run.
    pub(crate) fn tell(self) {
        let Some(watched) = self.0 else {
            return;
        };
        let Watched {
            hub,
            block,
            by,
            frame,
            ..
        } = watched;
        if !hub.is_on() {
            return;
        }
        if hub.behavior.is_enabled() {
            let here = hub.frame_here();
            let same_frame = frame.is_some() && frame == here && hub.same_clock(by);
            hub.behavior.freed(block, same_frame);
        }
        hub.tell(&Event::Freed { block, by });
    }
}

//! What is counted, and to whom it is charged.

use std::time::Duration;

use framealloc::tags::{TagId, TagScope, TagTotals, TagUsage};
use framealloc::{ArenaStats, SmartAlloc};

use crate::args::Mem;

/// Whose allocations a tag stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Owner {
    /// A system of the game, and what it does in the closures of a parallel loop.
    Game,
    /// Bevy's task pool, while it spreads a parallel loop of a game's system.
    ParallelLoop,
    /// A system of Bevy, or of the allocator's plugin.
    Bevy,
    /// Nobody's system: the executor between systems, and worker threads that look for work.
    Untagged,
    /// Measuring itself.
    Measuring,
}

impl Owner {
    pub fn of(tag: TagId) -> Self {
        let path = tag.path();
        if tag == TagId::ROOT {
            Self::Untagged
        } else if path.starts_with(MEASURING) {
            Self::Measuring
        } else if !path.starts_with("swarm::") {
            Self::Bevy
        } else if tag.name() == "par_iter" {
            Self::ParallelLoop
        } else {
            Self::Game
        }
    }
}

const MEASURING: &str = "measuring";

/// Keeps what measuring allocates apart, as long as the scope lives.
pub fn aside() -> TagScope {
    TagScope::enter(TagId::from_path(MEASURING))
}

/// A stretch of a run.
pub struct Phase {
    pub name: &'static str,
    pub frames: u32,
    /// CPU time of all threads, the median of its updates: other programs disturb that little.
    pub time_per_frame: Duration,
    pub usage: TagTotals,
    /// At its end.
    pub arenas: Vec<ArenaStats>,
    /// At its end, and the most at any time that was looked at, in bytes.
    pub held: u64,
    pub most_held: u64,
    /// The most bytes that arenas had at the end of any of its frames.
    pub most_arena_bytes: usize,
}

impl Phase {
    /// What each tag of an owner used.
    pub fn rows(&self, owner: Owner) -> impl Iterator<Item = &TagUsage> {
        self.usage
            .rows()
            .filter(move |row| Owner::of(row.tag) == owner)
    }

    /// Bytes that the arenas of all threads have.
    pub fn arena_bytes(&self) -> usize {
        arena_bytes(&self.arenas)
    }
}

pub fn arena_bytes(arenas: &[ArenaStats]) -> usize {
    arenas.iter().map(|arena| arena.capacity).sum()
}

/// Bytes that the game's systems hold between frames for their buffers: arenas, and what they have on the heap.
pub fn held(alloc: &SmartAlloc, mem: Mem) -> u64 {
    let _aside = aside();
    let on_the_heap: i64 = TagTotals::capture()
        .rows()
        .filter(|row| row.tag.name() == mem.system_name())
        .map(|row| row.audit.live_bytes())
        .sum();
    let in_arenas = match mem {
        Mem::Frame => arena_bytes(&alloc.arenas()),
        // The plugin is there for its tags; nobody asks it for frame memory.
        Mem::Vec | Mem::Local => 0,
    };
    in_arenas as u64 + on_the_heap.max(0) as u64
}

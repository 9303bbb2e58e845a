//! Events, as the allocator tells them.

use std::thread::ThreadId;

use crate::behavior::AllocKind;
use crate::tags::TagId;

/// A block that somebody watches.
#[derive(Clone, Copy)]
pub(crate) struct Block {
    pub kind: AllocKind,
    pub address: usize,
    /// Bytes that were asked for.
    pub size: usize,
    pub tag: TagId,
    /// What a profiler knows it by: no other block has it. Zero if none was told of it.
    pub id: u64,
}

impl Block {
    /// Whether it is of a pool, and goes back to the thread that owns it.
    pub(super) fn is_pooled(&self) -> bool {
        self.kind == AllocKind::Pool
    }
}

/// Something has happened on the calling thread.
#[derive(Clone, Copy)]
pub(crate) enum Event {
    FrameBegun {
        number: u64,
    },
    FrameEnded {
        number: u64,
        duration_us: u64,
    },
    Allocated {
        block: Block,
        frame: u64,
    },
    /// `by` is the thread that allocated it.
    Freed {
        block: Block,
        by: ThreadId,
    },
    /// Frees of other threads were taken back.
    Processed {
        blocks: u64,
        bytes: u64,
    },
    /// A page was added to a pool.
    Refilled {
        class: usize,
        blocks: usize,
    },
    TransferBegun {
        size: usize,
    },
    TransferEnded {
        size: usize,
    },
    /// A budget is nearly used up. No tag: that of a thread.
    Pressure {
        tag: Option<TagId>,
        used: usize,
        budget: usize,
    },
    /// An allocation exceeds a budget.
    Exceeded {
        tag: Option<TagId>,
        requested: usize,
        used: usize,
        budget: usize,
    },
    ZoneBegun(&'static str),
    ZoneEnded,
}

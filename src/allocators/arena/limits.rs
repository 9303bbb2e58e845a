//! What an arena may become, and how it says no.

use crate::allocators::layout;
use crate::config::AllocConfig;
use crate::error::AllocErrorKind;

/// What the configuration means for each arena of a domain.
#[derive(Clone, Copy)]
pub(crate) struct ArenaLimits {
    /// Bytes of blocks that a standard chunk holds.
    pub payload: usize,
    /// Chunks of the first region.
    pub start_chunks: usize,
    /// Bytes of blocks that the arena may hold in all.
    pub limit: usize,
    pub huge_pages: bool,
}

impl ArenaLimits {
    pub(crate) fn new(config: &AllocConfig) -> Self {
        let payload = layout::payload_for(config.frame_arena_size);
        Self {
            payload,
            start_chunks: config.frame_arena_size.div_ceil(payload).max(1),
            limit: config.frame_arena_limit() & !(layout::MIN_ALIGN - 1),
            huge_pages: config.huge_pages,
        }
    }
}

/// Why an arena gave no memory, and how many bytes of its limit are left.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Refused {
    pub kind: AllocErrorKind,
    pub available: usize,
}

impl Refused {
    pub(super) fn limit(available: usize) -> Self {
        Self {
            kind: AllocErrorKind::ArenaExhausted,
            available,
        }
    }

    pub(super) fn memory(available: usize) -> Self {
        Self {
            kind: AllocErrorKind::OutOfMemory,
            available,
        }
    }
}

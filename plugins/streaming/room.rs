//! How much of the budget a load may claim.
//!
//! The allocator evicts the least recently used stream of the same priority for a new one. If more is wanted than fits, that would
//! go round for ever: each file that is loaded again pushes out one that is in use. So a load pushes out its equals only as
//! far as they have not been used for a while, and waits otherwise. What is of lower priority always makes room.

use super::owned::OwnedStream;
use crate::tags::{TagId, TagScope};
use crate::{SmartAlloc, StreamError, StreamErrorKind, StreamPriority, StreamWriter};

/// What a load may push out.
#[derive(Debug, Clone, Copy)]
pub(super) struct Claim {
    pub(super) priority: StreamPriority,
    /// Bytes of equals that have not been used for a while.
    pub(super) idle: usize,
}

/// Why there is no room.
#[derive(Debug)]
pub(super) enum NoRoom {
    /// There may be, later.
    Now,
    /// The file is larger than the budget.
    Never { budget: usize },
    /// Another limit than the budget, or the system, refused the memory.
    Refused(StreamError),
}

impl Claim {
    /// As which priority the room is to be asked for, if there is enough.
    fn ask_as(self, alloc: &SmartAlloc, size: usize) -> Option<StreamPriority> {
        let streaming = alloc.streaming();
        let free = streaming.available();
        if size <= free {
            return Some(lower(self.priority).unwrap_or(StreamPriority::Low));
        }
        let below = lower(self.priority);
        let beneath = below.map_or(0, |below| streaming.evictable(below));
        let without_equals = free.saturating_add(beneath);
        if below.is_some() && size <= without_equals {
            return below;
        }
        (size <= without_equals.saturating_add(self.idle)).then_some(self.priority)
    }

    /// Whether a stream of this size would get its room now.
    pub(super) fn fits(self, alloc: &SmartAlloc, size: usize) -> bool {
        self.ask_as(alloc, size).is_some()
    }

    /// Reserves a stream and begins to load it.
    pub(super) fn reserve(
        self,
        alloc: &SmartAlloc,
        size: usize,
        tag: TagId,
    ) -> Result<(OwnedStream, StreamWriter), NoRoom> {
        let streaming = alloc.streaming();
        let budget = streaming.budget();
        if size > budget {
            return Err(NoRoom::Never { budget });
        }
        let ask_as = self.ask_as(alloc, size).ok_or(NoRoom::Now)?;
        let _charged_to = TagScope::enter(tag);
        let id = streaming
            .reserve(size, ask_as)
            .map_err(|error| match error.kind() {
                StreamErrorKind::BudgetExhausted => NoRoom::Now,
                _ => NoRoom::Refused(error),
            })?;
        let stream = OwnedStream::new(alloc.clone(), id, size);
        stream.set_priority(self.priority);
        let writer = streaming.begin_load(id).map_err(NoRoom::Refused)?;
        Ok((stream, writer))
    }
}

fn lower(priority: StreamPriority) -> Option<StreamPriority> {
    StreamPriority::ALL[..priority as usize].last().copied()
}

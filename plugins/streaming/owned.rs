//! A stream that is freed with its owner.

use crate::{SmartAlloc, StreamId, StreamPriority};

/// Frees its stream when it drops, whatever became of that meanwhile.
pub(super) struct OwnedStream {
    alloc: SmartAlloc,
    id: StreamId,
    size: usize,
    pinned: bool,
}

impl OwnedStream {
    pub(super) fn new(alloc: SmartAlloc, id: StreamId, size: usize) -> Self {
        Self {
            alloc,
            id,
            size,
            pinned: false,
        }
    }

    pub(super) fn id(&self) -> StreamId {
        self.id
    }

    pub(super) fn size(&self) -> usize {
        self.size
    }

    pub(super) fn is_pinned(&self) -> bool {
        self.pinned
    }

    /// Whether the stream is still there.
    pub(super) fn is_alive(&self) -> bool {
        self.alloc.streaming().state(self.id).is_some()
    }

    pub(super) fn set_pinned(&mut self, pinned: bool) {
        if self.pinned == pinned {
            return;
        }
        // A stream that was evicted meanwhile is noticed when its eviction is told.
        let streaming = self.alloc.streaming();
        let done = match pinned {
            true => streaming.pin(self.id),
            false => streaming.unpin(self.id),
        };
        self.pinned = pinned && done.is_ok();
    }

    pub(super) fn set_priority(&self, priority: StreamPriority) {
        let _ = self.alloc.streaming().set_priority(self.id, priority);
    }
}

impl Drop for OwnedStream {
    fn drop(&mut self) {
        self.alloc.streaming().free(self.id);
    }
}

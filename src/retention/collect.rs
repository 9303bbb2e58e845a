//! The end of a frame: every value that was retained in it goes where its policy says.

use super::policy::RetentionPolicy;
use super::promoted::{Promoted, PromotedAllocation, PromotionFailure, RetainedMeta, Value};
use super::summary::PromotionResult;
use crate::allocators::retained::{Due, Mine, Retained, Room, Stray, Taken, Theirs};
use crate::error::{AllocError, AllocErrorKind};
use crate::smart_alloc::SmartAlloc;
use crate::tags::TagScope;

/// What has been collected so far.
pub(super) struct Collector<'a> {
    alloc: &'a SmartAlloc,
    result: PromotionResult,
}

/// The system had no memory to keep a value in.
struct NoMemory;

impl<'a> Collector<'a> {
    pub(super) fn new(alloc: &'a SmartAlloc) -> Self {
        Self {
            alloc,
            result: PromotionResult::default(),
        }
    }

    pub(super) fn finish(mut self) -> PromotionResult {
        self.result.summary.sort();
        #[cfg(feature = "snapshots")]
        self.alloc
            .parts()
            .last_capture
            .promotions
            .count(&self.result.promoted);
        self.result
    }

    /// The values of the calling thread.
    pub(super) fn mine(&mut self, mine: &Mine<'_>) {
        while let Some(due) = mine.lists().first() {
            let promotes = due.meta.policy.promotes();
            if promotes && self.promote_first(mine.lists(), &due).is_ok() {
                continue;
            }
            match mine.discard_first() {
                Some(due) if promotes => {
                    self.list(&due, Some(PromotionFailure::OutOfMemory), Value::Lost);
                }
                Some(due) => self.result.summary.count_discarded(&due),
                None => {}
            }
        }
    }

    /// The values of any thread.
    pub(super) fn theirs(&mut self, theirs: &Theirs<'_>) {
        while let Some(due) = theirs.0.first() {
            // Without memory to move it to, a value stays, and its own thread drops it.
            if due.meta.policy.promotes() {
                match self.promote_first(theirs.0, &due) {
                    Ok(()) => continue,
                    Err(NoMemory) => return,
                }
            }
            let Some(room) = Room::boxed(due.kind) else {
                return;
            };
            let taken = theirs.0.take_first(&due, room, true);
            if !matches!(taken, Taken::Elsewhere(_)) {
                self.result.summary.count_discarded(&due);
            }
        }
    }

    /// A value of a thread that has ended.
    pub(super) fn stray(&mut self, Stray { meta, value }: Stray) {
        let due = Due {
            meta,
            kind: value.kind(),
        };
        if !meta.policy.promotes() {
            self.result.summary.count_discarded(&due);
            return;
        }
        let (reason, value) = match self.room_for(&due) {
            Ok(room) => (None, value.relocate(room)),
            Err(reason) => (Some(reason), value),
        };
        self.list(&due, reason, Value::Here(value));
    }

    fn promote_first(&mut self, lists: &Retained, due: &Due) -> Result<(), NoMemory> {
        // A budget may call back here, so nothing is taken from the list before there is room for it.
        let (reason, room) = match self.room_for(due) {
            Ok(room) => (None, Some(room)),
            Err(reason) => (Some(reason), Room::boxed(due.kind)),
        };
        let value = match lists.take_first(due, room.ok_or(NoMemory)?, false) {
            Taken::Moved(owned) => Value::Here(owned),
            Taken::Claimed(claim) => Value::Claimed(claim),
            Taken::Orphaned(_) | Taken::Elsewhere(_) => return Ok(()),
        };
        self.list(due, reason, value);
        Ok(())
    }

    fn room_for(&self, due: &Due) -> Result<Room, PromotionFailure> {
        // What is promoted stays charged to the tag that made it.
        let _scope = TagScope::enter(due.meta.tag);
        match due.meta.policy {
            RetentionPolicy::PromoteToPool => {
                Room::in_pool(due.kind, self.alloc.pool()).map_err(reason)
            }
            RetentionPolicy::PromoteToHeap => {
                Room::on_heap(due.kind, &self.alloc.parts().payer).map_err(reason)
            }
            RetentionPolicy::PromoteToScratch(name) => {
                let pool = self.alloc.parts().scratch.get();
                let pool = pool.and_then(|registry| registry.get(name));
                let pool = pool.ok_or(PromotionFailure::ScratchPoolNotFound)?;
                if due.kind.layout().size() > pool.limit() {
                    return Err(PromotionFailure::TooLarge);
                }
                Room::in_scratch(due.kind, pool.memory()).map_err(reason)
            }
            RetentionPolicy::Discard => Err(PromotionFailure::InternalError),
        }
    }

    fn list(&mut self, due: &Due, reason: Option<PromotionFailure>, value: Value) {
        let Due { meta, kind } = *due;
        if reason.is_none() {
            self.alloc.domain().hub().behavior.promoted(meta.tag);
        }
        let (size, tag, type_name) = (kind.layout().size(), meta.tag, kind.type_name());
        let item = match (reason, meta.policy) {
            (Some(reason), policy) => PromotedAllocation::Failed {
                reason,
                meta: RetainedMeta {
                    policy,
                    size,
                    tag,
                    type_name,
                    value: Promoted::new(meta, kind, value),
                },
            },
            (None, RetentionPolicy::PromoteToHeap) => PromotedAllocation::Heap {
                value: Promoted::new(meta, kind, value),
                size,
                tag,
                type_name,
            },
            (None, RetentionPolicy::PromoteToScratch(pool_name)) => PromotedAllocation::Scratch {
                pool_name,
                value: Promoted::new(meta, kind, value),
                size,
                tag,
                type_name,
            },
            (None, RetentionPolicy::PromoteToPool | RetentionPolicy::Discard) => {
                PromotedAllocation::Pool {
                    value: Promoted::new(meta, kind, value),
                    size,
                    tag,
                    type_name,
                }
            }
        };
        self.result.summary.count(due, &item);
        self.result.promoted.push(item);
    }
}

fn reason(error: AllocError) -> PromotionFailure {
    match error.kind() {
        kind if kind.is_budget() => PromotionFailure::BudgetExceeded,
        AllocErrorKind::ScratchPoolFull => PromotionFailure::ScratchPoolFull,
        AllocErrorKind::OutOfMemory => PromotionFailure::OutOfMemory,
        _ => PromotionFailure::InternalError,
    }
}

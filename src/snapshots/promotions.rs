//! How many values were promoted since the last snapshot.

use hashbrown::HashMap;

use super::model::SnapshotPromotionStats;
use crate::retention::PromotedAllocation;
use crate::sync::Mutex;
use crate::tags::TagId;

/// Counted at the ends of frames that promote, by whichever thread; emptied by each snapshot.
#[derive(Default)]
pub(crate) struct PromotionTally(Mutex<Promotions>);

#[derive(Default)]
pub(super) struct Promotions {
    pub(super) stats: SnapshotPromotionStats,
    /// Values of each tag that were promoted, wherever to.
    pub(super) by_tag: HashMap<TagId, u64>,
}

impl PromotionTally {
    pub(crate) fn count(&self, items: &[PromotedAllocation]) {
        if items.is_empty() {
            return;
        }
        let mut promotions = self.0.lock();
        let Promotions { stats, by_tag } = &mut *promotions;
        for item in items {
            let (count, tag) = match item {
                PromotedAllocation::Pool { tag, .. } => (&mut stats.to_pool, tag),
                PromotedAllocation::Heap { tag, .. } => (&mut stats.to_heap, tag),
                PromotedAllocation::Scratch { tag, .. } => (&mut stats.to_scratch, tag),
                PromotedAllocation::Failed { .. } => {
                    stats.failed += 1;
                    continue;
                }
            };
            *count += 1;
            *by_tag.entry(*tag).or_default() += 1;
        }
    }

    pub(super) fn take(&self) -> Promotions {
        core::mem::take(&mut *self.0.lock())
    }
}

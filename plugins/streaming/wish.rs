//! How much a file is wanted.

use std::cmp::Ordering;

use super::{StreamFocus, StreamUrgency, StreamedAsset};
use crate::StreamPriority;
use crate::tags::TagId;

/// How much a file is wanted by the one of its entities that wants it most.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Wish {
    /// `None` for what is too far away to be loaded.
    pub(super) priority: Option<StreamPriority>,
    /// Its place among equals: the lowest first. A distance, where that counts.
    pub(super) rank: f32,
    pub(super) by_distance: bool,
    pub(super) pinned: bool,
    pub(super) size: Option<u64>,
    pub(super) tag: TagId,
}

impl Wish {
    /// The wish of one entity, which is this far away.
    pub(super) fn of(asset: &StreamedAsset, distance: Distance) -> Self {
        let (priority, rank, by_distance) = match asset.urgency() {
            StreamUrgency::Fixed { priority, rank } => (Some(priority), rank, false),
            StreamUrgency::ByDistance => (distance.priority, distance.rank, true),
        };
        Self {
            priority,
            rank,
            by_distance,
            pinned: asset.is_pinned(),
            size: asset.size(),
            tag: asset.tag(),
        }
    }

    /// This wish and one more for the same file.
    pub(super) fn and(self, other: Self) -> Self {
        let order = other.priority.cmp(&self.priority);
        let other_is_first = match order.then_with(|| self.rank.total_cmp(&other.rank)) {
            Ordering::Greater => true,
            Ordering::Equal | Ordering::Less => false,
        };
        let first = if other_is_first { other } else { self };
        Self {
            pinned: self.pinned || other.pinned,
            size: self.size.or(other.size),
            tag: self.tag,
            ..first
        }
    }

    /// The priority that its stream has with the allocator.
    pub(super) fn stream_priority(&self) -> StreamPriority {
        self.priority.unwrap_or(StreamPriority::Low)
    }
}

/// How far an entity is from the nearest focus, seen from the focus for which it matters most.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Distance {
    priority: Option<StreamPriority>,
    rank: f32,
}

impl Distance {
    /// Where there is no focus, or the entity is nowhere: wanted, after all that is nearer.
    pub(super) const UNKNOWN: Self = Self {
        priority: Some(StreamPriority::Normal),
        rank: f32::MAX,
    };

    pub(super) fn from(focus: &StreamFocus, distance: f32) -> Self {
        let priority = if distance <= focus.near {
            Some(StreamPriority::High)
        } else if distance <= focus.far {
            Some(StreamPriority::Normal)
        } else {
            None
        };
        Self {
            priority,
            rank: distance,
        }
    }

    /// The one that matters more.
    pub(super) fn or(self, other: Self) -> Self {
        let order = self.priority.cmp(&other.priority);
        match order.then_with(|| other.rank.total_cmp(&self.rank)) {
            Ordering::Less => other,
            Ordering::Equal | Ordering::Greater => self,
        }
    }
}

/// The order of the queue: the first is loaded first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Turn {
    /// The highest priority first.
    priority: std::cmp::Reverse<StreamPriority>,
    rank: i32,
}

impl Turn {
    pub(super) fn of(wish: &Wish) -> Self {
        Self {
            priority: std::cmp::Reverse(wish.stream_priority()),
            rank: ordered(wish.rank),
        }
    }
}

/// A number that is ordered as `f32::total_cmp` orders: negative floats have their other bits turned round.
fn ordered(rank: f32) -> i32 {
    let bits = rank.to_bits() as i32;
    bits ^ ((bits >> 31) as u32 >> 1) as i32
}

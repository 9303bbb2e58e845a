//! What became of a frame's retained values, in figures.

use core::fmt;

use super::promoted::{PromotedAllocation, PromotionFailure};
use crate::allocators::retained::Due;
use crate::tags::TagId;

/// What the end of a frame did with its retained values.
///
/// ```
/// use framealloc::{PromotedAllocation, RetentionPolicy, SmartAlloc};
///
/// let alloc = SmartAlloc::with_defaults();
/// alloc.begin_frame();
/// drop(alloc.frame_retained::<[u64; 8]>(RetentionPolicy::PromoteToHeap));
/// let result = alloc.end_frame_with_promotions();
/// println!("{}", result.summary);
/// for item in result.promoted {
///     match item {
///         PromotedAllocation::Heap { value, size, .. } => {
///             assert_eq!(size, 64);
///             assert_eq!(*value.downcast::<[u64; 8]>().unwrap(), [0; 8]);
///         }
///         PromotedAllocation::Failed { reason, meta } => {
///             eprintln!("failed to promote {}: {reason}", meta.type_name);
///         }
///         _ => {}
///     }
/// }
/// ```
#[derive(Debug, Default)]
pub struct PromotionResult {
    /// The values that were to be promoted, in the order in which they were retained.
    pub promoted: Vec<PromotedAllocation>,
    /// The figures.
    pub summary: FrameSummary,
}

/// What the end of a frame did with its retained values, in figures. Bytes are the values' sizes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct FrameSummary {
    /// Bytes dropped, as their policy says.
    pub discarded_bytes: usize,
    /// Values dropped, as their policy says.
    pub discarded_count: usize,
    /// Bytes that went to a pool.
    pub promoted_pool_bytes: usize,
    /// Values that went to a pool.
    pub promoted_pool_count: usize,
    /// Bytes that went to the heap.
    pub promoted_heap_bytes: usize,
    /// Values that went to the heap.
    pub promoted_heap_count: usize,
    /// Bytes that went to scratch pools.
    pub promoted_scratch_bytes: usize,
    /// Values that went to scratch pools.
    pub promoted_scratch_count: usize,
    /// Bytes whose promotion failed.
    pub failed_bytes: usize,
    /// Values whose promotion failed.
    pub failed_count: usize,
    /// Why they failed.
    pub failures_by_reason: FailureBreakdown,
    /// The same by tag, in the order of the tags' paths.
    pub by_tag: Vec<TagSummary>,
    /// The same by the phase that values were made in; those made in none are left out.
    pub by_phase: Vec<PhaseSummary>,
}

/// How many promotions failed, by reason.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct FailureBreakdown {
    /// A budget refused the memory.
    pub budget_exceeded: usize,
    /// There was no scratch pool of that name.
    pub scratch_pool_not_found: usize,
    /// The scratch pool had no room left.
    pub scratch_pool_full: usize,
    /// The value was larger than the scratch pool's limit.
    pub too_large: usize,
    /// The system had no more memory.
    pub out_of_memory: usize,
    /// Anything else.
    pub internal_error: usize,
}

impl FailureBreakdown {
    fn count(&mut self, reason: PromotionFailure) {
        *match reason {
            PromotionFailure::BudgetExceeded => &mut self.budget_exceeded,
            PromotionFailure::ScratchPoolNotFound => &mut self.scratch_pool_not_found,
            PromotionFailure::ScratchPoolFull => &mut self.scratch_pool_full,
            PromotionFailure::TooLarge => &mut self.too_large,
            PromotionFailure::OutOfMemory => &mut self.out_of_memory,
            PromotionFailure::InternalError => &mut self.internal_error,
        } += 1;
    }

    fn rows(&self) -> [(PromotionFailure, usize); 6] {
        [
            (PromotionFailure::BudgetExceeded, self.budget_exceeded),
            (
                PromotionFailure::ScratchPoolNotFound,
                self.scratch_pool_not_found,
            ),
            (PromotionFailure::ScratchPoolFull, self.scratch_pool_full),
            (PromotionFailure::TooLarge, self.too_large),
            (PromotionFailure::OutOfMemory, self.out_of_memory),
            (PromotionFailure::InternalError, self.internal_error),
        ]
    }
}

/// A tag's part of a [`FrameSummary`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct TagSummary {
    /// The tag that the values were made under.
    pub tag: TagId,
    /// Bytes dropped, as their policy says.
    pub discarded_bytes: usize,
    /// Bytes promoted.
    pub promoted_bytes: usize,
    /// Bytes whose promotion failed.
    pub failed_bytes: usize,
}

/// A phase's part of a [`FrameSummary`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct PhaseSummary {
    /// The phase that the values were made in.
    pub phase: &'static str,
    /// Bytes dropped, as their policy says.
    pub discarded_bytes: usize,
    /// Bytes promoted.
    pub promoted_bytes: usize,
    /// Bytes whose promotion failed.
    pub failed_bytes: usize,
}

impl FrameSummary {
    /// Bytes of all values that were retained.
    pub fn total_retained_bytes(&self) -> usize {
        self.discarded_bytes + self.promoted_bytes() + self.failed_bytes
    }

    /// How many values were retained.
    pub fn total_retained_count(&self) -> usize {
        self.discarded_count + self.promoted_count() + self.failed_count
    }

    /// The part of the values that were to be promoted which were: from 0 to 1, and 1 if there were none.
    pub fn promotion_success_rate(&self) -> f32 {
        match self.promoted_count() + self.failed_count {
            0 => 1.0,
            all => self.promoted_count() as f32 / all as f32,
        }
    }

    fn promoted_bytes(&self) -> usize {
        self.promoted_pool_bytes + self.promoted_heap_bytes + self.promoted_scratch_bytes
    }

    fn promoted_count(&self) -> usize {
        self.promoted_pool_count + self.promoted_heap_count + self.promoted_scratch_count
    }

    /// Counts a value that was dropped.
    pub(super) fn count_discarded(&mut self, due: &Due) {
        let bytes = due.kind.layout().size();
        self.discarded_bytes += bytes;
        self.discarded_count += 1;
        self.count_in_rows(due, |row| *row.discarded += bytes);
    }

    /// Counts a value that was to be promoted.
    pub(super) fn count(&mut self, due: &Due, item: &PromotedAllocation) {
        let size = item.size();
        let (bytes, count) = match item {
            PromotedAllocation::Pool { .. } => {
                (&mut self.promoted_pool_bytes, &mut self.promoted_pool_count)
            }
            PromotedAllocation::Heap { .. } => {
                (&mut self.promoted_heap_bytes, &mut self.promoted_heap_count)
            }
            PromotedAllocation::Scratch { .. } => (
                &mut self.promoted_scratch_bytes,
                &mut self.promoted_scratch_count,
            ),
            PromotedAllocation::Failed { reason, .. } => {
                self.failures_by_reason.count(*reason);
                (&mut self.failed_bytes, &mut self.failed_count)
            }
        };
        *bytes += size;
        *count += 1;
        self.count_in_rows(due, |row| {
            *if item.is_success() {
                row.promoted
            } else {
                row.failed
            } += size;
        });
    }

    fn count_in_rows(&mut self, due: &Due, mut add: impl FnMut(Row<'_>)) {
        let tag = due.meta.tag;
        let row = match self.by_tag.iter().position(|row| row.tag == tag) {
            Some(index) => &mut self.by_tag[index],
            None => self.by_tag.push_mut(TagSummary {
                tag,
                discarded_bytes: 0,
                promoted_bytes: 0,
                failed_bytes: 0,
            }),
        };
        add(Row {
            discarded: &mut row.discarded_bytes,
            promoted: &mut row.promoted_bytes,
            failed: &mut row.failed_bytes,
        });
        let Some(phase) = due.meta.phase else {
            return;
        };
        let row = match self.by_phase.iter().position(|row| row.phase == phase) {
            Some(index) => &mut self.by_phase[index],
            None => self.by_phase.push_mut(PhaseSummary {
                phase,
                discarded_bytes: 0,
                promoted_bytes: 0,
                failed_bytes: 0,
            }),
        };
        add(Row {
            discarded: &mut row.discarded_bytes,
            promoted: &mut row.promoted_bytes,
            failed: &mut row.failed_bytes,
        });
    }

    pub(super) fn sort(&mut self) {
        self.by_tag.sort_by_key(|row| row.tag.path());
        self.by_phase.sort_by_key(|row| row.phase);
    }
}

/// The cells of a row by tag or by phase.
struct Row<'a> {
    discarded: &'a mut usize,
    promoted: &'a mut usize,
    failed: &'a mut usize,
}

/// Several lines: each destination, failures by reason, and tags.
impl fmt::Display for FrameSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} bytes retained in {} values",
            self.total_retained_bytes(),
            self.total_retained_count()
        )?;
        for (what, bytes, count) in [
            ("discarded", self.discarded_bytes, self.discarded_count),
            (
                "promoted to pool",
                self.promoted_pool_bytes,
                self.promoted_pool_count,
            ),
            (
                "promoted to heap",
                self.promoted_heap_bytes,
                self.promoted_heap_count,
            ),
            (
                "promoted to scratch",
                self.promoted_scratch_bytes,
                self.promoted_scratch_count,
            ),
            ("failed", self.failed_bytes, self.failed_count),
        ] {
            write!(f, "\n  {what}: {bytes} bytes in {count}")?;
        }
        for (reason, count) in self.failures_by_reason.rows() {
            if count > 0 {
                write!(f, "\n    {reason}: {count}")?;
            }
        }
        for row in &self.by_tag {
            write!(
                f,
                "\n  {}: {} bytes discarded, {} promoted, {} failed",
                row.tag, row.discarded_bytes, row.promoted_bytes, row.failed_bytes
            )?;
        }
        for row in &self.by_phase {
            write!(
                f,
                "\n  phase {}: {} bytes discarded, {} promoted, {} failed",
                row.phase, row.discarded_bytes, row.promoted_bytes, row.failed_bytes
            )?;
        }
        Ok(())
    }
}

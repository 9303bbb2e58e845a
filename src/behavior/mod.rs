//! The behaviour filter: memory that does not behave as its intent says.
//!
//! Frame memory that is kept for frames, pool boxes that live for less than one, data that is promoted all the time, heap calls in
//! every frame. The allocator's [events](crate::events) feed it; it keeps one row of figures for each tag and kind of memory, and
//! judges them when it is asked.

mod filter;
mod report;
mod thresholds;

pub use filter::{AllocKind, BehaviorFilter, TagBehaviorStats};
pub use report::{BehaviorIssue, BehaviorReport};
pub use thresholds::BehaviorThresholds;

//! Tags: who memory is charged to.
//!
//! A tag is an interned path such as `game::ai::find_paths::nodes`. Each thread has a current tag; what is allocated under it
//! is charged to it. [`SmartAlloc::with_tag`](crate::SmartAlloc::with_tag) goes down to a child for the time of a closure,
//! [`TagScope`] to any tag for the time of a scope. Under Bevy every system runs under the tag of its name.
//!
//! Tags are shared by all allocators of the process, and live as long as it.

mod registry;
mod scope;
mod totals;

pub use registry::TagId;
pub use scope::TagScope;
pub use totals::{TagTotals, TagUsage, TrafficTotals};

pub(crate) use scope::enter_child;

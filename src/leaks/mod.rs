//! Who holds what: call stacks of the allocations that are alive, and the report of those that nobody freed.
//!
//! ```text
//!  allocation --> Hub --> LeakTracker: sampled? --> Trace: block, frame, return addresses
//!                                                     ^
//!      table of watched blocks (pools, heap) ---------+      dies with its block
//!      the arena's followed leases ------------------'
//!                                                     |  on demand, and when the allocator is dropped
//!                                                     v
//!      LeakReport: symbols looked up, framealloc's own left out, grouped by tag and call site
//! ```
//!
//! | file | what it is |
//! |---|---|
//! | `tracker.rs` | what is traced, and the way to the report |
//! | `trace.rs` | one traced block |
//! | `symbols.rs` | from return addresses to functions, files and lines |
//! | `report.rs` | groups, for people and for tools |
//! | `allowed.rs` | what may live for the whole program |
//!
//! It listens as every other listener does (see [`events`](crate::events)): while it is off, nothing of this runs, and nothing is
//! slower for it.
//!
//! Invariants: symbols are looked up with no lock of ours held; a trace is kept by whoever follows its block and by nobody else, so
//! that it goes when the block does.

mod allowed;
mod report;
mod symbols;
mod trace;
mod tracker;

pub use report::{LeakGroup, LeakReport, LeakTotals};
pub use symbols::StackFrame;
pub use tracker::LeakTracker;

pub(crate) use report::Indented;
pub(crate) use symbols::Symbols;
pub(crate) use trace::{Stack, Trace};
pub(crate) use tracker::{ReportAtDrop, stacks_are_wanted};

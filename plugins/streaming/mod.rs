//! Files that stream into the allocator's streaming memory, under its budget.
//!
//! | file | what it is |
//! |---|---|
//! | `plugin.rs` | [`StreamingPlugin`]: what a game adds; [`StreamingSettings`]; the system that runs once a frame |
//! | `component.rs` | [`StreamedAsset`]: the wish for a file, on an entity; [`StreamFocus`]: what distances are measured from |
//! | `access.rs` | [`StreamedAssets`]: the bytes, for systems |
//! | `messages.rs` | what happened to a file, as messages and observed events |
//! | `failure.rs` | why a file could not be streamed, and what to do |
//! | `totals.rs` | [`StreamingTotals`]: figures for people |
//! | `table.rs` | which files are wanted by whom, and how far each is |
//! | `wish.rs` | how much a file is wanted: by number, or by distance |
//! | `turn.rs` | what the table does in a frame |
//! | `load.rs` | loading one file, on the IO pool |
//! | `reload.rs` | files that change while the game runs |
//! | `room.rs` | how much of the budget a load may claim |
//! | `owned.rs` | a stream that is freed with its owner |
//!
//! ```text
//!  entity + StreamedAsset --hook--> dirty list --+
//!  focus, distances ------------------------------> table --spawn--> load (IO pool) --chunks--> StreamWriter
//!  StreamedAssets::get ---asks--------------------+   ^                    |
//!  allocator --evicted ids------------------------+   +--bounded channel---+ one message a load, at its end
//! ```
//!
//! What must hold: no byte of a file passes through the frame's thread. What that thread does in a frame is bounded by counts
//! ([`StreamingSettings`]), so that a thousand files that come or go at once are spread over frames. A stream belongs to exactly one
//! place at any time (its load, a message, the table), and is freed with it, however that ends.

mod access;
mod component;
mod failure;
mod load;
mod messages;
mod owned;
mod plugin;
mod reload;
mod room;
mod table;
mod totals;
mod turn;
mod wish;

pub use access::{StreamedAssets, StreamedState};
pub use component::{StreamFocus, StreamUrgency, StreamedAsset};
pub use failure::{StreamFailure, StreamFailureKind};
pub use messages::{StreamEvicted, StreamFailed, StreamProgress, StreamReady};
pub use plugin::{StreamingPlugin, StreamingSettings, StreamingSystems};
pub use totals::StreamingTotals;

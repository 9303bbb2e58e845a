//! Memory in a profiler that shows it in named pools, such as Tracy.
//!
//! ```text
//!  events::Hub ---> Profiling ---> Profiler ---> dyn MemoryProfiler: Tracy, or anybody's
//!  (an allocator)   its session    | by address: what it was told of
//! ```
//!
//! | file | what it is |
//! |---|---|
//! | `client.rs` | what a profiler has to offer: [`MemoryProfiler`] |
//! | `profiler.rs` | [`Profiler`]: what one was told of, by all allocators |
//! | `session.rs` | an allocator in a profiler |
//! | `zones.rs` | the zones that threads have open |
//! | `tracy.rs` | Tracy (feature `tracy`) |
//!
//! A profiler ends its session where it hears of a block that is taken twice, or freed and never taken. Events cannot rule that
//! out by themselves: profiling starts in the middle of a program, and a block may be freed inside a listener. So each block that is
//! told of has a number of its own:
//!
//! - what is told of as freed was told of as allocated, by this number, and lives by what was told;
//! - an address that is taken again is told of as freed first, if it was not; its late free is then none;
//! - when profiling ends, so does every block that was told of.

mod client;
mod profiler;
mod session;
#[cfg(feature = "tracy")]
mod tracy;
mod zones;

pub use client::{MemoryProfiler, PlotUnit, ProfilerName};
pub use profiler::Profiler;
pub use session::ProfilingConfig;

pub(crate) use profiler::fresh_id;
pub(crate) use session::Profiling;

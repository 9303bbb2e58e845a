//! The memory of collections of fixed capacity: one lease each, taken when they are made.
//!
//! ```text
//!  FrameVec                      lease
//! +---------------+             +-------+-------+-------+----------------+
//! | ptr, cap, len |------------>| value | value | value | room           |
//! +---------------+             +-------+-------+-------+----------------+
//!
//!  FrameMap                      leases
//! +---------------+             +------------------+------------------+----------------+
//! | entries       |------------>| hash, key, value | hash, key, value | room           |
//! | index         |--------.    +------------------+------------------+----------------+
//! | hasher        |        '--->| hashbrown's table of positions in the entries        |
//! +---------------+             +-------------------------------------------------------+
//! ```
//!
//! What they do with their memory is the work of allocator-api2's `Vec` and hashbrown's `HashTable`, whose allocators these are.

mod leased;
mod string;

pub(crate) use leased::{
    IndexMemory, Leased, extend_copy, into_slice, vec_from_slice, vec_with_capacity,
};
pub use string::FrameString;

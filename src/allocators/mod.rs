//! All unsafe code of the allocator.
//!
//! # Glossary
//!
//! - **domain**: what one `SmartAlloc` and its clones share: a key, limits, and the arenas of every thread that used it.
//! - **arena**: the frame memory of one (domain, thread). Only its thread touches it; the domain owns it.
//! - **region**: one mapping from the system allocator, cut into chunks.
//! - **chunk**: 256 KiB, aligned to its size, so that the header of any block inside is found by masking its address.
//!   A block too large for a chunk gets a **big chunk** of its own.
//! - **lease**: one live block of frame memory handed out through `&self`. The chunk's *balance* knows how many of its
//!   bytes are still leased.
//! - **seal**: what a checkpoint puts on the active chunk: what is leased from there on goes to other chunks, until the frame
//!   is rolled back to it.
//! - **guard**: a [`Frame`](guard::Frame). It owns its chunks, so its blocks are bounded by its borrow and need no lease.
//! - **retire**: what happens to a chunk whose leases outlive its use: it stays as it is, and is recycled by its last lease.
//! - **record**: the process-wide, immortal state of one thread: tag counters and pool lists. Records of dead threads are
//!   adopted by new ones.
//! - **page**: 64 KiB of pool blocks of one size class, aligned to its size, owned by one record.
//! - **word**: the atomic that knows who reads, writes, pins or moves a value of a group or behind a handle.
//! - **segment**: 64 KiB of relocatable values, all of them reached through slots, which know where they are.
//! - **scratch pool**: named memory that any thread allocates from, freed all at once by a reset.
//! - **retained** value: one in frame memory whose policy says where it goes when its frame ends.
//! - **tag**: the interned path that memory is charged to. Each thread has one current tag.
//! - **frame**: the span between two boundaries; of one thread, or (a *shared* frame) of all threads of a domain.
//!
//! # Invariants
//!
//! The SAFETY comments lean on these by number.
//!
//! - **I1** A chunk that holds a live lease is never rewound, reused or unmapped before the domain drops, and a lease
//!   borrows a handle of its domain.
//! - **I2** An arena, its chunks' headers and the balances in them are touched by the arena's thread alone, until that thread
//!   has ended and nothing of the arena is leased or guarded; then one other thread may adopt it. What other threads read
//!   of it is atomic.
//! - **I3** A guard's chunks belong to the guard alone until it closes.
//! - **I4** Keys and domain ids are drawn from one counter and never reused: a thread's cached arena is used only when the
//!   cached key equals the key of a domain that the caller holds alive.
//! - **I5** Records and pool pages are never unmapped while a block of theirs may be live; a record's lists are touched only
//!   by the thread that holds it, except the remote list, which is atomic.
//! - **B1** A value of a group or behind a handle is touched only by who its word says may: readers and a writer while their
//!   guards live, the mover while it moves, and who claimed or doomed it. See [`borrow::word`].
//! - **I6** No borrow of thread state and no lock is held while user code runs (values' constructors and destructors,
//!   iterators, report sinks).
//! - **I7** A chunk of a scratch pool is reused or freed only when the pool has no live block: each is counted from before it
//!   is handed out until its value is dropped, and its box holds the pool alive.
//! - **I8** A retained value is moved or dropped only by whoever unlinked it (under its arena's lock) after its handle had
//!   let go, or by its handle. Its lease is ended only on its arena's thread.

pub(crate) mod arena;
pub(crate) mod audit;
pub(crate) mod borrow;
mod boxes;
pub(crate) mod building;
pub(crate) mod chunk;
pub(crate) mod collections;
pub(crate) mod domain;
pub(crate) mod groups;
pub(crate) mod guard;
pub(crate) mod handles;
pub(crate) mod heap;
pub(crate) mod layout;
pub(crate) mod lease;
mod one_thread;
pub(crate) mod os;
pub(crate) mod pages;
pub(crate) mod panics;
pub(crate) mod payer;
pub(crate) mod pool;
pub(crate) mod record;
pub(crate) mod retained;
pub(crate) mod scratch;
pub(crate) mod streams;
pub(crate) mod thread;
#[cfg(feature = "tracy")]
pub(crate) mod tracy;
pub(crate) mod traits;
pub(crate) mod transfers;

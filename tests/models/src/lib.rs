//! Models of the lock-free parts and of what threads wait for, compiled from the allocator's own sources.

#![cfg(test)]

mod atomics;
mod sync;

#[path = "../../../src/allocators/borrow/word.rs"]
mod borrow_word;
#[path = "../../../src/allocators/pool/remote.rs"]
#[expect(unsafe_code, reason = "as in the allocator")]
mod remote;
#[path = "../../../src/threads/rounds.rs"]
#[expect(dead_code, reason = "what needs no model is not used")]
mod rounds;
#[path = "../../../src/budgets/slot.rs"]
#[expect(dead_code, reason = "what needs no model is not used")]
mod slot;
#[path = "../../../src/allocators/streams/word.rs"]
mod streams_word;

mod barrier;
mod credit;
mod remote_list;
mod stream_word;
mod word;

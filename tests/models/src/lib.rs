//! Models of the lock-free parts, compiled from the allocator's own source: the pools' remote list, and the word that knows
//! who uses a value of a group or behind a handle.

#![cfg(test)]

mod atomics;
#[path = "../../../src/allocators/borrow/word.rs"]
mod borrow_word;
#[path = "../../../src/allocators/pool/remote.rs"]
#[expect(unsafe_code, reason = "as in the allocator")]
mod remote;

mod remote_list;
mod word;

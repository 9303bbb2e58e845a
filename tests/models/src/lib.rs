//! Models of the lock-free parts, compiled from the allocator's own source: the pools' remote list, and the word that says
//! who may touch a stream's bytes.

#![cfg(test)]

mod atomics;
#[path = "../../../src/allocators/pool/remote.rs"]
#[expect(unsafe_code, reason = "as in the allocator")]
mod remote;

mod remote_list;
mod stream_word;
#[path = "../../../src/allocators/streams/word.rs"]
mod word;

//! Models of the lock-free parts: the pools' remote list, compiled from the allocator's own source.

#![cfg(test)]

mod atomics;
#[path = "../../../src/allocators/pool/remote.rs"]
#[expect(unsafe_code, reason = "as in the allocator")]
mod remote;

mod remote_list;

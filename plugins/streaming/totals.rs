//! Figures for people.

use bevy_ecs::prelude::*;
use bevy_reflect::Reflect;
use bevy_reflect::std_traits::ReflectDefault;

/// What streams at the moment, and what has been streamed. Written once a frame; changed only when a figure is another.
#[derive(Resource, Reflect, Debug, Clone, Copy, Default, PartialEq, Eq)]
#[reflect(Resource, Debug, Default, Clone)]
pub struct StreamingTotals {
    /// The most bytes that may be reserved.
    pub budget: usize,
    /// Bytes that are reserved, by other users of the allocator's streams as well. Never more than the budget, unless that
    /// was lowered.
    pub reserved: usize,
    /// Bytes of these that are loaded.
    pub loaded: usize,
    /// Files that somebody wants.
    pub files: usize,
    /// Of these, files that wait for their turn, for room, or for another attempt.
    pub waiting: usize,
    /// Of these, files that are being loaded.
    pub loading: usize,
    /// Of these, files that are ready.
    pub ready: usize,
    /// Files that were ever loaded, each time counted.
    pub loads: u64,
    /// Bytes of all of them.
    pub loaded_bytes: u64,
    /// Files that were ever evicted, each time counted.
    pub evictions: u64,
    /// Attempts that came after one that had failed.
    pub retries: u64,
    /// Files that could not be loaded, each time counted.
    pub failures: u64,
}

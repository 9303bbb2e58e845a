//! How far a stream is.

use core::fmt;

use crate::allocators::streams::{Phase, View};

/// How far a stream is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StreamState {
    /// It has its memory, and waits to be loaded.
    Reserved,
    /// Its [`StreamWriter`](crate::StreamWriter) exists.
    Loading,
    /// It can be accessed, and evicted while it is neither pinned nor borrowed.
    Ready,
    /// It was evicted, and its memory is being freed. In a moment it is unknown.
    Evicting,
}

impl StreamState {
    /// `None` where there is no stream to speak of.
    pub(super) fn of(view: View, generation: u32) -> Option<Self> {
        if view.generation() != generation {
            return None;
        }
        match view.phase() {
            Phase::Reserved => Some(Self::Reserved),
            Phase::Loading => Some(Self::Loading),
            // A claim is not seen by others: they wait for the lock under which it is decided.
            Phase::Ready | Phase::Claimed => Some(Self::Ready),
            Phase::Evicting => Some(Self::Evicting),
            Phase::Vacant | Phase::Doomed | Phase::Abandoned | Phase::Empty | Phase::Filling => {
                None
            }
        }
    }
}

impl fmt::Display for StreamState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Reserved => "reserved",
            Self::Loading => "loading",
            Self::Ready => "ready",
            Self::Evicting => "being evicted",
        })
    }
}

/// How much of a stream is loaded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct StreamProgress {
    /// Bytes that were written or reported as loaded. All of them once it is ready.
    pub loaded: usize,
    /// Bytes that were reserved.
    pub total: usize,
}

impl StreamProgress {
    /// From 0 to 1. A stream of no bytes is whole.
    pub fn fraction(self) -> f64 {
        match self.total {
            0 => 1.0,
            total => self.loaded as f64 / total as f64,
        }
    }
}

/// `512/1024`, in bytes.
impl fmt::Display for StreamProgress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.loaded, self.total)
    }
}

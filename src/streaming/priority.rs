//! How much a stream matters.

use core::fmt;

/// How much a stream matters: whom it may evict, and by whom it may be evicted.
///
/// A reservation evicts streams of its own priority or a lower one, the lowest first; never one of a higher priority.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StreamPriority {
    /// Wanted some time: prefetched levels, distant detail.
    Low = 0,
    /// In use.
    #[default]
    Normal = 1,
    /// Seen or heard at the moment.
    High = 2,
    /// The game cannot go on without.
    Critical = 3,
}

impl StreamPriority {
    /// Every priority, the lowest first.
    pub const ALL: [Self; 4] = [Self::Low, Self::Normal, Self::High, Self::Critical];
}

impl fmt::Display for StreamPriority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Low => "low",
            Self::Normal => "normal",
            Self::High => "high",
            Self::Critical => "critical",
        })
    }
}

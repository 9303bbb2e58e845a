//! Where a value goes when its frame ends.

use core::fmt;

/// Where a retained value goes when its frame ends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum RetentionPolicy {
    /// It is dropped.
    #[default]
    Discard,
    /// Into a [`PoolBox`](crate::PoolBox).
    PromoteToPool,
    /// Into a [`HeapBox`](crate::HeapBox).
    PromoteToHeap,
    /// Into a [`ScratchBox`](crate::ScratchBox) of the pool with this name, which has to exist when the frame ends.
    PromoteToScratch(&'static str),
}

impl RetentionPolicy {
    /// Whether the value outlives its frame.
    pub const fn promotes(&self) -> bool {
        !matches!(self, Self::Discard)
    }

    /// Where it goes, in a word: `pool`, `heap`, or the scratch pool's name.
    pub const fn destination(&self) -> Option<&'static str> {
        match self {
            Self::Discard => None,
            Self::PromoteToPool => Some("pool"),
            Self::PromoteToHeap => Some("heap"),
            Self::PromoteToScratch(name) => Some(name),
        }
    }
}

/// What a value is worth to its maker: other words for a [`RetentionPolicy`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Importance {
    /// Of this frame alone: [`Discard`](RetentionPolicy::Discard).
    #[default]
    Ephemeral,
    /// Perhaps of use again: [`PromoteToPool`](RetentionPolicy::PromoteToPool).
    Reusable,
    /// To stay: [`PromoteToHeap`](RetentionPolicy::PromoteToHeap).
    Persistent,
    /// Of a subsystem with this scratch pool: [`PromoteToScratch`](RetentionPolicy::PromoteToScratch).
    Scratch(&'static str),
}

impl Importance {
    /// The policy that it stands for.
    pub const fn to_policy(self) -> RetentionPolicy {
        match self {
            Self::Ephemeral => RetentionPolicy::Discard,
            Self::Reusable => RetentionPolicy::PromoteToPool,
            Self::Persistent => RetentionPolicy::PromoteToHeap,
            Self::Scratch(name) => RetentionPolicy::PromoteToScratch(name),
        }
    }
}

impl From<Importance> for RetentionPolicy {
    fn from(importance: Importance) -> Self {
        importance.to_policy()
    }
}

/// Tells retained values apart: a handle and the promoted item of its value have the same one. Never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RetainedId(u64);

impl RetainedId {
    pub(crate) const fn from_number(number: u64) -> Self {
        Self(number)
    }
}

impl fmt::Display for RetainedId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

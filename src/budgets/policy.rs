//! The words of budgets: names, states, events, and what to do about what exceeds one.

use core::fmt;

use crate::tags::TagId;

/// A subsystem by name, for budgets: a tag's path as a constant.
///
/// ```
/// use framealloc::AllocationTag;
///
/// const NETWORK: AllocationTag = AllocationTag::new("game::network");
/// assert_eq!(NETWORK.name(), "game::network");
/// assert_eq!(NETWORK.tag().path(), "game::network");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct AllocationTag(&'static str);

impl AllocationTag {
    /// `rendering`.
    pub const RENDERING: Self = Self("rendering");
    /// `physics`.
    pub const PHYSICS: Self = Self("physics");
    /// `audio`.
    pub const AUDIO: Self = Self("audio");
    /// `scripting`.
    pub const SCRIPTING: Self = Self("scripting");
    /// `assets`.
    pub const ASSETS: Self = Self("assets");
    /// `ui`.
    pub const UI: Self = Self("ui");
    /// `networking`.
    pub const NETWORKING: Self = Self("networking");
    /// `general`.
    pub const GENERAL: Self = Self("general");

    /// The tag with this path.
    pub const fn new(path: &'static str) -> Self {
        Self(path)
    }

    /// The path.
    pub const fn name(&self) -> &'static str {
        self.0
    }

    /// The interned tag.
    pub fn tag(&self) -> TagId {
        TagId::from_path(self.0)
    }
}

impl From<AllocationTag> for TagId {
    fn from(tag: AllocationTag) -> Self {
        tag.tag()
    }
}

/// What happens to an allocation that would exceed a hard limit.
///
/// Whatever it is, [`BudgetEvent::HardLimitExceeded`] (or [`BudgetEvent::GlobalLimitExceeded`]) is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum BudgetExceededPolicy {
    /// It is refused, with an [`AllocError`](crate::AllocError) and the diagnostic of its code.
    Fail,
    /// It is reported, and allowed.
    #[default]
    Warn,
    /// It is allowed, without a word.
    Allow,
    /// It is taken from the next larger allocator: frame memory from a mapping of its own, outside the arena's limit and the
    /// thread's budget; a pool block from the heap. Made for few and large blocks, since each is a mapping.
    Promote,
    /// The handler of [`ThreadBudgetManager::set_exceeded_handler`](crate::ThreadBudgetManager::set_exceeded_handler)
    /// decides; without one it is `Warn`.
    Custom,
}

/// Where a budget stands, from good to bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BudgetStatus {
    /// Below the soft limit.
    Ok,
    /// Above the soft limit.
    Warning,
    /// Above the hard limit.
    Exceeded,
}

/// What happened to a budget. Sizes are bytes of live memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum BudgetEvent {
    /// A tag's usage came to lie above its soft limit.
    SoftLimitExceeded {
        /// The tag.
        tag: TagId,
        /// What it uses now.
        current: usize,
        /// Its soft limit.
        limit: usize,
    },
    /// An allocation would exceed a tag's hard limit, or did, if the policy lets it.
    HardLimitExceeded {
        /// The tag.
        tag: TagId,
        /// What it would use.
        current: usize,
        /// Its hard limit.
        limit: usize,
    },
    /// The same for the limit of the whole allocator.
    GlobalLimitExceeded {
        /// What would be used.
        current: usize,
        /// The limit.
        limit: usize,
    },
    /// A tag uses more than ever: an eighth more than when this was last sent, at least.
    NewPeak {
        /// The tag.
        tag: TagId,
        /// What it uses now.
        peak: usize,
    },
    /// A thread's usage came to lie above its warning threshold.
    ThreadWarning {
        /// What it uses now.
        current: usize,
        /// Its budget.
        limit: usize,
    },
    /// An allocation would exceed a thread's budget, or did, if the policy lets it.
    ThreadLimitExceeded {
        /// What would be used.
        current: usize,
        /// The budget.
        limit: usize,
    },
}

impl fmt::Display for BudgetEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SoftLimitExceeded {
                tag,
                current,
                limit,
            } => write!(
                f,
                "{tag} uses {current} bytes, above its soft limit of {limit}"
            ),
            Self::HardLimitExceeded {
                tag,
                current,
                limit,
            } => write!(f, "{tag} would use {current} bytes, its limit is {limit}"),
            Self::GlobalLimitExceeded { current, limit } => {
                write!(f, "{current} bytes would be used, the limit is {limit}")
            }
            Self::NewPeak { tag, peak } => write!(f, "{tag} uses {peak} bytes, more than ever"),
            Self::ThreadWarning { current, limit } => {
                write!(f, "this thread uses {current} bytes of its {limit}")
            }
            Self::ThreadLimitExceeded { current, limit } => write!(
                f,
                "this thread would use {current} bytes, its budget is {limit}"
            ),
        }
    }
}

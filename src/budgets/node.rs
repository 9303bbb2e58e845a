//! One budget: a counter with limits, shared by all threads.
//!
//! Invariants: `usage` never exceeds `hard` through a charge that was not forced, not even for a moment; what is charged is
//! released exactly once; the last thing that a release touches is `usage`.

use core::sync::atomic::{
    AtomicU8, AtomicU64, AtomicUsize, Ordering::Acquire, Ordering::Relaxed, Ordering::Release,
};
use std::thread::ThreadId;

use super::policy::{BudgetEvent, BudgetExceededPolicy, BudgetStatus};
use crate::error::AllocErrorKind;
use crate::sync::Mutex;
use crate::tags::TagId;

/// What a budget limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    Global,
    Tag(TagId),
    /// Pool and heap memory of a thread.
    Thread(ThreadId),
}

pub(super) struct Node {
    scope: Mutex<Scope>,
    soft: AtomicUsize,
    hard: AtomicUsize,
    policy: AtomicU8,
    /// The most that was used since [`Node::take_window`].
    peak: AtomicUsize,
    /// The most that was used up to then.
    peak_before: AtomicUsize,
    /// The peak that was last sent as an event.
    announced: AtomicUsize,
    pub(super) allocs: AtomicU64,
    pub(super) frees: AtomicU64,
    pub(super) exceeded: AtomicU64,
    usage: AtomicUsize,
}

/// A charge that would exceed the hard limit.
#[derive(Debug, Clone, Copy)]
pub(super) struct Exceeded {
    pub(super) usage: usize,
    pub(super) limit: usize,
}

const POLICIES: [BudgetExceededPolicy; 5] = [
    BudgetExceededPolicy::Fail,
    BudgetExceededPolicy::Warn,
    BudgetExceededPolicy::Allow,
    BudgetExceededPolicy::Promote,
    BudgetExceededPolicy::Custom,
];

impl Node {
    pub(super) fn new(scope: Scope) -> Self {
        Self {
            scope: Mutex::new(scope),
            soft: AtomicUsize::new(usize::MAX),
            hard: AtomicUsize::new(usize::MAX),
            policy: AtomicU8::new(BudgetExceededPolicy::Fail as u8),
            peak: AtomicUsize::new(0),
            peak_before: AtomicUsize::new(0),
            announced: AtomicUsize::new(0),
            allocs: AtomicU64::new(0),
            frees: AtomicU64::new(0),
            exceeded: AtomicU64::new(0),
            usage: AtomicUsize::new(0),
        }
    }

    /// Makes it a new budget. Nothing is charged to it.
    pub(super) fn start_over(&self, scope: Scope) {
        *self.scope.lock() = scope;
        self.set(usize::MAX, usize::MAX, BudgetExceededPolicy::Fail);
        self.reset_counts(0, 0, 0);
    }

    pub(super) fn scope(&self) -> Scope {
        *self.scope.lock()
    }

    pub(super) fn set(&self, soft: usize, hard: usize, policy: BudgetExceededPolicy) {
        self.soft.store(soft, Relaxed);
        self.policy.store(policy as u8, Relaxed);
        self.hard.store(hard, Relaxed);
    }

    pub(super) fn soft(&self) -> usize {
        self.soft.load(Relaxed)
    }

    pub(super) fn hard(&self) -> usize {
        self.hard.load(Relaxed)
    }

    pub(super) fn policy(&self) -> BudgetExceededPolicy {
        POLICIES[usize::from(self.policy.load(Relaxed))]
    }

    /// Bytes charged. Orders what follows after the releases that it has seen.
    pub(super) fn usage(&self) -> usize {
        self.usage.load(Acquire)
    }

    /// The tag that it holds: the root for a whole allocator, or a thread.
    pub(super) fn tag(&self) -> TagId {
        match self.scope() {
            Scope::Tag(tag) => tag,
            Scope::Global | Scope::Thread(_) => TagId::ROOT,
        }
    }

    /// Bytes left below the hard limit.
    pub(super) fn room(&self) -> usize {
        self.hard().saturating_sub(self.usage())
    }

    /// Bytes left below the next limit: the soft one, unless usage is above it.
    pub(super) fn room_to_next(&self) -> usize {
        let (usage, soft) = (self.usage(), self.soft());
        let next = if usage <= soft {
            soft.min(self.hard())
        } else {
            self.hard()
        };
        next.saturating_sub(usage)
    }

    pub(super) fn peak(&self) -> usize {
        self.window_peak().max(self.peak_before.load(Relaxed))
    }

    /// The most that was used since the last call of [`take_window`](Self::take_window).
    pub(super) fn window_peak(&self) -> usize {
        self.peak.load(Relaxed)
    }

    /// The most that was used since the last call, and starts over.
    pub(super) fn take_window(&self) -> usize {
        let peak = self.peak.swap(self.usage(), Relaxed);
        self.peak_before.fetch_max(peak, Relaxed);
        peak
    }

    /// Counts anew, from `usage` on; `allocs` and `frees` are counted elsewhere, and do not start over.
    pub(super) fn reset_counts(&self, usage: usize, allocs: u64, frees: u64) {
        self.allocs.store(allocs.wrapping_neg(), Relaxed);
        self.frees.store(frees.wrapping_neg(), Relaxed);
        self.exceeded.store(0, Relaxed);
        self.announced.store(0, Relaxed);
        self.peak_before.store(0, Relaxed);
        self.peak.store(usage, Relaxed);
    }

    pub(super) fn status(&self, usage: usize) -> BudgetStatus {
        if usage > self.hard() {
            BudgetStatus::Exceeded
        } else if usage > self.soft() {
            BudgetStatus::Warning
        } else {
            BudgetStatus::Ok
        }
    }

    pub(super) fn refusal(&self) -> AllocErrorKind {
        match self.scope() {
            Scope::Global => AllocErrorKind::GlobalBudget,
            Scope::Tag(_) => AllocErrorKind::TagBudget,
            Scope::Thread(_) => AllocErrorKind::ThreadBudget,
        }
    }

    /// Charges `bytes`, unless they would exceed the hard limit and are not `forced`. Returns the usage before.
    pub(super) fn charge(&self, bytes: usize, forced: bool) -> Result<usize, Exceeded> {
        let mut usage = self.usage.load(Relaxed);
        let before = loop {
            let limit = if forced { usize::MAX } else { self.hard() };
            match usage.checked_add(bytes) {
                Some(after) if after <= limit => {
                    match self
                        .usage
                        .compare_exchange_weak(usage, after, Relaxed, Relaxed)
                    {
                        Ok(before) => break before,
                        Err(now) => usage = now,
                    }
                }
                _ => return Err(Exceeded { usage, limit }),
            }
        };
        Ok(before)
    }

    /// Remembers what was used, if it is the most.
    pub(super) fn raise_peak(&self, usage: usize) {
        if usage > self.peak.load(Relaxed) {
            self.peak.fetch_max(usage, Relaxed);
        }
    }

    /// Whether a charge that brought usage from `before` to `after` is worth a word.
    pub(super) fn is_notable(&self, before: usize, after: usize) -> bool {
        self.crosses_soft(before, after) || self.is_new_peak(after)
    }

    fn crosses_soft(&self, before: usize, after: usize) -> bool {
        let soft = self.soft();
        before <= soft && after > soft
    }

    fn is_new_peak(&self, after: usize) -> bool {
        let announced = self.announced.load(Relaxed);
        after > announced.saturating_add(announced / 8)
    }

    /// The events of such a charge.
    pub(super) fn notice(&self, before: usize, after: usize, events: &mut Vec<BudgetEvent>) {
        let scope = self.scope();
        if self.crosses_soft(before, after) {
            let current = after;
            events.push(match scope {
                Scope::Tag(tag) => BudgetEvent::SoftLimitExceeded {
                    tag,
                    current,
                    limit: self.soft(),
                },
                Scope::Global => BudgetEvent::SoftLimitExceeded {
                    tag: TagId::ROOT,
                    current,
                    limit: self.soft(),
                },
                Scope::Thread(_) => BudgetEvent::ThreadWarning {
                    current,
                    limit: self.hard(),
                },
            });
        }
        if let Scope::Tag(tag) = scope
            && self.is_new_peak(after)
        {
            self.announced.store(after, Relaxed);
            events.push(BudgetEvent::NewPeak { tag, peak: after });
        }
    }

    /// The event of a charge that would exceed the hard limit.
    pub(super) fn exceeded_event(&self, exceeded: Exceeded, bytes: usize) -> BudgetEvent {
        let current = exceeded.usage.saturating_add(bytes);
        let limit = exceeded.limit;
        match self.scope() {
            Scope::Global => BudgetEvent::GlobalLimitExceeded { current, limit },
            Scope::Tag(tag) => BudgetEvent::HardLimitExceeded {
                tag,
                current,
                limit,
            },
            Scope::Thread(_) => BudgetEvent::ThreadLimitExceeded { current, limit },
        }
    }

    /// Gives back the charge of one block.
    pub(super) fn release_one(&self, bytes: usize) {
        self.frees.fetch_add(1, Relaxed);
        self.release(bytes);
    }

    /// Gives back what was charged. Nothing of the node is touched afterwards.
    pub(super) fn release(&self, bytes: usize) {
        self.usage.fetch_sub(bytes, Release);
    }
}

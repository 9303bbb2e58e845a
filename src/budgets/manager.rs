//! The front of an allocator's budgets.

use core::fmt;
use core::sync::atomic::Ordering::Relaxed;
use std::alloc::Layout;
use std::sync::Arc;

use super::account::Account;
use super::known::{NOBODYS, Payee};
use super::ledger::{Ledger, Memory};
use super::node::Node;
use super::policy::{AllocationTag, BudgetEvent, BudgetExceededPolicy, BudgetStatus};
use super::threads::percent;
use crate::error::AllocError;
use crate::tags::TagId;

/// Limits on live memory: of an allocator as a whole, and of tags.
///
/// A budget on a tag holds everything below it too: one on `game::ai` holds `game::ai::paths`. What would exceed a hard limit
/// is refused (or whatever the budget's [policy](BudgetExceededPolicy) says); crossing a soft limit is told to the callback.
/// Budgets are exact with any number of threads, and freeing memory frees budget. They count what is allocated from when they
/// were made:
///
/// - blocks of pools (rounded up to size classes) and of the heap, and what groups, handles, streams and scratch pools take,
///   until they are freed;
/// - frame memory of boxes, until their chunk is free again: at the frame's end at best;
/// - frame memory of guards, until the guard closes.
///
/// An allocator has budgets if it was made with [`AllocConfig::with_budgets`](crate::AllocConfig::with_budgets) or
/// [`with_memory_limit`](crate::AllocConfig::with_memory_limit), or was given some with
/// [`enable_budgets`](crate::SmartAlloc::enable_budgets); a manager made on its own counts what is
/// [charged](Self::charge) to it.
///
/// ```
/// use framealloc::{AllocConfig, AllocErrorKind, AllocationTag, SmartAlloc};
///
/// let alloc = SmartAlloc::new(AllocConfig::default().with_budgets(true));
/// let budgets = alloc.budgets().unwrap();
/// budgets.register_tag(&AllocationTag::new("ai"), 500, 1000); // soft, hard
///
/// alloc.with_tag("ai", |alloc| {
///     let path = alloc.heap_box([0u8; 900]).unwrap();
///     let refused = alloc.heap_box([0u8; 900]).unwrap_err();
///     assert_eq!((refused.kind(), refused.available()), (AllocErrorKind::TagBudget, 100));
///     drop(path);
///     assert!(alloc.heap_box([0u8; 900]).is_ok());
/// });
/// ```
#[derive(Clone)]
pub struct BudgetManager {
    ledger: Arc<Ledger>,
}

impl BudgetManager {
    /// Budgets of their own, with a limit for all of it in bytes; zero is none.
    pub fn new(limit: usize) -> Self {
        Self {
            ledger: Arc::new(Ledger::new(limit)),
        }
    }

    pub(crate) fn of(ledger: Arc<Ledger>) -> Self {
        Self { ledger }
    }

    /// Tells `callback` of everything that happens to budgets. Replaces the one before.
    ///
    /// It runs on the thread that allocates, before the allocation is made and with nothing locked: it may use the allocator,
    /// and the budgets. If it panics, the allocation is not made.
    pub fn set_event_callback(&self, callback: impl Fn(BudgetEvent) + Send + Sync + 'static) {
        self.ledger.set_callback(Arc::new(callback));
    }

    /// Gives a tag, and all that is below it, a soft and a hard limit in bytes. What exceeds the hard one fails.
    pub fn register_tag(&self, tag: &AllocationTag, soft_limit: usize, hard_limit: usize) {
        self.register(
            tag.tag(),
            soft_limit,
            hard_limit,
            BudgetExceededPolicy::Fail,
        );
    }

    /// [`register_tag`](Self::register_tag) by path.
    pub fn register_tag_budget(&self, path: &str, soft_limit: usize, hard_limit: usize) {
        let tag = TagId::from_path(path);
        self.register(tag, soft_limit, hard_limit, BudgetExceededPolicy::Fail);
    }

    /// [`register_tag`](Self::register_tag) with a policy. A budget that exists gets the new limits, and keeps its figures.
    pub fn register(
        &self,
        tag: TagId,
        soft_limit: usize,
        hard_limit: usize,
        policy: BudgetExceededPolicy,
    ) {
        if tag == TagId::ROOT {
            self.ledger.set_global_limit(hard_limit);
            self.ledger.global().set(soft_limit, hard_limit, policy);
        } else {
            // Limits first: nothing may see the budget without.
            self.ledger.tag_node(tag, |node| {
                node.set(soft_limit, hard_limit, policy);
            });
        }
    }

    /// Takes a tag's limits away. What is charged already stays counted, in case it gets limits again.
    pub fn unregister(&self, tag: TagId) {
        if tag == TagId::ROOT {
            self.ledger.set_global_limit(0);
        } else if let Some(node) = self.node(tag) {
            node.set(usize::MAX, usize::MAX, BudgetExceededPolicy::Fail);
        }
    }

    pub(super) fn ledger(&self) -> &Arc<Ledger> {
        &self.ledger
    }

    /// The budget of a tag; one without limits, if it has none.
    pub(super) fn node_or_new(&self, tag: TagId) -> &'static Node {
        if let Some(node) = self.node(tag) {
            return node;
        }
        self.ledger.tag_node(tag, |_| ());
        self.node(tag).expect("a budget is never taken away")
    }

    fn node(&self, tag: TagId) -> Option<&'static Node> {
        self.ledger.tags.lock().get(&tag).copied()
    }

    /// Sets the limit of all of it, in bytes; zero is none. The soft limit is 90 % of it.
    pub fn set_global_limit(&self, limit: usize) {
        self.ledger.set_global_limit(limit);
    }

    /// The limit of all of it, in bytes; zero if there is none.
    pub fn global_limit(&self) -> usize {
        match self.ledger.global().hard() {
            usize::MAX => 0,
            limit => limit,
        }
    }

    /// Live bytes of all of it.
    pub fn current_usage(&self) -> usize {
        self.ledger.usage(self.ledger.global())
    }

    /// The most bytes of it that were live at once.
    pub fn peak_usage(&self) -> usize {
        self.ledger.settle_guards();
        self.ledger.global().peak()
    }

    /// Where `size` bytes more would leave the whole.
    pub fn check_allocation(&self, size: usize) -> BudgetStatus {
        self.status_with(self.ledger.global(), size)
    }

    /// Where `size` bytes more would leave the tag's budgets, and those above it: the worst of them.
    pub fn check_tagged_allocation(&self, tag: &AllocationTag, size: usize) -> BudgetStatus {
        let account = self.ledger.account(tag.tag());
        let worst = account.of_frames().map(|node| self.status_with(node, size));
        worst
            .max_by_key(|status| *status as u8)
            .unwrap_or(BudgetStatus::Ok)
    }

    /// Charges memory that the allocator knows nothing of (textures, a C library's heap) to a tag, until the charge drops.
    ///
    /// ```
    /// use framealloc::{AllocationTag, BudgetManager};
    ///
    /// const VRAM: AllocationTag = AllocationTag::new("vram");
    /// let budgets = BudgetManager::new(0);
    /// budgets.register_tag(&VRAM, usize::MAX, 1 << 20);
    /// let texture = budgets.charge(&VRAM, 1 << 20)?;
    /// assert!(budgets.charge(&VRAM, 1).is_err());
    /// drop(texture);
    /// assert_eq!(budgets.get_tag_budget("vram").unwrap().current_usage, 0);
    /// # Ok::<(), framealloc::AllocError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`TagBudget`](crate::AllocErrorKind::TagBudget) or [`GlobalBudget`](crate::AllocErrorKind::GlobalBudget).
    pub fn charge(&self, tag: &AllocationTag, bytes: usize) -> Result<BudgetCharge, AllocError> {
        let account = self.ledger.account(tag.tag());
        let layout =
            Layout::from_size_align(bytes, 1).map_err(|_| AllocError::overflow::<u8>(bytes))?;
        let payee = Payee {
            account,
            // Given back on any thread, and seldom: not worth a credit.
            slot: &NOBODYS,
        };
        self.ledger.admit(payee, Memory::Block, layout, bytes)?;
        Ok(BudgetCharge { account, bytes })
    }

    /// Every tag's budget.
    pub fn get_all_tag_budgets(&self) -> Vec<TagBudget> {
        let tags = self.ledger.tags.lock().clone();
        let mut all: Vec<_> = tags
            .iter()
            .map(|(&tag, node)| self.budget(tag, node))
            .collect();
        all.sort_by_key(|budget| budget.name);
        all
    }

    /// The budget of the tag with this path, if it has one of its own.
    pub fn get_tag_budget(&self, path: &str) -> Option<TagBudget> {
        let tag = TagId::from_path(path);
        Some(self.budget(tag, self.node(tag)?))
    }

    fn status_with(&self, node: &Node, size: usize) -> BudgetStatus {
        node.status(self.ledger.usage(node).saturating_add(size))
    }

    fn budget(&self, tag: TagId, node: &Node) -> TagBudget {
        let (_, allocs, frees) = self.ledger.credit_of(node);
        TagBudget {
            name: tag.path(),
            soft_limit: node.soft(),
            hard_limit: node.hard(),
            policy: node.policy(),
            current_usage: self.ledger.usage(node),
            peak_usage: node.peak(),
            allocation_count: node.allocs.load(Relaxed).wrapping_add(allocs),
            deallocation_count: node.frees.load(Relaxed).wrapping_add(frees),
            exceeded_count: node.exceeded.load(Relaxed),
        }
    }

    /// Forgets peaks and counts. Usage stays: it is what is live.
    pub fn reset_stats(&self) {
        let tags = self.ledger.tags.lock().clone();
        for node in tags.into_values().chain([self.ledger.global()]) {
            let (_, allocs, frees) = self.ledger.credit_of(node);
            node.reset_counts(self.ledger.usage(node), allocs, frees);
        }
    }
}

impl fmt::Debug for BudgetManager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BudgetManager")
            .field("current_usage", &self.current_usage())
            .field("global_limit", &self.global_limit())
            .field("tags", &self.get_all_tag_budgets())
            .finish()
    }
}

/// Bytes charged to a tag until this drops. See [`BudgetManager::charge`].
#[must_use = "the charge is given back when this drops"]
pub struct BudgetCharge {
    account: &'static Account,
    bytes: usize,
}

impl BudgetCharge {
    /// The bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The tag.
    pub fn tag(&self) -> TagId {
        self.account.tag()
    }
}

impl Drop for BudgetCharge {
    fn drop(&mut self) {
        self.account.release_block(self.bytes);
    }
}

impl fmt::Debug for BudgetCharge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BudgetCharge")
            .field("tag", &self.tag())
            .field("bytes", &self.bytes)
            .finish()
    }
}

/// A tag's budget, and where it stands. Sizes are bytes of live memory, of the tag and all below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct TagBudget {
    /// The tag's path.
    pub name: &'static str,
    /// Above it, a warning is sent.
    pub soft_limit: usize,
    /// What the policy keeps.
    pub hard_limit: usize,
    /// What happens beyond the hard limit.
    pub policy: BudgetExceededPolicy,
    /// What is live.
    pub current_usage: usize,
    /// The most that was; up to 8 KiB a thread more than that where budgets are far from their limits.
    pub peak_usage: usize,
    /// Allocations made.
    pub allocation_count: u64,
    /// Blocks of pools and heap freed. Frame memory has no frees to count.
    pub deallocation_count: u64,
    /// Allocations that would have exceeded the hard limit, whatever became of them.
    pub exceeded_count: u64,
}

impl TagBudget {
    /// Where it stands.
    pub fn check_status(&self) -> BudgetStatus {
        if self.current_usage > self.hard_limit {
            BudgetStatus::Exceeded
        } else if self.current_usage > self.soft_limit {
            BudgetStatus::Warning
        } else {
            BudgetStatus::Ok
        }
    }

    /// Usage in percent of the hard limit.
    pub fn usage_percent(&self) -> f32 {
        percent(self.current_usage, self.hard_limit)
    }
}

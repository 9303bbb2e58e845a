//! What happened to a budget since somebody last looked: for whoever looks at many budgets every frame.
//!
//! The callback tells of every allocation that crosses a limit, and while there is one, each allocation takes the slow path. A
//! probe costs what allocates nothing: budgets keep their peak anyhow.

use core::fmt;
use core::sync::atomic::Ordering::Relaxed;
use std::sync::Arc;

use super::ledger::Ledger;
use super::manager::BudgetManager;
use super::node::Node;
use crate::tags::TagId;

/// A budget that is looked at again and again, without looking it up. See [`BudgetManager::probe`].
#[derive(Clone)]
pub struct BudgetProbe {
    /// Keeps the budget from being another allocator's.
    ledger: Arc<Ledger>,
    node: &'static Node,
}

impl BudgetProbe {
    /// The most bytes that were live at once since the last call, or since the budget was made, and begins anew. Other figures
    /// do not start over.
    ///
    /// Where a budget is far from its limits, up to 8 KiB a thread more than that. Guards that have closed may still count;
    /// [`BudgetManager::settle`] sees to those of all budgets.
    pub fn take_peak(&self) -> usize {
        self.node.take_window()
    }

    /// How many allocations would ever have exceeded the hard limit, whatever became of them.
    pub fn exceeded_count(&self) -> u64 {
        self.node.exceeded.load(Relaxed)
    }

    /// Live bytes.
    pub fn usage(&self) -> usize {
        self.ledger.usage(self.node)
    }

    /// The most bytes that were ever live at once.
    pub fn peak(&self) -> usize {
        self.node.peak()
    }
}

impl fmt::Debug for BudgetProbe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BudgetProbe")
            .field("usage", &self.usage())
            .field("peak", &self.peak())
            .finish()
    }
}

impl BudgetManager {
    /// A look at the budget of `tag`, which is made without limits if there is none; at that of all of it, if `tag` is the
    /// root.
    ///
    /// ```
    /// use framealloc::{SmartAlloc, tags::TagId};
    ///
    /// let alloc = SmartAlloc::with_defaults();
    /// let budgets = alloc.enable_budgets();
    /// budgets.register_tag_budget("ai", 2_000, 4_000);
    /// let probe = budgets.probe(TagId::from_path("ai"));
    /// alloc.with_tag("ai", |alloc| drop(alloc.heap_box([0u8; 1000])));
    /// assert_eq!((probe.take_peak(), probe.usage()), (1000, 0));
    /// assert_eq!((probe.take_peak(), probe.peak()), (0, 1000));
    /// ```
    pub fn probe(&self, tag: TagId) -> BudgetProbe {
        let ledger = self.ledger().clone();
        let node = if tag == TagId::ROOT {
            ledger.global()
        } else {
            self.node_or_new(tag)
        };
        BudgetProbe { ledger, node }
    }

    /// Sees to it that guards which have closed do not count any more. Budgets do that by themselves before they refuse
    /// anything.
    pub fn settle(&self) {
        self.ledger().settle_guards();
    }
}

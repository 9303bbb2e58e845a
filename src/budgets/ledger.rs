//! The budgets of one allocator, and the way in: every allocation that counts against any of them is admitted here.

use core::alloc::Layout;
use core::fmt;
use core::sync::atomic::{
    AtomicBool, AtomicU64, Ordering::Acquire, Ordering::Relaxed, Ordering::Release,
};
use std::sync::Arc;
use std::thread::ThreadId;

use hashbrown::HashMap;

use super::account::{self, Account};
use super::node::{Exceeded, Node, Scope};
use super::policy::{BudgetEvent, BudgetExceededPolicy};
use super::threads::{ThreadBudget, ThreadBudgetConfig};
use crate::allocators::arena::GuardMeter;
use crate::diagnostics;
use crate::error::{AllocError, AllocErrorKind};
use crate::sync::Mutex;
use crate::tags::TagId;

type Callback = Arc<dyn Fn(BudgetEvent) + Send + Sync>;
pub(super) type Handler = Arc<dyn Fn(ThreadId, usize, usize) -> BudgetExceededPolicy + Send + Sync>;

/// Drawn by every change of every ledger, so that a thread's cached account fits one state of one ledger.
static NEXT_VERSION: AtomicU64 = AtomicU64::new(1);

pub(crate) struct Ledger {
    /// Replaced with every change of which budgets there are.
    version: AtomicU64,
    global: &'static Node,
    pub(super) tags: Mutex<HashMap<TagId, &'static Node>>,
    pub(super) threads: Mutex<Threads>,
    /// Whether any thread has a budget.
    pub(super) has_threads: AtomicBool,
    /// The meters of guards that are, or were, open.
    guards: Mutex<Vec<Arc<GuardMeter>>>,
    has_guards: AtomicBool,
    listening: AtomicBool,
    callback: Mutex<Option<Callback>>,
    pub(super) handler: Mutex<Option<Handler>>,
}

#[derive(Default)]
pub(super) struct Threads {
    pub(super) default: Option<ThreadBudgetConfig>,
    pub(super) known: HashMap<ThreadId, Arc<ThreadBudget>>,
}

/// What memory an account is charged for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Memory {
    /// Blocks of pools and heap.
    Block,
    /// Blocks of frames.
    Frame,
}

/// How an allocation was admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Admission {
    /// From where it was asked of.
    Here,
    /// From the next larger allocator: [`BudgetExceededPolicy::Promote`].
    Promoted,
}

/// Charges that are given back unless the allocation comes about.
struct Tentative {
    nodes: Vec<&'static Node>,
    bytes: usize,
}

impl Drop for Tentative {
    fn drop(&mut self) {
        for node in &self.nodes {
            node.release(self.bytes);
        }
    }
}

impl Ledger {
    pub(crate) fn new(limit: usize) -> Self {
        let ledger = Self {
            version: AtomicU64::new(0),
            global: account::node(Scope::Global),
            tags: Mutex::default(),
            threads: Mutex::default(),
            has_threads: AtomicBool::new(false),
            guards: Mutex::default(),
            has_guards: AtomicBool::new(false),
            listening: AtomicBool::new(false),
            callback: Mutex::default(),
            handler: Mutex::default(),
        };
        ledger.set_global_limit(limit);
        ledger.changed();
        ledger
    }

    pub(crate) fn version(&self) -> u64 {
        self.version.load(Acquire)
    }

    /// Tells every thread that which budgets there are has changed.
    pub(super) fn changed(&self) {
        self.version
            .store(NEXT_VERSION.fetch_add(1, Relaxed), Release);
    }

    pub(super) fn global(&self) -> &'static Node {
        self.global
    }

    /// Sets the limit of the whole allocator; zero is none. The soft limit is 90 % of it.
    pub(super) fn set_global_limit(&self, limit: usize) {
        let (soft, hard) = match limit {
            0 => (usize::MAX, usize::MAX),
            limit => (limit - limit / 10, limit),
        };
        self.global.set(soft, hard, BudgetExceededPolicy::Fail);
    }

    /// Sets up the budget of a tag, made if need be, before anything can be charged to it.
    pub(super) fn tag_node(&self, tag: TagId, set_up: impl FnOnce(&Node)) {
        set_up(
            self.tags
                .lock()
                .entry(tag)
                .or_insert_with(|| account::node(Scope::Tag(tag))),
        );
        self.changed();
    }

    /// The account of what the calling thread allocates under `tag`.
    pub(crate) fn account(&self, tag: TagId) -> &'static Account {
        let mut nodes = Vec::new();
        {
            let tags = self.tags.lock();
            if !tags.is_empty() {
                let mut next = Some(tag);
                while let Some(tag) = next {
                    nodes.extend(tags.get(&tag).copied());
                    next = tag.parent();
                }
            }
        }
        nodes.push(self.global);
        let thread = self.this_thread().map(|budget| budget.blocks);
        account::account(tag, nodes, thread)
    }

    // ---- Guards ---------------------------------------------------------------------------------------------------

    /// Settles this meter from now on, when its guard has closed.
    pub(crate) fn watch_guard(&self, meter: Arc<GuardMeter>) {
        self.guards.lock().push(meter);
        self.has_guards.store(true, Release);
    }

    /// Releases what guards were charged that have closed, on any thread. Returns whether there were any.
    pub(crate) fn settle_guards(&self) -> bool {
        if !self.has_guards.load(Acquire) {
            return false;
        }
        let guards = self.guards.lock();
        guards.iter().fold(false, |any, meter| meter.settle() | any)
    }

    // ---- Events ---------------------------------------------------------------------------------------------------

    pub(super) fn set_callback(&self, callback: Callback) {
        let replaced = self.callback.lock().replace(callback);
        self.listening.store(true, Release);
        // Its destructor is the user's code: it runs with the lock released.
        drop(replaced);
    }

    pub(super) fn deliver(&self, events: Vec<BudgetEvent>) {
        if events.is_empty() {
            return;
        }
        let callback = self.callback.lock().clone();
        if let Some(callback) = callback {
            for event in events {
                callback(event);
            }
        }
    }

    // ---- The way in -----------------------------------------------------------------------------------------------

    /// Charges `bytes` for a block of `layout` to the account, as its budgets allow. User code may run, with nothing locked.
    pub(crate) fn admit(
        &self,
        account: &Account,
        memory: Memory,
        layout: Layout,
        bytes: usize,
    ) -> Result<Admission, AllocError> {
        // The common case: every budget has room, and nobody wants to know.
        let mut charged = 0;
        if !self.listening.load(Acquire) {
            let mut all = true;
            for node in account.of(memory) {
                match node.charge(bytes, false) {
                    Ok(before) => self.raise_peak(node, before + bytes),
                    Err(_) => {
                        all = false;
                        break;
                    }
                }
                charged += 1;
            }
            if all {
                for node in account.of(memory) {
                    node.allocs.fetch_add(1, Relaxed);
                }
                return Ok(Admission::Here);
            }
        }
        let nodes = account.of(memory).take(charged).collect();
        self.admit_slowly(account, memory, layout, bytes, nodes)
    }

    /// [`admit`](Self::admit), of which `charged` is done.
    #[cold]
    fn admit_slowly(
        &self,
        account: &Account,
        memory: Memory,
        layout: Layout,
        bytes: usize,
        charged: Vec<&'static Node>,
    ) -> Result<Admission, AllocError> {
        let done = charged.len();
        let mut tentative = Tentative {
            nodes: charged,
            bytes,
        };
        let mut events = Vec::new();
        let mut admission = Admission::Here;
        for node in account.of(memory).skip(done) {
            let charged = node.charge(bytes, false).or_else(|exceeded| {
                if self.settle_guards() {
                    node.charge(bytes, false)
                } else {
                    Err(exceeded)
                }
            });
            let before = match charged {
                Ok(before) => before,
                Err(exceeded) => {
                    node.exceeded.fetch_add(1, Relaxed);
                    events.push(node.exceeded_event(exceeded, bytes));
                    let left = exceeded.limit.saturating_sub(exceeded.usage);
                    match self.policy(node, bytes, left) {
                        BudgetExceededPolicy::Fail => {
                            drop(tentative);
                            self.deliver(events);
                            return Err(diagnostics::refused(AllocError::new(
                                node.refusal(),
                                layout,
                                left,
                            )));
                        }
                        BudgetExceededPolicy::Promote => admission = Admission::Promoted,
                        BudgetExceededPolicy::Allow => {}
                        BudgetExceededPolicy::Warn | BudgetExceededPolicy::Custom => {
                            let over = Over {
                                node,
                                exceeded,
                                bytes,
                            };
                            diagnostics::report(node.refusal().code(), format_args!("{over}"));
                        }
                    }
                    match node.charge(bytes, true) {
                        Ok(before) => before,
                        Err(_) => {
                            drop(tentative);
                            return Err(diagnostics::refused(AllocError::new(
                                AllocErrorKind::CapacityOverflow,
                                layout,
                                0,
                            )));
                        }
                    }
                }
            };
            tentative.nodes.push(node);
            let after = before + bytes;
            if node.is_notable(before, after) {
                // Closed guards do not count; without them it may be less.
                let after = if self.settle_guards() {
                    node.usage().min(after)
                } else {
                    after
                };
                node.notice(before.min(after), after, &mut events);
            }
            self.raise_peak(node, after);
        }
        self.deliver(events);
        for node in core::mem::take(&mut tentative.nodes) {
            node.allocs.fetch_add(1, Relaxed);
        }
        Ok(admission)
    }

    #[inline]
    fn raise_peak(&self, node: &Node, after: usize) {
        if after > node.peak() {
            let settled = self.settle_guards();
            node.raise_peak(if settled {
                node.usage().min(after)
            } else {
                after
            });
        }
    }

    fn policy(&self, node: &Node, bytes: usize, left: usize) -> BudgetExceededPolicy {
        match node.policy() {
            BudgetExceededPolicy::Custom => self.ask(bytes, left),
            policy => policy,
        }
    }

    /// What the handler says of an allocation that exceeds a budget.
    pub(super) fn ask(&self, bytes: usize, left: usize) -> BudgetExceededPolicy {
        let handler = self.handler.lock().clone();
        match handler.map(|handler| handler(std::thread::current().id(), bytes, left)) {
            None | Some(BudgetExceededPolicy::Custom) => BudgetExceededPolicy::Warn,
            Some(policy) => policy,
        }
    }
}

impl Account {
    fn of(&self, memory: Memory) -> impl Iterator<Item = &'static Node> {
        let thread = match memory {
            Memory::Block => self.thread,
            Memory::Frame => None,
        };
        self.of_frames().chain(thread)
    }
}

/// The message of an allocation that exceeds a budget and is allowed.
struct Over<'a> {
    node: &'a Node,
    exceeded: Exceeded,
    bytes: usize,
}

impl fmt::Display for Over<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} (allowed by its policy)",
            self.node.exceeded_event(self.exceeded, self.bytes)
        )
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        account::retire_node(self.global);
        for (_, node) in self.tags.get_mut().drain() {
            account::retire_node(node);
        }
        for (_, thread) in self.threads.get_mut().known.drain() {
            account::retire_node(thread.blocks);
        }
    }
}

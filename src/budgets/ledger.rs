//! The budgets of one allocator, and the way in: every allocation that counts against any of them is admitted here.

use core::alloc::Layout;
use core::fmt;
use core::sync::atomic::{
    AtomicBool, AtomicU64, Ordering::Acquire, Ordering::Relaxed, Ordering::Release,
};
use std::sync::{Arc, Weak};
use std::thread::ThreadId;

use hashbrown::HashMap;

use super::account::{self, Account};
use super::known::{self, Payee};
use super::node::{Exceeded, Node, Scope};
use super::policy::{BudgetEvent, BudgetExceededPolicy};
use super::slot::{GRANT, Slot};
use super::threads::{ThreadBudget, ThreadBudgetConfig};
use crate::allocators::arena::GuardMeter;
use crate::allocators::os;
use crate::diagnostics;
use crate::error::{AllocError, AllocErrorKind};
use crate::events::{Event, Hub};
use crate::sync::Mutex;
use crate::tags::TagId;
use crate::threads::this_thread;

type Callback = Arc<dyn Fn(BudgetEvent) + Send + Sync>;
/// The budget of threads of this name.
pub(super) type ByName = Arc<dyn Fn(&str) -> Option<ThreadBudgetConfig> + Send + Sync>;
pub(super) type Handler = Arc<dyn Fn(ThreadId, usize, usize) -> BudgetExceededPolicy + Send + Sync>;

/// Whether an allocator was given budgets that was made without: its handles take pool blocks by the fast paths, so that no
/// thread may have any from then on.
static POOLS_CLOSED: AtomicBool = AtomicBool::new(false);

/// Takes the fast paths of pools from every thread that finds out.
pub(crate) fn close_pools() {
    POOLS_CLOSED.store(true, Release);
}

pub(crate) fn pools_are_closed() -> bool {
    POOLS_CLOSED.load(Acquire)
}

/// Drawn by every change of every ledger, so that a thread's cached account fits one state of one ledger.
static NEXT_VERSION: AtomicU64 = AtomicU64::new(1);

pub(crate) struct Ledger {
    /// Replaced with every change of which budgets there are.
    version: AtomicU64,
    /// Whether anything counts against it.
    on: AtomicBool,
    global: &'static Node,
    pub(super) tags: Mutex<HashMap<TagId, &'static Node>>,
    pub(super) threads: Mutex<Threads>,
    /// Whether any thread has a budget.
    pub(super) has_threads: AtomicBool,
    /// The meters of guards that are, or were, open.
    guards: Mutex<Vec<Arc<GuardMeter>>>,
    has_guards: AtomicBool,
    /// The threads' credits.
    slots: Mutex<Vec<OpenSlot>>,
    listening: AtomicBool,
    callback: Mutex<Option<Callback>>,
    /// What listens to the allocator, while somebody does.
    watcher: Mutex<Weak<Hub>>,
    pub(super) handler: Mutex<Option<Handler>>,
}

#[derive(Default)]
pub(super) struct Threads {
    pub(super) default: Option<ThreadBudgetConfig>,
    pub(super) by_name: Option<ByName>,
    pub(super) known: HashMap<ThreadId, Arc<ThreadBudget>>,
}

/// A thread's credit, and whom it is with.
#[derive(Clone, Copy)]
struct OpenSlot {
    account: &'static Account,
    slot: &'static Slot,
    /// Whether a thread has it. If not, the next one gets it.
    taken: bool,
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
            on: AtomicBool::new(false),
            global: account::node(Scope::Global),
            tags: Mutex::default(),
            threads: Mutex::default(),
            has_threads: AtomicBool::new(false),
            guards: Mutex::default(),
            has_guards: AtomicBool::new(false),
            slots: Mutex::default(),
            listening: AtomicBool::new(false),
            callback: Mutex::default(),
            watcher: Mutex::default(),
            handler: Mutex::default(),
        };
        ledger.set_global_limit(limit);
        ledger.changed();
        ledger
    }

    /// Whether blocks of pools and heap count against it.
    #[inline]
    pub(crate) fn is_on(&self) -> bool {
        self.on.load(Acquire)
    }

    pub(crate) fn turn_on(&self) {
        self.on.store(true, Release);
    }

    pub(crate) fn version(&self) -> u64 {
        self.version.load(Acquire)
    }

    /// Tells every thread that which budgets there are has changed.
    pub(super) fn changed(&self) {
        self.version
            .store(NEXT_VERSION.fetch_add(1, Relaxed), Release);
        // It was given under the limits of before.
        self.revoke_credit();
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

    // ---- Credit ---------------------------------------------------------------------------------------------------

    /// A slot for the calling thread's credit with `account`.
    pub(super) fn open_slot(&self, account: &'static Account) -> &'static Slot {
        let mut slots = self.slots.lock();
        let free = slots
            .iter_mut()
            .find(|open| !open.taken && core::ptr::eq(open.account, account));
        if let Some(open) = free {
            open.taken = true;
            open.slot.restore();
            return open.slot;
        }
        let slot = known::new_slot();
        slots.push(OpenSlot {
            account,
            slot,
            taken: true,
        });
        slot
    }

    /// The slot's thread ends: its credit goes back, and another may have it.
    pub(super) fn close_slot(&self, slot: &'static Slot) {
        let mut slots = self.slots.lock();
        if let Some(open) = slots.iter_mut().find(|open| core::ptr::eq(open.slot, slot)) {
            // On its own thread: no fence is needed to see what that has done.
            slot.revoke();
            open.account.release_frames(slot.take());
            open.taken = false;
        }
    }

    /// Takes the credit of all threads back. Returns whether there was any.
    pub(crate) fn revoke_credit(&self) -> bool {
        let slots = self.slots.lock();
        let any = slots.iter().any(|open| open.slot.credit() != 0);
        if !any && slots.iter().all(|open| open.taken) {
            return false;
        }
        for open in &*slots {
            open.slot.revoke();
        }
        os::fence_all_threads();
        for open in &*slots {
            open.account.release_frames(open.slot.take());
            if open.taken {
                open.slot.restore();
            }
        }
        any
    }

    /// Bytes of credit that threads have with `node`, and blocks that they counted as allocated and freed.
    pub(super) fn credit_of(&self, node: &Node) -> (usize, u64, u64) {
        let slots = self.slots.lock();
        let mut sum = (0usize, 0u64, 0u64);
        for open in &*slots {
            if open.account.of_frames().any(|its| core::ptr::eq(its, node)) {
                let (allocs, frees) = open.slot.counts();
                sum.0 += open.slot.credit();
                sum.1 += allocs;
                sum.2 += frees;
            }
        }
        sum
    }

    /// Live bytes of `node`: what it was charged, less what closed guards and credit make of it.
    pub(super) fn usage(&self, node: &Node) -> usize {
        self.settle_guards();
        let credit = self.credit_of(node).0;
        node.usage().saturating_sub(credit)
    }

    /// How much of the fullest budget is used, in percent of its hard limit, or of its soft one if it has no other. `None` if there are
    /// no limits.
    pub(crate) fn fullest_percent(&self) -> Option<f64> {
        let nodes: Vec<_> = self.tags.lock().values().copied().collect();
        let full = nodes.into_iter().chain([self.global]).filter_map(|node| {
            let limit = Some(node.hard()).filter(|limit| *limit != usize::MAX);
            let limit = limit.unwrap_or_else(|| node.soft());
            (limit != usize::MAX).then(|| self.usage(node) as f64 * 100.0 / limit.max(1) as f64)
        });
        full.reduce(f64::max)
    }

    /// Charges the account for a block and a grant of credit, where every budget is far from its limit.
    fn charge_with_credit(&self, account: &Account, slot: &Slot, bytes: usize) -> bool {
        let wanted = bytes.saturating_add(GRANT);
        let roomy = |node: &&'static Node| node.room_to_next() / 64 >= wanted;
        if slot.is_revoked()
            || !os::can_fence_all_threads()
            || !account.of_frames().all(|node| roomy(&node))
        {
            return false;
        }
        if let Err(charged) = self.charge_each(account.of_frames(), wanted) {
            for node in account.of_frames().take(charged) {
                node.release(wanted);
            }
            return false;
        }
        let too_much = slot.give(GRANT);
        if too_much != 0 {
            account.release_frames(too_much);
        }
        slot.count_alloc();
        true
    }

    /// Charges one budget after the other, as far as they have room. Returns how many were charged before one that has none.
    fn charge_each(
        &self,
        nodes: impl Iterator<Item = &'static Node>,
        bytes: usize,
    ) -> Result<(), usize> {
        for (charged, node) in nodes.enumerate() {
            let before = node.charge(bytes, false).map_err(|_| charged)?;
            self.raise_peak(node, before + bytes);
        }
        Ok(())
    }

    // ---- Events ---------------------------------------------------------------------------------------------------

    pub(super) fn set_callback(&self, callback: Callback) {
        let replaced = self.callback.lock().replace(callback);
        self.listening.store(true, Release);
        // What is paid from credit is not told.
        self.revoke_credit();
        // Its destructor is the user's code: it runs with the lock released.
        drop(replaced);
    }

    /// Tells the hub as well from now on, or no longer.
    pub(crate) fn set_watched(&self, hub: Option<&Arc<Hub>>) {
        *self.watcher.lock() = hub.map_or_else(Weak::new, Arc::downgrade);
        let called = self.callback.lock().is_some();
        self.listening.store(hub.is_some() || called, Release);
        // What is paid from credit is not told.
        self.revoke_credit();
    }

    /// Tells what `bytes` more do to budgets.
    pub(super) fn deliver(&self, events: Vec<BudgetEvent>, bytes: usize) {
        if events.is_empty() {
            return;
        }
        let watcher = self.watcher.lock().clone();
        if let Some(hub) = watcher.upgrade() {
            for event in &events {
                if let Some(event) = event.to_hub(bytes) {
                    hub.tell(&event);
                }
            }
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
        payee: Payee,
        memory: Memory,
        layout: Layout,
        bytes: usize,
    ) -> Result<Admission, AllocError> {
        let Payee { account, slot } = payee;
        // The common case: every budget has room, and nobody wants to know.
        let mut charged = 0;
        if !self.listening.load(Acquire) {
            if !account.has_thread() && self.charge_with_credit(account, slot, bytes) {
                return Ok(Admission::Here);
            }
            match self.charge_each(account.of(memory), bytes) {
                Ok(()) => {
                    for node in account.of(memory) {
                        node.allocs.fetch_add(1, Relaxed);
                    }
                    return Ok(Admission::Here);
                }
                Err(some) => charged = some,
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
                // Exactly: what has closed does not count, nor what was charged and not used.
                if self.settle_guards() | self.revoke_credit() {
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
                            self.deliver(events, bytes);
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
                let after = self.usage(node).min(after);
                node.notice(before.min(after), after, &mut events);
            }
            self.raise_peak(node, after);
        }
        self.deliver(events, bytes);
        for node in core::mem::take(&mut tentative.nodes) {
            node.allocs.fetch_add(1, Relaxed);
        }
        Ok(admission)
    }

    #[inline]
    fn raise_peak(&self, node: &Node, after: usize) {
        if after > node.window_peak() {
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
        match handler.map(|handler| handler(this_thread(), bytes, left)) {
            None | Some(BudgetExceededPolicy::Custom) => BudgetExceededPolicy::Warn,
            Some(policy) => policy,
        }
    }
}

impl BudgetEvent {
    /// In the hub's words, if it has any for it.
    fn to_hub(self, bytes: usize) -> Option<Event> {
        let (tag, current, budget, exceeded) = match self {
            Self::SoftLimitExceeded {
                tag,
                current,
                limit,
            } => (Some(tag), current, limit, false),
            Self::ThreadWarning { current, limit } => (None, current, limit, false),
            Self::HardLimitExceeded {
                tag,
                current,
                limit,
            } => (Some(tag), current, limit, true),
            Self::GlobalLimitExceeded { current, limit } => {
                (Some(TagId::ROOT), current, limit, true)
            }
            Self::ThreadLimitExceeded { current, limit } => (None, current, limit, true),
            Self::NewPeak { .. } => return None,
        };
        Some(if exceeded {
            Event::Exceeded {
                tag,
                requested: bytes,
                used: current.saturating_sub(bytes),
                budget,
            }
        } else {
            Event::Pressure {
                tag,
                used: current,
                budget,
            }
        })
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
        // Blocks that outlive it are paid back to the budgets.
        let slots = self.slots.get_mut();
        let nobodys = slots.iter().filter(|open| !open.taken);
        let nobodys = nobodys.map(|open| open.slot).collect();
        for open in slots {
            open.taken = false;
        }
        known::retire_slots(|| {
            self.revoke_credit();
            // The others are their threads' to let go of.
            nobodys
        });
        account::retire_node(self.global);
        for (_, node) in self.tags.get_mut().drain() {
            account::retire_node(node);
        }
        for (_, thread) in self.threads.get_mut().known.drain() {
            account::retire_node(thread.blocks);
        }
    }
}

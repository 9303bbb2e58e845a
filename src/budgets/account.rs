//! Who pays: the budgets that hold a tag, from the innermost to that of the whole allocator.
//!
//! Blocks remember their account for as long as they live, which may be longer than the allocator that they came from. So
//! accounts and budgets are never freed: an allocator that drops leaves its budgets to the next one, and accounts are
//! interned by what they consist of.

use std::sync::LazyLock;

use hashbrown::HashMap;

use super::node::{Node, Scope};
use crate::sync::Mutex;
use crate::tags::TagId;

/// What limits leave.
#[derive(Debug, Clone, Default)]
pub(crate) struct Room {
    /// The tags that have a limit, and the bytes left below it. The root's is the limit of the whole allocator.
    pub(crate) tags: Vec<(TagId, usize)>,
    /// Bytes left of the thread's budget.
    pub(crate) thread: usize,
}

pub(crate) struct Account {
    tag: TagId,
    /// Innermost first.
    pub(super) nodes: Box<[&'static Node]>,
    /// The budget of the thread that allocates: it holds pool and heap memory, but not frames.
    pub(super) thread: Option<&'static Node>,
}

impl Account {
    pub(crate) fn tag(&self) -> TagId {
        self.tag
    }

    /// The budgets that a block of pool or heap counts against.
    pub(super) fn of_blocks(&self) -> impl Iterator<Item = &'static Node> {
        self.of_frames().chain(self.thread)
    }

    /// The budgets that frame memory counts against.
    pub(super) fn of_frames(&self) -> impl Iterator<Item = &'static Node> {
        self.nodes.iter().copied()
    }

    /// The limits that a block counts against, with the bytes left below each.
    pub(crate) fn room(&self) -> Room {
        let limited = self.of_frames().filter(|node| node.hard() != usize::MAX);
        Room {
            tags: limited.map(|node| (node.tag(), node.room())).collect(),
            thread: self.thread.map_or(usize::MAX, Node::room),
        }
    }

    /// Whether a thread's budget counts against it, too: then nothing is paid from credit.
    #[inline]
    pub(crate) fn has_thread(&self) -> bool {
        self.thread.is_some()
    }

    /// Gives back the charge of one block.
    pub(crate) fn release_block(&self, bytes: usize) {
        for node in self.of_blocks() {
            node.release_one(bytes);
        }
    }

    /// Gives back charges of frame memory.
    pub(crate) fn release_frames(&self, bytes: usize) {
        for node in self.of_frames() {
            node.release(bytes);
        }
    }
}

/// The account of `tag` with these budgets.
pub(super) fn account(
    tag: TagId,
    nodes: Vec<&'static Node>,
    thread: Option<&'static Node>,
) -> &'static Account {
    type Key = (TagId, Vec<usize>, usize);
    static ACCOUNTS: LazyLock<Mutex<HashMap<Key, &'static Account>>> =
        LazyLock::new(Mutex::default);
    let address = |node: &&'static Node| core::ptr::from_ref(*node) as usize;
    let key = (
        tag,
        nodes.iter().map(address).collect(),
        thread.as_ref().map_or(0, address),
    );
    ACCOUNTS.lock().entry(key).or_insert_with(|| {
        Box::leak(Box::new(Account {
            tag,
            nodes: nodes.into(),
            thread,
        }))
    })
}

static SPARE_NODES: Mutex<Vec<&'static Node>> = Mutex::new(Vec::new());

/// A budget without limits, of an allocator that is gone, or new.
pub(super) fn node(scope: Scope) -> &'static Node {
    match SPARE_NODES.lock().pop() {
        Some(spare) => {
            spare.start_over(scope);
            spare
        }
        None => Box::leak(Box::new(Node::new(scope))),
    }
}

/// Leaves a budget to other allocators, unless a block still counts against it.
pub(super) fn retire_node(node: &'static Node) {
    if node.usage() == 0 {
        SPARE_NODES.lock().push(node);
    }
}

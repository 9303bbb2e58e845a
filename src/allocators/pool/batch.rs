//! Frees on their way to another thread, gathered and handed over many at a time.
//!
//! A batch travels as one element of the owner's remote list. Its blocks are bound together not as a chain but as a tree, in
//! which each block holds the addresses of two more:
//!
//! ```text
//!             root: link of the remote list, 1
//!                                            |
//!                      1: left 2, right 3 <--+
//!                       /              \
//!              2: 4, 5                  3: 6, 7
//!               /   \                    /   \
//!              4     5                  6     7    ...
//! ```
//!
//! The blocks of a full batch from the 32nd on have no children, which is known without looking at them: they are not touched
//! by the thread that frees them.
//!
//! The blocks lie in the other core's cache. Along a chain the owner would wait for each before it knows the next; in a tree
//! it waits for six levels, and the blocks of a level arrive together.

use core::cell::Cell;
use core::ptr::{null, null_mut};

use super::heap::PoolHeap;
use super::remote::Block;

/// The blocks of a full batch.
const CAPACITY: usize = 64;

/// The blocks of a full batch that have children, which all have two, are those before this one.
const LEAVES: usize = CAPACITY / 2;
/// Set in the root's second word if its batch is full. Blocks are aligned to 16 bytes.
const FULL: usize = 1;

/// What a block of a batch holds: the root has its link first and block 1 second, the others their two children.
#[repr(C)]
struct Node {
    first: *mut Block,
    second: *mut Block,
}

/// Blocks of one owner, gathered by another thread.
pub(super) struct Batch {
    owner: Cell<*const PoolHeap>,
    len: Cell<usize>,
    blocks: [Cell<*mut Block>; CAPACITY],
}

impl Batch {
    pub(super) const fn new() -> Self {
        Self {
            owner: Cell::new(null()),
            len: Cell::new(0),
            blocks: [const { Cell::new(null_mut()) }; CAPACITY],
        }
    }

    #[inline(always)]
    pub(super) fn is_empty(&self) -> bool {
        self.len.get() == 0
    }

    /// Adds a block, unless the batch is full or another owner's.
    pub(super) fn add(&self, block: *mut Block, owner: *const PoolHeap) -> bool {
        let len = self.len.get();
        if len == CAPACITY || (len != 0 && self.owner.get() != owner) {
            return false;
        }
        self.owner.set(owner);
        self.blocks[len].set(block);
        self.len.set(len + 1);
        true
    }

    /// Empties the batch: its owner, and its blocks bound together under one root. `None` if there are none.
    pub(super) fn take(&self) -> Option<(*const PoolHeap, *mut Block)> {
        let len = self.len.replace(0);
        let root = self.blocks[..len].first()?.get();
        let block = |index: usize| self.blocks[index].get();
        let child = |index: usize| {
            if index < len {
                block(index)
            } else {
                null_mut()
            }
        };
        // SAFETY: the blocks are free, this thread's to give, and hold at least two words.
        unsafe {
            if len == CAPACITY {
                bind_root(root, block(1).map_addr(|top| top | FULL));
                for index in 1..LEAVES {
                    bind(block(index), block(2 * index), block(2 * index + 1));
                }
            } else {
                bind_root(root, child(1));
                for index in 1..len {
                    bind(block(index), child(2 * index), child(2 * index + 1));
                }
            }
        }
        Some((self.owner.get(), root))
    }
}

/// Makes `block` a batch of its own.
///
/// # Safety
///
/// The block is free, the caller's, and holds at least two words.
pub(super) unsafe fn bind_one(block: *mut Block) {
    // SAFETY: the caller's contract.
    unsafe { bind_root(block, null_mut()) }
}

#[inline(always)]
unsafe fn bind(block: *mut Block, first: *mut Block, second: *mut Block) {
    // SAFETY: the callers' contract.
    unsafe { block.cast::<Node>().write(Node { first, second }) };
}

unsafe fn bind_root(root: *mut Block, top: *mut Block) {
    // SAFETY: the callers' contract.
    unsafe { (&raw mut (*root.cast::<Node>()).second).write(top) }
}

/// Calls `visit` with each block of a batch, the root last. `visit` may overwrite the block.
///
/// # Safety
///
/// `root` came from a remote list, and is the caller's.
pub(super) unsafe fn unbind(root: *mut Block, mut visit: impl FnMut(*mut Block)) {
    let mut blocks = [null_mut::<Block>(); CAPACITY];
    blocks[0] = root;
    let mut len = 1;
    // SAFETY: the blocks of a batch are bound as `take` and `bind_one` do it, and came with the root.
    unsafe {
        let top = (&raw const (*root.cast::<Node>()).second).read();
        if top.addr() & FULL != 0 {
            blocks[1] = top.map_addr(|top| top & !FULL);
            for index in 1..LEAVES {
                let Node { first, second } = blocks[index].cast::<Node>().read();
                blocks[2 * index] = first;
                blocks[2 * index + 1] = second;
            }
            len = CAPACITY;
        } else if !top.is_null() {
            blocks[1] = top;
            len = 2;
            let mut next = 1;
            while next < len {
                let Node { first, second } = blocks[next].cast::<Node>().read();
                for child in [first, second] {
                    if !child.is_null() {
                        blocks[len] = child;
                        len += 1;
                    }
                }
                next += 1;
            }
        }
    }
    for &block in blocks[..len].iter().rev() {
        visit(block);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_arrives_whole_whatever_its_size() {
        for count in 0..=CAPACITY {
            let mut memory = [[0usize; 2]; CAPACITY];
            let batch = Batch::new();
            let owner = null::<PoolHeap>();
            let mut sent: Vec<_> = memory[..count]
                .iter_mut()
                .map(|block| (&raw mut *block).cast::<Block>())
                .collect();
            for &block in &sent {
                assert!(batch.add(block, owner));
            }
            let mut arrived = Vec::new();
            if let Some((to, root)) = batch.take() {
                assert_eq!(to, owner);
                // SAFETY: the batch is bound, and ours.
                unsafe { unbind(root, |block| arrived.push(block)) };
            }
            assert!(batch.is_empty());
            sent.sort();
            arrived.sort();
            assert_eq!(arrived, sent);
        }
    }

    #[test]
    fn a_full_batch_or_another_owner_is_refused() {
        let batch = Batch::new();
        let mut memory = [0usize; 2];
        let block = (&raw mut memory).cast::<Block>();
        let (one, other) = (null::<PoolHeap>(), core::ptr::without_provenance(128));
        assert!(batch.add(block, one));
        assert!(!batch.add(block, other));
        for _ in 1..CAPACITY {
            assert!(batch.add(block, one));
        }
        assert!(!batch.add(block, one));
    }
}

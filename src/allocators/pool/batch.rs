//! Frees on their way to another thread, gathered and handed over many at a time.
//!
//! A batch travels as one element of the owner's remote list. Its blocks are bound together not as a chain but as a tree, in
//! which each block holds the addresses of as many others as it has words, up to eight. With blocks of 32 bytes:
//!
//! ```text
//!   0, the root:  link of the remote list, 1, 2, 3
//!                                          |  |  |
//!                 +------------------------+  |  +-----------------------+
//!                 v                           v                          v
//!   1: 4, 5, 6, 7               2: 8, 9, 10, 11            3: 12, 13, 14, 15     ...
//! ```
//!
//! The blocks lie in the other core's cache. Along a chain the owner would wait for each before it knows the next; in a tree
//! it waits for a few levels, and the blocks of a level arrive together. Of a full batch only the first blocks have children,
//! and the others are not touched by the thread that frees them: 56 of 64, where blocks have 64 bytes. In other batches, the
//! children of every block end with null, where there are fewer than it has words.

use core::cell::Cell;
use core::ptr::{null, null_mut};
use core::slice;

use super::heap::PoolHeap;
use super::remote::Block;
use crate::allocators::os;

/// The blocks of a full batch.
pub(super) const CAPACITY: usize = 64;
/// The most children of a block.
pub(super) const MAX_LINKS: usize = 8;
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

    /// Adds a block, unless the batch is full or another owner's.
    pub(super) fn add(&self, block: *mut Block, owner: *const PoolHeap) -> bool {
        if self.len.get() == 0 {
            self.owner.set(owner);
        }
        self.add_another(block, owner)
    }

    /// Adds a block of the same owner as the last one's, which is never this thread, unless the batch is full.
    #[inline(always)]
    pub(super) fn add_another(&self, block: *mut Block, owner: *const PoolHeap) -> bool {
        let len = self.len.get();
        let fits = len < CAPACITY && self.owner.get() == owner;
        if fits {
            self.blocks[len].set(block);
            self.len.set(len + 1);
            if len <= CAPACITY / MAX_LINKS {
                // It will have children; until then, it has time to come from the owner's core.
                os::prefetch_to_write(block);
            }
        }
        fits
    }

    /// How many blocks it has.
    #[inline(always)]
    pub(super) fn len(&self) -> usize {
        self.len.get()
    }

    /// One of the blocks, if it has any.
    pub(super) fn first(&self) -> Option<*mut Block> {
        (self.len() > 0).then(|| self.blocks[0].get())
    }

    /// Empties the batch, and binds its blocks together. There is at least one.
    ///
    /// # Safety
    ///
    /// As for [`bind`].
    pub(super) unsafe fn take(&self, links: impl Fn(*mut Block) -> usize) -> *mut Block {
        let len = self.len.replace(0);
        // SAFETY: the caller's contract. A cell is what it holds, and none of them changes while they are read.
        unsafe {
            bind(
                slice::from_raw_parts(self.blocks.as_ptr().cast(), len),
                links,
            )
        }
    }

    /// Empties the batch: the first of these are its blocks.
    pub(super) fn take_blocks(&self) -> [*mut Block; CAPACITY] {
        self.len.set(0);
        self.blocks.each_ref().map(Cell::get)
    }
}

/// Binds blocks together, at least one, and returns the root. `links` is how many words a block has, up to [`MAX_LINKS`].
///
/// # Safety
///
/// The blocks are free, the caller's, and hold as many words as `links` says, which is at least two.
pub(super) unsafe fn bind(
    blocks: &[*mut Block],
    links: impl Fn(*mut Block) -> usize,
) -> *mut Block {
    let len = blocks.len();
    let full = len == CAPACITY;
    let mut next = 1;
    let mut parent = 0;
    // The blocks from here on have no children.
    while next < len || (parent < len && !full) {
        let at = blocks[parent];
        // The root's first word is the link of the remote list.
        let first = usize::from(parent == 0);
        let room = links(at) - first;
        let children = &blocks[next..len.min(next + room)];
        // SAFETY: words of a block of ours.
        unsafe {
            let words = at.cast::<*mut Block>().add(first);
            words.copy_from_nonoverlapping(children.as_ptr(), children.len());
            if !full && children.len() < room {
                words.add(children.len()).write(null_mut());
            }
        }
        next += children.len();
        parent += 1;
    }
    blocks[0]
}

/// Calls `visit` with each block of a batch, the root last, and returns how many there were. `visit` may overwrite the block.
///
/// # Safety
///
/// `root` came from a remote list, and is the caller's; `links` is what it was bound with.
#[inline(always)]
pub(super) unsafe fn unbind(
    root: *mut Block,
    links: impl Fn(*mut Block) -> usize,
    mut visit: impl FnMut(*mut Block),
) -> usize {
    let mut blocks = [null_mut::<Block>(); CAPACITY];
    blocks[0] = root;
    let (mut len, mut parent) = (1, 0);
    // A full batch is found before any of its blocks without children is looked into.
    while parent < len && len < CAPACITY {
        let at = blocks[parent];
        // The root's first word is the link of the remote list.
        let first = usize::from(parent == 0);
        for word in first..links(at).min(first + CAPACITY - len) {
            // SAFETY: the blocks of a batch are bound as `bind` does it, and came with the root.
            let child = unsafe { at.cast::<*mut Block>().add(word).read() };
            if child.is_null() {
                break;
            }
            blocks[len] = child;
            len += 1;
        }
        parent += 1;
    }
    for &block in blocks[..len].iter().rev() {
        visit(block);
    }
    len
}

/// Asks for the blocks that come first in a batch, which [`unbind`] waits for otherwise.
///
/// # Safety
///
/// As for [`unbind`].
pub(super) unsafe fn prefetch(root: *mut Block, links: impl Fn(*mut Block) -> usize) {
    for word in 1..links(root) {
        // SAFETY: a word of the root: blocks of its batch, up to a null if there is one.
        let child = unsafe { root.cast::<*mut Block>().add(word).read() };
        if child.is_null() {
            break;
        }
        os::prefetch_to_write(child);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_arrives_whole_whatever_its_size_and_that_of_its_blocks() {
        // By their place in memory, blocks have one size or another.
        for sizes in [[2, 2, 2], [4, 4, 4], [8, 8, 8], [2, 8, 4], [8, 2, 6]] {
            for count in 1..=CAPACITY {
                let mut memory = [[0xCD_usize; MAX_LINKS]; CAPACITY];
                let start = memory.as_ptr().addr();
                let links = |block: *mut Block| {
                    sizes[(block.addr() - start) / size_of::<[usize; MAX_LINKS]>() % 3]
                };
                let batch = Batch::new();
                let owner = null::<PoolHeap>();
                let mut sent: Vec<_> = memory[..count]
                    .iter_mut()
                    .map(|block| (&raw mut *block).cast::<Block>())
                    .collect();
                for &block in &sent {
                    assert!(batch.add(block, owner));
                }
                assert_eq!(batch.len(), count);
                let mut arrived = Vec::new();
                // SAFETY: the blocks are ours, as large as the largest, and bound as they are unbound.
                let len = unsafe {
                    let root = batch.take(links);
                    unbind(root, links, |block| arrived.push(block))
                };
                assert_eq!(len, count);
                assert_eq!(batch.len(), 0);
                sent.sort();
                arrived.sort();
                assert_eq!(arrived, sent);
            }
        }
    }

    #[test]
    fn the_leaves_of_a_full_batch_are_not_touched() {
        let mut memory = [[0xCD_usize; MAX_LINKS]; CAPACITY];
        let blocks = memory
            .each_mut()
            .map(|block| (&raw mut *block).cast::<Block>());
        // SAFETY: the blocks are ours, and have so many words.
        unsafe { bind(&blocks, |_| MAX_LINKS) };
        let touched = memory.iter().filter(|block| **block != [0xCD; MAX_LINKS]);
        assert_eq!(touched.count(), CAPACITY / MAX_LINKS);
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

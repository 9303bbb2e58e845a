//! Seals: how a frame is rolled back to a checkpoint.
//!
//! ```text
//!  seals:   1: X, mark            2: Y, mark
//!           |                     |
//!  X [a a a|......]      Y [b b b|......]      Z [c c|........]      retired: [d d d d] [big]
//!          sealed                sealed              active                    after seal 2
//! ```
//!
//! A checkpoint seals the active chunk at its bump pointer, the *mark*: what is leased from there on goes to other chunks. So
//! whether anything since a checkpoint is still leased is told by whole chunks: those sealed after it, the active one, and
//! those retired since. Within one chunk it could not be told, since a chunk's balance does not say whose bytes were
//! dropped: an older lease may end while a newer one lives.
//!
//! Rolling back to seal 1 needs b, c, d and the big chunk dropped, hands Y and Z to the cache, and bumps on in X at its mark.
//! *Releasing* a seal keeps everything: of a sealed chunk and the active one, one is bumped in from then on, and the other is
//! left as any full chunk is.
//!
//! An active chunk in which nothing is leased is not sealed but emptied: the checkpoint's mark is its start.
//!
//! Whoever keeps something after each of a thousand checkpoints would take a thousand chunks for it. So no more chunks are
//! held with room left, sealed or *split* off when a seal was released, than an eighth of the arena's limit and as many
//! as have filled up. Beyond that a checkpoint is a *broken* seal: bumping goes on where it was. Seals also break, the newest
//! first, when the arena has no other chunk to give. What was leased after a broken seal cannot be told from what was before,
//! so that a rollback to it frees nothing by itself.
//!
//! Invariant: a chunk is recycled or emptied only when its own balance shows that nothing in it is leased (I1). The rest is
//! bookkeeping: were it wrong, memory would come back late, not early.

use core::cell::{Cell, RefCell};
use core::mem;
use core::ptr::null_mut;
use std::alloc::{Layout, System};

use super::{Arena, METERED, Unaudited, bump_first};
use crate::allocators::chunk::{Chunk, State, payload_start};
use crate::allocators::layout;
use crate::allocators::thread::{Local, NO_TAG, NOTHING_NOTED, NotedTags};

/// The part of an arena's limit that may be carved for seals is one in so many.
const SHARE: usize = 8;
/// A frame's end keeps room for so many seals.
const KEPT_SEALS: usize = 64;

pub(super) struct Seals {
    /// Oldest first; their numbers rise.
    stack: RefCell<Unaudited<Seal>>,
    /// The number of the last checkpoint that was taken in this arena. Never goes back.
    taken: Cell<u64>,
    /// What `taken` was at the end of some frame: up to it, checkpoints are of frames that have ended.
    pub(super) ended: Cell<u64>,
    /// Chunks that are sealed.
    sealed: Cell<usize>,
    /// Chunks that are split off.
    splits: Cell<usize>,
}

struct Seal {
    number: u64,
    /// The sealed chunk. Null if none had to be sealed, and if the seal is broken.
    chunk: *mut Chunk,
    /// Where bumping in the sealed chunk goes on; where the active chunk starts if none was sealed.
    mark: usize,
    tags: NotedTags,
    broken: bool,
}

impl Seals {
    pub(super) fn new() -> Self {
        Self {
            stack: RefCell::new(Unaudited::new_in(System)),
            taken: Cell::new(0),
            ended: Cell::new(0),
            sealed: Cell::new(0),
            splits: Cell::new(0),
        }
    }

    /// The time, in checkpoints: what is retired now was leased before any checkpoint to come.
    ///
    /// It wraps: should a frame take more than 2^31 checkpoints, a rollback may overlook what is still leased in a chunk
    /// retired that long ago, which then is neither reported nor freed.
    pub(super) fn now(&self) -> u32 {
        self.taken.get() as u32
    }

    /// The chunks that were split off have escaped their frame, and are no longer counted.
    pub(super) fn splits_escaped(&self) {
        self.splits.set(0);
    }

    /// A sealed chunk is unsealed.
    fn unseal_one(&self) {
        self.sealed.set(self.sealed.get() - 1);
    }
}

/// Where a checkpoint's seal is.
#[inline]
fn position(stack: &[Seal], number: u64) -> Option<usize> {
    stack.iter().rposition(|seal| seal.number == number)
}

/// Why a frame was not rolled back.
pub(super) enum Refused {
    /// No seal has that number any more.
    Unsealed,
    InUse(InUse),
}

/// What is leased where a rollback would rewind.
pub(super) struct InUse {
    pub(super) bytes: usize,
    pub(super) tags: NotedTags,
}

impl InUse {
    fn add(&mut self, bytes: usize, tags: NotedTags) {
        if bytes == 0 {
            return;
        }
        self.bytes += bytes;
        for tag in tags {
            if !self.tags.contains(&tag)
                && let Some(free) = self.tags.iter_mut().find(|tag| **tag == NO_TAG)
            {
                *free = tag;
            }
        }
    }
}

/// Bytes leased in a chunk that was bumped in up to `ptr`.
///
/// # Safety
///
/// The chunk is the calling thread's, and active or sealed.
unsafe fn leased(chunk: *mut Chunk, ptr: usize) -> usize {
    // SAFETY: the chunk is mapped and this thread's (I2).
    let dropped = unsafe { (*chunk).balance.get() };
    ptr - payload_start(chunk) - dropped as usize
}

/// Bytes that may still be bumped in a chunk of which `ptr` is the bump pointer.
///
/// # Safety
///
/// The chunk is the calling thread's.
unsafe fn room(chunk: *mut Chunk, ptr: usize) -> usize {
    // SAFETY: the chunk is mapped and this thread's (I2).
    unsafe { (*chunk).limit.get() - ptr }
}

/// Whether a chunk of the retired list, or the null at its end, was retired in the present frame after this seal.
fn retired_since(chunk: *mut Chunk, seal: &Seal) -> bool {
    if chunk.is_null() {
        return false;
    }
    // SAFETY: retired chunks are mapped and this thread's (I1, I2).
    let (state, at) = unsafe { ((*chunk).state.get(), (*chunk).retired_at.get()) };
    state != State::Escaped && at.wrapping_sub(seal.number as u32) as i32 >= 0
}

// The arena is active in the `local` that these methods are given.
impl Arena {
    /// Separates what is leased from here on from what was leased before. Returns the seal's number and mark.
    pub(super) fn seal(&self, local: &Local) -> (u64, usize) {
        let number = self.seals.taken.get() + 1;
        self.seals.taken.set(number);
        let mut seal = Seal {
            number,
            chunk: null_mut(),
            mark: 0,
            tags: NOTHING_NOTED,
            broken: false,
        };
        let top = self.top.get();
        if !top.is_null() && self.top_is_free(top, local) {
            self.start_over(top, local);
        } else if top.is_null() {
            self.start_empty(local);
        } else if self.may_hold_another() {
            seal.chunk = top;
            seal.mark = local.ptr.get();
            seal.tags = local.take_noted();
            self.seals.sealed.set(self.seals.sealed.get() + 1);
            self.start_empty(local);
        } else {
            seal.broken = true;
        }
        if seal.chunk.is_null() {
            seal.mark = local.ptr.get();
        }
        let mark = seal.mark;
        let mut stack = self.seals.stack.borrow_mut();
        if stack.is_empty() {
            self.escaping.set(self.escaping.get() + 1);
        }
        stack.push(seal);
        (number, mark)
    }

    /// Makes an empty chunk the active one; none, if the arena has no other.
    fn start_empty(&self, local: &Local) {
        let cached = self.first_free();
        if !cached.is_null() {
            // SAFETY: cached chunks are mapped and this thread's (I2).
            self.set_first_free(unsafe { (*cached).next.get() });
            self.start_with(cached, local);
        } else if let Ok(chunk) = self.take(Layout::new::<()>()) {
            self.start_with(chunk, local);
        } else {
            self.top.set(null_mut());
            local.jump(0, 0);
        }
    }

    /// Whether another chunk may be held with room left.
    fn may_hold_another(&self) -> bool {
        let splits = self.seals.splits.get();
        // Those in `escaping` that are not split off have filled up.
        let full = (self.escaping.get() & !METERED) - splits;
        (self.seals.sealed.get() + splits).saturating_sub(full) * SHARE * self.limits.payload
            <= self.limits.limit
    }

    /// A chunk that was split off is free.
    pub(super) fn forget_split(&self) {
        self.escaping.set(self.escaping.get() - 1);
        self.seals.splits.set(self.seals.splits.get() - 1);
    }

    /// Takes leave of a chunk that has room left.
    fn split_off(&self, chunk: *mut Chunk, ptr: usize, tags: NotedTags) {
        self.leave(chunk, ptr, tags);
        // SAFETY: the chunk is mapped and this thread's (I2).
        let state = unsafe { &(*chunk).state };
        if state.get() == State::Retired {
            state.set(State::Split);
            self.seals.splits.set(self.seals.splits.get() + 1);
        }
    }

    /// Leases a block that no other chunk has room for, by breaking seals.
    #[cold]
    #[inline(never)]
    pub(super) fn lease_from_sealed(&self, local: &Local, layout: Layout) -> Option<usize> {
        if self.break_seals(local, layout) {
            bump_first(local, layout)
        } else {
            None
        }
    }

    /// Breaks the newest seal in whose chunk a block of `layout` fits, and those after it, and bumps on in that chunk.
    fn break_seals(&self, local: &Local, layout: Layout) -> bool {
        let mut stack = self.seals.stack.borrow_mut();
        let fits = |seal: &Seal| {
            // SAFETY: sealed chunks are mapped and this thread's (I2).
            !seal.chunk.is_null()
                && layout::bump(seal.mark, unsafe { (*seal.chunk).limit.get() }, layout).is_some()
        };
        let Some(index) = stack.iter().rposition(fits) else {
            return false;
        };
        for seal in stack[index..].iter_mut().rev() {
            seal.broken = true;
            let chunk = mem::replace(&mut seal.chunk, null_mut());
            if !chunk.is_null() {
                self.seals.unseal_one();
                // The last one is that in which the block fits; the others are full.
                self.leave_top(local.ptr.get(), local.take_noted());
                self.resume(chunk, seal.mark, seal.tags, local);
            }
        }
        true
    }

    /// Bumps on in a chunk that was sealed; with a null one, in none. No chunk is active.
    fn resume(&self, chunk: *mut Chunk, mark: usize, tags: NotedTags, local: &Local) {
        self.top.set(chunk);
        if chunk.is_null() {
            local.jump(0, 0);
            return;
        }
        // SAFETY: sealed chunks are mapped and this thread's (I2).
        local.jump(mark, unsafe { (*chunk).limit.get() });
        local.resume_noted(tags);
    }

    /// Frees what was leased since a seal, which is taken off with all after it. On an error nothing has changed.
    pub(super) fn roll_back(&self, local: &Local, number: u64) -> Result<(), Refused> {
        let mut stack = self.seals.stack.borrow_mut();
        let index = position(&stack, number).ok_or(Refused::Unsealed)?;
        if stack[index].broken {
            drop(stack);
            self.release(local, number);
            return Ok(());
        }
        self.nothing_leased_since(local, &stack[index..])?;
        while stack.len() > index + 1
            && let Some(seal) = stack.pop()
        {
            if !seal.chunk.is_null() {
                self.seals.unseal_one();
                self.leave(seal.chunk, seal.mark, seal.tags);
            }
        }
        let seal = stack.pop().expect("the index is that of a seal");
        if !seal.chunk.is_null() {
            self.seals.unseal_one();
        }
        let top = self.top.get();
        if seal.chunk.is_null() && !top.is_null() && payload_start(top) == seal.mark {
            self.start_over(top, local);
        } else {
            self.leave_top(local.ptr.get(), local.take_noted());
            self.resume(seal.chunk, seal.mark, seal.tags, local);
        }
        self.unsealed(&stack);
        Ok(())
    }

    /// Whether everything that was leased since the first of these seals, the newest ones, is dropped.
    #[inline]
    fn nothing_leased_since(&self, local: &Local, seals: &[Seal]) -> Result<(), Refused> {
        let top = self.top.get();
        if seals.len() == 1
            && (top.is_null() || self.top_is_free(top, local))
            && !retired_since(self.retired.get(), &seals[0])
        {
            return Ok(());
        }
        let in_use = self.leased_since(local, seals);
        if in_use.bytes == 0 {
            Ok(())
        } else {
            Err(Refused::InUse(in_use))
        }
    }

    #[cold]
    #[inline(never)]
    fn leased_since(&self, local: &Local, seals: &[Seal]) -> InUse {
        let mut in_use = InUse {
            bytes: 0,
            tags: NOTHING_NOTED,
        };
        let top = self.top.get();
        // SAFETY: the active chunk, sealed and retired ones are mapped and this thread's (I1, I2).
        unsafe {
            if !top.is_null() {
                in_use.add(leased(top, local.ptr.get()), local.noted_tags());
            }
            for seal in &seals[1..] {
                if !seal.chunk.is_null() {
                    in_use.add(leased(seal.chunk, seal.mark), seal.tags);
                }
            }
            // The list is pushed to, so what was retired since is at its front.
            let mut next = self.retired.get();
            while retired_since(next, &seals[0]) {
                in_use.add(-(*next).balance.get() as usize, (*next).tags());
                next = (*next).next.get();
            }
        }
        in_use
    }

    /// Takes off a seal, if it is there, and all after it, and frees nothing that is leased.
    pub(super) fn release(&self, local: &Local, number: u64) {
        let mut stack = self.seals.stack.borrow_mut();
        let Some(index) = position(&stack, number) else {
            return;
        };
        while stack.len() > index
            && let Some(seal) = stack.pop()
        {
            let Seal {
                chunk, mark, tags, ..
            } = seal;
            if chunk.is_null() {
                continue;
            }
            let (top, ptr) = (self.top.get(), local.ptr.get());
            // The older chunk is bumped in from here on, unless it is the fuller one by far: what lies in the newer one
            // rather comes to its end.
            // SAFETY: the active chunk and sealed ones are mapped and this thread's (I2).
            let stay = !top.is_null()
                && !self.top_is_free(top, local)
                && unsafe { leased(chunk, mark) == 0 || room(chunk, mark) < room(top, ptr) / 4 };
            self.seals.unseal_one();
            if stay {
                self.split_off(chunk, mark, tags);
            } else {
                self.top.set(null_mut());
                if !top.is_null() {
                    self.split_off(top, ptr, local.take_noted());
                }
                self.resume(chunk, mark, tags, local);
            }
        }
        self.unsealed(&stack);
    }

    /// Seals were taken off.
    fn unsealed(&self, stack: &[Seal]) {
        if stack.is_empty() {
            self.escaping.set(self.escaping.get() - 1);
        }
    }

    /// Takes leave of all sealed chunks at the end of the frame: no checkpoint is valid any more.
    #[inline(always)]
    pub(super) fn end_seals(&self) {
        if self.seals.ended.get() != self.seals.taken.get() {
            self.leave_sealed();
        }
    }

    #[cold]
    #[inline(never)]
    fn leave_sealed(&self) {
        self.seals.ended.set(self.seals.taken.get());
        self.seals.sealed.set(0);
        let mut stack = self.seals.stack.borrow_mut();
        if stack.is_empty() {
            return;
        }
        for seal in stack.drain(..) {
            if !seal.chunk.is_null() {
                self.leave(seal.chunk, seal.mark, seal.tags);
            }
        }
        stack.shrink_to(KEPT_SEALS);
        self.unsealed(&stack);
    }
}

//! Big chunks: mappings for one block each, kept for the next block of about their size.
//!
//! A big chunk's header has the index of its mapping in [`Bigs`], and free ones are on a stack. So it costs the same however
//! many there are to find a chunk's mapping, and one for the next block of a size that was freed before.

use core::ptr::NonNull;
use core::ptr::null_mut;
use std::alloc::{Layout, System};

use super::Unaudited;
use super::metering::FrameCharge;
use super::watch::Watched;
use crate::allocators::chunk::Chunk;
use crate::allocators::layout;
use crate::allocators::os;
use crate::diagnostics;

/// The mapping of one big chunk.
pub(super) struct Big {
    pub(super) start: NonNull<u8>,
    pub(super) mapping: Layout,
    /// Where its block starts; the block may be as large as the rest of the mapping.
    pub(super) offset: usize,
    free: bool,
    /// The first chunk of the guard that took it last; null if a lease did.
    owner: *mut Chunk,
    /// Used since the arena was last looked over.
    used: bool,
    /// Does not count against the arena's limit.
    pub(super) promoted: bool,
    /// What its lease was charged.
    pub(super) charge: Option<FrameCharge>,
    /// Its lease, while somebody listens.
    pub(super) followed: Option<Watched>,
}

impl Big {
    /// A mapping whose block is about to be leased.
    pub(super) fn new(start: NonNull<u8>, mapping: Layout, offset: usize, promoted: bool) -> Self {
        Self {
            start,
            mapping,
            offset,
            free: false,
            owner: null_mut(),
            used: true,
            promoted,
            charge: None,
            followed: None,
        }
    }

    /// Whether it can be taken.
    ///
    /// A guard does not say that it gives a big chunk back: its first chunk leads to it for as long as the guard is open,
    /// and not after (to nothing, or to a standard chunk).
    pub(super) fn is_free(&self) -> bool {
        if self.owner.is_null() {
            return self.free;
        }
        // SAFETY: standard chunks are unmapped only after every big chunk has forgotten its owner.
        unsafe {
            let mut big = Chunk::next_big(self.owner);
            while !big.is_null() {
                if big == self.header() {
                    return false;
                }
                big = Chunk::next_big(big);
            }
        }
        true
    }

    pub(super) fn capacity(&self) -> usize {
        self.mapping.size() - self.offset
    }

    pub(super) fn block(&self) -> usize {
        self.start.as_ptr() as usize + self.offset
    }

    pub(super) fn header(&self) -> *mut Chunk {
        if layout::header_is_adjacent(self.offset) {
            (self.block() - layout::HEADER) as *mut Chunk
        } else {
            self.start.as_ptr().cast()
        }
    }

    /// # Safety
    ///
    /// Nothing refers to the chunk any more.
    unsafe fn unmap(&self) {
        // SAFETY: mapped with this layout; the caller's contract.
        unsafe { os::unmap(self.start, self.mapping) }
    }
}

/// The big chunks of an arena. Each has been written its header.
pub(super) struct Bigs {
    all: Unaudited<Big>,
    /// The indices of those that leases took and gave back: the last one first.
    free: Unaudited<usize>,
    /// Those of which a guard was the last owner, open or not.
    guarded: Unaudited<usize>,
}

impl Bigs {
    pub(super) fn new() -> Self {
        Self {
            all: Unaudited::new_in(System),
            free: Unaudited::new_in(System),
            guarded: Unaudited::new_in(System),
        }
    }

    pub(super) fn iter(&self) -> core::slice::Iter<'_, Big> {
        self.all.iter()
    }

    pub(super) fn iter_mut(&mut self) -> core::slice::IterMut<'_, Big> {
        self.all.iter_mut()
    }

    /// The mapping of a big chunk.
    pub(super) fn of(&mut self, chunk: *mut Chunk) -> &mut Big {
        let index = self.index_of(chunk);
        &mut self.all[index]
    }

    fn index_of(&self, chunk: *mut Chunk) -> usize {
        // SAFETY: the caller's big chunk is mapped, and this thread's (I2).
        let index = unsafe { (*chunk).index.get() } as usize;
        match self.all.get(index) {
            Some(big) if big.header() == chunk => index,
            _ => diagnostics::bug("an arena does not know its big chunk"),
        }
    }

    /// Adds one that is in use.
    pub(super) fn add(&mut self, big: Big) {
        note_index(&big, self.all.len());
        self.all.push(big);
    }

    /// Takes one for a lease, if there is one that fits.
    pub(super) fn take(&mut self, fits: impl Fn(&Big) -> bool) -> Option<&Big> {
        let all = &mut self.all;
        let index = if let Some(at) = self.free.iter().rposition(|&index| fits(&all[index])) {
            self.free.swap_remove(at)
        } else {
            let is_usable = |&index: &usize| all[index].is_free() && fits(&all[index]);
            let at = self.guarded.iter().position(is_usable)?;
            self.guarded.swap_remove(at)
        };
        let big = &mut all[index];
        big.free = false;
        big.owner = null_mut();
        big.used = true;
        Some(big)
    }

    /// One that was taken, or added, becomes the guard's with this first chunk.
    pub(super) fn pass_to_guard(&mut self, chunk: *mut Chunk, first: *mut Chunk) {
        let index = self.index_of(chunk);
        self.all[index].owner = first;
        self.guarded.push(index);
    }

    /// A guard gives one back before it closes: then it is as if a lease had taken it.
    pub(super) fn take_from_guard(&mut self, chunk: *mut Chunk) {
        let index = self.index_of(chunk);
        self.all[index].owner = null_mut();
        self.guarded.retain(|&other| other != index);
    }

    /// The lease of a big chunk has ended.
    pub(super) fn free(&mut self, chunk: *mut Chunk) -> &Big {
        let index = self.index_of(chunk);
        self.free.push(index);
        let big = &mut self.all[index];
        big.free = true;
        big
    }

    /// Unmaps free ones that are `spare`.
    pub(super) fn unmap_free(&mut self, spare: impl Fn(&Big) -> bool) {
        self.all.retain(|big| {
            let goes = big.is_free() && spare(big);
            if goes {
                // SAFETY: free big chunks are on no list.
                unsafe { big.unmap() };
            }
            !goes
        });
        self.count_anew();
    }

    /// All are free: those that were not used since the last time are unmapped.
    pub(super) fn look_over(&mut self) {
        for big in &mut self.all {
            big.owner = null_mut();
            big.free = true;
        }
        self.unmap_free(|big| !big.used);
        for big in &mut self.all {
            big.used = false;
        }
    }

    /// Some have gone.
    fn count_anew(&mut self) {
        self.free.clear();
        self.guarded.clear();
        for (index, big) in self.all.iter().enumerate() {
            note_index(big, index);
            if !big.owner.is_null() {
                self.guarded.push(index);
            } else if big.free {
                self.free.push(index);
            }
        }
    }

    /// # Safety
    ///
    /// Nothing refers to any of the chunks any more.
    pub(super) unsafe fn unmap_all(&mut self) {
        for big in self.all.drain(..) {
            // SAFETY: the caller's contract.
            unsafe { big.unmap() };
        }
    }
}

/// Writes the index of its mapping into a big chunk's header.
fn note_index(big: &Big, index: usize) {
    let index = u32::try_from(index).unwrap_or_else(|_| diagnostics::bug("too many big chunks"));
    // SAFETY: the header is written, mapped, and this thread's (I2).
    unsafe { (*big.header()).index.set(index) };
}

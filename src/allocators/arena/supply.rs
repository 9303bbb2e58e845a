//! Where an arena's chunks come from: its cache, its regions, a region more, or mappings of their own.

use core::alloc::Layout;
use core::ptr::{null, null_mut};

use super::big::{Big, Bigs};
use super::region::Region;
use super::{Arena, Refused};
use crate::allocators::chunk::{self, Chunk, payload_start};
use crate::allocators::layout::{self, CHUNK, footprint};
use crate::allocators::os;
use crate::diagnostics;

impl Arena {
    /// A standard chunk in which a block of `layout` fits, from the cache, the regions, or a new region.
    #[cold]
    #[inline(never)]
    pub(crate) fn take(&self, layout: Layout) -> Result<*mut Chunk, Refused> {
        if let Some(chunk) = self.take_cached(layout) {
            return Ok(chunk);
        }
        self.take_new(layout)
    }

    /// [`take`](Self::take) with an empty cache.
    #[cold]
    #[inline(never)]
    fn take_new(&self, layout: Layout) -> Result<*mut Chunk, Refused> {
        if self.take_back_metered()
            && let Some(chunk) = self.take_cached(layout)
        {
            return Ok(chunk);
        }
        let limits = &self.limits;
        let mut regions = self.regions.borrow_mut();
        let mut bigs = self.bigs.borrow_mut();
        let room = self.room(&mut bigs, limits.payload);
        // The arena's last chunk may be cut short by its limit, but not to a sliver.
        let usable = limits.payload.min(room);
        if usable < layout::MIN_PAYLOAD.min(limits.limit)
            || layout::bump(layout::HEADER, layout::HEADER + usable, layout).is_none()
        {
            return Err(Refused::limit(room));
        }
        let carved = self.carved.get();
        let chunks: usize = regions.iter().map(|region| region.chunks).sum();
        if carved == chunks {
            // Grow by half, so that a spike of any height takes few mappings; after it they become one.
            let step = if chunks == 0 {
                limits.start_chunks
            } else {
                chunks.div_ceil(2)
            };
            let step = step.min(room.div_ceil(limits.payload));
            let region = Region::map(step, limits)
                .or_else(|| Region::map(1, limits))
                .ok_or(Refused::memory(room))?;
            if chunks != 0 {
                self.countdown.set(1);
            }
            regions.push(region);
            self.note_capacity(&regions, &bigs);
        }
        let mut index = carved;
        let region = regions
            .iter()
            .find(|region| {
                let inside = index < region.chunks;
                if !inside {
                    index -= region.chunks;
                }
                inside
            })
            .unwrap_or_else(|| diagnostics::bug("no region has room for the next chunk"));
        let chunk = (region.start.as_ptr() as usize + index * CHUNK) as *mut Chunk;
        let start = payload_start(chunk);
        os::reveal(chunk as usize, layout::HEADER);
        // SAFETY: the address is inside the region, aligned, and no chunk in use lies there: each index is carved once.
        unsafe {
            chunk.write(Chunk::new(self, start + usable, false));
        }
        os::conceal(start, limits.payload);
        self.carved.set(carved + 1);
        Ok(chunk)
    }

    fn take_cached(&self, layout: Layout) -> Option<*mut Chunk> {
        let mut before: *mut Chunk = null_mut();
        let mut chunk = self.first_free();
        while !chunk.is_null() {
            // SAFETY: cached chunks are mapped and this thread's (I2).
            let (next, limit) = unsafe { ((*chunk).next.get(), (*chunk).limit.get()) };
            if layout::bump(payload_start(chunk), limit, layout).is_some() {
                if before.is_null() {
                    self.set_first_free(next);
                } else {
                    // SAFETY: as above.
                    unsafe { (*before).next.set(next) };
                }
                return Some(chunk);
            }
            (before, chunk) = (chunk, next);
        }
        None
    }

    /// The first chunk of the cache, whichever of the two is in use.
    pub(super) fn first_free(&self) -> *mut Chunk {
        if self.is_metered() {
            self.hidden.get()
        } else {
            self.home.cache()
        }
    }

    pub(super) fn set_first_free(&self, chunk: *mut Chunk) {
        if self.is_metered() {
            self.hidden.set(chunk);
        } else {
            self.home.set_cache(chunk);
        }
    }

    /// Puts a chunk into the cache.
    ///
    /// # Safety
    ///
    /// The chunk is mapped and this thread's, in nobody's use, and on no list.
    pub(super) unsafe fn push_free(&self, chunk: *mut Chunk) {
        // SAFETY: the caller's contract.
        unsafe {
            (*chunk).set_meter(null());
            (*chunk).next.set(self.first_free());
        }
        self.set_first_free(chunk);
    }

    /// Calls `visit` with every free chunk.
    pub(super) fn for_each_cached(&self, mut visit: impl FnMut(*mut Chunk)) {
        for first in [self.home.cache(), self.hidden.get()] {
            let mut next = first;
            while !next.is_null() {
                visit(next);
                // SAFETY: cached chunks are mapped and this thread's (I2).
                next = unsafe { (*next).next.get() };
            }
        }
    }

    /// A big chunk for one block: the chunk, and the block's address. One that is `promoted` lies outside the arena's limit.
    #[cold]
    #[inline(never)]
    pub(super) fn take_big(
        &self,
        layout: Layout,
        promoted: bool,
    ) -> Result<(*mut Chunk, usize), Refused> {
        let mut bigs = self.bigs.borrow_mut();
        let size = footprint(layout.size());
        // The smallest mapping serves every small block: blocks that are followed come here, however small they are.
        let most = size.saturating_mul(2).max(layout::BIG_STEP);
        let fits = |big: &Big| {
            big.promoted == promoted
                && big.block().is_multiple_of(layout.align())
                && layout::header_is_adjacent(big.offset)
                    == layout::header_is_adjacent(layout.align())
                && (size..=most).contains(&big.capacity())
        };
        if let Some(big) = bigs.take(fits) {
            return Ok((big.header(), big.block()));
        }
        let room = self.room(&mut bigs, size);
        if size > room && !promoted {
            return Err(Refused::limit(room));
        }
        let (mapping, offset) = layout::big_chunk(layout).ok_or(Refused::limit(room))?;
        let start = os::map(mapping).ok_or(Refused::memory(room))?;
        if self.limits.huge_pages {
            os::advise_huge_pages(start, mapping);
        }
        let big = Big::new(start, mapping, offset, promoted);
        let (chunk, block) = (big.header(), big.block());
        // SAFETY: the header's place is in the mapping, before the block, and aligned: see `layout::big_chunk`.
        unsafe { chunk.write(Chunk::new(self, block, true)) };
        bigs.add(big);
        self.note_capacity(&self.regions.borrow(), &bigs);
        Ok((chunk, block))
    }

    /// A big chunk for one block of the guard with this first chunk: the block's address.
    pub(crate) fn take_big_for_guard(
        &self,
        layout: Layout,
        first: *mut Chunk,
        promoted: bool,
    ) -> Result<usize, Refused> {
        let (chunk, block) = self.take_big(layout, promoted)?;
        self.bigs.borrow_mut().pass_to_guard(chunk, first);
        // SAFETY: the chunk is ours and on no list; the guard's first chunk is its own (I3).
        unsafe {
            (*chunk).balance.set(footprint(layout.size()) as isize);
            (*chunk).next.set(Chunk::next_big(first));
            (*first).next.set(chunk);
        }
        Ok(block)
    }

    /// Takes a block back from the guard with this first chunk, if it has a big chunk of its own.
    ///
    /// # Safety
    ///
    /// `block` is a block of that guard, and is not used any more.
    #[cold]
    #[inline(never)]
    pub(crate) unsafe fn take_back_big(&self, block: usize, first: *mut Chunk) {
        // Not by its alignment, which may have become less since it was allocated. Only a block whose header lies right
        // before it can be where a chunk would begin.
        let align = if block.is_multiple_of(CHUNK) {
            CHUNK
        } else {
            1
        };
        let chunk = chunk::of_block(block, align);
        // SAFETY: the guard's chunks are mapped and its alone (I3), and its big ones are on the list behind the first.
        unsafe {
            if !(*chunk).is_big {
                return;
            }
            let mut before = first;
            while (*before).next.get() != chunk {
                before = (*before).next.get();
            }
            (*before).next.set((*chunk).next.get());
        }
        self.bigs.borrow_mut().take_from_guard(chunk);
        self.recycle_big(chunk);
    }

    /// Bytes that the arena may still take. Free big chunks are given back if `wanted` needs their room.
    pub(super) fn room(&self, bigs: &mut Bigs, wanted: usize) -> usize {
        let chunks = self.carved.get() * self.limits.payload;
        let room = |bigs: &Bigs| {
            let limited = bigs.iter().filter(|big| !big.promoted);
            let held = chunks + limited.map(Big::capacity).sum::<usize>();
            self.limits.limit.saturating_sub(held)
        };
        let now = room(bigs);
        if now >= wanted || !bigs.iter().any(Big::is_free) {
            return now;
        }
        // Another thread may get the memory: not before it was told of as free.
        bigs.unmap_free(|big| !self.watch.has_to_tell_of(big.header()));
        room(bigs)
    }
}

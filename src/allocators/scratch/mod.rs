//! The memory of one scratch pool: chunks of the heap that threads bump in together, freed all at once.
//!
//! ```text
//!  chunks: [ full chunk | unused ] [ full chunk ] [ blocks, bumped upwards ->      ]
//!                                                                            ^ ptr  ^ end
//!  reset, with nothing live:      [ one chunk, as large as all that was used            ]
//!                                 ^ ptr
//! ```
//!
//! Unlike an arena's, a pool's blocks come from any thread and die on any: one lock guards the bump state and the count of
//! live blocks. It is never held while memory is asked for (a budget may call back) or while values die. A chunk is freed or
//! used again only when that count is zero (I7).

mod scratch_box;

pub use scratch_box::{ScratchBox, ScratchSlice};

use core::alloc::Layout;
use core::mem;
use core::ptr::NonNull;

use super::building::Place;
use super::heap;
use super::layout::{self, MIN_ALIGN, footprint, round_up};
use super::os;
use super::payer::Payer;
use crate::diagnostics::{self, DiagnosticCode};
use crate::error::{AllocError, AllocErrorKind};
use crate::sync::Mutex;

/// Chunks are aligned to a cache line, or to more where a block asks for it.
const CHUNK_ALIGN: usize = 64;
/// The size of the chunk that replaces many is a multiple of this.
const STEP: usize = 4 << 10;

/// What one pool's handles and boxes share.
pub(crate) struct ScratchMemory {
    name: &'static str,
    limit: usize,
    payer: Payer,
    state: Mutex<State>,
}

struct State {
    /// The last one is bumped in.
    chunks: Vec<Chunk>,
    ptr: usize,
    end: usize,
    /// Bytes of all chunks.
    capacity: usize,
    /// Bytes bumped in all chunks, padding included.
    allocated: usize,
    /// What the first chunk will be: its bytes, and its alignment.
    first: (usize, usize),
    live: Live,
}

/// Blocks that are in use.
#[derive(Clone, Copy, Default)]
pub(crate) struct Live {
    pub blocks: usize,
    pub bytes: usize,
}

/// The figures of a moment.
pub(crate) struct Usage {
    pub allocated: usize,
    pub capacity: usize,
    pub remaining: usize,
    pub live: Live,
}

struct Chunk {
    start: NonNull<u8>,
    layout: Layout,
    /// Bytes bumped in it, once it has been left.
    used: usize,
}

// SAFETY: a chunk owns its memory, which may be freed on any thread.
unsafe impl Send for Chunk {}

impl Chunk {
    fn allocate(layout: Layout, payer: &Payer) -> Result<Self, AllocError> {
        let start = heap::allocate(layout, payer)?;
        os::conceal(start.as_ptr() as usize, layout.size());
        Ok(Self {
            start,
            layout,
            used: 0,
        })
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        os::reveal(self.start.as_ptr() as usize, self.layout.size());
        // SAFETY: the chunk's own block, in which nothing is live (I7).
        unsafe { heap::free(self.start, self.layout) }
    }
}

impl State {
    fn bump(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        let (block, end) = layout::bump(self.ptr, self.end, layout)?;
        self.allocated += end - self.ptr;
        self.ptr = end;
        self.live.blocks += 1;
        self.live.bytes += layout.size();
        os::reveal(block, layout.size());
        NonNull::new(block as *mut u8)
    }

    /// The chunk that a block needs which did not fit, or the largest block that would.
    fn next_chunk(&self, layout: Layout, limit: usize) -> Result<Layout, usize> {
        let room = limit - self.capacity;
        let needed = footprint(layout.size());
        if needed > room {
            return Err(room.max(self.end - self.ptr));
        }
        // What the pool holds doubles.
        let (wanted, align) = match self.chunks.is_empty() {
            true => self.first,
            false => (self.capacity, CHUNK_ALIGN),
        };
        let size = wanted.max(needed).min(room) & !(MIN_ALIGN - 1);
        Layout::from_size_align(size, align.max(layout.align())).map_err(|_| room)
    }

    fn install(&mut self, chunk: Chunk) {
        self.leave_last();
        self.ptr = chunk.start.as_ptr() as usize;
        self.end = self.ptr + chunk.layout.size();
        self.capacity += chunk.layout.size();
        self.chunks.push(chunk);
    }

    fn leave_last(&mut self) {
        if let Some(last) = self.chunks.last_mut() {
            last.used = self.ptr - last.start.as_ptr() as usize;
        }
    }

    /// Takes all chunks away.
    fn empty(&mut self) -> Vec<Chunk> {
        self.ptr = 0;
        self.end = 0;
        self.capacity = 0;
        self.allocated = 0;
        mem::take(&mut self.chunks)
    }
}

impl ScratchMemory {
    pub(crate) fn new(name: &'static str, start: usize, limit: usize, payer: Payer) -> Self {
        let limit = limit.clamp(MIN_ALIGN, isize::MAX as usize) & !(MIN_ALIGN - 1);
        Self {
            name,
            limit,
            payer,
            state: Mutex::new(State {
                chunks: Vec::new(),
                ptr: 0,
                end: 0,
                capacity: 0,
                allocated: 0,
                first: (start.clamp(MIN_ALIGN, limit), CHUNK_ALIGN),
                live: Live::default(),
            }),
        }
    }

    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    pub(crate) fn usage(&self) -> Usage {
        let state = self.state.lock();
        Usage {
            allocated: state.allocated,
            capacity: match state.capacity {
                0 => state.first.0,
                capacity => capacity,
            },
            remaining: (state.end - state.ptr) + (self.limit - state.capacity),
            live: state.live,
        }
    }

    /// Frees all blocks at once. Changes nothing, and tells what is live, if anything is.
    pub(crate) fn reset(&self) -> Result<(), Live> {
        let mut state = self.state.lock();
        if state.live.blocks != 0 {
            return Err(state.live);
        }
        let replaced = if state.chunks.len() > 1 {
            state.leave_last();
            // Blocks that follow each other in one chunk need no more room than in several, each of which starts at a
            // multiple of the largest alignment: bumping from a lower address never ends at a higher one.
            let align = state.chunks.iter().map(|chunk| chunk.layout.align()).max();
            let align = align.unwrap_or(CHUNK_ALIGN);
            let used = state
                .chunks
                .iter()
                .map(|chunk| round_up(chunk.used, align))
                .sum();
            state.first = (round_up(used, STEP).min(self.limit), align);
            state.empty()
        } else {
            if let Some(chunk) = state.chunks.last() {
                let start = chunk.start.as_ptr() as usize;
                // SAFETY: the chunk is ours, and nothing in it is live (I7).
                unsafe { os::poison(start, state.ptr - start) };
                state.ptr = start;
            }
            state.allocated = 0;
            Vec::new()
        };
        drop(state);
        drop(replaced);
        Ok(())
    }

    /// Makes room for a block that did not fit.
    #[cold]
    #[inline(never)]
    fn take_slowly(&self, layout: Layout) -> Result<NonNull<u8>, AllocError> {
        loop {
            let mut state = self.state.lock();
            if let Some(block) = state.bump(layout) {
                return Ok(block);
            }
            // A chunk in which nothing lies makes way for a larger one.
            let too_small = match state.allocated {
                0 => state.empty(),
                _ => Vec::new(),
            };
            let next = state.next_chunk(layout, self.limit);
            drop(state);
            drop(too_small);
            let chunk = match next {
                Ok(next) => Chunk::allocate(next, &self.payer)?,
                Err(available) => return Err(self.full(layout, available)),
            };
            // Others may have made room meanwhile, or used up the limit. A chunk that is not installed is freed after
            // the lock is released: it is declared before.
            let mut spare = Some(chunk);
            let mut state = self.state.lock();
            if let Some(block) = state.bump(layout) {
                return Ok(block);
            }
            let size = spare.as_ref().map_or(0, |chunk| chunk.layout.size());
            if size <= self.limit - state.capacity
                && let Some(chunk) = spare.take()
            {
                state.install(chunk);
                if let Some(block) = state.bump(layout) {
                    return Ok(block);
                }
            }
        }
    }

    #[cold]
    fn full(&self, layout: Layout, available: usize) -> AllocError {
        let error = AllocError::new(AllocErrorKind::ScratchPoolFull, layout, available);
        diagnostics::report(
            DiagnosticCode::FA403,
            format_args!(
                "scratch pool `{}` is full: {} asked for {} bytes, {available} are left of its limit of {}",
                self.name,
                error.tag(),
                layout.size(),
                self.limit,
            ),
        );
        error
    }
}

impl Place for &ScratchMemory {
    fn take(self, layout: Layout) -> Result<NonNull<u8>, AllocError> {
        let block = self.state.lock().bump(layout);
        match block {
            Some(block) => Ok(block),
            None => self.take_slowly(layout),
        }
    }

    unsafe fn resize(self, block: NonNull<u8>, old: usize, new: usize) -> bool {
        let block = block.as_ptr() as usize;
        let mut state = self.state.lock();
        // Equal only if the block's chunk is the last: in another, something would lie between.
        if block + footprint(old) != state.ptr || footprint(new) > state.end - block {
            return false;
        }
        state.allocated = state.allocated - footprint(old) + footprint(new);
        state.ptr = block + footprint(new);
        state.live.bytes = state.live.bytes - old + new;
        os::reveal(block, new);
        if new < old {
            os::conceal(block + new, footprint(old) - new);
        }
        true
    }

    unsafe fn give_back(self, _block: NonNull<u8>, layout: Layout) {
        let mut state = self.state.lock();
        state.live.blocks -= 1;
        state.live.bytes -= layout.size();
    }

    unsafe fn give_back_rest(self, _block: NonNull<u8>, old: Layout, new: usize) {
        self.state.lock().live.bytes -= old.size() - new;
    }
}

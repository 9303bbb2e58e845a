//! The arithmetic of bumping, as pure functions: no pointers, no state, no unsafe code.
//!
//! Addresses are `usize`. An arena bumps upwards from `ptr` to `limit`; both stay multiples of [`MIN_ALIGN`].

#![forbid(unsafe_code)]

use core::alloc::Layout;

/// Size and alignment of a chunk: the header of a block is at its address rounded down to this.
pub(crate) const CHUNK: usize = 256 << 10;
/// Bytes of the header at the start of a chunk.
pub(crate) const HEADER: usize = 64;
/// Arena pointers stay multiples of this, so that most types need no alignment step.
pub(crate) const MIN_ALIGN: usize = 8;
/// The most bytes that a standard chunk holds.
pub(crate) const MAX_PAYLOAD: usize = CHUNK - HEADER;
/// The fewest bytes that a standard chunk holds, however small the arena is asked to be.
pub(crate) const MIN_PAYLOAD: usize = 4096;
/// Mappings of at least this size are aligned to it and advised to use huge pages.
pub(crate) const HUGE_PAGE: usize = 2 << 20;

/// `n` rounded up to a multiple of `align`, a power of two. Wraps near `usize::MAX`; callers bound `n` first.
#[inline(always)]
pub(crate) const fn round_up(n: usize, align: usize) -> usize {
    n.wrapping_add(align - 1) & !(align - 1)
}

/// The bytes that a block of `size` occupies in an arena.
#[inline(always)]
pub(crate) const fn footprint(size: usize) -> usize {
    round_up(size, MIN_ALIGN)
}

/// Where a block lies that is allocated at `ptr`, a bump pointer.
#[inline(always)]
pub(crate) const fn align_block(ptr: usize, align: usize) -> usize {
    if align <= MIN_ALIGN {
        ptr
    } else {
        round_up(ptr, align)
    }
}

/// Where a block of `layout` would lie, and where the bump pointer would stand after it.
///
/// `None` if it does not fit below `limit`.
#[inline(always)]
pub(crate) const fn bump(ptr: usize, limit: usize, layout: Layout) -> Option<(usize, usize)> {
    let start = align_block(ptr, layout.align());
    // On 64 bits neither the alignment nor the size (at most `isize::MAX` each) can wrap past an address; on narrower
    // targets they can, and the sums are checked.
    #[cfg(target_pointer_width = "64")]
    let end = start + footprint(layout.size());
    #[cfg(not(target_pointer_width = "64"))]
    let end = {
        if start < ptr {
            return None;
        }
        match start.checked_add(footprint(layout.size())) {
            Some(end) => end,
            None => return None,
        }
    };
    if end > limit {
        None
    } else {
        Some((start, end))
    }
}

/// Whether a block gets a big chunk of its own in an arena whose chunks hold `payload` bytes.
pub(crate) const fn is_big(layout: Layout, payload: usize) -> bool {
    // Both are at most `isize::MAX`, so the sum does not wrap.
    layout.size() + layout.align() > payload / 2
}

/// Whether the header of a block with this alignment lies directly before it instead of at its chunk's start.
///
/// Rounding down the address of such a block gives the block itself.
#[inline(always)]
pub(crate) const fn header_is_adjacent(align: usize) -> bool {
    align >= CHUNK
}

/// The shape of a big chunk's mapping for one block: `(mapping, offset of the block)`.
///
/// `None` if the size cannot be represented.
pub(crate) fn big_chunk(layout: Layout) -> Option<(Layout, usize)> {
    let (align, offset) = if header_is_adjacent(layout.align()) {
        (layout.align(), layout.align())
    } else {
        (CHUNK, round_up(HEADER, layout.align()))
    };
    let size = offset
        .checked_add(layout.size())?
        .checked_next_multiple_of(BIG_STEP)?;
    Some((Layout::from_size_align(size, align).ok()?, offset))
}

/// Big chunks are sized in steps of this, so that requests that vary a little reuse each other's mappings.
pub(crate) const BIG_STEP: usize = 4 << 10;

/// The bytes that a standard chunk holds in an arena that starts with `arena_size` bytes.
///
/// An eighth of the arena, so that a few guards and leases can be open side by side in a small one.
pub(crate) const fn payload_for(arena_size: usize) -> usize {
    let eighth = arena_size / 8;
    let clamped = if eighth < MIN_PAYLOAD {
        MIN_PAYLOAD
    } else if eighth > MAX_PAYLOAD {
        MAX_PAYLOAD
    } else {
        eighth
    };
    clamped & !(MIN_ALIGN - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(size: usize, align: usize) -> Layout {
        Layout::from_size_align(size, align).unwrap()
    }

    #[test]
    fn bump_fits_up_to_the_last_byte() {
        assert_eq!(bump(64, 128, layout(64, 8)), Some((64, 128)));
        assert_eq!(bump(64, 128, layout(65, 1)), None);
        assert_eq!(bump(64, 128, layout(57, 1)), Some((64, 128)));
    }

    #[test]
    fn bump_aligns_and_counts_the_padding() {
        assert_eq!(bump(72, 4096, layout(1, 64)), Some((128, 136)));
        assert_eq!(bump(72, 128, layout(1, 64)), None);
    }

    #[test]
    fn bump_of_an_absurd_size_does_not_wrap() {
        let most = isize::MAX as usize & !7;
        assert_eq!(bump(1 << 20, 1 << 21, layout(most, 8)), None);
    }

    #[test]
    fn a_big_chunk_keeps_its_block_inside_and_aligned() {
        for align in [1, 8, 4096, 64 << 10, CHUNK / 2, CHUNK, CHUNK * 4] {
            let (mapping, offset) = big_chunk(layout(100_000, align)).unwrap();
            assert!(
                offset >= HEADER && offset % align == 0 && mapping.align() % align.min(CHUNK) == 0
            );
            assert!(offset + 100_000 <= mapping.size());
            if !header_is_adjacent(align) {
                assert!(offset < CHUNK, "the header must be found by masking");
            }
        }
        assert!(big_chunk(layout(isize::MAX as usize & !7, 8)).is_none());
    }

    #[test]
    fn payload_follows_the_arena_size() {
        assert_eq!(payload_for(1), MIN_PAYLOAD);
        assert_eq!(payload_for(1 << 20), (1 << 20) / 8);
        assert_eq!(payload_for(16 << 20), MAX_PAYLOAD);
    }
}

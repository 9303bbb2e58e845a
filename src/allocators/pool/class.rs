//! Size classes, as pure functions that fold to constants for a sized type.

#![forbid(unsafe_code)]

use core::alloc::Layout;

/// Pool pages are this large and aligned to it: the header of a block's page is found by masking the block's address.
pub(crate) const PAGE: usize = 64 << 10;
/// Bytes of a page's header.
pub(crate) const PAGE_HEADER: usize = 64;
/// Larger blocks go to the heap.
pub(crate) const MAX_POOLED: usize = 4096;

/// Up to here, a class every 16 bytes.
const FINE: usize = 1024;
const FINE_STEP: usize = 16;
/// Above it, four classes to each doubling.
const COARSE: [usize; 8] = [1280, 1536, 1792, 2048, 2560, 3072, 3584, 4096];
const FINE_CLASSES: usize = FINE / FINE_STEP;

/// The number of size classes.
pub(crate) const CLASSES: usize = FINE_CLASSES + COARSE.len();

/// The class of blocks for `layout`, and `None` if such a block is not pooled.
///
/// Blocks lie at multiples of their class size, so an alignment above 16 takes a class that is a power of two.
#[inline(always)]
pub(crate) const fn class_of(layout: Layout) -> Option<usize> {
    let mut size = layout.size();
    if layout.align() > FINE_STEP {
        if size < layout.align() {
            size = layout.align();
        }
        if size > MAX_POOLED {
            return None;
        }
        size = size.next_power_of_two();
    }
    if size == 0 || size > MAX_POOLED {
        return None;
    }
    if size <= FINE {
        return Some((size - 1) / FINE_STEP);
    }
    let mut class = 0;
    while COARSE[class] < size {
        class += 1;
    }
    Some(FINE_CLASSES + class)
}

/// The size of a class's blocks.
#[inline(always)]
pub(crate) const fn class_size(class: usize) -> usize {
    SHAPES[class].size as usize
}

/// Where a page's first block lies.
#[inline(always)]
pub(crate) const fn first_block(class: usize) -> usize {
    SHAPES[class].first as usize
}

/// What is computed of a class once, when the library is compiled.
#[derive(Clone, Copy)]
struct Shape {
    size: u16,
    first: u16,
    /// 2^32 divided by the size, rounded up.
    reciprocal: u32,
}

const SHAPES: [Shape; CLASSES] = {
    let mut shapes = [Shape {
        size: 0,
        first: 0,
        reciprocal: 0,
    }; CLASSES];
    let mut class = 0;
    while class < CLASSES {
        let size = if class < FINE_CLASSES {
            (class + 1) * FINE_STEP
        } else {
            COARSE[class - FINE_CLASSES]
        };
        let first = if size.is_power_of_two() && size > PAGE_HEADER {
            size
        } else {
            PAGE_HEADER
        };
        shapes[class] = Shape {
            size: size as u16,
            first: first as u16,
            reciprocal: (1u64 << 32).div_ceil(size as u64) as u32,
        };
        class += 1;
    }
    shapes
};

/// The number in its page of a block at this offset.
///
/// A division would cost as much as the rest of a free; the product is exact for what is a multiple of the size and lies in a
/// page, since what the reciprocal's rounding adds to it is less than the offset, and that less than 2^32 / size.
#[inline(always)]
pub(crate) const fn block_index(class: usize, offset: usize) -> usize {
    let Shape {
        first, reciprocal, ..
    } = SHAPES[class];
    (((offset - first as usize) as u64 * reciprocal as u64) >> 32) as usize
}

/// How many blocks a page holds.
pub(crate) const fn blocks_per_page(class: usize) -> usize {
    (PAGE - first_block(class)) / class_size(class)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_layout_gets_the_smallest_class_that_holds_and_aligns_it() {
        for size in 1..=MAX_POOLED {
            for align in [1, 8, 16, 32, 64, 128, 1024, 4096] {
                let layout = Layout::from_size_align(size, align).unwrap();
                let class = class_of(layout).expect("it is small enough");
                assert!(class < CLASSES);
                assert!(class_size(class) >= size);
                for index in 0..blocks_per_page(class) {
                    let at = first_block(class) + index * class_size(class);
                    assert_eq!(block_index(class, at), index);
                    let offset = first_block(class) + index * class_size(class);
                    assert_eq!(offset % align, 0, "{size} {align}");
                    assert!(offset + class_size(class) <= PAGE);
                }
                if align <= 16 && class > 0 {
                    assert!(class_size(class - 1) < size);
                }
            }
        }
    }

    #[test]
    fn what_is_empty_large_or_strangely_aligned_is_not_pooled() {
        for (size, align) in [(0, 1), (4097, 1), (1, 8192), (isize::MAX as usize, 1)] {
            assert_eq!(
                class_of(Layout::from_size_align(size, align).unwrap()),
                None
            );
        }
    }
}

//! Which granules of a segment are used: a bit each.
//!
//! ```text
//!  granule   0  1  2  3  4  5  6  7  8 ...  4095        (16 bytes each, 64 KiB together)
//!  used      1  1  0  0  1  1  1  0  0 ...  0
//!                  ^---^             ^------- runs: where a value may lie
//! ```

#![forbid(unsafe_code)]

use core::alloc::Layout;

/// Bytes of a granule, in which values begin.
pub(crate) const GRANULE: usize = 16;
/// Granules of a segment.
pub(crate) const GRANULES: u16 = 4096;
/// Bytes of a segment.
pub(crate) const SEGMENT: usize = GRANULE * GRANULES as usize;

const BITS: usize = 64;
const WORDS: usize = GRANULES as usize / BITS;
const _: () = assert!(WORDS == BITS, "`open` has a bit for each word");

/// What a value needs: so many granules, from a multiple of `step` granules on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Need {
    pub(crate) len: u16,
    pub(crate) step: u16,
}

impl Need {
    /// `None` if values of this layout do not lie in segments, since they would leave too much of one unused.
    pub(crate) const fn of(layout: Layout) -> Option<Self> {
        if layout.size() > SEGMENT / 4 || layout.align() > SEGMENT / 16 {
            return None;
        }
        let step = layout.align() / GRANULE;
        Some(Self {
            len: layout.size().div_ceil(GRANULE) as u16,
            step: if step == 0 { 1 } else { step as u16 },
        })
    }
}

/// See the module's documentation.
#[derive(Clone)]
pub(crate) struct Granules {
    used: [u64; WORDS],
    /// A bit for each word that is not full, so that a search passes over full ones.
    open: u64,
    free: u16,
    /// The segment's address, in granules.
    base: usize,
}

impl Granules {
    /// All free. `address` is a multiple of a granule.
    pub(crate) fn new(address: usize) -> Self {
        Self {
            used: [0; WORDS],
            open: u64::MAX,
            free: GRANULES,
            base: address / GRANULE,
        }
    }

    /// Granules that are free.
    pub(crate) fn free(&self) -> u16 {
        self.free
    }

    /// Granules that are used.
    pub(crate) fn used(&self) -> u16 {
        GRANULES - self.free
    }

    /// The first place where a value fits.
    pub(crate) fn find(&self, need: Need) -> Option<u16> {
        if need.len > self.free {
            return None;
        }
        if usize::from(need.len) <= BITS {
            self.find_short(need)
        } else {
            self.find_long(need)
        }
    }

    /// How far the first aligned granule at or behind `at` lies behind it.
    fn gap(&self, at: u16, need: Need) -> u16 {
        let past = (self.base + usize::from(at)) as u16 & (need.step - 1);
        (need.step - past) & (need.step - 1)
    }

    fn find_short(&self, need: Need) -> Option<u16> {
        let mut open = self.open;
        while open != 0 {
            let word = open.trailing_zeros() as usize;
            open &= open - 1;
            let low = !self.used[word];
            let high = self.used.get(word + 1).map_or(0, |used| !used);
            // A bit stays set if as many bits from it on are set, doubled in each round.
            let mut starts = u128::from(high) << BITS | u128::from(low);
            let mut known = 1;
            while known < need.len {
                let shift = known.min(need.len - known);
                starts &= starts >> shift;
                known += shift;
            }
            let mut starts = starts as u64;
            while starts != 0 {
                let at = (word * BITS) as u16 + starts.trailing_zeros() as u16;
                if self.gap(at, need) == 0 {
                    return Some(at);
                }
                starts &= starts - 1;
            }
        }
        None
    }

    fn find_long(&self, need: Need) -> Option<u16> {
        let mut start = self.next(0, false);
        while start < GRANULES {
            let end = self.next(start, true);
            let at = start + self.gap(start, need);
            if at + need.len <= end {
                return Some(at);
            }
            start = self.next(end, false);
        }
        None
    }

    /// The first granule from `from` on that is used, or free. [`GRANULES`] if there is none.
    fn next(&self, from: u16, used: bool) -> u16 {
        let from = usize::from(from);
        let mut mask = u64::MAX << (from % BITS);
        for word in from / BITS..WORDS {
            let wanted = if used {
                self.used[word]
            } else {
                !self.used[word]
            } & mask;
            if wanted != 0 {
                return (word * BITS) as u16 + wanted.trailing_zeros() as u16;
            }
            mask = u64::MAX;
        }
        GRANULES
    }

    /// Where the free granules before `end` begin.
    fn run_before(&self, end: u16) -> u16 {
        let end = usize::from(end);
        if end == 0 {
            return 0;
        }
        let mut mask = u64::MAX >> (BITS - 1 - (end - 1) % BITS);
        for word in (0..=(end - 1) / BITS).rev() {
            let used = self.used[word] & mask;
            if used != 0 {
                return ((word + 1) * BITS) as u16 - used.leading_zeros() as u16;
            }
            mask = u64::MAX;
        }
        0
    }

    /// Marks granules as used, which are free.
    pub(crate) fn take(&mut self, start: u16, len: u16) {
        self.flip(start, len);
        self.free -= len;
    }

    /// Marks granules as free, which are used. Returns how long the run is that they are part of.
    pub(crate) fn release(&mut self, start: u16, len: u16) -> u16 {
        self.flip(start, len);
        self.free += len;
        self.next(start, true) - self.run_before(start)
    }

    fn flip(&mut self, start: u16, len: u16) {
        let (mut at, end) = (usize::from(start), usize::from(start + len));
        while at < end {
            let bits = (end - at).min(BITS - at % BITS);
            let mask = (u64::MAX >> (BITS - bits)) << (at % BITS);
            let word = &mut self.used[at / BITS];
            *word ^= mask;
            let bit = 1 << (at / BITS);
            match *word {
                u64::MAX => self.open &= !bit,
                _ => self.open |= bit,
            }
            at += bits;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn need(len: u16, step: u16) -> Need {
        Need { len, step }
    }

    /// The first place where a value fits, looked for the long way.
    fn first(granules: &Granules, need: Need) -> Option<u16> {
        (0..=GRANULES - need.len).find(|&at| {
            (granules.base + usize::from(at)).is_multiple_of(usize::from(need.step))
                && (at..at + need.len)
                    .all(|g| granules.used[usize::from(g) / 64] >> (g % 64) & 1 == 0)
        })
    }

    #[test]
    fn the_first_hole_that_fits_is_found_wherever_words_end() {
        // Holes of many lengths, each behind a used granule, in a segment that begins at an odd multiple of four granules.
        let mut granules = Granules::new(4 * GRANULE);
        let mut at = 0;
        for hole in (0..80).map(|n| n * 37 % 80 + 1) {
            if at + hole + 1 > GRANULES {
                break;
            }
            granules.take(at, 1);
            at += hole + 1;
        }
        granules.take(at, GRANULES - at);
        for len in [1, 2, 3, 31, 63, 64, 65, 70, 79, 80, 81, 200] {
            for step in [1, 2, 4, 16, 64, 256] {
                let need = need(len, step);
                assert_eq!(granules.find(need), first(&granules, need), "{need:?}");
            }
        }
    }

    #[test]
    fn a_freed_run_joins_its_neighbours() {
        let mut granules = Granules::new(0);
        granules.take(0, GRANULES);
        assert_eq!(granules.find(need(1, 1)), None);
        assert_eq!(granules.release(100, 10), 10);
        assert_eq!(granules.release(120, 100), 100);
        assert_eq!(granules.release(110, 10), 120);
        assert_eq!(granules.release(0, 100), 220);
        assert_eq!(granules.release(220, GRANULES - 220), GRANULES);
        assert_eq!(granules.free(), GRANULES);
    }

    #[test]
    fn large_and_very_aligned_values_do_not_lie_in_segments() {
        let of = |size, align| Need::of(Layout::from_size_align(size, align).unwrap());
        assert_eq!(of(1, 1), Some(need(1, 1)));
        assert_eq!(of(SEGMENT / 4, 4096), Some(need(1024, 256)));
        assert_eq!(of(SEGMENT / 4 + 1, 1), None);
        assert_eq!(of(8192, 8192), None);
    }
}

//! Segments, and where in them a value goes: the tightest that has room, so that holes fill up before segments are added.
//!
//! ```text
//!  bin 0: full    bin 1: runs of 1    bin 2: of 2 or 3    bin 3: of 4 to 7   ...   bin 13: 4096
//!                     [ 7 ]               [ 2, 5 ]            [ ]                      [ 9 ]
//! ```
//!
//! A segment is in the bin of its *bound*: no run of free granules in it is longer. Taking room leaves the bound as it is; it
//! is lowered when a search finds out, so that each search that fails makes the next ones shorter.

#![forbid(unsafe_code)]

use super::granules::{GRANULES, Granules, Need};

const BINS: usize = 14;

const fn bin_of(run: u16) -> usize {
    match run.checked_ilog2() {
        Some(log2) => 1 + log2 as usize,
        None => 0,
    }
}

/// Room for a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Room {
    pub(crate) segment: u32,
    /// The first granule.
    pub(crate) start: u16,
}

pub(crate) struct Segment {
    pub(crate) granules: Granules,
    /// The slots of the values in it, in no order.
    pub(crate) tenants: Vec<u32>,
    bound: u16,
    /// Where in its bin it is.
    at: usize,
}

/// See the module's documentation. Segments are numbered; numbers of removed ones are used again.
#[derive(Default)]
pub(crate) struct Space {
    segments: Vec<Option<Segment>>,
    unused: Vec<u32>,
    bins: [Vec<u32>; BINS],
}

impl Space {
    /// Adds a free segment at this address. Returns its number.
    pub(crate) fn add(&mut self, address: usize) -> u32 {
        let number = self.unused.pop().unwrap_or_else(|| {
            self.segments.push(None);
            self.segments.len() as u32 - 1
        });
        self.segments[number as usize] = Some(Segment {
            granules: Granules::new(address),
            tenants: Vec::new(),
            bound: GRANULES,
            at: 0,
        });
        self.enter(number);
        number
    }

    /// Removes a segment.
    pub(crate) fn remove(&mut self, number: u32) {
        self.leave(number);
        self.segments[number as usize] = None;
        self.unused.push(number);
    }

    pub(crate) fn segment(&self, number: u32) -> &Segment {
        self.segments[number as usize]
            .as_ref()
            .expect("it is there")
    }

    pub(crate) fn segment_mut(&mut self, number: u32) -> &mut Segment {
        self.segments[number as usize]
            .as_mut()
            .expect("it is there")
    }

    /// All segments with their numbers.
    pub(crate) fn segments(&self) -> impl Iterator<Item = (u32, &Segment)> {
        (0..)
            .zip(&self.segments)
            .filter_map(|(number, segment)| Some((number, segment.as_ref()?)))
    }

    fn enter(&mut self, number: u32) {
        let bin = &mut self.bins[bin_of(self.segment(number).bound)];
        bin.push(number);
        let at = bin.len() - 1;
        self.segment_mut(number).at = at;
    }

    fn leave(&mut self, number: u32) {
        let segment = self.segment(number);
        let at = segment.at;
        let bin = &mut self.bins[bin_of(segment.bound)];
        bin.swap_remove(at);
        if let Some(&moved) = bin.get(at) {
            self.segment_mut(moved).at = at;
        }
    }

    fn set_bound(&mut self, number: u32, bound: u16) {
        if bin_of(bound) == bin_of(self.segment(number).bound) {
            self.segment_mut(number).bound = bound;
        } else {
            self.leave(number);
            self.segment_mut(number).bound = bound;
            self.enter(number);
        }
    }

    /// Room for a value, in the segment with the shortest runs that has some. It is not taken yet.
    pub(crate) fn find(&mut self, need: Need) -> Option<Room> {
        for bin in bin_of(need.len)..BINS {
            // Backwards: what leaves the bin meanwhile is replaced by one that was looked at.
            for at in (0..self.bins[bin].len()).rev() {
                let number = self.bins[bin][at];
                if self.segment(number).bound < need.len {
                    continue;
                }
                if let Some(start) = self.segment(number).granules.find(need) {
                    return Some(Room {
                        segment: number,
                        start,
                    });
                }
                if need.step == 1 {
                    self.set_bound(number, need.len - 1);
                }
            }
        }
        None
    }

    pub(crate) fn take(&mut self, room: Room, need: Need) {
        self.segment_mut(room.segment)
            .granules
            .take(room.start, need.len);
    }

    pub(crate) fn release(&mut self, room: Room, need: Need) {
        let segment = self.segment_mut(room.segment);
        let run = segment.granules.release(room.start, need.len);
        if run > segment.bound {
            self.set_bound(room.segment, run);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn need(len: u16) -> Need {
        Need { len, step: 1 }
    }

    fn take(space: &mut Space, len: u16) -> Option<Room> {
        let room = space.find(need(len))?;
        space.take(room, need(len));
        Some(room)
    }

    #[test]
    fn the_tightest_hole_is_taken_first() {
        let mut space = Space::default();
        let full = space.add(0);
        for _ in 0..64 {
            take(&mut space, 64).unwrap();
        }
        assert_eq!(take(&mut space, 1), None);
        let open = space.add(1 << 20);
        space.release(
            Room {
                segment: full,
                start: 128,
            },
            need(8),
        );
        assert_eq!(
            take(&mut space, 9),
            Some(Room {
                segment: open,
                start: 0
            })
        );
        assert_eq!(
            take(&mut space, 5),
            Some(Room {
                segment: full,
                start: 128
            })
        );
        assert_eq!(take(&mut space, 4).unwrap().segment, open);
        assert_eq!(
            take(&mut space, 3),
            Some(Room {
                segment: full,
                start: 133
            })
        );
        space.remove(full);
        assert_eq!(
            space
                .segments()
                .map(|(number, _)| number)
                .collect::<Vec<_>>(),
            [open]
        );
        assert_eq!(space.add(0), full);
    }
}

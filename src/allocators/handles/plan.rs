//! What compaction moves, decided before anything moves.
//!
//! Memory goes back to the system by whole segments. So a segment is emptied or left alone: a value moves only if every value
//! of its segment can move and has room in the segments that stay. Segments with the fewest bytes are tried first; their
//! values go into the fullest ones that have room, and each goes straight to where it ends up, also if the segment that
//! had room for it first is emptied in turn.
//!
//! Whether a segment can be emptied depends on nothing but which granules are used, and planning goes on until a round over
//! all segments finds none. So planning again, with nothing else changed, finds none.

#![forbid(unsafe_code)]

use core::cmp::Reverse;

use hashbrown::HashMap;

use super::granules::{Granules, Need};
use super::space::Room;

/// A value in a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tenant {
    pub(super) slot: u32,
    pub(super) need: Need,
    pub(super) bytes: usize,
}

/// A segment as planning begins.
pub(super) struct Candidate {
    pub(super) segment: u32,
    pub(super) granules: Granules,
    /// Its values, if all of them can move.
    pub(super) movable: Option<Vec<Tenant>>,
}

/// A segment to empty, and where its values go.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Evacuation {
    pub(super) segment: u32,
    pub(super) moves: Vec<(Tenant, Room)>,
}

struct State {
    segment: u32,
    granules: Granules,
    movable: Option<Vec<Tenant>>,
    /// Values of emptied segments that have room here.
    arrivals: Vec<Tenant>,
    /// No run of free granules is longer.
    bound: u16,
    emptied: bool,
}

struct Planner {
    states: Vec<State>,
    /// Where the values of emptied segments go, by slot.
    rooms: HashMap<u32, Room>,
    /// Free granules of all segments that are not emptied.
    free: usize,
}

/// Plans until no further segment can be emptied, or until values of `limit` bytes are to move.
pub(super) fn plan(candidates: Vec<Candidate>, limit: usize) -> Vec<Evacuation> {
    let mut planner = Planner {
        free: candidates
            .iter()
            .map(|candidate| usize::from(candidate.granules.free()))
            .sum(),
        rooms: HashMap::new(),
        states: candidates
            .into_iter()
            .map(|candidate| State {
                segment: candidate.segment,
                bound: candidate.granules.free(),
                granules: candidate.granules,
                movable: candidate.movable,
                arrivals: Vec::new(),
                emptied: false,
            })
            .collect(),
    };
    let mut sparsest: Vec<usize> = (0..planner.states.len())
        .filter(|&index| planner.states[index].movable.is_some())
        .collect();
    sparsest.sort_by_key(|&index| (planner.states[index].granules.used(), index));

    let mut emptied = Vec::new();
    let mut planned = 0;
    loop {
        let before = emptied.len();
        for &index in &sparsest {
            if planned >= limit {
                break;
            }
            if !planner.states[index].emptied && planner.empty(index) {
                emptied.push(index);
                planned += planner.bytes(index);
            }
        }
        if emptied.len() == before || planned >= limit {
            break;
        }
    }
    emptied
        .into_iter()
        .map(|index| planner.evacuation(index))
        .collect()
}

impl Planner {
    /// Bytes of the values that a segment had at first.
    fn bytes(&self, index: usize) -> usize {
        self.states[index]
            .movable
            .iter()
            .flatten()
            .map(|tenant| tenant.bytes)
            .sum()
    }

    fn evacuation(&self, index: usize) -> Evacuation {
        let state = &self.states[index];
        Evacuation {
            segment: state.segment,
            moves: state
                .movable
                .iter()
                .flatten()
                .map(|tenant| (*tenant, self.rooms[&tenant.slot]))
                .collect(),
        }
    }

    /// Finds other room for all that is in a segment. If there is not enough, nothing changes.
    fn empty(&mut self, index: usize) -> bool {
        let source = &self.states[index];
        let free_elsewhere = self.free - usize::from(source.granules.free());
        if free_elsewhere < usize::from(source.granules.used()) {
            return false;
        }
        let mut tenants: Vec<_> = source
            .movable
            .iter()
            .flatten()
            .chain(&source.arrivals)
            .copied()
            .collect();
        // What is hard to place comes first.
        tenants.sort_by_key(|tenant| (Reverse(tenant.need), tenant.slot));
        let mut targets: Vec<usize> = (0..self.states.len())
            .filter(|&other| other != index && !self.states[other].emptied)
            .collect();
        // What cannot be emptied stays anyway, and takes values first; then what is fullest.
        targets.sort_by_key(|&other| {
            let state = &self.states[other];
            (
                state.movable.is_some(),
                Reverse(state.granules.used()),
                other,
            )
        });
        let mut bounds: Vec<u16> = targets
            .iter()
            .map(|&other| self.states[other].bound)
            .collect();

        let mut found: Vec<(usize, Tenant, u16)> = Vec::with_capacity(tenants.len());
        for tenant in tenants {
            match self.room(&targets, &mut bounds, tenant.need) {
                Some((target, start)) => {
                    self.states[target].granules.take(start, tenant.need.len);
                    found.push((target, tenant, start));
                }
                None => {
                    for (target, tenant, start) in found {
                        self.states[target].granules.release(start, tenant.need.len);
                    }
                    return false;
                }
            }
        }

        for (&target, bound) in targets.iter().zip(bounds) {
            self.states[target].bound = bound;
        }
        for (target, tenant, start) in found {
            let room = Room {
                segment: self.states[target].segment,
                start,
            };
            self.rooms.insert(tenant.slot, room);
            self.states[target].arrivals.push(tenant);
        }
        let source = &mut self.states[index];
        source.emptied = true;
        source.arrivals = Vec::new();
        self.free = free_elsewhere - usize::from(source.granules.used());
        true
    }

    /// Room in the first target that has some.
    fn room(&self, targets: &[usize], bounds: &mut [u16], need: Need) -> Option<(usize, u16)> {
        for (&target, bound) in targets.iter().zip(bounds) {
            if *bound < need.len {
                continue;
            }
            match self.states[target].granules.find(need) {
                Some(start) => return Some((target, start)),
                None if need.step == 1 => *bound = need.len - 1,
                None => {}
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::allocators::handles::granules::GRANULES;

    const fn need(len: u16) -> Need {
        Need { len, step: 1 }
    }

    /// Segments that hold values of these lengths beside each other, the first value in each pair of brackets at granule 0.
    fn segments(lens: &[&[u16]]) -> Vec<Candidate> {
        let mut slot = 0;
        (0..)
            .zip(lens)
            .map(|(segment, lens)| {
                let mut granules = Granules::new(0);
                let mut at = 0;
                let tenants = lens.iter().map(|&len| {
                    granules.take(at, len);
                    at += len;
                    slot += 1;
                    Tenant {
                        slot,
                        need: need(len),
                        bytes: usize::from(len),
                    }
                });
                let movable = Some(tenants.collect());
                Candidate {
                    segment,
                    granules,
                    movable,
                }
            })
            .collect()
    }

    /// What is emptied, and where its values go: (slot, segment).
    fn moves(plan: &[Evacuation]) -> Vec<(u32, Vec<(u32, u32)>)> {
        plan.iter()
            .map(|evacuation| {
                let moves = evacuation.moves.iter();
                let moves = moves.map(|(tenant, room)| (tenant.slot, room.segment));
                (evacuation.segment, moves.collect())
            })
            .collect()
    }

    #[test]
    fn a_segment_is_emptied_only_if_all_of_it_has_room_elsewhere() {
        // The hole of segment 0 takes one value of segment 1, but not both.
        let plan = plan(segments(&[&[GRANULES - 100], &[60, 60]]), usize::MAX);
        assert_eq!(moves(&plan), []);
    }

    #[test]
    fn the_sparsest_segment_goes_and_its_values_fill_the_fullest() {
        let plan = plan(segments(&[&[3000], &[50, 60], &[3900]]), usize::MAX);
        assert_eq!(moves(&plan), [(1, vec![(2, 2), (3, 2)])]);
    }

    #[test]
    fn a_value_goes_straight_to_where_it_ends_up() {
        // Segment 1 has two holes of 1200, so it is too cut up for the value of segment 2. It takes that of segment 0, as the
        // fullest, and is then emptied in turn.
        let mut candidates = segments(&[&[100], &[1200, 800, 1200, 800], &[1500]]);
        let second = &mut candidates[1];
        second.granules.release(0, 1200);
        second.granules.release(2000, 1200);
        let tenants = second.movable.as_mut().unwrap();
        tenants.retain(|tenant| tenant.need.len == 800);
        let plan = plan(candidates, usize::MAX);
        let expected = [(0, vec![(1, 2)]), (1, vec![(3, 2), (5, 2)])];
        assert_eq!(moves(&plan), expected);
    }

    #[test]
    fn what_cannot_be_emptied_is_filled_first() {
        let mut candidates = segments(&[&[10], &[20], &[3000]]);
        candidates[1].movable = None;
        assert_eq!(
            moves(&plan(candidates, usize::MAX)),
            [(0, vec![(1, 1)]), (2, vec![(3, 1)])]
        );
    }

    #[test]
    fn planning_ends_at_its_limit() {
        let lens: Vec<&[u16]> = vec![&[10]; 8];
        assert_eq!(plan(segments(&lens), 25).len(), 3);
        assert_eq!(plan(segments(&lens), usize::MAX).len(), 7);
    }
}

//! Whose signals count for which generation: the state of a [`FrameBarrier`](super::FrameBarrier), and how threads wait
//! for it.
//!
//! ```text
//!  rounds:   generation 7 (present)     8               9
//!           +-----------------------+---------------+---------+
//!           | main  physics  audio  | physics       |         |
//!           +-----------------------+---------------+---------+
//!             complete: 3 of 3        1 of 3          0 of 3
//! ```
//!
//! A signal counts for the first round that is not complete and that its party has not signalled yet. So the k-th signals
//! of a fixed set of parties meet in one round, however far one of them runs ahead.
//!
//! - **R1** A counted signal stays counted until the barrier moves on from its round, which it does only once that is
//!   complete, or until its party leaves.
//! - **R2** A complete round stays complete, whoever joins.
//! - **R3** A thread sleeps only while what it waits for does not hold, and every change that could make it hold wakes the
//!   sleepers; both are decided under the lock.
//!
//! The file is also compiled by the model checker's package, with its own `sync`.

use core::mem;
use std::collections::VecDeque;

use crate::sync::{Condvar, Instant, Mutex, MutexGuard};

/// See the module's documentation. `P` tells parties apart.
pub(crate) struct Rounds<P> {
    state: Mutex<State<P>>,
    changed: Condvar,
}

struct State<P> {
    generation: u64,
    /// Never empty: the present round is the first.
    rounds: VecDeque<Round<P>>,
    /// Who signalled the round before: somebody of it may come late to wait for it.
    passed: Vec<P>,
    /// The number of places: a round is complete with as many signals.
    expected: usize,
    /// Of the places, those that have neither a name nor a holder.
    unnamed: usize,
    /// The other places, and names whose place has left.
    places: Vec<Place<P>>,
    sleepers: usize,
}

struct Round<P> {
    arrived: Vec<P>,
    complete: bool,
}

struct Place<P> {
    name: Option<String>,
    seat: Seat<P>,
}

enum Seat<P> {
    Free,
    Held(P),
    /// Its holder has left, and the place with it; the name may be taken again.
    Left,
}

/// What a thread waits for.
#[derive(Clone, Copy)]
pub(crate) enum Until<'a, P> {
    /// The round that this party signalled last is complete; the present one if it has signalled none.
    Complete(&'a P),
    /// The barrier has moved on to this generation.
    Generation(u64),
}

/// Why a named place cannot be taken.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    Unknown,
    Taken,
}

impl<P: PartialEq + Clone> Rounds<P> {
    /// With a place for each name, and others up to `places` altogether.
    pub(crate) fn new(names: Vec<String>, places: usize) -> Self {
        let expected = places.max(names.len());
        Self {
            state: Mutex::new(State {
                generation: 0,
                rounds: VecDeque::from([Round::default()]),
                passed: Vec::new(),
                expected,
                unnamed: expected - names.len(),
                places: names
                    .into_iter()
                    .map(|name| Place {
                        name: Some(name),
                        seat: Seat::Free,
                    })
                    .collect(),
                sleepers: 0,
            }),
            changed: Condvar::new(),
        }
    }

    /// Counts a signal, and returns the generation that it counts for. If a free place has the name, the party takes it.
    pub(crate) fn signal(&self, party: &P, name: Option<&str>) -> u64 {
        let mut state = self.state.lock();
        if let Some(name) = name
            && !state.holds(party)
        {
            let _ = state.take_named(party, name);
        }
        let (generation, complete) = state.arrive(party);
        self.release(state, complete);
        generation
    }

    /// Moves on to the next generation, if the present one is complete.
    pub(crate) fn advance(&self) -> bool {
        let mut state = self.state.lock();
        let advanced = state.advance();
        self.release(state, advanced);
        advanced
    }

    /// Waits, at most until the deadline, and returns whether what was waited for has come. With `advance`, the barrier
    /// moves on from the round that was waited for, unless somebody else did that.
    pub(crate) fn wait(
        &self,
        until: Until<'_, P>,
        deadline: Option<Instant>,
        advance: bool,
    ) -> bool {
        let mut state = self.state.lock();
        let wanted = match until {
            Until::Complete(party) => state.last_signalled(party).unwrap_or(state.generation),
            Until::Generation(wanted) => wanted,
        };
        let mut late = false;
        loop {
            let come = match until {
                Until::Complete(_) => state.was_completed(wanted),
                Until::Generation(_) => state.generation >= wanted,
            };
            if come {
                let advanced = advance && state.generation == wanted && state.advance();
                self.release(state, advanced);
                return true;
            }
            if late {
                return false;
            }
            state.sleepers += 1;
            (state, late) = self.changed.wait(state, deadline);
            state.sleepers -= 1;
        }
    }

    /// Takes a place for a party that holds none: the one with this name; without a name, any free one, or a new one.
    pub(crate) fn join(&self, party: &P, name: Option<&str>) -> Result<(), Refusal> {
        let mut state = self.state.lock();
        match name {
            Some(name) => state.take_named(party, name),
            None => {
                state.take_any(party);
                Ok(())
            }
        }
    }

    /// Gives up the party's place, and its signals for rounds that are not complete. Returns whether it had a place.
    pub(crate) fn leave(&self, party: &P) -> bool {
        let mut state = self.state.lock();
        let Some(place) = state.place_of(party) else {
            return false;
        };
        if state.places[place].name.is_some() {
            state.places[place].seat = Seat::Left;
        } else {
            state.places.swap_remove(place);
        }
        state.expected -= 1;
        let expected = state.expected;
        for round in state.rounds.iter_mut().filter(|round| !round.complete) {
            round.arrived.retain(|arrived| arrived != party);
            round.complete = round.arrived.len() >= expected;
        }
        self.release(state, true);
        true
    }

    pub(crate) fn holds_place(&self, party: &P) -> bool {
        self.state.lock().holds(party)
    }

    pub(crate) fn places(&self) -> usize {
        self.state.lock().expected
    }

    pub(crate) fn arrived(&self) -> usize {
        self.state.lock().rounds[0].arrived.len()
    }

    pub(crate) fn generation(&self) -> u64 {
        self.state.lock().generation
    }

    pub(crate) fn is_complete(&self) -> bool {
        self.state.lock().is_complete()
    }

    /// The names of the places that are free, or whose holder has not signalled for the present round, unless that is
    /// complete.
    pub(crate) fn missing(&self) -> Vec<String> {
        let state = self.state.lock();
        if state.is_complete() {
            return Vec::new();
        }
        let round = &state.rounds[0];
        let missing = state.places.iter().filter(|place| match &place.seat {
            Seat::Free => true,
            Seat::Held(holder) => !round.arrived.contains(holder),
            Seat::Left => false,
        });
        missing.filter_map(|place| place.name.clone()).collect()
    }

    /// Unlocks, and wakes whoever sleeps if something has changed for them.
    fn release(&self, state: MutexGuard<'_, State<P>>, changed: bool) {
        let wake = changed && state.sleepers > 0;
        drop(state);
        if wake {
            self.changed.notify_all();
        }
    }
}

impl<P: PartialEq + Clone> State<P> {
    /// The generation that the signal counts for, and whether that is complete with it.
    fn arrive(&mut self, party: &P) -> (u64, bool) {
        if self.expected == 0 {
            return (self.generation, true);
        }
        let open = |round: &Round<P>| !round.complete && !round.arrived.contains(party);
        let index = match self.rounds.iter().position(open) {
            Some(index) => index,
            None => {
                self.rounds.push_back(Round::default());
                self.rounds.len() - 1
            }
        };
        let round = &mut self.rounds[index];
        round.arrived.push(party.clone());
        round.complete = round.arrived.len() >= self.expected;
        (self.generation + index as u64, index == 0 && round.complete)
    }

    /// Whether the present round is. A barrier without places is always, but holds nobody who joins to that.
    fn is_complete(&self) -> bool {
        self.rounds[0].complete || self.expected == 0
    }

    fn advance(&mut self) -> bool {
        if !self.is_complete() {
            return false;
        }
        self.generation += 1;
        let round = self.rounds.pop_front().expect("there is a present round");
        let mut spare = mem::replace(&mut self.passed, round.arrived);
        if self.rounds.is_empty() {
            spare.clear();
            self.rounds.push_back(Round {
                arrived: spare,
                complete: false,
            });
        }
        true
    }

    /// The last generation that the party signalled, unless it is older than the one before the present.
    fn last_signalled(&self, party: &P) -> Option<u64> {
        let signalled = |round: &Round<P>| round.arrived.contains(party);
        match self.rounds.iter().rposition(signalled) {
            Some(index) => Some(self.generation + index as u64),
            None if self.passed.contains(party) => Some(self.generation - 1),
            None => None,
        }
    }

    /// Whether a generation is complete, or has been.
    fn was_completed(&self, generation: u64) -> bool {
        match generation.checked_sub(self.generation) {
            None => true,
            Some(0) => self.is_complete(),
            Some(ahead) => self
                .rounds
                .get(ahead as usize)
                .is_some_and(|round| round.complete),
        }
    }

    fn place_of(&self, party: &P) -> Option<usize> {
        self.places
            .iter()
            .position(|place| matches!(&place.seat, Seat::Held(holder) if holder == party))
    }

    fn holds(&self, party: &P) -> bool {
        self.place_of(party).is_some()
    }

    fn take_named(&mut self, party: &P, name: &str) -> Result<(), Refusal> {
        let mut refusal = Refusal::Unknown;
        for place in &mut self.places {
            if place.name.as_deref() != Some(name) {
                continue;
            }
            match place.seat {
                Seat::Free => {}
                Seat::Left => self.expected += 1,
                Seat::Held(_) => {
                    refusal = Refusal::Taken;
                    continue;
                }
            }
            place.seat = Seat::Held(party.clone());
            return Ok(());
        }
        Err(refusal)
    }

    fn take_any(&mut self, party: &P) {
        let seat = Seat::Held(party.clone());
        let free = |place: &&mut Place<P>| matches!(place.seat, Seat::Free);
        if self.unnamed > 0 {
            self.unnamed -= 1;
        } else if let Some(place) = self.places.iter_mut().find(free) {
            place.seat = seat;
            return;
        } else {
            self.expected += 1;
        }
        self.places.push(Place { name: None, seat });
    }
}

impl<P> Default for Round<P> {
    fn default() -> Self {
        Self {
            arrived: Vec::new(),
            complete: false,
        }
    }
}

//! Sequences of every operation, checked against a plain model: ids, states, priorities, bytes, and exactly what is evicted.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::{Arc, Mutex};

use framealloc::{
    StreamErrorKind as Kind, StreamGuard, StreamGuardMut, StreamId, StreamPriority, StreamState,
    StreamWriter, StreamingAllocator,
};
use proptest::prelude::*;

use super::evictions;
use crate::common::*;

#[derive(Debug, Clone)]
enum Op {
    Reserve(usize, StreamPriority),
    Begin(usize),
    Write(usize, usize),
    Lend(usize),
    Report(usize, usize),
    ReportById(usize, usize),
    Finish(usize),
    FinishById(usize),
    DropWriter(usize),
    Cancel(usize),
    Free(usize),
    Access(usize),
    AccessMut(usize),
    DropGuard(usize),
    Pin(usize),
    Unpin(usize),
    Priority(usize, StreamPriority),
    Budget(usize),
}

fn priority() -> impl Strategy<Value = StreamPriority> {
    prop::sample::select(&StreamPriority::ALL[..])
}

fn op() -> impl Strategy<Value = Op> {
    let n = any::<usize>;
    prop_oneof![
        10 => (0..400_usize, priority()).prop_map(|(size, p)| Op::Reserve(size, p)),
        8 => n().prop_map(Op::Begin),
        5 => (n(), 0..400_usize).prop_map(|(s, len)| Op::Write(s, len)),
        2 => n().prop_map(Op::Lend),
        2 => (n(), 0..500_usize).prop_map(|(s, to)| Op::Report(s, to)),
        2 => (n(), 0..500_usize).prop_map(|(s, to)| Op::ReportById(s, to)),
        7 => n().prop_map(Op::Finish),
        3 => n().prop_map(Op::FinishById),
        1 => n().prop_map(Op::DropWriter),
        1 => n().prop_map(Op::Cancel),
        2 => n().prop_map(Op::Free),
        6 => n().prop_map(Op::Access),
        2 => n().prop_map(Op::AccessMut),
        6 => n().prop_map(Op::DropGuard),
        2 => n().prop_map(Op::Pin),
        2 => n().prop_map(Op::Unpin),
        2 => (n(), priority()).prop_map(|(s, p)| Op::Priority(s, p)),
        1 => (0..3000_usize).prop_map(Op::Budget),
    ]
}

/// A stream as the model knows it. Kept after it has gone, to see that its id stays unknown.
struct Known {
    size: usize,
    priority: StreamPriority,
    /// `None` once it was freed, cancelled or evicted.
    state: Option<StreamState>,
    loaded: usize,
    initialised: usize,
    ending: bool,
    pins: u32,
    used: u64,
    readers: usize,
    exclusive: bool,
    writing: bool,
    contents: Vec<u8>,
}

impl Known {
    /// Whether its bytes count against the budget.
    fn has_memory(&self) -> bool {
        self.state.is_some() || self.readers > 0 || self.exclusive || self.writing
    }

    fn is_evictable(&self) -> bool {
        let borrowed = self.readers > 0 || self.exclusive;
        self.state == Some(StreamState::Ready) && self.pins == 0 && !borrowed && self.size > 0
    }
}

enum Held<'a> {
    Shared(StreamGuard<'a>),
    Exclusive(StreamGuardMut<'a>),
}

struct Model<'a> {
    streaming: &'a StreamingAllocator,
    evicted: Arc<Mutex<Vec<StreamId>>>,
    budget: usize,
    known: BTreeMap<StreamId, Known>,
    writers: BTreeMap<StreamId, StreamWriter>,
    guards: Vec<Held<'a>>,
    clock: u64,
}

impl<'a> Model<'a> {
    fn reserved(&self) -> usize {
        let kept = self.known.values().filter(|known| known.has_memory());
        kept.map(|known| known.size).sum()
    }

    /// The streams that go for `need` bytes, and whether they are enough.
    fn victims(&self, need: usize, highest: StreamPriority) -> (Vec<StreamId>, usize) {
        let mut candidates: Vec<_> = self
            .known
            .iter()
            .filter(|(_, known)| known.is_evictable() && known.priority <= highest)
            .collect();
        candidates.sort_by_key(|(_, known)| (known.priority, known.used));
        let mut bytes = 0;
        let victims = candidates
            .into_iter()
            .take_while(|(_, known)| {
                let wanted = bytes < need;
                bytes += if wanted { known.size } else { 0 };
                wanted
            })
            .map(|(id, _)| *id)
            .collect();
        (victims, bytes)
    }

    /// What was evicted since this was last asked, in order.
    fn evicted(&self) -> Vec<StreamId> {
        std::mem::take(&mut self.evicted.lock().unwrap())
    }

    fn now(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }

    /// What the library does by itself as soon as a stream whose end was asked for is whole.
    fn settle(&mut self, id: StreamId) {
        let known = &self.known[&id];
        let whole = known.loaded == known.size && known.initialised == known.size;
        if known.ending && whole && known.state == Some(StreamState::Loading) {
            self.become_ready(id);
        }
    }

    fn become_ready(&mut self, id: StreamId) {
        let now = self.now();
        let known = self.known.get_mut(&id).unwrap();
        known.state = Some(StreamState::Ready);
        (known.loaded, known.initialised) = (known.size, known.size);
        known.writing = false;
        known.used = now;
    }

    fn pick(&self, n: usize) -> Option<StreamId> {
        // Mostly a recent one.
        let back = if n.is_multiple_of(4) {
            n / 4
        } else {
            n / 4 % 12
        };
        let count = self.known.len().max(1);
        self.known.keys().nth_back(back % count).copied()
    }

    fn pick_writer(&self, n: usize) -> Option<StreamId> {
        self.writers
            .keys()
            .nth(n % self.writers.len().max(1))
            .copied()
    }

    fn run(&mut self, op: &Op) {
        match *op {
            Op::Reserve(size, priority) => return self.reserve(size, priority),
            Op::Budget(budget) => {
                self.budget = budget;
                let excess = self.reserved().saturating_sub(budget);
                let (victims, _) = self.victims(excess, StreamPriority::Critical);
                victims
                    .iter()
                    .for_each(|id| self.known.get_mut(id).unwrap().state = None);
                self.streaming.set_budget(budget);
                assert_eq!(self.evicted(), victims);
                return;
            }
            Op::DropGuard(n) if !self.guards.is_empty() => {
                let (id, contents) = match &self.guards[n % self.guards.len()] {
                    Held::Shared(guard) => (guard.id(), &**guard),
                    Held::Exclusive(guard) => (guard.id(), &**guard),
                };
                let known = self.known.get_mut(&id).unwrap();
                assert_eq!(contents, known.contents);
                match self.guards.swap_remove(n % self.guards.len()) {
                    Held::Shared(_) => known.readers -= 1,
                    Held::Exclusive(_) => known.exclusive = false,
                }
                return;
            }
            _ => {}
        }
        let by_writer = match *op {
            Op::Write(n, _)
            | Op::Lend(n)
            | Op::Report(n, _)
            | Op::Finish(n)
            | Op::DropWriter(n) => self.pick_writer(n),
            _ => None,
        };
        if let Some(id) = by_writer {
            return self.run_writer(op, id);
        }
        match *op {
            Op::Begin(n)
            | Op::ReportById(n, _)
            | Op::FinishById(n)
            | Op::Cancel(n)
            | Op::Free(n)
            | Op::Access(n)
            | Op::AccessMut(n)
            | Op::Pin(n)
            | Op::Unpin(n)
            | Op::Priority(n, _) => {
                if let Some(id) = self.pick(n) {
                    self.run_on(op, id);
                }
            }
            _ => {}
        }
    }

    fn reserve(&mut self, size: usize, priority: StreamPriority) {
        let need = (self.reserved() + size).saturating_sub(self.budget);
        let (victims, bytes) = self.victims(need, priority);
        let fits = size == 0 || bytes >= need;
        let available = self.budget.saturating_sub(self.reserved());
        match self.streaming.reserve(size, priority) {
            Ok(id) => {
                assert!(fits, "{size} bytes were let in");
                if size != 0 {
                    assert_eq!(self.evicted(), victims);
                    victims
                        .iter()
                        .for_each(|id| self.known.get_mut(id).unwrap().state = None);
                }
                let known = Known {
                    size,
                    priority,
                    state: Some(StreamState::Reserved),
                    loaded: 0,
                    initialised: 0,
                    ending: false,
                    pins: 0,
                    used: 0,
                    readers: 0,
                    exclusive: false,
                    writing: false,
                    contents: vec![0; size],
                };
                assert!(
                    self.known.insert(id, known).is_none(),
                    "an id was used again"
                );
            }
            Err(error) => {
                assert!(!fits, "{error}");
                assert_eq!(error.kind(), Kind::BudgetExhausted);
                assert_eq!((error.requested(), error.available()), (size, available));
                // At best what is being read as well.
                assert!(error.evictable() >= bytes);
            }
        }
    }

    fn run_writer(&mut self, op: &Op, id: StreamId) {
        let known = self.known.get_mut(&id).unwrap();
        let loads = known.state == Some(StreamState::Loading);
        let writer = self.writers.get_mut(&id).unwrap();
        let stamp = self.clock as u8 | 1;
        match *op {
            Op::Write(_, len) => {
                let at = writer.position();
                let len = len.min(writer.remaining());
                let written = writer.write(&vec![stamp; len]);
                assert_eq!(written.is_ok(), loads || len == 0);
                if loads && len > 0 {
                    known.contents[at..at + len].fill(stamp);
                    known.loaded = known.loaded.max(at + len);
                    known.initialised = known.initialised.max(at + len);
                }
            }
            Op::Lend(_) => match writer.try_as_mut_slice() {
                Ok(mut bytes) => {
                    assert!(loads || known.writing);
                    assert_eq!(*bytes, known.contents[..]);
                    if let Some(last) = bytes.last_mut() {
                        *last = stamp;
                        *known.contents.last_mut().unwrap() = stamp;
                    }
                    known.initialised = known.size;
                }
                Err(_) => assert!(!loads),
            },
            Op::Report(_, to) => {
                assert_eq!(writer.report_progress(to), loads);
                if loads {
                    known.loaded = known.loaded.max(to.min(known.size));
                }
            }
            Op::Finish(_) => {
                let freed = known.writing && known.state.is_none();
                let finished = self.writers.remove(&id).unwrap().finish();
                assert_eq!(finished.is_err(), freed);
                known.writing = false;
                if loads {
                    self.become_ready(id);
                }
                return;
            }
            Op::DropWriter(_) => {
                let all_told = known.loaded == known.size;
                let whole = all_told && known.initialised == known.size;
                let ending = known.ending;
                known.writing = false;
                self.writers.remove(&id);
                if loads && ending && all_told {
                    self.become_ready(id);
                } else if loads && !whole {
                    self.known.get_mut(&id).unwrap().state = None;
                }
                return;
            }
            _ => unreachable!(),
        }
        self.settle(id);
    }

    fn run_on(&mut self, op: &Op, id: StreamId) {
        let now = self.now();
        let known = self.known.get_mut(&id).unwrap();
        let (state, streaming) = (known.state, self.streaming);
        match *op {
            Op::Begin(_) => match streaming.begin_load(id) {
                Ok(writer) => {
                    assert_eq!(state, Some(StreamState::Reserved));
                    known.state = Some(StreamState::Loading);
                    known.writing = true;
                    self.writers.insert(id, writer);
                }
                Err(error) => {
                    assert_ne!(state, Some(StreamState::Reserved));
                    assert_eq!(error.state(), state);
                }
            },
            Op::ReportById(_, to) => {
                let loads = state == Some(StreamState::Loading);
                assert_eq!(streaming.report_progress(id, to), loads);
                if loads {
                    known.loaded = known.loaded.max(to.min(known.size));
                    self.settle(id);
                }
            }
            Op::FinishById(_) => {
                let fits = matches!(state, Some(StreamState::Loading | StreamState::Ready));
                assert_eq!(streaming.try_finish_load(id).is_ok(), fits);
                known.ending |= fits;
                self.settle(id);
            }
            Op::Cancel(_) => {
                let unfinished =
                    matches!(state, Some(StreamState::Reserved | StreamState::Loading));
                assert_eq!(streaming.cancel(id).is_ok(), unfinished);
                if unfinished {
                    known.state = None;
                }
            }
            Op::Free(_) => {
                assert_eq!(streaming.free(id), state.is_some());
                known.state = None;
            }
            Op::Access(_) => match streaming.try_access(id) {
                Ok(guard) => {
                    assert!(state == Some(StreamState::Ready) && !known.exclusive);
                    assert_eq!(*guard, known.contents[..]);
                    known.readers += 1;
                    known.used = now;
                    self.guards.push(Held::Shared(guard));
                }
                Err(error) if error.kind() == Kind::InUse => assert!(known.exclusive),
                Err(error) => {
                    assert_ne!(state, Some(StreamState::Ready));
                    assert_eq!(error.state(), state);
                }
            },
            Op::AccessMut(_) => match streaming.try_access_mut(id) {
                Ok(mut guard) => {
                    assert!(state == Some(StreamState::Ready));
                    assert!(!known.exclusive && known.readers == 0);
                    guard.fill(now as u8);
                    known.contents.fill(now as u8);
                    known.exclusive = true;
                    known.used = now;
                    self.guards.push(Held::Exclusive(guard));
                }
                Err(error) if error.kind() == Kind::InUse => {
                    assert!(known.exclusive || known.readers > 0);
                }
                Err(_) => assert_ne!(state, Some(StreamState::Ready)),
            },
            Op::Pin(_) => {
                assert_eq!(streaming.pin(id).is_ok(), state.is_some());
                known.pins += u32::from(state.is_some());
            }
            Op::Unpin(_) => {
                let pinned = state.is_some() && known.pins > 0;
                assert_eq!(streaming.unpin(id).is_ok(), pinned);
                known.pins -= u32::from(pinned);
            }
            Op::Priority(_, priority) => {
                let changed = streaming.set_priority(id, priority);
                assert_eq!(changed.is_ok(), state.is_some());
                if state.is_some() {
                    known.priority = priority;
                }
            }
            _ => unreachable!(),
        }
    }

    fn check(&self) {
        assert_eq!(self.evicted(), []);
        let live = || self.known.values().filter(|known| known.state.is_some());
        let stats = self.streaming.stats();
        assert_eq!(stats.total_reserved, self.reserved());
        assert_eq!(stats.allocation_count, live().count());
        let count = |state| live().filter(|known| known.state == Some(state)).count();
        assert_eq!(stats.reserved_count, count(StreamState::Reserved));
        assert_eq!(stats.loading_count, count(StreamState::Loading));
        assert_eq!(stats.ready_count, count(StreamState::Ready));
        let in_memory = self.known.values().filter(|known| known.has_memory());
        assert_eq!(
            stats.total_loaded,
            in_memory.map(|known| known.loaded).sum::<usize>()
        );
        for (id, known) in &self.known {
            assert_eq!(self.streaming.state(*id), known.state);
            let progress = self.streaming.progress(*id);
            let expected = known.state.map(|_| (known.loaded, known.size));
            assert_eq!(progress.map(|p| (p.loaded, p.total)), expected);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_sequence_of_operations_does_what_the_model_does(ops in prop::collection::vec(op(), 1..250)) {
        let streaming = StreamingAllocator::new(1500);
        let mut model = Model {
            streaming: &streaming,
            evicted: evictions(&streaming),
            budget: 1500,
            known: BTreeMap::new(),
            writers: BTreeMap::new(),
            guards: Vec::new(),
            clock: 0,
        };
        reported(|| {
            for op in &ops {
                model.run(op);
                model.check();
            }
        });
    }
}

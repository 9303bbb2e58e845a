//! All parts of one allocator together, on two threads: whatever they do in whatever order, every value is dropped once, holds
//! what was written until then, and no budget keeps a byte in the end.
//!
//! Each part has a model of its own elsewhere. Here the model is no more than that, and what is tried is how they meet.

mod values;

use std::collections::HashMap;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;

use framealloc::diagnostics::{DiagnosticCode, capture};
use framealloc::tags::{TagId, TagScope, TagTotals};
use framealloc::{
    AllocConfig, AllocError, AllocErrorKind, BudgetExceededPolicy, FrameCheckpoint, GroupId,
    RetentionPolicy, SmartAlloc, StreamId, StreamPriority, ThreadBudgetConfig,
};
use proptest::prelude::*;
use values::*;

/// Where a value is put.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(fuzzing, derive(arbitrary::Arbitrary))]
pub enum Place {
    Frame,
    FrameSlice,
    Pool,
    Heap,
    Vector,
    Map,
    Scratch,
    ScratchSlice,
    Retained,
    Group,
    Handle,
    PoolAway,
    HeapAway,
    ScratchAway,
    Transfer,
}

const PLACES: [Place; 15] = {
    use Place::*;
    [
        Frame,
        FrameSlice,
        Pool,
        Heap,
        Vector,
        Map,
        Scratch,
        ScratchSlice,
        Retained,
        Group,
        Handle,
        PoolAway,
        HeapAway,
        ScratchAway,
        Transfer,
    ]
};

#[derive(Debug, Clone)]
#[cfg_attr(fuzzing, derive(arbitrary::Arbitrary))]
pub enum Op {
    /// A value of one of four types.
    Make(Place, usize),
    Poke(usize),
    Drop(usize),
    Receive,
    Begin,
    End,
    Promote,
    ClearRetained,
    Mark,
    RollBack(usize),
    Load(usize),
    FreeStream(usize),
    NewGroup,
    FreeGroup(usize),
    FreeNamed(usize),
    Defragment(usize),
    ResetScratch(usize),
    Deferred(usize),
    /// Budgets: of all, of a tag, of a thread, of streams.
    Limit(usize, usize),
    Within(Scope, usize, Vec<Op>),
}

/// What other operations run in.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(fuzzing, derive(arbitrary::Arbitrary))]
pub enum Scope {
    Tag,
    Phase,
    Guard,
    Speculative,
    Checkpoint,
    Rewound,
    Named,
    Pinned,
    Stream,
    Panic,
}

fn op() -> impl Strategy<Value = Op> {
    let any = any::<usize>();
    let flat = prop_oneof![
        30 => (0..PLACES.len(), any).prop_map(|(place, n)| Op::Make(PLACES[place], n)),
        10 => any.prop_map(Op::Poke),
        8 => any.prop_map(Op::Drop),
        3 => Just(Op::Receive),
        6 => Just(Op::Begin),
        3 => Just(Op::End),
        2 => Just(Op::Promote),
        1 => Just(Op::ClearRetained),
        2 => Just(Op::Mark),
        2 => any.prop_map(Op::RollBack),
        4 => any.prop_map(Op::Load),
        1 => any.prop_map(Op::FreeStream),
        1 => Just(Op::NewGroup),
        1 => any.prop_map(Op::FreeGroup),
        2 => any.prop_map(Op::FreeNamed),
        2 => any.prop_map(Op::Defragment),
        2 => any.prop_map(Op::ResetScratch),
        1 => any.prop_map(Op::Deferred),
        2 => (any, any).prop_map(|(what, n)| Op::Limit(what, n)),
    ];
    flat.prop_recursive(3, 30, 8, move |inner| {
        let scope = prop_oneof![
            3 => Just(Scope::Tag),
            1 => Just(Scope::Phase),
            3 => Just(Scope::Guard),
            2 => Just(Scope::Speculative),
            2 => Just(Scope::Checkpoint),
            1 => Just(Scope::Rewound),
            2 => Just(Scope::Named),
            1 => Just(Scope::Pinned),
            2 => Just(Scope::Stream),
            1 => Just(Scope::Panic),
        ];
        let ops = prop::collection::vec(inner, 1..8);
        (scope, any, ops).prop_map(|(scope, n, ops)| Op::Within(scope, n, ops))
    })
}

/// What both threads know of.
#[derive(Default)]
struct Shared {
    named: Mutex<Vec<Arc<dyn Named>>>,
    groups: Mutex<Vec<GroupId>>,
    streams: Mutex<Vec<StreamId>>,
}

fn pick<T: Clone>(of: &Mutex<Vec<T>>, n: usize) -> Option<T> {
    let of = of.lock().unwrap();
    (!of.is_empty()).then(|| of[n % of.len()].clone())
}

fn remove<T>(of: &Mutex<Vec<T>>, n: usize) -> Option<T> {
    let mut of = of.lock().unwrap();
    let at = n.checked_rem(of.len())?;
    Some(of.swap_remove(at))
}

/// What a stream holds all over.
fn byte(id: StreamId) -> u8 {
    (id.raw().wrapping_mul(0x9E37_79B9) >> 13) as u8 | 1
}

struct Runner<'a> {
    alloc: &'a SmartAlloc,
    shared: &'a Shared,
    books: &'a Arc<Books>,
    held: Vec<Box<dyn Held + 'a>>,
    marks: Vec<FrameCheckpoint>,
    inbox: Receiver<Box<dyn Parcel>>,
    outbox: Sender<Box<dyn Parcel>>,
}

const POOLS: [&str; 2] = ["everything_a", "everything_b"];

impl<'a> Runner<'a> {
    fn run(&mut self, ops: &[Op]) {
        for op in ops {
            self.step(op);
        }
    }

    fn step(&mut self, op: &Op) {
        let alloc = self.alloc;
        match *op {
            Op::Make(place, n) => match n % 4 {
                0 => self.make::<Small>(place, n / 4),
                1 => self.make::<Middle>(place, n / 4),
                2 => self.make::<Large>(place, n / 4),
                _ => self.make::<Wide>(place, n / 4),
            },
            Op::Poke(n) => {
                let books = self.books;
                if let Some(at) = n.checked_rem(self.held.len()) {
                    self.held[at].poke(books, n / 7);
                }
            }
            Op::Drop(n) => {
                if let Some(at) = n.checked_rem(self.held.len()) {
                    self.held.swap_remove(at);
                }
            }
            Op::Receive => {
                while let Ok(parcel) = self.inbox.try_recv() {
                    self.held.push(parcel.arrive());
                }
            }
            Op::Begin => alloc.begin_frame(),
            Op::End => alloc.end_frame(),
            Op::Promote => {
                let items = alloc.end_frame_with_promotions().promoted;
                let items = items
                    .into_iter()
                    .map(|item| Box::new(Item::Waits(item)) as _);
                self.held.extend(items);
            }
            Op::ClearRetained => alloc.clear_retained(),
            Op::Mark => self.marks.push(alloc.frame_checkpoint()),
            Op::RollBack(n) => {
                if let Some(at) = n.checked_rem(self.marks.len()) {
                    alloc.rollback_to(self.marks[at]);
                }
            }
            Op::Load(n) => self.load(n),
            Op::FreeStream(n) => {
                let id = remove(&self.shared.streams, n);
                id.map(|id| alloc.streaming().free(id));
            }
            Op::NewGroup => {
                let group = alloc.groups().create_group("everything");
                self.shared.groups.lock().unwrap().push(group);
            }
            Op::FreeGroup(n) => {
                let group = remove(&self.shared.groups, n);
                group.map(|group| alloc.groups().free_group(group));
            }
            Op::FreeNamed(n) => {
                if let Some(named) = remove(&self.shared.named, n) {
                    named.free(alloc.handles());
                }
            }
            Op::Defragment(n) => {
                match n % 3 {
                    0 => alloc.handles().defragment(),
                    _ => alloc.handles().defragment_step(n % 50_000),
                };
            }
            Op::ResetScratch(n) => {
                let scratch = alloc.scratch();
                match n % 4 {
                    0 => drop(scratch.reset_all()),
                    1 => drop(scratch.remove(POOLS[n / 4 % 2])),
                    _ => alloc.scratch_pool(POOLS[n / 4 % 2]).reset(),
                }
            }
            Op::Deferred(n) => drop(alloc.process_deferred_frees(n % 100)),
            Op::Limit(what, n) => self.limit(what, n),
            Op::Within(scope, n, ref ops) => self.within(scope, n, ops),
        }
    }

    /// Refusals are part of it; anything else is not.
    fn may_refuse<V>(&self, made: Result<V, AllocError>) -> Option<V> {
        use AllocErrorKind::*;
        match made {
            Ok(value) => Some(value),
            Err(error) => {
                let expected = matches!(error.kind(), NoFrame | ArenaExhausted | ScratchPoolFull);
                assert!(expected || error.kind().is_budget(), "{error}");
                None
            }
        }
    }

    fn hold(&mut self, held: Option<impl Held + 'a>) {
        self.held.extend(held.map(|held| Box::new(held) as _));
    }

    fn send(&self, parcel: Option<impl Parcel + 'static>) {
        if let Some(parcel) = parcel {
            // The other thread may have ended.
            let _ = self.outbox.send(Box::new(parcel));
        }
    }

    fn make<T: Pattern>(&mut self, place: Place, n: usize) {
        let (alloc, books) = (self.alloc, self.books);
        let new = || T::new(books);
        let some = n % 7;
        match place {
            Place::Frame => self.hold(self.may_refuse(alloc.frame_box(new())).map(One)),
            Place::FrameSlice => {
                let slice = alloc.frame_slice_fill_with(some, |_| new());
                self.hold(self.may_refuse(slice).map(Many));
            }
            Place::Pool => self.hold(self.may_refuse(alloc.pool_box(new())).map(One)),
            Place::Heap => self.hold(self.may_refuse(alloc.heap_box(new())).map(One)),
            Place::Vector => {
                let vec = self.may_refuse(alloc.try_frame_vec::<T>(some));
                self.hold(vec.map(|vec| Vector(vec, Vec::new())));
            }
            Place::Map => {
                let map = self.may_refuse(alloc.try_frame_map::<u64, T>(some));
                self.hold(map.map(|map| Map(map, HashMap::new())));
            }
            Place::Scratch => {
                let made = alloc.scratch_pool(POOLS[n % 2]).try_alloc_box(new());
                self.hold(self.may_refuse(made.map_err(|no| no.error)).map(One));
            }
            Place::ScratchSlice => {
                let pool = alloc.scratch_pool(POOLS[n % 2]);
                let made = pool.try_alloc_slice_fill_with(some, |_| new());
                self.hold(self.may_refuse(made).map(Many));
            }
            Place::Retained => {
                let policy = match n % 5 {
                    0 => RetentionPolicy::Discard,
                    1 => RetentionPolicy::PromoteToPool,
                    2 => RetentionPolicy::PromoteToHeap,
                    3 => RetentionPolicy::PromoteToScratch(POOLS[0]),
                    _ => RetentionPolicy::PromoteToScratch("everything_nowhere"),
                };
                let made = self.may_refuse(alloc.try_frame_retained_with(policy, new()));
                // Half of them are let go at once.
                self.hold(made.filter(|_| (n / 5).is_multiple_of(2)).map(Retained));
            }
            Place::Group => {
                if let Some(group) = pick(&self.shared.groups, n)
                    && let Ok(named) = alloc.groups().try_alloc_val(group, new())
                {
                    self.shared.named.lock().unwrap().push(Arc::new(named));
                }
            }
            Place::Handle => {
                if let Ok(named) = alloc.handles().insert(new()) {
                    self.shared.named.lock().unwrap().push(Arc::new(named));
                }
            }
            Place::PoolAway => self.send(self.may_refuse(alloc.pool_box(new())).map(One)),
            Place::HeapAway => self.send(self.may_refuse(alloc.heap_box(new())).map(One)),
            Place::ScratchAway => {
                let made = alloc.scratch_pool(POOLS[n % 2]).try_alloc_box(new());
                self.send(self.may_refuse(made.map_err(|no| no.error)).map(One));
            }
            Place::Transfer => {
                self.send(
                    alloc
                        .try_frame_box_for_transfer(new())
                        .ok()
                        .map(Transferred),
                );
            }
        }
    }

    /// Loads a stream, which the other thread may use or free from the moment it is reserved.
    fn load(&mut self, n: usize) {
        use StreamPriority::*;
        let streaming = self.alloc.streaming();
        let priority = [Low, Normal, High, Critical][n % 4];
        let Ok(id) = streaming.reserve(n / 4 % 40_000, priority) else {
            return;
        };
        self.shared.streams.lock().unwrap().push(id);
        let Ok(mut writer) = streaming.begin_load(id) else {
            return;
        };
        match n % 5 {
            0 => drop(writer),
            1 => {
                streaming.finish_load(id);
                let _ = std::io::copy(&mut std::io::repeat(byte(id)), &mut writer);
            }
            _ => {
                let bytes = vec![byte(id); writer.len()];
                let (first, rest) = bytes.split_at(bytes.len() / 3);
                if writer.write_all(first).is_ok() && writer.write_all(rest).is_ok() {
                    let _ = writer.finish();
                }
            }
        }
    }

    fn limit(&mut self, what: usize, n: usize) {
        let bytes = [0, 1 << 10, 20 << 10, 100 << 10, 1 << 20, 1 << 30][n % 6];
        let policy = match n / 6 % 4 {
            0 => BudgetExceededPolicy::Warn,
            1 => BudgetExceededPolicy::Promote,
            _ => BudgetExceededPolicy::Fail,
        };
        let alloc = self.alloc;
        match (what % 4, alloc.budgets()) {
            (0, Some(budgets)) => budgets.set_global_limit(bytes),
            (1, Some(budgets)) => {
                let tag = TagId::from_path("everything").child(TAGS[what / 4 % TAGS.len()]);
                match n / 24 % 4 {
                    0 => budgets.unregister(tag),
                    _ => budgets.register(tag, bytes / 2, bytes, policy),
                }
            }
            (2, _) => alloc.streaming().set_budget(bytes),
            _ => {
                let config = ThreadBudgetConfig {
                    frame_budget: bytes,
                    pool_budget: bytes * 2,
                    frame_exceeded_policy: policy,
                    pool_exceeded_policy: policy,
                    ..Default::default()
                };
                alloc.set_thread_budget_config(thread::current().id(), config);
            }
        }
    }

    fn within(&mut self, scope: Scope, n: usize, ops: &[Op]) {
        let (alloc, shared, books) = (self.alloc, self.shared, self.books);
        match scope {
            Scope::Tag => alloc.with_tag(TAGS[n % TAGS.len()], |_| self.run(ops)),
            Scope::Phase => {
                let _phase = alloc.phase_scope("everything");
                self.run(ops);
            }
            Scope::Guard => {
                let Some(frame) = self.may_refuse(alloc.try_frame()) else {
                    return self.run(ops);
                };
                let len = n % 20_000;
                let bytes = self.may_refuse(frame.try_alloc_slice_fill(len, n as u8));
                let value = self.may_refuse(frame.try_alloc_box(Middle::new(books)));
                self.run(ops);
                if let Some(bytes) = bytes {
                    assert!(bytes.iter().all(|byte| *byte == n as u8));
                }
                if let Some(value) = value {
                    value.check();
                }
            }
            Scope::Speculative => {
                let result = alloc.speculative(|| {
                    self.run(ops);
                    if n.is_multiple_of(3) { Ok(()) } else { Err(()) }
                });
                assert_eq!(result.is_ok(), n.is_multiple_of(3));
            }
            Scope::Checkpoint => {
                let guard = alloc.checkpoint_guard();
                self.run(ops);
                if n.is_multiple_of(2) {
                    guard.commit();
                }
            }
            Scope::Rewound => alloc.scope(|_| self.run(ops)),
            Scope::Named => match pick(&shared.named, n) {
                Some(named) => {
                    named.hold(alloc.handles(), n.is_multiple_of(2), &mut || self.run(ops))
                }
                None => self.run(ops),
            },
            Scope::Pinned => match pick(&shared.named, n) {
                Some(named) => named.pin(alloc.handles(), &mut || self.run(ops)),
                None => self.run(ops),
            },
            Scope::Stream => {
                let id = pick(&shared.streams, n);
                if let Some(id) = id
                    && n.is_multiple_of(4)
                    && let Some(mut bytes) = alloc.streaming().access_mut(id)
                {
                    self.run(ops);
                    assert!(bytes.iter().all(|b| *b == byte(id)));
                    bytes.fill(byte(id));
                } else if let Some(id) = id
                    && let Some(bytes) = alloc.streaming().access(id)
                {
                    self.run(ops);
                    assert!(bytes.iter().all(|b| *b == byte(id)));
                } else {
                    self.run(ops);
                }
            }
            Scope::Panic => {
                let unwound = catch_unwind(AssertUnwindSafe(|| {
                    alloc.with_tag("panics", |alloc| {
                        let _phase = alloc.phase_scope("panics");
                        let _frame = alloc.try_frame();
                        let _value = alloc.frame_box(Middle::new(books));
                        let _also = alloc.pool_box(Wide::new(books));
                        let checkpoint = alloc.checkpoint_guard();
                        self.run(ops);
                        let _built = alloc
                            .frame_box_with(|| -> Middle { resume_unwind(Box::new("on purpose")) });
                        checkpoint.commit();
                    });
                }));
                let said = unwound.err().and_then(|said| said.downcast::<&str>().ok());
                if let Some(said) = said {
                    assert_eq!(*said, "on purpose");
                }
            }
        }
        self.held.iter().for_each(|held| held.check());
    }
}

const TAGS: [&str; 3] = ["ai", "net", "render"];

/// What each of two threads does.
fn sequences() -> impl Strategy<Value = [Vec<Op>; 2]> {
    prop::array::uniform2(prop::collection::vec(op(), 1..60))
}

pub fn check(budgets: bool, sequences: &[Vec<Op>; 2]) {
    let config = AllocConfig::minimal()
        .with_budgets(budgets)
        .with_max_frame_arena_size(4 << 20)
        .with_scratch_pool_size(64 << 10)
        .with_max_scratch_pool_size(256 << 10)
        .with_streaming_budget(200 << 10);
    let alloc = SmartAlloc::new(config);
    let budgets = alloc.budgets().cloned();
    let root = TagId::from_path("everything");
    let before = TagTotals::capture().within(root);
    let books = Arc::new(Books::default());
    let shared = Shared::default();

    let (to_first, first) = channel();
    let (to_second, second) = channel();
    let ends = [(first, to_second), (second, to_first)];
    thread::scope(|scope| {
        let threads = sequences.iter().zip(ends).map(|(ops, (inbox, outbox))| {
            let (alloc, shared, books) = (&alloc, &shared, &books);
            scope.spawn(move || {
                let ((), reports) = capture(|| {
                    let _tag = TagScope::enter(root);
                    let mut runner = Runner {
                        alloc,
                        shared,
                        books,
                        held: Vec::new(),
                        marks: Vec::new(),
                        inbox,
                        outbox,
                    };
                    runner.run(ops);
                    assert_eq!(TagId::current(), root);
                    // Half of the threads end in the middle of a frame.
                    if ops.len() % 2 == 0 {
                        drop(runner);
                        let _ = alloc.try_end_frame();
                    }
                });
                assert!(
                    reports
                        .iter()
                        .all(|report| report.code != DiagnosticCode::FA901)
                );
            })
        });
        for thread in threads.collect::<Vec<_>>() {
            thread.join().unwrap();
        }
    });
    // What the allocator owns goes with it: values in groups, behind handles, and retained by threads that have ended.
    drop(shared);
    let ((), _) = capture(|| drop(alloc));
    assert_eq!(books.settle(), 0, "of {} values", books.made());

    if let Some(budgets) = budgets {
        assert_eq!(budgets.current_usage(), 0);
        for budget in budgets.get_all_tag_budgets() {
            assert_eq!(budget.current_usage, 0, "{}", budget.name);
        }
    }
    let after = TagTotals::capture().within(root);
    assert_eq!(after.heap.live_bytes(), before.heap.live_bytes());
    assert_eq!(after.pool.live_bytes(), before.pool.live_bytes());
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 200,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn all_parts_together_drop_every_value_once_and_give_every_byte_back(
        budgets in any::<bool>(),
        sequences in sequences(),
    ) {
        check(budgets || crate::METERED, &sequences);
    }
}

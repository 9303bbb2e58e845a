//! Sequences of operations, checked against a plain model of who refers to each value.

use framealloc::FrameRetained;
use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
enum Op {
    Begin,
    End,
    Promote,
    Clear,
    /// Retains a value: with this policy, and its handle is kept or not.
    Retain(usize, bool),
    RetainLarge(usize, bool),
    DropHandle(usize),
    DropItem(usize),
    TakeItem(usize),
    Box,
    ResetScratch,
}

fn op() -> impl Strategy<Value = Op> {
    let policy = 0..POLICIES.len();
    prop_oneof![
        4 => Just(Op::Begin),
        1 => Just(Op::End),
        3 => Just(Op::Promote),
        1 => Just(Op::Clear),
        10 => (policy.clone(), any::<bool>()).prop_map(|(p, keep)| Op::Retain(p, keep)),
        2 => (policy, any::<bool>()).prop_map(|(p, keep)| Op::RetainLarge(p, keep)),
        5 => any::<usize>().prop_map(Op::DropHandle),
        3 => any::<usize>().prop_map(Op::DropItem),
        4 => any::<usize>().prop_map(Op::TakeItem),
        2 => Just(Op::Box),
        1 => Just(Op::ResetScratch),
    ]
}

const POLICIES: [RetentionPolicy; 6] = [
    Discard,
    PromoteToPool,
    PromoteToHeap,
    PromoteToScratch("roomy"),
    PromoteToScratch("narrow"),
    PromoteToScratch("nowhere"),
];

type Large = ([u8; 50_000], Live);

enum Handle<'a> {
    Small(FrameRetained<'a, Live>),
    Large(FrameRetained<'a, Large>),
}

impl Handle<'_> {
    fn live(&self) -> &Live {
        match self {
            Self::Small(live) => live,
            Self::Large(large) => &large.1,
        }
    }
}

/// A value and who refers to it.
struct Model<'a> {
    stamp: u64,
    handle: Option<Handle<'a>>,
    item: Option<PromotedAllocation>,
    /// Retained in the open frame.
    due: bool,
    policy: RetentionPolicy,
}

impl Model<'_> {
    fn lives(&self) -> bool {
        self.handle.is_some() || self.item.is_some() || self.due
    }

    fn check(&self) {
        if let Some(handle) = &self.handle {
            assert_eq!(handle.live().stamp, self.stamp);
        }
        if let Some(item) = &self.item {
            assert_eq!(item.is_in_use(), self.handle.is_some());
            assert!(self.policy.promotes());
        }
    }
}

/// The stamp of a taken value; or the item, if the value is in use.
fn take(item: PromotedAllocation) -> Result<u64, Box<PromotedAllocation>> {
    fn stamp<P>(
        small: Result<impl std::ops::Deref<Target = Live>, framealloc::DowncastError<P>>,
        large: impl FnOnce(framealloc::Promoted<P>) -> Result<u64, framealloc::DowncastError<P>>,
    ) -> Result<u64, framealloc::Promoted<P>> {
        match small {
            Ok(live) => Ok(live.stamp),
            Err(error) if error.kind == DowncastErrorKind::OtherType => {
                large(error.item).map_err(|error| error.item)
            }
            Err(error) => Err(error.item),
        }
    }
    macro_rules! take {
        ($value:ident, $again:expr) => {
            stamp($value.downcast::<Live>(), |value| {
                value.downcast::<Large>().map(|large| large.1.stamp)
            })
            .map_err(|value| Box::new($again(value)))
        };
    }
    match item {
        PromotedAllocation::Pool {
            value,
            size,
            tag,
            type_name,
        } => take!(value, |value| {
            PromotedAllocation::Pool {
                value,
                size,
                tag,
                type_name,
            }
        }),
        PromotedAllocation::Heap {
            value,
            size,
            tag,
            type_name,
        } => take!(value, |value| {
            PromotedAllocation::Heap {
                value,
                size,
                tag,
                type_name,
            }
        }),
        PromotedAllocation::Scratch {
            value,
            size,
            tag,
            type_name,
            pool_name,
        } => {
            take!(value, |value| {
                PromotedAllocation::Scratch {
                    value,
                    size,
                    tag,
                    type_name,
                    pool_name,
                }
            })
        }
        PromotedAllocation::Failed { reason, mut meta } => {
            let taken = stamp(meta.value.downcast::<Live>(), |value| {
                value.downcast::<Large>().map(|large| large.1.stamp)
            });
            match taken {
                Ok(stamp) => Ok(stamp),
                Err(value) => {
                    meta.value = value;
                    Err(Box::new(PromotedAllocation::Failed { reason, meta }))
                }
            }
        }
    }
}

fn run(alloc: &SmartAlloc, ops: &[Op], counter: &Arc<AtomicUsize>, alone: bool) {
    let mut values: Vec<Model<'_>> = Vec::new();
    let mut boxes = Vec::new();
    let mut open = false;
    for (stamp, op) in (1..).zip(ops) {
        match *op {
            Op::Begin => {
                assert_eq!(alloc.try_begin_frame().is_ok(), !open);
                open = true;
            }
            Op::End => {
                assert_eq!(alloc.try_end_frame().is_ok(), open);
                open = false;
                values.iter_mut().for_each(|value| value.due = false);
            }
            Op::Clear => {
                alloc.clear_retained();
                values.iter_mut().for_each(|value| value.due = false);
            }
            Op::Promote => {
                let result = alloc.try_end_frame_with_promotions();
                assert_eq!(result.is_ok(), open);
                open = false;
                let Ok(result) = result else { continue };
                let due = values.iter().filter(|value| value.due);
                let summary = &result.summary;
                assert_eq!(summary.total_retained_count(), due.clone().count());
                let promoted = due.filter(|value| value.policy.promotes());
                assert_eq!(promoted.count(), result.promoted.len());
                let mut items = result.promoted.into_iter();
                for value in values.iter_mut().filter(|value| value.due) {
                    value.due = false;
                    if value.policy.promotes() {
                        let item = items.next().unwrap();
                        let success = item.is_success();
                        assert!(!success || value.policy != PromoteToScratch("nowhere"));
                        assert!(
                            success
                                || matches!(value.policy, PromoteToScratch("narrow" | "nowhere"))
                        );
                        value.item = Some(item);
                    }
                }
            }
            Op::Retain(policy, keep) | Op::RetainLarge(policy, keep) => {
                let policy = POLICIES[policy];
                let value = Live::new(stamp, counter);
                let handle = if matches!(op, Op::Retain(..)) {
                    alloc
                        .try_frame_retained_with(policy, value)
                        .map(Handle::Small)
                } else {
                    alloc
                        .try_frame_retained_with(policy, ([7; 50_000], value))
                        .map(Handle::Large)
                };
                assert_eq!(handle.is_ok(), open);
                let Ok(handle) = handle else { continue };
                values.push(Model {
                    stamp,
                    handle: keep.then_some(handle),
                    item: None,
                    due: true,
                    policy,
                });
            }
            Op::DropHandle(n) if !values.is_empty() => {
                let index = n % values.len();
                values[index].handle = None;
            }
            Op::DropItem(n) if !values.is_empty() => {
                let index = n % values.len();
                values[index].item = None;
            }
            Op::TakeItem(n) if !values.is_empty() => {
                let index = n % values.len();
                let value = &mut values[index];
                if let Some(item) = value.item.take() {
                    match take(item) {
                        Ok(stamp) => {
                            assert!(value.handle.is_none());
                            assert_eq!(stamp, value.stamp);
                        }
                        Err(item) => {
                            assert!(value.handle.is_some());
                            value.item = Some(*item);
                        }
                    }
                }
            }
            Op::DropHandle(_) | Op::DropItem(_) | Op::TakeItem(_) => {}
            Op::Box => {
                let boxed = alloc.frame_box(stamp);
                assert_eq!(boxed.is_ok(), open);
                boxes.extend(boxed.map(|boxed| (stamp, boxed)));
                if stamp % 3 == 0 {
                    boxes.clear();
                }
            }
            Op::ResetScratch => drop(alloc.scratch_pool("roomy").try_reset()),
        }
        values.retain(Model::lives);
        values.iter().for_each(Model::check);
        assert!(boxes.iter().all(|(stamp, boxed)| stamp == &**boxed));
        if alone {
            assert_eq!(counter.load(Relaxed), values.len());
        }
        assert_eq!(
            alloc.retained_count(),
            values.iter().filter(|value| value.due).count()
        );
    }
    drop(boxes);
    drop(values);
    let _ = alloc.try_end_frame();
    assert_eq!(retired_here(alloc), 0);
}

/// Chunks of the calling thread's arena that are kept apart.
fn retired_here(alloc: &SmartAlloc) -> usize {
    let name = thread::current().name().map(str::to_owned);
    alloc
        .arenas()
        .iter()
        .filter(|arena| Some(&arena.thread) == name.as_ref())
        .map(|arena| arena.retired_chunks)
        .sum()
}

fn roomy() -> SmartAlloc {
    let alloc = SmartAlloc::new(minimal().with_max_frame_arena_size(1 << 30));
    alloc.scratch_pool("roomy");
    alloc.scratch().get_or_create_with("narrow", 64, 1 << 10);
    alloc
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_sequence_of_retentions_keeps_what_is_held_and_drops_the_rest(
        ops in prop::collection::vec(op(), 1..200)
    ) {
        let (counter, count) = live();
        let alloc = roomy();
        reported(|| run(&alloc, &ops, &counter, true));
        prop_assert_eq!(count(), 0);
        let ((), codes) = reported(|| busy_frames(&alloc, 2));
        prop_assert_eq!(codes, []);
    }

    #[test]
    fn threads_with_retentions_of_their_own_do_not_disturb_each_other(
        sequences in prop::collection::vec(prop::collection::vec(op(), 1..120), 3)
    ) {
        let (counter, count) = live();
        let alloc = roomy();
        thread::scope(|scope| {
            for ops in &sequences {
                let (alloc, counter) = (&alloc, &counter);
                scope.spawn(move || reported(|| run(alloc, ops, counter, false)));
            }
        });
        prop_assert_eq!(count(), 0);
    }
}

//! Sequences of operations on one pool, checked against a plain model.

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
enum Op {
    Box,
    Slice(usize),
    Aligned,
    Collect(usize),
    Drop(usize),
    Take(usize),
    Reset,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => Just(Op::Box),
        4 => (0..3000_usize).prop_map(Op::Slice),
        1 => Just(Op::Aligned),
        2 => (0..300_usize).prop_map(Op::Collect),
        6 => any::<usize>().prop_map(Op::Drop),
        2 => any::<usize>().prop_map(Op::Take),
        2 => Just(Op::Reset),
    ]
}

/// A value that is counted while it lives.
struct Live<'a>(u64, &'a AtomicUsize);

impl<'a> Live<'a> {
    fn new(stamp: u64, live: &'a AtomicUsize) -> Self {
        live.fetch_add(1, Relaxed);
        Self(stamp, live)
    }
}

impl Drop for Live<'_> {
    fn drop(&mut self) {
        self.1.fetch_sub(1, Relaxed);
    }
}

enum Held<'a> {
    Box(ScratchBox<Live<'a>>),
    Slice(ScratchBox<[Live<'a>]>),
    Aligned(ScratchBox<(A4K, u64)>),
}

impl Held<'_> {
    /// Values that are counted, and blocks.
    fn size(&self) -> (usize, usize) {
        match self {
            Held::Box(_) => (1, 1),
            Held::Slice(slice) => (slice.len(), usize::from(!slice.is_empty())),
            Held::Aligned(_) => (0, 1),
        }
    }

    fn check(&self, stamp: u64) {
        match self {
            Held::Box(boxed) => assert_eq!(boxed.0, stamp),
            Held::Slice(slice) => assert!(slice.iter().all(|value| value.0 == stamp)),
            Held::Aligned(boxed) => {
                assert_eq!(address(&**boxed) % 4096, 0);
                assert_eq!((boxed.0.0, boxed.1), (0xA5, stamp));
            }
        }
    }
}

/// Runs the operations, and checks each that is refused and each that is not. Others use the pool if it is not `alone`.
fn run<'a>(pool: &ScratchPool, ops: &[Op], live: &'a AtomicUsize, alone: bool) {
    let mut held: Vec<(u64, Held<'a>)> = Vec::new();
    for (stamp, op) in (1..).zip(ops) {
        match *op {
            Op::Box => {
                let value = Live::new(stamp, live);
                // A refused value comes back, and drops here.
                if let Ok(boxed) = pool.try_alloc_box(value) {
                    held.push((stamp, Held::Box(boxed)));
                }
            }
            Op::Slice(len) => {
                let slice = pool.try_alloc_slice_fill_with(len, |_| Live::new(stamp, live));
                held.extend(slice.map(|slice| (stamp, Held::Slice(slice))));
            }
            Op::Aligned => {
                let room = pool.try_alloc();
                let value = (A4K::default(), stamp);
                held.extend(room.map(|room| (stamp, Held::Aligned(room.write(value)))));
            }
            Op::Collect(len) => {
                let values = (0..len).filter(|n| n % 4 != 3);
                let slice = pool.try_alloc_slice_from_iter(values.map(|_| Live::new(stamp, live)));
                held.extend(slice.map(|slice| (stamp, Held::Slice(slice))));
            }
            Op::Drop(n) if !held.is_empty() => {
                let (stamp, value) = held.swap_remove(n % held.len());
                value.check(stamp);
            }
            Op::Take(n) if !held.is_empty() => {
                let index = n % held.len();
                if let (_, Held::Box(_)) = held[index]
                    && let (stamp, Held::Box(boxed)) = held.swap_remove(index)
                {
                    assert_eq!(boxed.into_inner().0, stamp);
                }
            }
            Op::Drop(_) | Op::Take(_) => {}
            Op::Reset => {
                let blocks: usize = held.iter().map(|(_, value)| value.size().1).sum();
                match pool.try_reset() {
                    Ok(()) => assert_eq!(blocks, 0),
                    Err(error) if alone => assert_eq!(error.boxes, blocks),
                    Err(_) => {}
                }
            }
        }
        if alone {
            let values: usize = held.iter().map(|(_, value)| value.size().0).sum();
            assert_eq!(live.load(Relaxed), values);
            let stats = pool.stats();
            assert!(stats.allocated <= stats.capacity && stats.capacity <= stats.limit);
            assert!(stats.live_bytes <= stats.allocated);
        }
    }
    held.iter().for_each(|(stamp, value)| value.check(*stamp));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_sequence_of_operations_keeps_what_is_held(
        ops in prop::collection::vec(op(), 1..200),
        start in 0..20_000_usize,
    ) {
        let live = AtomicUsize::new(0);
        let pool = ScratchPool::with_limit("model", start, 200 << 10);
        reported(|| run(&pool, &ops, &live, true));
        prop_assert_eq!(live.load(Relaxed), 0);
        prop_assert!(pool.try_reset().is_ok());
    }

    #[test]
    fn threads_do_not_disturb_each_other_in_one_pool(
        sequences in prop::collection::vec(prop::collection::vec(op(), 1..150), 3)
    ) {
        let live = AtomicUsize::new(0);
        let pool = ScratchPool::with_limit("model", 1 << 10, 400 << 10);
        thread::scope(|scope| {
            for ops in &sequences {
                scope.spawn(|| reported(|| run(&pool, ops, &live, false)));
            }
        });
        prop_assert_eq!(live.load(Relaxed), 0);
        prop_assert!(pool.try_reset().is_ok());
    }
}

//! Sequences of operations, checked against a plain model: what is held has the contents that it was given.

use std::thread;

use framealloc::{FrameSlice, PoolBox, SmartAlloc};
use proptest::prelude::*;

use crate::common::*;

#[derive(Debug, Clone)]
enum Op {
    Begin(usize),
    End(usize),
    /// Leases a slice of an allocator, by length.
    Lease(usize, usize),
    /// Leases a slice that grows while it is made.
    Collect(usize, usize),
    Pool,
    Drop(usize),
    Forget(usize),
    /// Opens a guard of an allocator and runs the operations up to its `Close` under it.
    Open(usize),
    Close,
    /// Allocates from an open guard, counted from the innermost.
    Scratch(usize, usize),
    Tag(&'static str),
    Check,
}

fn op() -> impl Strategy<Value = Op> {
    let alloc = 0..2_usize;
    let len = prop_oneof![20 => 0..40_usize, 5 => 0..3000_usize, 1 => 0..40_000_usize];
    prop_oneof![
        3 => alloc.clone().prop_map(Op::Begin),
        3 => alloc.clone().prop_map(Op::End),
        8 => (alloc.clone(), len.clone()).prop_map(|(a, n)| Op::Lease(a, n)),
        4 => (alloc.clone(), len.clone()).prop_map(|(a, n)| Op::Collect(a, n)),
        2 => Just(Op::Pool),
        9 => any::<usize>().prop_map(Op::Drop),
        1 => any::<usize>().prop_map(Op::Forget),
        2 => alloc.prop_map(Op::Open),
        2 => Just(Op::Close),
        5 => (0..4_usize, len).prop_map(|(g, n)| Op::Scratch(g, n)),
        1 => prop_oneof![Just("model_a"), Just("model_b")].prop_map(Op::Tag),
        1 => Just(Op::Check),
    ]
}

enum Held<'a> {
    Lease(FrameSlice<'a, u64>),
    Pool(PoolBox<[u64; 7]>),
}

struct Model<'a> {
    allocs: [&'a SmartAlloc; 2],
    open: [bool; 2],
    held: Vec<(u64, Held<'a>)>,
    /// How many values were ever made; the last one's number fills it.
    made: u64,
    forgotten: usize,
}

impl Model<'_> {
    fn check(&self) {
        for (stamp, held) in &self.held {
            let values: &[u64] = match held {
                Held::Lease(slice) => slice,
                Held::Pool(boxed) => &**boxed,
            };
            assert!(values.iter().all(|value| value == stamp));
        }
        for index in 0..2 {
            assert_eq!(self.allocs[index].frame_is_open(), self.open[index]);
        }
    }

    fn run<'g>(&mut self, ops: &mut std::slice::Iter<'_, Op>, guards: &mut Vec<Guard<'g>>) {
        while let Some(op) = ops.next() {
            self.made += 1;
            let stamp = self.made;
            match *op {
                Op::Begin(a) => {
                    assert_eq!(self.allocs[a].try_begin_frame().is_ok(), !self.open[a]);
                    self.open[a] = true;
                }
                Op::End(a) => {
                    assert_eq!(self.allocs[a].try_end_frame().is_ok(), self.open[a]);
                    self.open[a] = false;
                }
                Op::Lease(a, len) => {
                    let slice = self.allocs[a].frame_slice_fill(len, stamp);
                    // An empty slice needs no frame.
                    assert_eq!(slice.is_ok(), self.open[a] || len == 0);
                    self.held
                        .extend(slice.map(|slice| (stamp, Held::Lease(slice))));
                }
                Op::Collect(a, len) => {
                    let values = (0..len).filter(|n| n % 4 != 3).map(|_| stamp);
                    let slice = self.allocs[a].frame_slice_from_iter(values);
                    assert_eq!(slice.is_ok(), self.open[a] || len == 0);
                    self.held
                        .extend(slice.map(|slice| (stamp, Held::Lease(slice))));
                }
                Op::Pool => {
                    let boxed = self.allocs[0].pool_box([stamp; 7]).unwrap();
                    self.held.push((stamp, Held::Pool(boxed)));
                }
                Op::Drop(n) if !self.held.is_empty() => {
                    self.held.swap_remove(n % self.held.len());
                }
                Op::Forget(n) if !self.held.is_empty() => {
                    // A forgotten pool box would be a leak that is reported as one.
                    if let (_, Held::Lease(slice)) = self.held.swap_remove(n % self.held.len()) {
                        std::mem::forget(slice);
                        self.forgotten += 1;
                    }
                }
                Op::Open(a) if guards.len() < 4 => {
                    let alloc = self.allocs[a];
                    let frame = alloc.frame();
                    let mut inner: Vec<Guard<'_>> = guards
                        .iter()
                        .map(|guard| Guard {
                            frame: guard.frame,
                            values: Vec::new(),
                        })
                        .collect();
                    inner.push(Guard {
                        frame: &frame,
                        values: Vec::new(),
                    });
                    self.run(ops, &mut inner);
                    inner.iter().for_each(Guard::check);
                }
                Op::Close => {
                    if !guards.is_empty() {
                        return;
                    }
                }
                Op::Scratch(g, len) if !guards.is_empty() => {
                    let index = guards.len() - 1 - g % guards.len();
                    let guard = &mut guards[index];
                    let values = guard.frame.alloc_slice_fill(len, stamp);
                    guard.values.push((stamp, values));
                }
                Op::Tag(name) => self.allocs[0].with_tag(name, |alloc| {
                    drop(alloc.frame_box(stamp));
                }),
                Op::Check => {
                    self.check();
                    guards.iter().for_each(Guard::check);
                }
                Op::Drop(_) | Op::Forget(_) | Op::Open(_) | Op::Scratch(..) => {}
            }
        }
    }
}

struct Guard<'g> {
    frame: &'g framealloc::Frame<'g>,
    values: Vec<(u64, &'g mut [u64])>,
}

impl Guard<'_> {
    fn check(&self) {
        for (stamp, values) in &self.values {
            assert!(values.iter().all(|value| value == stamp));
        }
    }
}

fn run(allocs: [&SmartAlloc; 2], ops: &[Op]) {
    let mut model = Model {
        allocs,
        open: [false; 2],
        held: Vec::new(),
        made: 0,
        forgotten: 0,
    };
    reported(|| {
        model.run(&mut ops.iter(), &mut Vec::new());
        model.check();
        // All that outlives its frames goes in the end, and the arenas are whole again.
        model.held.clear();
        for alloc in allocs {
            let _ = alloc.try_end_frame();
        }
    });
}

/// Allocators in which the largest operations of one case fit.
fn roomy() -> SmartAlloc {
    SmartAlloc::new(crate::common::minimal().with_max_frame_arena_size(1 << 30))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_sequence_of_operations_keeps_what_is_held(ops in prop::collection::vec(op(), 1..400)) {
        let (a, b) = (roomy(), roomy());
        run([&a, &b], &ops);
        let forgets = ops.iter().any(|op| matches!(op, Op::Forget(_)));
        if !forgets {
            prop_assert_eq!(retired(&a) + retired(&b), 0);
        }
        let ((), codes) = reported(|| busy_frames(&a, 2));
        prop_assert_eq!(codes, []);
    }

    #[test]
    fn threads_with_sequences_of_their_own_do_not_disturb_each_other(
        sequences in prop::collection::vec(prop::collection::vec(op(), 1..200), 3)
    ) {
        let (a, b) = (roomy(), roomy());
        thread::scope(|scope| {
            for ops in &sequences {
                let (a, b) = (&a, &b);
                scope.spawn(move || run([a, b], ops));
            }
        });
        // And threads that adopt what those left.
        thread::scope(|scope| {
            for ops in &sequences {
                let (a, b) = (&a, &b);
                scope.spawn(move || run([b, a], ops));
            }
        });
        prop_assert!(a.arenas().len() <= 6);
    }
}

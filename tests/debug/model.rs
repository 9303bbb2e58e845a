//! Random sequences of everything that a tracker sees, against a plain list of what is alive.

use std::collections::BTreeMap;
use std::thread;

use framealloc::diagnostics::capture;
use framealloc::{AllocKind, FrameBox, HeapBox, LeakReport, PoolBox, SmartAlloc};
use proptest::prelude::*;

#[derive(Clone, Copy, Debug)]
enum Step {
    Pool {
        tag: usize,
        large: bool,
    },
    Heap {
        tag: usize,
    },
    Frame {
        tag: usize,
    },
    /// Drops one of what is held.
    Drop(usize),
    /// One of what is held is freed by another thread, if it may be.
    DropElsewhere(usize),
    NextFrame,
    Enable,
    Disable,
}

const TAGS: [&str; 3] = ["leak_model_a", "leak_model_b", "leak_model_c"];
type Small = [u8; 24];
type Large = [u8; 6_000];

enum Held<'a> {
    Small(PoolBox<Small>),
    Large(PoolBox<Large>),
    Heap(HeapBox<Small>),
    Frame(FrameBox<'a, Small>),
}

/// What the model knows of a value that is held.
struct Known {
    tag: usize,
    kind: AllocKind,
    bytes: u64,
    born: u64,
    traced: bool,
    /// A frame has ended since.
    escaped: bool,
}

/// Blocks, bytes, youngest and oldest, by tag and kind.
type Rows = BTreeMap<(String, AllocKind), (u64, u64, u64, u64)>;

fn add(
    rows: &mut Rows,
    key: (String, AllocKind),
    (count, bytes, young, old): (u64, u64, u64, u64),
) {
    let row = rows.entry(key).or_insert((0, 0, young, old));
    *row = (
        row.0 + count,
        row.1 + bytes,
        row.2.min(young),
        row.3.max(old),
    );
}

fn seen(report: &LeakReport) -> Rows {
    let mut rows = Rows::new();
    for group in &report.groups {
        assert!(group.exact);
        let key = (group.tag.path().to_owned(), group.kind);
        add(
            &mut rows,
            key,
            (group.count, group.bytes, group.youngest, group.oldest),
        );
    }
    rows
}

fn expected(held: &[(Known, Held<'_>)], now: u64) -> Rows {
    let mut rows = Rows::new();
    for (known, _) in held {
        let shows = known.traced && (known.kind != AllocKind::Frame || known.escaped);
        if shows {
            let age = now - known.born;
            let key = (TAGS[known.tag].to_owned(), known.kind);
            add(&mut rows, key, (1, known.bytes, age, age));
        }
    }
    rows
}

fn step() -> impl Strategy<Value = Step> {
    let tag = || 0..TAGS.len();
    prop_oneof![
        3 => (tag(), any::<bool>()).prop_map(|(tag, large)| Step::Pool { tag, large }),
        2 => tag().prop_map(|tag| Step::Heap { tag }),
        3 => tag().prop_map(|tag| Step::Frame { tag }),
        4 => any::<prop::sample::Index>().prop_map(|at| Step::Drop(at.index(1 << 16))),
        2 => any::<prop::sample::Index>().prop_map(|at| Step::DropElsewhere(at.index(1 << 16))),
        3 => Just(Step::NextFrame),
        1 => Just(Step::Enable),
        1 => Just(Step::Disable),
    ]
}

fn run(steps: &[Step]) {
    let alloc = SmartAlloc::with_defaults();
    // Somebody else listens, so that turning the tracker off forgets nothing.
    alloc.enable_lifecycle_tracking();
    alloc.leak_tracker().enable();
    alloc.leak_tracker().set_report_at_drop(false);
    let (mut traced, mut frame) = (true, 1);
    alloc.begin_frame();
    let mut held: Vec<(Known, Held<'_>)> = Vec::new();
    for &step in steps {
        let known = |tag, kind, bytes| Known {
            tag,
            kind,
            bytes,
            born: frame,
            traced,
            escaped: false,
        };
        match step {
            Step::Pool { tag, large: false } => {
                let boxed = alloc.with_tag(TAGS[tag], |alloc| alloc.pool_box([1; 24]).unwrap());
                held.push((known(tag, AllocKind::Pool, 24), Held::Small(boxed)));
            }
            Step::Pool { tag, large: true } => {
                // Above 4 KiB, pool boxes are of the heap.
                let boxed = alloc.with_tag(TAGS[tag], |alloc| alloc.pool_box([2; 6_000]).unwrap());
                held.push((known(tag, AllocKind::Heap, 6_000), Held::Large(boxed)));
            }
            Step::Heap { tag } => {
                let boxed = alloc.with_tag(TAGS[tag], |alloc| alloc.heap_box([3; 24]).unwrap());
                held.push((known(tag, AllocKind::Heap, 24), Held::Heap(boxed)));
            }
            Step::Frame { tag } => {
                let boxed = alloc.with_tag(TAGS[tag], |alloc| alloc.frame_box([4; 24]).unwrap());
                held.push((known(tag, AllocKind::Frame, 24), Held::Frame(boxed)));
            }
            Step::Drop(at) if !held.is_empty() => {
                let at = at % held.len();
                drop(held.swap_remove(at));
            }
            Step::DropElsewhere(at) if !held.is_empty() => {
                let at = at % held.len();
                match held.swap_remove(at).1 {
                    Held::Small(boxed) => thread::spawn(move || drop(boxed)).join().unwrap(),
                    Held::Large(boxed) => thread::spawn(move || drop(boxed)).join().unwrap(),
                    Held::Heap(boxed) => thread::spawn(move || drop(boxed)).join().unwrap(),
                    Held::Frame(boxed) => drop(boxed),
                }
            }
            Step::Drop(_) | Step::DropElsewhere(_) => {}
            Step::NextFrame => {
                // What is still held is reported.
                capture(|| alloc.end_frame());
                for (known, _) in &mut held {
                    known.escaped = true;
                }
                alloc.begin_frame();
                frame += 1;
            }
            Step::Enable => {
                alloc.leak_tracker().enable();
                traced = true;
            }
            Step::Disable => {
                alloc.leak_tracker().disable();
                traced = false;
            }
        }
        let report = alloc.leak_report();
        // The tracker hears of frames while it is off, too.
        assert_eq!(report.frame, frame);
        assert_eq!(seen(&report), expected(&held, frame), "after {step:?}");
    }
    held.clear();
    assert!(alloc.leak_report().is_empty());
    alloc.end_frame();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn reports_agree_with_a_list_of_what_is_alive(steps in prop::collection::vec(step(), 1..60)) {
        run(&steps);
    }

    #[test]
    fn also_on_several_threads_with_allocators_of_their_own(
        all in prop::collection::vec(prop::collection::vec(step(), 1..30), 3)
    ) {
        thread::scope(|scope| {
            for steps in &all {
                scope.spawn(|| run(steps));
            }
        });
    }
}

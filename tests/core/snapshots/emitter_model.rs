//! The emitter against a plain model of it, by a clock of the test's.

use std::collections::BTreeSet;
use std::fs;
use std::time::{Duration, Instant};

use framealloc::{Snapshot, SnapshotEmitter};
use proptest::prelude::*;

use super::emitter::{INTERVAL, LOOK, ask, names, place, snapshot_name};

#[derive(Debug, Clone)]
enum Op {
    Wait(u16),
    Ask,
    TakeBack,
    MaybeEmit,
    Emit,
    Enable(bool),
    Clear,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => (0..700_u16).prop_map(Op::Wait),
        3 => Just(Op::Ask),
        1 => Just(Op::TakeBack),
        6 => Just(Op::MaybeEmit),
        2 => Just(Op::Emit),
        1 => any::<bool>().prop_map(Op::Enable),
        1 => Just(Op::Clear),
    ]
}

#[derive(Default)]
struct Model {
    now: Duration,
    emitted: Option<Duration>,
    looked: Option<Duration>,
    is_off: bool,
    is_asked: bool,
    files: BTreeSet<u64>,
    count: u64,
}

const KEPT: usize = 3;

impl Model {
    fn is_over(&self, since: Option<Duration>, interval: Duration) -> bool {
        since.is_none_or(|since| self.now - since >= interval)
    }

    fn emit(&mut self, frame: u64) -> bool {
        if self.is_off || !self.is_over(self.emitted, INTERVAL) {
            return false;
        }
        self.emitted = Some(self.now);
        self.count += 1;
        self.files.insert(frame);
        if self.files.len() > KEPT {
            self.files.pop_first();
        }
        true
    }

    fn maybe_emit(&mut self, frame: u64, auto: bool) -> bool {
        let looks =
            !self.is_off && self.is_over(self.emitted, INTERVAL) && self.is_over(self.looked, LOOK);
        if looks {
            self.looked = Some(self.now);
        }
        let sees = looks && self.is_asked;
        let emitted = (sees || auto) && self.emit(frame);
        if emitted && sees {
            self.is_asked = false;
        }
        emitted
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn an_emitter_does_what_its_model_does(auto in any::<bool>(), ops in proptest::collection::vec(op(), 1..60)) {
        let (directory, config) = place();
        let emitter = SnapshotEmitter::new(config.with_max_snapshots(KEPT).with_auto_emit(auto));
        let request = directory.path().join("snapshot.request");
        let (start, mut model) = (Instant::now(), Model::default());
        for (frame, op) in (0_u64..).zip(ops) {
            let now = start + model.now;
            match op {
                Op::Wait(milliseconds) => model.now += Duration::from_millis(milliseconds.into()),
                Op::Ask => {
                    ask(directory.path());
                    model.is_asked = true;
                }
                Op::TakeBack => {
                    let _ = fs::remove_file(&request);
                    model.is_asked = false;
                }
                Op::MaybeEmit => {
                    let emitted = emitter.maybe_emit_at(now, || Snapshot::new(frame));
                    prop_assert_eq!(emitted, model.maybe_emit(frame, auto));
                }
                Op::Emit => {
                    let emitted = emitter.emit_at(now, || Snapshot::new(frame));
                    prop_assert_eq!(emitted, model.emit(frame));
                }
                Op::Enable(enabled) => {
                    emitter.set_enabled(enabled);
                    model.is_off = !enabled;
                }
                Op::Clear => {
                    let removed = emitter.clear_all_snapshots().unwrap();
                    prop_assert_eq!(removed, model.files.len());
                    model.files.clear();
                }
            }
            emitter.flush();
            let mut expected: Vec<_> = model.files.iter().copied().map(snapshot_name).collect();
            if model.is_asked {
                expected.insert(0, "snapshot.request".to_owned());
            }
            prop_assert_eq!(names(directory.path()), expected);
            prop_assert_eq!(emitter.emit_count(), model.count);
        }
    }
}

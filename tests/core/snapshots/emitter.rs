//! When a snapshot is written.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use framealloc::{Snapshot, SnapshotConfig, SnapshotEmitter};
use tempfile::TempDir;

use crate::common::small;

pub const INTERVAL: Duration = Duration::from_millis(500);
/// How often the request file is looked for.
pub const LOOK: Duration = Duration::from_millis(50);

/// A directory of the test's own, and the configuration of an emitter that uses it.
pub fn place() -> (TempDir, SnapshotConfig) {
    let directory = tempfile::tempdir().unwrap();
    let config = SnapshotConfig::default().with_directory(directory.path());
    (directory, config)
}

pub fn ask(directory: &Path) {
    fs::write(directory.join("snapshot.request"), "").unwrap();
}

/// The names in a directory, in order.
pub fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

pub fn snapshot_name(frame: u64) -> String {
    format!("snapshot_{frame:016}.json")
}

#[test]
fn a_request_is_answered_and_removed() {
    let (directory, config) = place();
    let emitter = SnapshotEmitter::new(config);
    assert!(!emitter.maybe_emit(&Snapshot::new(41)), "nobody asked");
    ask(directory.path());
    let now = Instant::now() + LOOK;
    assert!(emitter.maybe_emit_at(now, || Snapshot::new(42)));
    emitter.flush();
    assert_eq!(names(directory.path()), ["snapshot_0000000000000042.json"]);
    assert_eq!(emitter.emit_count(), 1);
    let json = fs::read_to_string(directory.path().join(snapshot_name(42))).unwrap();
    assert_eq!(Snapshot::from_json(&json).unwrap().frame, 42);
}

#[test]
fn a_request_inside_the_interval_stays_until_that_is_over() {
    let (directory, config) = place();
    let emitter = SnapshotEmitter::new(config);
    let start = Instant::now();
    assert!(emitter.emit_at(start, || Snapshot::new(1)));
    emitter.flush();
    ask(directory.path());
    let just_before = start + INTERVAL - Duration::from_nanos(1);
    assert!(!emitter.maybe_emit_at(just_before, || unreachable!("it is not due")));
    assert!(!emitter.emit_at(just_before, || unreachable!("emit waits as well")));
    assert_eq!(
        names(directory.path()),
        ["snapshot.request", &snapshot_name(1)]
    );
    assert!(emitter.maybe_emit_at(start + INTERVAL, || Snapshot::new(2)));
    emitter.flush();
    assert_eq!(
        names(directory.path()),
        [snapshot_name(1), snapshot_name(2)]
    );
}

#[test]
fn the_interval_is_never_shorter_than_half_a_second() {
    let (_directory, mut config) = place();
    assert_eq!(
        config
            .clone()
            .with_min_interval(Duration::ZERO)
            .min_interval,
        INTERVAL
    );
    config.min_interval = Duration::ZERO;
    config.max_snapshots = 0;
    let emitter = SnapshotEmitter::new(config);
    assert_eq!(emitter.config().min_interval, INTERVAL);
    assert_eq!(emitter.config().max_snapshots, 1);
    let start = Instant::now();
    assert!(emitter.emit_at(start, || Snapshot::new(1)));
    assert!(!emitter.emit_at(start, || Snapshot::new(2)));
}

#[test]
fn the_request_is_looked_for_twenty_times_a_second_at_most() {
    let (directory, config) = place();
    let emitter = SnapshotEmitter::new(config);
    let start = Instant::now();
    assert!(!emitter.maybe_emit_at(start, || unreachable!("nobody asked")));
    ask(directory.path());
    let soon = start + LOOK - Duration::from_nanos(1);
    assert!(!emitter.maybe_emit_at(soon, || unreachable!("it does not look yet")));
    assert!(emitter.maybe_emit_at(start + LOOK, || Snapshot::new(1)));
}

#[test]
fn an_emitter_that_is_off_or_does_not_look_leaves_requests_alone() {
    let (directory, config) = place();
    ask(directory.path());
    let emitter = SnapshotEmitter::new(config.clone());
    emitter.set_enabled(false);
    assert!(!emitter.is_enabled());
    assert!(!emitter.maybe_emit(&Snapshot::new(1)) && !emitter.emit(&Snapshot::new(1)));
    let blind = SnapshotEmitter::new(config.with_request_file(false));
    assert!(!blind.maybe_emit(&Snapshot::new(1)));
    assert_eq!(names(directory.path()), ["snapshot.request"]);
    emitter.set_enabled(true);
    assert!(emitter.maybe_emit(&Snapshot::new(1)), "on again");
}

#[test]
fn snapshots_come_by_themselves_if_they_are_to() {
    let (directory, config) = place();
    let emitter = SnapshotEmitter::new(config.with_auto_emit(true));
    let start = Instant::now();
    let emitted = (0..30).filter(|step| {
        let now = start + Duration::from_millis(100) * *step;
        let emitted = emitter.maybe_emit_at(now, || Snapshot::new(u64::from(*step)));
        // What the disk has no time for would be left out.
        emitter.flush();
        emitted
    });
    assert_eq!(emitted.collect::<Vec<_>>(), [0, 5, 10, 15, 20, 25]);
    ask(directory.path());
    assert!(emitter.maybe_emit_at(start + Duration::from_secs(3), || Snapshot::new(30)));
    emitter.flush();
    assert!(
        !names(directory.path()).contains(&"snapshot.request".to_owned()),
        "answered too"
    );
}

#[test]
fn dropping_an_emitter_writes_what_is_on_its_way() {
    let (directory, config) = place();
    let deep = directory.path().join("made/on/the/way");
    let emitter = SnapshotEmitter::new(config.with_directory(&deep));
    assert!(
        !directory.path().join("made").exists(),
        "nothing is made before it is needed"
    );
    let start = Instant::now();
    for step in 0..4 {
        assert!(emitter.emit_at(start + INTERVAL * step, || Snapshot::new(step.into())));
    }
    drop(emitter);
    assert_eq!(names(&deep), [0, 1, 2, 3].map(snapshot_name));
}

#[test]
fn of_several_threads_one_gets_the_turn() {
    let (directory, config) = place();
    let emitter = SnapshotEmitter::new(config.with_auto_emit(true));
    let start = Instant::now();
    for turn in 0..20 {
        let now = start + INTERVAL * turn;
        let emitted: usize = thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|_| scope.spawn(|| emitter.maybe_emit_at(now, || Snapshot::new(turn.into()))))
                .collect();
            threads
                .into_iter()
                .map(|thread| usize::from(thread.join().unwrap()))
                .sum()
        });
        assert_eq!(emitted, 1);
        emitter.flush();
    }
    assert_eq!(emitter.emit_count(), 20);
    assert_eq!(names(directory.path()).len(), 20);
}

#[test]
fn a_snapshot_that_panics_costs_its_turn_and_no_more() {
    let (directory, config) = place();
    let emitter = SnapshotEmitter::new(config);
    let start = Instant::now();
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        emitter.emit_at(start, || panic!("made by the program"))
    }));
    assert!(outcome.is_err());
    assert!(emitter.emit_at(start + INTERVAL, || Snapshot::new(1)));
    emitter.flush();
    assert_eq!(names(directory.path()), [snapshot_name(1)]);
}

#[test]
fn an_emitter_may_be_used_while_it_makes_a_snapshot() {
    let (directory, config) = place();
    let emitter = SnapshotEmitter::new(config);
    assert!(emitter.emit_at(Instant::now(), || {
        assert!(!emitter.emit(&Snapshot::new(1)), "the turn is taken");
        emitter.flush();
        Snapshot::new(2)
    }));
    emitter.flush();
    assert_eq!(names(directory.path()), [snapshot_name(2)]);
}

#[test]
fn a_snapshot_may_be_finished_on_the_writing_thread() {
    let (directory, config) = place();
    let alloc = small();
    alloc.begin_frame();
    alloc.with_tag("snapshot_later", |alloc| drop(alloc.frame_box([0_u8; 320])));
    alloc.end_frame();
    let emitter = SnapshotEmitter::new(config.clone());
    assert!(!emitter.maybe_emit_from(&alloc), "nobody asked");
    let emitter = SnapshotEmitter::new(config);
    ask(directory.path());
    assert!(emitter.maybe_emit_from(&alloc));
    drop(alloc);
    emitter.flush();
    let json = fs::read_to_string(directory.path().join(snapshot_name(1))).unwrap();
    let snapshot = Snapshot::from_json(&json).unwrap();
    let mut rows = snapshot.tags.iter();
    let row = rows.find(|row| row.path == "snapshot_later").unwrap();
    assert_eq!((row.bytes, snapshot.summary.frame_bytes), (320, 320));
    assert_eq!(super::json::complaints(&json), [""; 0]);
}

#[test]
fn all_snapshots_can_be_removed_and_nothing_else_is() {
    let (directory, config) = place();
    let emitter = SnapshotEmitter::new(config.clone());
    assert_eq!(
        SnapshotEmitter::new(config.with_directory("no/such/place"))
            .clear_all_snapshots()
            .unwrap(),
        0
    );
    fs::write(directory.path().join("notes.json"), "mine").unwrap();
    ask(directory.path());
    assert!(emitter.emit(&Snapshot::new(7)));
    assert_eq!(
        emitter.clear_all_snapshots().unwrap(),
        1,
        "also what is on its way"
    );
    assert_eq!(names(directory.path()), ["notes.json", "snapshot.request"]);
}

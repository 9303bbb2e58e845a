//! Directories that are not as they should be, and files that are not ours.

use std::fs;
use std::path::Path;
use std::time::Instant;

use framealloc::diagnostics::DiagnosticCode::FA903;
use framealloc::{Snapshot, SnapshotConfig, SnapshotEmitter, StrictModeGuard};

use super::emitter::{INTERVAL, LOOK, ask, names, place, snapshot_name};
use crate::common::reported;

/// Emits once, and returns the codes that were reported until it was written, or was not.
fn emit(config: SnapshotConfig, frame: u64) -> Vec<framealloc::DiagnosticCode> {
    let emitter = SnapshotEmitter::new(config);
    let ((), codes) = reported(|| {
        assert!(emitter.emit(&Snapshot::new(frame)), "frames go on");
        emitter.flush();
    });
    codes
}

#[test]
fn foreign_files_stay_however_many_snapshots_there_are() {
    let (directory, config) = place();
    let foreign = [
        "snapshot_.json",
        "snapshot_1.json",
        "snapshot_00000000000000001.json",
        "snapshot_000000000000000a.json",
        "snapshot_0000000000000001.json.bak",
        "my_snapshot_0000000000000001.json",
        ".snapshot_0000000000000001.json.tmp",
    ];
    for name in foreign {
        fs::write(directory.path().join(name), "mine").unwrap();
    }
    fs::create_dir(directory.path().join(snapshot_name(2))).unwrap();
    let emitter = SnapshotEmitter::new(config.with_max_snapshots(2));
    let start = Instant::now();
    for frame in 10..20 {
        assert!(emitter.emit_at(start + INTERVAL * frame, || Snapshot::new(frame.into())));
        emitter.flush();
    }
    let mut expected: Vec<_> = foreign.map(str::to_owned).into();
    expected.extend([2, 18, 19].map(snapshot_name));
    expected.sort();
    assert_eq!(names(directory.path()), expected);
    for name in foreign {
        assert_eq!(
            fs::read_to_string(directory.path().join(name)).unwrap(),
            "mine"
        );
    }
}

#[test]
fn snapshots_of_earlier_runs_go_before_those_of_this_one() {
    let (directory, config) = place();
    for frame in [900, 1000, 1100] {
        fs::write(directory.path().join(snapshot_name(frame)), "{}").unwrap();
    }
    let emitter = SnapshotEmitter::new(config.with_max_snapshots(3));
    let start = Instant::now();
    for frame in 1..=4 {
        assert!(emitter.emit_at(start + INTERVAL * frame, || Snapshot::new(frame.into())));
        emitter.flush();
        let kept = match frame {
            1 => [1, 1000, 1100],
            2 => [1, 2, 1100],
            3 => [1, 2, 3],
            _ => [2, 3, 4],
        };
        assert_eq!(names(directory.path()), kept.map(snapshot_name));
    }
}

#[test]
fn a_request_that_is_a_directory_is_reported_and_left_alone() {
    let (directory, config) = place();
    fs::create_dir(directory.path().join("snapshot.request")).unwrap();
    let emitter = SnapshotEmitter::new(config);
    let (emitted, codes) = reported(|| emitter.maybe_emit(&Snapshot::new(1)));
    assert_eq!((emitted, codes), (false, vec![FA903]));
    assert_eq!(names(directory.path()), ["snapshot.request"]);
    let (emitted, codes) = reported(|| emitter.maybe_emit(&Snapshot::new(1)));
    assert_eq!(
        (emitted, codes),
        (false, vec![]),
        "it is not looked at every frame"
    );
}

#[cfg(unix)]
#[test]
fn a_request_that_is_a_link_is_reported_and_nothing_is_done_to_what_it_leads_to() {
    let (directory, config) = place();
    let (elsewhere, _) = place();
    let target = elsewhere.path().join("precious");
    fs::write(&target, "mine").unwrap();
    for target in [&target, &elsewhere.path().join("nothing")] {
        let link = directory.path().join("snapshot.request");
        std::os::unix::fs::symlink(target, &link).unwrap();
        let emitter = SnapshotEmitter::new(config.clone());
        let (emitted, codes) = reported(|| emitter.maybe_emit(&Snapshot::new(1)));
        assert_eq!((emitted, codes), (false, vec![FA903]));
        assert!(link.is_symlink());
        fs::remove_file(link).unwrap();
    }
    assert_eq!(fs::read_to_string(target).unwrap(), "mine");
}

#[cfg(unix)]
#[test]
fn a_link_in_a_snapshots_place_is_neither_followed_nor_replaced() {
    let (directory, config) = place();
    let target = directory.path().join("precious");
    fs::write(&target, "mine").unwrap();
    let link = directory.path().join(snapshot_name(5));
    std::os::unix::fs::symlink(&target, &link).unwrap();
    assert_eq!(emit(config.with_max_snapshots(1), 5), [FA903]);
    assert_eq!(fs::read_to_string(target).unwrap(), "mine");
    assert_eq!(
        names(directory.path()),
        ["precious", &snapshot_name(5)],
        "no temporary file is left"
    );
}

#[test]
fn a_directory_that_is_a_file_is_reported_and_stays_one() {
    let (directory, config) = place();
    let file = directory.path().join("file");
    fs::write(&file, "mine").unwrap();
    assert_eq!(emit(config.clone().with_directory(&file), 1), [FA903]);
    assert_eq!(emit(config.with_directory(file.join("below")), 1), [FA903]);
    assert_eq!(fs::read_to_string(file).unwrap(), "mine");
}

/// Not even root may make files here.
#[cfg(target_os = "linux")]
#[test]
fn a_directory_that_cannot_be_written_to_is_reported() {
    let directory = Path::new("/proc/self");
    assert_eq!(
        emit(SnapshotConfig::default().with_directory(directory), 1),
        [FA903]
    );
    assert_eq!(
        emit(SnapshotConfig::default().with_directory("/proc/no/such"), 1),
        [FA903]
    );
}

#[test]
fn a_request_that_could_not_be_answered_stays_and_is_tried_again() {
    let (directory, config) = place();
    ask(directory.path());
    let in_the_way = directory.path().join(snapshot_name(1));
    fs::create_dir(&in_the_way).unwrap();
    let emitter = SnapshotEmitter::new(config);
    let start = Instant::now();
    let ((), codes) = reported(|| {
        assert!(emitter.maybe_emit_at(start, || Snapshot::new(1)));
        emitter.flush();
    });
    assert_eq!(codes, [FA903]);
    assert_eq!(
        names(directory.path()),
        ["snapshot.request", &snapshot_name(1)]
    );
    fs::remove_dir(in_the_way).unwrap();
    let (emitted, codes) = reported(|| {
        let emitted = emitter.maybe_emit_at(start + INTERVAL, || Snapshot::new(1));
        emitter.flush();
        emitted
    });
    assert_eq!((emitted, codes), (true, vec![]));
    assert_eq!(names(directory.path()), [snapshot_name(1)]);
}

#[test]
fn what_failed_on_the_writing_thread_is_reported_to_the_next_call() {
    let (directory, config) = place();
    fs::create_dir(directory.path().join(snapshot_name(1))).unwrap();
    let emitter = SnapshotEmitter::new(config);
    let start = Instant::now();
    assert!(emitter.emit_at(start, || Snapshot::new(1)));
    let (_, codes) = reported(|| emitter.clear_all_snapshots());
    assert_eq!(
        codes,
        [],
        "this one waits, and leaves the report to the next"
    );
    let (_, codes) = reported(|| emitter.maybe_emit_at(start + LOOK, || unreachable!()));
    assert_eq!(codes, [FA903]);
}

#[test]
fn strict_mode_panics_on_the_programs_thread_and_the_emitter_goes_on() {
    let (directory, config) = place();
    fs::create_dir(directory.path().join(snapshot_name(1))).unwrap();
    let emitter = SnapshotEmitter::new(config);
    let start = Instant::now();
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _strict = StrictModeGuard::panic_on_warning();
        emitter.emit_at(start, || Snapshot::new(1));
        emitter.flush();
    }));
    assert!(outcome.is_err());
    assert!(emitter.emit_at(start + INTERVAL, || Snapshot::new(2)));
    emitter.flush();
    assert_eq!(names(directory.path()), [1, 2].map(snapshot_name));
}

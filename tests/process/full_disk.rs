//! Snapshots where a disk is full: half of a file is written, and then no more. A limit on the size of files is what a test can have
//! of that; this program is started again under one.

use std::fs;
use std::time::Instant;

use framealloc::diagnostics::capture;
use framealloc::{
    AllocConfig, DiagnosticCode, SmartAlloc, Snapshot, SnapshotConfig, SnapshotEmitter,
};

const CHILD: &str = "FRAMEALLOC_TESTS_FULL_DISK";

#[test]
#[ignore = "started by another test, in a process of its own"]
fn child_writes_more_than_there_is_room_for() {
    assert!(std::env::var_os(CHILD).is_some());
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("notes.txt"), "mine").unwrap();
    fs::write(directory.path().join("snapshot.request"), "").unwrap();
    let emitter = SnapshotEmitter::new(SnapshotConfig::default().with_directory(directory.path()));
    let alloc = SmartAlloc::new(AllocConfig::minimal());
    let mut large = Snapshot::new(1);
    large.timestamp = "x".repeat(1 << 20);

    let start = Instant::now();
    let ((), reports) = capture(|| {
        for frame in 0..100 {
            alloc.begin_frame();
            assert_eq!(*alloc.frame_box(frame).unwrap(), frame);
            // Within the interval, however slow the machine is.
            emitter.maybe_emit_at(start, || large.clone());
            emitter.flush();
            alloc.end_frame();
        }
    });
    let said: Vec<_> = reports.iter().map(|report| report.code).collect();
    assert_eq!(said, [DiagnosticCode::FA903], "{reports:?}");

    // Nothing half-written stays, and what was there does: somebody still waits for an answer.
    let mut names: Vec<_> = fs::read_dir(directory.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["notes.txt", "snapshot.request"]);
    assert_eq!(
        fs::read(directory.path().join("notes.txt")).unwrap(),
        b"mine"
    );
    println!("frames went on;");
}

#[test]
#[cfg(unix)]
fn a_disk_that_is_full_is_reported_once_and_frames_go_on() {
    // The signal that would end the process is ignored: then writing is an error, as it is on a full disk.
    let output = std::process::Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 8; exec \"$@\"", "sh"])
        .arg(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "full_disk::child_writes_more_than_there_is_room_for",
            "--nocapture",
            "--include-ignored",
        ])
        .env(CHILD, "1")
        .env_remove("FRAMEALLOC_STRICT")
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("frames went on;"), "{output:?}");
}

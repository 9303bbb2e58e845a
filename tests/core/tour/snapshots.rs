//! Snapshots for tools.

use std::fs;

use framealloc::{Snapshot, SnapshotConfig, SnapshotEmitter};

use crate::common::small;

#[test]
fn a_snapshot_is_written_when_a_tool_asks() {
    let place = tempfile::tempdir().unwrap();
    let directory = place.path().join("target/framealloc");
    let config = SnapshotConfig::default()
        .with_directory(&directory)
        .with_max_snapshots(30);
    let emitter = SnapshotEmitter::new(config);

    let alloc = small();
    let mut frame_number = 0;
    let mut frame = || {
        alloc.begin_frame();
        alloc.with_tag("tour_snapshots", |alloc| {
            drop(alloc.frame_box([0_u8; 512]).unwrap());
        });
        alloc.end_frame();
        frame_number += 1;
        frame_number
    };

    let snapshot = Snapshot::new(frame());
    assert!(!emitter.maybe_emit(&snapshot), "nobody has asked");

    fs::create_dir_all(&directory).unwrap();
    fs::write(directory.join("snapshot.request"), "").unwrap();
    // The state is filled in by the allocator.
    frame();
    let snapshot = alloc.snapshot();
    // By a clock that is past the next look for requests.
    let later = std::time::Instant::now() + std::time::Duration::from_secs(1);
    assert!(emitter.maybe_emit_at(later, || snapshot.clone()));
    emitter.flush();
    assert!(!directory.join("snapshot.request").exists());

    let written = fs::read_to_string(directory.join("snapshot_0000000000000002.json")).unwrap();
    let read: serde_json::Value = serde_json::from_str(&written).unwrap();
    assert_eq!((&read["version"], &read["frame"]), (&1.into(), &2.into()));
    for (object, keys) in [
        ("summary", &["frame_bytes", "pool_bytes"][..]),
        ("promotions", &["to_pool", "to_heap", "failed"]),
        ("transfers", &["pending", "completed_this_frame"]),
        ("deferred", &["queue_depth", "processed_this_frame"]),
    ] {
        assert!(
            keys.iter().all(|key| read[object][key].is_u64()),
            "{object}"
        );
    }
    for list in ["threads", "tags", "diagnostics"] {
        assert!(read[list].is_array(), "{list}");
    }
    let tags = read["tags"].as_array().unwrap();
    let mine = tags.iter().find(|tag| tag["path"] == "tour_snapshots");
    assert_eq!(mine.unwrap()["bytes"], 512);
}

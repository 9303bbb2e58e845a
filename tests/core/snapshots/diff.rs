//! What grew.

use framealloc::{GrowthVerdict, Snapshot, SnapshotDiff, TagSnapshot};
use proptest::prelude::*;

/// A snapshot every 60 frames from `first` on, with so many bytes of one tag.
fn series(first: u64, kind: &'static str, bytes: &[u64]) -> Vec<Snapshot> {
    let bytes = bytes.iter().enumerate();
    bytes
        .map(|(step, &bytes)| {
            let mut snapshot = Snapshot::new(first + step as u64 * 60);
            snapshot.add_tag(TagSnapshot {
                path: "game".into(),
                alloc_kind: kind.into(),
                bytes,
                alloc_count: bytes / 100,
                ..Default::default()
            });
            snapshot
        })
        .collect()
}

fn verdict(bytes: &[u64]) -> GrowthVerdict {
    SnapshotDiff::over(&series(1000, "heap", bytes)).rows[0].verdict
}

#[test]
fn a_leak_is_told_from_a_warm_up_and_from_ups_and_downs() {
    use GrowthVerdict::*;
    const K: u64 = 1000;
    for (bytes, expected) in [
        (
            &[10 * K, 20 * K, 30 * K, 40 * K, 50 * K, 60 * K][..],
            LeakSuspected,
        ),
        (&[10 * K, 20 * K, 30 * K], LeakSuspected),
        (&[0, 40 * K, 60 * K, 61 * K, 61 * K, 61 * K], WarmUp),
        (&[0, 60 * K, 60 * K], WarmUp),
        (
            &[
                10 * K,
                50 * K,
                10 * K,
                50 * K,
                10 * K,
                50 * K,
                10 * K,
                50 * K,
            ],
            WarmUp,
        ),
        (&[50 * K, 50 * K, 50 * K + 900], Steady),
        (&[500 * K, 502 * K, 504 * K], Steady),
        (&[50 * K, 30 * K, 40 * K], Shrunk),
        (&[0, 0, 0, 0, 0, 90 * K], WarmUp),
    ] {
        assert_eq!(verdict(bytes), expected, "{bytes:?}");
    }
}

#[test]
fn two_snapshots_are_judged_by_when_they_were_taken() {
    let diff = |first| {
        let series = series(first, "pool", &[0, 6000]);
        SnapshotDiff::between(&series[0], &series[1])
    };
    assert_eq!(diff(10).rows[0].verdict, GrowthVerdict::WarmUp);
    let late = diff(600);
    assert_eq!(late.leaks().count(), 1);
    let row = &late.rows[0];
    assert_eq!((row.bytes_growth, row.bytes_per_frame), (6000, 100.0));
    assert_eq!(
        (row.count_before, row.count_after, row.count_growth),
        (0, 60, 60)
    );
}

#[test]
fn frame_memory_never_leaks() {
    let diff = SnapshotDiff::over(&series(1000, "frame", &[0, 1 << 20, 2 << 20]));
    assert_eq!(diff.rows[0].verdict, GrowthVerdict::FrameMemory);
}

#[test]
fn rows_of_several_threads_are_one_and_the_biggest_growth_is_first() {
    let [mut older, mut newer] = [Snapshot::new(700), Snapshot::new(760)];
    for (snapshot, path, thread, bytes) in [
        (0, "gone", "a", 9000),
        (1, "both", "a", 3000),
        (1, "both", "b", 4000),
        (1, "most", "a", 8000),
    ] {
        [&mut older, &mut newer][snapshot].add_tag(TagSnapshot {
            path: path.into(),
            thread: thread.into(),
            alloc_kind: "heap".into(),
            bytes,
            ..Default::default()
        });
    }
    // In whichever order they are given.
    let diff = SnapshotDiff::over([&newer, &older]);
    let rows: Vec<_> = diff
        .rows
        .iter()
        .map(|row| (&*row.path, row.bytes_growth))
        .collect();
    assert_eq!(rows, [("most", 8000), ("both", 7000), ("gone", -9000)]);
}

#[test]
fn a_diff_is_a_table_for_people_and_json_for_tools() {
    let diff = SnapshotDiff::over(&series(1000, "heap", &[0, 2048, 4096]));
    let table = diff.to_string();
    let lines: Vec<_> = table
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    assert_eq!(
        lines,
        [
            "frames 1000 to 1120 (120 frames, 3 snapshots)",
            "tag kind before after growth a frame count verdict",
            "game heap 0 B 4.0 KiB +4.0 KiB +34 B +40 leak suspected",
        ]
    );
    let json = serde_json::to_string(&diff).unwrap();
    assert!(json.contains(r#""verdict":"leak_suspected""#), "{json}");
    assert_eq!(serde_json::from_str::<SnapshotDiff>(&json).unwrap(), diff);
    let nothing = SnapshotDiff::between(&Snapshot::new(1), &Snapshot::new(1));
    assert_eq!(
        nothing.to_string(),
        "frames 1 to 1 (0 frames, 2 snapshots)\nnothing changed"
    );
    assert_eq!(SnapshotDiff::over([]), SnapshotDiff::default());
}

proptest! {
    /// Whatever a file says.
    #[test]
    fn any_figures_can_be_compared(
        points in proptest::collection::vec((any::<u64>(), any::<u64>(), any::<u64>(), 0..3_u8), 0..8)
    ) {
        let series: Vec<_> = points.iter().map(|&(frame, bytes, count, path)| {
            let mut snapshot = Snapshot::new(frame);
            for _ in 0..2 {
                snapshot.add_tag(TagSnapshot {
                    path: path.to_string().into(),
                    alloc_kind: "heap".into(),
                    bytes,
                    alloc_count: count,
                    ..Default::default()
                });
            }
            snapshot
        }).collect();
        let diff = SnapshotDiff::over(&series);
        for row in &diff.rows {
            let growth = i128::from(row.bytes_after) - i128::from(row.bytes_before);
            prop_assert_eq!(i128::from(row.bytes_growth), growth.clamp(i64::MIN.into(), i64::MAX.into()));
            prop_assert_eq!(growth < 0, row.bytes_growth < 0);
        }
        prop_assert!(!diff.to_string().is_empty());
    }
}

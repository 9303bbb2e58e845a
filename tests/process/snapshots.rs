//! What a snapshot tells of the whole process: transfers, deferred frees, and reports.

use std::thread;

use framealloc::diagnostics::{self, CollectingSink};
use framealloc::{AllocConfig, SmartAlloc, fa_emit};

use crate::alone;

#[test]
fn transfers_and_deferred_frees_are_counted_from_snapshot_to_snapshot() {
    let _alone = alone();
    let alloc = SmartAlloc::new(AllocConfig::minimal());
    alloc.begin_frame();
    // What waits for a thread before this one, whose pools it has taken over, would come back meanwhile.
    while alloc.process_deferred_frees(usize::MAX) > 0 {}
    let before = alloc.snapshot();
    let sent = [1, 2, 3].map(|value| alloc.frame_box_for_transfer(value));
    let boxes: Vec<_> = (0..200).map(|n| alloc.pool_box([n; 4]).unwrap()).collect();
    let kept = thread::scope(|scope| {
        let received = scope.spawn(|| {
            drop(boxes);
            let [one, two, three] = sent;
            drop((one.receive(), two.receive()));
            three
        });
        received.join().unwrap()
    });
    let snapshot = alloc.snapshot();
    assert_eq!(snapshot.transfers.completed_this_frame, 2);
    assert_eq!(snapshot.transfers.pending, before.transfers.pending + 1);
    let waiting = snapshot.deferred.queue_depth - before.deferred.queue_depth;
    assert!(
        waiting >= 200,
        "freed on the other thread, wanted on this: {waiting}"
    );
    kept.receive();
    while alloc.process_deferred_frees(usize::MAX) > 0 {}
    let after = alloc.snapshot();
    assert_eq!(after.transfers.completed_this_frame, 1);
    assert!(after.deferred.processed_this_frame >= 200);
    assert_eq!(alloc.snapshot().transfers.completed_this_frame, 0);
    alloc.end_frame();
}

#[test]
fn reports_are_listed_and_their_codes_stand_at_their_tags() {
    let _alone = alone();
    CollectingSink::new().install();
    let alloc = SmartAlloc::new(AllocConfig::minimal());
    let kept = alloc.with_tag("snapshot_reports", |alloc| {
        fa_emit!(FA003);
        fa_emit!(FA003);
        alloc.heap_box(1_u64).unwrap()
    });
    diagnostics::reset_sink();
    let snapshot = alloc.snapshot();
    let reports = snapshot.diagnostics.iter();
    let of_tag = reports.filter(|report| report.tag.as_deref() == Some("snapshot_reports"));
    let seen: Vec<_> = of_tag
        .map(|report| {
            (
                &*report.code,
                &*report.message,
                &*report.level,
                report.count,
            )
        })
        .collect();
    let message = "frame arena exhausted";
    assert_eq!(
        seen,
        [
            ("FA003", message, "warning", 1),
            ("FA003", message, "warning", 2)
        ]
    );
    let mut tags = snapshot.tags.iter();
    let row = tags.find(|row| row.path == "snapshot_reports").unwrap();
    assert_eq!(row.diagnostics, ["FA003"]);
    drop(kept);
}

//! Counts of transfers, which are the process's as its pools are.

use std::sync::mpsc;
use std::thread;

use framealloc::{SmartAlloc, TransferHandle, TransferRegistry, diagnostics};
use proptest::prelude::*;

use crate::alone;

#[test]
fn transfers_are_counted_exactly_over_threads() {
    let _alone = alone();
    let alloc = SmartAlloc::with_defaults();
    let before = alloc.transfer_stats();
    let (sender, receiver) = mpsc::channel::<TransferHandle<[u64; 4]>>();
    thread::scope(|scope| {
        for _ in 0..3 {
            let (alloc, sender) = (&alloc, sender.clone());
            scope.spawn(move || {
                for n in 0..1000 {
                    sender.send(alloc.frame_box_for_transfer([n; 4])).unwrap();
                }
            });
        }
        drop(sender);
        let receiving = scope.spawn(|| {
            diagnostics::capture(|| {
                for (n, handle) in receiver.into_iter().enumerate() {
                    if n % 3 > 0 {
                        handle.receive();
                    }
                }
            });
        });
        receiving.join().unwrap();
    });
    let kept = alloc.frame_box_for_transfer(0_u8);
    let after = alloc.transfer_stats();
    let initiated = after.transfers_initiated - before.transfers_initiated;
    let completed = after.transfers_completed - before.transfers_completed;
    let dropped = after.transfers_dropped - before.transfers_dropped;
    let bytes = after.bytes_transferred - before.bytes_transferred;
    assert_eq!((initiated, completed, dropped), (3001, 2000, 1000));
    assert_eq!(bytes, 3000 * 32 + 1);
    assert_eq!(after.pending() - before.pending(), 1);
    kept.receive();
    assert_eq!(alloc.transfer_stats().pending(), before.pending());
}

#[test]
fn a_registry_counts_what_it_is_told() {
    let registry = TransferRegistry::new();
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for n in 0..1000 {
                    registry.record_initiated(n);
                    match n % 4 {
                        0 => registry.record_dropped(),
                        1 => {}
                        _ => registry.record_completed(),
                    }
                }
            });
        }
    });
    let stats = registry.stats();
    assert_eq!(stats.transfers_initiated, 2000);
    assert_eq!(stats.transfers_completed, 1000);
    assert_eq!(stats.transfers_dropped, 500);
    assert_eq!(stats.bytes_transferred, 999_000);
    assert_eq!(stats.pending(), 500);
    registry.reset_stats();
    assert_eq!(registry.stats(), TransferRegistry::new().stats());
}

#[derive(Debug, Clone)]
enum Op {
    Make,
    Receive(usize),
    ReceiveHere(usize),
    Unwrap(usize),
    Drop(usize),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => Just(Op::Make),
        1 => (0..8usize).prop_map(Op::Receive),
        1 => (0..8usize).prop_map(Op::ReceiveHere),
        1 => (0..8usize).prop_map(Op::Unwrap),
        1 => (0..8usize).prop_map(Op::Drop),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn transfers_in_any_order_on_two_threads_do_as_the_model(
        ops in prop::collection::vec((op(), any::<bool>()), 1..60),
    ) {
        let _alone = alone();
        let alloc = SmartAlloc::with_defaults();
        let before = alloc.transfer_stats();
        let (mut initiated, mut completed, mut dropped) = (0, 0, 0);
        // What is under way: the number in it, and whether it has been received in place.
        let mut handles: Vec<(TransferHandle<Box<u64>>, u64, bool)> = Vec::new();
        let step = |op: &Op, handles: &mut Vec<(TransferHandle<Box<u64>>, u64, bool)>| {
            let take = |handles: &mut Vec<_>, n: usize| {
                (n < handles.len()).then(|| handles.swap_remove(n))
            };
            match *op {
                Op::Make => {
                    let n = handles.len() as u64;
                    handles.push((alloc.frame_box_for_transfer(Box::new(n)), n, false));
                    (1, 0, 0)
                }
                Op::Receive(n) => take(handles, n).map_or((0, 0, 0), |(handle, n, was)| {
                    assert_eq!(**handle.receive(), n);
                    (0, u64::from(!was), 0)
                }),
                Op::Unwrap(n) => take(handles, n).map_or((0, 0, 0), |(handle, n, was)| {
                    assert_eq!(*handle.into_inner(), n);
                    (0, u64::from(!was), 0)
                }),
                Op::ReceiveHere(n) => handles.get_mut(n).map_or((0, 0, 0), |(handle, n, was)| {
                    assert_eq!(**handle.receive_mut(), *n);
                    (0, u64::from(!std::mem::replace(was, true)), 0)
                }),
                Op::Drop(n) => take(handles, n).map_or((0, 0, 0), |(handle, _, was)| {
                    diagnostics::capture(|| drop(handle));
                    (0, 0, u64::from(!was))
                }),
            }
        };
        for (op, elsewhere) in &ops {
            let (i, c, d) = if *elsewhere {
                thread::scope(|scope| scope.spawn(|| step(op, &mut handles)).join()).unwrap()
            } else {
                step(op, &mut handles)
            };
            initiated += i;
            completed += c;
            dropped += d;
            let now = alloc.transfer_stats();
            prop_assert_eq!(now.transfers_initiated - before.transfers_initiated, initiated);
            prop_assert_eq!(now.transfers_completed - before.transfers_completed, completed);
            prop_assert_eq!(now.transfers_dropped - before.transfers_dropped, dropped);
            prop_assert_eq!(now.pending() - before.pending(), initiated - completed - dropped);
        }
        diagnostics::capture(|| drop(handles));
        prop_assert_eq!(alloc.transfer_stats().pending(), before.pending());
    }
}

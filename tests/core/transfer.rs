//! Values on their way to another thread. Exact counts of transfers are in the `process` binary.

use std::cell::Cell;
use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;

use framealloc::diagnostics::{self, DiagnosticCode};
use framealloc::{AllocConfig, SmartAlloc, TransferHandle, TransferState};

use crate::common::*;

/// Counts its drops, on any thread.
struct Shared(Arc<AtomicUsize>, [u64; 40]);

impl Drop for Shared {
    fn drop(&mut self) {
        assert_eq!(self.1, [7; 40]);
        self.0.fetch_add(1, Relaxed);
    }
}

#[test]
fn a_transferred_value_arrives_on_another_thread_and_outlives_frame_and_allocator() {
    let alloc = small();
    alloc.begin_frame();
    let handle: TransferHandle<Vec<u64>> = alloc.frame_box_for_transfer(vec![1, 2, 3]);
    let (sender, receiver) = mpsc::channel();
    sender.send(handle).unwrap();
    alloc.end_frame();
    drop(alloc);
    let main = thread::current().id();
    let received = thread::spawn(move || {
        let handle = receiver.recv().unwrap();
        assert_eq!(handle.origin_thread(), main);
        assert_eq!(handle.state(), TransferState::InFlight);
        let data = handle.receive();
        assert_eq!(*data, [1, 2, 3]);
        data
    });
    assert_eq!(*received.join().unwrap(), [1, 2, 3]);
}

#[test]
fn handles_go_through_anything_that_moves_values() {
    let alloc = small();
    let (sender, receiver) = mpsc::sync_channel(4);
    let shelf = Mutex::new(Vec::new());
    thread::scope(|scope| {
        scope.spawn(|| {
            for n in 0..100_u32 {
                sender.send(alloc.frame_box_for_transfer([n; 9])).unwrap();
                shelf.lock().unwrap().push(alloc.frame_box_for_transfer(n));
            }
            drop(sender);
        });
        scope.spawn(|| {
            for (n, handle) in receiver.into_iter().enumerate() {
                assert_eq!(*handle.receive(), [n as u32; 9]);
            }
        });
    });
    let shelf = shelf.into_inner().unwrap();
    let sum: u32 = shelf.into_iter().map(TransferHandle::into_inner).sum();
    assert_eq!(sum, 4950);
}

#[test]
fn a_value_is_dropped_once_however_its_transfer_ends() {
    let alloc = small();
    let drops = Arc::new(AtomicUsize::new(0));
    let make = || alloc.frame_box_for_transfer(Shared(drops.clone(), [7; 40]));
    drop(make().receive());
    assert_eq!(drops.load(Relaxed), 1);
    drop(make().into_inner());
    assert_eq!(drops.load(Relaxed), 2);
    let mut handle = make();
    assert_eq!(handle.receive_mut().1[0], 7);
    assert_eq!(handle.receive_mut().1[39], 7);
    drop(handle);
    assert_eq!(drops.load(Relaxed), 3);
    let mut handle = make();
    handle.receive_mut();
    drop(handle.receive());
    assert_eq!(drops.load(Relaxed), 4);
    reported(|| drop(make()));
    assert_eq!(drops.load(Relaxed), 5);
    let handle = make();
    on_a_thread(|| reported(move || drop(handle)));
    assert_eq!(drops.load(Relaxed), 6);
    // A channel whose receiver has gone gives it back, one that still holds it drops it.
    let (sender, receiver) = mpsc::channel();
    sender.send(make()).unwrap();
    reported(|| drop(receiver));
    let refused = sender.send(make()).unwrap_err().0;
    drop(refused.receive());
    assert_eq!(drops.load(Relaxed), 8);
    std::mem::forget(make());
    assert_eq!(drops.load(Relaxed), 8);
}

#[test]
fn a_handle_dropped_without_receive_is_reported_with_what_it_held() {
    struct PhysicsResult(#[expect(dead_code, reason = "only its size matters")] [u8; 200]);
    let alloc = small();
    let handle = alloc.with_tag("transfer_test", |alloc| {
        alloc.frame_box_for_transfer(PhysicsResult([1; 200]))
    });
    let ((), reports) = diagnostics::capture(|| drop(handle));
    if !cfg!(debug_assertions) {
        assert!(reports.is_empty());
        return;
    }
    assert_eq!(codes(&reports), [DiagnosticCode::FA206]);
    let message = &reports[0].message;
    let thread = format!("{:?}", thread::current().id());
    for part in ["PhysicsResult", "200 bytes", "transfer_test", &thread] {
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn a_received_value_is_not_reported() {
    let alloc = small();
    let ((), codes) = reported(|| {
        drop(alloc.frame_box_for_transfer(1).receive());
        alloc.frame_box_for_transfer(1).into_inner();
        alloc.frame_box_for_transfer(1).receive_mut();
    });
    assert_eq!(codes, []);
}

#[test]
fn a_handle_tells_how_far_it_is() {
    let alloc = small();
    let mut handle = alloc.frame_box_for_transfer([0_u16; 50]);
    assert_eq!(handle.size(), 100);
    assert_eq!(handle.state(), TransferState::Owned);
    assert_eq!(handle.origin_thread(), thread::current().id());
    handle.mark_sent();
    assert_eq!(handle.state(), TransferState::InFlight);
    assert!(!handle.is_received());
    handle.receive_mut()[3] = 9;
    assert!(handle.is_received());
    assert_eq!(handle.state(), TransferState::Received);
    assert_eq!(handle.receive()[3], 9);
}

#[test]
fn ids_are_never_the_same() {
    let alloc = small();
    let ids = Mutex::new(HashSet::new());
    let make = || {
        for _ in 0..500 {
            let handle = alloc.frame_box_for_transfer(());
            assert!(ids.lock().unwrap().insert(handle.id()));
            handle.receive();
        }
    };
    // In turn, so that records are adopted, and at once.
    on_a_thread(make);
    on_a_thread(make);
    thread::scope(|scope| {
        scope.spawn(make);
        scope.spawn(make);
    });
    assert_eq!(ids.into_inner().unwrap().len(), 2000);
}

#[test]
fn values_of_every_size_and_alignment_are_transferred() {
    with_a_large_stack(|| {
        let alloc = small();
        macro_rules! check {
            ($t:ident) => {
                let handle = alloc.frame_box_for_transfer($t(42));
                let received = on_a_thread(move || {
                    let received = handle.receive();
                    assert_eq!(address(&*received) % align_of::<$t>(), 0);
                    received
                });
                assert_eq!(received.0, 42);
            };
        }
        crate::for_every_alignment!(check);
        let large = alloc.frame_box_for_transfer([3_u8; 1 << 20]);
        assert!(on_a_thread(move || large.receive().iter().all(|&b| b == 3)));
        let nothing = alloc.frame_box_for_transfer(());
        on_a_thread(move || nothing.into_inner());
    });
}

#[test]
fn a_value_that_a_budget_refuses_comes_back() {
    let alloc = SmartAlloc::new(AllocConfig::minimal().with_memory_limit(64 << 10));
    let drops = Arc::new(AtomicUsize::new(0));
    let value = (Shared(drops.clone(), [7; 40]), [0_u8; 3000]);
    let mut handles = Vec::new();
    let ((value, error), _) = reported(|| {
        let mut value = value;
        for _ in 0..100 {
            handles.push(alloc.frame_box_for_transfer([0_u8; 2000]));
            match alloc.try_frame_box_for_transfer(value) {
                Ok(handle) => value = handle.into_inner(),
                Err(refused) => {
                    let error = *refused.error();
                    return (refused.into_inner(), error);
                }
            }
        }
        panic!("the limit was never reached");
    });
    assert!(error.kind().is_budget());
    assert_eq!(drops.load(Relaxed), 0);
    // With the others gone, there is room.
    handles
        .into_iter()
        .for_each(|handle| drop(handle.receive()));
    drop(alloc.frame_box_for_transfer(value).receive());
    assert_eq!(drops.load(Relaxed), 1);
}

#[test]
fn a_destructor_that_panics_in_a_lost_handle_frees_the_block_all_the_same() {
    struct Panics<'a>(#[expect(dead_code, reason = "dropped with it")] Counted<'a>);
    impl Drop for Panics<'_> {
        fn drop(&mut self) {
            panic!("in a destructor");
        }
    }
    let alloc = small();
    let drops = Cell::new(0);
    for n in 1..=100 {
        let handle = alloc.frame_box_for_transfer(Panics(Counted(&drops)));
        panics(|| reported(|| drop(handle)));
        assert_eq!(drops.get(), n);
    }
}

#[test]
fn a_destructor_may_transfer_other_values() {
    struct Chain(SmartAlloc, u32);
    impl Drop for Chain {
        fn drop(&mut self) {
            if self.1 > 0 {
                let next = Chain(self.0.clone(), self.1 - 1);
                drop(self.0.frame_box_for_transfer(next).receive());
            }
        }
    }
    let alloc = small();
    drop(
        alloc
            .frame_box_for_transfer(Chain(alloc.clone(), 20))
            .receive(),
    );
}

#[test]
fn handles_in_thread_locals_are_dropped_with_their_thread() {
    thread_local! {
        static KEPT: std::cell::RefCell<Vec<TransferHandle<Shared>>> = const { std::cell::RefCell::new(Vec::new()) };
    }
    let alloc = small();
    let drops = Arc::new(AtomicUsize::new(0));
    on_a_thread(|| {
        KEPT.with(|_| ());
        for _ in 0..50 {
            let handle = alloc.frame_box_for_transfer(Shared(drops.clone(), [7; 40]));
            KEPT.with_borrow_mut(|kept| kept.push(handle));
        }
    });
    assert_eq!(drops.load(Relaxed), 50);
}

#[test]
fn a_panic_between_making_and_receiving_drops_the_value() {
    let alloc = small();
    let drops = Arc::new(AtomicUsize::new(0));
    let outcome = on_a_thread(|| {
        catch_unwind(AssertUnwindSafe(|| {
            let _handle = alloc.frame_box_for_transfer(Shared(drops.clone(), [7; 40]));
            panic!("before it is sent");
        }))
        .is_err()
    });
    assert!(outcome);
    assert_eq!(drops.load(Relaxed), 1);
}

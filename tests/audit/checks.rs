//! The checks of a program with a `HeapAudit`, whatever it wraps. Every test has tags of its own.

use std::cell::{Cell, RefCell};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use framealloc::tags::{TagId, TagScope, TagTotals, TrafficTotals};
use framealloc::{AllocConfig, HeapAudit, SmartAlloc};

fn tag(path: &str) -> TagId {
    TagId::from_path(path)
}

/// What `f`, run under the tag, did to the heap in that tag's name.
fn spent<R>(tag: TagId, f: impl FnOnce() -> R) -> (R, TrafficTotals) {
    let before = TagTotals::capture();
    let result = {
        let _scope = TagScope::enter(tag);
        f()
    };
    let spent = TagTotals::capture().since(&before).of(tag).audit;
    (result, spent)
}

fn since(before: &TagTotals, tag: TagId) -> TrafficTotals {
    TagTotals::capture().since(before).of(tag).audit
}

/// Sleeps once as one does who finds a mutex taken. `parking_lot` then makes the tables that sleepers are entered in, at each
/// thread's first time, in the name of the tag that is current: another test's thread may hold the mutex.
fn sleep_in_a_mutex() {
    let nobody_wakes = parking_lot::Condvar::new();
    let mutex = parking_lot::Mutex::new(());
    let waited = nobody_wakes.wait_for(&mut mutex.lock(), Duration::ZERO);
    assert!(waited.timed_out());
}

#[test]
fn it_knows_that_it_is_installed() {
    assert!(HeapAudit::is_installed());
}

#[test]
fn every_kind_of_allocation_is_charged_to_its_tag_exactly() {
    let mine = tag("audit_exact");
    let (kept, spent) = spent(mine, || {
        (
            Box::new([1_u8; 100]),
            vec![0_u64; 50],
            String::from("twelve bytes"),
            Vec::<u16>::with_capacity(7),
        )
    });
    assert_eq!((spent.allocs, spent.bytes), (4, 100 + 400 + 12 + 14));
    assert_eq!((spent.frees, spent.live()), (0, 4));
    assert!(kept.1.iter().all(|&n| n == 0));
    let before = TagTotals::capture();
    drop(kept);
    let freed = since(&before, mine);
    assert_eq!((freed.frees, freed.freed_bytes), (4, 526));
}

#[test]
fn a_free_is_charged_to_the_tag_that_allocated_on_whatever_thread() {
    let (making, freeing) = (tag("audit_cross::making"), tag("audit_cross::freeing"));
    let before = TagTotals::capture();
    let boxes: Vec<Box<[u8; 64]>> = {
        let mut boxes = Vec::with_capacity(1000);
        let _scope = TagScope::enter(making);
        boxes.extend((0..1000).map(|_| Box::new([7_u8; 64])));
        boxes
    };
    let made = since(&before, making);
    assert_eq!((made.allocs, made.bytes), (1000, 64_000));
    thread::spawn(move || {
        let _scope = TagScope::enter(freeing);
        for boxed in boxes {
            assert_eq!(*boxed, [7; 64]);
        }
    })
    .join()
    .unwrap();
    let after = since(&before, making);
    assert_eq!((after.live(), after.live_bytes()), (0, 0));
    assert_eq!(since(&before, freeing).frees, 0);
}

#[test]
fn what_grows_is_charged_to_the_tag_that_grew_it() {
    let (first, second) = (tag("audit_grow::first"), tag("audit_grow::second"));
    let before = TagTotals::capture();
    let mut bytes = {
        let _scope = TagScope::enter(first);
        Vec::<u8>::with_capacity(1000)
    };
    bytes.extend(0..200);
    {
        let _scope = TagScope::enter(second);
        bytes.reserve_exact(100_000);
        bytes.shrink_to(50_000);
    }
    assert!(bytes.iter().copied().eq(0..200));
    assert_eq!(since(&before, first).live_bytes(), 0);
    assert_eq!(since(&before, second).live_bytes(), bytes.capacity() as i64);
    drop(bytes);
    let after = since(&before, second);
    assert_eq!((after.live(), after.live_bytes()), (0, 0));
}

#[test]
fn every_alignment_is_kept_and_contents_survive_growth() {
    macro_rules! check {
        ($($align:literal)*) => {$({
            #[derive(Clone, Copy, PartialEq, Debug)]
            #[repr(align($align))]
            struct Aligned(u8);
            let mine = tag(concat!("audit_align::a", $align));
            let (mut values, spent) = spent(mine, || vec![Aligned(3); 2]);
            assert_eq!((spent.allocs, spent.bytes), (1, 2 * $align));
            for n in 0..6 {
                assert!(values.as_ptr().is_aligned());
                values.push(Aligned(n));
            }
            let boxed = Box::new(Aligned(9));
            assert!((&raw const *boxed).is_aligned());
            assert_eq!(values[1..4], [Aligned(3), Aligned(0), Aligned(1)]);
            values.shrink_to_fit();
            assert!(values.as_ptr().is_aligned());
            assert_eq!((values[7], boxed.0), (Aligned(5), 9));
        })*};
    }
    check!(1 2 4 8 16 32 64 4096 65536);
    let zeroed = vec![0_u8; 3 << 20];
    assert!(zeroed.iter().all(|&b| b == 0));
}

#[test]
fn absurd_sizes_are_refused_as_they_are_without_it() {
    let mut bytes = Vec::<u8>::new();
    assert!(bytes.try_reserve_exact(isize::MAX as usize).is_err());
    assert!(bytes.try_reserve_exact(isize::MAX as usize - 8).is_err());
    bytes.push(1);
    assert!(bytes.try_reserve_exact(isize::MAX as usize - 16).is_err());
    assert_eq!(bytes, [1]);
}

/// Allocates when it is dropped, under a tag.
struct Late(TagId, Option<Vec<u8>>);

impl Drop for Late {
    fn drop(&mut self) {
        let _scope = TagScope::enter(self.0);
        let boxed = Box::new([1_u8; 40]);
        let mut grown = vec![2_u8; 10];
        grown.extend([3; 1000]);
        assert_eq!((boxed[39], grown[1009]), (1, 3));
        self.1.take();
    }
}

#[test]
fn thread_locals_may_allocate_and_free_in_their_destructors() {
    thread_local! {
        static BEFORE: Cell<Option<Late>> = const { Cell::new(None) };
        static AFTER: RefCell<Vec<Late>> = const { RefCell::new(Vec::new()) };
    }
    let mine = tag("audit_late");
    let before = TagTotals::capture();
    for _ in 0..100 {
        let passed = {
            let _scope = TagScope::enter(mine);
            vec![4_u8; 99]
        };
        thread::spawn(move || {
            BEFORE.set(Some(Late(mine, Some(passed))));
            let alloc = SmartAlloc::new(AllocConfig::minimal());
            alloc.frame().alloc([1_u8; 8]);
            let own = {
                let _scope = TagScope::enter(mine);
                vec![5_u8; 77]
            };
            AFTER.with_borrow_mut(|late| late.push(Late(mine, Some(own))));
        })
        .join()
        .unwrap();
    }
    let after = since(&before, mine);
    assert_eq!((after.live(), after.live_bytes()), (0, 0));
    assert!(after.allocs >= 100 * 6, "{after:?}");
}

#[test]
fn threads_that_come_and_go_lose_no_count() {
    let mine = tag("audit_churn");
    let before = TagTotals::capture();
    for _ in 0..50 {
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let _scope = TagScope::enter(mine);
                    for n in 0..100 {
                        assert_eq!(vec![n; 10][9], n);
                    }
                });
            }
        });
    }
    let after = since(&before, mine);
    assert_eq!((after.allocs, after.frees), (20_000, 20_000));
    assert_eq!((after.bytes, after.live_bytes()), (20_000 * 40, 0));
}

/// What keeps call stacks and looks symbols up allocates itself, by way of this very allocator.
#[cfg(feature = "debug")]
#[test]
fn tracking_leaks_under_an_audit_does_not_recurse_and_is_charged_to_a_tag_of_its_own() {
    let alloc = SmartAlloc::new(AllocConfig::minimal());
    alloc.leak_tracker().enable();
    let mine = tag("audit_leaks");
    let before = TagTotals::capture();
    let (held, spent) = spent(mine, || {
        (0..100_u8)
            .map(|n| (alloc.pool_box([n; 40]).unwrap(), vec![n; 10]))
            .collect::<Vec<_>>()
    });
    let report = alloc.leak_report();
    assert_eq!((report.totals().count, report.totals().bytes), (100, 4_000));
    assert_eq!(report.groups.len(), 1);
    // A hundred vectors, the one that they are in, and tables of watched blocks that have grown.
    assert!((101..150).contains(&spent.live()), "{spent:?}");
    // A trace, and its stack.
    let tracker = tag("framealloc::leak_tracker");
    assert_eq!(since(&before, tracker).live(), 200);
    drop(held);
    assert_eq!(since(&before, tracker).live(), 0);
    assert!(alloc.leak_report().is_empty());
}

#[test]
fn blocks_sent_back_and_forth_are_counted_once() {
    let mine = tag("audit_pass");
    let before = TagTotals::capture();
    let (there, receive) = mpsc::channel::<Vec<u32>>();
    let (back, returned) = mpsc::channel::<Vec<u32>>();
    let worker = thread::spawn(move || {
        for mut numbers in receive {
            numbers.extend([1; 100]);
            back.send(numbers).unwrap();
        }
    });
    for n in 0..1000 {
        let numbers = {
            let _scope = TagScope::enter(mine);
            vec![n; 8]
        };
        there.send(numbers).unwrap();
        assert_eq!(returned.recv().unwrap()[..8], [n; 8]);
    }
    drop(there);
    worker.join().unwrap();
    let after = since(&before, mine);
    // They grew under no tag, and were that one's from then on.
    assert_eq!(
        (after.allocs, after.live(), after.live_bytes()),
        (1000, 0, 0)
    );
}

#[test]
fn frames_in_their_steady_state_make_no_heap_traffic() {
    sleep_in_a_mutex();
    let alloc = SmartAlloc::new(AllocConfig::minimal());
    let mine = tag("audit_frames");
    let frame = |n: usize| {
        alloc.begin_frame();
        let slice = alloc.frame_slice_fill(1000 + n % 100, n).unwrap();
        let text = alloc.frame_format(format_args!("{n:>20}")).unwrap();
        let big = alloc.frame_alloc::<[u8; 200_000]>();
        let guard = alloc.frame();
        let mut numbers = guard.vec();
        numbers.extend(0..n % 1000);
        let mut names = guard.map();
        names.extend((0..50).map(|n| (n, n)));
        alloc.with_tag("audit_frames_child", |alloc| {
            drop(alloc.pool_box([n; 4]).unwrap());
        });
        drop((slice, text, big, numbers, names));
        drop(guard);
        alloc.end_frame();
    };
    let run = |frames: usize| {
        let _scope = TagScope::enter(mine);
        (0..frames).for_each(frame);
    };
    run(300);
    let before = TagTotals::capture();
    run(50);
    let spent = TagTotals::capture().since(&before).within(mine).audit;
    assert_eq!(spent, TrafficTotals::default());
}

#[test]
fn an_arena_that_grows_makes_no_heap_traffic() {
    sleep_in_a_mutex();
    let alloc = SmartAlloc::new(AllocConfig::minimal().with_max_frame_arena_size(64 << 20));
    let mine = tag("audit_growing");
    // A thread's first use of an allocator enters it in tables.
    alloc.frame().alloc(1u64);
    let before = TagTotals::capture();
    {
        let _scope = TagScope::enter(mine);
        let frame = alloc.frame();
        for _ in 0..20 {
            frame.alloc_slice_fill(1 << 20, 0u8);
            frame.alloc_slice_fill(1 << 16, 0u8);
        }
    }
    let spent = TagTotals::capture().since(&before).of(mine);
    assert!(spent.frame_bytes > 20 << 20);
    assert_eq!(spent.audit, TrafficTotals::default());
}

#[test]
fn listening_makes_no_heap_traffic_of_the_tag_whose_blocks_are_told_of() {
    sleep_in_a_mutex();
    let alloc = SmartAlloc::with_defaults();
    alloc.enable_lifecycle_tracking();
    alloc.on_frame_event(|_| {});
    let tag = tag("audit_watched");
    alloc.begin_frame();
    let mut boxes = Vec::with_capacity(5000);
    let (_, traffic) = spent(tag, || {
        for n in 0..5000u64 {
            boxes.push((alloc.pool_box(n).unwrap(), alloc.frame_box(n).unwrap()));
        }
        boxes.clear();
    });
    assert_eq!((traffic.allocs, traffic.frees), (0, 0));
    drop(boxes);
    alloc.end_frame();
}

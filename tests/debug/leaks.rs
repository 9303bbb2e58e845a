//! Call stacks of what is alive, and the report of what nobody freed.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;

use framealloc::diagnostics::{DiagnosticCode, MemoryEvent, capture};
use framealloc::tags::TagId;
use framealloc::{AllocKind, LeakReport, PoolBox, SmartAlloc, StrictModeGuard};

use crate::codes;

mod registry {
    include!(concat!(env!("OUT_DIR"), "/examples.rs"));
}

#[test]
fn the_wrong_example_of_fa540_reports_it_and_the_right_one_nothing() {
    let row = registry::EXAMPLES
        .iter()
        .find(|row| row.0 == DiagnosticCode::FA540);
    let &(_, wrong, right) = row.unwrap();
    assert_eq!(codes(&capture(wrong).1), [DiagnosticCode::FA540]);
    assert_eq!(codes(&capture(right).1), []);
}

/// What the documentation of `LeakTracker` shows.
#[test]
fn the_documentation_is_right() -> Result<(), framealloc::AllocError> {
    let alloc = SmartAlloc::with_defaults();
    alloc.leak_tracker().enable();
    let forgotten = alloc.with_tag("enemies", |alloc| alloc.pool_box([0u8; 64]))?;

    let report = alloc.leak_report();
    assert_eq!(report.groups[0].tag.path(), "enemies");
    assert_eq!((report.groups[0].count, report.groups[0].bytes), (1, 64));
    println!("{report}");
    drop(forgotten);
    Ok(())
}

/// It asserts what it shows.
#[test]
fn the_example_finds_its_leak() {
    let ((), reports) = capture(crate::find_a_leak::main);
    assert_eq!(codes(&reports), [DiagnosticCode::FA540]);
    assert_eq!(reports[0].tag.path(), "weapons");
    println!("{}", reports[0]);
}

fn tracked() -> SmartAlloc {
    let alloc = SmartAlloc::with_defaults();
    alloc.leak_tracker().enable();
    alloc
}

/// What is alive, as (tag, kind, count, bytes).
fn rows(report: &LeakReport) -> Vec<(&'static str, AllocKind, u64, u64)> {
    let row = |group: &framealloc::LeakGroup| {
        assert!(group.exact);
        (group.tag.path(), group.kind, group.count, group.bytes)
    };
    report.groups.iter().map(row).collect()
}

#[inline(never)]
fn spawn_wave(alloc: &SmartAlloc) -> framealloc::PoolBox<[u8; 48]> {
    alloc.pool_box([1; 48]).unwrap()
}

#[inline(never)]
fn load_level(alloc: &SmartAlloc) -> framealloc::HeapBox<[u8; 10_000]> {
    alloc.heap_box([2; 10_000]).unwrap()
}

#[test]
fn what_is_alive_is_reported_by_tag_and_call_site() {
    let alloc = tracked();
    let wave: Vec<_> = alloc.with_tag("leaks_enemies", |alloc| {
        (0..3).map(|_| spawn_wave(alloc)).collect()
    });
    let level = alloc.with_tag("leaks_level", load_level);
    drop(alloc.pool_box([0_u8; 500]).unwrap());
    let report = alloc.leak_report();
    assert_eq!(
        rows(&report),
        [
            ("leaks_level", AllocKind::Heap, 1, 10_000),
            ("leaks_enemies", AllocKind::Pool, 3, 144),
        ]
    );
    drop((wave, level));
    assert!(alloc.leak_report().is_empty());
}

#[test]
fn a_stack_begins_with_the_programs_own_line() {
    let alloc = tracked();
    let _wave = spawn_wave(&alloc);
    let report = alloc.leak_report();
    let group = &report.groups[0];
    assert_eq!(group.call_site, group.stack[0]);
    assert!(group.call_site.function.contains("spawn_wave"), "{group}");
    assert!(
        group.stack[1].function.contains("a_stack_begins"),
        "{group}"
    );
    if cfg!(debug_assertions) {
        let file = group.call_site.file.as_deref().unwrap();
        assert!(file.ends_with("debug/leaks.rs"), "{file}");
        assert!(group.call_site.line.unwrap() > 20);
    }
    let own = |frame: &framealloc::StackFrame| frame.function.contains("framealloc::");
    assert!(!group.stack.iter().any(own), "{group}");
}

#[test]
fn collections_and_parts_are_traced_to_the_line_that_made_them_grow() {
    let alloc = tracked();
    #[inline(never)]
    fn grow(alloc: &SmartAlloc) -> allocator_api2::vec::Vec<u64, framealloc::PoolAllocator> {
        let mut numbers = allocator_api2::vec::Vec::new_in(alloc.pool_allocator());
        numbers.extend(0..10);
        numbers
    }
    #[inline(never)]
    fn reserve(alloc: &SmartAlloc) {
        let streaming = alloc.streaming();
        streaming
            .reserve(50_000, framealloc::StreamPriority::Normal)
            .unwrap();
    }
    let numbers = grow(&alloc);
    reserve(&alloc);
    let report = alloc.leak_report();
    let site = |name: &str| {
        let is_of = |group: &&framealloc::LeakGroup| group.call_site.function.ends_with(name);
        report
            .groups
            .iter()
            .find(is_of)
            .unwrap_or_else(|| panic!("{report}"))
    };
    assert_eq!(site("grow").bytes, numbers.capacity() as u64 * 8);
    assert!(site("reserve").bytes >= 50_000);
}

#[test]
fn frame_memory_is_reported_from_the_end_of_its_frame_until_it_drops() {
    let alloc = tracked();
    alloc.begin_frame();
    let kept = alloc.with_tag("leaks_kept", |alloc| alloc.frame_box([0_u64; 4]).unwrap());
    let brief = alloc.frame_box(1_u64).unwrap();
    assert!(alloc.leak_report().is_empty());
    drop(brief);
    let ((), reports) = capture(|| alloc.end_frame());
    assert_eq!(codes(&reports), [DiagnosticCode::FA002]);
    assert_eq!(
        rows(&alloc.leak_report()),
        [("leaks_kept", AllocKind::Frame, 1, 32)]
    );
    for _ in 0..2 {
        alloc.begin_frame();
        alloc.end_frame();
    }
    let report = alloc.leak_report();
    assert_eq!((report.groups[0].oldest, report.frame), (2, 3));
    drop(kept);
    assert!(alloc.leak_report().is_empty());
}

#[test]
fn ages_are_in_frames_and_tell_what_comes_and_goes_from_what_stays() {
    let alloc = tracked();
    let mut kept = Vec::new();
    for _ in 0..10 {
        alloc.begin_frame();
        kept.push(spawn_wave(&alloc));
        alloc.end_frame();
    }
    let report = alloc.leak_report();
    let group = &report.groups[0];
    assert_eq!((group.count, group.youngest, group.oldest), (10, 0, 9));
    let old = alloc.leak_tracker().report_older_than(5);
    assert_eq!((old.groups[0].count, old.groups[0].youngest), (5, 5));
    assert!(alloc.leak_tracker().report_older_than(10).is_empty());
}

#[test]
fn ages_are_right_if_tracking_begins_late() {
    let alloc = SmartAlloc::with_defaults();
    for _ in 0..100 {
        alloc.begin_frame();
        alloc.end_frame();
    }
    alloc.leak_tracker().enable();
    let between = spawn_wave(&alloc);
    alloc.begin_frame();
    let inside = alloc.with_tag("leaks_late", spawn_wave);
    alloc.end_frame();
    let report = alloc.leak_report();
    let mut ages: Vec<_> = report.groups.iter().map(|group| group.oldest).collect();
    ages.sort_unstable();
    assert_eq!((report.frame, &*ages), (101, &[0, 1][..]));
    drop((between, inside));
}

#[test]
fn what_is_held_when_the_allocator_goes_is_reported_by_tag() {
    let (first, second) = ("leaks_drop::first", "leaks_drop::second");
    let (held, reports) = capture(|| {
        let alloc = tracked();
        let clone = alloc.clone();
        let in_tag = |tag: &'static str| {
            alloc.with_tag("leaks_drop", |alloc| alloc.with_tag(tag, spawn_wave))
        };
        let held = (in_tag("first"), in_tag("second"), in_tag("second"));
        // What the parts hold goes with them.
        let _ = alloc
            .streaming()
            .reserve(1 << 16, framealloc::StreamPriority::Normal);
        alloc.groups().create_group("leaks_drop");
        drop(alloc);
        drop(clone);
        held
    });
    assert_eq!(codes(&reports), [DiagnosticCode::FA540; 2]);
    let report = |tag: &str| {
        reports
            .iter()
            .find(|report| report.tag.path() == tag)
            .unwrap()
    };
    let text = &report(second).message;
    assert!(
        text.starts_with("2 blocks, 96 B of `leaks_drop::second` are still held"),
        "{text}"
    );
    assert!(text.contains("spawn_wave"), "{text}");
    assert!(report(first).message.starts_with("1 block, 48 B"));
    drop(held);
}

#[test]
#[should_panic(expected = "[framealloc][FA540] 1 block, 48 B of `leaks_strict` are still held")]
fn in_strict_mode_a_leak_panics_where_the_allocator_is_dropped() {
    let alloc = tracked();
    std::mem::forget(alloc.with_tag("leaks_strict", spawn_wave));
    let _strict = StrictModeGuard::panic_on_warning();
    drop(alloc);
}

#[test]
fn an_allocator_that_is_dropped_while_its_thread_unwinds_does_not_panic_again() {
    let unwound = std::panic::catch_unwind(|| {
        let alloc = tracked();
        std::mem::forget(alloc.with_tag("leaks_unwinding", spawn_wave));
        let _strict = StrictModeGuard::panic_on_warning();
        let _alloc = alloc;
        panic!("something else is wrong");
    });
    let said = unwound.unwrap_err();
    assert_eq!(said.downcast_ref(), Some(&"something else is wrong"));
}

#[test]
fn nothing_is_said_if_nothing_is_held_or_nobody_asked() {
    let ((), reports) = capture(|| {
        let alloc = tracked();
        drop(spawn_wave(&alloc));
        drop(alloc);
        let alloc = SmartAlloc::with_defaults();
        let held = spawn_wave(&alloc);
        drop(alloc);
        drop(held);
        let alloc = tracked();
        alloc.leak_tracker().set_report_at_drop(false);
        let held = spawn_wave(&alloc);
        drop(alloc);
        drop(held);
    });
    assert_eq!(codes(&reports), []);
}

#[test]
fn a_forgotten_lease_is_held_to_the_end() {
    let ((), reports) = capture(|| {
        let alloc = tracked();
        alloc.begin_frame();
        std::mem::forget(alloc.frame_box([0_u8; 24]).unwrap());
        alloc.end_frame();
    });
    assert_eq!(
        codes(&reports),
        [DiagnosticCode::FA002, DiagnosticCode::FA540]
    );
    assert!(reports[1].message.starts_with("1 block, 24 B"));
}

#[test]
fn what_is_allowed_is_counted_and_not_reported() {
    let alloc = tracked();
    let held = alloc.with_tag("leaks_allowed", |alloc| {
        (alloc.with_tag("below", spawn_wave), spawn_wave(alloc))
    });
    let level = load_level(&alloc);
    let other = alloc.pool_box([0_u8; 16]).unwrap();
    assert_eq!(alloc.leak_report().totals().count, 4);
    alloc
        .leak_tracker()
        .allow_tag(TagId::from_path("leaks_allowed"));
    alloc.leak_tracker().allow_function("load_?evel");
    let report = alloc.leak_report();
    assert_eq!((report.totals().count, report.totals().bytes), (1, 16));
    assert_eq!((report.allowed.count, report.allowed.bytes), (3, 10_096));
    assert!(
        report
            .to_string()
            .contains("(besides 3 blocks, 9.9 KiB that may be)"),
        "{report}"
    );
    drop((held, level, other));
}

#[test]
fn samples_count_for_those_that_were_not_taken_and_say_so() {
    let alloc = SmartAlloc::with_defaults();
    alloc.leak_tracker().enable_sampled(10);
    let mut held: Vec<_> = (0..10_000).map(|_| spawn_wave(&alloc)).collect();
    let report = alloc.leak_report();
    let group = &report.groups[0];
    assert!(!group.exact && !report.totals().exact);
    assert!((9_000..11_000).contains(&group.count), "{}", group.count);
    assert_eq!((group.count % 10, group.bytes), (0, group.count * 48));
    assert!(report.to_string().starts_with("about "), "{report}");
    // A loop as long as the period does not hit the same place.
    alloc.leak_tracker().enable_sampled(2);
    held.clear();
    let other: Vec<_> = (0..2_000)
        .map(|n| {
            drop(held.pop());
            held.push(spawn_wave(&alloc));
            alloc.with_tag(["leaks_even", "leaks_odd"][n % 2], spawn_wave)
        })
        .collect();
    let report = alloc.leak_report();
    for tag in ["leaks_even", "leaks_odd"] {
        let (_, totals) = report
            .by_tag()
            .into_iter()
            .find(|(of, _)| of.path() == tag)
            .unwrap();
        assert!(
            (800..1_200).contains(&totals.count),
            "{tag}: {}",
            totals.count
        );
    }
    drop(other);
    // Exact again.
    held.clear();
    alloc.leak_tracker().enable();
    let last = spawn_wave(&alloc);
    assert_eq!(rows(&alloc.leak_report()), [("", AllocKind::Pool, 1, 48)]);
    drop(last);
}

#[test]
fn a_report_is_the_same_after_json() {
    let alloc = tracked();
    let _held = alloc.with_tag("leaks \"json\"\n", |alloc| {
        (spawn_wave(alloc), load_level(alloc))
    });
    let report = alloc.leak_report();
    let json = serde_json::to_string(&report).unwrap();
    assert!(
        json.contains(r#""tag":"leaks \"json\"\n","kind":"heap""#),
        "{json}"
    );
    assert_eq!(serde_json::from_str::<LeakReport>(&json).unwrap(), report);
}

#[test]
fn what_was_traced_is_followed_after_tracking_stops() {
    let alloc = tracked();
    let held = (spawn_wave(&alloc), load_level(&alloc));
    alloc.leak_tracker().disable();
    let later = spawn_wave(&alloc);
    assert_eq!(alloc.leak_report().totals().count, 2);
    drop(held.0);
    assert_eq!(alloc.leak_report().totals().count, 1);
    drop((held.1, later));
    assert!(alloc.leak_report().is_empty());
}

#[test]
fn trackers_of_two_allocators_do_not_mix() {
    let (one, other) = (tracked(), tracked());
    let held = spawn_wave(&one);
    assert_eq!(one.leak_report().totals().count, 1);
    assert!(other.leak_report().is_empty());
    drop(held);
}

#[test]
fn tracking_may_be_switched_while_threads_allocate() {
    let alloc = SmartAlloc::with_defaults();
    let stop = Arc::new(AtomicBool::new(false));
    let workers: Vec<_> = (0..4)
        .map(|_| {
            let (alloc, stop) = (alloc.clone(), stop.clone());
            thread::spawn(move || {
                let mut held = Vec::new();
                while !stop.load(Relaxed) {
                    alloc.begin_frame();
                    held.push(spawn_wave(&alloc));
                    let brief = alloc.frame_box([7_u64; 9]).unwrap();
                    assert_eq!(brief[8], 7);
                    drop(brief);
                    alloc.end_frame();
                    held.truncate(50);
                }
                held
            })
        })
        .collect();
    for round in 0..60 {
        match round % 3 {
            0 => alloc.leak_tracker().enable(),
            1 => alloc.leak_tracker().enable_sampled(3),
            _ => alloc.leak_tracker().disable(),
        }
        let _ = alloc.leak_report();
    }
    stop.store(true, Relaxed);
    let held: Vec<_> = workers
        .into_iter()
        .map(|worker| worker.join().unwrap())
        .collect();
    assert!(alloc.leak_report().totals().count <= 3 * 4 * 51);
    drop(held);
    assert!(alloc.leak_report().is_empty());
}

#[test]
fn threads_may_die_and_hold_boxes_past_the_allocator() {
    let (held, reports) = capture(|| {
        let alloc = tracked();
        let worker = {
            let alloc = alloc.clone();
            thread::spawn(move || {
                thread::spawn({
                    let alloc = alloc.clone();
                    move || spawn_wave(&alloc)
                })
                .join()
                .unwrap()
            })
        };
        let held = worker.join().unwrap();
        assert_eq!(alloc.leak_report().totals().count, 1);
        held
    });
    assert_eq!(codes(&reports), [DiagnosticCode::FA540]);
    thread::spawn(move || drop(held)).join().unwrap();
}

/// Whoever drops the last clone reports, once.
#[test]
fn clones_that_are_dropped_at_once_report_once() {
    for _ in 0..50 {
        let alloc = tracked();
        let held = spawn_wave(&alloc);
        let start = Arc::new(Barrier::new(4));
        let droppers: Vec<_> = (0..4)
            .map(|_| {
                let (alloc, start) = (alloc.clone(), start.clone());
                thread::spawn(move || {
                    let ((), reports) = capture(|| {
                        start.wait();
                        drop(alloc);
                    });
                    reports.len()
                })
            })
            .collect();
        drop(alloc);
        let reports: usize = droppers
            .into_iter()
            .map(|dropper| dropper.join().unwrap())
            .sum();
        // This thread's own clone may have been the last.
        assert!(reports <= 1);
        drop(held);
    }
}

#[test]
fn thread_locals_may_free_and_allocate_in_their_destructors() {
    struct Late(SmartAlloc, Option<PoolBox<[u8; 48]>>);
    impl Drop for Late {
        fn drop(&mut self) {
            self.1.take();
            let other = spawn_wave(&self.0);
            let level = load_level(&self.0);
            drop((other, level));
        }
    }
    thread_local! {
        static BEFORE: Cell<Option<Late>> = const { Cell::new(None) };
        static AFTER: Cell<Option<Late>> = const { Cell::new(None) };
    }
    let alloc = tracked();
    for _ in 0..20 {
        let late = |alloc: &SmartAlloc| Late(alloc.clone(), Some(spawn_wave(alloc)));
        let alloc = alloc.clone();
        thread::spawn(move || {
            BEFORE.set(Some(late(&alloc)));
            drop(alloc.frame_box(1));
            AFTER.set(Some(late(&alloc)));
            assert!(alloc.leak_report().totals().count >= 2);
        })
        .join()
        .unwrap();
    }
    assert!(alloc.leak_report().is_empty());
}

#[test]
fn a_listener_that_panics_leaves_nothing_traced() {
    let alloc = tracked();
    alloc.profiler().set_callback(|event| {
        if matches!(event, MemoryEvent::Alloc { .. }) {
            panic!("the profiler is broken");
        }
    });
    let refused = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| spawn_wave(&alloc)));
    assert!(refused.is_err());
    alloc.profiler().clear_callback();
    assert!(alloc.leak_report().is_empty());
}

#[test]
fn what_a_listener_allocates_is_not_traced_and_a_report_may_be_made_inside_it() {
    let alloc = tracked();
    let inner = alloc.clone();
    alloc.profiler().set_callback(move |event| {
        if matches!(event, MemoryEvent::Alloc { .. }) {
            let _brief = inner.pool_box([0_u8; 8]).unwrap();
            assert_eq!(inner.leak_report().totals().count, 1);
        }
    });
    let held = spawn_wave(&alloc);
    assert_eq!(alloc.leak_report().totals().count, 1);
    alloc.profiler().clear_callback();
    drop(held);
}

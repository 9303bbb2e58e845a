//! Budgets that an allocator is given after it was made, and what a look now and then sees of them.

use std::sync::mpsc;
use std::thread;

use framealloc::tags::TagId;
use framealloc::{
    AllocConfig, AllocErrorKind, BudgetExceededPolicy, BudgetStatus, SmartAlloc, ThreadBudgetConfig,
};

/// Without anything that would take the slow paths anyhow.
fn without_budgets() -> SmartAlloc {
    SmartAlloc::new(AllocConfig::minimal().with_pool_tags(false))
}

#[test]
fn budgets_that_come_later_hold_every_kind_of_memory() {
    let alloc = without_budgets();
    alloc.with_tag("late_all", |alloc| {
        alloc.begin_frame();
        // The fast paths are in use.
        drop(alloc.pool_box([0u8; 512]));
        drop(alloc.frame_box([0u8; 512]));
        alloc.frame().alloc([0u8; 512]);
        assert!(alloc.budgets().is_none());

        alloc
            .enable_budgets()
            .register_tag_budget("late_all", 100, 200);
        let refused = AllocErrorKind::TagBudget;
        assert_eq!(alloc.heap_box([0u8; 300]).unwrap_err().kind(), refused);
        assert_eq!(alloc.pool_box([0u8; 512]).unwrap_err().kind(), refused);
        assert_eq!(
            alloc.clone().pool_box([0u8; 512]).unwrap_err().kind(),
            refused
        );
        assert_eq!(alloc.frame_box([0u8; 512]).unwrap_err().kind(), refused);
        assert_eq!(
            alloc.frame().try_alloc([0u8; 512]).unwrap_err().kind(),
            refused
        );
        let held = alloc.pool_box([0u8; 64]).unwrap();
        let budget = || alloc.budgets().unwrap().get_tag_budget("late_all").unwrap();
        assert_eq!(budget().current_usage, 64);
        drop(held);
        assert_eq!(budget().current_usage, 0);
        assert_eq!(budget().exceeded_count, 5);
        alloc.end_frame();
    });
}

#[test]
fn what_was_allocated_before_does_not_count_and_is_freed_as_it_was_made() {
    let alloc = without_budgets();
    let (pool, heap) = (
        alloc.pool_box([1u8; 64]).unwrap(),
        alloc.heap_box([2u8; 5000]).unwrap(),
    );
    alloc.begin_frame();
    let frame = alloc.frame_box([3u8; 100]).unwrap();
    let budgets = alloc.enable_budgets();
    assert_eq!(budgets.current_usage(), 0);
    assert_eq!((pool[0], heap[0], frame[0]), (1, 2, 3));
    drop((pool, heap, frame));
    alloc.end_frame();
    assert_eq!(budgets.current_usage(), 0);
    // A second time changes nothing.
    assert_eq!(alloc.enable_budgets().current_usage(), 0);
}

#[test]
fn a_thread_that_has_allocated_before_counts_too() {
    let alloc = without_budgets();
    let (go, wait) = mpsc::channel::<SmartAlloc>();
    let (ready, is_ready) = mpsc::channel();
    let worker = {
        let alloc = alloc.clone();
        thread::spawn(move || {
            alloc.with_tag("late_thread", |alloc| {
                alloc.begin_frame();
                drop((alloc.pool_box([0u8; 512]), alloc.frame_box([0u8; 512])));
                ready.send(()).unwrap();
                let fresh = wait.recv().unwrap();
                let pool = fresh.pool_box([0u8; 512]).is_err();
                let heap = alloc.heap_box([0u8; 512]).is_err();
                alloc.end_frame();
                alloc.begin_frame();
                let frame = alloc.frame_box([0u8; 512]).is_err();
                // The frame has told this thread.
                let stale_handle = alloc.pool_box([0u8; 512]).is_err();
                alloc.end_frame();
                (pool, heap, frame, stale_handle)
            })
        })
    };
    is_ready.recv().unwrap();
    alloc
        .enable_budgets()
        .register_tag_budget("late_thread", 100, 200);
    go.send(alloc.clone()).unwrap();
    assert_eq!(worker.join().unwrap(), (true, true, true, true));
}

#[test]
fn a_probe_tells_the_peak_since_the_last_look() {
    let alloc = without_budgets();
    let budgets = alloc.enable_budgets();
    let tag = TagId::from_path("probed");
    budgets.register(tag, 10_000, usize::MAX, BudgetExceededPolicy::Warn);
    let probe = budgets.probe(tag);
    let whole = budgets.probe(TagId::ROOT);
    alloc.with_tag("probed", |alloc| {
        let kept = alloc.heap_box([0u8; 1000]).unwrap();
        drop(alloc.heap_box([0u8; 3000]));
        assert_eq!(probe.take_peak(), 4000, "exactly, near a soft limit");
        assert_eq!(probe.take_peak(), 1000);
        drop(kept);
        alloc.begin_frame();
        alloc.frame().alloc([0u8; 2000]);
        alloc.frame().alloc([0u8; 1000]);
        budgets.settle();
        assert_eq!(probe.take_peak(), 2000);
        assert_eq!(probe.take_peak(), 0);
        alloc.end_frame();
    });
    assert_eq!(
        (probe.peak(), probe.usage(), probe.exceeded_count()),
        (4000, 0, 0)
    );
    assert!(whole.peak() >= 4000);
    // Looking does not disturb the other figures.
    assert_eq!(budgets.get_tag_budget("probed").unwrap().peak_usage, 4000);
    budgets.reset_stats();
    assert_eq!(probe.peak(), 0);
}

#[test]
fn a_probe_outlives_its_allocator_and_sees_no_other() {
    let probe = {
        let alloc = without_budgets();
        alloc.enable_budgets().probe(TagId::from_path("outlived"))
    };
    let other = without_budgets();
    other
        .enable_budgets()
        .register_tag_budget("outlived", 10_000, 20_000);
    let held = other.with_tag("outlived", |other| other.heap_box([0u8; 5000]).unwrap());
    assert_eq!((probe.usage(), probe.take_peak()), (0, 0));
    drop(held);
}

#[test]
fn threads_get_budgets_by_their_names() {
    let alloc = without_budgets();
    let config = |frame_budget| ThreadBudgetConfig {
        frame_budget,
        frame_exceeded_policy: BudgetExceededPolicy::Fail,
        ..Default::default()
    };
    alloc
        .thread_budgets()
        .set_configs_by_name(move |name| (name == "named_worker").then(|| config(1000)));
    let uses = |alloc: &SmartAlloc| {
        alloc.begin_frame();
        let refused = alloc.frame_slice_fill(2000, 0u8).is_err();
        alloc.end_frame();
        refused
    };
    let (ask, asked) = mpsc::channel::<()>();
    let (answer, answers) = mpsc::channel();
    let worker = thread::Builder::new().name("named_worker".to_owned());
    let worker = worker
        .spawn({
            let alloc = alloc.clone();
            move || {
                for () in asked {
                    answer.send(uses(&alloc)).unwrap();
                }
            }
        })
        .unwrap();
    let refused = || {
        ask.send(()).unwrap();
        answers.recv().unwrap()
    };
    assert!(refused());
    assert!(!uses(&alloc), "this thread has another name");
    let mut windows = Vec::new();
    alloc.thread_budgets().take_windows(&mut windows);
    let named: Vec<_> = windows
        .iter()
        .filter_map(|window| window.name.as_deref())
        .collect();
    assert_eq!(named, ["named_worker"]);
    assert_eq!(
        (windows[0].frame_budget, windows[0].exceeded_count),
        (1000, 1)
    );

    alloc
        .thread_budgets()
        .set_configs_by_name(move |name| (name == "named_worker").then(|| config(4000)));
    assert!(!refused());
    alloc.thread_budgets().take_windows(&mut windows);
    assert_eq!(windows[0].frame_peak, 2000);
    alloc.thread_budgets().set_configs_by_name(|_| None);
    assert!(!refused());
    alloc
        .thread_budgets()
        .set_thread_config(worker.thread().id(), config(500));
    alloc
        .thread_budgets()
        .set_configs_by_name(move |_| Some(config(9000)));
    assert!(refused(), "its own stays");
    drop(ask);
    worker.join().unwrap();
}

#[test]
fn statuses_are_ordered_from_good_to_bad() {
    assert!(
        BudgetStatus::Ok < BudgetStatus::Warning && BudgetStatus::Warning < BudgetStatus::Exceeded
    );
}

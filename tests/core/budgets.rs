//! Budgets on tags and on the whole: enforced on every path, exact, and given back.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use framealloc::diagnostics::DiagnosticCode::{FA301, FA302};
use framealloc::tags::TagId;
use framealloc::{
    AllocConfig, AllocErrorKind, AllocationTag, BudgetEvent, BudgetExceededPolicy, BudgetManager,
    BudgetStatus, SmartAlloc,
};
use proptest::prelude::*;

use crate::common::{address, on_a_thread, overwrite, reported};

fn budgeted() -> SmartAlloc {
    SmartAlloc::new(AllocConfig::minimal().with_budgets(true))
}

/// An allocator with a budget of `hard` bytes on `tag`.
fn limited(tag: &'static str, hard: usize) -> SmartAlloc {
    let alloc = budgeted();
    manager(&alloc).register_tag(&AllocationTag::new(tag), usize::MAX, hard);
    alloc
}

fn manager(alloc: &SmartAlloc) -> &BudgetManager {
    alloc.budgets().unwrap()
}

fn usage(alloc: &SmartAlloc, tag: &str) -> usize {
    manager(alloc).get_tag_budget(tag).unwrap().current_usage
}

#[test]
fn an_allocator_has_budgets_if_it_was_asked_for_them() {
    assert!(SmartAlloc::new(AllocConfig::minimal()).budgets().is_none());
    let limited = SmartAlloc::new(AllocConfig::minimal().with_memory_limit(1 << 20));
    assert_eq!(manager(&limited).global_limit(), 1 << 20);
    assert_eq!(manager(&budgeted()).global_limit(), 0);
}

#[test]
fn heap_blocks_are_refused_beyond_the_hard_limit_and_free_it_again() {
    let alloc = limited("budgets_heap", 1000);
    alloc.with_tag("budgets_heap", |alloc| {
        let first = alloc.heap_box([1u8; 600]).unwrap();
        let (refused, codes) = reported(|| alloc.heap_box([2u8; 600]).unwrap_err());
        assert_eq!(refused.kind(), AllocErrorKind::TagBudget);
        assert_eq!(refused.available(), 400);
        assert_eq!(codes, [FA302]);
        assert!(refused.to_string().contains("budgets_heap"), "{refused}");
        let second = alloc.heap_box([3u8; 400]).unwrap();
        assert_eq!(usage(alloc, "budgets_heap"), 1000);
        drop((first, second));
        assert_eq!(usage(alloc, "budgets_heap"), 0);
    });
}

#[test]
fn pool_blocks_are_refused_beyond_the_hard_limit_and_free_it_again_on_any_thread() {
    let alloc = limited("budgets_pool", 640);
    alloc.with_tag("budgets_pool", |alloc| {
        let boxes: Vec<_> = (0..10u8)
            .map(|n| alloc.pool_box([n; 64]).unwrap())
            .collect();
        let refused = alloc.pool_box([0u8; 64]).unwrap_err();
        assert_eq!(refused.kind(), AllocErrorKind::TagBudget);
        assert_eq!(usage(alloc, "budgets_pool"), 640);
        // Freed without the tag, on another thread.
        on_a_thread(|| drop(boxes));
        assert_eq!(usage(alloc, "budgets_pool"), 0);
        assert!(alloc.pool_box([0u8; 64]).is_ok());
    });
}

#[test]
fn frame_boxes_are_refused_beyond_the_hard_limit_until_the_frame_ends() {
    let alloc = limited("budgets_frame", 1024);
    for _ in 0..3 {
        alloc.begin_frame();
        alloc.with_tag("budgets_frame", |alloc| {
            let first = alloc.frame_box([7u8; 1024]).unwrap();
            let refused = alloc.frame_box(1u64).unwrap_err();
            assert_eq!(refused.kind(), AllocErrorKind::TagBudget);
            assert_eq!(*first, [7; 1024]);
        });
        assert_eq!(usage(&alloc, "budgets_frame"), 1024);
        alloc.end_frame();
        assert_eq!(usage(&alloc, "budgets_frame"), 0);
    }
}

#[test]
fn frame_boxes_that_credit_pays_for_are_counted_whatever_comes_between() {
    const ONE: &str = "budgets_tab_one";
    const OTHER: &str = "budgets_tab_other";
    // Far from their limits.
    let alloc = limited(ONE, 1 << 40);
    manager(&alloc).register_tag_budget(OTHER, 1 << 40, 1 << 40);
    let used = || (usage(&alloc, ONE), usage(&alloc, OTHER));
    let boxes = |tag, n: u64| -> Vec<_> {
        let one = |n| alloc.frame_box([n; 2]).unwrap();
        alloc.with_tag(tag, |_| (0..n).map(one).collect())
    };
    let run = || {
        alloc.begin_frame();
        let mut held = vec![boxes(ONE, 100)];
        assert_eq!(used(), (1600, 0));
        // Another tag's in between, one by one.
        for _ in 0..10 {
            held.push(boxes(OTHER, 1));
            held.push(boxes(ONE, 2));
        }
        assert_eq!(used(), (1920, 160));
        // Memory of other kinds.
        let heap = alloc.with_tag(ONE, |alloc| alloc.heap_box([0u8; 100]).unwrap());
        held.push(boxes(ONE, 5));
        assert_eq!(used(), (2100, 160));
        drop(heap);
        // What is rolled back, and what goes on behind it.
        let checkpoint = alloc.frame_checkpoint();
        drop(boxes(ONE, 50));
        assert_eq!(used(), (2800, 160));
        alloc.rollback_to(checkpoint);
        assert_eq!(used(), (2000, 160));
        // Budgets that change meanwhile.
        manager(&alloc).register_tag_budget("budgets_tab_new", 1, 1);
        held.push(boxes(ONE, 50));
        assert_eq!(used(), (2800, 160));
        // More than one chunk, and an allocator that is used in turn.
        let second = budgeted();
        second.begin_frame();
        for _ in 0..200 {
            held.push(boxes(ONE, 100));
            drop(second.frame_box([1u64; 2]).unwrap());
        }
        second.end_frame();
        assert_eq!(used(), (2800 + 20_000 * 16, 160));
        assert!(held.iter().flatten().all(|one| one[0] == one[1]));
        drop(held);
        alloc.end_frame();
        assert_eq!(used(), (0, 0));
        // What outlives its frame is charged as long as its chunk is kept apart.
        alloc.begin_frame();
        let late = boxes(ONE, 3);
        reported(|| alloc.end_frame());
        assert_eq!(used(), (48, 0));
        drop(late);
        assert_eq!(used(), (0, 0));
    };
    run();
    // The arenas of threads that have ended go to the next ones.
    for _ in 0..3 {
        on_a_thread(run);
    }
    run();
}

#[test]
fn guards_are_refused_beyond_the_hard_limit_until_they_close() {
    let alloc = limited("budgets_guard", 1024);
    alloc.with_tag("budgets_guard", |alloc| {
        for _ in 0..3 {
            let guard = alloc.frame();
            guard.alloc([0u8; 1000]);
            assert!(guard.try_alloc([0u8; 32]).is_err());
            guard.alloc([0u8; 24]);
            assert_eq!(usage(alloc, "budgets_guard"), 1024);
            let inner = alloc.frame();
            assert!(inner.try_alloc(1u8).is_err());
            drop(guard);
            assert_eq!(usage(alloc, "budgets_guard"), 0);
            inner.alloc(1u8);
            drop(inner);
            assert_eq!(usage(alloc, "budgets_guard"), 0);
        }
    });
}

#[test]
fn a_guard_that_closed_on_a_thread_that_does_nothing_more_frees_its_budget() {
    let alloc = limited("budgets_idle", 1024);
    let events = events_of(&alloc);
    let (closed, may_end) = (std::sync::Barrier::new(2), std::sync::Barrier::new(2));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            alloc.with_tag("budgets_idle", |alloc| {
                alloc.frame().alloc([0u8; 1000]);
                closed.wait();
                may_end.wait();
            });
        });
        closed.wait();
        alloc.with_tag("budgets_idle", |alloc| {
            let guard = alloc.frame();
            assert_eq!(guard.alloc([1u8; 1000])[999], 1);
            assert_eq!(usage(alloc, "budgets_idle"), 1000);
        });
        let peak = manager(&alloc)
            .get_tag_budget("budgets_idle")
            .unwrap()
            .peak_usage;
        assert_eq!(peak, 1000);
        may_end.wait();
    });
    let exceeded = |event: &BudgetEvent| matches!(event, BudgetEvent::HardLimitExceeded { .. });
    assert!(!events.lock().unwrap().iter().any(exceeded));
    assert_eq!(usage(&alloc, "budgets_idle"), 0);
}

#[test]
fn vectors_in_a_guard_give_budget_back_as_they_shrink_and_go() {
    let alloc = limited("budgets_vec", 100_000);
    alloc.with_tag("budgets_vec", |alloc| {
        let guard = alloc.frame();
        for _ in 0..100 {
            let mut numbers = guard.vec_with_capacity::<u8>(60_000);
            numbers.extend([1, 2, 3]);
            numbers.shrink_to_fit();
            assert_eq!(usage(alloc, "budgets_vec"), 8);
            drop(numbers);
            assert_eq!(usage(alloc, "budgets_vec"), 0);
            // Larger than half a chunk: a chunk of its own.
            drop(guard.vec_with_capacity::<u8>(90_000));
            assert_eq!(usage(alloc, "budgets_vec"), 0);
        }
        let mut grown = guard.vec();
        grown.extend(0..5000u32);
        assert!(grown.iter().copied().eq(0..5000));
    });
    assert_eq!(usage(&alloc, "budgets_vec"), 0);
}

#[test]
fn slices_of_unknown_length_give_back_what_they_did_not_need() {
    let alloc = limited("budgets_slice", 1 << 20);
    alloc.begin_frame();
    alloc.with_tag("budgets_slice", |alloc| {
        let odd = alloc
            .frame_slice_from_iter((0..1000u32).filter(|n| n % 2 == 1))
            .unwrap();
        assert_eq!(odd.len(), 500);
        assert!(odd.iter().all(|n| n % 2 == 1));
        assert!(usage(alloc, "budgets_slice") >= 2000);
    });
    alloc.end_frame();
    assert_eq!(usage(&alloc, "budgets_slice"), 0);
}

#[test]
fn a_box_kept_past_its_frame_stays_charged_until_it_drops() {
    let alloc = limited("budgets_kept", 1 << 20);
    alloc.begin_frame();
    let kept = alloc.with_tag("budgets_kept", |alloc| alloc.frame_box([5u8; 640]).unwrap());
    let (_, _codes) = reported(|| alloc.end_frame());
    assert_eq!(usage(&alloc, "budgets_kept"), 640);
    alloc.begin_frame();
    overwrite(&alloc);
    assert_eq!(*kept, [5; 640]);
    drop(kept);
    assert_eq!(usage(&alloc, "budgets_kept"), 0);
    alloc.end_frame();
}

#[test]
fn boxes_that_come_and_go_in_one_frame_do_not_add_up() {
    let alloc = limited("budgets_churn", 512 << 10);
    alloc.begin_frame();
    alloc.with_tag("budgets_churn", |alloc| {
        for n in 0..10_000u32 {
            let block = alloc.frame_box([n; 256]).unwrap();
            assert_eq!(block[255], n);
        }
    });
    alloc.end_frame();
}

#[test]
fn a_budget_holds_all_tags_below_it() {
    let alloc = limited("budgets_tree", 1000);
    manager(&alloc).register_tag_budget("budgets_tree::leaf", usize::MAX, 300);
    alloc.with_tag("budgets_tree", |alloc| {
        let trunk = alloc.heap_box([0u8; 600]).unwrap();
        alloc.with_tag("leaf", |alloc| {
            let leaf = alloc.heap_box([0u8; 300]).unwrap();
            assert_eq!(alloc.heap_box(0u8).unwrap_err().available(), 0);
            alloc.with_tag("deeper", |alloc| {
                assert!(alloc.heap_box(0u8).is_err());
            });
            drop(leaf);
            assert_eq!(usage(alloc, "budgets_tree"), 600);
        });
        alloc.with_tag("other", |alloc| {
            let other = alloc.heap_box([0u8; 400]).unwrap();
            alloc.with_tag("leaf", |alloc| {
                // The outer budget refuses, and the attempt leaves nothing behind.
                assert_eq!(alloc.heap_box(0u8).unwrap_err().available(), 0);
            });
            drop(other);
        });
        assert_eq!(usage(alloc, "budgets_tree::leaf"), 0);
        drop(trunk);
    });
    assert_eq!(usage(&alloc, "budgets_tree"), 0);
    assert_eq!(manager(&alloc).current_usage(), 0);
}

#[test]
fn the_limit_of_the_whole_holds_pools_heap_and_frames_together() {
    let alloc = SmartAlloc::new(AllocConfig::minimal().with_memory_limit(3008));
    alloc.begin_frame();
    let (frame, heap, pool) = (
        alloc.frame_box([0u8; 1000]).unwrap(),
        alloc.heap_box([0u8; 1000]).unwrap(),
        alloc.pool_box([0u8; 1000]).unwrap(),
    );
    // A pool block counts as its size class: 1008 bytes.
    assert_eq!(manager(&alloc).current_usage(), 3008);
    for refused in [
        alloc.frame_box(0u8).map(drop),
        alloc.heap_box(0u8).map(drop),
        alloc.pool_box(0u8).map(drop),
    ] {
        assert_eq!(refused.unwrap_err().kind(), AllocErrorKind::GlobalBudget);
    }
    drop((frame, heap, pool));
    alloc.end_frame();
    assert_eq!(manager(&alloc).current_usage(), 0);
}

#[test]
fn other_allocators_and_tags_are_left_alone() {
    let alloc = limited("budgets_mine", 100);
    let other = budgeted();
    let plain = crate::common::small();
    for alloc in [&other, &plain] {
        alloc.with_tag("budgets_mine", |alloc| {
            assert!(alloc.heap_box([0u8; 1000]).is_ok());
            assert!(alloc.pool_box([0u8; 1000]).is_ok());
        });
    }
    alloc.with_tag("budgets_yours", |alloc| {
        assert!(alloc.heap_box([0u8; 1000]).is_ok());
    });
    assert_eq!(usage(&alloc, "budgets_mine"), 0);
}

#[test]
fn policies_allow_warn_and_promote() {
    let alloc = budgeted();
    let tag = TagId::from_path("budgets_policy");
    let events = events_of(&alloc);
    alloc.begin_frame();
    for (policy, codes) in [
        (BudgetExceededPolicy::Allow, &[][..]),
        (BudgetExceededPolicy::Warn, &[FA302]),
        (BudgetExceededPolicy::Promote, &[]),
    ] {
        manager(&alloc).register(tag, usize::MAX, 100, policy);
        alloc.with_tag("budgets_policy", |alloc| {
            events.lock().unwrap().clear();
            let (block, reports) = reported(|| alloc.frame_box([9u8; 200]).unwrap());
            assert_eq!(reports, codes, "{policy:?}");
            assert_eq!(*block, [9; 200]);
            assert!(
                events.lock().unwrap().iter().any(|event| matches!(
                    event,
                    BudgetEvent::HardLimitExceeded { limit: 100, .. }
                ))
            );
        });
    }
    alloc.end_frame();
    assert_eq!(usage(&alloc, "budgets_policy"), 0);
    assert_eq!(
        manager(&alloc)
            .get_tag_budget("budgets_policy")
            .unwrap()
            .exceeded_count,
        3
    );
}

fn events_of(alloc: &SmartAlloc) -> Arc<Mutex<Vec<BudgetEvent>>> {
    let events = Arc::<Mutex<Vec<BudgetEvent>>>::default();
    let sent = events.clone();
    manager(alloc).set_event_callback(move |event| sent.lock().unwrap().push(event));
    events
}

#[test]
fn events_tell_soft_limits_once_a_crossing_and_peaks() {
    let alloc = budgeted();
    let tag = AllocationTag::new("budgets_events");
    manager(&alloc).register_tag(&tag, 1000, 2000);
    let events = events_of(&alloc);
    alloc.with_tag("budgets_events", |alloc| {
        for _ in 0..2 {
            let first = alloc.heap_box([0u8; 900]).unwrap();
            let second = alloc.heap_box([0u8; 200]).unwrap();
            let third = alloc.heap_box([0u8; 8]).unwrap();
            drop((first, second, third));
        }
        drop(alloc.heap_box([0u8; 3000]));
    });
    let tag = tag.tag();
    assert_eq!(
        *events.lock().unwrap(),
        [
            BudgetEvent::NewPeak { tag, peak: 900 },
            BudgetEvent::SoftLimitExceeded {
                tag,
                current: 1100,
                limit: 1000
            },
            BudgetEvent::NewPeak { tag, peak: 1100 },
            BudgetEvent::SoftLimitExceeded {
                tag,
                current: 1100,
                limit: 1000
            },
            BudgetEvent::HardLimitExceeded {
                tag,
                current: 3000,
                limit: 2000
            },
        ]
    );
}

#[test]
fn a_callback_may_use_the_allocator_and_its_budgets() {
    let alloc = limited("budgets_reentry", 10_000);
    let weak = alloc.clone();
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = calls.clone();
    manager(&alloc).set_event_callback(move |_| {
        // Its own allocations make events too.
        if counted.fetch_add(1, Relaxed) < 5 {
            let manager = weak.budgets().unwrap();
            assert!(manager.get_tag_budget("budgets_reentry").is_some());
            manager.register_tag_budget("budgets_reentry", 1, 10_000);
            let guard = weak.frame();
            guard.alloc([0u8; 100]);
            drop(weak.pool_box(1u8));
            weak.end_frame();
            weak.begin_frame();
        }
    });
    alloc.begin_frame();
    alloc.with_tag("budgets_reentry", |alloc| {
        let kept = alloc.frame_box([3u8; 500]).unwrap();
        overwrite_some(alloc);
        assert_eq!(*kept, [3; 500]);
        assert!(alloc.heap_box([0u8; 50_000]).is_err());
    });
    alloc.end_frame();
    assert!(calls.load(Relaxed) > 1);
    // Not to keep the allocator alive through itself.
    manager(&alloc).set_event_callback(|_| {});
    assert_eq!(usage(&alloc, "budgets_reentry"), 0);
}

fn overwrite_some(alloc: &SmartAlloc) {
    let guard = alloc.frame();
    guard.alloc([0xEEu8; 64]);
}

#[test]
fn a_callback_that_panics_leaves_nothing_charged() {
    let alloc = limited("budgets_panic", 1000);
    manager(&alloc).register_tag_budget("budgets_panic", 10, 1000);
    manager(&alloc).set_event_callback(|event| {
        if matches!(event, BudgetEvent::SoftLimitExceeded { .. }) {
            panic!("the callback's own");
        }
    });
    alloc.begin_frame();
    alloc.with_tag("budgets_panic", |alloc| {
        let guard = alloc.frame();
        let attempts: [&dyn Fn(); 4] = [
            &|| drop(alloc.heap_box([0u8; 100])),
            &|| drop(alloc.pool_box([0u8; 100])),
            &|| drop(alloc.frame_box([0u8; 100])),
            &|| drop(guard.try_alloc([0u8; 100])),
        ];
        for attempt in attempts {
            assert!(catch_unwind(AssertUnwindSafe(attempt)).is_err());
            assert_eq!(usage(alloc, "budgets_panic"), 0);
        }
        manager(alloc).set_event_callback(|_| {});
        assert_eq!(*guard.alloc([1u8; 100]), [1; 100]);
    });
    alloc.end_frame();
    assert_eq!(usage(&alloc, "budgets_panic"), 0);
}

#[test]
fn threads_together_never_exceed_a_budget_and_use_all_of_it() {
    const LIMIT: usize = 64 * 500;
    let alloc = limited("budgets_race", LIMIT);
    let most = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for worker in 0..4 {
            let (alloc, most) = (&alloc, &most);
            scope.spawn(move || {
                alloc.with_tag("budgets_race", |alloc| {
                    let mut held = Vec::new();
                    for round in 0..3000usize {
                        let value = [worker as u8; 64];
                        let made = match round % 3 {
                            0 => alloc.heap_box(value).map(Held::Heap),
                            _ => alloc.pool_box(value).map(Held::Pool),
                        };
                        most.fetch_max(usage(alloc, "budgets_race"), Relaxed);
                        match made {
                            Ok(block) => held.push(block),
                            Err(error) => {
                                assert_eq!(error.kind(), AllocErrorKind::TagBudget);
                                held.truncate(held.len() / 2);
                            }
                        }
                    }
                });
            });
        }
    });
    assert!(most.load(Relaxed) <= LIMIT);
    assert_eq!(usage(&alloc, "budgets_race"), 0);
    let budget = manager(&alloc).get_tag_budget("budgets_race").unwrap();
    assert_eq!(budget.peak_usage, LIMIT);
    assert_eq!(budget.allocation_count, budget.deallocation_count);
}

#[expect(dead_code, reason = "held for their memory")]
enum Held {
    Heap(framealloc::HeapBox<[u8; 64]>),
    Pool(framealloc::PoolBox<[u8; 64]>),
}

#[test]
fn blocks_outlive_their_allocator_and_its_budgets() {
    let (heap, pool) = {
        let alloc = limited("budgets_outlive", 10_000);
        alloc.with_tag("budgets_outlive", |alloc| {
            (
                alloc.heap_box([1u8; 100]).unwrap(),
                alloc.pool_box([2u8; 100]).unwrap(),
            )
        })
    };
    // Another allocator's budgets, which must not be those that the blocks still hold.
    let other = limited("budgets_outlive", 10_000);
    assert_eq!(usage(&other, "budgets_outlive"), 0);
    assert_eq!((heap[99], pool[99]), (1, 2));
    drop((heap, pool));
    assert_eq!(usage(&other, "budgets_outlive"), 0);
}

#[test]
fn a_budget_may_be_set_while_memory_is_held() {
    let alloc = budgeted();
    alloc.with_tag("budgets_late", |alloc| {
        let before = alloc.heap_box([0u8; 500]).unwrap();
        manager(alloc).register_tag_budget("budgets_late", usize::MAX, 600);
        // What was there before does not count, and does not when it goes.
        let after = alloc.heap_box([0u8; 600]).unwrap();
        drop(before);
        assert_eq!(usage(alloc, "budgets_late"), 600);
        manager(alloc).register_tag_budget("budgets_late", usize::MAX, 100);
        assert_eq!(
            manager(alloc)
                .get_tag_budget("budgets_late")
                .unwrap()
                .check_status(),
            BudgetStatus::Exceeded
        );
        assert!(alloc.heap_box(0u8).is_err());
        drop(after);
        assert!(alloc.heap_box(0u8).is_ok());
        manager(alloc).unregister(TagId::from_path("budgets_late"));
        assert!(alloc.heap_box([0u8; 5000]).is_ok());
    });
}

#[test]
fn absurd_sizes_are_refused_by_the_budget_or_as_what_they_are() {
    let alloc = limited("budgets_absurd", usize::MAX);
    alloc.begin_frame();
    alloc.with_tag("budgets_absurd", |alloc| {
        let error = alloc
            .frame_slice_fill(isize::MAX as usize / 2, 0u8)
            .unwrap_err();
        assert_eq!(error.kind(), AllocErrorKind::ArenaExhausted);
        let guard = alloc.frame();
        let error = guard
            .try_alloc_slice_uninit::<u64>(usize::MAX / 16)
            .unwrap_err();
        assert_eq!(error.kind(), AllocErrorKind::ArenaExhausted);
    });
    assert_eq!(usage(&alloc, "budgets_absurd"), 0);
    alloc.end_frame();
}

#[test]
fn a_manager_of_its_own_counts_what_is_charged() {
    const VRAM: AllocationTag = AllocationTag::new("budgets_vram");
    let budgets = BudgetManager::new(1000);
    budgets.register_tag(&VRAM, 400, 500);
    let texture = budgets.charge(&VRAM, 450).unwrap();
    assert_eq!(budgets.current_usage(), 450);
    assert_eq!(
        budgets.check_tagged_allocation(&VRAM, 10),
        BudgetStatus::Warning
    );
    assert_eq!(
        budgets.check_tagged_allocation(&VRAM, 51),
        BudgetStatus::Exceeded
    );
    assert_eq!(budgets.check_allocation(449), BudgetStatus::Ok);
    assert_eq!(budgets.check_allocation(460), BudgetStatus::Warning);
    let (refused, codes) = reported(|| budgets.charge(&AllocationTag::GENERAL, 551).unwrap_err());
    assert_eq!(
        (refused.kind(), codes),
        (AllocErrorKind::GlobalBudget, vec![FA301])
    );
    drop(texture);
    assert_eq!(budgets.current_usage(), 0);
    let budget = budgets.get_tag_budget("budgets_vram").unwrap();
    assert_eq!((budget.peak_usage, budget.usage_percent()), (450, 0.0));
    budgets.reset_stats();
    assert_eq!(
        budgets.get_tag_budget("budgets_vram").unwrap().peak_usage,
        0
    );
    assert_eq!(budgets.get_all_tag_budgets().len(), 1);
}

#[test]
fn alignment_and_zero_sizes_are_as_without_budgets() {
    let alloc = budgeted();
    alloc.begin_frame();
    macro_rules! aligned {
        ($name:ident) => {{
            use crate::common::$name;
            let guard = alloc.frame();
            let (lease, scratch, pool, heap) = (
                alloc.frame_box_with($name::default).unwrap(),
                guard.alloc_with($name::default),
                alloc.pool_alloc::<$name>().init_default(),
                alloc.heap_alloc::<$name>().init_default(),
            );
            for value in [&*lease, scratch, &*pool, &*heap] {
                assert_eq!(address(value) % align_of::<$name>(), 0);
                assert_eq!(value.0, 0xA5);
            }
        }};
    }
    aligned!(A16);
    aligned!(A64);
    aligned!(A4K);
    aligned!(A64K);
    let _empty = (
        alloc.frame_box(()).unwrap(),
        alloc.pool_box(()).unwrap(),
        alloc.heap_box(()).unwrap(),
    );
    alloc.end_frame();
    assert_eq!(manager(&alloc).current_usage(), 0);
}

/// What a sequence does.
#[derive(Debug, Clone)]
enum Step {
    Heap(usize, usize),
    Pool(usize, usize),
    Frame(usize, usize),
    Drop(usize),
    Limit(usize, usize),
    EndFrame,
}

const TAGS: [&str; 3] = ["budgets_model", "budgets_model::a", "budgets_model::a::b"];

fn step() -> impl Strategy<Value = Step> {
    let tag = 0..TAGS.len();
    prop_oneof![
        4 => (tag.clone(), 1usize..300).prop_map(|(tag, size)| Step::Heap(tag, size)),
        4 => (tag.clone(), 1usize..300).prop_map(|(tag, size)| Step::Pool(tag, size)),
        4 => (tag.clone(), 1usize..300).prop_map(|(tag, size)| Step::Frame(tag, size)),
        6 => any::<usize>().prop_map(Step::Drop),
        1 => (tag, 100usize..3000).prop_map(|(tag, limit)| Step::Limit(tag, limit)),
        1 => Just(Step::EndFrame),
    ]
}

/// Bytes of a pool block, as the documentation tells them: a class every 16 bytes.
fn pooled(size: usize) -> usize {
    size.next_multiple_of(16)
}

macro_rules! sized {
    ($alloc:ident, $make:ident, $size:expr) => {{
        // Boxes of a few fixed sizes that a size rounds up to.
        match $size {
            0..=16 => $alloc
                .$make([0u8; 16])
                .map(|b| (16, Box::new(b) as Box<dyn std::any::Any>)),
            17..=64 => $alloc.$make([0u8; 64]).map(|b| (64, Box::new(b) as _)),
            _ => $alloc.$make([0u8; 300]).map(|b| (300, Box::new(b) as _)),
        }
    }};
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn usage_is_what_a_model_says(steps in prop::collection::vec(step(), 1..200)) {
        let alloc = budgeted();
        let tags = TAGS.map(TagId::from_path);
        let mut limits = [usize::MAX; 3];
        for tag in tags {
            manager(&alloc).register(tag, usize::MAX, usize::MAX, BudgetExceededPolicy::Fail);
        }
        // (tag, bytes, what)
        let mut held: Vec<(usize, usize, Box<dyn std::any::Any>)> = Vec::new();
        let mut framed = [0usize; 3];
        alloc.begin_frame();
        for step in steps {
            let used = |held: &[(usize, usize, Box<dyn std::any::Any>)], framed: &[usize; 3], level: usize| {
                held.iter().filter(|one| one.0 >= level).map(|one| one.1).sum::<usize>()
                    + framed[level..].iter().sum::<usize>()
            };
            let fits = |held: &[_], framed: &[usize; 3], tag: usize, bytes: usize| {
                (0..=tag).all(|level| used(held, framed, level) + bytes <= limits[level])
            };
            match step {
                Step::Heap(tag, size) | Step::Pool(tag, size) => {
                    let _scope = framealloc::tags::TagScope::enter(tags[tag]);
                    let pool = matches!(step, Step::Pool(..));
                    let made = if pool { sized!(alloc, pool_box, size) } else { sized!(alloc, heap_box, size) };
                    let real = match size { 0..=16 => 16, 17..=64 => 64, _ => 300 };
                    let bytes = if pool { pooled(real) } else { real };
                    prop_assert_eq!(made.is_ok(), fits(&held, &framed, tag, bytes));
                    if let Ok((_, block)) = made {
                        held.push((tag, bytes, block));
                    }
                }
                Step::Frame(tag, size) => {
                    let _scope = framealloc::tags::TagScope::enter(tags[tag]);
                    let bytes = size.next_multiple_of(8);
                    let made = alloc.frame_slice_fill(size, 1u8);
                    prop_assert_eq!(made.is_ok(), fits(&held, &framed, tag, bytes));
                    if made.is_ok() {
                        framed[tag] += bytes;
                    }
                }
                Step::Drop(index) => {
                    if !held.is_empty() {
                        let index = index % held.len();
                        held.swap_remove(index);
                    }
                }
                Step::Limit(tag, limit) => {
                    limits[tag] = limit;
                    manager(&alloc).register(tags[tag], usize::MAX, limit, BudgetExceededPolicy::Fail);
                }
                Step::EndFrame => {
                    alloc.end_frame();
                    framed = [0; 3];
                    alloc.begin_frame();
                }
            }
            for (level, tag) in TAGS.iter().enumerate() {
                prop_assert_eq!(usage(&alloc, tag), used(&held, &framed, level));
            }
            prop_assert_eq!(manager(&alloc).current_usage(), used(&held, &framed, 0));
        }
        alloc.end_frame();
        drop(held);
        prop_assert_eq!(manager(&alloc).current_usage(), 0);
    }
}

#[test]
fn collections_are_refused_beyond_the_limit_and_give_back_what_they_held() {
    let alloc = SmartAlloc::new(AllocConfig::minimal().with_memory_limit(20_000));
    let used = || manager(&alloc).current_usage();
    alloc.begin_frame();
    let before = used();
    let vec = alloc.frame_vec::<u64>(1000);
    assert_eq!(used() - before, 8000);
    let refused = |result: (Option<AllocErrorKind>, Vec<_>)| {
        assert_eq!(result, (Some(AllocErrorKind::GlobalBudget), vec![FA301]));
    };
    refused(reported(|| {
        alloc
            .try_frame_vec::<u64>(2000)
            .err()
            .map(|error| error.kind())
    }));
    refused(reported(|| {
        alloc
            .try_frame_string(20_000)
            .err()
            .map(|error| error.kind())
    }));
    // Its entries fit (10,800 bytes), and its table does not.
    refused(reported(|| {
        alloc
            .try_frame_map::<u64, u64>(450)
            .err()
            .map(|error| error.kind())
    }));
    assert_eq!(used() - before, 8000 + 8);
    drop(vec);
    alloc.end_frame();
    alloc.begin_frame();
    assert_eq!(used(), before);
    drop(alloc.frame_map::<u64, u64>(450));

    fn grows(place: impl allocator_api2::alloc::Allocator, used: impl Fn() -> usize) {
        let before = used();
        let mut vec = allocator_api2::vec::Vec::<u8, _>::new_in(place);
        vec.extend_from_slice(&[7; 500]);
        let (grown, codes) = reported(|| vec.try_reserve_exact(30_000));
        assert!(grown.is_err());
        assert_eq!(codes.last(), Some(&FA301));
        assert!(vec == [7; 500] && used() - before >= 500);
    }
    alloc.end_frame();
    alloc.begin_frame();
    let before = used();
    grows(alloc.pool_allocator(), used);
    assert_eq!(used(), before);
    grows(alloc.heap_allocator(), used);
    assert_eq!(used(), before);
    grows(alloc.frame_allocator(), used);
    alloc.end_frame();
    assert_eq!(used(), before);
}

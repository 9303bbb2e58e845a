//! What listeners hear of limits: budgets of threads, and pools that need another page.

use std::sync::{Arc, Mutex};
use std::thread;

use framealloc::diagnostics::DiagnosticsEvent;
use framealloc::tags::TagId;
use framealloc::{AllocConfig, BudgetExceededPolicy, FrameEvent, SmartAlloc, ThreadBudgetConfig};

use crate::common::{minimal, on_a_thread, panics, reported};

/// Both ways of hearing of an allocator's limits, in words.
#[derive(Clone, Default)]
struct Heard {
    frame_events: Arc<Mutex<Vec<String>>>,
    hooks: Arc<Mutex<Vec<String>>>,
}

impl Heard {
    fn of(alloc: &SmartAlloc) -> Self {
        let heard = Self::default();
        alloc.enable_lifecycle_tracking();
        let words = heard.frame_events.clone();
        alloc.on_frame_event(move |event| {
            let here = thread::current().id();
            words.lock().unwrap().extend(match *event {
                FrameEvent::MemoryPressure {
                    thread_id,
                    used,
                    budget,
                } => {
                    assert_eq!(thread_id, here);
                    Some(format!("pressure {used}/{budget}"))
                }
                FrameEvent::BudgetExceeded {
                    thread_id,
                    requested,
                    available,
                    budget,
                } => {
                    assert_eq!(thread_id, here);
                    Some(format!("exceeded {requested}>{available}/{budget}"))
                }
                _ => None,
            });
        });
        let words = heard.hooks.clone();
        alloc.diagnostics().add_listener(move |event| {
            words.lock().unwrap().extend(match *event {
                DiagnosticsEvent::MemoryPressure { current, limit } => {
                    Some(format!("pressure {current}/{limit}"))
                }
                DiagnosticsEvent::BudgetWarning { tag, .. } => Some(format!("warning {tag}")),
                DiagnosticsEvent::BudgetExceeded {
                    tag,
                    current,
                    limit,
                } => {
                    assert_eq!(tag, TagId::ROOT, "a thread has no tag");
                    Some(format!("exceeded {current}/{limit}"))
                }
                _ => None,
            });
        });
        heard
    }

    fn take(&self) -> [Vec<String>; 2] {
        [&self.frame_events, &self.hooks].map(|words| std::mem::take(&mut *words.lock().unwrap()))
    }
}

fn budget(policy: BudgetExceededPolicy) -> ThreadBudgetConfig {
    ThreadBudgetConfig {
        frame_budget: 1000,
        frame_exceeded_policy: policy,
        pool_budget: 1000,
        pool_exceeded_policy: policy,
        warning_threshold: 50,
    }
}

const POLICIES: [BudgetExceededPolicy; 4] = [
    BudgetExceededPolicy::Fail,
    BudgetExceededPolicy::Warn,
    BudgetExceededPolicy::Allow,
    BudgetExceededPolicy::Promote,
];

#[test]
fn a_threads_frame_budget_tells_of_pressure_and_of_what_exceeds_it() {
    for policy in POLICIES {
        let alloc = SmartAlloc::new(minimal());
        alloc.set_thread_budget_config(thread::current().id(), budget(policy));
        let heard = Heard::of(&alloc);
        for _ in 0..2 {
            alloc.begin_frame();
            let first = alloc.frame_box([0u8; 400]).unwrap();
            assert_eq!(heard.take(), [[""; 0]; 2]);
            let second = alloc.frame_box([0u8; 200]).unwrap();
            assert_eq!(heard.take(), [["pressure 600/1000"], ["pressure 600/1000"]]);
            // Once, until usage falls below.
            let third = alloc.frame_box([0u8; 200]).unwrap();
            assert_eq!(heard.take(), [[""; 0]; 2]);
            let (refused, _) = reported(|| alloc.frame_box([0u8; 400]).is_err());
            assert_eq!(refused, policy == BudgetExceededPolicy::Fail, "{policy:?}");
            assert_eq!(
                heard.take(),
                [["exceeded 400>200/1000"], ["exceeded 1200/1000"]],
                "{policy:?}"
            );
            drop((first, second, third));
            alloc.end_frame();
        }
        // What another thread does is not this one's.
        on_a_thread(|| {
            alloc.begin_frame();
            drop(alloc.frame_box([0u8; 4000]).unwrap());
            alloc.end_frame();
        });
        assert_eq!(heard.take(), [[""; 0]; 2]);
    }
}

#[test]
fn guards_count_against_a_threads_frame_budget_and_are_told_of() {
    let alloc = SmartAlloc::new(minimal());
    alloc.set_thread_budget_config(thread::current().id(), budget(BudgetExceededPolicy::Fail));
    let heard = Heard::of(&alloc);
    let guard = alloc.frame();
    guard.alloc([0u8; 600]);
    assert_eq!(heard.take(), [["pressure 600/1000"], ["pressure 600/1000"]]);
    let (refused, _) = reported(|| guard.try_alloc([0u8; 600]).is_err());
    assert!(refused);
    assert_eq!(
        heard.take(),
        [["exceeded 600>400/1000"], ["exceeded 1200/1000"]]
    );
}

#[test]
fn a_threads_pool_budget_tells_of_pressure_and_of_what_exceeds_it() {
    for policy in POLICIES {
        let alloc = SmartAlloc::new(AllocConfig::minimal().with_budgets(true));
        alloc.set_thread_budget_config(thread::current().id(), budget(policy));
        let heard = Heard::of(&alloc);
        let first = alloc.heap_box([0u8; 600]).unwrap();
        let [frame_events, hooks] = heard.take();
        assert_eq!(frame_events, ["pressure 600/1000"], "{policy:?}");
        assert_eq!(hooks, frame_events);
        let (second, _) = reported(|| alloc.heap_box([0u8; 600]));
        assert_eq!(second.is_err(), policy == BudgetExceededPolicy::Fail);
        assert_eq!(
            heard.take(),
            [["exceeded 600>400/1000"], ["exceeded 1200/1000"]],
            "{policy:?}"
        );
        drop((first, second));
        // A pool's block, rounded up.
        let pool = alloc.pool_box([0u8; 510]).unwrap();
        assert_eq!(heard.take(), [["pressure 512/1000"], ["pressure 512/1000"]]);
        drop(pool);
    }
}

#[test]
fn a_listener_of_limits_may_panic_or_change_them() {
    let alloc = SmartAlloc::new(minimal());
    let me = thread::current().id();
    alloc.set_thread_budget_config(me, budget(BudgetExceededPolicy::Fail));
    let inner = alloc.clone();
    alloc.diagnostics().add_listener(move |event| {
        if let DiagnosticsEvent::BudgetExceeded { limit, .. } = event {
            let more = ThreadBudgetConfig {
                frame_budget: limit * 10,
                ..budget(BudgetExceededPolicy::Fail)
            };
            inner.set_thread_budget_config(me, more);
            panic!("a listener's");
        }
    });
    alloc.begin_frame();
    panics(|| alloc.frame_box([0u8; 2000]));
    assert!(alloc.frame_box([0u8; 2000]).is_ok());
    alloc.end_frame();
    alloc.diagnostics().clear_listeners();
}

#[test]
fn a_pool_that_gets_a_page_tells_of_it() {
    let alloc = SmartAlloc::new(minimal());
    let refills = Arc::new(Mutex::new(Vec::new()));
    let log = refills.clone();
    alloc.diagnostics().add_listener(move |event| {
        if let DiagnosticsEvent::SlabRefill { size_class, count } = *event {
            log.lock().unwrap().push((size_class, count));
        }
    });
    on_a_thread(|| {
        let reserved = alloc.stats().pool_reserved;
        // Whatever pages the thread was given, these need more.
        let boxes: Vec<_> = (0..4000)
            .map(|_| alloc.pool_box([0u64; 96]).unwrap())
            .collect();
        let refills = std::mem::take(&mut *refills.lock().unwrap());
        assert!(!refills.is_empty());
        assert!(
            refills
                .iter()
                .all(|&(class, count)| class == 768 && count > 1)
        );
        let blocks: usize = refills.iter().map(|(_, count)| count).sum();
        assert!(alloc.stats().pool_reserved >= reserved + blocks * 768 * 9 / 10);
        drop(boxes);
        // They are there now.
        let boxes: Vec<_> = (0..4000)
            .map(|_| alloc.pool_box([0u64; 96]).unwrap())
            .collect();
        drop(boxes);
    });
    assert_eq!(*refills.lock().unwrap(), []);
}

//! Streams under other limits than the streaming budget: those of the tag, the thread and the allocator.

use std::sync::{Arc, Mutex};

use framealloc::diagnostics::DiagnosticCode;
use framealloc::{
    AllocConfig, AllocationTag, BudgetEvent, BudgetExceededPolicy, SmartAlloc,
    StreamErrorKind as Kind, StreamId, StreamPriority::*, ThreadBudgetConfig,
};

use super::{evictions, live_bytes, load};
use crate::common::*;

/// An allocator of so many bytes for streams, and a hard limit on a tag.
fn limited(streaming: usize, tag: &'static str, hard: usize) -> SmartAlloc {
    let config = AllocConfig::minimal().with_budgets(true);
    let alloc = SmartAlloc::new(config.with_streaming_budget(streaming));
    let budgets = alloc.budgets().unwrap();
    budgets.register_tag(&AllocationTag::new(tag), usize::MAX, hard);
    alloc
}

fn make(alloc: &SmartAlloc, tag: &str, size: usize) -> Result<StreamId, framealloc::StreamError> {
    let id = alloc.streaming().reserve_tagged(size, Normal, Some(tag))?;
    load(alloc.streaming(), id, 1);
    Ok(id)
}

#[test]
fn a_tags_limit_refuses_and_nothing_is_evicted_for_it() {
    let tag = "streaming_limited";
    let alloc = limited(1000, tag, 500);
    let streaming = alloc.streaming();
    let evicted = evictions(streaming);
    let other = make(&alloc, "streaming_unlimited", 400).unwrap();
    let own = make(&alloc, tag, 400).unwrap();
    let before = streaming.streams();
    // 200 would fit by the streaming budget, and 300 by evicting; but the tag has 100.
    for size in [200, 300] {
        let (error, codes) = reported(|| make(&alloc, tag, size).unwrap_err());
        assert_eq!(
            (error.kind(), error.code()),
            (Kind::TagBudget, DiagnosticCode::FA302)
        );
        assert_eq!((error.requested(), error.available()), (size, 100));
        assert_eq!(codes, [DiagnosticCode::FA302]);
    }
    assert_eq!(streaming.streams(), before);
    assert_eq!((streaming.total_reserved(), live_bytes(tag)), (800, 400));
    assert_eq!(*evicted.lock().unwrap(), []);
    assert!(streaming.free(own) && streaming.free(other));
    assert_eq!(
        alloc
            .budgets()
            .unwrap()
            .get_tag_budget(tag)
            .unwrap()
            .current_usage,
        0
    );
}

#[test]
fn a_tags_limit_as_large_as_the_streaming_budget_lets_streams_replace_each_other() {
    let tags = [
        "streaming_full::textures",
        "streaming_full::sounds",
        "streaming_full",
    ];
    let alloc = limited(1000, tags[2], 1000);
    let exceeded = Arc::new(Mutex::new(Vec::new()));
    let events = exceeded.clone();
    alloc.budgets().unwrap().set_event_callback(move |event| {
        if let BudgetEvent::HardLimitExceeded { .. } = event {
            events.lock().unwrap().push(format!("{event:?}"));
        }
    });
    let ((), codes) = reported(|| {
        for n in 0..60 {
            // What is evicted pays for all of it or for a part, whoever's it was below the limit.
            make(&alloc, tags[n * n % 3], 300 + n * 37 % 100).unwrap();
        }
    });
    // Nobody was refused on the way.
    assert_eq!(codes, []);
    assert_eq!(*exceeded.lock().unwrap(), [] as [String; 0]);
    assert!(alloc.streaming().stats().evictions > 40);
    assert!(
        alloc
            .budgets()
            .unwrap()
            .get_tag_budget(tags[2])
            .unwrap()
            .current_usage
            <= 1000
    );
}

#[test]
fn a_threads_budget_is_not_given_back_by_evicting_what_others_made() {
    let alloc = SmartAlloc::new(
        AllocConfig::minimal()
            .with_budgets(true)
            .with_streaming_budget(1000),
    );
    let theirs = on_a_thread(|| make(&alloc, "streaming_of_threads", 1000).unwrap());
    on_a_thread(|| {
        alloc.set_thread_budget_config(
            std::thread::current().id(),
            ThreadBudgetConfig {
                pool_budget: 500,
                pool_exceeded_policy: BudgetExceededPolicy::Fail,
                ..ThreadBudgetConfig::default()
            },
        );
        let (error, _) = reported(|| make(&alloc, "streaming_of_threads", 600).unwrap_err());
        assert_eq!(error.kind(), Kind::ThreadBudget);
        assert!(alloc.streaming().access(theirs).is_some());
        assert!(make(&alloc, "streaming_of_threads", 400).is_ok());
    });
    assert_eq!(alloc.streaming().stats().evictions, 1);
}

#[test]
fn an_allocators_limit_holds_for_streams_and_gives_them_a_quarter() {
    let alloc = SmartAlloc::new(AllocConfig::minimal().with_memory_limit(4 << 20));
    assert_eq!(alloc.streaming().budget(), 1 << 20);
    alloc.streaming().set_budget(8 << 20);
    let first = make(&alloc, "streaming_global", 3 << 20).unwrap();
    let (error, _) = reported(|| make(&alloc, "streaming_global", 2 << 20).unwrap_err());
    assert_eq!(
        (error.kind(), error.available()),
        (Kind::GlobalBudget, 1 << 20)
    );
    assert_eq!(alloc.streaming().total_reserved(), 3 << 20);
    assert!(alloc.streaming().free(first));
    assert!(make(&alloc, "streaming_global", 4 << 20).is_ok());
}

#[test]
fn a_budgets_callback_that_panics_leaves_nothing_reserved() {
    let tag = "streaming_panics";
    let alloc = limited(1000, tag, 500);
    alloc
        .budgets()
        .unwrap()
        .set_event_callback(|_| panic!("no more"));
    panics(|| make(&alloc, tag, 600));
    assert_eq!(
        (alloc.streaming().total_reserved(), live_bytes(tag)),
        (0, 0)
    );
    assert!(alloc.streaming().reserve(1000, Low).is_ok());
}

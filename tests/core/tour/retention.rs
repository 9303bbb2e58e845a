//! Retention, importance, and what a frame's end tells.

use framealloc::{
    AllocConfig, AllocationTag, FrameRetained, FrameSummary, Importance, PromotedAllocation,
    PromotionResult, RetentionPolicy, SmartAlloc,
};

use crate::common::small;

#[derive(Clone, Debug, Default, PartialEq)]
struct Mesh {
    paths: Vec<u32>,
}

impl Mesh {
    fn compute(&mut self) {
        self.paths.extend([1, 2, 3]);
    }
}

#[test]
fn retained_values_are_promoted_where_their_policy_says() {
    let alloc = small();
    alloc.begin_frame();
    let mut data = alloc.frame_retained::<Mesh>(RetentionPolicy::PromoteToPool);
    data.compute();
    drop(data);
    drop(alloc.frame_retained_with(RetentionPolicy::PromoteToHeap, [9_u64; 4]));
    drop(alloc.frame_retained_with(RetentionPolicy::Discard, [0_u8; 10]));
    // Nobody has made that pool.
    drop(alloc.frame_retained_with(RetentionPolicy::PromoteToScratch("nowhere"), 1.5_f32));
    alloc.scratch_pool("somewhere");
    drop(alloc.frame_retained_with(RetentionPolicy::PromoteToScratch("somewhere"), 'x'));
    assert_eq!(alloc.retained_count(), 5);

    let result: PromotionResult = alloc.end_frame_with_promotions();
    assert_eq!(alloc.retained_count(), 0);

    let mut seen = Vec::new();
    for item in result.promoted {
        match item {
            PromotedAllocation::Pool { value, size, .. } => {
                assert_eq!(size, size_of::<Mesh>());
                assert_eq!(value.downcast::<Mesh>().unwrap().paths, [1, 2, 3]);
                seen.push("pool".to_owned());
            }
            PromotedAllocation::Heap { value, size, .. } => {
                assert_eq!(size, 32);
                assert_eq!(*value.downcast::<[u64; 4]>().unwrap(), [9; 4]);
                seen.push("heap".to_owned());
            }
            PromotedAllocation::Failed { reason, meta } => {
                seen.push(format!("failed {}: {reason}", meta.type_name));
                assert_eq!(*meta.value.downcast::<f32>().unwrap(), 1.5);
            }
            other => {
                assert!(other.is_success());
                seen.push(other.type_name().to_owned());
            }
        }
    }
    let failed = "failed f32: scratch pool not found";
    assert_eq!(seen, ["pool", "heap", failed, "char"]);
}

#[test]
fn importance_is_another_word_for_a_policy() {
    use RetentionPolicy::*;
    let words = [
        (Importance::Ephemeral, Discard),
        (Importance::Reusable, PromoteToPool),
        (Importance::Persistent, PromoteToHeap),
        (Importance::Scratch("level"), PromoteToScratch("level")),
    ];
    for (importance, policy) in words {
        assert_eq!(importance.to_policy(), policy);
    }
    assert_eq!(RetentionPolicy::default(), Discard);

    let alloc = small();
    alloc.begin_frame();
    let path = alloc.frame_with_importance::<Mesh>(Importance::Reusable);
    let config = alloc.frame_with_importance::<String>(Importance::Persistent);
    assert_eq!(
        (path.policy(), config.policy()),
        (PromoteToPool, PromoteToHeap)
    );
    drop((path, config));
    let summary = alloc.end_frame_with_summary();
    assert_eq!(summary.total_retained_count(), 2);
}

#[test]
fn the_summary_has_figures_for_everything() {
    let alloc = SmartAlloc::new(AllocConfig::minimal().with_budgets(true));
    let budgets = alloc.budgets().unwrap();
    budgets.register_tag(&AllocationTag::new("tour_summary"), 5000, 5000);
    alloc.begin_frame();
    alloc.with_tag("tour_summary", |alloc| {
        drop(alloc.frame_retained_with(RetentionPolicy::Discard, [0_u8; 100]));
        drop(alloc.frame_retained_with(RetentionPolicy::PromoteToPool, [0_u8; 200]));
        // The frame's copy and the heap's are too much together.
        drop(alloc.frame_retained_with(RetentionPolicy::PromoteToHeap, [0_u8; 3000]));
    });
    let result = alloc.end_frame_with_promotions();
    let summary = result.summary;
    let text = [
        format!("{} in {}", summary.discarded_bytes, summary.discarded_count),
        format!(
            "{} in {}",
            summary.promoted_pool_bytes, summary.promoted_pool_count
        ),
        format!(
            "{} in {}",
            summary.promoted_heap_bytes, summary.promoted_heap_count
        ),
        format!("{}", summary.failed_count),
    ];
    assert_eq!(text, ["100 in 1", "200 in 1", "0 in 0", "1"]);
    let failures = &summary.failures_by_reason;
    assert_eq!(
        (failures.budget_exceeded, failures.scratch_pool_full),
        (1, 0)
    );
    assert_eq!(summary.by_tag.len(), 1);
}

#[test]
fn a_promoted_value_keeps_its_tag() {
    let alloc = small();
    alloc.begin_frame();
    alloc.with_tag("ai", |alloc| {
        drop(alloc.frame_retained::<Mesh>(RetentionPolicy::PromoteToPool));
    });
    let result = alloc.end_frame_with_promotions();
    assert_eq!(result.promoted[0].tag().path(), "ai");
}

#[test]
fn the_reference_of_retention_holds_by_type() {
    let alloc = small();
    alloc.begin_frame();
    let kept: FrameRetained<'_, u64> = alloc.frame_retained(RetentionPolicy::PromoteToPool);
    let also: FrameRetained<'_, u64> = alloc.frame_with_importance(Importance::Persistent);
    let count: usize = alloc.retained_count();
    drop((kept, also));
    alloc.clear_retained();
    let summary: FrameSummary = alloc.end_frame_with_summary();
    assert_eq!((count, summary.total_retained_count()), (2, 0));
}

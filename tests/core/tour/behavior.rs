//! The behaviour filter.

use framealloc::{AllocKind, BehaviorThresholds, FrameBox, SmartAlloc, TagBehaviorStats};

use crate::common::{reported, small};

#[derive(Clone, Copy, Default)]
struct Contacts {
    pairs: [u32; 16],
}

/// A loop in which `physics` behaves, and `ai` keeps its frame memory for ever.
fn played(frames: usize) -> SmartAlloc {
    let alloc = small();
    alloc.enable_behavior_filter();
    let (kept, _) = reported(|| {
        let mut kept: Vec<FrameBox<'_, Contacts>> = Vec::new();
        for _ in 0..frames {
            alloc.begin_frame();
            alloc.with_tag("tour_physics", |alloc| {
                let scratch = alloc.frame_alloc::<Contacts>().init_default();
                assert_eq!(scratch.pairs[0], 0);
            });
            if kept.len() < 12 {
                kept.push(alloc.with_tag("tour_ai", |alloc| {
                    alloc.frame_box(Contacts::default()).unwrap()
                }));
            }
            alloc.end_frame();
        }
        kept.len()
    });
    assert_eq!(kept, 12);
    alloc
}

#[test]
fn a_report_names_the_tags_whose_memory_does_not_do_what_it_says() {
    let alloc = played(200);
    let (report, _) = reported(|| alloc.behavior_report());
    let summary = report.summary();
    assert!(!summary.is_empty());
    let mut lines = Vec::new();
    for issue in &report.issues {
        lines.push(format!("{issue}"));
    }
    let found = |code: &str| {
        lines
            .iter()
            .any(|line| line.starts_with(code) && line.contains("tour_ai"))
    };
    assert!(found(
        "[FA501] warning: frame allocation behaves like long-lived data"
    ));
    assert!(found("[FA502] warning: "));
    assert!(!lines.iter().any(|line| line.contains("tour_physics")));
    assert!(lines[0].lines().count() == 5 && lines[0].contains("\n  suggestion: "));
    // What continuous integration asks before it ends with 1.
    assert!(report.has_warnings());
}

#[test]
fn thresholds_are_presets_or_made_to_measure() {
    let default = BehaviorThresholds::default();
    let strict = BehaviorThresholds::strict();
    let relaxed = BehaviorThresholds::relaxed();
    let custom = BehaviorThresholds {
        frame_survival_frames: 120,
        frame_survival_rate: 0.3,
        pool_same_frame_free_rate: 0.9,
        promotion_churn_rate: 0.3,
        heap_in_hot_path_count: 50,
        min_samples: 20,
    };
    assert!(strict.frame_survival_frames < default.frame_survival_frames);
    assert!(default.frame_survival_frames < relaxed.frame_survival_frames);

    let alloc = played(200);
    let judged_by = |thresholds| {
        alloc.set_behavior_thresholds(thresholds);
        reported(|| alloc.behavior_report().issues.len()).0
    };
    // Of 12 samples there is nothing to say by these.
    assert_eq!(judged_by(custom), 0);
    assert_eq!(judged_by(default), 2);
}

#[test]
fn figures_are_kept_by_tag_and_kind() {
    let alloc = played(20);
    let report = alloc.behavior_filter().analyze();
    let of = |tag: &str| -> TagBehaviorStats {
        let mut rows = report.stats.iter();
        *rows.find(|row| row.tag == tag).unwrap()
    };
    let ai = of("tour_ai");
    let TagBehaviorStats {
        tag,
        kind,
        total_allocs,
        survived_frame_count,
        promotion_count,
        same_frame_frees,
        ..
    } = ai;
    assert_eq!((tag, kind), ("tour_ai", AllocKind::Frame));
    assert_eq!((total_allocs, survived_frame_count), (12, 12));
    assert_eq!((promotion_count, same_frame_frees), (0, 0));
    assert_eq!(of("tour_physics").same_frame_frees, 20);
    assert_eq!(report.stats.len(), 2);
}

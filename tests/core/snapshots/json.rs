//! The text: its keys, its order, its schema, and that it can be read again.

use framealloc::{
    BudgetInfo, RuntimeDiagnostic, Snapshot, SnapshotDeferredStats, SnapshotPromotionStats,
    SnapshotSummary, SnapshotTransferStats, TagBudgetSnapshot, TagSnapshot, ThreadSnapshot,
};
use proptest::prelude::*;
use serde_json::Value;

const SCHEMA: &str = include_str!("../../../docs/snapshot.schema.json");

fn full() -> Snapshot {
    let mut snapshot = Snapshot::new(18_421)
        .with_duration(16_600)
        .with_summary(SnapshotSummary {
            frame_bytes: 1,
            pool_bytes: 2,
            heap_bytes: 3,
            total_bytes: 6,
            peak_bytes: 7,
            frame_reserved_bytes: 8,
            pool_reserved_bytes: 9,
        });
    snapshot.timestamp = "2026-11-25T20:26:02Z".to_owned();
    snapshot.add_thread(ThreadSnapshot {
        id: "ThreadId(1)".to_owned(),
        name: "main".to_owned(),
        budget: Some(BudgetInfo::new(50, 200)),
        alive: true,
        ..Default::default()
    });
    snapshot
        .add_tag(TagSnapshot {
            path: "game::ai".into(),
            thread: "main".into(),
            alloc_kind: "heap".into(),
            alloc_count: 4,
            bytes: 400,
            avg_lifetime_frames: 1.239,
            promotion_rate: f64::INFINITY,
            diagnostics: vec!["FA002".into()],
            allocs: 5,
            frees: 1,
        })
        .add_diagnostic(RuntimeDiagnostic {
            code: "FA002".into(),
            tag: None,
            message: "kept".into(),
            level: "error".into(),
            count: 1,
        });
    snapshot.promotions = SnapshotPromotionStats {
        to_pool: 12,
        to_heap: 3,
        failed: 1,
        to_scratch: 0,
    };
    snapshot.transfers = SnapshotTransferStats {
        pending: 2,
        completed_this_frame: 5,
    };
    snapshot.deferred = SnapshotDeferredStats {
        queue_depth: 128,
        processed_this_frame: 64,
    };
    snapshot.interval_frames = 30;
    snapshot.budgets.push(TagBudgetSnapshot {
        path: "game".into(),
        limit: Some(1000),
        used: 10,
        percent: 1,
        ..Default::default()
    });
    snapshot
}

#[test]
fn keys_are_the_documented_ones_in_the_documented_order() {
    let expected = r#"{"version":1,"timestamp":"2026-11-25T20:26:02Z","frame":18421,"duration_us":16600,
        "summary":{"frame_bytes":1,"pool_bytes":2,"heap_bytes":3,"total_bytes":6,"peak_bytes":7,
            "frame_reserved_bytes":8,"pool_reserved_bytes":9},
        "threads":[{"id":"ThreadId(1)","name":"main","frame_bytes":0,"pool_bytes":0,"heap_bytes":0,"peak_bytes":0,
            "budget":{"limit":200,"used":50,"percent":25},
            "pool_budget":null,"alive":true,"reserved_bytes":0,"retired_chunks":0}],
        "tags":[{"path":"game::ai","thread":"main","alloc_kind":"heap","alloc_count":4,"bytes":400,
            "avg_lifetime_frames":1.24,"promotion_rate":0.0,"diagnostics":["FA002"],"allocs":5,"frees":1}],
        "promotions":{"to_pool":12,"to_heap":3,"failed":1,"to_scratch":0},
        "transfers":{"pending":2,"completed_this_frame":5},
        "deferred":{"queue_depth":128,"processed_this_frame":64},
        "diagnostics":[{"code":"FA002","tag":null,"message":"kept","level":"error","count":1}],
        "interval_frames":30,
        "budgets":[{"path":"game","soft_limit":null,"limit":1000,"used":10,"peak":0,"percent":1,"exceeded_count":0}]}"#;
    // None of the texts has a space.
    let dense = |text: &str| text.split_whitespace().collect::<String>();
    assert_eq!(dense(&full().to_json()), dense(expected));
}

#[test]
fn a_file_of_the_first_version_is_read_and_what_is_unknown_is_passed_over() {
    let mut value: Value = serde_json::from_str(&full().to_json()).unwrap();
    let all = full();
    for added in ["interval_frames", "budgets"] {
        value.as_object_mut().unwrap().remove(added);
    }
    for (path, added) in [
        (
            "/summary",
            &["frame_reserved_bytes", "pool_reserved_bytes"][..],
        ),
        (
            "/threads/0",
            &["pool_budget", "alive", "reserved_bytes", "retired_chunks"],
        ),
        ("/tags/0", &["allocs", "frees"]),
        ("/promotions", &["to_scratch"]),
        ("/diagnostics/0", &["level", "count"]),
    ] {
        let object = value.pointer_mut(path).unwrap().as_object_mut().unwrap();
        for key in added {
            object.remove(*key).unwrap();
        }
        object.insert("of_the_future".to_owned(), Value::from([1, 2]));
    }
    let read = Snapshot::from_json(&value.to_string()).unwrap();
    assert_eq!(read.frame, all.frame);
    assert_eq!(read.threads[0].budget, all.threads[0].budget);
    assert_eq!((&*read.tags[0].path, read.tags[0].allocs), ("game::ai", 0));
    assert_eq!(read.budgets, []);
}

fn validator() -> jsonschema::Validator {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    jsonschema::draft202012::meta::validate(&schema).expect("the schema is one itself");
    jsonschema::validator_for(&schema).unwrap()
}

/// What the schema finds wrong with a snapshot's text.
pub fn complaints(json: &str) -> Vec<String> {
    let value = serde_json::from_str(json).expect("a snapshot is JSON");
    let validator = validator();
    let errors = validator.iter_errors(&value);
    errors
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect()
}

#[test]
fn a_snapshot_fits_the_schema() {
    assert_eq!(complaints(&full().to_json()), [""; 0]);
    assert_eq!(complaints(&Snapshot::new(0).to_json()), [""; 0]);
}

#[test]
fn the_schema_describes_every_key_and_misses_none_that_is_required() {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    let full: Value = serde_json::from_str(&full().to_json()).unwrap();
    let validator = validator();
    for (path, definition) in [
        ("", ""),
        ("/summary", "/$defs/summary"),
        ("/threads/0", "/$defs/thread"),
        ("/threads/0/budget", "/$defs/budget"),
        ("/tags/0", "/$defs/tag"),
        ("/promotions", "/$defs/promotions"),
        ("/transfers", "/$defs/transfers"),
        ("/deferred", "/$defs/deferred"),
        ("/diagnostics/0", "/$defs/diagnostic"),
        ("/budgets/0", "/$defs/tag_budget"),
    ] {
        let definition = schema.pointer(definition).unwrap();
        let described = definition["properties"].as_object().unwrap();
        let required = definition["required"].as_array().unwrap();
        let written = full.pointer(path).unwrap().as_object().unwrap();
        for key in written.keys() {
            assert!(
                described.contains_key(key),
                "{path}: {key} is not described"
            );
        }
        assert_eq!(described.len(), written.len(), "{path}");
        for key in written.keys() {
            let mut lacking = full.clone();
            let object = lacking.pointer_mut(path).unwrap().as_object_mut().unwrap();
            object.remove(key);
            let is_required = required.iter().any(|required| required == key);
            assert_eq!(!validator.is_valid(&lacking), is_required, "{path}: {key}");
            let read = Snapshot::from_json(&lacking.to_string());
            if path != "/budgets/0" && path != "/threads/0/budget" {
                let may_lack = *key == "budget" || (*key == "tag" && path == "/diagnostics/0");
                assert_eq!(read.is_err(), is_required && !may_lack, "{path}: {key}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Quotes, newlines, control characters, anything.
    #[test]
    fn any_text_stays_valid_json(texts in proptest::collection::vec("(\\PC|[\"\\\\\n\r\t\u{0}\u{7f}\u{2028}\u{feff}])*", 5)) {
        let mut snapshot = full();
        snapshot.tags[0].path = texts[0].clone().into();
        snapshot.tags[0].thread = texts[1].clone().into();
        snapshot.threads[0].name = texts[2].clone();
        snapshot.diagnostics[0].message = texts[3].clone().into();
        snapshot.diagnostics[0].tag = Some(texts[4].clone().into());
        let json = snapshot.to_json();
        prop_assert_eq!(complaints(&json), Vec::<String>::new());
        let mut read = Snapshot::from_json(&json).unwrap();
        // Rounded when it was written.
        read.tags[0].avg_lifetime_frames = snapshot.tags[0].avg_lifetime_frames;
        read.tags[0].promotion_rate = snapshot.tags[0].promotion_rate;
        prop_assert_eq!(read, snapshot);
    }
}

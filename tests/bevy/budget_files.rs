//! Budget files: what they may hold, what is said of those that are wrong, and how they come into force in an app.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use bevy::prelude::*;
use framealloc::bevy::{
    AllocResource, BudgetFile, BudgetFileMessage, BudgetKind, BudgetLimits, BudgetPlugin,
    BudgetSet, Budgets, SmartAllocPlugin,
};
use framealloc::diagnostics::{DiagnosticCode, recent};
use framealloc::{BudgetExceededPolicy, ThreadBudgetConfig};

use crate::headless_app;
use crate::witness::Witness;

// ---- Their text ---------------------------------------------------------------------------------------------------------

const EVERYTHING: &str = r#"{
    "$schema": "../docs/budget.schema.json",
    "global": "512 MiB",
    "modules": { "game::ai": { "soft": "24 MiB", "hard": "32 MiB", "policy": "fail" } },
    "systems": {
        "game::ai::find_paths": "4 MiB",
        "game::spawn<game::Enemy>": 65536
    },
    "tags": { "level": { "soft": 67108864 }, "sounds": { "hard": "1.5 KiB", "policy": "allow" } },
    "threads": { "Compute Task Pool": { "frame": "8 MB", "warn_at_percent": 80, "policy": "promote" } }
}"#;

#[test]
fn a_file_says_what_code_would() {
    let in_code = BudgetSet::new()
        .global(BudgetLimits::new(512 << 20))
        .module(
            "game::ai",
            BudgetLimits::new(32 << 20)
                .with_soft_limit(24 << 20)
                .with_policy(BudgetExceededPolicy::Fail),
        )
        .system("game::ai::find_paths", BudgetLimits::new(4 << 20))
        .system("game::spawn<game::Enemy>", BudgetLimits::new(65536))
        .tag("level", BudgetLimits::soft(64 << 20))
        .tag(
            "sounds",
            BudgetLimits::new(1536).with_policy(BudgetExceededPolicy::Allow),
        )
        .threads(
            "Compute Task Pool",
            ThreadBudgetConfig {
                frame_budget: 8_000_000,
                pool_budget: usize::MAX,
                frame_exceeded_policy: BudgetExceededPolicy::Promote,
                pool_exceeded_policy: BudgetExceededPolicy::Promote,
                warning_threshold: 80,
            },
        );
    assert_eq!(BudgetSet::from_json(EVERYTHING).unwrap(), in_code);
    // As Windows' editor writes it.
    let with_mark = format!("\u{feff}{EVERYTHING}");
    assert_eq!(BudgetSet::from_json(&with_mark).unwrap(), in_code);
    assert_eq!(BudgetSet::from_json("{}").unwrap(), BudgetSet::new());
}

/// Texts that are no budget files: line, column, and a part of what is said.
const WRONG: &[(&str, usize, usize, &str)] = &[
    ("", 1, 1, "EOF"),
    ("[]", 1, 1, "expected an object of budgets"),
    ("{\n  \"global\": 1,\n}", 3, 1, "trailing comma"),
    ("{} {}", 1, 4, "trailing characters"),
    (
        "{\n \"module\": {}\n}",
        2,
        9,
        "unknown field `module`, expected one of",
    ),
    (
        "{\"tags\": {\"a\": {\"sof\": 1}}}",
        1,
        21,
        "unknown field `sof`",
    ),
    ("{\"tags\": {\n\"a\": -5}}", 2, 7, "the size -5 is negative"),
    (
        "{\"tags\": {\"a\": -0.5}}",
        1,
        19,
        "the size -0.5 is negative",
    ),
    (
        "{\"tags\": {\"a\": \"-5 MiB\"}}",
        1,
        23,
        "the size `-5 MiB` is negative",
    ),
    (
        "{\"tags\": {\"a\": 1.5}}",
        1,
        18,
        "the size 1.5 is not a whole number",
    ),
    (
        "{\"tags\": {\"a\": 1e40}}",
        1,
        19,
        "more than a program can have",
    ),
    (
        "{\"tags\": {\"a\": 18446744073709551615}}",
        1,
        35,
        "more than a program can have",
    ),
    (
        "{\"tags\": {\"a\": 18446744073709551616}}",
        1,
        35,
        "more than a program can have",
    ),
    (
        "{\"tags\": {\"a\": \"99 EiB\"}}",
        1,
        23,
        "`99 EiB` is more than a program can have",
    ),
    (
        "{\"tags\": {\"a\": \"many\"}}",
        1,
        21,
        "`many` is not a size",
    ),
    ("{\"tags\": {\"a\": \"\"}}", 1, 17, "`` is not a size"),
    (
        "{\"tags\": {\"a\": null}}",
        1,
        19,
        "invalid type: null, expected a size",
    ),
    (
        "{\"tags\": {\"a\": {}}}",
        1,
        17,
        "needs a `soft` or a `hard` limit",
    ),
    (
        "{\"tags\": {\"a\": {\"soft\": 9,\n \"hard\": 8}}}",
        2,
        11,
        "the soft limit (9 B) is above the hard one (8 B)",
    ),
    (
        "{\"tags\": {\"a\": {\"hard\": 8, \"hard\": 9}}}",
        1,
        33,
        "duplicate field `hard`",
    ),
    (
        "{\"tags\": {\"a\": {\"hard\": 8, \"policy\": \"no\"}}}",
        1,
        41,
        "invalid value: string \"no\", expected a policy",
    ),
    (
        "{\"tags\": {\"a\": 1,\n\"a\": 2}}",
        2,
        3,
        "two budgets of `a`; the first is a tag's",
    ),
    (
        "{\"systems\": {\"a::b\": 1},\n\"tags\": {\"a::b\": 2}}",
        2,
        15,
        "two budgets of `a::b`; the first is a system's",
    ),
    (
        "{\"tags\": {},\n\"tags\": {}}",
        2,
        6,
        "duplicate field `tags`",
    ),
    (
        "{\"global\": 1, \"global\": 2}",
        1,
        22,
        "duplicate field `global`",
    ),
    ("{\"tags\": {\"\": 1}}", 1, 12, "the name of a tag is empty"),
    (
        "{\"tags\": {\" a\": 1}}",
        1,
        14,
        "begins or ends with a space",
    ),
    (
        "{\"modules\": {\"a::::b\": 1}}",
        1,
        21,
        "`a::::b` has an empty part",
    ),
    (
        "{\"tags\": {\"global\": 1}}",
        1,
        18,
        "`global` is the budget of everything",
    ),
    (
        "{\"threads\": {\"\": {\"frame\": 1}}}",
        1,
        15,
        "the name of a thread is empty",
    ),
    (
        "{\"threads\": {\"t\": {}}}",
        1,
        20,
        "needs `frame` or `held`",
    ),
    (
        "{\"threads\": {\"t\": 5}}",
        1,
        19,
        "expected an object with `frame`",
    ),
    (
        "{\"threads\": {\"t\": {\"frame\": 1, \"warn_at_percent\": 101}}}",
        1,
        53,
        "101 is no percentage",
    ),
];

#[test]
fn what_is_wrong_is_told_with_line_and_column() {
    let mut elsewhere = Vec::new();
    for &(text, line, column, message) in WRONG {
        let error = BudgetSet::from_json(text).unwrap_err();
        assert!(error.message.contains(message), "{text}: {error}");
        assert!(
            !error.message.contains(" at line"),
            "the place is said once: {error}"
        );
        if (error.line, error.column) != (line, column) {
            elsewhere.push(format!("{text}: {error}"));
        }
    }
    assert_eq!(elsewhere, [""; 0]);
}

#[test]
fn bytes_that_are_no_text_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(
        folder.path().join("bad.budget.json"),
        b"{\"tags\": {\"\xff\": 1}}",
    )
    .unwrap();
    let mut app = app_with_file(folder.path(), "bad.budget.json");
    let rejected = wait_for(&mut app, |message| {
        matches!(message, BudgetFileMessage::Rejected(_))
    });
    assert!(
        rejected.to_string().starts_with("bad.budget.json:1:1"),
        "{rejected}"
    );
}

#[test]
fn the_schema_and_the_reader_agree() {
    let schema = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/budget.schema.json");
    let schema = serde_json::from_str(&fs::read_to_string(schema).unwrap()).unwrap();
    let schema = jsonschema::validator_for(&schema).unwrap();
    let valid = |text: &str| {
        serde_json::from_str(text).is_ok_and(|file: serde_json::Value| schema.is_valid(&file))
    };
    assert!(valid(EVERYTHING) && valid("{}"));
    // What a schema cannot say.
    let beyond = [
        "two budgets",
        "above the hard one",
        "duplicate field",
        "EiB",
    ];
    for &(text, _, _, message) in WRONG {
        if !beyond.iter().any(|beyond| message.contains(beyond)) {
            assert!(!valid(text), "{text}");
        }
    }
    // The files that this repository has.
    for file in ["examples", "docs"] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../assets")
            .join(file);
        let Ok(files) = fs::read_dir(folder) else {
            continue;
        };
        for file in files.flatten() {
            if file.path().to_string_lossy().ends_with(".budget.json") {
                let text = fs::read_to_string(file.path()).unwrap();
                assert!(valid(&text), "{:?}", file.path());
                BudgetSet::from_json(&text).unwrap();
            }
        }
    }
}

// ---- In an app ----------------------------------------------------------------------------------------------------------

fn note_messages(
    mut messages: MessageReader<BudgetFileMessage>,
    seen: Res<Witness<BudgetFileMessage>>,
) {
    for message in messages.read() {
        seen.note(message.clone());
    }
}

/// An app that watches `folder` for changes.
fn app_with_file(folder: &Path, file: &str) -> App {
    let mut app = headless_app();
    app.add_plugins((
        AssetPlugin {
            file_path: folder.to_string_lossy().into_owned(),
            watch_for_changes_override: Some(true),
            ..Default::default()
        },
        SmartAllocPlugin::minimal(),
        BudgetPlugin::from_file(file.to_owned()),
    ))
    .add_systems(Update, note_messages);
    Witness::<BudgetFileMessage>::in_app(&mut app);
    app.finish();
    app.cleanup();
    app
}

/// Runs the app until a message comes that fits.
#[track_caller]
fn wait_for(app: &mut App, fits: impl Fn(&BudgetFileMessage) -> bool) -> BudgetFileMessage {
    let seen = app.world().resource::<Witness<BudgetFileMessage>>().clone();
    let since = Instant::now();
    let mut others = Vec::new();
    while since.elapsed() < Duration::from_secs(60) {
        app.update();
        for message in seen.take() {
            if fits(&message) {
                return message;
            }
            others.push(message);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("waited in vain; meanwhile: {others:?}");
}

fn in_force(budgets: usize) -> impl Fn(&BudgetFileMessage) -> bool {
    move |message| matches!(message, BudgetFileMessage::InForce { budgets: n, .. } if *n == budgets)
}

fn hard_limit(app: &App, tag: &str) -> Option<usize> {
    let budgets = app.world().resource::<AllocResource>().budgets()?.clone();
    Some(budgets.get_tag_budget(tag)?.hard_limit)
}

#[test]
fn a_file_comes_into_force_and_changes_with_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("game.budget.json");
    fs::write(
        &file,
        r#"{ "tags": { "file_a": "1 MiB", "file_b": "2 MiB" } }"#,
    )
    .unwrap();
    let mut app = app_with_file(folder.path(), "game.budget.json");
    wait_for(&mut app, in_force(2));
    assert_eq!(hard_limit(&app, "file_a"), Some(1 << 20));
    assert_eq!(hard_limit(&app, "file_b"), Some(2 << 20));

    // An entry that is gone is a budget that is gone.
    fs::write(&file, r#"{ "tags": { "file_b": "3 MiB" } }"#).unwrap();
    wait_for(&mut app, in_force(1));
    assert_eq!(hard_limit(&app, "file_a"), Some(usize::MAX));
    assert_eq!(hard_limit(&app, "file_b"), Some(3 << 20));
    let budgets = app.world().resource::<Budgets>();
    let names: Vec<_> = budgets.rows().map(|row| row.name.to_string()).collect();
    assert_eq!(names, ["file_b"]);
    assert!(budgets.row("file_b").unwrap().from_file);
}

#[test]
fn a_broken_file_is_told_of_once_and_the_last_good_budgets_stay() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("breaks.budget.json");
    let good = r#"{ "tags": { "breaks": "1 MiB" } }"#;
    fs::write(&file, good).unwrap();
    let mut app = app_with_file(folder.path(), "breaks.budget.json");
    wait_for(&mut app, in_force(1));
    for (n, broken) in [
        "{ \"tags\": {\n    \"breaks\": -1 } }",
        "{ \"tags\":\n  7 }",
        "{ oh",
    ]
    .into_iter()
    .enumerate()
    {
        fs::write(&file, broken).unwrap();
        let rejected = wait_for(&mut app, |message| {
            matches!(message, BudgetFileMessage::Rejected(_))
        });
        let BudgetFileMessage::Rejected(error) = rejected else {
            unreachable!()
        };
        assert_eq!(error.file, "breaks.budget.json");
        assert_eq!(
            (error.line, error.column),
            [(2, 16), (2, 3), (1, 3)][n],
            "{error}"
        );
        let place = format!("breaks.budget.json:{}:{}: ", error.line, error.column);
        let told = recent()
            .iter()
            .filter(|report| report.code == DiagnosticCode::FA902)
            .filter(|report| report.message.starts_with(&place))
            .count();
        assert_eq!(told, 1, "{place}");
        assert_eq!(hard_limit(&app, "breaks"), Some(1 << 20));
        assert_eq!(app.world().resource::<Budgets>().file().len(), 1);
    }
    fs::write(&file, r#"{ "tags": { "breaks": "2 MiB" } }"#).unwrap();
    wait_for(&mut app, in_force(1));
    assert_eq!(hard_limit(&app, "breaks"), Some(2 << 20));
}

#[test]
fn a_file_that_is_not_there_yet_is_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let mut app = app_with_file(folder.path(), "late/level.budget.json");
    wait_for(
        &mut app,
        |message| matches!(message, BudgetFileMessage::Missing { file } if file == "late/level.budget.json"),
    );
    for _ in 0..50 {
        app.update();
    }
    let seen = app.world().resource::<Witness<BudgetFileMessage>>();
    assert_eq!(seen.take(), [], "told once");
    let awaited = |app: &App| {
        let budgets = app.world().resource::<Budgets>();
        budgets.awaited_file().map(str::to_owned)
    };
    assert_eq!(awaited(&app).as_deref(), Some("late/level.budget.json"));
    fs::create_dir(folder.path().join("late")).unwrap();
    let text = r#"{ "global": "1 GiB", "modules": { "late": "2 MiB" } }"#;
    fs::write(folder.path().join("late/level.budget.json"), text).unwrap();
    wait_for(&mut app, in_force(2));
    assert_eq!(hard_limit(&app, "late"), Some(2 << 20));
    assert_eq!(awaited(&app), None);
    let global = app.world().resource::<Budgets>().row("global").unwrap();
    assert_eq!(
        (global.kind, global.hard),
        (BudgetKind::Global, Some(1 << 30))
    );
}

#[test]
fn the_file_has_the_last_word_over_code() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(
        folder.path().join("both.budget.json"),
        r#"{ "tags": { "both": 1000 } }"#,
    )
    .unwrap();
    let mut app = headless_app();
    let plugin = BudgetPlugin::from_file("both.budget.json").with_budgets(
        BudgetSet::new()
            .tag("both", BudgetLimits::new(5000))
            .tag("code_only", BudgetLimits::new(6000)),
    );
    // In another order, and before the asset server is there.
    app.add_plugins((
        plugin,
        AssetPlugin {
            file_path: folder.path().to_string_lossy().into_owned(),
            ..Default::default()
        },
        SmartAllocPlugin::minimal(),
    ))
    .add_systems(Update, note_messages);
    Witness::<BudgetFileMessage>::in_app(&mut app);
    app.finish();
    app.cleanup();
    app.update();
    assert_eq!(hard_limit(&app, "both"), Some(5000));
    wait_for(&mut app, in_force(1));
    assert_eq!(hard_limit(&app, "both"), Some(1000));
    assert_eq!(hard_limit(&app, "code_only"), Some(6000));
}

#[test]
fn without_an_asset_server_budgets_of_code_hold_and_the_file_is_told_of() {
    let mut app = headless_app();
    app.add_plugins((
        SmartAllocPlugin::minimal(),
        BudgetPlugin::from_file("nowhere.budget.json")
            .with_budgets(BudgetSet::new().tag("no_assets", BudgetLimits::new(7000))),
    ));
    app.finish();
    app.cleanup();
    app.update();
    assert_eq!(hard_limit(&app, "no_assets"), Some(7000));
    let told = recent();
    let told = told
        .iter()
        .find(|report| report.message.contains("nowhere.budget.json"));
    let told = told.unwrap().to_string();
    assert!(told.contains("this app has no `AssetPlugin`"), "{told}");
    assert!(told.contains("add `AssetPlugin`"), "{told}");
}

#[test]
fn an_app_without_a_file_has_no_asset_type_for_one() {
    let knows_files = |plugin: BudgetPlugin| {
        let mut app = headless_app();
        app.add_plugins((AssetPlugin::default(), SmartAllocPlugin, plugin));
        app.update();
        app.world().contains_resource::<Assets<BudgetFile>>()
    };
    assert!(!knows_files(BudgetPlugin::default()));
    assert!(knows_files(BudgetPlugin::from_file("game.budget.json")));
}

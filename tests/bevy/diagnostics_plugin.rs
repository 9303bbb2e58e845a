//! `DiagnosticsPlugin`: Bevy diagnostics, snapshots, behaviour reports, and what is told at exit.

use std::time::{Duration, Instant};

use bevy::diagnostic::DiagnosticsStore;
use bevy::prelude::*;
use framealloc::bevy::{
    AllocResource, BehaviorReportReady, BehaviorReportRequest, BudgetLimits, BudgetPlugin,
    BudgetSet, DiagnosticsPlugin, ExitReport, ExitReportSettings, FrameAlloc, FrameAllocPlugins,
    SmartAllocPlugin, SnapshotRequest, Snapshots,
};
use framealloc::diagnostics::{DiagnosticCode, capture};
use framealloc::tags::{TagId, TagScope};
use framealloc::{AllocConfig, HeapBox, PoolBox, SnapshotConfig};

use crate::headless_app;
use crate::witness::Witness;

const KIB: usize = 1024;

fn quiet() -> DiagnosticsPlugin {
    DiagnosticsPlugin {
        interval: Duration::ZERO,
        snapshots: None,
        exit_report: None,
    }
}

fn value(app: &App, path: &bevy::diagnostic::DiagnosticPath) -> Option<f64> {
    app.world()
        .resource::<DiagnosticsStore>()
        .get(path)?
        .value()
}

fn uses_memory(frame: FrameAlloc, alloc: Res<AllocResource>) {
    frame.alloc_slice_fill_with(100 * KIB, |_| 0u8);
    for _ in 0..3 {
        drop(alloc.heap_box([0u8; 8192]));
    }
}

#[test]
fn diagnostics_show_what_the_frame_used() {
    let limits = BudgetLimits::new(200 * KIB);
    let mut app = headless_app();
    // In any order.
    app.add_plugins((
        quiet(),
        BudgetPlugin::new(BudgetSet::new().module(module_path!(), limits)),
        SmartAllocPlugin::new(AllocConfig::minimal().with_max_frame_arena_size(1 << 20)),
    ))
    .add_systems(Update, uses_memory);
    for _ in 0..5 {
        app.update();
    }
    let frame_bytes = value(&app, &DiagnosticsPlugin::FRAME_BYTES).unwrap();
    assert!(
        (102_400.0..110_000.0).contains(&frame_bytes),
        "{frame_bytes}"
    );
    let arenas = value(&app, &DiagnosticsPlugin::ARENA_BYTES).unwrap();
    assert!(arenas >= f64::from(1 << 20), "{arenas}");
    let fill = value(&app, &DiagnosticsPlugin::ARENA_FILL).unwrap();
    assert!((9.0..12.0).contains(&fill), "{fill}");
    let worst = value(&app, &DiagnosticsPlugin::WORST_BUDGET).unwrap();
    assert!((50.0..60.0).contains(&worst), "{worst}");
    // Of the whole process, in which other tests run.
    assert!(value(&app, &DiagnosticsPlugin::HEAP_ALLOCS).unwrap() >= 3.0);
    for path in [
        DiagnosticsPlugin::POOL_BYTES,
        DiagnosticsPlugin::HEAP_BYTES,
        DiagnosticsPlugin::ESCAPED_CHUNKS,
        DiagnosticsPlugin::STREAMING_BYTES,
    ] {
        assert!(value(&app, &path).is_some(), "{path}");
    }
}

#[test]
fn what_is_not_enabled_is_not_measured() {
    let mut app = headless_app();
    app.add_plugins((SmartAllocPlugin::minimal(), quiet()));
    let mut store = app.world_mut().resource_mut::<DiagnosticsStore>();
    for diagnostic in store.iter_mut() {
        diagnostic.is_enabled = *diagnostic.path() == DiagnosticsPlugin::ARENA_BYTES;
    }
    app.update();
    app.update();
    for diagnostic in app.world().resource::<DiagnosticsStore>().iter() {
        let is_measured = diagnostic.value().is_some();
        let is_ours = diagnostic.path().as_str().starts_with("framealloc/");
        assert_eq!(
            is_measured && is_ours,
            diagnostic.is_enabled,
            "{}",
            diagnostic.path()
        );
    }
}

#[test]
fn snapshots_are_written_for_code_and_for_tools_that_ask() {
    let folder = tempfile::tempdir().unwrap();
    let mut app = headless_app();
    app.add_plugins((
        SmartAllocPlugin::minimal(),
        DiagnosticsPlugin {
            snapshots: Some(SnapshotConfig::default().with_directory(folder.path())),
            ..quiet()
        },
    ));
    for _ in 0..3 {
        app.update();
    }
    let files = || {
        let files = std::fs::read_dir(folder.path()).unwrap();
        let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
        names
            .filter(|name| name.ends_with(".json"))
            .collect::<Vec<_>>()
    };
    assert_eq!(files(), [""; 0]);

    app.world_mut().write_message(SnapshotRequest);
    app.world_mut().write_message(SnapshotRequest);
    app.update();
    app.world().resource::<Snapshots>().flush();
    assert_eq!(files(), ["snapshot_0000000000000004.json"]);

    std::fs::write(folder.path().join("snapshot.request"), "").unwrap();
    let since = Instant::now();
    while files().len() < 2 {
        assert!(
            since.elapsed() < Duration::from_secs(60),
            "the request is not answered"
        );
        app.update();
        app.world().resource::<Snapshots>().flush();
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(!folder.path().join("snapshot.request").exists());
}

#[test]
fn a_behaviour_report_comes_when_it_was_asked_for() {
    // A thread finds out with its next frame that it is watched.
    fn churns(frame: FrameAlloc, alloc: Res<AllocResource>) {
        frame.alloc(1);
        for _ in 0..20 {
            drop(alloc.pool_box([0u32; 8]));
        }
    }
    let mut app = headless_app();
    app.add_plugins((SmartAllocPlugin::minimal(), quiet()))
        .add_systems(Update, churns)
        .add_observer(
            |ready: On<BehaviorReportReady>,
             seen: Res<Witness<Vec<(DiagnosticCode, &'static str)>>>| {
                let issues = ready.report.issues.iter();
                seen.note(issues.map(|issue| (issue.code, issue.tag)).collect());
            },
        );
    let seen = Witness::<Vec<(DiagnosticCode, &'static str)>>::in_app(&mut app);
    app.world_mut()
        .write_message(BehaviorReportRequest::after_frames(10));
    for _ in 0..10 {
        app.update();
        assert_eq!(seen.take().len(), 0);
    }
    assert!(
        app.world()
            .resource::<AllocResource>()
            .is_behavior_filter_enabled()
    );
    app.update();
    let churn = (DiagnosticCode::FA510, std::any::type_name_of_val(&churns));
    assert_eq!(seen.take(), [vec![churn]]);
    assert!(
        !app.world()
            .resource::<AllocResource>()
            .is_behavior_filter_enabled()
    );
    app.update();
    assert_eq!(seen.take().len(), 0);
    // What was seen so far.
    app.world_mut().write_message(BehaviorReportRequest::now());
    app.update();
    assert_eq!(seen.take(), [vec![churn]]);
}

fn leaks_heap(alloc: Res<AllocResource>, mut held: Local<Vec<HeapBox<[u8; 5000]>>>) {
    held.push(alloc.heap_box([0; 5000]).unwrap());
}

fn leaks_pool(alloc: Res<AllocResource>, mut held: Local<Vec<PoolBox<[u8; 128]>>>) {
    held.push(alloc.pool_box([0; 128]).unwrap());
}

fn is_clean(alloc: Res<AllocResource>) {
    drop(alloc.heap_box([0u8; 100]));
}

fn exits(settings: ExitReportSettings) -> App {
    let mut app = headless_app();
    app.add_plugins((
        SmartAllocPlugin::new(AllocConfig::minimal().with_pool_tags(true)),
        DiagnosticsPlugin {
            exit_report: Some(settings),
            ..quiet()
        },
    ))
    .add_systems(Update, (leaks_heap, leaks_pool, is_clean));
    for _ in 0..11 {
        app.update();
    }
    assert!(app.world().get_resource::<ExitReport>().is_none());
    app.world_mut().write_message(AppExit::Success);
    app.update();
    app
}

#[test]
fn at_exit_it_is_told_what_is_alive_that_was_not_at_start_up() {
    let app = exits(ExitReportSettings::default());
    let report = app.world().resource::<ExitReport>();
    let row = |name: &str| {
        report
            .rows
            .iter()
            .find(|row| row.tag.path() == name)
            .copied()
    };
    // The counters are the process's, and another test leaks with the same systems; each at least what this one did: 11 frames
    // after the first.
    let heap = row(std::any::type_name_of_val(&leaks_heap)).unwrap();
    assert!(
        heap.heap_bytes >= 55_000 && heap.heap_bytes.is_multiple_of(5000),
        "{heap:?}"
    );
    let pool = row(std::any::type_name_of_val(&leaks_pool)).unwrap();
    assert!(pool.pool_bytes >= 11 * 128 && pool.count >= 11, "{pool:?}");
    assert!(row(std::any::type_name_of_val(&is_clean)).is_none());
    assert!(!report.is_clean());
    let text = report.to_string();
    assert!(
        text.contains("diagnostics_plugin::leaks_heap (heap, "),
        "{text}"
    );
}

#[test]
fn what_is_allowed_is_not_told_at_exit() {
    let app = exits(ExitReportSettings::default().allow(module_path!()));
    let report = app.world().resource::<ExitReport>();
    let ours = TagId::from_path(module_path!());
    assert!(
        report.rows.iter().all(|row| !row.tag.is_in(ours)),
        "{report}"
    );
}

#[test]
fn the_group_has_every_plugin_and_each_can_be_replaced_or_left_out() {
    let mut app = headless_app();
    app.add_plugins(
        FrameAllocPlugins
            .build()
            .set(BudgetPlugin::new(
                BudgetSet::new().tag("grouped", BudgetLimits::new(KIB)),
            ))
            .disable::<DiagnosticsPlugin>(),
    );
    assert!(app.is_plugin_added::<SmartAllocPlugin>());
    assert!(!app.is_plugin_added::<DiagnosticsPlugin>());
    app.update();
    let budgets = app.world().resource::<AllocResource>().budgets().unwrap();
    assert_eq!(budgets.get_tag_budget("grouped").unwrap().hard_limit, KIB);

    let mut app = headless_app();
    app.add_plugins(FrameAllocPlugins);
    assert!(app.is_plugin_added::<DiagnosticsPlugin>() && app.is_plugin_added::<BudgetPlugin>());
    app.finish();
    app.cleanup();
    app.update();
    let alloc = app.world().resource::<AllocResource>();
    assert!(
        alloc.budgets().is_none(),
        "without budgets, nothing is counted against any"
    );
}

#[test]
#[should_panic(expected = "plugin was already added")]
fn adding_the_plugin_twice_is_bevys_usual_error() {
    headless_app().add_plugins((quiet(), quiet()));
}

#[test]
fn without_the_allocators_plugin_fa101_is_reported_and_nothing_fails() {
    let mut app = headless_app();
    app.add_plugins(DiagnosticsPlugin::default());
    let tag = TagId::from_path("diagnostics_without_the_plugin");
    let scope = TagScope::enter(tag);
    let (_, reports) = capture(|| {
        let mut schedules = app.world_mut().resource_mut::<Schedules>();
        let main = schedules.get_mut(Main).unwrap();
        main.set_executor(bevy::ecs::schedule::SingleThreadedExecutor::new());
        app.update();
        app.world_mut().write_message(AppExit::Success);
        app.update();
    });
    drop(scope);
    let codes: Vec<_> = reports.iter().map(|report| report.code).collect();
    assert_eq!(codes, [DiagnosticCode::FA101]);
    assert!(reports[0].message.contains("`DiagnosticsPlugin`"));
}

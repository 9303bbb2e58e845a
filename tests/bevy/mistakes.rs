//! Apps that are put together wrongly are told so: FA101 and FA102.

use bevy::ecs::schedule::ScheduleLabel;
use bevy::ecs::system::RunSystemOnce;
use bevy::prelude::*;
use framealloc::SmartAlloc;
use framealloc::bevy::{AllocResource, FrameAlloc, SmartAllocPlugin, SmartAllocSystems};
use framealloc::diagnostics::{DiagnosticCode, capture};

use crate::headless_app;

fn takes_frame_memory(frame: FrameAlloc) {
    frame.alloc(1);
}

/// What an update of the app reports on this thread.
fn update(app: &mut App) -> Vec<DiagnosticCode> {
    let (_, reports) = capture(|| app.update());
    reports.iter().map(|report| report.code).collect()
}

#[test]
#[should_panic(expected = "add `app.add_plugins(framealloc::bevy::SmartAllocPlugin)`")]
fn without_the_plugin_a_system_fails_with_the_line_to_add() {
    headless_app()
        .add_systems(Update, takes_frame_memory)
        .update();
}

#[test]
fn without_the_plugin_fa101_is_reported() {
    let mut world = World::new();
    let (result, reports) = capture(|| world.run_system_once(takes_frame_memory));
    let error = result.unwrap_err().to_string();
    assert!(error.contains("[FA101]"), "{error}");
    assert_eq!(reports[0].code, DiagnosticCode::FA101);
    assert!(
        reports[0].message.contains("takes_frame_memory"),
        "{}",
        reports[0]
    );
}

#[test]
fn with_an_allocator_but_without_the_plugin_a_system_runs_and_fa101_is_reported_once() {
    let mut world = World::new();
    world.insert_resource(AllocResource::new(SmartAlloc::with_defaults()));
    let mut schedule = Schedule::default();
    schedule.set_executor(bevy::ecs::schedule::SingleThreadedExecutor::new());
    schedule.add_systems(takes_frame_memory);
    let (_, reports) = capture(|| {
        schedule.run(&mut world);
        schedule.run(&mut world);
    });
    let codes: Vec<_> = reports.iter().map(|report| report.code).collect();
    assert_eq!(codes, [DiagnosticCode::FA101]);
}

#[test]
fn a_sound_app_is_told_nothing() {
    let mut app = headless_app();
    app.add_plugins(SmartAllocPlugin).add_systems(
        Main,
        takes_frame_memory.in_set(SmartAllocSystems::BeginFrame),
    );
    for _ in 0..3 {
        assert_eq!(update(&mut app), []);
    }
}

#[test]
fn an_update_without_schedule_main_is_fa102() {
    #[derive(ScheduleLabel, Debug, Clone, PartialEq, Eq, Hash)]
    struct MyMain;

    let mut app = headless_app();
    app.add_plugins(SmartAllocPlugin)
        .add_systems(MyMain, takes_frame_memory);
    assert_eq!(update(&mut app), []);
    app.main_mut().update_schedule = Some(MyMain.intern());
    assert_eq!(update(&mut app), [DiagnosticCode::FA102]);
    assert_eq!(update(&mut app), [], "once for as long as it lasts");

    app.main_mut().update_schedule = Some(Main.intern());
    assert_eq!(update(&mut app), []);
    app.main_mut().update_schedule = Some(MyMain.intern());
    assert_eq!(update(&mut app), [DiagnosticCode::FA102]);
}

#[test]
fn a_hook_that_is_switched_off_is_fa102() {
    for hook in [SmartAllocSystems::BeginFrame, SmartAllocSystems::EndFrame] {
        let mut app = headless_app();
        app.add_plugins(SmartAllocPlugin)
            .configure_sets(Main, hook.run_if(|| false));
        assert_eq!(update(&mut app), [DiagnosticCode::FA102], "{hook:?}");
    }
}

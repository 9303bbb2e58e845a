//! Everything that a source can do wrong: one message with path, cause and remedy, and the reservation returned.

use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use bevy::prelude::*;
use framealloc::bevy::{
    AllocResource, SmartAllocPlugin, StreamFailed, StreamFailureKind, StreamReady, StreamedAsset,
    StreamedAssets, StreamedState, StreamingPlugin, StreamingSettings,
};
use framealloc::diagnostics::{self, Diagnostic, DiagnosticCode};
use framealloc::{AllocConfig, SmartAlloc};

use crate::headless_app;
use crate::sources::{Behaviour, Synthetic, bytes_of};
use crate::streams::{Inbox, is_ready, read, reserved, state, streaming_app, totals, update_until};

const SIZE: usize = 1_000_000;

/// Streams a file that cannot be streamed, and returns why. Checks that it is told once, to messages and observers, that nothing
/// stays reserved, and that what is streamed next is not affected.
fn failure_of(path: &str, source: &Synthetic) -> (StreamFailureKind, u32) {
    let mut app = streaming_app(source, 8 << 20);
    let failed = Inbox::<StreamFailed>::in_app(&mut app);
    let observed = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&observed);
    let path = path.to_owned();
    let entity = app.world_mut().spawn(StreamedAsset::new(path.clone())).id();
    app.world_mut()
        .entity_mut(entity)
        .observe(move |_: On<StreamFailed>| {
            seen.fetch_add(1, SeqCst);
        });
    update_until(&mut app, |_| !failed.lock().unwrap().is_empty());
    for _ in 0..50 {
        app.update();
    }

    let failed = failed.lock().unwrap().clone();
    assert_eq!((failed.len(), observed.load(SeqCst)), (1, 1));
    let StreamFailed {
        entity: of,
        failure,
    } = failed[0].clone();
    assert_eq!(of, entity);
    assert_eq!(failure.path.to_string(), path);
    let text = failure.to_string();
    assert!(
        text.contains(&path) && text.contains(failure.kind.remedy()),
        "{text}"
    );
    assert_eq!(
        state(&mut app, entity),
        Some(StreamedState::Failed(failure.clone()))
    );
    update_until(&mut app, |app| reserved(app) == 0 && source.open() == 0);
    assert_eq!(totals(&app).failures, 1);

    source.add("after.bin", 5000, Behaviour::Fine);
    let after = app
        .world_mut()
        .spawn(StreamedAsset::new("made://after.bin"))
        .id();
    update_until(&mut app, |app| is_ready(app, after));
    assert_eq!(read(&mut app, after), Some(bytes_of("after.bin", 5000)));
    (failure.kind, failure.attempts)
}

fn failure_when(behaviour: Behaviour) -> (StreamFailureKind, u32) {
    let source = Synthetic::new();
    source.add("tile.bin", SIZE, behaviour);
    failure_of("made://tile.bin", &source)
}

#[test]
fn a_missing_file_is_told_at_once() {
    let failure = failure_of("made://nowhere.bin", &Synthetic::new());
    assert_eq!(failure, (StreamFailureKind::NotFound, 1));
    let failure = failure_of("nowhere.bin", &Synthetic::new());
    assert_eq!(failure, (StreamFailureKind::NotFound, 1));
}

#[test]
fn a_source_that_nobody_registered_is_told_at_once() {
    let failure = failure_of("elsewhere://tile.bin", &Synthetic::new());
    assert_eq!(failure, (StreamFailureKind::UnknownSource, 1));
}

#[test]
fn a_path_out_of_the_folder_is_refused() {
    let failure = failure_of("../secrets.bin", &Synthetic::new());
    assert_eq!(failure, (StreamFailureKind::UnapprovedPath, 1));
}

#[test]
fn a_file_that_may_not_be_read_is_told_at_once() {
    let failure = failure_when(Behaviour::Refuses(ErrorKind::PermissionDenied));
    assert_eq!(failure, (StreamFailureKind::PermissionDenied, 1));
}

#[test]
fn a_truncated_file_tells_how_much_there_was() {
    let failure = failure_when(Behaviour::Truncated { claims: SIZE + 1 });
    let (expected, read) = (SIZE as u64 + 1, SIZE as u64);
    assert_eq!(
        failure,
        (StreamFailureKind::Truncated { expected, read }, 1)
    );
}

#[test]
fn a_file_that_grows_while_it_is_read_is_refused() {
    let failure = failure_when(Behaviour::Grows { claims: SIZE - 1 });
    let expected = SIZE as u64 - 1;
    assert_eq!(failure, (StreamFailureKind::Grew { expected }, 1));
}

#[test]
fn a_source_that_fails_half_way_is_tried_again_a_few_times() {
    let (after, times) = (SIZE / 2, usize::MAX);
    let (kind, attempts) = failure_when(Behaviour::Breaks { after, times });
    assert!(matches!(kind, StreamFailureKind::Source(error) if error.contains("the line is down")));
    assert_eq!(attempts, 1 + StreamingSettings::default().retries);
}

#[test]
fn a_source_that_cannot_be_reached_is_tried_again_a_few_times() {
    let (kind, attempts) = failure_when(Behaviour::Refuses(ErrorKind::TimedOut));
    assert!(matches!(kind, StreamFailureKind::Source(_)));
    assert_eq!(attempts, 1 + StreamingSettings::default().retries);
}

#[test]
fn a_source_that_recovers_is_read_without_a_word() {
    let source = Synthetic::new();
    let (after, times) = (SIZE / 2, 3);
    source.add("tile.bin", SIZE, Behaviour::Breaks { after, times });
    let mut app = streaming_app(&source, 8 << 20);
    let failed = Inbox::<StreamFailed>::in_app(&mut app);
    let entity = app
        .world_mut()
        .spawn(StreamedAsset::new("made://tile.bin"))
        .id();
    update_until(&mut app, |app| is_ready(app, entity));
    assert_eq!(read(&mut app, entity), Some(bytes_of("tile.bin", SIZE)));
    assert!(failed.lock().unwrap().is_empty());
    assert_eq!((totals(&app).retries, source.opened("tile.bin")), (3, 4));
}

#[test]
fn the_pause_before_an_attempt_doubles() {
    let source = Synthetic::new();
    source.add("tile.bin", SIZE, Behaviour::Refuses(ErrorKind::TimedOut));
    let mut app = streaming_app(&source, 8 << 20);
    app.world_mut()
        .resource_mut::<StreamingSettings>()
        .retry_after = 100;
    let entity = app
        .world_mut()
        .spawn(StreamedAsset::new("made://tile.bin"))
        .id();
    let mut pauses = Vec::new();
    let (mut seen, mut frames) = (0, 0);
    update_until(&mut app, |app| {
        frames += 1;
        if source.opened("tile.bin") != seen {
            // An attempt may take frames itself, so this is a bound from below.
            pauses.push(frames);
            (seen, frames) = (source.opened("tile.bin"), 0);
        }
        matches!(state(app, entity), Some(StreamedState::Failed(_)))
    });
    assert_eq!(pauses.len(), 4);
    assert!(
        pauses[1] >= 99 && pauses[2] >= 199 && pauses[3] >= 399,
        "{pauses:?}"
    );
}

#[test]
fn a_source_that_panics_fails_its_file_and_nothing_else() {
    for behaviour in [
        Behaviour::PanicsAtOnce,
        Behaviour::Panics { after: SIZE / 2 },
    ] {
        let (kind, attempts) = failure_when(behaviour);
        let message = "a bug in the source".to_owned();
        assert_eq!(
            (kind, attempts),
            (StreamFailureKind::SourcePanicked(message), 1)
        );
    }
}

#[test]
fn a_file_larger_than_the_whole_budget_is_refused_and_evicts_nothing() {
    for behaviour in [Behaviour::Fine, Behaviour::CannotSeek] {
        let source = Synthetic::new();
        source.add("small.bin", 1000, Behaviour::Fine);
        source.add("large.bin", 50_001, behaviour);
        let mut app = streaming_app(&source, 50_000);
        app.world_mut()
            .resource_mut::<StreamingSettings>()
            .chunk_size = 4096;
        let failed = Inbox::<StreamFailed>::in_app(&mut app);
        let small = app
            .world_mut()
            .spawn(StreamedAsset::new("made://small.bin"))
            .id();
        update_until(&mut app, |app| is_ready(app, small));
        app.world_mut()
            .spawn(StreamedAsset::new("made://large.bin"));
        update_until(&mut app, |_| !failed.lock().unwrap().is_empty());
        let failure = failed.lock().unwrap()[0].failure.clone();
        let (size, budget) = (50_001, 50_000);
        assert_eq!(failure.kind, StreamFailureKind::TooLarge { size, budget });
        assert_eq!(failure.kind.code(), Some(DiagnosticCode::FA402));
        assert!(is_ready(&mut app, small));
        assert_eq!(reserved(&app), 1000);
    }
}

#[test]
fn a_size_that_was_told_wrongly_is_refused() {
    for (told, kind) in [
        (999, StreamFailureKind::Grew { expected: 999 }),
        (
            1001,
            StreamFailureKind::Truncated {
                expected: 1001,
                read: 1000,
            },
        ),
    ] {
        let source = Synthetic::new();
        source.add("tile.bin", 1000, Behaviour::CannotSeek);
        let mut app = streaming_app(&source, 8 << 20);
        let failed = Inbox::<StreamFailed>::in_app(&mut app);
        app.world_mut()
            .spawn(StreamedAsset::new("made://tile.bin").with_size(told));
        update_until(&mut app, |_| !failed.lock().unwrap().is_empty());
        assert_eq!(failed.lock().unwrap()[0].failure.kind, kind);
        update_until(&mut app, |app| reserved(app) == 0);
    }
}

#[test]
fn a_file_that_failed_is_tried_again_when_it_is_asked_for() {
    let source = Synthetic::new();
    let mut app = streaming_app(&source, 8 << 20);
    let failed = Inbox::<StreamFailed>::in_app(&mut app);
    let entity = app
        .world_mut()
        .spawn(StreamedAsset::new("made://late.bin"))
        .id();
    update_until(&mut app, |_| failed.lock().unwrap().len() == 1);

    source.add("late.bin", 77, Behaviour::Fine);
    app.world_mut()
        .run_system_cached_with(
            |In(entity): In<Entity>, assets: StreamedAssets| assets.retry(entity),
            entity,
        )
        .unwrap();
    update_until(&mut app, |app| is_ready(app, entity));
    assert_eq!(read(&mut app, entity), Some(bytes_of("late.bin", 77)));
}

#[test]
fn without_an_allocator_every_file_fails_and_fa101_is_reported_once() {
    let (_, reports) = diagnostics::capture(|| {
        let source = Synthetic::new();
        source.add("tile.bin", 10, Behaviour::Fine);
        let mut app = headless_app();
        source.register(&mut app, "made");
        // The turn runs on this thread, where reports are collected.
        app.edit_schedule(PreUpdate, |schedule| {
            schedule.set_executor(bevy::ecs::schedule::SingleThreadedExecutor::new());
        });
        app.add_plugins((AssetPlugin::default(), StreamingPlugin::default()));
        let failed = Inbox::<StreamFailed>::in_app(&mut app);
        for _ in 0..3 {
            app.world_mut().spawn(StreamedAsset::new("made://tile.bin"));
            app.world_mut()
                .spawn(StreamedAsset::new("made://other.bin"));
        }
        update_until(&mut app, |_| failed.lock().unwrap().len() == 6);
        let failed = failed.lock().unwrap();
        assert!(
            failed
                .iter()
                .all(|message| message.failure.kind == StreamFailureKind::NoAllocator)
        );
    });
    let is_ours = |report: &&Diagnostic| report.code == DiagnosticCode::FA101;
    let reports: Vec<_> = reports.iter().filter(is_ours).collect();
    assert_eq!(reports.len(), 1, "{reports:?}");
    assert!(
        reports[0]
            .to_string()
            .contains("app.add_plugins(SmartAllocPlugin)")
    );
}

#[test]
fn without_an_asset_server_every_file_fails_with_the_line_to_add() {
    let mut app = headless_app();
    app.add_plugins((StreamingPlugin::default(), SmartAllocPlugin));
    let failed = Inbox::<StreamFailed>::in_app(&mut app);
    app.world_mut().spawn(StreamedAsset::new("tile.bin"));
    update_until(&mut app, |_| !failed.lock().unwrap().is_empty());
    let failure = failed.lock().unwrap()[0].failure.clone();
    assert_eq!(failure.kind, StreamFailureKind::NoAssetServer);
    assert!(
        failure
            .to_string()
            .contains("app.add_plugins(AssetPlugin::default())")
    );
}

#[test]
fn a_budget_of_the_tag_that_refuses_is_told() {
    let source = Synthetic::new();
    source.add("tile.bin", 100_000, Behaviour::Fine);
    let alloc = SmartAlloc::new(AllocConfig::default().with_budgets(true));
    let budgets = alloc.budgets().unwrap();
    budgets.register_tag_budget("streaming_test::small", 0, 50_000);
    let mut app = headless_app();
    source.register(&mut app, "made");
    app.insert_resource(AllocResource::new(alloc)).add_plugins((
        StreamingPlugin::default(),
        SmartAllocPlugin,
        AssetPlugin::default(),
    ));
    app.world_mut().resource_mut::<StreamingSettings>().retries = 0;
    let failed = Inbox::<StreamFailed>::in_app(&mut app);
    let ready = Inbox::<StreamReady>::in_app(&mut app);
    let asset = StreamedAsset::new("made://tile.bin");
    app.world_mut()
        .spawn(asset.with_tag("streaming_test::small"));
    update_until(&mut app, |_| !failed.lock().unwrap().is_empty());
    let kind = failed.lock().unwrap()[0].failure.kind.clone();
    assert!(matches!(kind, StreamFailureKind::Refused(_)), "{kind}");
    assert!(ready.lock().unwrap().is_empty());
    assert_eq!(reserved(&app), 0);
}

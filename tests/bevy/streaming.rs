//! Files that stream into memory: loading, messages, freeing, sharing.

use bevy::prelude::*;
use framealloc::StreamPriority;
use framealloc::bevy::{
    AllocResource, SmartAllocPlugin, StreamFailed, StreamProgress, StreamReady, StreamedAsset,
    StreamedAssets, StreamedState, StreamingPlugin, StreamingSettings,
};

use crate::headless_app;
use crate::sources::{Behaviour, Synthetic, bytes_of};
use crate::streams::{Inbox, is_ready, read, reserved, state, streaming_app, totals, update_until};

#[test]
fn a_file_on_disk_is_streamed_and_freed_with_its_entity() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = bytes_of("terrain.bin", 3_000_000);
    std::fs::write(folder.path().join("terrain.bin"), &bytes).unwrap();
    let mut app = headless_app();
    app.add_plugins((
        AssetPlugin {
            file_path: folder.path().to_str().unwrap().to_owned(),
            ..default()
        },
        SmartAllocPlugin,
        StreamingPlugin::with_budget(8 << 20),
    ));
    let ready = Inbox::<StreamReady>::in_app(&mut app);
    let tile = app
        .world_mut()
        .spawn(StreamedAsset::new("terrain.bin"))
        .id();
    update_until(&mut app, |_| !ready.lock().unwrap().is_empty());

    let message = ready.lock().unwrap()[0].clone();
    assert_eq!((message.entity, message.size), (tile, bytes.len()));
    assert!(read(&mut app, tile) == Some(bytes));
    assert_eq!(totals(&app).ready, 1);

    app.world_mut().despawn(tile);
    update_until(&mut app, |app| reserved(app) == 0);
    app.update();
    assert_eq!((totals(&app).files, totals(&app).ready), (0, 0));
}

#[test]
fn files_come_from_any_source_with_every_size_around_a_chunk() {
    let source = Synthetic::new();
    let mut app = streaming_app(&source, 8 << 20);
    app.world_mut()
        .resource_mut::<StreamingSettings>()
        .chunk_size = 1000;
    for (way, behaviour) in [Behaviour::Fine, Behaviour::CannotSeek]
        .into_iter()
        .enumerate()
    {
        for size in [0, 1, 999, 1000, 1001, 2000, 2001, 65_536, 100_003] {
            let name = format!("{way}-{size}");
            source.add(&name, size, behaviour.clone());
            let path = format!("made://{name}");
            let entity = app.world_mut().spawn(StreamedAsset::new(path)).id();
            update_until(&mut app, |app| is_ready(app, entity));
            assert!(
                read(&mut app, entity) == Some(bytes_of(&name, size)),
                "{name}"
            );
        }
    }
    assert_eq!(
        reserved(&app),
        2 * (1 + 999 + 1000 + 1001 + 2000 + 2001 + 65_536 + 100_003)
    );
}

fn spawn(app: &mut App, path: &str) -> Entity {
    app.world_mut()
        .spawn(StreamedAsset::new(path.to_owned()))
        .id()
}

#[test]
fn progress_is_told_in_steps_and_never_falls() {
    let source = Synthetic::new();
    source.add("tile.bin", 1_000_000, Behaviour::Fine);
    let mut app = streaming_app(&source, 8 << 20);
    {
        let mut settings = app.world_mut().resource_mut::<StreamingSettings>();
        settings.chunk_size = 1000;
        settings.progress_step = 0.25;
    }
    let told = Inbox::<StreamProgress>::in_app(&mut app);
    let tile = spawn(&mut app, "made://tile.bin");
    update_until(&mut app, |app| is_ready(app, tile));
    let told = told.lock().unwrap();
    assert!(told.len() <= 4, "{told:?}");
    assert!(
        told.windows(2)
            .all(|pair| pair[0].loaded + 250_000 <= pair[1].loaded)
    );
    assert!(
        told.iter()
            .all(|told| told.total == Some(1_000_000) && told.entity == tile)
    );
}

#[test]
fn entities_with_the_same_path_share_one_load() {
    let source = Synthetic::new();
    source.add("tile.bin", 10_000, Behaviour::Fine);
    let mut app = streaming_app(&source, 8 << 20);
    let ready = Inbox::<StreamReady>::in_app(&mut app);
    let tiles: Vec<_> = (0..3).map(|_| spawn(&mut app, "made://tile.bin")).collect();
    update_until(&mut app, |app| is_ready(app, tiles[0]));
    app.update();
    let mut told: Vec<_> = ready
        .lock()
        .unwrap()
        .iter()
        .map(|told| told.entity)
        .collect();
    told.sort();
    let mut tiles = tiles;
    tiles.sort();
    assert_eq!(told, tiles);
    assert_eq!((source.opened("tile.bin"), reserved(&app)), (1, 10_000));

    app.world_mut().despawn(tiles[0]);
    app.world_mut()
        .entity_mut(tiles[1])
        .remove::<StreamedAsset>();
    for _ in 0..20 {
        app.update();
    }
    assert_eq!(state(&mut app, tiles[0]), None);
    assert_eq!(state(&mut app, tiles[1]), None);
    assert_eq!(read(&mut app, tiles[2]), Some(bytes_of("tile.bin", 10_000)));
    app.world_mut().despawn(tiles[2]);
    update_until(&mut app, |app| reserved(app) == 0);
}

#[test]
fn another_path_loads_another_file_and_the_same_path_loads_nothing_again() {
    let source = Synthetic::new();
    source.add("a", 1000, Behaviour::Fine);
    source.add("b", 2000, Behaviour::Fine);
    let mut app = streaming_app(&source, 8 << 20);
    let tile = spawn(&mut app, "made://a");
    update_until(&mut app, |app| is_ready(app, tile));
    app.world_mut()
        .entity_mut(tile)
        .insert(StreamedAsset::new("made://a").with_priority(StreamPriority::High));
    app.update();
    assert!(is_ready(&mut app, tile));
    let alloc = app.world().resource::<AllocResource>().clone();
    assert_eq!(
        alloc.streaming().streams()[0].priority,
        StreamPriority::High
    );
    assert_eq!(alloc.streaming().streams()[0].tag.path(), "streaming");

    app.world_mut()
        .entity_mut(tile)
        .insert(StreamedAsset::new("made://b"));
    update_until(&mut app, |app| is_ready(app, tile));
    assert_eq!(read(&mut app, tile), Some(bytes_of("b", 2000)));
    update_until(&mut app, |app| reserved(app) == 2000);
    assert_eq!((source.opened("a"), source.opened("b")), (1, 1));
}

#[test]
fn despawning_in_the_middle_of_a_load_frees_everything() {
    let source = Synthetic::new();
    source.add("stuck", 1_000_000, Behaviour::Hangs { after: 300_000 });
    let mut app = streaming_app(&source, 8 << 20);
    let tile = spawn(&mut app, "made://stuck");
    update_until(
        &mut app,
        |app| matches!(state(app, tile), Some(StreamedState::Loading { loaded, .. }) if loaded > 0),
    );
    assert_eq!(reserved(&app), 1_000_000);
    app.world_mut().despawn(tile);
    update_until(&mut app, |app| reserved(app) == 0 && source.open() == 0);
    assert_eq!(totals(&app).loading, 0);
}

#[test]
fn dropping_the_app_in_the_middle_of_loads_frees_everything() {
    let source = Synthetic::new();
    source.add("stuck", 1_000_000, Behaviour::Hangs { after: 300_000 });
    source.add("ready", 1_000_000, Behaviour::Fine);
    source.add("queued", 1_000_000, Behaviour::Fine);
    let mut app = streaming_app(&source, 8 << 20);
    app.world_mut()
        .resource_mut::<StreamingSettings>()
        .in_flight = 1;
    let ready = spawn(&mut app, "made://ready");
    update_until(&mut app, |app| is_ready(app, ready));
    let stuck = spawn(&mut app, "made://stuck");
    update_until(
        &mut app,
        |app| matches!(state(app, stuck), Some(StreamedState::Loading { loaded, .. }) if loaded > 0),
    );
    spawn(&mut app, "made://queued");
    app.update();
    let alloc = app.world().resource::<AllocResource>().clone();
    assert_eq!(alloc.streaming().total_reserved(), 2_000_000);
    drop(app);
    for _ in 0..10_000_000 {
        if alloc.streaming().total_reserved() == 0 && source.open() == 0 {
            break;
        }
        std::thread::yield_now();
    }
    assert_eq!((alloc.streaming().total_reserved(), source.open()), (0, 0));
    assert_eq!(source.opened("queued"), 0);
}

#[test]
fn a_load_can_be_cancelled_and_asked_for_again() {
    let source = Synthetic::new();
    source.add("tile", 1_000_000, Behaviour::Hangs { after: 300_000 });
    let mut app = streaming_app(&source, 8 << 20);
    let tile = spawn(&mut app, "made://tile");
    update_until(
        &mut app,
        |app| matches!(state(app, tile), Some(StreamedState::Loading { loaded, .. }) if loaded > 0),
    );
    let ask = |app: &mut App, cancel: bool| {
        app.world_mut()
            .run_system_cached_with(
                |In((tile, cancel)): In<(Entity, bool)>, assets: StreamedAssets| match cancel {
                    true => assets.cancel(tile),
                    false => assets.retry(tile),
                },
                (tile, cancel),
            )
            .unwrap();
    };
    ask(&mut app, true);
    update_until(&mut app, |app| reserved(app) == 0 && source.open() == 0);
    assert_eq!(state(&mut app, tile), Some(StreamedState::Cancelled));
    source.add("tile", 1000, Behaviour::Fine);
    ask(&mut app, false);
    update_until(&mut app, |app| is_ready(app, tile));
    assert_eq!(read(&mut app, tile), Some(bytes_of("tile", 1000)));
    // What is ready is freed.
    ask(&mut app, true);
    update_until(&mut app, |app| reserved(app) == 0);
}

#[test]
fn no_more_than_the_limit_load_at_once_and_the_most_wanted_come_first() {
    let source = Synthetic::new();
    let mut app = streaming_app(&source, 8 << 20);
    app.world_mut()
        .resource_mut::<StreamingSettings>()
        .in_flight = 1;
    let wishes = [
        ("low", StreamPriority::Low, 0.0),
        ("second", StreamPriority::Normal, 2.5),
        ("first", StreamPriority::Normal, -1.0),
        ("critical", StreamPriority::Critical, 9.0),
    ];
    let tiles = wishes.map(|(name, priority, rank)| {
        source.add(name, 10_000, Behaviour::Fine);
        let asset = StreamedAsset::new(format!("made://{name}"));
        app.world_mut()
            .spawn(asset.with_priority(priority).with_rank(rank))
            .id()
    });
    update_until(&mut app, |app| {
        tiles.iter().all(|&tile| is_ready(app, tile))
    });
    assert_eq!(source.order(), ["critical", "first", "second", "low"]);
    assert_eq!(source.most_open(), 1);
}

#[test]
fn two_apps_stream_by_themselves() {
    let source = Synthetic::new();
    source.add("tile", 1000, Behaviour::Fine);
    let mut one = streaming_app(&source, 8 << 20);
    let mut other = streaming_app(&source, 500);
    let failed = Inbox::<StreamFailed>::in_app(&mut other);
    let tile = spawn(&mut one, "made://tile");
    spawn(&mut other, "made://tile");
    update_until(&mut one, |app| is_ready(app, tile));
    update_until(&mut other, |_| !failed.lock().unwrap().is_empty());
    assert_eq!((reserved(&one), reserved(&other)), (1000, 0));
}

#[test]
#[should_panic(expected = "plugin was already added")]
fn adding_it_twice_is_bevys_usual_error() {
    headless_app().add_plugins((StreamingPlugin::default(), StreamingPlugin::default()));
}

#[test]
fn entities_that_were_there_before_the_plugin_are_streamed() {
    let source = Synthetic::new();
    source.add("tile", 1000, Behaviour::Fine);
    let mut app = headless_app();
    source.register(&mut app, "made");
    let tile = spawn(&mut app, "made://tile");
    assert_eq!(
        state(&mut app, tile),
        None,
        "without the plugin there is nothing"
    );
    app.add_plugins((
        StreamingPlugin::default(),
        AssetPlugin::default(),
        SmartAllocPlugin,
    ));
    update_until(&mut app, |app| is_ready(app, tile));
}

#[test]
fn thousands_of_files_at_once_are_spread_over_frames() {
    const FILES: usize = 3000;
    let source = Synthetic::new();
    let mut app = streaming_app(&source, 8 << 20);
    let per_frame = app.world().resource::<StreamingSettings>().per_frame;
    let tiles: Vec<_> = (0..FILES)
        .map(|number| {
            let name = number.to_string();
            source.add(&name, 10, Behaviour::Fine);
            spawn(&mut app, &format!("made://{name}"))
        })
        .collect();
    let mut before = 0;
    update_until(&mut app, |app| {
        let totals = totals(app);
        assert!(totals.files <= before + per_frame, "{before} {totals:?}");
        assert!(totals.loading <= 4);
        before = totals.files;
        totals.ready == FILES
    });
    for tile in tiles {
        app.world_mut().despawn(tile);
    }
    update_until(&mut app, |app| {
        let totals = totals(app);
        assert!(totals.files + per_frame >= before, "{before} {totals:?}");
        before = totals.files;
        totals.files == 0 && reserved(app) == 0
    });
}

#[test]
fn thousands_of_entities_may_share_a_file() {
    let source = Synthetic::new();
    source.add("shared", 10, Behaviour::Fine);
    let mut app = streaming_app(&source, 8 << 20);
    let ready = Inbox::<StreamReady>::in_app(&mut app);
    let tiles: Vec<_> = (0..2000)
        .map(|_| spawn(&mut app, "made://shared"))
        .collect();
    let last = *tiles.last().unwrap();
    update_until(&mut app, |app| state(app, last).is_some());
    update_until(&mut app, |app| is_ready(app, tiles[0]));
    // Each is told, also those that came when it was ready.
    app.update();
    assert_eq!(ready.lock().unwrap().len(), 2000);
    for tile in tiles {
        app.world_mut().despawn(tile);
    }
    update_until(&mut app, |app| totals(app).files == 0 && reserved(app) == 0);
    assert_eq!(source.opened("shared"), 1);
}

#[test]
fn a_game_that_streams_nothing_runs_no_turn_and_still_learns_the_figures() {
    fn last_turn(app: &App) -> u32 {
        let schedule = app.get_schedule(PreUpdate).unwrap();
        let mut systems = schedule.systems().unwrap();
        let turn = systems.find(|(_, system)| system.name().as_string().ends_with("turn::turn"));
        turn.unwrap().1.get_last_run().get()
    }
    let mut app = streaming_app(&Synthetic::new(), 8 << 20);
    app.update();
    let at_start = last_turn(&app);
    app.update();
    app.update();
    assert_eq!(last_turn(&app), at_start, "there was nothing to do");
    assert_eq!(totals(&app).budget, 8 << 20);

    let alloc = app.world().resource::<AllocResource>().clone();
    let streaming = alloc.streaming();
    let stream = streaming.reserve(5000, StreamPriority::Normal).unwrap();
    app.update();
    assert_eq!(
        totals(&app).reserved,
        5000,
        "a stream that is not the plugin's counts too"
    );
    assert!(streaming.free(stream));
    app.world_mut().resource_mut::<StreamingSettings>().budget = Some(4 << 20);
    app.update();
    assert_eq!(totals(&app).budget, 4 << 20);
    app.update();
    let at_rest = last_turn(&app);
    app.update();
    assert_eq!(last_turn(&app), at_rest);
}

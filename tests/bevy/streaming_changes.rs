//! What streams go through when the ground changes under them: files that are edited, an allocator that is replaced.

use bevy::prelude::*;
use framealloc::bevy::{
    AllocResource, SmartAllocPlugin, StreamReady, StreamedAsset, StreamedState, StreamingPlugin,
};
use framealloc::{AllocConfig, SmartAlloc};

use crate::headless_app;
use crate::sources::{Behaviour, Synthetic, Watcher, bytes_of};
use crate::streams::{Inbox, is_ready, read, reserved, state, streaming_app, totals, update_until};

/// An app whose source `made://` is watched.
fn watching_app(source: &Synthetic) -> (App, Watcher) {
    let mut app = headless_app();
    let watcher = source.register_watched(&mut app, "made");
    app.add_plugins((
        AssetPlugin {
            watch_for_changes_override: Some(true),
            ..default()
        },
        SmartAllocPlugin,
        StreamingPlugin::with_budget(1 << 20),
    ));
    (app, watcher)
}

fn spawn(app: &mut App, path: &'static str) -> Entity {
    app.world_mut().spawn(StreamedAsset::new(path)).id()
}

#[test]
fn a_file_that_changes_is_loaded_again() {
    let source = Synthetic::new();
    source.add("tile.bin", 10_000, Behaviour::Fine);
    source.add("other.bin", 5_000, Behaviour::Fine);
    let (mut app, watcher) = watching_app(&source);
    let ready = Inbox::<StreamReady>::in_app(&mut app);
    let tile = spawn(&mut app, "made://tile.bin");
    let other = spawn(&mut app, "made://other.bin");
    update_until(&mut app, |app| is_ready(app, tile) && is_ready(app, other));

    for size in [20_000, 300] {
        source.add("tile.bin", size, Behaviour::Fine);
        watcher.tell_changed("tile.bin");
        update_until(&mut app, |app| {
            read(app, tile) == Some(bytes_of("tile.bin", size))
        });
        update_until(&mut app, |app| reserved(app) == size + 5_000);
    }
    let told = ready.lock().unwrap().clone();
    let of = |entity| {
        let told = told.iter().filter(move |told| told.entity == entity);
        told.map(|told| told.size).collect::<Vec<_>>()
    };
    assert_eq!(of(tile), [10_000, 20_000, 300]);
    assert_eq!(of(other), [5_000], "it has not changed");
}

#[test]
fn a_file_that_was_found_broken_is_tried_again_when_it_changes() {
    let source = Synthetic::new();
    let torn = Behaviour::Truncated { claims: 20_000 };
    source.add("tile.bin", 10_000, torn);
    let (mut app, watcher) = watching_app(&source);
    let tile = spawn(&mut app, "made://tile.bin");
    update_until(&mut app, |app| {
        matches!(state(app, tile), Some(StreamedState::Failed(_)))
    });

    source.add("tile.bin", 20_000, Behaviour::Fine);
    watcher.tell_changed("tile.bin");
    update_until(&mut app, |app| is_ready(app, tile));
    assert_eq!(read(&mut app, tile), Some(bytes_of("tile.bin", 20_000)));
}

#[test]
fn a_source_that_nobody_watches_is_read_once() {
    let source = Synthetic::new();
    source.add("tile.bin", 10_000, Behaviour::Fine);
    let mut app = streaming_app(&source, 1 << 20);
    let tile = spawn(&mut app, "made://tile.bin");
    update_until(&mut app, |app| is_ready(app, tile));
    for _ in 0..20 {
        app.update();
    }
    assert_eq!(source.opened("tile.bin"), 1);
}

#[test]
fn a_replaced_allocator_gets_the_files_and_the_budget() {
    let source = Synthetic::new();
    source.add("there.bin", 10_000, Behaviour::Fine);
    source.add("coming.bin", 20_000, Behaviour::Hangs { after: 100 });
    let mut app = streaming_app(&source, 1 << 20);
    let there = spawn(&mut app, "made://there.bin");
    let coming = spawn(&mut app, "made://coming.bin");
    update_until(&mut app, |app| {
        let is_coming = matches!(
            state(app, coming),
            Some(StreamedState::Loading { loaded: 100, .. })
        );
        is_coming && is_ready(app, there)
    });
    let before = app.world().resource::<AllocResource>().clone();

    source.add("coming.bin", 20_000, Behaviour::Fine);
    let fresh = AllocResource::new(SmartAlloc::new(AllocConfig::minimal()));
    app.insert_resource(fresh.clone());
    app.update();
    assert_eq!(read(&mut app, there), None, "it is on its way");
    update_until(&mut app, |app| {
        is_ready(app, there) && is_ready(app, coming)
    });
    assert_eq!(read(&mut app, there), Some(bytes_of("there.bin", 10_000)));
    assert_eq!(fresh.streaming().total_reserved(), 30_000);
    assert_eq!(fresh.streaming().budget(), 1 << 20);
    update_until(&mut app, |_| before.streaming().total_reserved() == 0);

    // The new one's evictions are heard of.
    fresh.streaming().set_budget(25_000);
    update_until(&mut app, |app| totals(app).evictions == 1);
}

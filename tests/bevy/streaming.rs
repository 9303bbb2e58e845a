//! Files that stream into memory: loading, messages, freeing, sharing.

use std::sync::{Arc, Mutex};

use bevy::asset::io::AssetSourceId;
use bevy::prelude::*;
use framealloc::StreamPriority;
use framealloc::bevy::{
    AllocResource, SmartAllocPlugin, StreamEvicted, StreamFailed, StreamFailureKind,
    StreamProgress, StreamReady, StreamedAsset, StreamedAssets, StreamedState, StreamingPlugin,
    StreamingSettings, StreamingTotals,
};

use crate::headless_app;
use crate::sources::{Behaviour, Synthetic, byte_at, bytes_of};
use crate::witness::Witness;

/// An app whose source `made://` makes files up, with a streaming budget.
pub fn streaming_app(source: &Synthetic, budget: usize) -> App {
    let mut app = headless_app();
    source.register(&mut app, "made");
    app.add_plugins((
        AssetPlugin::default(),
        SmartAllocPlugin,
        StreamingPlugin {
            settings: StreamingSettings {
                budget: Some(budget),
                retry_after: 1,
                ..default()
            },
        },
    ));
    app
}

/// Updates until `done`, so that loads on other threads get their turns. Panics if it never comes.
pub fn update_until(app: &mut App, mut done: impl FnMut(&mut App) -> bool) {
    for _ in 0..300_000 {
        app.update();
        if done(app) {
            return;
        }
        std::thread::yield_now();
    }
    panic!(
        "it never came: {:?}",
        app.world().resource::<StreamingTotals>()
    );
}

pub fn totals(app: &App) -> StreamingTotals {
    *app.world().resource::<StreamingTotals>()
}

pub fn reserved(app: &App) -> usize {
    app.world()
        .resource::<AllocResource>()
        .streaming()
        .total_reserved()
}

pub fn state(app: &mut App, entity: Entity) -> Option<StreamedState> {
    app.world_mut()
        .run_system_cached_with(
            |In(entity): In<Entity>, assets: StreamedAssets| assets.state(entity),
            entity,
        )
        .unwrap()
}

pub fn read(app: &mut App, entity: Entity) -> Option<Vec<u8>> {
    app.world_mut()
        .run_system_cached_with(
            |In(entity): In<Entity>, assets: StreamedAssets| {
                assets.get(entity).map(|bytes| bytes.to_vec())
            },
            entity,
        )
        .unwrap()
}

pub fn is_ready(app: &mut App, entity: Entity) -> bool {
    state(app, entity) == Some(StreamedState::Ready)
}

/// Every message of a kind that was written.
#[derive(Resource)]
pub struct Inbox<M>(pub Arc<Mutex<Vec<M>>>);

impl<M: Message + Clone> Inbox<M> {
    pub fn in_app(app: &mut App) -> Arc<Mutex<Vec<M>>> {
        let inbox = Arc::default();
        app.insert_resource(Self(Arc::clone(&inbox))).add_systems(
            Update,
            |inbox: Res<Self>, mut messages: MessageReader<M>| {
                inbox.0.lock().unwrap().extend(messages.read().cloned());
            },
        );
        inbox
    }
}

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

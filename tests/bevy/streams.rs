//! What the tests of streaming share.

use std::sync::{Arc, Mutex};

use bevy::prelude::*;
use framealloc::bevy::{
    AllocResource, SmartAllocPlugin, StreamedAssets, StreamedState, StreamingPlugin,
    StreamingSettings, StreamingTotals,
};

use crate::headless_app;
use crate::sources::Synthetic;

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

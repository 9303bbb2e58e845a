//! Files that change while the game runs are loaded again, where Bevy watches their source.
//!
//! A source's watcher has one listener, Bevy's asset server, which tells of assets only. So each file that was loaded is made an
//! asset as well: a [`Watched`], of which nothing is read. When the server loads that again, the file has changed.

use core::convert::Infallible;

use bevy_app::{App, PreUpdate};
use bevy_asset::io::Reader;
use bevy_asset::{
    Asset, AssetApp, AssetEvent, AssetLoader, AssetPath, AssetServer, AssetServerMode, Assets,
    Handle, LoadContext,
};
use bevy_ecs::prelude::*;
use bevy_ecs::schedule::common_conditions::on_message;
use bevy_reflect::TypePath;

use super::table::Table;
use super::turn;

/// Stands for a file that is watched.
#[derive(Asset, TypePath, Debug)]
pub(super) struct Watched;

#[derive(TypePath, Default)]
struct ReadsNothing;

impl AssetLoader for ReadsNothing {
    type Asset = Watched;
    type Settings = ();
    type Error = Infallible;

    async fn load(
        &self,
        _reader: &mut dyn Reader,
        _settings: &(),
        _context: &mut LoadContext<'_>,
    ) -> Result<Watched, Infallible> {
        Ok(Watched)
    }
}

/// Once there is an asset server that watches.
pub(super) fn install(app: &mut App) {
    let world = app.world();
    let server = world.get_resource::<AssetServer>();
    if !server.is_some_and(AssetServer::watching_for_changes)
        || world.contains_resource::<Assets<Watched>>()
    {
        return;
    }
    app.init_asset::<Watched>()
        .init_asset_loader::<ReadsNothing>()
        .add_systems(
            PreUpdate,
            hear_changes
                .run_if(on_message::<AssetEvent<Watched>>)
                .before(turn::turn),
        );
    app.world_mut().resource_mut::<Table>().watches = true;
}

/// Watches a file that exists, as long as the handle is kept. `None` if nobody watches its source. Processed assets name their loaders
/// themselves, so that they are not watched.
pub(super) fn watch(server: &AssetServer, path: &AssetPath<'static>) -> Option<Handle<Watched>> {
    if matches!(server.mode(), AssetServerMode::Processed) {
        return None;
    }
    let source = server.get_source(path.source()).ok()?;
    source.event_receiver()?;
    Some(server.load(path.clone()))
}

fn hear_changes(
    mut table: ResMut<Table>,
    server: Res<AssetServer>,
    mut events: MessageReader<AssetEvent<Watched>>,
) {
    for event in events.read() {
        if let AssetEvent::Modified { id } = event
            && let Some(path) = server.get_path(*id)
            && let Some(&key) = table.by_path.get(&path)
        {
            table.load_again(key);
        }
    }
}

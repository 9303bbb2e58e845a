//! The ground under the swarm: tiles that stream in as the camera comes near, and make room for others in two megabytes.
//!
//! The files are made up by an asset source, `terrain://`. Files on a disk or a server would be streamed the same way.

use std::f32::consts::TAU;
use std::path::{Path, PathBuf};

use bevy::asset::RenderAssetUsages;
use bevy::asset::io::{
    AssetReader, AssetReaderError, AssetSourceBuilder, PathStream, Reader, VecReader,
};
use bevy::prelude::*;
use bevy::render::render_resource::{Extent3d, TextureDimension, TextureFormat};
use framealloc::bevy::{StreamEvicted, StreamFocus, StreamReady, StreamedAsset, StreamedAssets};

use crate::field::{Field, STEP};

/// Memory for tiles, in bytes: room for a third of them.
pub const BUDGET: usize = 2 << 20;

const COLUMNS: u32 = 16;
const ROWS: u32 = 9;
/// Heights along a tile's edge, a byte each.
const SIDE: u32 = 208;

/// Before the plugins: Bevy's `AssetPlugin` collects the sources.
pub fn add_source(app: &mut App) {
    app.register_asset_source("terrain", AssetSourceBuilder::new(|| Box::new(Terrain)));
}

pub fn add(app: &mut App, fly: bool) {
    app.add_systems(Startup, lay_out)
        .add_observer(show)
        .add_observer(hide);
    if fly {
        app.add_systems(Update, fly_over);
    }
}

/// A place for each tile. The nearer the camera, the sooner its file is there.
fn lay_out(mut commands: Commands, field: Res<Field>, camera: Single<Entity, With<Camera2d>>) {
    let size = tile_size(&field);
    for row in 0..ROWS {
        for column in 0..COLUMNS {
            let corner = Vec2::new(column as f32, row as f32) * size - field.half;
            commands.spawn((
                StreamedAsset::new(format!("terrain://{column}_{row}.tile"))
                    .by_distance()
                    // Its name in the panel.
                    .with_tag(&format!("terrain::{column}_{row}")),
                Transform::from_translation((corner + size / 2.0).extend(-2.0)),
                Visibility::default(),
            ));
        }
    }
    commands.entity(*camera).insert(StreamFocus {
        near: size.x,
        far: size.x * 5.0,
    });
}

fn tile_size(field: &Field) -> Vec2 {
    field.half * 2.0 / Vec2::new(COLUMNS as f32, ROWS as f32)
}

/// Makes a picture of a file that has arrived.
fn show(
    ready: On<StreamReady>,
    files: StreamedAssets,
    field: Res<Field>,
    mut images: ResMut<Assets<Image>>,
    mut commands: Commands,
) {
    // It may have made room for another since.
    let Some(heights) = files.get(ready.entity) else {
        return;
    };
    let texels = heights.iter().flat_map(|&height| {
        // A bright line at every sixteenth of the height, and a hint of the height between.
        let line = u8::from(height % 32 < 3) * 34;
        [40, 90, 120, line + height / 14]
    });
    let picture = Image::new(
        Extent3d {
            width: SIDE,
            height: SIDE,
            depth_or_array_layers: 1,
        },
        TextureDimension::D2,
        texels.collect(),
        TextureFormat::Rgba8UnormSrgb,
        RenderAssetUsages::RENDER_WORLD,
    );
    commands.entity(ready.entity).insert(Sprite {
        image: images.add(picture),
        custom_size: Some(tile_size(&field)),
        ..default()
    });
}

fn hide(evicted: On<StreamEvicted>, mut commands: Commands) {
    if let Ok(mut tile) = commands.get_entity(evicted.entity) {
        tile.remove::<Sprite>();
    }
}

/// A wide loop, close to the ground.
fn fly_over(
    mut frame: Local<u32>,
    field: Res<Field>,
    camera: Single<(&mut Transform, &mut Projection), With<Camera2d>>,
) {
    *frame += 1;
    let (mut transform, mut projection) = camera.into_inner();
    let angle = *frame as f32 * STEP * TAU / 40.0;
    let place = field.half * 0.7 * Vec2::new((angle * 2.0).sin(), angle.sin());
    transform.translation = place.extend(transform.translation.z);
    if let Projection::Orthographic(view) = &mut *projection {
        view.scale = 0.4;
    }
}

/// A source whose files are computed.
struct Terrain;

impl AssetReader for Terrain {
    async fn read<'a>(&'a self, path: &'a Path) -> Result<impl Reader + 'a, AssetReaderError> {
        let tile = place_of(path).ok_or_else(|| AssetReaderError::NotFound(path.to_owned()))?;
        Ok(VecReader::new(heights(tile)))
    }

    async fn read_meta<'a>(&'a self, path: &'a Path) -> Result<impl Reader + 'a, AssetReaderError> {
        Err::<VecReader, _>(AssetReaderError::NotFound(path.to_owned()))
    }

    async fn read_directory<'a>(
        &'a self,
        path: &'a Path,
    ) -> Result<Box<PathStream>, AssetReaderError> {
        Err(AssetReaderError::NotFound(path.to_owned()))
    }

    async fn is_directory<'a>(&'a self, _: &'a Path) -> Result<bool, AssetReaderError> {
        Ok(false)
    }
}

/// The column and row in a name such as `3_4.tile`.
fn place_of(path: &Path) -> Option<UVec2> {
    let name = PathBuf::from(path.file_name()?).with_extension("");
    let (column, row) = name.to_str()?.split_once('_')?;
    Some(UVec2::new(column.parse().ok()?, row.parse().ok()?))
}

fn heights(tile: UVec2) -> Vec<u8> {
    let places = (0..SIDE).flat_map(|y| (0..SIDE).map(move |x| UVec2::new(x, y)));
    let height = |at: UVec2| {
        // Pictures begin at the top, the field's rows at the bottom.
        let within = Vec2::new(at.x as f32, (SIDE - at.y) as f32) / SIDE as f32;
        let Vec2 { x, y } = tile.as_vec2() + within;
        let hills = (x * 0.9 + (y * 0.7).sin()).sin() + (y * 1.1 + (x * 0.5).cos() * 1.3).sin();
        let bumps = (x * 2.3 - y * 1.9).sin() * 0.35;
        ((hills + bumps + 2.35) / 4.7).clamp(0.0, 1.0)
    };
    places.map(|at| (height(at) * 255.0) as u8).collect()
}

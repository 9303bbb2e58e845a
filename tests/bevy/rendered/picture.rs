//! An app without a window: its cameras draw into a picture.

use std::time::Duration;

use bevy::app::PluginGroupBuilder;
use bevy::camera::RenderTarget;
use bevy::prelude::*;
use bevy::render::RenderPlugin;
use bevy::render::render_resource::TextureFormat;
use bevy::time::TimeUpdateStrategy;

#[path = "../windowless.rs"]
mod windowless;

pub use windowless::finish;

/// Bevy's own, without a window, and with every pipeline there before it is used.
pub fn plugins() -> PluginGroupBuilder {
    windowless::plugins().set(RenderPlugin {
        synchronous_pipeline_compilation: true,
        ..default()
    })
}

/// What all cameras draw into.
#[derive(Resource)]
pub struct Picture(pub Handle<Image>);

/// Gives every camera that is spawned from now on a picture of `size` to draw into. Each update is a sixtieth of a second, however
/// long it takes.
pub fn draw_into_a_picture(app: &mut App, size: UVec2) {
    let picture = Image::new_target_texture(size.x, size.y, TextureFormat::Rgba8UnormSrgb, None);
    let picture = app.world_mut().resource_mut::<Assets<Image>>().add(picture);
    app.insert_resource(Picture(picture))
        .insert_resource(TimeUpdateStrategy::ManualDuration(Duration::from_secs_f64(
            1.0 / 60.0,
        )))
        .add_observer(aim);
}

fn aim(camera: On<Add, Camera>, picture: Res<Picture>, mut commands: Commands) {
    let target = RenderTarget::Image(picture.0.clone().into());
    commands
        .entity(camera.entity)
        .insert((target, IsDefaultUiCamera));
}

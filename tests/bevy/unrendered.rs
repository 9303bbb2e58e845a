//! An app with all of Bevy and without a window, where nobody draws.

use bevy::app::PluginGroupBuilder;
use bevy::log::LogPlugin;
use bevy::prelude::*;
use bevy::render::RenderPlugin;
use bevy::render::pipelined_rendering::PipelinedRenderingPlugin;
use bevy::render::settings::{RenderCreation, WgpuSettings};
use bevy_egui::EguiFullOutput;

#[path = "windowless.rs"]
mod windowless;

pub use windowless::finish;

/// Bevy's own, without a window, a renderer and a log: a process may have several such apps.
pub fn plugins() -> PluginGroupBuilder {
    windowless::plugins()
        .set(RenderPlugin {
            render_creation: RenderCreation::Automatic(Box::new(WgpuSettings {
                backends: None,
                ..default()
            })),
            ..default()
        })
        .disable::<LogPlugin>()
        .disable::<PipelinedRenderingPlugin>()
}

/// Takes egui's textures as a renderer would: egui insists on it.
pub fn take_textures(app: &mut App) {
    app.add_systems(Last, |mut outputs: Query<&mut EguiFullOutput>| {
        for mut output in &mut outputs {
            if let Some(output) = &mut output.0 {
                output.textures_delta.clear();
            }
        }
    });
}

//! An app with all of Bevy and without a window, where nobody draws.

use bevy::app::{PluginGroupBuilder, PluginsState};
use bevy::log::LogPlugin;
use bevy::prelude::*;
use bevy::render::RenderPlugin;
use bevy::render::pipelined_rendering::PipelinedRenderingPlugin;
use bevy::render::settings::{RenderCreation, WgpuSettings};
use bevy::window::ExitCondition;
use bevy::winit::WinitPlugin;
use bevy_egui::EguiFullOutput;

/// Bevy's own, without a window, a renderer and a log: a process may have several such apps.
pub fn plugins() -> PluginGroupBuilder {
    DefaultPlugins
        .set(RenderPlugin {
            render_creation: RenderCreation::Automatic(Box::new(WgpuSettings {
                backends: None,
                ..default()
            })),
            ..default()
        })
        .set(WindowPlugin {
            primary_window: None,
            exit_condition: ExitCondition::DontExit,
            ..default()
        })
        .disable::<WinitPlugin>()
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

/// Waits for the plugins, as a runner would.
pub fn finish(app: &mut App) {
    while app.plugins_state() == PluginsState::Adding {
        bevy::tasks::tick_global_task_pools_on_main_thread();
    }
    app.finish();
    app.cleanup();
}

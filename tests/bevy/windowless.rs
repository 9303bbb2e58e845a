//! What apps without a window share.

use bevy::app::{PluginGroupBuilder, PluginsState};
use bevy::prelude::*;
use bevy::window::ExitCondition;
use bevy::winit::WinitPlugin;

/// Bevy's own, without a window.
pub fn plugins() -> PluginGroupBuilder {
    DefaultPlugins
        .set(WindowPlugin {
            primary_window: None,
            exit_condition: ExitCondition::DontExit,
            ..default()
        })
        .disable::<WinitPlugin>()
}

/// Waits for the plugins, as a runner would.
pub fn finish(app: &mut App) {
    while app.plugins_state() == PluginsState::Adding {
        bevy::tasks::tick_global_task_pools_on_main_thread();
    }
    app.finish();
    app.cleanup();
}

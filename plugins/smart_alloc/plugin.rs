//! [`SmartAllocPlugin`](struct@SmartAllocPlugin): what a game adds to its app.
//!
//! The plugin only puts the parts together. The main world is ready when the plugin is built, so that an app which
//! is driven by `update` alone (most tests) works; sub-apps may be added by any later plugin, so they are visited in
//! `finish`, and again in `cleanup`, before the renderer moves its world to another thread.

use bevy_app::{App, Plugin};

use super::{AllocResource, frames, sub_apps, system_tags};
use crate::diagnostics;
use crate::{AllocConfig, SmartAlloc};

/// Gives an app an allocator whose frames are the app's updates, and charges memory to the system that asked for it.
///
/// Write it as a unit value, or with a configuration:
///
/// ```
/// use bevy_app::{App, Update};
/// use framealloc::AllocConfig;
/// use framealloc::bevy::{FrameAlloc, SmartAllocPlugin};
///
/// fn find_neighbours(frame: FrameAlloc) {
///     let distances = frame.alloc_slice_fill_with(1_000, |i| i as f32);
///     assert_eq!(distances[10], 10.0);
/// }
///
/// App::new()
///     .add_plugins(SmartAllocPlugin)
///     .add_systems(Update, find_neighbours)
///     .update();
///
/// App::new().add_plugins(SmartAllocPlugin::new(AllocConfig::minimal()));
/// ```
///
/// It inserts [`AllocResource`] (and keeps one that is already there), opens a frame before everything in schedule
/// [`Main`](bevy_app::Main) and closes it after everything (see [`SmartAllocSystems`](super::SmartAllocSystems)), and
/// sets a tag around each system and run condition of each schedule, Bevy's own included. Every sub-app with an
/// update schedule, the renderer for one, gets the same, with an allocator of its own.
///
/// # Panics
///
/// Building the plugin panics when the shared frames of an [`AllocResource`] that is already there are driven by
/// someone else, such as another app.
#[derive(Debug, Clone, Default)]
pub struct SmartAllocPlugin {
    /// What the app's allocator, and that of each sub-app, starts with. `None` stands for
    /// `AllocConfig::default()`.
    pub config: Option<AllocConfig>,
}

/// [`SmartAllocPlugin`](struct@SmartAllocPlugin) with the default configuration, so that `add_plugins(SmartAllocPlugin)` reads like Bevy's own.
#[expect(
    non_upper_case_globals,
    reason = "a constant of the struct's name is what lets one type be written both ways"
)]
pub const SmartAllocPlugin: SmartAllocPlugin = SmartAllocPlugin { config: None };

impl SmartAllocPlugin {
    /// The plugin with this configuration.
    pub const fn new(config: AllocConfig) -> Self {
        Self {
            config: Some(config),
        }
    }

    /// The plugin with [`AllocConfig::minimal`], for tools and tests.
    pub fn minimal() -> Self {
        Self::new(AllocConfig::minimal())
    }

    /// The plugin with [`AllocConfig::high_performance`], for large games.
    pub fn high_performance() -> Self {
        Self::new(AllocConfig::high_performance())
    }

    /// A new allocator as the plugin was told to configure it.
    pub(super) fn make_alloc(&self) -> SmartAlloc {
        SmartAlloc::new(self.config.clone().unwrap_or_default())
    }
}

impl Plugin for SmartAllocPlugin {
    fn build(&self, app: &mut App) {
        diagnostics::set_bevy_context(true);
        if !app.world().contains_resource::<AllocResource>() {
            app.insert_resource(AllocResource::new(self.make_alloc()));
        }
        app.register_type::<AllocResource>();
        frames::install(app);
        system_tags::install(app);
    }

    fn finish(&self, app: &mut App) {
        sub_apps::install(app, self);
    }

    fn cleanup(&self, app: &mut App) {
        sub_apps::install(app, self);
    }
}

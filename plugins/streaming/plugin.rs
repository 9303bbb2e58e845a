//! What a game adds, and the settings.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use bevy_app::{App, Plugin, PreUpdate};
use bevy_ecs::prelude::*;
use bevy_reflect::Reflect;
use bevy_reflect::std_traits::ReflectDefault;

use super::reload;
use super::table::Table;
use super::{
    StreamEvicted, StreamFailed, StreamFailure, StreamFailureKind, StreamFocus, StreamProgress,
    StreamReady, StreamedAsset, StreamingTotals, turn,
};
use crate::diagnostics::{self, DiagnosticCode};

/// Streams files of any size from any asset source into the allocator's streaming memory, under a budget.
///
/// Put a [`StreamedAsset`] on an entity, and read its bytes with [`StreamedAssets`](super::StreamedAssets):
///
/// ```
/// # use bevy_app::{App, TaskPoolPlugin};
/// # use bevy_asset::AssetPlugin;
/// use framealloc::bevy::{SmartAllocPlugin, StreamedAsset, StreamingPlugin};
///
/// let mut app = App::new();
/// app.add_plugins((TaskPoolPlugin::default(), AssetPlugin::default())) // or `DefaultPlugins`
///     .add_plugins((SmartAllocPlugin, StreamingPlugin::with_budget(64 << 20)));
/// app.world_mut().spawn(StreamedAsset::new("levels/1.bin"));
/// app.update();
/// ```
///
/// It needs [`SmartAllocPlugin`](struct@super::super::SmartAllocPlugin) and `AssetPlugin`, in any order. Where one of them is
/// missing, every file fails with that cause, and it is logged once (FA101 for the first).
///
/// # Eviction
///
/// Files that do not fit the budget make room for each other: those of lower priority at once; those of the same priority once
/// nobody has used them for [`keep_for`](StreamingSettings::keep_for) frames, the least recently used first, and never where
/// distance decides. What was evicted is loaded again when somebody [asks for its bytes](super::StreamedAssets::get), or when
/// it is near enough again. So a budget that is too small for what is wanted is filled with what is wanted most, and the
/// rest waits; nothing goes round in circles.
///
/// # Changes
///
/// Where Bevy watches the source of a file (feature `file_watcher`, for files on disk), a file that has changed is loaded again, and
/// [`StreamReady`] tells so again; until then its bytes are not there. An app that is driven by `update` alone adds `AssetPlugin` first
/// for that. When the [`AllocResource`](super::super::AllocResource) is replaced, what was loaded is loaded again into the new one's memory.
#[derive(Debug, Clone, Default)]
pub struct StreamingPlugin {
    /// What the [`StreamingSettings`] are at the start.
    pub settings: StreamingSettings,
}

impl StreamingPlugin {
    /// The plugin with a budget in bytes.
    pub fn with_budget(bytes: usize) -> Self {
        Self {
            settings: StreamingSettings {
                budget: Some(bytes),
                ..StreamingSettings::default()
            },
        }
    }
}

/// How files are streamed. May be changed at any time.
#[derive(Resource, Reflect, Debug, Clone, PartialEq)]
#[reflect(Resource, Debug, Default, Clone, PartialEq)]
pub struct StreamingSettings {
    /// The most bytes that may be reserved. `None`, the default, leaves the allocator's
    /// [`streaming_limit`](crate::AllocConfig::streaming_limit). Lowering it evicts.
    pub budget: Option<usize>,
    /// Files that are loaded at once: 4, unless set, and 128 at most.
    pub in_flight: usize,
    /// Bytes that are read at once: 256 KiB, unless set.
    pub chunk_size: usize,
    /// Attempts that follow a failed one, where a source may recover: 3, unless set.
    pub retries: u32,
    /// Frames before the first of them: 30, unless set. Twice as many before each further one.
    pub retry_after: u64,
    /// Frames for which a file that was used is kept, though a file of the same priority wants its room: 30, unless set.
    pub keep_for: u64,
    /// How much of a file is loaded from one progress message to the next, from 0 to 1: 0.05, unless set.
    pub progress_step: f32,
    /// Entities, messages and files that the frame's thread looks at in one frame, of each kind: 256, unless set.
    pub per_frame: usize,
}

impl Default for StreamingSettings {
    fn default() -> Self {
        Self {
            budget: None,
            in_flight: 4,
            chunk_size: 256 << 10,
            retries: 3,
            retry_after: 30,
            keep_for: 30,
            progress_step: 0.05,
            per_frame: 256,
        }
    }
}

/// The plugin's part of a frame.
#[derive(SystemSet, Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StreamingSystems {
    /// In [`PreUpdate`]: looks at components and distances, starts and ends loads, writes the messages.
    Stream,
}

impl Plugin for StreamingPlugin {
    fn build(&self, app: &mut App) {
        let mut table = Table::new();
        let world = app.world_mut();
        // Entities that were there before the plugin.
        let mut there = world.query_filtered::<Entity, With<StreamedAsset>>();
        there
            .iter(world)
            .for_each(|entity| table.note_changed(entity));

        app.insert_resource(table)
            .insert_resource(self.settings.clone())
            .init_resource::<StreamingTotals>()
            .register_type::<StreamedAsset>()
            .register_type::<StreamFocus>()
            .register_type::<StreamingSettings>()
            .register_type::<StreamingTotals>()
            .add_message::<StreamProgress>()
            .add_message::<StreamReady>()
            .add_message::<StreamEvicted>()
            .add_message::<StreamFailed>()
            .add_systems(
                PreUpdate,
                turn::turn
                    .run_if(turn::has_work)
                    .in_set(StreamingSystems::Stream),
            );
        reload::install(app);
    }

    fn finish(&self, app: &mut App) {
        reload::install(app);
    }
}

/// Says that the plugin is missing, once in the process.
#[cold]
pub(super) fn report_missing_plugin() {
    static SAID: AtomicBool = AtomicBool::new(false);
    if !SAID.swap(true, Relaxed) {
        tracing::error!(
            target: "framealloc",
            "`StreamedAsset` is used in a world without `StreamingPlugin`, so nothing is streamed; add \
             `app.add_plugins(StreamingPlugin::default())`"
        );
    }
}

/// Says what a world lacks that no file can be streamed without.
#[cold]
pub(super) fn report_missing_part(failure: &StreamFailure) {
    match failure.kind {
        StreamFailureKind::NoAllocator => diagnostics::report(
            DiagnosticCode::FA101,
            format_args!(
                "`StreamingPlugin` has no allocator to stream `{}` into; add `app.add_plugins(SmartAllocPlugin)`",
                failure.path
            ),
        ),
        _ => tracing::error!(target: "framealloc", "{failure}"),
    }
}

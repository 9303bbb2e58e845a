//! The wish for a file, as a component, and what distances are measured from.

use bevy_asset::AssetPath;
use bevy_ecs::lifecycle::HookContext;
use bevy_ecs::prelude::*;
use bevy_ecs::world::DeferredWorld;
use bevy_reflect::Reflect;

use super::table::Table;
use crate::StreamPriority;
use crate::tags::TagId;

/// How much a file is wanted.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum StreamUrgency {
    /// As much as this says. Among equals, what has the lower rank is loaded first.
    Fixed {
        /// Whom it may evict, and by whom it may be evicted.
        priority: StreamPriority,
        /// Its place among files of the same priority.
        rank: f32,
    },
    /// The more, the nearer its entity is to a [`StreamFocus`]. The entity needs a `GlobalTransform`.
    ByDistance,
}

/// Streams a file into memory for as long as the component is there.
///
/// Inserting it begins the load; removing it, or despawning the entity, frees the bytes, also in the middle of a load. It is
/// immutable: insert another one to change the file or how much it is wanted. If the path stays the same, nothing is loaded
/// again. A file that failed is tried again then.
///
/// Several entities that name the same path share one load and one copy of the bytes. It is wanted as much as the one of
/// them that wants it most, and each of them gets the messages.
///
/// ```
/// # use bevy_app::{App, TaskPoolPlugin};
/// # use bevy_asset::AssetPlugin;
/// use bevy_app::Update;
/// use bevy_ecs::prelude::*;
/// use framealloc::bevy::{SmartAllocPlugin, StreamedAsset, StreamedAssets, StreamingPlugin};
///
/// fn show(assets: StreamedAssets, tiles: Query<Entity, With<StreamedAsset>>) {
///     for tile in &tiles {
///         if let Some(bytes) = assets.get(tile) {
///             println!("{} bytes", bytes.len());
///         }
///     }
/// }
///
/// let mut app = App::new();
/// app.add_plugins((TaskPoolPlugin::default(), AssetPlugin::default()))
///     .add_plugins((SmartAllocPlugin, StreamingPlugin::default()))
///     .add_systems(Update, show);
/// app.world_mut().spawn(StreamedAsset::new("tiles/3_4.bin"));
/// app.update();
/// ```
#[derive(Component, Reflect, Debug, Clone, PartialEq)]
#[component(immutable, on_insert = changed, on_remove = changed)]
#[reflect(opaque)]
#[reflect(Component, Debug, Clone, PartialEq)]
pub struct StreamedAsset {
    path: AssetPath<'static>,
    urgency: StreamUrgency,
    pinned: bool,
    size: Option<u64>,
    tag: TagId,
}

impl StreamedAsset {
    /// The wish for a file of any asset source (`"remote://tiles/3_4.bin"`), with normal priority. A label is ignored.
    pub fn new(path: impl Into<AssetPath<'static>>) -> Self {
        Self {
            path: path.into().without_label().into_owned(),
            urgency: StreamUrgency::Fixed {
                priority: StreamPriority::Normal,
                rank: 0.0,
            },
            pinned: false,
            size: None,
            tag: TagId::from_path("streaming"),
        }
    }

    /// Wants it this much.
    pub fn with_priority(self, priority: StreamPriority) -> Self {
        let rank = match self.urgency {
            StreamUrgency::Fixed { rank, .. } => rank,
            StreamUrgency::ByDistance => 0.0,
        };
        Self {
            urgency: StreamUrgency::Fixed { priority, rank },
            ..self
        }
    }

    /// Its place among files of the same priority: the lowest is loaded first. It is not [by distance](Self::by_distance) then.
    pub fn with_rank(self, rank: f32) -> Self {
        let priority = match self.urgency {
            StreamUrgency::Fixed { priority, .. } => priority,
            StreamUrgency::ByDistance => StreamPriority::Normal,
        };
        Self {
            urgency: StreamUrgency::Fixed { priority, rank },
            ..self
        }
    }

    /// Wants it the more, the nearer its entity is to a [`StreamFocus`].
    pub fn by_distance(self) -> Self {
        Self {
            urgency: StreamUrgency::ByDistance,
            ..self
        }
    }

    /// Keeps the bytes from being evicted.
    pub fn pinned(self) -> Self {
        Self {
            pinned: true,
            ..self
        }
    }

    /// Tells the size in bytes, for sources that cannot tell it by seeking to the end. Without, such files are read into
    /// memory that grows, and a second time where the budget has no room to grow in. A file of another size fails.
    pub fn with_size(self, bytes: u64) -> Self {
        Self {
            size: Some(bytes),
            ..self
        }
    }

    /// Charges the bytes to the tag with this path, instead of to `streaming`. Where a file is shared, the entity that came first
    /// decides.
    pub fn with_tag(self, path: &str) -> Self {
        Self {
            tag: TagId::from_path(path),
            ..self
        }
    }

    /// The file.
    pub fn path(&self) -> &AssetPath<'static> {
        &self.path
    }

    /// How much it is wanted.
    pub fn urgency(&self) -> StreamUrgency {
        self.urgency
    }

    /// Whether it is kept from being evicted.
    pub fn is_pinned(&self) -> bool {
        self.pinned
    }

    /// The size that was told, in bytes.
    pub fn size(&self) -> Option<u64> {
        self.size
    }

    /// What its bytes are charged to.
    pub fn tag(&self) -> TagId {
        self.tag
    }
}

/// Only notes the entity. The next frame looks what became of it, however often that changed.
fn changed(mut world: DeferredWorld, context: HookContext) {
    match world.get_resource_mut::<Table>() {
        Some(mut table) => table.note_changed(context.entity),
        None => super::plugin::report_missing_plugin(),
    }
}

/// What the distances of [`StreamedAsset::by_distance`] are measured from: put it on the camera or the player. There may
/// be several; the nearest counts.
///
/// Files nearer than [`near`](Self::near) have high priority, and those nearer than [`far`](Self::far) normal priority, each
/// in order of their distance. What is farther away is not loaded; if it is loaded already it stays until the room is
/// wanted, has low priority, and is loaded again as soon as it is near enough. Units are those of the transforms.
#[derive(Component, Reflect, Debug, Clone, Copy, PartialEq)]
#[reflect(Component, Debug, Clone, PartialEq)]
pub struct StreamFocus {
    /// Up to this distance, files have high priority.
    pub near: f32,
    /// Up to this distance, files are loaded.
    pub far: f32,
}

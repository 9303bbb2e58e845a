//! What happened to a file. Each is written as a message, and triggered on the entity for observers.
//!
//! Where several entities want one file, each of them gets its own.

use bevy_asset::AssetPath;
use bevy_ecs::prelude::*;

use super::StreamFailure;

/// More of a file is loaded. At most one a frame for each file, and one for every
/// [`StreamingSettings::progress_step`](super::StreamingSettings::progress_step) of it.
#[derive(Message, EntityEvent, Debug, Clone, PartialEq, Eq)]
pub struct StreamProgress {
    /// Whose [`StreamedAsset`](super::StreamedAsset) it is.
    pub entity: Entity,
    /// The file.
    pub path: AssetPath<'static>,
    /// Bytes that are loaded.
    pub loaded: u64,
    /// Bytes of the whole file, once that is known.
    pub total: Option<u64>,
}

impl StreamProgress {
    /// From 0 to 1, once the size is known.
    pub fn fraction(&self) -> Option<f32> {
        self.total.map(|total| match total {
            0 => 1.0,
            total => (self.loaded as f64 / total as f64) as f32,
        })
    }
}

/// A file is loaded: [`StreamedAssets`](super::StreamedAssets) has its bytes. Told again whenever it was loaded again: after an eviction,
/// or because it has changed.
#[derive(Message, EntityEvent, Debug, Clone, PartialEq, Eq)]
pub struct StreamReady {
    /// Whose [`StreamedAsset`](super::StreamedAsset) it is.
    pub entity: Entity,
    /// The file.
    pub path: AssetPath<'static>,
    /// Its size in bytes.
    pub size: usize,
}

/// A file made room for others. It is loaded again when it is wanted again.
#[derive(Message, EntityEvent, Debug, Clone, PartialEq, Eq)]
pub struct StreamEvicted {
    /// Whose [`StreamedAsset`](super::StreamedAsset) it is.
    pub entity: Entity,
    /// The file.
    pub path: AssetPath<'static>,
    /// Bytes that were freed.
    pub size: usize,
}

/// A file could not be loaded, and will not be tried again by itself. It was logged, once.
#[derive(Message, EntityEvent, Debug, Clone, PartialEq, Eq)]
pub struct StreamFailed {
    /// Whose [`StreamedAsset`](super::StreamedAsset) it is.
    pub entity: Entity,
    /// Which file, why, and what to do about it.
    pub failure: StreamFailure,
}

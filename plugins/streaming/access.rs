//! The bytes of streamed files, for systems.

use bevy_ecs::prelude::*;
use bevy_ecs::system::SystemParam;

use super::StreamFailure;
use super::plugin::report_missing_plugin;
use super::table::{Ask, File, Key, State, Table};
use crate::StreamGuard;

/// How far the file of an entity is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum StreamedState {
    /// It is farther away than any [`StreamFocus`](super::StreamFocus) reaches.
    Idle,
    /// It waits for its turn, for room in the budget, or for another attempt.
    Waiting,
    /// It is being loaded.
    Loading {
        /// Bytes that are loaded.
        loaded: u64,
        /// Bytes of the whole file, once that is known.
        total: Option<u64>,
    },
    /// Its bytes are there.
    Ready,
    /// It made room for others, and is loaded again when it is wanted again.
    Evicted,
    /// It could not be loaded.
    Failed(StreamFailure),
    /// It was [cancelled](StreamedAssets::cancel).
    Cancelled,
}

/// The files of all [`StreamedAsset`](super::StreamedAsset)s, for systems to read.
///
/// It reads one resource of the plugin's own, so that systems that use it run in parallel. See
/// [`StreamedAsset`](super::StreamedAsset) for an example.
#[derive(SystemParam)]
pub struct StreamedAssets<'w> {
    table: Option<Res<'w, Table>>,
}

impl StreamedAssets<'_> {
    fn file_of(&self, entity: Entity) -> Option<(&Table, Key, &File)> {
        let Some(table) = &self.table else {
            report_missing_plugin();
            return None;
        };
        let (key, file) = table.file_of(entity)?;
        Some((table, key, file))
    }

    /// The bytes of an entity's file, which stay as long as the guard. Counts as a use: what was used least recently is evicted
    /// first.
    ///
    /// `None` if they are not there. If they were evicted, or are too far away to be loaded, that asks for them, as
    /// [`request`](Self::request) does; look again in later frames, or wait for [`StreamReady`](super::StreamReady).
    pub fn get(&self, entity: Entity) -> Option<StreamGuard<'_>> {
        let (table, key, file) = self.file_of(entity)?;
        match &file.state {
            State::Ready(stream) => {
                file.touch(table.frame);
                let bytes = table.alloc.as_ref()?.streaming().access(stream.id());
                // It may have been evicted since the frame began. The table learns that before it hears of this.
                if bytes.is_none() {
                    table.ask(key, file, Ask::Want);
                }
                bytes
            }
            State::Evicted | State::Idle => {
                table.ask(key, file, Ask::Want);
                None
            }
            _ => None,
        }
    }

    /// How far an entity's file is. `None` if it has none, or if that was inserted since the frame began.
    pub fn state(&self, entity: Entity) -> Option<StreamedState> {
        let (_, _, file) = self.file_of(entity)?;
        Some(match &file.state {
            State::Idle => StreamedState::Idle,
            State::Queued(_) | State::Waiting(_) => StreamedState::Waiting,
            State::Loading(loading) => StreamedState::Loading {
                loaded: loading.meter.loaded(),
                total: loading.meter.total(),
            },
            State::Ready(_) => StreamedState::Ready,
            State::Evicted => StreamedState::Evicted,
            State::Failed(failure) => StreamedState::Failed(failure.clone()),
            State::Cancelled => StreamedState::Cancelled,
        })
    }

    /// Asks for an entity's file if it was evicted, or is too far away to be loaded.
    pub fn request(&self, entity: Entity) {
        self.ask(entity, Ask::Want);
    }

    /// Asks for an entity's file, also if it has failed or was cancelled.
    pub fn retry(&self, entity: Entity) {
        self.ask(entity, Ask::Retry);
    }

    /// Ends the load of an entity's file, or frees its bytes, from the next frame on and until somebody
    /// [asks again](Self::retry). Entities that share the file go without as well.
    pub fn cancel(&self, entity: Entity) {
        self.ask(entity, Ask::Cancel);
    }

    fn ask(&self, entity: Entity, ask: Ask) {
        if let Some((table, key, file)) = self.file_of(entity) {
            table.ask(key, file, ask);
        }
    }
}

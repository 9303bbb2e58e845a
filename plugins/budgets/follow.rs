//! The file's way into force.
//!
//! Bevy's asset server reads the file, and reads it again when it changes, if it watches. It gives up on a file that is not
//! there, so that one is waited for here: once a second, a task on the IO pool looks whether it has appeared.
//!
//! Invariant: what is in force comes from the last version of the file that could be used.

use std::fmt;

use bevy_asset::io::AssetReaderError;
use bevy_asset::{
    AssetEvent, AssetLoadError, AssetLoadFailedEvent, AssetPath, AssetServer, AssetServerMode,
    Assets, Handle,
};
use bevy_ecs::prelude::*;
use bevy_ecs::system::SystemParam;
use bevy_platform::time::Instant;
use bevy_tasks::futures::check_ready;
use bevy_tasks::{IoTaskPool, Task};

use super::file::{BudgetFile, BudgetFileError};
use super::resource::Budgets;
use crate::diagnostics::{self, Diagnostic, DiagnosticCode};

/// What became of the budget file: a message, and an event for observers.
#[derive(Message, Event, Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum BudgetFileMessage {
    /// Its budgets are in force with this frame.
    InForce {
        /// The path of the asset.
        file: String,
        /// How many there are.
        budgets: usize,
    },
    /// This version of it cannot be used. The budgets of the last one that could stay in force.
    Rejected(BudgetFileError),
    /// It is not there. As soon as it is, it is read.
    Missing {
        /// The path of the asset.
        file: String,
    },
}

impl fmt::Display for BudgetFileMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InForce { file, budgets } => write!(f, "{file}: {budgets} budgets in force"),
            Self::Rejected(error) => write!(f, "{error}"),
            Self::Missing { file } => write!(f, "{file} is not there yet"),
        }
    }
}

/// A file that is not there is looked for this often.
const LOOK_INTERVAL: core::time::Duration = core::time::Duration::from_secs(1);

/// The file that the app's budgets come from.
#[derive(Resource)]
pub(super) struct Follow {
    path: AssetPath<'static>,
    /// Once the file is there.
    handle: Option<Handle<BudgetFile>>,
    looking: Option<Task<bool>>,
    looked: Option<Instant>,
}

impl Follow {
    pub(super) fn new(path: AssetPath<'static>) -> Self {
        Self {
            path,
            handle: None,
            looking: None,
            looked: None,
        }
    }

    /// Loads the file once it is there. Returns whether it is, if that was found out just now.
    fn wait(&mut self, server: &AssetServer) -> Option<bool> {
        if self.handle.is_some() {
            return None;
        }
        if let Some(task) = &mut self.looking {
            let found = check_ready(task)?;
            self.looking = None;
            if found {
                self.handle = Some(server.load(self.path.clone()));
            }
            return Some(found);
        }
        let is_due = self
            .looked
            .is_none_or(|looked| looked.elapsed() >= LOOK_INTERVAL);
        if is_due && let Some(pool) = IoTaskPool::try_get() {
            self.looked = Some(Instant::now());
            self.looking = Some(pool.spawn(exists(server.clone(), self.path.clone())));
        }
        None
    }
}

/// Whether the asset's source has the file. Any other trouble is the server's to tell of.
async fn exists(server: AssetServer, path: AssetPath<'static>) -> bool {
    let Ok(source) = server.get_source(path.source()) else {
        return true;
    };
    let reader = match server.mode() {
        AssetServerMode::Unprocessed => source.reader(),
        AssetServerMode::Processed => match source.processed_reader() {
            Ok(reader) => reader,
            Err(_) => return true,
        },
    };
    let read = reader.read(path.path()).await;
    !matches!(read, Err(AssetReaderError::NotFound(_)))
}

/// Everybody who wants to know of the file.
#[derive(SystemParam)]
pub(super) struct Tell<'w, 's> {
    messages: MessageWriter<'w, BudgetFileMessage>,
    commands: Commands<'w, 's>,
}

impl Tell<'_, '_> {
    fn all(&mut self, message: BudgetFileMessage) {
        report(&message);
        self.messages.write(message.clone());
        self.commands.trigger(message);
    }
}

pub(super) fn follow(
    mut follow: ResMut<Follow>,
    server: Res<AssetServer>,
    files: Res<Assets<BudgetFile>>,
    mut events: MessageReader<AssetEvent<BudgetFile>>,
    mut failures: MessageReader<AssetLoadFailedEvent<BudgetFile>>,
    mut budgets: ResMut<Budgets>,
    mut tell: Tell,
) {
    let follow = follow.bypass_change_detection();
    match (follow.wait(&server), budgets.awaited_file()) {
        (Some(false), None) => {
            let file = follow.path.to_string();
            budgets.await_file(Some(file.clone()));
            tell.all(BudgetFileMessage::Missing { file });
        }
        (Some(true), Some(_)) => budgets.await_file(None),
        _ => {}
    }
    let Some(id) = follow.handle.as_ref().map(Handle::id) else {
        events.clear();
        failures.clear();
        return;
    };
    let is_new = |event: &AssetEvent<_>| matches!(event, AssetEvent::Added { id: of } | AssetEvent::Modified { id: of } if *of == id);
    // All are read: of several versions, the newest counts.
    if events.read().fold(false, |new, event| is_new(event) | new)
        && let Some(file) = files.get(id)
    {
        match &file.budgets {
            Ok(set) => {
                budgets.set_file(set.clone());
                tell.all(BudgetFileMessage::InForce {
                    file: follow.path.to_string(),
                    budgets: set.len(),
                });
            }
            Err(error) => tell.all(BudgetFileMessage::Rejected(error.clone())),
        }
    }
    for failure in failures.read().filter(|failure| failure.id == id) {
        if let AssetLoadError::AssetReaderError(AssetReaderError::NotFound(_)) = failure.error {
            // It was there a moment ago.
            follow.handle = None;
            continue;
        }
        let file = failure.path.to_string();
        let error = BudgetFileError::unread(file, &failure.error);
        tell.all(BudgetFileMessage::Rejected(error));
    }
}

/// Puts it into the log.
fn report(message: &BudgetFileMessage) {
    match message {
        BudgetFileMessage::InForce { .. } => {
            tracing::info!(target: "framealloc", "{message}");
        }
        BudgetFileMessage::Rejected(_) => diagnostics::emit_always(
            Diagnostic::warning(DiagnosticCode::FA902, message.to_string())
                .with_note("the budgets that are in force stay in force")
                .with_help("correct the file; docs/budgets.md tells what it may hold"),
        ),
        BudgetFileMessage::Missing { .. } => {
            tracing::warn!(target: "framealloc", "the budget file {message}; it is read as soon as it is");
        }
    }
}

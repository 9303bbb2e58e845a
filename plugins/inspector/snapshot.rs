//! The button that writes a snapshot.

use std::path::{Path, PathBuf};
use std::time::Duration;

use bevy_platform::time::Instant;

use crate::bevy::AllocResource;
use crate::{SnapshotConfig, SnapshotEmitter};

/// So long is a message shown.
const SHOWN: Duration = Duration::from_secs(6);
/// After so long a file that is not there has failed.
const PATIENCE: Duration = Duration::from_secs(2);

/// Writes snapshots, and says what became of them.
#[derive(Default)]
pub struct Saver {
    emitter: Option<SnapshotEmitter>,
    awaited: Option<(PathBuf, Instant)>,
    message: Option<(String, Instant)>,
}

impl Saver {
    pub fn save(&mut self, alloc: &AllocResource, directory: &Path) {
        let config = SnapshotConfig::default()
            .with_directory(directory)
            .with_request_file(false);
        // Who changes the directory gets another writer.
        let emitter = match self.emitter.take() {
            Some(emitter) if emitter.config().directory == directory => emitter,
            _ => SnapshotEmitter::new(config),
        };
        let emitter = self.emitter.insert(emitter);
        let snapshot = alloc.snapshot();
        let now = Instant::now();
        if emitter.emit(&snapshot) {
            let file = directory.join(format!("snapshot_{:016}.json", snapshot.frame));
            self.message = Some((format!("writing {}", file.display()), now));
            self.awaited = Some((file, now));
        } else {
            let text = "not written: the last snapshot was less than half a second ago";
            self.message = Some((text.to_owned(), now));
        }
    }

    /// Looks whether the file is there.
    pub fn check(&mut self) {
        let Some((file, since)) = &self.awaited else {
            return;
        };
        let text = if file.exists() {
            format!("wrote {}", file.display())
        } else if since.elapsed() > PATIENCE {
            format!(
                "{} could not be written: see FA903 in the log",
                file.display()
            )
        } else {
            return;
        };
        self.message = Some((text, Instant::now()));
        self.awaited = None;
        if let Some(emitter) = &self.emitter {
            // Reports what went wrong. Nothing is on its way any more, so it does not wait.
            emitter.flush();
        }
    }

    pub fn message(&self) -> Option<&str> {
        let (text, since) = self.message.as_ref()?;
        (since.elapsed() < SHOWN).then_some(text)
    }
}

//! What the panel remembers from run to run: a small JSON file.
//!
//! It is read when the plugin is built, and written while the panel is open, a second after something changed, and when it
//! closes. A file that is missing or damaged, or a place that cannot be written, loses the settings and nothing else.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::history::Measure;
use super::order::Order;
use super::state::{Corner, InspectorTab, MemoryInspector};
use super::table::Widths;

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    pub open: bool,
    pub corner: Option<Corner>,
    pub tab: InspectorTab,
    /// The window: left, top, width and height, in points.
    pub window: Option<[f32; 4]>,
    pub measure: Measure,
    /// By tab.
    pub orders: BTreeMap<InspectorTab, Order>,
    /// By tab: the widths of columns that somebody dragged.
    pub widths: BTreeMap<InspectorTab, Widths>,
    /// Whether the tree shows what each tag used itself, instead of with all below it.
    pub own_only: bool,
    /// Whether tags and systems are shown that have never used anything.
    pub idle: bool,
}

impl Settings {
    pub fn read(path: &Path) -> Option<Self> {
        serde_json::from_str(&fs::read_to_string(path).ok()?).ok()
    }

    fn write(&self, path: &Path) -> io::Result<()> {
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory)?;
        }
        // Whole or not at all, also when the game is killed meanwhile.
        let aside = path.with_extension("tmp");
        fs::write(&aside, serde_json::to_string_pretty(self)?)?;
        fs::rename(&aside, path)
    }

    /// With what the resource says.
    pub fn noting(&self, inspector: &MemoryInspector) -> Self {
        Self {
            open: inspector.open,
            corner: inspector.corner,
            tab: inspector.tab,
            ..self.clone()
        }
    }
}

/// Where the settings are kept, and what is there already.
#[derive(Default)]
pub struct Keeper {
    path: Option<PathBuf>,
    written: Settings,
    /// When something changed that is not written yet, by egui's clock.
    changed: Option<f64>,
    seen: Settings,
}

impl Keeper {
    pub fn new(path: Option<PathBuf>, read: Settings) -> Self {
        Self {
            path,
            written: read.clone(),
            changed: None,
            seen: read,
        }
    }

    /// Writes if something changed, and has not changed for a second. `at_once` does not wait.
    pub fn keep(&mut self, settings: &Settings, now: f64, at_once: bool) {
        if *settings != self.seen {
            self.seen.clone_from(settings);
            self.changed = Some(now);
        }
        let is_due = |changed: f64| at_once || now - changed >= 1.0;
        if !self.changed.is_some_and(is_due) {
            return;
        }
        self.changed = None;
        if let Some(path) = &self.path
            && self.seen != self.written
        {
            // There is nobody who could do something about it, and nothing is lost but the layout.
            let _ = self.seen.write(path);
            self.written.clone_from(&self.seen);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_come_back_as_they_were_and_odd_files_are_passed_over() {
        let directory = std::env::temp_dir().join(format!("fa-inspector-{}", std::process::id()));
        let path = directory.join("deep/inspector.json");
        assert_eq!(Settings::read(&path), None);
        let mut settings = Settings {
            tab: InspectorTab::Systems,
            window: Some([1.0, 2.0, 300.0, 400.0]),
            ..Settings::default()
        };
        settings
            .orders
            .insert(InspectorTab::Tags, Order::descending("frame"));
        let mut keeper = Keeper::new(Some(path.clone()), Settings::default());
        keeper.keep(&settings, 10.0, false);
        assert!(!path.exists(), "it waits until nothing changes any more");
        keeper.keep(&settings, 11.5, false);
        assert_eq!(Settings::read(&path), Some(settings));
        fs::write(&path, "{ \"tab\": \"Overview\", \"new\": 1 }").unwrap();
        assert_eq!(Settings::read(&path), Some(Settings::default()));
        fs::write(&path, "{ \"tab\": ").unwrap();
        assert_eq!(Settings::read(&path), None);
        fs::remove_dir_all(directory).unwrap();
    }
}

//! [`MemoryInspector`]: what a game may set while it runs.

use std::path::PathBuf;

use bevy_ecs::prelude::*;
use bevy_reflect::Reflect;
use serde::{Deserialize, Serialize};

/// The panel's switches: open it, choose what it shows, pause it, from code as by hand.
///
/// ```
/// use bevy_ecs::prelude::*;
/// use framealloc::bevy::{InspectorTab, MemoryInspector};
///
/// fn show_who_calls_malloc(mut inspector: ResMut<MemoryInspector>) {
///     inspector.open = true;
///     inspector.tab = InspectorTab::Systems;
/// }
/// # let mut world = World::new();
/// # world.insert_resource(MemoryInspector::default());
/// # world.run_system_cached(show_who_calls_malloc).unwrap();
/// # assert!(world.resource::<MemoryInspector>().open);
/// ```
#[derive(Resource, Reflect, Debug, Clone, PartialEq)]
#[reflect(Resource, Debug, Clone, PartialEq)]
pub struct MemoryInspector {
    /// Whether the panel's window is open.
    pub open: bool,
    /// Where a few lines with the most important figures stay in sight, panel or not.
    pub corner: Option<Corner>,
    /// The open tab.
    pub tab: InspectorTab,
    /// Whose arenas, budgets and streams are shown.
    pub alloc: InspectedAlloc,
    /// Whether the figures stand still.
    pub paused: bool,
    /// What rows must contain to be shown, whether in upper or lower case.
    pub search: String,
    /// How often the figures are read, in times a second; 5 unless set, and 60 at most. What happens between is counted, not
    /// missed.
    pub refresh_rate: f32,
    /// Where "Save snapshot" puts its files; `target/framealloc` unless set.
    pub snapshot_directory: PathBuf,
}

impl Default for MemoryInspector {
    fn default() -> Self {
        Self {
            open: false,
            corner: None,
            tab: InspectorTab::Overview,
            alloc: InspectedAlloc::Main,
            paused: false,
            search: String::new(),
            refresh_rate: 5.0,
            snapshot_directory: PathBuf::from("target/framealloc"),
        }
    }
}

impl MemoryInspector {
    /// The panel, open at its start.
    pub fn opened() -> Self {
        Self {
            open: true,
            ..Self::default()
        }
    }

    /// Whether there is anything to paint.
    pub(super) fn is_in_sight(&self) -> bool {
        self.open || self.corner.is_some()
    }

    /// Seconds between two looks.
    pub(super) fn interval(&self) -> f64 {
        // Whatever is set: a rate that is no number is the usual one.
        let rate = if self.refresh_rate.is_finite() {
            self.refresh_rate.clamp(0.1, 60.0)
        } else {
            5.0
        };
        1.0 / f64::from(rate)
    }
}

/// A tab of the panel.
#[derive(
    Reflect,
    Debug,
    Clone,
    Copy,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
)]
pub enum InspectorTab {
    /// The headline figures, and their history.
    #[default]
    Overview,
    /// The tree of tags.
    Tags,
    /// Systems, by who calls the global allocator most.
    Systems,
    /// Budgets, by how full they are.
    Budgets,
    /// Frame arenas by thread.
    Arenas,
    /// Pools by size class.
    Pools,
    /// The streams.
    Streaming,
    /// The newest reports.
    Log,
}

impl InspectorTab {
    /// Every tab, in the order in which they stand.
    pub const ALL: [Self; 8] = [
        Self::Overview,
        Self::Tags,
        Self::Systems,
        Self::Budgets,
        Self::Arenas,
        Self::Pools,
        Self::Streaming,
        Self::Log,
    ];

    /// What stands on it.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Overview => "Overview",
            Self::Tags => "Tags",
            Self::Systems => "Systems",
            Self::Budgets => "Budgets",
            Self::Arenas => "Arenas",
            Self::Pools => "Pools",
            Self::Streaming => "Streaming",
            Self::Log => "Log",
        }
    }
}

/// A corner of the window.
#[derive(Reflect, Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Corner {
    /// At the top, on the left.
    TopLeft,
    /// At the top, on the right.
    #[default]
    TopRight,
    /// At the bottom, on the left.
    BottomLeft,
    /// At the bottom, on the right.
    BottomRight,
}

/// An allocator that the panel can look at.
#[derive(Reflect, Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum InspectedAlloc {
    /// The main world's.
    #[default]
    Main,
    /// That of the sub-app of this name: `RenderApp` is the renderer's. See [`SubAppAllocs`](crate::bevy::SubAppAllocs).
    SubApp(String),
}

impl InspectedAlloc {
    /// What it is called in the panel.
    pub(super) fn title(&self) -> &str {
        match self {
            Self::Main => "Main world",
            Self::SubApp(name) => name,
        }
    }
}

//! Entries for `iyes_perf_ui`, beside its own: they show what [`DiagnosticsPlugin`] measures.

use bevy_app::App;
use bevy_diagnostic::{DiagnosticPath, DiagnosticsStore};
use bevy_ecs::prelude::*;
use bevy_ecs::system::SystemParam;
use bevy_ecs::system::lifetimeless::SRes;
use iyes_perf_ui::PerfUiAppExt;
use iyes_perf_ui::entry::PerfUiEntry;
use iyes_perf_ui::prelude::{PerfUiPlugin, PerfUiRoot};
use iyes_perf_ui::utils::next_sort_key;

use super::plugin::DiagnosticsPlugin;
use crate::Bytes;

/// Makes the entries known, if the app shows any.
pub(super) fn install(app: &mut App) {
    if app.is_plugin_added::<PerfUiPlugin>() {
        app.add_perf_ui_simple_entry::<PerfUiEntryFrameBytes>()
            .add_perf_ui_simple_entry::<PerfUiEntryHeapAllocs>()
            .add_perf_ui_simple_entry::<PerfUiEntryArenaFill>()
            .add_perf_ui_simple_entry::<PerfUiEntryWorstBudget>();
    }
}

macro_rules! entry {
    ($(#[$doc:meta])* $name:ident, $label:literal, $path:ident, $limit:expr, $format:expr) => {
        $(#[$doc])*
        ///
        /// Needs [`DiagnosticsPlugin`], and `PerfUiPlugin`. Spawn it as any entry, beside others.
        #[derive(Component, Debug, Clone)]
        #[require(PerfUiRoot)]
        pub struct $name {
            /// Another label. Empty for the usual one.
            pub label: String,
            /// Above this, the value is highlighted.
            pub threshold_highlight: Option<f64>,
            /// Whether the average over the last frames is shown, rather than the last value.
            pub smoothed: bool,
            /// Where it stands among other entries.
            pub sort_key: i32,
        }

        impl Default for $name {
            fn default() -> Self {
                Self {
                    label: String::new(),
                    threshold_highlight: $limit,
                    smoothed: false,
                    sort_key: next_sort_key(),
                }
            }
        }

        impl PerfUiEntry for $name {
            type SystemParam = SRes<DiagnosticsStore>;
            type Value = f64;

            fn label(&self) -> &str {
                if self.label.is_empty() { $label } else { &self.label }
            }

            fn sort_key(&self) -> i32 {
                self.sort_key
            }

            fn update_value(
                &self,
                store: &mut <Self::SystemParam as SystemParam>::Item<'_, '_>,
            ) -> Option<f64> {
                value(store, &DiagnosticsPlugin::$path, self.smoothed)
            }

            fn format_value(&self, value: &f64) -> String {
                let format: fn(f64) -> String = $format;
                format(*value)
            }

            fn value_highlight(&self, value: &f64) -> bool {
                self.threshold_highlight.is_some_and(|limit| *value > limit)
            }
        }
    };
}

fn value(store: &DiagnosticsStore, path: &DiagnosticPath, smoothed: bool) -> Option<f64> {
    let diagnostic = store.get(path)?;
    if smoothed {
        diagnostic.smoothed()
    } else {
        diagnostic.value()
    }
}

entry!(
    /// Frame memory that the frame used.
    PerfUiEntryFrameBytes,
    "Frame memory",
    FRAME_BYTES,
    None,
    |bytes| Bytes(bytes as u64).to_string()
);
entry!(
    /// Heap allocations a frame: of the whole program with a [`HeapAudit`](crate::HeapAudit), of `heap_box` and its kin without.
    PerfUiEntryHeapAllocs,
    "Heap allocations",
    HEAP_ALLOCS,
    None,
    |count| format!("{count:.0}")
);
entry!(
    /// How much of its limit the fullest arena used.
    PerfUiEntryArenaFill,
    "Arena fill",
    ARENA_FILL,
    Some(90.0),
    |percent| format!("{percent:.0} %")
);
entry!(
    /// How full the worst budget was.
    PerfUiEntryWorstBudget,
    "Worst budget",
    WORST_BUDGET,
    Some(100.0),
    |percent| format!("{percent:.0} %")
);

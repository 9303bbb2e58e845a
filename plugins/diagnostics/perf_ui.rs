//! Entries for `iyes_perf_ui`, beside its own: they show what [`DiagnosticsPlugin`] measures.

use bevy_app::App;
use bevy_color::Color;
use bevy_diagnostic::{DiagnosticPath, DiagnosticsStore};
use bevy_ecs::prelude::*;
use bevy_ecs::system::SystemParam;
use bevy_ecs::system::lifetimeless::SRes;
use iyes_perf_ui::PerfUiAppExt;
use iyes_perf_ui::entry::{PerfUiEntry, PerfUiEntryDisplayRange};
use iyes_perf_ui::prelude::{PerfUiPlugin, PerfUiRoot, PerfUiWidgetBar};
use iyes_perf_ui::utils::{ColorGradient, next_sort_key};

use super::plugin::DiagnosticsPlugin;
use crate::Bytes;

/// Makes the entries known, if the app shows any.
pub(super) fn install(app: &mut App) {
    if app.is_plugin_added::<PerfUiPlugin>() {
        app.add_perf_ui_simple_entry::<PerfUiEntryFrameBytes>()
            .add_perf_ui_simple_entry::<PerfUiEntryHeapAllocs>()
            .add_perf_ui_simple_entry::<PerfUiEntryArenaFill>()
            .add_perf_ui_simple_entry::<PerfUiEntryWorstBudget>()
            .add_perf_ui_widget::<PerfUiWidgetBar<PerfUiEntryArenaFill>, _>()
            .add_perf_ui_widget::<PerfUiWidgetBar<PerfUiEntryWorstBudget>, _>();
    }
}

macro_rules! entry {
    ($(#[$doc:meta])* $name:ident, $label:literal, $path:ident, $colours:expr, $limit:expr, $format:expr) => {
        $(#[$doc])*
        ///
        /// Needs [`DiagnosticsPlugin`], and `PerfUiPlugin`. Spawn it as any entry, beside others.
        #[derive(Component, Debug, Clone)]
        #[require(PerfUiRoot)]
        pub struct $name {
            /// Another label. Empty for the usual one.
            pub label: String,
            /// Colours by value. Without any it has the usual one.
            pub color_gradient: ColorGradient,
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
                    color_gradient: $colours,
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

            fn value_color(&self, value: &f64) -> Option<Color> {
                self.color_gradient.get_color_for_value(*value as f32)
            }

            fn value_highlight(&self, value: &f64) -> bool {
                self.threshold_highlight.is_some_and(|limit| *value > limit)
            }
        }
    };
}

/// An entry in percent, which may be wrapped in a [`PerfUiWidgetBar`] too.
macro_rules! percentage {
    ($(#[$doc:meta])* $name:ident, $label:literal, $path:ident, $limit:expr) => {
        entry!(
            $(#[$doc])*
            ///
            /// Green, then yellow, then red at 100 %. [`PerfUiWidgetBar`] may wrap it: a bar from 0 to 100 %.
            $name,
            $label,
            $path,
            green_yellow_red(),
            Some($limit),
            |percent| format!("{percent:.0} %")
        );

        impl PerfUiEntryDisplayRange for $name {
            fn min_value_hint(&self) -> Option<f64> {
                Some(0.0)
            }

            fn max_value_hint(&self) -> Option<f64> {
                Some(100.0)
            }
        }
    };
}

fn green_yellow_red() -> ColorGradient {
    ColorGradient::new_preset_gyr(50.0, 80.0, 100.0).expect("they are in order")
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
    ColorGradient::new(),
    None,
    |bytes| Bytes(bytes as u64).to_string()
);
entry!(
    /// Heap allocations a frame: of the whole program with a [`HeapAudit`](crate::HeapAudit), of `heap_box` and its kin without.
    PerfUiEntryHeapAllocs,
    "Heap allocations",
    HEAP_ALLOCS,
    ColorGradient::new(),
    None,
    |count| format!("{count:.0} a frame")
);
percentage!(
    /// How much of its limit the fullest arena used.
    PerfUiEntryArenaFill,
    "Arena fill",
    ARENA_FILL,
    90.0
);
percentage!(
    /// How full the worst budget was.
    PerfUiEntryWorstBudget,
    "Worst budget",
    WORST_BUDGET,
    100.0
);

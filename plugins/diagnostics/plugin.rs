//! [`DiagnosticsPlugin`]: what a game adds.

use core::time::Duration;

use bevy_app::{App, Main, Plugin};
use bevy_ecs::prelude::*;
use bevy_ecs::schedule::common_conditions::{resource_exists, run_once};

use super::behavior::{self, BehaviorReportReady, BehaviorReportRequest};
use super::exit_report::{self, ExitReportSettings};
use super::measures;
use super::snapshots::{self, SnapshotRequest, Snapshots};
use crate::SnapshotConfig;
use crate::bevy::{AllocResource, BudgetSystems, SmartAllocSystems, plugin_missing};

/// Memory as Bevy diagnostics, and reports for whoever asks.
///
/// ```
/// use bevy_app::App;
/// use bevy_diagnostic::DiagnosticsStore;
/// use framealloc::bevy::{DiagnosticsPlugin, SmartAllocPlugin};
///
/// let mut app = App::new();
/// app.add_plugins((SmartAllocPlugin, DiagnosticsPlugin::default()));
/// app.update();
/// let store = app.world().resource::<DiagnosticsStore>();
/// let frame_bytes = store.get(&DiagnosticsPlugin::FRAME_BYTES).unwrap().value();
/// assert_eq!(frame_bytes, Some(0.0));
/// ```
///
/// - **Diagnostics** whose paths are constants of this type, and begin with `framealloc/`: `LogDiagnosticsPlugin` and others
///   show them. One whose `is_enabled` is off costs nothing.
/// - **Snapshots** ([`Snapshots`]): files for tools that ask by a file, as `docs/snapshots.md` tells, and for code that writes a
///   [`SnapshotRequest`].
/// - **Behaviour**: write a [`BehaviorReportRequest`], read [`BehaviorReportReady`].
/// - **At exit**, the log tells what is alive that was not at start-up: see [`ExitReport`](super::ExitReport).
///
/// Figures are of the main world's allocator. Pools and heap are those of the whole process.
#[derive(Debug, Clone)]
pub struct DiagnosticsPlugin {
    /// How often what takes time is measured: [`POOL_BYTES`](Self::POOL_BYTES), [`HEAP_BYTES`](Self::HEAP_BYTES) and
    /// [`HEAP_ALLOCS`](Self::HEAP_ALLOCS), for which the counters of every tag on every thread are summed up. 100 ms unless set.
    pub interval: Duration,
    /// Where snapshots go, and when. `None` for none. In debug builds, files are written to `target/framealloc` for who asks;
    /// in release builds there are none unless set.
    pub snapshots: Option<SnapshotConfig>,
    /// What the report at exit leaves out. `None` for no report. Set in debug builds.
    pub exit_report: Option<ExitReportSettings>,
}

impl Default for DiagnosticsPlugin {
    fn default() -> Self {
        Self {
            interval: Duration::from_millis(100),
            snapshots: cfg!(debug_assertions).then(SnapshotConfig::default),
            exit_report: cfg!(debug_assertions).then(ExitReportSettings::default),
        }
    }
}

impl Plugin for DiagnosticsPlugin {
    fn build(&self, app: &mut App) {
        measures::register(app, self.interval);
        app.add_message::<SnapshotRequest>()
            .add_message::<BehaviorReportRequest>()
            .add_message::<BehaviorReportReady>();
        let after_frame = (
            measures::measure,
            behavior::answer,
            snapshots::emit.run_if(resource_exists::<Snapshots>),
        );
        app.add_systems(
            Main,
            after_frame
                .run_if(resource_exists::<AllocResource>)
                .after(SmartAllocSystems::EndFrame)
                .after(BudgetSystems::Watch),
        )
        .add_systems(
            Main,
            (|alloc: Option<Res<AllocResource>>| {
                if alloc.is_none() {
                    plugin_missing("DiagnosticsPlugin");
                }
            })
            .run_if(run_once)
            .before(SmartAllocSystems::BeginFrame),
        );
        if let Some(config) = &self.snapshots {
            app.insert_resource(Snapshots::new(config.clone()));
        }
        if let Some(settings) = &self.exit_report {
            exit_report::install(app, settings.clone());
        }
    }

    fn finish(&self, app: &mut App) {
        #[cfg(feature = "perf_ui")]
        super::perf_ui::install(app);
        let _ = app;
    }
}

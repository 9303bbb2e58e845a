//! [`BudgetPlugin`]: what a game adds.

use bevy_app::{App, Main, Plugin};
use bevy_asset::{AssetApp, AssetPath, AssetServer, Assets};
use bevy_ecs::prelude::*;
use bevy_ecs::schedule::common_conditions::{resource_exists, run_once};

use super::changed::BudgetChanged;
use super::file::{BudgetFile, BudgetFileLoader};
use super::follow::{BudgetFileMessage, Follow, follow};
use super::limits::{BudgetKind, BudgetSet};
use super::resource::Budgets;
use super::watch;
use crate::bevy::{AllocResource, SmartAllocSystems, plugin_missing};
use crate::diagnostics::{self, Diagnostic, DiagnosticCode};

/// Limits on memory for systems, modules, tags, threads and everything, from code and from a file, with
/// [`BudgetChanged`] when one is crossed.
///
/// ```
/// use bevy_app::App;
/// use framealloc::bevy::{BudgetLimits, BudgetPlugin, BudgetSet, SmartAllocPlugin};
///
/// App::new().add_plugins((
///     SmartAllocPlugin,
///     BudgetPlugin::from_file("game.budget.json")
///         .with_budgets(BudgetSet::new().global(BudgetLimits::new(512 << 20))),
/// ));
/// ```
///
/// The file is an asset:
///
/// ```json
/// {
///     "global": "512 MiB",
///     "modules": { "game::ai": { "soft": "24 MiB", "hard": "32 MiB", "policy": "fail" } },
///     "systems": { "game::ai::find_paths": "4 MiB" },
///     "tags": { "level": { "soft": 67108864 } },
///     "threads": { "Compute Task Pool": { "frame": "8 MiB" } }
/// }
/// ```
///
/// `docs/budgets.md` tells what it may hold. It is read as soon as it is there, and with Bevy's feature `file_watcher` again
/// whenever it changes; a budget that is no longer in it is no longer in force. A file that cannot be used changes nothing:
/// what is wrong, with line and column, goes to the log (FA902) and into a [`BudgetFileMessage`].
///
/// Budgets hold for the allocator of the main world. Without any, the plugin costs nothing, and the allocator stays without
/// budgets until there are some.
#[derive(Debug, Clone, Default)]
pub struct BudgetPlugin {
    /// Budgets to begin with. At run time they are in [`Budgets`].
    pub budgets: BudgetSet,
    /// The file, if there is one: a path in the asset folder. Needs Bevy's `AssetPlugin`.
    pub file: Option<AssetPath<'static>>,
}

/// When budgets are dealt with, in schedule [`Main`](bevy_app::Main).
#[derive(SystemSet, Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BudgetSystems {
    /// Puts budgets into force, before the frame opens.
    Apply,
    /// Looks where they stand, after the frame has closed, and writes messages.
    Watch,
}

impl BudgetPlugin {
    /// These budgets.
    pub fn new(budgets: BudgetSet) -> Self {
        Self {
            budgets,
            file: None,
        }
    }

    /// The budgets of a file in the asset folder, as in `"game.budget.json"`.
    pub fn from_file(path: impl Into<AssetPath<'static>>) -> Self {
        Self {
            budgets: BudgetSet::new(),
            file: Some(path.into()),
        }
    }

    /// Sets the budgets to begin with. The file has the last word where both name the same.
    #[must_use]
    pub fn with_budgets(mut self, budgets: BudgetSet) -> Self {
        self.budgets = budgets;
        self
    }

    /// Sets the file.
    #[must_use]
    pub fn with_file(mut self, path: impl Into<AssetPath<'static>>) -> Self {
        self.file = Some(path.into());
        self
    }

    /// Follows the file, if there is one, once there is an asset server. An asset type takes a system a frame from an app: one that
    /// has its budgets by code alone is spared it.
    fn install_files(&self, app: &mut App) {
        let Some(path) = &self.file else {
            return;
        };
        let world = app.world();
        if !world.contains_resource::<AssetServer>()
            || world.contains_resource::<Assets<BudgetFile>>()
        {
            return;
        }
        app.init_asset::<BudgetFile>()
            .init_asset_loader::<BudgetFileLoader>()
            .insert_resource(Follow::new(path.clone()))
            .add_systems(
                Main,
                follow.in_set(BudgetSystems::Apply).before(watch::apply),
            );
    }
}

impl Plugin for BudgetPlugin {
    fn build(&self, app: &mut App) {
        app.insert_resource(Budgets::new(self.budgets.clone()))
            .add_message::<BudgetChanged>()
            .add_message::<BudgetFileMessage>()
            .register_type::<BudgetChanged>()
            .register_type::<BudgetKind>()
            .configure_sets(
                Main,
                (
                    BudgetSystems::Apply.before(SmartAllocSystems::BeginFrame),
                    BudgetSystems::Watch.after(SmartAllocSystems::EndFrame),
                ),
            )
            .add_systems(
                Main,
                (
                    watch::apply
                        .run_if(watch::is_outdated)
                        .in_set(BudgetSystems::Apply),
                    watch::look
                        .run_if(resource_exists::<AllocResource>)
                        .run_if(|budgets: Res<Budgets>| !budgets.is_empty())
                        .in_set(BudgetSystems::Watch),
                ),
            );
        let file = self.file.clone();
        let check = move |alloc: Option<Res<AllocResource>>, follow: Option<Res<Follow>>| {
            if alloc.is_none() {
                plugin_missing("BudgetPlugin");
            }
            if let Some(file) = &file
                && follow.is_none()
            {
                report_no_assets(file);
            }
        };
        app.add_systems(Main, check.run_if(run_once).in_set(BudgetSystems::Apply));
        self.install_files(app);
    }

    fn finish(&self, app: &mut App) {
        self.install_files(app);
    }
}

fn report_no_assets(file: &AssetPath<'_>) {
    diagnostics::emit_always(
        Diagnostic::warning(
            DiagnosticCode::FA902,
            format!("the budget file {file} cannot be read: this app has no `AssetPlugin`"),
        )
        .with_note("budgets set by code are in force")
        .with_help("add `AssetPlugin` (`DefaultPlugins` has it), before `BudgetPlugin` where the app is driven by `update` alone"),
    );
}

//! The tools around the game: budgets from `assets/swarm.budget.json`, which may be edited while it runs, and the panel (F9).

use bevy::prelude::*;
use framealloc::bevy::{BudgetChanged, BudgetPlugin, MemoryInspectorPlugin};

const BUDGETS: &str = "swarm.budget.json";

/// What the game has with and without a window.
pub fn add(app: &mut App) {
    app.add_plugins(BudgetPlugin::from_file(BUDGETS))
        .add_systems(Last, tell_of_budgets.run_if(on_message::<BudgetChanged>));
}

/// What can only be looked at in a window.
pub fn add_panel(app: &mut App, open: bool) {
    app.add_plugins(MemoryInspectorPlugin { open, ..default() });
}

fn tell_of_budgets(mut changes: MessageReader<BudgetChanged>) {
    for change in changes.read() {
        if change.is_exceeded() || change.is_warning() {
            warn!("{change}");
        } else {
            info!("{change}");
        }
    }
}

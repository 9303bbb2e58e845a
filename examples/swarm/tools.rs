//! The plugins around the game: frame memory itself, budgets from `assets/swarm.budget.json`, which may be edited while the game
//! runs, streaming for the terrain, diagnostics, and the panel behind F9.

use bevy::app::PluginGroupBuilder;
use bevy::prelude::*;
use framealloc::AllocConfig;
use framealloc::bevy::{
    BudgetChanged, BudgetPlugin, DiagnosticsPlugin, FrameAllocPlugins, MemoryInspectorPlugin,
    SmartAllocPlugin, StreamingPlugin,
};

use crate::args::Args;
use crate::terrain;

const BUDGETS: &str = "swarm.budget.json";

pub fn add(app: &mut App, args: &Args) {
    app.add_plugins(plugins(args))
        .add_systems(Last, tell_of_budgets.run_if(on_message::<BudgetChanged>));
}

fn plugins(args: &Args) -> PluginGroupBuilder {
    // Small arenas to begin with, so that it is plain to see how they follow what is needed, up and down.
    let config = AllocConfig::default()
        .with_frame_arena_size(2 << 20)
        .with_max_frame_arena_size(512 << 20);
    FrameAllocPlugins
        .build()
        .set(SmartAllocPlugin::new(config))
        .set(BudgetPlugin::from_file(BUDGETS))
        .set(StreamingPlugin::with_budget(terrain::BUDGET))
        .set(diagnostics())
        .set(inspector(args))
}

/// What the ground holds at the exit is no leak.
fn diagnostics() -> DiagnosticsPlugin {
    let plugin = DiagnosticsPlugin::default();
    DiagnosticsPlugin {
        exit_report: plugin.exit_report.map(|report| report.allow("terrain")),
        ..plugin
    }
}

fn inspector(args: &Args) -> MemoryInspectorPlugin {
    let inspector = MemoryInspectorPlugin {
        open: args.inspect,
        ..default()
    };
    match args.exit_after {
        None => inspector,
        // A run for a test or a picture: as if for the first time, and nobody is to find it changed.
        Some(_) => MemoryInspectorPlugin {
            settings_file: None,
            ..inspector
        },
    }
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

//! The plugins around the game: frame memory itself, budgets from `assets/swarm.budget.json`, which may be edited while the game
//! runs, streaming for the terrain, diagnostics, and the panel behind F9.

use bevy::app::PluginGroupBuilder;
use bevy::prelude::*;
use framealloc::AllocConfig;
use framealloc::bevy::{
    BudgetChanged, BudgetPlugin, FrameAllocPlugins, MemoryInspectorPlugin, SmartAllocPlugin,
    StreamingPlugin,
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
        .set(MemoryInspectorPlugin {
            open: args.inspect,
            ..default()
        })
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

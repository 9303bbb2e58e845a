//! Budgets from a file: what is told when one is crossed, and a system that stops while one does not hold.
//!
//! ```text
//! cargo run --example budgets
//! ```
//!
//! While it runs, edit `assets/examples/budgets.budget.json`: the new limits are in force at once, and a mistake is told with its
//! line and column.

use std::time::Duration;

use bevy::app::ScheduleRunnerPlugin;
use bevy::diagnostic::FrameCount;
use bevy::prelude::*;
use framealloc::bevy::{
    BudgetChanged, BudgetPlugin, Budgets, FrameAllocPlugins, ShedSettings, shed_over_budget_with,
};

const FRAMES: u32 = 240;

mod particles {
    use super::*;
    use framealloc::bevy::FrameAlloc;

    /// More and more of them, until their budget says stop.
    pub fn spark(frame: FrameAlloc, count: Res<FrameCount>) {
        let sparks = count.0 as usize % 120;
        let mut positions = frame.vec();
        positions.extend((0..sparks * 100).map(|i| i as f64));
    }
}

mod paths {
    use framealloc::bevy::FrameAlloc;

    pub fn find(frame: FrameAlloc) {
        frame.alloc_slice_fill_with(4096, |i| i as u32);
    }
}

fn main() {
    let plugins = FrameAllocPlugins
        .build()
        .set(BudgetPlugin::from_file("examples/budgets.budget.json"));
    let patient = ShedSettings {
        frames: 30,
        ..Default::default()
    };
    App::new()
        .add_plugins((
            MinimalPlugins.set(ScheduleRunnerPlugin::run_loop(Duration::from_millis(16))),
            bevy::log::LogPlugin::default(),
            AssetPlugin::default(),
            plugins,
        ))
        .add_systems(
            Update,
            (
                particles::spark.run_if(shed_over_budget_with("budgets::particles", patient)),
                paths::find,
            ),
        )
        .add_systems(Last, stop)
        .add_observer(tell)
        .run();
}

fn tell(change: On<BudgetChanged>, count: Res<FrameCount>) {
    println!("{:>5}   {}", count.0, *change);
}

fn stop(count: Res<FrameCount>, budgets: Res<Budgets>, mut exit: MessageWriter<AppExit>) {
    if count.0 < FRAMES {
        return;
    }
    println!("\n{:<28} {:>12} {:>12}", "budget", "most bytes", "limit");
    for row in budgets.rows() {
        let limit = row.hard.or(row.soft).unwrap_or_default();
        println!("{:<28} {:>12} {limit:>12}", row.name, row.peak);
    }
    exit.write(AppExit::Success);
}

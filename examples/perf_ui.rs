//! Memory beside the frame rate: entries for `iyes_perf_ui`. Hold Space for a busy moment that is too much for a budget.
//!
//! ```sh
//! cargo run --features perf_ui --example perf_ui
//! ```
//!
//! `iyes_perf_ui` itself stopped at Bevy 0.16. For Bevy 0.19 it goes on as `bevy_perf_ui`, which `Cargo.toml` may call by the old
//! name: `iyes_perf_ui = { package = "bevy_perf_ui", version = "0.7" }`.

use std::hint::black_box;

use bevy::diagnostic::FrameTimeDiagnosticsPlugin;
use bevy::prelude::*;
use framealloc::bevy::{
    BudgetLimits, BudgetPlugin, BudgetSet, DiagnosticsPlugin, FrameAlloc, PerfUiEntryArenaFill,
    PerfUiEntryFrameBytes, PerfUiEntryHeapAllocs, PerfUiEntryWorstBudget, SmartAllocPlugin,
};
use framealloc::{AllocConfig, HeapAudit};
use iyes_perf_ui::prelude::*;
use iyes_perf_ui::widgets::bar::BarTextPosition;

/// With it, "Heap allocations" are those of the whole program.
#[global_allocator]
static HEAP: HeapAudit = HeapAudit::system();

/// Takes frame memory: six times as much in a busy moment.
fn find_paths(frame: FrameAlloc, keys: Res<ButtonInput<KeyCode>>) {
    let paths = if keys.pressed(KeyCode::Space) { 6 } else { 1 };
    black_box(frame.alloc_slice_fill(paths * 8 * 1024, 0_u64));
}

/// Calls malloc for each label.
fn write_labels() {
    let labels: Vec<String> = (0..100).map(|unit| format!("unit {unit}")).collect();
    black_box(labels);
}

fn set_up(mut commands: Commands) {
    commands.spawn(Camera2d);
    commands.spawn((
        Text::new("Hold Space for a busy moment."),
        Node {
            margin: px(16).all(),
            ..default()
        },
    ));
    commands.spawn((
        PerfUiEntryFPS::default(),
        PerfUiEntryFrameBytes::default(),
        PerfUiEntryHeapAllocs::default(),
        PerfUiEntryArenaFill::default(),
        PerfUiWidgetBar {
            text_position: BarTextPosition::OutsideEnd,
            bar_color: ColorGradient::new_preset_gyr(50.0, 80.0, 100.0).expect("they are in order"),
            ..PerfUiWidgetBar::new(PerfUiEntryWorstBudget::default())
        },
    ));
}

/// The game: a plugin.
pub fn game(app: &mut App) {
    let system = concat!(module_path!(), "::find_paths");
    let budgets = BudgetSet::new().system(system, BudgetLimits::soft(256 << 10));
    app.add_plugins((
        SmartAllocPlugin::new(AllocConfig::default().with_frame_arena_size(1 << 20)),
        BudgetPlugin::new(budgets),
        DiagnosticsPlugin::default(),
        FrameTimeDiagnosticsPlugin::default(),
        PerfUiPlugin,
    ))
    .add_systems(Startup, set_up)
    .add_systems(Update, (find_paths, write_labels));
}

fn main() {
    App::new().add_plugins((DefaultPlugins, game)).run();
}

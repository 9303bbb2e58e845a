//! The memory inspector: a panel in the game that shows where memory goes. F9 closes and opens it.
//!
//! Four systems allocate in four ways; the panel tells them apart by themselves.
//!
//! ```sh
//! cargo run --example inspector
//! ```

use bevy::prelude::*;
use framealloc::bevy::{AllocResource, FrameAlloc, MemoryInspectorPlugin, SmartAllocPlugin};
use framealloc::{AllocConfig, HeapAudit, PoolBox};

/// Counts who calls the global allocator, for the panel's tab "Systems".
#[global_allocator]
static HEAP: HeapAudit = HeapAudit::system();

/// Takes frame memory: free again when the system returns. How much goes up and down.
fn find_paths(frame: FrameAlloc, time: Res<Time>) {
    let swing = (time.elapsed_secs().sin() + 1.5) * 20_000.0;
    std::hint::black_box(frame.alloc_slice_fill(swing as usize, 0_u64));
}

/// Calls malloc for each label in every frame: what the panel is there to find.
fn write_labels() {
    let labels: Vec<String> = (0..50).map(|unit| format!("unit {unit}")).collect();
    std::hint::black_box(labels);
}

/// Keeps values in a pool for a while.
fn cast_spells(alloc: Res<AllocResource>, mut spells: Local<Vec<PoolBox<[u64; 12]>>>) {
    spells.extend(alloc.pool_box([0; 12]));
    if spells.len() > 500 {
        spells.clear();
    }
}

/// Grows for ever, under a budget that says so.
fn leak(alloc: Res<AllocResource>, mut leaked: Local<Vec<framealloc::HeapBox<[u8; 4096]>>>) {
    leaked.extend(alloc.heap_box([0; 4096]));
}

fn set_up(mut commands: Commands, alloc: Res<AllocResource>) {
    commands.spawn(Camera2d);
    if let Some(budgets) = alloc.budgets() {
        budgets.register_tag_budget("inspector::leak", 1 << 20, 2 << 20);
    }
}

fn main() {
    let config = AllocConfig::default()
        .with_budgets(true)
        .with_pool_tags(true);
    App::new()
        .add_plugins((
            DefaultPlugins,
            SmartAllocPlugin::new(config),
            MemoryInspectorPlugin::opened(),
        ))
        .add_systems(Startup, set_up)
        .add_systems(Update, (find_paths, write_labels, cast_spells, leak))
        .run();
}

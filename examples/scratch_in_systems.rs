//! Scratch memory for a system, three ways: `Vec`, `Local<Vec>`, `FrameAlloc`.
//!
//! All three systems list who is near. In one frame of 450 that is everybody. A new `Vec` pays the heap in every
//! frame; a `Local<Vec>` pays once, and keeps room for everybody ever after; frame memory does neither.
//!
//! ```sh
//! cargo run --example scratch_in_systems
//! ```

use bevy::prelude::*;
use framealloc::bevy::{AllocResource, FrameAlloc, SmartAllocPlugin};
use framealloc::tags::{TagId, TagTotals};
use framealloc::{AllocConfig, Bytes, HeapAudit};

#[global_allocator]
static HEAP: HeapAudit = HeapAudit::system();

const UNITS: u32 = 300_000;
const FRAMES: u32 = 449;
/// When everybody is near.
const PEAK: u32 = 150;

#[derive(Component)]
struct Position(Vec2);

/// How far one looks in this frame.
#[derive(Resource)]
struct Sight(f32);

fn in_a_vec(units: Query<(Entity, &Position)>, sight: Res<Sight>) {
    let mut near = Vec::new();
    near.extend(
        units
            .iter()
            .filter(|unit| unit.1.0.length() < sight.0)
            .map(|unit| unit.0),
    );
    greet(&near);
}

fn in_a_local(mut near: Local<Vec<Entity>>, units: Query<(Entity, &Position)>, sight: Res<Sight>) {
    near.clear();
    near.extend(
        units
            .iter()
            .filter(|unit| unit.1.0.length() < sight.0)
            .map(|unit| unit.0),
    );
    greet(&near);
}

fn in_frame_memory(frame: FrameAlloc, units: Query<(Entity, &Position)>, sight: Res<Sight>) {
    let mut near = frame.vec();
    near.extend(
        units
            .iter()
            .filter(|unit| unit.1.0.length() < sight.0)
            .map(|unit| unit.0),
    );
    greet(&near);
}

fn greet(near: &[Entity]) {
    std::hint::black_box(near);
}

fn main() {
    let mut app = App::new();
    app.add_plugins((
        MinimalPlugins,
        SmartAllocPlugin::new(AllocConfig::minimal().with_max_frame_arena_size(64 << 20)),
    ))
    .insert_resource(Sight(20.0))
    .add_systems(Update, (in_a_vec, in_a_local, in_frame_memory));
    app.world_mut()
        .spawn_batch((0..UNITS).map(|unit| Position(Vec2::splat(unit as f32 * 0.01))));

    let systems = ["in_a_vec", "in_a_local", "in_frame_memory"].map(|system| {
        (
            system,
            TagId::from_path(&format!("scratch_in_systems::{system}")),
        )
    });
    println!(
        "frame     {:>24} {:>24} {:>24}",
        systems[0].0, systems[1].0, systems[2].0
    );
    let mut last = TagTotals::capture();
    for frame in 1..=FRAMES {
        app.world_mut().resource_mut::<Sight>().0 = if frame == PEAK { f32::MAX } else { 20.0 };
        app.update();
        if frame == PEAK || frame % 150 == 149 {
            let now = TagTotals::capture();
            let spent = now.since(&last);
            last = now.clone();
            let arenas = app.world().resource::<AllocResource>().arenas();
            let arenas: usize = arenas.iter().map(|arena| arena.capacity).sum();
            let cell = |tag: TagId, arenas: usize| {
                let held = now.of(tag).audit.live_bytes().max(0) as u64 + arenas as u64;
                format!("{} calls, {} held", spent.of(tag).audit.allocs, Bytes(held))
            };
            println!(
                "{frame:<9} {:>24} {:>24} {:>24}",
                cell(systems[0].1, 0),
                cell(systems[1].1, 0),
                cell(systems[2].1, arenas),
            );
        }
    }
}

//! A line of tiles, more than fit into memory, and a camera that flies along it.
//!
//! Each tile is an entity with a `StreamedAsset`; the camera has a `StreamFocus`. What comes near is loaded, what lies behind
//! makes room, and the budget holds at every moment.
//!
//! ```text
//! cargo run --example streaming
//! ```

use std::time::Duration;
use std::{env, fs, thread};

use bevy::ecs::schedule::SingleThreadedExecutor;
use bevy::prelude::*;
use cpu_time::ThreadTime;
use framealloc::bevy::{
    SmartAllocPlugin, StreamFocus, StreamedAsset, StreamedAssets, StreamedState, StreamingPlugin,
    StreamingSystems, StreamingTotals,
};

const TILES: usize = 48;
const TILE_BYTES: usize = 1 << 20;
const BUDGET: usize = 12 << 20;

fn main() {
    let folder = env::temp_dir().join(format!("framealloc-tiles-{}", std::process::id()));
    write_tiles(&folder);

    let mut app = App::new();
    app.add_plugins((
        MinimalPlugins,
        TransformPlugin,
        AssetPlugin {
            file_path: folder.display().to_string(),
            ..default()
        },
        SmartAllocPlugin,
        StreamingPlugin::with_budget(BUDGET),
    ))
    .init_resource::<Clock>()
    .add_systems(Startup, set_up)
    .add_systems(Update, (fly, show).chain())
    .add_systems(PreUpdate, start_clock.before(StreamingSystems::Stream))
    .add_systems(PreUpdate, stop_clock.after(StreamingSystems::Stream))
    // So that the clock's two ends are on one thread.
    .edit_schedule(PreUpdate, |schedule| {
        schedule.set_executor(SingleThreadedExecutor::new());
    });

    for _ in 0..TILES * 10 {
        app.update();
        thread::sleep(Duration::from_millis(2));
    }
    let totals = *app.world().resource::<StreamingTotals>();
    let clock = app.world().resource::<Clock>();
    println!(
        "{} MiB streamed through {} MiB; {} tiles evicted; the worst frame spent {:?} of CPU time on it, the mean one {:?}",
        totals.loaded_bytes >> 20,
        totals.budget >> 20,
        totals.evictions,
        clock.worst,
        clock.total / clock.frames,
    );
    drop(app);
    let _ = fs::remove_dir_all(folder);
}

#[derive(Component)]
struct Tile;

fn set_up(mut commands: Commands) {
    let focus = StreamFocus {
        near: 3.0,
        far: 5.0,
    };
    commands.spawn((Transform::default(), focus));
    for tile in 0..TILES {
        commands.spawn((
            Tile,
            Transform::from_xyz(tile as f32, 0.0, 0.0),
            StreamedAsset::new(format!("tile{tile}.bin")).by_distance(),
        ));
    }
}

fn fly(mut camera: Single<&mut Transform, With<StreamFocus>>) {
    camera.translation.x += 0.1;
}

/// One line every ten frames: `#` is in memory, `o` loads, `+` waits for room, `-` was evicted, `·` is too far away.
fn show(
    tiles: Query<Entity, With<Tile>>,
    assets: StreamedAssets,
    totals: Res<StreamingTotals>,
    mut frame: Local<usize>,
) {
    *frame += 1;
    if !frame.is_multiple_of(10) {
        return;
    }
    let line: String = tiles
        .iter()
        .map(|tile| match assets.state(tile) {
            Some(StreamedState::Ready) => '#',
            Some(StreamedState::Loading { .. }) => 'o',
            Some(StreamedState::Waiting) => '+',
            Some(StreamedState::Evicted) => '-',
            Some(StreamedState::Failed(_)) => '!',
            _ => '·',
        })
        .collect();
    println!(
        "{line}  {:2} of {} MiB",
        totals.reserved >> 20,
        totals.budget >> 20
    );
}

/// CPU time that the plugin's part of a frame takes.
#[derive(Resource, Default)]
struct Clock {
    started: Option<Duration>,
    worst: Duration,
    total: Duration,
    frames: u32,
}

fn start_clock(mut clock: ResMut<Clock>) {
    clock.started = Some(ThreadTime::now().as_duration());
}

fn stop_clock(mut clock: ResMut<Clock>) {
    if let Some(started) = clock.started.take() {
        let spent = ThreadTime::now().as_duration() - started;
        clock.worst = clock.worst.max(spent);
        clock.total += spent;
        clock.frames += 1;
    }
}

fn write_tiles(folder: &std::path::Path) {
    fs::create_dir_all(folder).expect("a folder for the tiles");
    for tile in 0..TILES {
        let bytes = vec![tile as u8; TILE_BYTES];
        fs::write(folder.join(format!("tile{tile}.bin")), bytes).expect("room for the tiles");
    }
}

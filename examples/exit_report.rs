//! At exit: which systems hold memory that was not there at start-up.
//!
//! ```text
//! cargo run --example exit_report
//! ```

use bevy::app::ScheduleRunnerPlugin;
use bevy::diagnostic::FrameCount;
use bevy::prelude::*;
use framealloc::HeapBox;
use framealloc::bevy::{AllocResource, DiagnosticsPlugin, ExitReportSettings, FrameAllocPlugins};

/// A level keeps its tiles until it is left: that is meant.
#[derive(Resource, Default)]
struct Level(Vec<HeapBox<[u8; 65536]>>);

fn load_tiles(alloc: Res<AllocResource>, mut level: ResMut<Level>) {
    if level.0.len() < 16 {
        level.0.extend(alloc.heap_box([0; 65536]));
    }
}

/// This is not: whoever wrote it thought that somebody takes the messages out again.
fn remember_chat(alloc: Res<AllocResource>, mut messages: Local<Vec<HeapBox<[u8; 256]>>>) {
    messages.extend(alloc.heap_box([b'x'; 256]));
}

fn main() {
    let diagnostics = DiagnosticsPlugin {
        exit_report: Some(ExitReportSettings::default().allow("exit_report::load_tiles")),
        ..Default::default()
    };
    App::new()
        .add_plugins((
            MinimalPlugins.set(ScheduleRunnerPlugin::run_loop(std::time::Duration::ZERO)),
            bevy::log::LogPlugin::default(),
            FrameAllocPlugins.build().set(diagnostics),
        ))
        .init_resource::<Level>()
        .add_systems(Update, (load_tiles, remember_chat))
        .add_systems(
            Last,
            |count: Res<FrameCount>, mut exit: MessageWriter<AppExit>| {
                if count.0 == 100 {
                    exit.write(AppExit::Success);
                }
            },
        )
        .run();
}

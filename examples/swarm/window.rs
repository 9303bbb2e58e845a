//! The game in a window: the app, its camera, and its keys.
//!
//! F9 opens the memory panel, Space starts a frenzy, Escape ends the game, the wheel zooms, and dragging moves.

use std::process::ExitCode;

use bevy::app::PluginGroupBuilder;
use bevy::camera::ScalingMode;
use bevy::input::mouse::{AccumulatedMouseMotion, AccumulatedMouseScroll};
use bevy::prelude::*;
use bevy::window::PresentMode;
use bevy_egui::input::{egui_wants_any_keyboard_input, egui_wants_any_pointer_input};

use crate::args::Args;
use crate::field::Field;
use crate::frenzy::Frenzy;
use crate::{ending, hud, looks, terrain};

/// Frames from one frenzy to the next when nobody asks for one.
const FRENZY_EVERY: u32 = 1_500;

pub fn run(args: &Args) -> ExitCode {
    let window = Window {
        title: format!("swarm: {} agents, {}", args.agents, args.mem.title()),
        resolution: (1280, 720).into(),
        present_mode: PresentMode::AutoVsync,
        ..default()
    };
    let plugins = DefaultPlugins.set(WindowPlugin {
        primary_window: Some(window),
        ..default()
    });
    match app(args, plugins).run() {
        AppExit::Success => ExitCode::SUCCESS,
        AppExit::Error(code) => ExitCode::from(code.get()),
    }
}

/// The game, to be looked at through what Bevy's `plugins` open.
pub fn app(args: &Args, plugins: PluginGroupBuilder) -> App {
    let mut app = App::new();
    terrain::add_source(&mut app);
    app.add_plugins(plugins);
    crate::add_game(&mut app, args, args.mem);
    app.add_systems(PreStartup, open_camera).add_systems(
        Update,
        (
            // What is typed or done with the mouse in the panel is for the panel.
            obey_keys.run_if(not(egui_wants_any_keyboard_input)),
            move_camera.run_if(not(egui_wants_any_pointer_input)),
            have_a_frenzy_now_and_then,
        ),
    );
    looks::add(&mut app);
    hud::add(&mut app);
    terrain::add(&mut app, args.fly);
    ending::add(&mut app, args);
    app
}

fn open_camera(mut commands: Commands, field: Res<Field>) {
    commands.spawn((
        Camera2d,
        Msaa::Off,
        Projection::Orthographic(OrthographicProjection {
            // The whole field, whatever the window's shape.
            scaling_mode: ScalingMode::AutoMin {
                min_width: field.half.x * 2.0,
                min_height: field.half.y * 2.0,
            },
            ..OrthographicProjection::default_2d()
        }),
    ));
}

fn obey_keys(
    keys: Res<ButtonInput<KeyCode>>,
    mut frenzy: ResMut<Frenzy>,
    mut exit: MessageWriter<AppExit>,
) {
    if keys.just_pressed(KeyCode::Space) {
        frenzy.begin();
    }
    if keys.just_pressed(KeyCode::Escape) {
        exit.write(AppExit::Success);
    }
}

fn move_camera(
    scroll: Res<AccumulatedMouseScroll>,
    motion: Res<AccumulatedMouseMotion>,
    buttons: Res<ButtonInput<MouseButton>>,
    camera: Single<(&Camera, &mut Transform, &mut Projection)>,
) {
    let (camera, mut transform, mut projection) = camera.into_inner();
    let Projection::Orthographic(view) = &mut *projection else {
        return;
    };
    if scroll.delta.y != 0.0 {
        view.scale = (view.scale * (1.0 - scroll.delta.y.signum() * 0.1)).clamp(0.1, 1.0);
    }
    if buttons.pressed(MouseButton::Left)
        && let Some(window) = camera.logical_viewport_size()
    {
        // The field moves with the mouse.
        let moved = motion.delta * view.area.size() / window;
        transform.translation += Vec3::new(-moved.x, moved.y, 0.0);
    }
}

fn have_a_frenzy_now_and_then(mut frames: Local<u32>, mut frenzy: ResMut<Frenzy>) {
    *frames += 1;
    if frames.is_multiple_of(FRENZY_EVERY) {
        frenzy.begin();
    }
}

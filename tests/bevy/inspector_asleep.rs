//! An egui that only the panel uses sleeps while the panel is out of sight; anybody else's does not.

use bevy::prelude::*;
use bevy::render::sync_world::SyncWorldPlugin;
use bevy_egui::input::EguiInputEvent;
use bevy_egui::{
    EguiContext, EguiPlugin, EguiPrimaryContextPass, EguiRenderOutput, PrimaryEguiContext, egui,
};
use framealloc::bevy::{Corner, MemoryInspector, MemoryInspectorPlugin, SmartAllocPlugin};

mod unrendered;

/// After as many frames, egui sleeps or never will.
const LONG: u32 = 30;

struct Game(App);

impl Game {
    /// A game with a camera, whose panel is closed.
    fn start(plugins: impl FnOnce(&mut App)) -> Self {
        let mut app = App::new();
        app.add_plugins(unrendered::plugins());
        plugins(&mut app);
        app.add_plugins((
            // Part of a renderer, which cameras that go ask for.
            SyncWorldPlugin,
            SmartAllocPlugin,
            MemoryInspectorPlugin {
                settings_file: None,
                ..default()
            },
        ));
        unrendered::take_textures(&mut app);
        app.add_systems(Startup, |mut commands: Commands| {
            commands.spawn(Camera2d);
        });
        unrendered::finish(&mut app);
        let mut game = Self(app);
        game.frames(LONG);
        game
    }

    fn frames(&mut self, count: u32) {
        (0..count).for_each(|_| self.0.update());
    }

    fn context(&mut self) -> Entity {
        let world = self.0.world_mut();
        let mut contexts = world.query_filtered::<Entity, With<PrimaryEguiContext>>();
        contexts.single(world).unwrap()
    }

    /// How many frames egui has had.
    fn passes(&mut self) -> u64 {
        let context = self.context();
        let mut context = self.0.world_mut().get_mut::<EguiContext>(context).unwrap();
        context.get_mut().cumulative_frame_nr()
    }

    /// In how many of the next frames egui runs.
    fn awake_for(&mut self, frames: u32) -> u32 {
        let before = self.passes();
        self.frames(frames);
        u32::try_from(self.passes() - before).unwrap()
    }

    fn inspector(&mut self) -> Mut<'_, MemoryInspector> {
        self.0.world_mut().resource_mut()
    }

    fn send(&mut self, event: egui::Event) {
        let context = self.context();
        self.0
            .world_mut()
            .write_message(EguiInputEvent { context, event });
    }
}

#[test]
fn it_sleeps_while_nothing_is_in_sight_and_leaves_nothing_on_the_screen() {
    let mut game = Game::start(|_| ());
    assert_eq!(game.awake_for(LONG), 0);
    for _ in 0..2 {
        game.inspector().open = true;
        assert_eq!(game.awake_for(LONG), LONG);
        game.inspector().open = false;
        game.frames(LONG);
        assert_eq!(game.awake_for(LONG), 0);
        let context = game.context();
        let output = game.0.world().get::<EguiRenderOutput>(context).unwrap();
        assert!(output.paint_jobs.is_empty());
        game.inspector().corner = Some(Corner::default());
        assert_eq!(game.awake_for(LONG), LONG);
        game.inspector().corner = None;
        game.frames(LONG);
        assert_eq!(game.awake_for(LONG), 0);
    }
}

#[test]
fn it_stays_awake_until_what_is_held_is_let_go() {
    let mut game = Game::start(|_| ());
    game.inspector().open = true;
    game.frames(5);
    let button = |pressed| egui::Event::PointerButton {
        pos: egui::pos2(5.0, 5.0),
        button: egui::PointerButton::Primary,
        pressed,
        modifiers: egui::Modifiers::NONE,
    };
    game.send(button(true));
    game.frames(1);
    game.inspector().open = false;
    assert_eq!(game.awake_for(LONG), LONG);
    game.send(button(false));
    game.frames(LONG);
    assert_eq!(game.awake_for(LONG), 0);
}

#[test]
fn it_stays_awake_for_a_game_that_brought_it() {
    let mut game = Game::start(|app| {
        app.add_plugins(EguiPlugin::default());
    });
    assert_eq!(game.awake_for(LONG), LONG);
}

#[test]
fn it_wakes_up_for_another_that_paints() {
    let mut game = Game::start(|_| ());
    assert_eq!(game.awake_for(LONG), 0);
    fn paint() {}
    game.0.add_systems(EguiPrimaryContextPass, paint);
    assert_eq!(game.awake_for(LONG), LONG);
}

#[test]
fn it_wakes_up_for_another_context_and_for_another_camera() {
    let mut game = Game::start(|_| ());
    let second = game.0.world_mut().spawn(EguiContext::default()).id();
    assert_eq!(game.awake_for(LONG), LONG);
    game.0.world_mut().despawn(second);
    game.frames(LONG);
    assert_eq!(game.awake_for(LONG), 0);
    // A level ends: its camera goes with the context, and the next level's brings one.
    let first = game.context();
    game.0.world_mut().despawn(first);
    let next = (Camera2d, EguiContext::default(), PrimaryEguiContext);
    game.0.world_mut().spawn(next);
    assert_ne!(game.context(), first);
    assert!((1..LONG).contains(&game.awake_for(LONG)));
    assert_eq!(game.awake_for(LONG), 0);
    game.inspector().open = true;
    assert_eq!(game.awake_for(LONG), LONG);
}

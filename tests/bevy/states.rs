//! Bevy's states: what runs when one is entered or left is a system like any other, and what belongs to a state goes with it.

use bevy::prelude::*;
use bevy::state::app::StatesPlugin;
use framealloc::bevy::{FrameAlloc, SmartAllocPlugin, StreamedAsset};
use framealloc::tags::TagTotals;

use crate::headless_app;
use crate::sources::{Behaviour, Synthetic};
use crate::streams::{is_ready, reserved, streaming_app, totals, update_until};
use crate::witness::Tags;

#[derive(States, Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
enum Screen {
    #[default]
    Menu,
    Game,
}

/// A part of [`Screen::Game`].
#[derive(SubStates, Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[source(Screen = Screen::Game)]
enum Pause {
    #[default]
    Running,
}

macro_rules! systems {
    ($($name:ident)*) => {$(
        fn $name(frame: FrameAlloc, tags: Res<Tags>) {
            assert_eq!(frame.alloc_slice_fill(100, 7_u8).len(), 100);
            tags.note_tag_of(&$name);
        }
    )*};
}
systems!(opens_the_menu leaves_the_menu goes_over opens_the_game runs plays leaves_the_game);

fn go_to(screen: Screen, app: &mut App) {
    app.world_mut()
        .resource_mut::<NextState<Screen>>()
        .set(screen);
}

#[test]
fn what_runs_at_a_transition_is_named_and_has_frame_memory() {
    let mut app = headless_app();
    app.add_plugins((SmartAllocPlugin, StatesPlugin))
        .init_state::<Screen>()
        .add_sub_state::<Pause>();
    let tags = Tags::in_app(&mut app);
    app.add_systems(OnEnter(Screen::Menu), opens_the_menu)
        .add_systems(OnExit(Screen::Menu), leaves_the_menu)
        .add_systems(
            OnTransition {
                exited: Screen::Menu,
                entered: Screen::Game,
            },
            goes_over,
        )
        .add_systems(OnEnter(Screen::Game), opens_the_game)
        .add_systems(OnEnter(Pause::Running), runs)
        .add_systems(Update, plays.run_if(in_state(Screen::Game)))
        .add_systems(OnExit(Screen::Game), leaves_the_game);
    // Before `PreStartup`.
    app.update();
    tags.assert_all_named(1);
    app.update();
    tags.assert_all_named(0);
    go_to(Screen::Game, &mut app);
    app.update();
    tags.assert_all_named(5);
    let before = TagTotals::capture();
    app.update();
    tags.assert_all_named(1);
    go_to(Screen::Menu, &mut app);
    app.update();
    tags.assert_all_named(2);
    let used = |system: &str| {
        let tag = framealloc::tags::TagId::from_path(system);
        TagTotals::capture().of(tag).frame_bytes - before.of(tag).frame_bytes
    };
    assert_eq!(used(std::any::type_name_of_val(&leaves_the_game)), 104);
    assert_eq!(used(std::any::type_name_of_val(&plays)), 104);
    assert_eq!(used(std::any::type_name_of_val(&goes_over)), 0);
}

#[test]
fn the_files_of_a_state_are_freed_when_it_is_left() {
    let source = Synthetic::new();
    source.add("level", 1_000_000, Behaviour::Fine);
    source.add("level/slow", 1_000_000, Behaviour::Hangs { after: 300_000 });
    let mut app = streaming_app(&source, 8 << 20);
    app.add_plugins(StatesPlugin).insert_state(Screen::Game);
    let [tile, slow] = ["made://level", "made://level/slow"].map(|path| {
        let tile = (StreamedAsset::new(path), DespawnOnExit(Screen::Game));
        app.world_mut().spawn(tile).id()
    });
    update_until(&mut app, |app| is_ready(app, tile));
    assert_eq!(reserved(&app), 2_000_000);
    go_to(Screen::Menu, &mut app);
    update_until(&mut app, |app| reserved(app) == 0 && source.open() == 0);
    assert!(app.world().get_entity(slow).is_err());
    assert_eq!(totals(&app).loading, 0);
}

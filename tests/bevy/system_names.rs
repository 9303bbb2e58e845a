//! Every system runs under a tag of its name, whatever it is and wherever it was added.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use bevy::ecs::schedule::ScheduleLabel;
use bevy::ecs::system::NonSendMarker;
use bevy::prelude::*;
use bevy::time::TimeUpdateStrategy;
use framealloc::bevy::SmartAllocPlugin;
use framealloc::tags::{TagId, TagScope};

use crate::witness::{Tags, Witness};

fn app() -> (App, Tags) {
    let mut app = crate::headless_app();
    app.add_plugins(SmartAllocPlugin);
    let tags = Tags::in_app(&mut app);
    (app, tags)
}

fn ordinary(tags: Res<Tags>) {
    tags.note_tag_of(&ordinary);
}

fn another(tags: Res<Tags>) {
    tags.note_tag_of(&another);
}

fn exclusive(world: &mut World) {
    world.resource::<Tags>().note_tag_of(&exclusive);
}

fn on_the_main_thread(_: NonSendMarker, tags: Res<Tags>) {
    tags.note_tag_of(&on_the_main_thread);
}

fn condition(tags: Res<Tags>) -> bool {
    tags.note_tag_of(&condition);
    true
}

#[test]
fn systems_of_every_main_schedule_are_named() {
    let (mut app, tags) = app();
    app.add_systems(PreStartup, ordinary)
        .add_systems(Startup, ordinary)
        .add_systems(PostStartup, ordinary)
        .add_systems(First, ordinary)
        .add_systems(PreUpdate, ordinary)
        .add_systems(Update, ordinary)
        .add_systems(PostUpdate, ordinary)
        .add_systems(Last, ordinary);
    app.update();
    tags.assert_all_named(8);
    app.update();
    tags.assert_all_named(5);
}

#[test]
fn systems_of_the_fixed_schedules_are_named() {
    let (mut app, tags) = app();
    let step = Duration::from_secs_f64(1.0 / 64.0);
    app.insert_resource(TimeUpdateStrategy::ManualDuration(step))
        .add_systems(FixedFirst, ordinary)
        .add_systems(FixedUpdate, exclusive)
        .add_systems(FixedLast, another);
    // The first update has no time to catch up with.
    app.update();
    tags.take();
    app.update();
    tags.assert_all_named(3);
}

#[test]
fn exclusive_and_non_send_systems_are_named() {
    let (mut app, tags) = app();
    app.add_systems(Update, (exclusive, on_the_main_thread));
    app.update();
    tags.assert_all_named(2);
}

#[test]
fn run_conditions_of_systems_and_sets_are_named() {
    #[derive(SystemSet, Debug, Clone, PartialEq, Eq, Hash)]
    struct Ai;

    let (mut app, tags) = app();
    app.add_systems(Update, ordinary.run_if(condition).in_set(Ai))
        .configure_sets(Update, Ai.run_if(condition));
    app.update();
    tags.assert_all_named(3);
}

#[test]
fn a_pipe_has_one_name_for_its_parts() {
    fn first(tags: Res<Witness<&'static str>>) -> u32 {
        tags.note(TagId::current().path());
        1
    }
    fn second(In(_): In<u32>, tags: Res<Witness<&'static str>>) {
        tags.note(TagId::current().path());
    }

    let (mut app, _) = app();
    let seen = Witness::<&'static str>::in_app(&mut app);
    app.add_systems(Update, first.pipe(second));
    app.update();
    let seen = seen.take();
    assert_eq!(seen.len(), 2);
    assert_eq!(seen[0], seen[1]);
    assert!(
        seen[0].contains("first") && seen[0].contains("second"),
        "{seen:?}"
    );
}

#[test]
fn commands_are_charged_to_the_system_that_issued_them() {
    fn issuer(mut commands: Commands) {
        commands.queue(|world: &mut World| world.resource::<Tags>().note_tag_of(&issuer));
    }

    let (mut app, tags) = app();
    app.add_systems(Update, issuer);
    app.update();
    tags.assert_all_named(1);
}

#[test]
fn systems_added_at_run_time_are_named() {
    let (mut app, tags) = app();
    app.add_systems(Update, ordinary);
    app.update();
    app.add_systems(Update, another.run_if(condition));
    app.update();
    tags.assert_all_named(4);
}

#[derive(ScheduleLabel, Debug, Clone, PartialEq, Eq, Hash)]
struct Level;

fn run_level(world: &mut World) {
    let _ = world.try_run_schedule(Level);
    world.resource::<Tags>().note_tag_of(&run_level);
}

#[test]
fn a_schedule_made_before_the_first_update_is_named_from_its_first_run() {
    let (mut app, tags) = app();
    app.add_systems(Update, run_level);
    app.add_systems(Level, ordinary);
    app.update();
    tags.assert_all_named(2);
}

#[test]
fn a_schedule_made_between_frames_is_named_from_its_first_run() {
    let (mut app, tags) = app();
    app.add_systems(Update, run_level);
    app.update();
    tags.assert_all_named(1);
    app.add_systems(Level, ordinary);
    app.update();
    tags.assert_all_named(2);
}

#[test]
fn a_schedule_made_and_run_in_one_frame_is_named_from_the_next_frame_on() {
    fn make_level(world: &mut World) {
        world
            .resource_mut::<Schedules>()
            .add_systems(Level, ordinary);
    }

    let (mut app, tags) = app();
    app.add_systems(PreUpdate, make_level.run_if(run_once))
        .add_systems(Update, run_level);
    app.update();
    tags.take();
    app.update();
    tags.assert_all_named(2);
}

#[test]
fn a_schedule_that_replaces_another_is_named_from_the_next_frame_on() {
    let (mut app, tags) = app();
    app.add_systems(Level, ordinary)
        .add_systems(Update, run_level);
    app.update();
    tags.assert_all_named(2);

    let mut replacement = Schedule::new(Level);
    replacement.add_systems(another);
    app.add_schedule(replacement);
    app.update();
    tags.take();
    app.update();
    tags.assert_all_named(2);
}

#[test]
fn a_nested_schedule_gives_the_tag_back() {
    // `run_level` notes its tag after the schedule ran.
    let (mut app, tags) = app();
    app.add_systems(Level, (ordinary, another))
        .add_systems(Update, run_level);
    app.update();
    tags.assert_all_named(3);
}

#[test]
fn a_panic_gives_the_tag_back() {
    fn panics(world: &mut World) {
        assert!(!world.contains_resource::<Tags>(), "on purpose");
    }

    let (mut app, tags) = app();
    app.add_systems(Update, panics);
    let before = TagScope::enter(TagId::from_path("test::before"));
    let panicked = catch_unwind(AssertUnwindSafe(|| app.update()));
    assert!(panicked.is_err());
    assert_eq!(TagId::current().path(), "test::before");
    drop(before);
    assert!(tags.take().is_empty());
}

#[test]
fn a_system_without_name_of_its_own_is_named_after_the_function_it_is_in() {
    let (mut app, _) = app();
    let seen = Witness::<&'static str>::in_app(&mut app);
    app.add_systems(Update, |seen: Res<Witness<&'static str>>| {
        seen.note(TagId::current().path())
    });
    app.update();
    let seen = seen.take();
    assert!(
        seen[0].contains("a_system_without_name_of_its_own"),
        "{seen:?}"
    );
}

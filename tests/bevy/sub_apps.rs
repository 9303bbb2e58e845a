//! A sub-app has an allocator, frames and tags of its own. The renderer is the one that matters; this is a stand-in.

use bevy::app::{AppLabel, SubApp};
use bevy::ecs::schedule::ScheduleLabel;
use bevy::prelude::*;
use framealloc::bevy::{AllocResource, FrameAlloc, SmartAllocPlugin};
use framealloc::tags::TagId;

use crate::headless_app;
use crate::witness::{Tags, Witness};

#[derive(AppLabel, Debug, Clone, PartialEq, Eq, Hash)]
struct Drawing;

#[derive(ScheduleLabel, Debug, Clone, PartialEq, Eq, Hash)]
struct Draw;

/// An app with a sub-app that a plugin adds after ours, and that is ready to run.
fn app_with_sub_app(add_systems: impl FnOnce(&mut SubApp)) -> App {
    let mut app = headless_app();
    app.add_plugins(SmartAllocPlugin);
    let mut drawing = SubApp::new();
    drawing.update_schedule = Some(Draw.intern());
    drawing.add_schedule(Schedule::new(Draw));
    add_systems(&mut drawing);
    app.insert_sub_app(Drawing, drawing);
    app.finish();
    app.cleanup();
    app
}

fn frames_of(world: &World) -> u64 {
    world.resource::<AllocResource>().frame_number()
}

#[test]
fn its_frame_turns_over_at_extraction() {
    let seen = Witness::<u64>::default();
    let at_extraction = seen.clone();
    let mut app = app_with_sub_app(|drawing| {
        drawing.set_extract(move |_, world| at_extraction.note(frames_of(world)));
    });
    for _ in 0..3 {
        app.update();
    }
    assert_eq!(
        seen.take(),
        [1, 2, 3],
        "the sub-app's extraction runs in the new frame"
    );
    assert_eq!(frames_of(app.world()), 3);
}

#[test]
fn its_allocator_is_not_the_main_worlds() {
    let app = app_with_sub_app(|_| ());
    let own = app.sub_app(Drawing).world().resource::<AllocResource>();
    assert!(
        own.frame_number() == 0 && own.shared_frames().is_err(),
        "driven, by the plugin"
    );
    let mut app = app;
    app.main_mut().update();
    assert_eq!(frames_of(app.world()), 1);
    assert_eq!(frames_of(app.sub_app(Drawing).world()), 0);
}

#[test]
fn its_systems_are_named_and_have_frame_memory() {
    fn draws(frame: FrameAlloc, tags: Res<Tags>) {
        assert_eq!(*frame.alloc(7), 7);
        assert_eq!(frame.tag(), TagId::current());
        tags.note_tag_of(&draws);
    }

    let tags = Tags::default();
    let mut app = app_with_sub_app(|drawing| {
        drawing
            .insert_resource(tags.clone())
            .add_systems(Draw, draws);
    });
    app.update();
    app.update();
    tags.assert_all_named(2);
}

#[test]
fn one_that_runs_nothing_is_left_alone() {
    let mut app = headless_app();
    app.add_plugins(SmartAllocPlugin);
    app.insert_sub_app(Drawing, SubApp::new());
    app.finish();
    app.cleanup();
    app.update();
    assert!(
        !app.sub_app(Drawing)
            .world()
            .contains_resource::<AllocResource>()
    );
}

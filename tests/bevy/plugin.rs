//! The plugin, in each way that it can be written, and what it does about resources and apps it is not alone with.

use bevy::prelude::*;
use framealloc::bevy::{AllocResource, FrameAlloc, SmartAllocPlugin};
use framealloc::{AllocConfig, SmartAlloc};

use crate::headless_app;
use crate::witness::Witness;

/// Runs a system with frame memory in an app with `plugin`.
fn assert_works(plugin: SmartAllocPlugin) {
    fn sums(frame: FrameAlloc, seen: Res<Witness<u64>>) {
        let numbers = frame.alloc_slice_fill_with(100, |i| i as u64);
        seen.note(numbers.iter().sum());
    }

    let mut app = headless_app();
    app.add_plugins(plugin).add_systems(Update, sums);
    let seen = Witness::<u64>::in_app(&mut app);
    app.update();
    assert_eq!(seen.take(), [4950]);
}

#[test]
fn it_is_added_as_a_unit_value() {
    assert_works(SmartAllocPlugin);
}

#[test]
fn it_is_added_by_its_default() {
    assert_works(SmartAllocPlugin::default());
}

#[test]
fn it_is_added_with_a_configuration() {
    assert_works(SmartAllocPlugin::new(AllocConfig::default()));
    assert_works(SmartAllocPlugin::minimal());
    assert_works(SmartAllocPlugin::high_performance());
    assert_works(SmartAllocPlugin {
        config: Some(AllocConfig::default()),
    });
}

#[test]
fn bevy_knows_it_as_one_plugin_however_it_was_written() {
    let mut app = headless_app();
    app.add_plugins(SmartAllocPlugin::minimal());
    assert!(app.is_plugin_added::<SmartAllocPlugin>());
    let added = app.get_added_plugins::<SmartAllocPlugin>();
    assert!(added[0].config.is_some());
}

#[test]
#[should_panic(expected = "plugin was already added")]
fn adding_it_twice_is_bevys_usual_error() {
    headless_app().add_plugins((SmartAllocPlugin, SmartAllocPlugin::minimal()));
}

#[test]
fn an_allocator_that_is_already_there_is_used() {
    let alloc = SmartAlloc::new(AllocConfig::default());
    let mut app = headless_app();
    app.insert_resource(AllocResource::new(alloc.clone()))
        .add_plugins(SmartAllocPlugin);
    app.update();
    app.update();
    assert_eq!(alloc.frame_number(), 2);
}

#[test]
fn an_allocator_that_replaces_another_gets_the_frames() {
    let mut app = headless_app();
    app.add_plugins(SmartAllocPlugin);
    app.update();
    let before = app.world().resource::<AllocResource>().clone();

    let alloc = SmartAlloc::new(AllocConfig::default());
    app.insert_resource(AllocResource::new(alloc.clone()));
    app.update();
    app.update();
    assert_eq!(alloc.frame_number(), 2);
    assert!(
        before.shared_frames().is_ok(),
        "nobody drives the old one any more"
    );
}

#[test]
fn two_apps_in_one_process_have_frames_of_their_own() {
    let mut one = headless_app();
    one.add_plugins(SmartAllocPlugin);
    let mut other = headless_app();
    other.add_plugins(SmartAllocPlugin);
    for _ in 0..3 {
        one.update();
    }
    other.update();
    let frames = |app: &App| app.world().resource::<AllocResource>().frame_number();
    assert_eq!((frames(&one), frames(&other)), (3, 1));
}

#[test]
#[should_panic(expected = "SmartAllocPlugin cannot drive this app's frames")]
fn two_apps_cannot_both_drive_the_frames_of_one_allocator() {
    let alloc = SmartAlloc::new(AllocConfig::default());
    let mut one = headless_app();
    one.insert_resource(AllocResource::new(alloc.clone()))
        .add_plugins(SmartAllocPlugin);
    headless_app()
        .insert_resource(AllocResource::new(alloc))
        .add_plugins(SmartAllocPlugin);
}

#[test]
fn the_frames_are_free_again_when_the_app_is_gone() {
    let alloc = SmartAlloc::new(AllocConfig::default());
    let mut app = headless_app();
    app.insert_resource(AllocResource::new(alloc.clone()))
        .add_plugins(SmartAllocPlugin);
    app.update();
    assert!(alloc.shared_frames().is_err());
    drop(app);
    assert!(alloc.shared_frames().is_ok());
}

#[test]
fn the_resource_is_registered_for_reflection() {
    let mut app = headless_app();
    app.add_plugins(SmartAllocPlugin);
    let registry = app.world().resource::<AppTypeRegistry>().read();
    let registration = registry
        .get_with_type_path("framealloc::bevy::smart_alloc::resource::AllocResource")
        .or_else(|| registry.get_with_short_type_path("AllocResource"))
        .unwrap();
    assert!(
        registration
            .data::<bevy::ecs::reflect::ReflectResource>()
            .is_some()
    );
}

#[test]
fn opening_a_frame_does_not_look_like_a_change_of_the_resource() {
    fn looks(alloc: Res<AllocResource>, seen: Res<Witness<bool>>) {
        seen.note(alloc.is_changed());
    }

    let mut app = headless_app();
    app.add_plugins(SmartAllocPlugin).add_systems(Update, looks);
    let seen = Witness::<bool>::in_app(&mut app);
    for _ in 0..3 {
        app.update();
    }
    assert_eq!(seen.take(), [true, false, false]);
}

//! With the heap audit as global allocator, every system that calls malloc is named. Headless.
//!
//! One test a process: the audit counts the process's allocations.

mod untagged_watch;

use std::hint::black_box;

use bevy::prelude::*;
use framealloc::bevy::{FrameAlloc, SmartAllocPlugin};

use untagged_watch::{audit, stacks_looked_at};

const FRAMES: u64 = 30;

fn allocates_twice() {
    black_box(vec![1_u8; 100]);
    black_box(Box::new(7_u64));
}

fn allocates_exclusively(_: &mut World) {
    black_box(vec![1_u8; 100]);
}

fn decides_with_a_box() -> bool {
    *black_box(Box::new(true))
}

fn issues_a_command(mut commands: Commands) {
    commands.queue(|_: &mut World| {
        black_box(Box::new([0_u8; 64]));
    });
}

fn allocates_from_the_frame_only(frame: FrameAlloc) {
    let mut numbers = frame.vec();
    numbers.extend(0..1000);
    black_box(&numbers);
}

fn spawns_and_despawns(mut commands: Commands, names: Query<Entity, With<Name>>) {
    for entity in &names {
        commands.entity(entity).despawn();
    }
    for i in 0..10 {
        commands.spawn(Name::new(format!("agent {i}")));
    }
}

#[test]
fn every_system_that_allocates_is_named_in_a_headless_app() {
    let mut app = App::new();
    app.add_plugins((MinimalPlugins, SmartAllocPlugin))
        .add_systems(
            Update,
            (
                allocates_twice.run_if(decides_with_a_box),
                allocates_exclusively,
                issues_a_command,
                allocates_from_the_frame_only,
                spawns_and_despawns,
            ),
        );
    app.finish();
    app.cleanup();

    // From the very first update, which builds the schedules.
    let first = audit(1, || app.update());
    assert!(
        first.untagged > 0 && stacks_looked_at() > 0,
        "the watch is asleep"
    );
    for _ in 0..30 {
        app.update();
    }

    let audit = audit(1, || {
        for _ in 0..FRAMES {
            app.update();
        }
    });
    let allocs = |path: &str| audit.allocs.get(path).copied().unwrap_or(0);
    assert_eq!(allocs("bevy_heap_audit::allocates_twice"), 2 * FRAMES);
    assert_eq!(allocs("bevy_heap_audit::allocates_exclusively"), FRAMES);
    assert_eq!(allocs("bevy_heap_audit::decides_with_a_box"), FRAMES);
    assert_eq!(allocs("bevy_heap_audit::issues_a_command"), FRAMES);
    assert_eq!(allocs("bevy_heap_audit::allocates_from_the_frame_only"), 0);
    assert!(allocs("bevy_heap_audit::spawns_and_despawns") >= 10 * FRAMES);
    for (path, calls) in &audit.allocs {
        println!("{:>8.1} a frame  {path}", *calls as f64 / FRAMES as f64);
    }
    println!(
        "{:>8.1} a frame  untagged",
        audit.untagged as f64 / FRAMES as f64
    );
}

//! A frame is an update: it is open for everything that Bevy runs in one, on every thread, and its memory is reused.

use bevy::app::MainScheduleOrder;
use bevy::ecs::schedule::ScheduleLabel;
use bevy::prelude::*;
use bevy::time::TimeUpdateStrategy;
use framealloc::AllocConfig;
use framealloc::bevy::{AllocResource, FrameAlloc, SmartAllocPlugin, SmartAllocSystems};
use std::time::Duration;

use crate::headless_app;
use crate::witness::Witness;

const MIB: usize = 1 << 20;

/// The frame that a system finds open.
type Frames = Witness<Option<u64>>;

fn notes_the_frame(alloc: Res<AllocResource>, seen: Res<Frames>) {
    seen.note(alloc.frame_is_open().then(|| alloc.frame_number()));
}

#[test]
fn it_is_open_from_startup_to_last_and_around_schedules_of_the_game() {
    #[derive(ScheduleLabel, Debug, Clone, PartialEq, Eq, Hash)]
    struct BeforeFirst;
    #[derive(ScheduleLabel, Debug, Clone, PartialEq, Eq, Hash)]
    struct AfterLast;

    let mut app = headless_app();
    app.add_plugins(SmartAllocPlugin);
    let seen = Frames::in_app(&mut app);
    app.init_schedule(BeforeFirst).init_schedule(AfterLast);
    let mut order = app.world_mut().resource_mut::<MainScheduleOrder>();
    order.insert_before(First, BeforeFirst);
    order.insert_after(Last, AfterLast);
    app.insert_resource(TimeUpdateStrategy::ManualDuration(Duration::from_secs(1)))
        .insert_resource(Time::<Fixed>::from_seconds(0.1))
        .add_systems(PreStartup, notes_the_frame)
        .add_systems(BeforeFirst, notes_the_frame)
        .add_systems(First, notes_the_frame)
        .add_systems(FixedUpdate, notes_the_frame)
        .add_systems(Last, notes_the_frame)
        .add_systems(AfterLast, notes_the_frame);
    app.update();
    assert_eq!(
        seen.take(),
        [Some(1); 5],
        "no time has passed for FixedUpdate"
    );
    app.update();
    assert_eq!(seen.take(), [Some(2); 6], "FixedUpdate catches up twice");
}

#[test]
fn it_is_closed_before_and_after() {
    let mut app = headless_app();
    app.add_plugins(SmartAllocPlugin);
    let seen = Frames::in_app(&mut app);
    app.add_systems(
        Main,
        (
            notes_the_frame.before(SmartAllocSystems::BeginFrame),
            notes_the_frame.after(SmartAllocSystems::EndFrame),
        ),
    );
    app.update();
    app.update();
    assert_eq!(seen.take(), [None; 4]);
}

static BLOCK: [u8; MIB] = [7; MIB];

/// Four systems that may run at once, each with 1 MiB from the frame through the resource.
fn add_four_systems_of_one_mib(app: &mut App) {
    for _ in 0..4 {
        app.add_systems(
            Update,
            |alloc: Res<AllocResource>, failed: Res<Witness<String>>| match alloc
                .frame_slice_copy(&BLOCK)
            {
                Ok(bytes) => assert!(*bytes == BLOCK),
                Err(error) => failed.note(error.to_string()),
            },
        );
    }
}

#[test]
fn six_hundred_frames_of_four_mib_from_parallel_systems_never_fail() {
    let mut app = headless_app();
    // An arena's limit is 8 MiB: one that is not rewound, on whichever worker, is exhausted in the second frame.
    app.add_plugins(SmartAllocPlugin::new(
        AllocConfig::default().with_frame_arena_size(2 * MIB),
    ));
    let failed = Witness::<String>::in_app(&mut app);
    add_four_systems_of_one_mib(&mut app);
    for _ in 0..600 {
        app.update();
    }
    assert_eq!(failed.take(), Vec::<String>::new());
}

#[test]
fn every_workers_arena_keeps_its_size() {
    fn capacities(app: &App) -> Vec<(String, usize)> {
        let arenas = app.world().resource::<AllocResource>().arenas();
        arenas
            .into_iter()
            .map(|arena| (arena.thread, arena.capacity))
            .collect()
    }

    let mut app = headless_app();
    app.add_plugins(SmartAllocPlugin);
    Witness::<String>::in_app(&mut app);
    add_four_systems_of_one_mib(&mut app);
    app.add_systems(Update, |frame: FrameAlloc| {
        frame.alloc_slice_copy(&BLOCK);
        frame.alloc_slice_copy(&BLOCK);
    });
    for _ in 0..20 {
        app.update();
    }
    let warm = capacities(&app);
    assert!(!warm.is_empty());
    for _ in 0..400 {
        app.update();
    }
    for (thread, capacity) in capacities(&app) {
        let before = warm.iter().find(|(name, _)| *name == thread);
        // A worker that had nothing to do at first has an arena like the others now.
        let expected = before.map_or(warm[0].1, |(_, capacity)| *capacity);
        assert_eq!(capacity, expected, "{thread}");
    }
}

//! Tagging changes nothing that a system or a schedule can notice.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bevy::ecs::schedule::{
    LogLevel, ScheduleBuildSettings, ScheduleBuilt, ScheduleCleanupPolicy, ScheduleLabel,
};
use bevy::prelude::*;
use framealloc::bevy::SmartAllocPlugin;

use crate::witness::Witness;

/// An app with a schedule `Late` whose systems have run, and have a history, when they are wrapped: the schedule is
/// taken away from under the plugin, which notices after the first run only.
fn app() -> App {
    let mut app = crate::headless_app();
    app.add_plugins(SmartAllocPlugin)
        .add_systems(Update, |world: &mut World| {
            let _ = world.try_run_schedule(Late);
        })
        .add_systems(Late, || ());
    app.update();
    app.add_schedule(Schedule::new(Late));
    app
}

#[derive(ScheduleLabel, Debug, Clone, PartialEq, Eq, Hash)]
struct Late;

#[derive(Resource, Default)]
struct Score(u32);

#[test]
fn locals_survive_being_wrapped() {
    fn counts(mut runs: Local<u32>, seen: Res<Witness<u32>>) {
        *runs += 1;
        seen.note(*runs);
    }
    fn counts_exclusively(world: &mut World, mut runs: Local<u32>) {
        *runs += 10;
        world.resource::<Witness<u32>>().note(*runs);
    }

    let mut app = app();
    let seen = Witness::<u32>::in_app(&mut app);
    app.add_systems(Late, (counts, counts_exclusively).chain());
    for run in 1..=4 {
        app.update();
        assert_eq!(seen.take(), [run, run * 10]);
    }
}

#[test]
fn change_detection_survives_being_wrapped() {
    fn sees_changes(score: Res<Score>, seen: Res<Witness<bool>>) {
        seen.note(score.is_changed());
    }
    fn sees_changes_exclusively(world: &mut World) {
        let changed = world.resource_ref::<Score>().is_changed();
        world.resource::<Witness<bool>>().note(changed);
    }
    fn changed(score: Res<Score>, seen: Res<Witness<bool>>) -> bool {
        seen.note(score.is_changed());
        true
    }

    let mut app = app();
    let seen = Witness::<bool>::in_app(&mut app);
    app.init_resource::<Score>().add_systems(
        Late,
        (sees_changes.run_if(changed), sees_changes_exclusively).chain(),
    );
    app.update();
    assert_eq!(seen.take(), [true, true, true], "new to all");
    app.update();
    assert_eq!(
        seen.take(),
        [false, false, false],
        "wrapped between these runs"
    );
    app.world_mut().resource_mut::<Score>().0 = 1;
    app.update();
    assert_eq!(seen.take(), [true, true, true]);
}

#[test]
fn systems_that_conflict_never_run_at_once() {
    static INSIDE: AtomicU32 = AtomicU32::new(0);
    fn writes(mut score: ResMut<Score>) {
        assert_eq!(
            INSIDE.fetch_add(1, Ordering::SeqCst),
            0,
            "two writers at once"
        );
        score.0 += 1;
        std::thread::sleep(Duration::from_micros(200));
        INSIDE.fetch_sub(1, Ordering::SeqCst);
    }

    let mut app = app();
    app.init_resource::<Score>();
    for _ in 0..8 {
        app.add_systems(Update, |score: ResMut<Score>| writes(score));
        app.add_systems(Late, |score: ResMut<Score>| writes(score));
    }
    for _ in 0..20 {
        app.update();
    }
    assert_eq!(app.world().resource::<Score>().0, 20 * 16);
}

#[test]
fn systems_that_do_not_conflict_still_run_at_once() {
    static BARRIER: std::sync::Mutex<u32> = std::sync::Mutex::new(0);
    static MET: std::sync::Condvar = std::sync::Condvar::new();
    fn meet() {
        let mut waiting = BARRIER.lock().unwrap();
        *waiting += 1;
        MET.notify_all();
        let (_waiting, timeout) = MET
            .wait_timeout_while(waiting, Duration::from_secs(10), |waiting| *waiting < 2)
            .unwrap();
        assert!(!timeout.timed_out(), "the other system was not started");
    }

    let mut app = app();
    app.add_systems(Update, (|| meet(), |_: Res<Time>| meet()));
    app.update();
}

#[test]
fn ambiguities_are_still_reported() {
    fn a(_: ResMut<Score>) {}
    fn b(_: ResMut<Score>) {}

    let mut app = app();
    app.init_resource::<Score>()
        .add_systems(Late, (a, b))
        .edit_schedule(Late, |schedule| {
            schedule.set_build_settings(ScheduleBuildSettings {
                ambiguity_detection: LogLevel::Warn,
                ..default()
            });
        });
    for wrapped in [false, true] {
        app.update();
        let schedule = app.get_schedule(Late).unwrap();
        let conflicts = schedule.graph().conflicting_systems();
        assert_eq!(conflicts.len(), 1, "wrapped: {wrapped}");
    }
}

#[test]
fn a_schedule_is_rebuilt_once_for_its_tags_and_then_left_alone() {
    let mut app = app();
    let built = Witness::<()>::in_app(&mut app);
    app.add_systems(Late, || ()).add_observer(
        |built: On<ScheduleBuilt>, seen: Res<Witness<()>>| {
            if built.label == Late.intern() {
                seen.note(());
            }
        },
    );
    app.update();
    assert_eq!(built.take().len(), 1);
    app.update();
    assert_eq!(built.take().len(), 1, "rebuilt with the tags");
    for _ in 0..3 {
        app.update();
        assert_eq!(built.take().len(), 0);
    }
}

#[test]
fn order_and_the_commands_between_systems_are_kept() {
    #[derive(Component)]
    struct Spawned;
    fn spawns(mut commands: Commands) {
        commands.spawn(Spawned);
    }
    fn finds(spawned: Query<&Spawned>, seen: Res<Witness<usize>>) {
        seen.note(spawned.iter().count());
    }

    let mut app = app();
    let seen = Witness::<usize>::in_app(&mut app);
    app.add_systems(Late, (spawns, finds).chain());
    for run in 1..=3 {
        app.update();
        assert_eq!(seen.take(), [run]);
    }
}

#[test]
fn a_wrapped_system_can_be_removed_by_its_set_and_added_again() {
    fn notes(seen: Res<Witness<u32>>) {
        seen.note(1);
    }

    let mut app = app();
    let seen = Witness::<u32>::in_app(&mut app);
    app.add_systems(Late, notes);
    app.update();
    app.update();
    let removed = app
        .main_mut()
        .remove_systems_in_set(Late, notes, ScheduleCleanupPolicy::RemoveSystemsOnly)
        .unwrap();
    assert_eq!(removed, 1);
    seen.take();
    app.update();
    assert!(seen.take().is_empty());
    app.add_systems(Late, notes);
    app.update();
    assert_eq!(seen.take(), [1]);
}

#[test]
fn observers_and_one_shot_systems_work_as_before() {
    #[derive(Event)]
    struct Hit(u32);

    let mut app = app();
    let seen = Witness::<u32>::in_app(&mut app);
    app.add_observer(|hit: On<Hit>, seen: Res<Witness<u32>>| seen.note(hit.0));
    let one_shot = app.register_system(|seen: Res<Witness<u32>>| seen.note(2));
    app.add_systems(Update, move |mut commands: Commands| {
        commands.trigger(Hit(1));
        commands.run_system(one_shot);
    });
    app.update();
    assert_eq!(seen.take(), [1, 2]);
}

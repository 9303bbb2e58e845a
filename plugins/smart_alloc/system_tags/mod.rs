//! Charges what a system allocates to that system, without a line in the game.
//!
//! Each schedule gets a build pass (`pass.rs`) that puts each system and run condition into a wrapper
//! (`tagged.rs`), which sets the thread's tag while the system runs. This file sees to it that every schedule of a
//! world has the pass.
//!
//! A game may make a schedule, or replace one, at any time. At the start of each frame, the world's schedules are
//! counted, and new ones get the pass; that is in time for a schedule that runs no earlier than the frame after it was
//! made. Bevy tells when a schedule was built; one that was built without the pass, because it was made and run in one
//! frame or took the place of another, gets it at the start of the next frame. What its systems allocate up to then is
//! charged to none of them.
//!
//! Invariant: a label is in `attached` as long as the schedule of that label was last seen built with the pass, or has
//! the pass and was not built yet.

mod known;
mod pass;
mod tagged;

pub use known::system_tags;

use std::collections::HashSet;

use bevy_app::{App, Main};
use bevy_ecs::prelude::*;
use bevy_ecs::schedule::{InternedScheduleLabel, ScheduleBuilt};

use self::pass::TagSystems;
use super::SmartAllocSystems;

/// Which schedules of a world tag their systems.
#[derive(Resource, Debug, Default)]
struct TaggedSchedules {
    attached: HashSet<InternedScheduleLabel>,
    /// Labels whose build is under way, and whose pass has run in it.
    building: HashSet<InternedScheduleLabel>,
    /// A schedule may be without the pass.
    incomplete: bool,
    /// How many schedules there were when the pass was last attached.
    count: usize,
}

/// A set that nothing is in. Configuring it makes Bevy rebuild a schedule.
#[derive(SystemSet, Debug, Clone, PartialEq, Eq, Hash)]
struct RebuildForTags;

/// Tags the systems of the main world.
pub(super) fn install(app: &mut App) {
    install_in_world(app.world_mut());
    app.add_systems(
        Main,
        attach_where_missing
            .run_if(some_are_missing)
            .in_set(SmartAllocSystems::BeginFrame),
    );
}

/// Tags the systems of a world whose owner calls [`attach_where_missing`] from time to time.
pub(super) fn install_in_world(world: &mut World) {
    world.init_resource::<TaggedSchedules>();
    world.add_observer(note_built);
    // Now, because schedule `Main` is out of reach while it runs the system that does it for the others; and again,
    // because the count that is right now is not the count without `Main`.
    attach(world);
    world.resource_mut::<TaggedSchedules>().incomplete = true;
}

impl TaggedSchedules {
    fn lack_some_of(&self, schedules: &Schedules) -> bool {
        self.incomplete || self.count != count(schedules)
    }
}

/// How many schedules are in the world. Takes the same time for any number.
fn count(schedules: &Schedules) -> usize {
    schedules.iter().size_hint().0
}

fn some_are_missing(tagged: Res<TaggedSchedules>, schedules: Res<Schedules>) -> bool {
    tagged.lack_some_of(&schedules)
}

/// Gives the pass to the schedules that lack it. Cheap when none does.
pub(super) fn attach_where_missing(world: &mut World) {
    if world
        .resource::<TaggedSchedules>()
        .lack_some_of(world.resource::<Schedules>())
    {
        attach(world);
    }
}

fn attach(world: &mut World) {
    world.resource_scope(|world, mut schedules: Mut<Schedules>| {
        let mut tagged = world.resource_mut::<TaggedSchedules>();
        tagged.incomplete = false;
        tagged.count = count(&schedules);
        for (_, schedule) in schedules.iter_mut() {
            let label = schedule.label();
            if !tagged.attached.insert(label) {
                continue;
            }
            schedule.add_build_pass(TagSystems::new(label));
            let was_built = schedule.systems().is_ok();
            if was_built && !schedule.is_changed() {
                schedule.configure_sets(RebuildForTags);
            }
        }
    });
}

fn note_built(built: On<ScheduleBuilt>, mut tagged: ResMut<TaggedSchedules>) {
    if !tagged.building.remove(&built.label) {
        tagged.attached.remove(&built.label);
        tagged.incomplete = true;
    }
}

//! The build pass that wraps a schedule's systems and run conditions.
//!
//! Bevy keeps a system together with the access set that its first initialisation returned, and schedules by that
//! set. A system that is put in place of another must therefore come with the same set, or two systems that conflict
//! could run at once. The set is private to Bevy; the way to fill one is to initialise a system in a `Systems`
//! container. So the wrapper is initialised in a container of its own, and moved from there into the schedule.
//!
//! Invariants: no system leaves this pass without the access set of what it runs; none is wrapped twice by one pass;
//! `ApplyDeferred`, which the executor recognises and never runs, is left alone.

use std::any::TypeId;
use std::collections::{HashMap, HashSet};
use std::iter;
use std::mem;
use std::ptr;

use bevy_ecs::prelude::*;
use bevy_ecs::schedule::graph::DiGraph;
use bevy_ecs::schedule::{
    ApplyDeferred, ConditionWithAccess, FlattenedDependencies, InternedScheduleLabel, NodeId,
    ScheduleBuildError, ScheduleBuildPass, ScheduleGraph, SystemKey, SystemSetKey,
    SystemWithAccess, Systems,
};
use bevy_ecs::system::{ScheduleSystem, System};
use bevy_platform::hash::FixedHasher;
use indexmap::IndexSet;

use super::TaggedSchedules;
use super::tagged::{Tagged, tag_of};
use crate::tags::TagId;

#[derive(Debug)]
pub(super) struct TagSystems {
    label: InternedScheduleLabel,
    systems: HashSet<SystemKey>,
    /// How many of a set's conditions are wrapped. Later ones come after them.
    set_conditions: HashMap<SystemSetKey, usize>,
}

impl TagSystems {
    pub(super) fn new(label: InternedScheduleLabel) -> Self {
        Self {
            label,
            systems: HashSet::new(),
            set_conditions: HashMap::new(),
        }
    }

    fn tag_systems(&mut self, world: &mut World, graph: &mut ScheduleGraph) {
        // Systems may have been removed since the last build.
        self.systems.retain(|&key| graph.systems.get(key).is_some());
        let new: Vec<SystemKey> = graph
            .systems
            .iter()
            .map(|(key, ..)| key)
            .filter(|&key| self.systems.insert(key))
            .collect();
        tag_each(world, &mut graph.systems, &new);
        for key in new {
            let conditions = graph.systems.get_conditions_mut(key);
            conditions.into_iter().flatten().for_each(tag_condition);
        }
    }

    fn tag_set_conditions(&mut self, graph: &mut ScheduleGraph) {
        let sets: Vec<SystemSetKey> = graph.system_sets.iter().map(|(key, ..)| key).collect();
        self.set_conditions.retain(|key, _| sets.contains(key));
        for key in sets {
            let Some(conditions) = graph.system_sets.get_conditions_mut(key) else {
                continue;
            };
            if conditions.is_empty() {
                continue;
            }
            let tagged = self.set_conditions.entry(key).or_default();
            conditions.iter_mut().skip(*tagged).for_each(tag_condition);
            *tagged = conditions.len();
        }
    }
}

/// Puts systems into wrappers. All wrappers are allocated before the first is initialised: next to each other in memory, as
/// near as the heap has it, since the executor goes from one to the next and an app has thousands.
fn tag_each(world: &mut World, systems: &mut Systems, keys: &[SystemKey]) {
    let is_tagged = |&&key: &&SystemKey| {
        let system = systems.get(key);
        system.is_some_and(|system| system.system_type() != TypeId::of::<ApplyDeferred>())
    };
    let keys: Vec<SystemKey> = keys.iter().filter(is_tagged).copied().collect();
    let tags: Vec<TagId> = keys.iter().map(|&key| tag_of(&systems[key])).collect();
    let wrap = |(&key, &tag): (&SystemKey, &TagId)| -> ScheduleSystem {
        Box::new(Tagged::new(take_system(&mut systems[key]), tag))
    };
    let wrapped: Vec<ScheduleSystem> = keys.iter().zip(&tags).map(wrap).collect();
    for (&key, system) in keys.iter().zip(wrapped) {
        let mut workshop = Systems::default();
        let wrapped = workshop.insert(system, Vec::new());
        workshop.initialize(world);
        mem::swap(&mut systems[key], &mut workshop[wrapped]);
    }
}

/// Takes a system away from its access set, which Bevy gives out together only. What stays there is a placeholder.
#[expect(unsafe_code, reason = "Bevy lends the box to read only")]
fn take_system(from: &mut SystemWithAccess) -> ScheduleSystem {
    let start = ptr::from_ref(from).addr();
    let offset = ptr::from_ref(from.system()).addr().wrapping_sub(start);
    assert!(
        offset <= size_of::<SystemWithAccess>() - size_of::<ScheduleSystem>(),
        "Bevy keeps a system beside its access set"
    );
    // SAFETY: Bevy has just shown a `ScheduleSystem` at this offset, which is inside; the pointer is made from the exclusive
    // reference to the whole, and nothing else refers to it.
    let system = unsafe {
        &mut *ptr::from_mut(from)
            .byte_add(offset)
            .cast::<ScheduleSystem>()
    };
    mem::replace(system, Box::new(ApplyDeferred))
}

/// A condition's access set is public: it stays where it is, and only the condition is replaced.
fn tag_condition(slot: &mut ConditionWithAccess) {
    let placeholder = Box::new(IntoSystem::into_system(|| false));
    let condition = mem::replace(&mut slot.condition, placeholder);
    let tag = tag_of(&*condition);
    slot.condition = Box::new(Tagged::new(condition, tag));
}

impl ScheduleBuildPass for TagSystems {
    type EdgeOptions = ();

    fn add_dependency(&mut self, _from: NodeId, _to: NodeId, _options: Option<&()>) {}

    fn collapse_set(
        &mut self,
        _set: SystemSetKey,
        _systems: &IndexSet<SystemKey, FixedHasher>,
        _dependency_flattening: &DiGraph<NodeId>,
    ) -> impl Iterator<Item = (NodeId, NodeId)> {
        iter::empty()
    }

    fn build(
        &mut self,
        world: &mut World,
        graph: &mut ScheduleGraph,
        _dependency_flattened: FlattenedDependencies<'_>,
    ) -> Result<(), ScheduleBuildError> {
        self.tag_systems(world, graph);
        self.tag_set_conditions(graph);
        if let Some(mut tagged) = world.get_resource_mut::<TaggedSchedules>() {
            tagged.building.insert(self.label);
        }
        Ok(())
    }
}

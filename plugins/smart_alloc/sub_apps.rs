//! Allocators and frames of sub-apps, of which the renderer is the one that matters.
//!
//! With pipelined rendering, the renderer works on frame N while the main world simulates frame N + 1, and each lends
//! its threads to the other. So a sub-app has an allocator, hence arenas, of its own.
//!
//! A sub-app's frame turns over when Bevy extracts into it: nothing of the sub-app runs then, on any thread, and the
//! extraction itself is already part of the new frame. Schedule `Render` would be the wrong place, because Bevy skips
//! it while the renderer is not ready.
//!
//! Invariant: a world's frames are turned over by exactly one extraction, however often `install` visits it.

use bevy_app::{App, InternedAppLabel, SubApp};
use bevy_ecs::prelude::*;

use super::frames::FrameBoundary;
use super::{AllocResource, SmartAllocPlugin, system_tags};

/// The allocators of an app's sub-apps, as a resource of its main world: with pipelined rendering the renderer's world is on
/// another thread, out of the main world's reach.
///
/// ```
/// use bevy_ecs::prelude::*;
/// use framealloc::bevy::SubAppAllocs;
///
/// fn report(sub_apps: Res<SubAppAllocs>) {
///     for (name, alloc) in sub_apps.iter() {
///         println!("{name}: {}", alloc.stats());
///     }
/// }
/// ```
#[derive(Resource, Clone, Debug, Default)]
pub struct SubAppAllocs(Vec<(String, AllocResource)>);

impl SubAppAllocs {
    /// The name of each sub-app that runs systems, and its allocator.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &AllocResource)> {
        self.0.iter().map(|(name, alloc)| (name.as_str(), alloc))
    }

    /// The allocator of the sub-app of this name: `RenderApp` for the renderer.
    pub fn get(&self, name: &str) -> Option<&AllocResource> {
        self.iter()
            .find_map(|(known, alloc)| (known == name).then_some(alloc))
    }
}

/// Visits each sub-app that runs a schedule and has not been visited. A sub-app without an update schedule has no
/// systems to serve.
pub(super) fn install(app: &mut App, plugin: &SmartAllocPlugin) {
    let mut made = Vec::new();
    for (label, sub_app) in &mut app.sub_apps_mut().sub_apps {
        if sub_app.update_schedule.is_some()
            && !sub_app.world().contains_resource::<FrameBoundary>()
        {
            made.push((name(*label), install_in(sub_app, plugin)));
        }
    }
    // The order of a hash map is none.
    made.sort_by(|(a, _), (b, _)| a.cmp(b));
    let mut known = app.world_mut().get_resource_or_init::<SubAppAllocs>();
    known.0.extend(made);
}

fn name(label: InternedAppLabel) -> String {
    format!("{label:?}")
}

fn install_in(sub_app: &mut SubApp, plugin: &SmartAllocPlugin) -> AllocResource {
    let world = sub_app.world_mut();
    let mut alloc = world
        .remove_resource::<AllocResource>()
        .unwrap_or_else(|| AllocResource::new(plugin.make_alloc()));
    let boundary = FrameBoundary::take_over(&mut alloc).unwrap_or_else(|error| {
        panic!("SmartAllocPlugin cannot drive the frames of a sub-app, which needs an allocator of its own: {error}")
    });
    world.insert_resource(alloc.clone());
    world.insert_resource(boundary);
    system_tags::install_in_world(world);

    let mut extract = sub_app.take_extract();
    sub_app.set_extract(move |main_world, world| {
        turn_frame_over(world);
        system_tags::attach_where_missing(world);
        if let Some(extract) = &mut extract {
            extract(main_world, world);
        }
    });
    alloc
}

fn turn_frame_over(world: &mut World) {
    world.resource_scope(|world, mut boundary: Mut<FrameBoundary>| {
        let mut alloc = world.resource_mut::<AllocResource>();
        boundary
            .open(alloc.bypass_change_detection())
            .unwrap_or_else(|error| {
                panic!(
                    "the sub-app's AllocResource was replaced by one that cannot be used: {error}"
                )
            });
    });
}

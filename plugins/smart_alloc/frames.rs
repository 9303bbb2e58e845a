//! When a world's frames open and close.
//!
//! The main world's frame is bracketed in schedule `Main`, around `Main::run_main`. That covers Startup and any
//! schedule that a game puts around First and Last, which systems in First and Last would not.
//!
//! Opening and closing takes `ResMut<AllocResource>`. Whoever allocates reads that resource, so Bevy's own access
//! check proves that no system of the world is allocating while a frame turns over.
//!
//! Invariants: the boundary's token belongs to the allocator in the resource, except between a game's replacing the
//! resource and the next opening; `completed` grows by one with each frame that was opened and closed.

use bevy_app::{App, AppLabel, Main, SubApp};
use bevy_ecs::prelude::*;

use super::reports::{self, MissingHook};
use super::resource::{AllocIdentity, AllocResource};
use crate::{FrameError, SharedFrames};

/// The ends of a frame, as system sets of schedule [`Main`](bevy_app::Main).
///
/// Everything that Bevy runs in an update, from the first run of `Startup` to `Last`, is between the two. Order a
/// system of `Main` against them to make it part of the frame, or to keep it out:
///
/// ```
/// use bevy_app::{App, Main};
/// use bevy_ecs::prelude::*;
/// use framealloc::bevy::{AllocResource, SmartAllocPlugin, SmartAllocSystems};
///
/// fn between_frames(alloc: Res<AllocResource>) {
///     println!("{:?}", alloc.stats());
/// }
///
/// App::new()
///     .add_plugins(SmartAllocPlugin)
///     .add_systems(Main, between_frames.after(SmartAllocSystems::EndFrame))
///     .update();
/// ```
#[derive(SystemSet, Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SmartAllocSystems {
    /// Opens the frame, before `Main::run_main`.
    BeginFrame,
    /// Closes the frame, after `Main::run_main`.
    EndFrame,
}

/// The right to open and close the frames of a world's allocator.
#[derive(Resource, Debug)]
pub(super) struct FrameBoundary {
    frames: SharedFrames,
    owner: AllocIdentity,
    completed: u64,
}

impl FrameBoundary {
    /// Takes over the frames of `alloc`. Fails when someone else drives them.
    pub(super) fn take_over(alloc: &mut AllocResource) -> Result<Self, FrameError> {
        let frames = alloc.shared_frames()?;
        alloc.set_has_frames();
        Ok(Self {
            frames,
            owner: alloc.identity(),
            completed: 0,
        })
    }

    /// Opens a frame of `alloc`. Closes the last one first, should its update not have done so.
    pub(super) fn open(&mut self, alloc: &mut AllocResource) -> Result<(), FrameError> {
        self.close();
        if self.owner != alloc.identity() {
            let completed = self.completed;
            *self = Self::take_over(alloc)?;
            self.completed = completed;
        }
        self.frames.begin()
    }

    /// Closes the frame, if one is open.
    pub(super) fn close(&mut self) {
        if self.frames.end().is_ok() {
            self.completed += 1;
        }
    }
}

/// Brackets the main world's updates and watches that the brackets run.
pub(super) fn install(app: &mut App) {
    let mut alloc = app.world_mut().resource_mut::<AllocResource>();
    let boundary = FrameBoundary::take_over(&mut alloc)
        .unwrap_or_else(|error| panic!("SmartAllocPlugin cannot drive this app's frames: {error}"));
    app.insert_resource(boundary)
        .configure_sets(
            Main,
            (
                SmartAllocSystems::BeginFrame.before(Main::run_main),
                SmartAllocSystems::EndFrame.after(Main::run_main),
            ),
        )
        .add_systems(
            Main,
            (
                begin_frame.in_set(SmartAllocSystems::BeginFrame),
                end_frame.in_set(SmartAllocSystems::EndFrame),
            ),
        );
    watch_hooks(app);
}

// Changing frames is no change of the resource that a game should see: change detection is bypassed.
fn begin_frame(
    mut alloc: ResMut<AllocResource>,
    mut boundary: ResMut<FrameBoundary>,
) -> Result<(), BevyError> {
    boundary.open(alloc.bypass_change_detection())?;
    Ok(())
}

fn end_frame(_nobody_allocates: ResMut<AllocResource>, mut boundary: ResMut<FrameBoundary>) {
    boundary.close();
}

/// Label of the sub-app whose extraction is the watch.
#[derive(AppLabel, Debug, Clone, PartialEq, Eq, Hash)]
struct FrameWatch;

/// Reports FA102 for an update in which no frame was opened and closed.
///
/// A system cannot be the watch, since what goes wrong is that the schedule with the hooks does not run. Bevy extracts
/// each sub-app once an update, after the main world's schedule whichever that is, so a sub-app without schedules is.
fn watch_hooks(app: &mut App) {
    let mut watch = SubApp::new();
    let mut seen = 0;
    let mut reported = false;
    watch.set_extract(move |main_world, _| {
        let Some(boundary) = main_world.get_resource::<FrameBoundary>() else {
            return;
        };
        let missing = if boundary.frames.is_open() {
            Some(MissingHook::End)
        } else if boundary.completed == seen {
            Some(MissingHook::Begin)
        } else {
            None
        };
        seen = boundary.completed;
        if let Some(hook) = missing
            && !reported
        {
            reports::frame_hook_missing(hook);
        }
        reported = missing.is_some();
    });
    app.insert_sub_app(FrameWatch, watch);
}

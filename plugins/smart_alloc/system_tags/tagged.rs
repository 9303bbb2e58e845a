//! The wrapper that sets the thread's tag while a system runs.
//!
//! It is the system that it wraps in everything that Bevy can ask: name, type, flags, access, sets, ticks. The tag is
//! set around the body and around the application of what the body deferred, and given back when either ends, by a
//! panic too; so a schedule that runs inside another, or a system that a waiting thread picks up, is charged to
//! itself, and what surrounds it to its own.
//!
//! Bevy has every system that ran apply what it deferred, though most defer nothing. That is passed on without a tag.
//!
//! Invariant: the system inside is initialised before it is wrapped.

use std::any::TypeId;

use bevy_ecs::change_detection::{CheckChangeTicks, Tick};
use bevy_ecs::prelude::*;
use bevy_ecs::query::FilteredAccessSet;
use bevy_ecs::schedule::InternedSystemSet;
use bevy_ecs::system::{ReadOnlySystem, RunSystemError, System, SystemIn, SystemStateFlags};
use bevy_ecs::world::DeferredWorld;
use bevy_ecs::world::unsafe_world_cell::UnsafeWorldCell;
use bevy_utils::prelude::DebugName;

use super::known;
use crate::tags::{TagId, TagScope};

/// It is small: in an app of a thousand systems, what a wrapper costs is the cache line that it lies in.
pub(super) struct Tagged<S: ?Sized> {
    system: Box<S>,
    tag: TagId,
    defers: bool,
}

/// The tag that a system's name is.
pub(super) fn tag_of<S: System + ?Sized>(system: &S) -> TagId {
    let tag = TagId::from_path(&system.name().to_string());
    known::note(tag);
    tag
}

impl<S: System + ?Sized> Tagged<S> {
    /// Wraps an initialised system.
    pub(super) fn new(system: Box<S>, tag: TagId) -> Self {
        Self {
            defers: system.has_deferred(),
            system,
            tag,
        }
    }
}

impl<S: System + ?Sized> System for Tagged<S> {
    type In = S::In;
    type Out = S::Out;

    fn name(&self) -> DebugName {
        self.system.name()
    }

    fn system_type(&self) -> TypeId {
        self.system.system_type()
    }

    fn flags(&self) -> SystemStateFlags {
        self.system.flags()
    }

    #[inline]
    #[expect(unsafe_code, reason = "running a system is unsafe")]
    unsafe fn run_unsafe(
        &mut self,
        input: SystemIn<'_, Self>,
        world: UnsafeWorldCell,
    ) -> Result<S::Out, RunSystemError> {
        let _tag = TagScope::enter(self.tag);
        // SAFETY: access, flags and world are those of the system inside, so what the caller vouches for this system
        // it vouches for that one.
        unsafe { self.system.run_unsafe(input, world) }
    }

    #[cfg(feature = "hotpatching")]
    fn refresh_hotpatch(&mut self) {
        self.system.refresh_hotpatch();
    }

    #[inline]
    fn apply_deferred(&mut self, world: &mut World) {
        if !self.defers {
            return self.system.apply_deferred(world);
        }
        let _tag = TagScope::enter(self.tag);
        self.system.apply_deferred(world);
    }

    fn queue_deferred(&mut self, world: DeferredWorld) {
        let _tag = TagScope::enter(self.tag);
        self.system.queue_deferred(world);
    }

    /// Initialises the system inside a second time, to learn its access again.
    fn initialize(&mut self, world: &mut World) -> FilteredAccessSet {
        if self.system.is_exclusive() {
            // It would lose its `Local`s. Its access is the whole world, which Bevy knows from its flags.
            return FilteredAccessSet::new();
        }
        // Parameters keep their state, but the system would forget when it last ran, and see old changes again.
        let last_run = self.system.get_last_run();
        let access = self.system.initialize(world);
        self.system.set_last_run(last_run);
        access
    }

    fn check_change_tick(&mut self, check: CheckChangeTicks) {
        self.system.check_change_tick(check);
    }

    fn default_system_sets(&self) -> Vec<InternedSystemSet> {
        self.system.default_system_sets()
    }

    fn get_last_run(&self) -> Tick {
        self.system.get_last_run()
    }

    fn set_last_run(&mut self, last_run: Tick) {
        self.system.set_last_run(last_run);
    }
}

// SAFETY: the system inside is read-only, and setting a tag writes nothing of the world.
#[expect(unsafe_code, reason = "`ReadOnlySystem` is an unsafe trait")]
unsafe impl<S: ReadOnlySystem + ?Sized> ReadOnlySystem for Tagged<S> {}

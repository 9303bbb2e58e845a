//! [`FrameAlloc`]: frame memory as a system parameter.
//!
//! Bevy fetches a system's parameters and runs its body in one call on one thread, so the guard that is opened on
//! fetching looks its arena up once and is good for the whole run. The guard is neither `Send` nor `Sync`: the
//! compiler refuses to let it into a parallel closure, a task or a command.
//!
//! Invariants: the parameter reads `AllocResource` and declares just that; the thread's tag is the system's from the
//! fetch to the drop of the parameter.

use std::fmt;
use std::ops::Deref;

use bevy_ecs::change_detection::Tick;
use bevy_ecs::component::ComponentId;
use bevy_ecs::prelude::*;
use bevy_ecs::query::FilteredAccessSet;
use bevy_ecs::system::{ReadOnlySystemParam, SystemMeta, SystemParam, SystemParamValidationError};
use bevy_ecs::world::unsafe_world_cell::UnsafeWorldCell;

use super::shared::SharedFrameAlloc;
use super::{AllocResource, reports};
use crate::tags::{TagId, TagScope};
use crate::{Frame, SmartAlloc};

/// Frame memory for a system: a [`Frame`] guard that opens when the system starts and closes when it returns.
///
/// What a system takes from it costs a few instructions, is charged to the system, and is reused, still warm in the
/// cache, by the next system on the same thread. There is nothing to set up, to clear or to free.
///
/// ```
/// use bevy_app::{App, Update};
/// use bevy_ecs::prelude::*;
/// use framealloc::bevy::{FrameAlloc, SmartAllocPlugin};
///
/// #[derive(Component)]
/// struct Health(u32);
///
/// fn report_the_weak(frame: FrameAlloc, agents: Query<(Entity, &Health)>) {
///     let mut weak = frame.vec();
///     weak.extend(agents.iter().filter(|(_, health)| health.0 < 10).map(|(agent, _)| agent));
///     for agent in &weak {
///         println!("{agent} needs help");
///     }
/// }
///
/// App::new().add_plugins(SmartAllocPlugin).add_systems(Update, report_the_weak).update();
/// ```
///
/// Memory from it cannot leave the system: not in a `Local`, not through `Commands`, not into a task. In
/// `par_iter` and other parallel closures, use [`FrameAlloc::shared`].
///
/// # Errors
///
/// In a world without [`SmartAllocPlugin`](struct@super::SmartAllocPlugin) the system fails with FA101, as it does for any
/// missing resource. With an [`AllocResource`] but without the plugin it runs, and FA101 is reported.
///
/// # Panics
///
/// When the system has no memory left to open the guard with (FA005).
pub struct FrameAlloc<'w> {
    frame: Frame<'w>,
    alloc: &'w SmartAlloc,
    tag: TagId,
    _charge: Option<TagScope>,
}

impl<'w> FrameAlloc<'w> {
    /// A handle for closures that run on other threads. What they allocate through it is charged to this system.
    ///
    /// ```
    /// use bevy_app::{App, Update};
    /// use bevy_ecs::prelude::*;
    /// use framealloc::bevy::{FrameAlloc, SmartAllocPlugin};
    ///
    /// #[derive(Component)]
    /// struct Position(f32);
    ///
    /// fn steer(frame: FrameAlloc, mut agents: Query<&mut Position>) {
    ///     let shared = frame.shared();
    ///     agents.par_iter_mut().for_each(|mut position| {
    ///         let frame = shared.frame();
    ///         let candidates = frame.alloc_slice_fill_with(8, |i| position.0 + i as f32);
    ///         position.0 = candidates[3];
    ///     });
    /// }
    ///
    /// App::new().add_plugins(SmartAllocPlugin).add_systems(Update, steer).update();
    /// ```
    pub fn shared(&self) -> SharedFrameAlloc<'w> {
        SharedFrameAlloc::new(self.alloc, self.tag)
    }

    /// The tag that this memory is charged to: the system's.
    pub fn tag(&self) -> TagId {
        self.tag
    }
}

impl<'w> Deref for FrameAlloc<'w> {
    type Target = Frame<'w>;

    fn deref(&self) -> &Frame<'w> {
        &self.frame
    }
}

impl fmt::Debug for FrameAlloc<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FrameAlloc")
            .field("tag", &self.tag.path())
            .finish_non_exhaustive()
    }
}

/// What a system keeps for its [`FrameAlloc`] from run to run.
#[derive(Debug)]
pub struct FrameAllocState {
    resource: ComponentId,
    charge_to: Option<ChargeTo>,
    reported: bool,
}

/// Whom a [`FrameAlloc`] charges, decided at its first fetch: a parameter learns its system's name no earlier.
#[derive(Debug, Clone, Copy)]
enum ChargeTo {
    System(TagId),
    /// Parameters fetched through a `SystemState` carry no system's name but a type's.
    CurrentTag,
}

impl ChargeTo {
    fn decide(meta: &SystemMeta) -> Self {
        let name = meta.name().to_string();
        if name.starts_with('(') || name.starts_with(std::any::type_name::<FrameAlloc<'static>>()) {
            Self::CurrentTag
        } else {
            Self::System(TagId::from_path(&name))
        }
    }
}

// SAFETY: `init_access` and `get_param` hand the state of a `Res<AllocResource>` to that parameter, which registers
// the one read that is made; nothing else of the world is touched.
#[expect(unsafe_code, reason = "`SystemParam` is an unsafe trait")]
unsafe impl SystemParam for FrameAlloc<'_> {
    type State = FrameAllocState;
    type Item<'world, 'state> = FrameAlloc<'world>;

    fn init_state(world: &mut World) -> FrameAllocState {
        FrameAllocState {
            resource: Res::<AllocResource>::init_state(world),
            charge_to: None,
            reported: false,
        }
    }

    fn init_access(
        state: &FrameAllocState,
        meta: &mut SystemMeta,
        access: &mut FilteredAccessSet,
        world: &mut World,
    ) {
        Res::<AllocResource>::init_access(&state.resource, meta, access, world);
    }

    #[inline]
    unsafe fn get_param<'world>(
        state: &mut FrameAllocState,
        meta: &SystemMeta,
        world: UnsafeWorldCell<'world>,
        change_tick: Tick,
    ) -> Result<FrameAlloc<'world>, SystemParamValidationError> {
        // SAFETY: the caller grants the access that `init_access` registered, which is this parameter's.
        let resource = unsafe {
            Res::<AllocResource>::get_param(&mut state.resource, meta, world, change_tick)
        };
        let resource = resource.ok().map(Res::into_inner);
        if !resource.is_some_and(AllocResource::has_frames) && !state.reported {
            state.reported = true;
            reports::system_without_plugin(&meta.name().to_string());
        }
        let resource = resource
            .ok_or_else(|| SystemParamValidationError::invalid::<Self>(reports::no_allocator()))?;
        let charge_to = *state
            .charge_to
            .get_or_insert_with(|| ChargeTo::decide(meta));
        let current = TagId::current();
        let tag = match charge_to {
            ChargeTo::System(tag) => tag,
            ChargeTo::CurrentTag => current,
        };
        Ok(FrameAlloc {
            _charge: (tag != current).then(|| TagScope::enter(tag)),
            frame: resource.frame(),
            alloc: resource,
            tag,
        })
    }
}

// SAFETY: the parameter reads one resource and writes nothing of the world; the allocator has its own locks.
#[expect(unsafe_code, reason = "`ReadOnlySystemParam` is an unsafe trait")]
unsafe impl ReadOnlySystemParam for FrameAlloc<'_> {}

//! [`AllocResource`]: the allocator of one world.
//!
//! It keeps, beside the handle, which allocator it is: whoever drives the frames notices when a game replaces the
//! resource, and moves over to the new one.

use std::ops::Deref;
use std::sync::atomic::{AtomicU64, Ordering};

use bevy_ecs::prelude::*;
use bevy_reflect::Reflect;

use crate::SmartAlloc;

/// The allocator of a world. Derefs to [`SmartAlloc`]; clones share one allocator.
///
/// A system that needs scratch memory asks for [`FrameAlloc`](super::FrameAlloc) instead. This resource is for what
/// a frame guard does not do: pools, statistics, boxes that live until the frame ends.
///
/// ```
/// use bevy_app::{App, Update};
/// use bevy_ecs::prelude::*;
/// use framealloc::bevy::{AllocResource, SmartAllocPlugin};
///
/// fn remember(alloc: Res<AllocResource>) {
///     let position = alloc.frame_box([1.0_f32, 2.0]).unwrap();
///     assert_eq!(position[1], 2.0);
/// }
///
/// App::new().add_plugins(SmartAllocPlugin).add_systems(Update, remember).update();
/// ```
///
/// Two apps, or an app and code outside Bevy, may share pools by inserting clones of one allocator, but only one of
/// them can drive its shared frames.
#[derive(Resource, Reflect, Clone, Debug)]
#[reflect(opaque)]
#[reflect(Resource, Clone, Debug)]
pub struct AllocResource {
    alloc: SmartAlloc,
    identity: AllocIdentity,
    has_frames: bool,
}

/// Tells allocators apart. Clones of a resource have the same one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::bevy) struct AllocIdentity(u64);

impl AllocResource {
    /// Wraps an allocator. [`SmartAllocPlugin`](struct@super::SmartAllocPlugin) does this by itself; insert one before the
    /// plugin to have it use this allocator.
    pub fn new(alloc: SmartAlloc) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self {
            alloc,
            identity: AllocIdentity(NEXT.fetch_add(1, Ordering::Relaxed)),
            has_frames: false,
        }
    }

    pub(in crate::bevy) fn identity(&self) -> AllocIdentity {
        self.identity
    }

    /// Whether a plugin opens and closes frames for this resource.
    pub(super) fn has_frames(&self) -> bool {
        self.has_frames
    }

    pub(super) fn set_has_frames(&mut self) {
        self.has_frames = true;
    }
}

impl Deref for AllocResource {
    type Target = SmartAlloc;

    fn deref(&self) -> &SmartAlloc {
        &self.alloc
    }
}

//! Snapshots: files for tools that ask, and for code that does.

use std::ops::Deref;

use bevy_ecs::prelude::*;
use bevy_platform::time::Instant;

use crate::bevy::AllocResource;
use crate::{SnapshotConfig, SnapshotEmitter};

/// What writes the app's snapshots. Derefs to [`SnapshotEmitter`]: turn it on and off, see where the files go, wait for them.
///
/// Insert one of your own to write elsewhere; remove it to write none.
#[derive(Resource, Debug)]
pub struct Snapshots(SnapshotEmitter);

impl Snapshots {
    /// Writes as `config` says.
    pub fn new(config: SnapshotConfig) -> Self {
        Self(SnapshotEmitter::new(config))
    }
}

impl Deref for Snapshots {
    type Target = SnapshotEmitter;

    fn deref(&self) -> &SnapshotEmitter {
        &self.0
    }
}

/// A message that asks for a snapshot: one is written when the frame has ended, or as soon after that as
/// [`min_interval`](SnapshotConfig::min_interval) allows. Any number of requests in the meantime get one.
#[derive(Message, Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SnapshotRequest;

pub(super) fn emit(
    snapshots: Res<Snapshots>,
    alloc: Res<AllocResource>,
    mut requests: MessageReader<SnapshotRequest>,
    mut is_asked: Local<bool>,
) {
    *is_asked |= requests.read().count() != 0;
    if *is_asked {
        *is_asked = !snapshots.emit_at(Instant::now(), || alloc.snapshot());
    } else {
        snapshots.maybe_emit_from(&alloc);
    }
}

//! Borrowing a ready stream.

use core::sync::atomic::Ordering::Relaxed;

use super::call::Call;
use super::guard::{StreamGuard, StreamGuardMut};
use super::ledger::Shared;
use super::{StreamError, StreamErrorKind, StreamId};
use crate::allocators::streams::{Phase, Slot, View};

#[inline]
pub(super) fn read(streams: &Shared, id: StreamId) -> Result<StreamGuard<'_>, StreamError> {
    loop {
        let read = match is_ours(streams, id) {
            true => streams.read(id.index(), id.generation()),
            false => Err(None),
        };
        match read {
            Ok(bytes) => {
                touch(streams, bytes.slot());
                return Ok(StreamGuard { bytes, id });
            }
            Err(view) => wait_for_claim(streams, "access", id, view)?,
        }
    }
}

#[inline]
pub(super) fn write(streams: &Shared, id: StreamId) -> Result<StreamGuardMut<'_>, StreamError> {
    loop {
        let written = match is_ours(streams, id) {
            true => streams.write(id.index(), id.generation()),
            false => Err(None),
        };
        match written {
            Ok(bytes) => {
                touch(streams, bytes.slot());
                return Ok(StreamGuardMut { bytes, id });
            }
            Err(view) => wait_for_claim(streams, "access_mut", id, view)?,
        }
    }
}

#[inline]
fn is_ours(streams: &Shared, id: StreamId) -> bool {
    id.allocator() == streams.ledger().id
}

#[inline]
fn touch(streams: &Shared, slot: &Slot) {
    let ledger = streams.ledger();
    slot.touch(&ledger.clock, ledger.frame.load(Relaxed));
}

/// Returns once an eviction that considers the stream has decided; any other hindrance is the error.
#[cold]
#[inline(never)]
fn wait_for_claim(
    streams: &Shared,
    name: &'static str,
    id: StreamId,
    view: Option<View>,
) -> Result<(), StreamError> {
    let call = Call { name, id };
    call.slot(streams)?;
    match view.filter(|now| now.generation() == id.generation()) {
        Some(now) if now.phase() == Phase::Claimed => {
            drop(streams.ledger().accounts.lock());
            Ok(())
        }
        Some(now) if now.phase() == Phase::Ready => Err(call.refused(StreamErrorKind::InUse, None)),
        now => Err(call.unfit(now)),
    }
}

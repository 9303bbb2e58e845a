//! Borrowing a ready stream.

use core::sync::atomic::Ordering::Relaxed;

use super::call::Call;
use super::guard::{StreamGuard, StreamGuardMut};
use super::ledger::Shared;
use super::{StreamError, StreamErrorKind, StreamId};
use crate::allocators::streams::{Phase, Slot, View};

#[inline]
pub(super) fn read(streams: &Shared, id: StreamId) -> Result<StreamGuard<'_>, StreamError> {
    let call = Call { name: "access", id };
    let slot = call.slot(streams)?;
    loop {
        match streams.read(id.index(), id.generation()) {
            Ok(bytes) => {
                touch(streams, slot);
                return Ok(StreamGuard { bytes, id });
            }
            Err(view) => wait_for_claim(streams, call, view)?,
        }
    }
}

#[inline]
pub(super) fn write(streams: &Shared, id: StreamId) -> Result<StreamGuardMut<'_>, StreamError> {
    let call = Call {
        name: "access_mut",
        id,
    };
    let slot = call.slot(streams)?;
    loop {
        match streams.write(id.index(), id.generation()) {
            Ok(bytes) => {
                touch(streams, slot);
                return Ok(StreamGuardMut { bytes, id });
            }
            Err(view) => wait_for_claim(streams, call, view)?,
        }
    }
}

#[inline]
fn touch(streams: &Shared, slot: &Slot) {
    let ledger = streams.ledger();
    slot.touch(&ledger.clock, ledger.frame.load(Relaxed));
}

/// Returns once an eviction that considers the stream has decided; any other hindrance is the error.
#[cold]
fn wait_for_claim(streams: &Shared, call: Call, view: Option<View>) -> Result<(), StreamError> {
    let Some(now) = view.filter(|now| now.generation() == call.id.generation()) else {
        return Err(call.refused(StreamErrorKind::UnknownStream, None));
    };
    match now.phase() {
        Phase::Claimed => {
            drop(streams.ledger().accounts.lock());
            Ok(())
        }
        Phase::Ready => Err(call.refused(StreamErrorKind::InUse, None)),
        _ => Err(call.unfit(view)),
    }
}

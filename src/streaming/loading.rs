//! A stream's way from reserved to ready, and its end.

use super::call::Call;
use super::ledger::{Shared, free};
use super::{StreamError, StreamErrorKind, StreamId, StreamState};

/// Makes a loading stream ready: at once if it is whole and its writer is not at the bytes, or as soon as that is so.
pub(super) fn finish(streams: &Shared, id: StreamId) -> Result<(), StreamError> {
    let call = Call {
        name: "finish_load",
        id,
    };
    let mut accounts = streams.ledger().accounts.lock();
    let (slot, state) = accounts.live(streams, call)?;
    match state {
        StreamState::Ready => Ok(()),
        StreamState::Loading => {
            slot.ask_end(id.generation())
                .map_err(|view| call.unfit(Some(view)))?;
            if slot.is_whole() {
                // If the writer is at the bytes, it settles this when it lets go.
                let _ = accounts.finish(streams, id.index(), id.generation());
            }
            Ok(())
        }
        StreamState::Reserved | StreamState::Evicting => {
            Err(call.refused(StreamErrorKind::WrongState, Some(state)))
        }
    }
}

/// Counts bytes of a loading stream as loaded. Whether it is loading.
pub(super) fn report(streams: &Shared, id: StreamId, loaded: usize) -> bool {
    let call = Call {
        name: "report_progress",
        id,
    };
    let mut accounts = streams.ledger().accounts.lock();
    let Ok((slot, StreamState::Loading)) = accounts.live(streams, call) else {
        return false;
    };
    streams.raise_loaded(slot, loaded);
    if slot.view().is_ending() && slot.is_whole() {
        let _ = accounts.finish(streams, id.index(), id.generation());
    }
    true
}

/// Frees a stream, now or when it is used no longer.
pub(super) fn remove(
    streams: &Shared,
    name: &'static str,
    id: StreamId,
) -> Result<(), StreamError> {
    let call = Call { name, id };
    let block = streams.ledger().accounts.lock().remove(streams, call)?;
    if let Some(block) = block {
        free(streams, id.index(), id.generation(), block);
    }
    Ok(())
}

/// Frees a stream that is not ready yet.
pub(super) fn cancel(streams: &Shared, id: StreamId) -> Result<(), StreamError> {
    let call = Call { name: "cancel", id };
    let block = {
        let mut accounts = streams.ledger().accounts.lock();
        let (_, state) = accounts.live(streams, call)?;
        if state == StreamState::Ready {
            return Err(call.refused(StreamErrorKind::WrongState, Some(state)));
        }
        accounts.remove(streams, call)?
    };
    if let Some(block) = block {
        free(streams, id.index(), id.generation(), block);
    }
    Ok(())
}

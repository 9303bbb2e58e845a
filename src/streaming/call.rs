//! Which stream a call is about, and how it is refused.

use super::StreamErrorKind::{self, ForeignStream, UnknownStream, WrongState};
use super::ledger::Shared;
use super::{StreamError, StreamId, StreamState};
use crate::allocators::streams::{Phase, Slot, View};

/// A stream, and the method that was called for it.
#[derive(Clone, Copy)]
pub(super) struct Call {
    pub(super) name: &'static str,
    pub(super) id: StreamId,
}

impl Call {
    #[cold]
    pub(super) fn refused(self, kind: StreamErrorKind, state: Option<StreamState>) -> StreamError {
        StreamError::stream(kind, self.name, self.id, state)
    }

    /// A refusal because the stream is not as the call needs it.
    #[cold]
    pub(super) fn unfit(self, view: Option<View>) -> StreamError {
        match view.and_then(|view| StreamState::of(view, self.id.generation())) {
            Some(state) => self.refused(WrongState, Some(state)),
            None => self.refused(UnknownStream, None),
        }
    }

    pub(super) fn slot(self, streams: &Shared) -> Result<&Slot, StreamError> {
        if self.id.allocator() != streams.ledger().id {
            return Err(self.refused(ForeignStream, None));
        }
        streams
            .slots()
            .get(self.id.index())
            .ok_or_else(|| self.refused(UnknownStream, None))
    }

    /// How far the stream is. A claim is waited for. Not for callers who hold the lock.
    pub(super) fn state(self, streams: &Shared) -> Result<StreamState, StreamError> {
        let slot = self.slot(streams)?;
        let mut view = slot.view();
        if view.phase() == Phase::Claimed {
            let _decided = streams.ledger().accounts.lock();
            view = slot.view();
        }
        StreamState::of(view, self.id.generation()).ok_or_else(|| self.refused(UnknownStream, None))
    }
}

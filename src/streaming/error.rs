//! Why a stream was refused.

use core::error::Error;
use core::fmt;
use std::io;

use super::{StreamId, StreamPriority, StreamState};
use crate::diagnostics::{self, DiagnosticCode};
use crate::error::{AllocError, AllocErrorKind};
use crate::tags::TagId;

/// Why a call for a stream was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StreamErrorKind {
    /// The stream was freed, cancelled or evicted (FA401).
    UnknownStream,
    /// The stream belongs to another allocator (FA401).
    ForeignStream,
    /// The stream is too far, or not far enough, for the call (FA401).
    WrongState,
    /// The stream's bytes are borrowed in a way that shuts the call out (FA405).
    InUse,
    /// The stream is not pinned (FA401).
    NotPinned,
    /// The budget is used up, and what may be evicted would not make enough room (FA402).
    BudgetExhausted,
    /// The size cannot be represented (FA004).
    SizeOverflow,
    /// The system has no more memory (FA005).
    OutOfMemory,
    /// The allocator's memory limit is reached (FA301).
    GlobalBudget,
    /// The hard limit of the tag, or of a tag above it, is reached (FA302).
    TagBudget,
    /// The thread's budget is reached (FA303).
    ThreadBudget,
}

impl StreamErrorKind {
    /// Whether a budget refused, the streaming budget or another.
    pub const fn is_budget(self) -> bool {
        matches!(
            self,
            Self::BudgetExhausted | Self::GlobalBudget | Self::TagBudget | Self::ThreadBudget
        )
    }

    /// The diagnostic code.
    pub const fn code(self) -> DiagnosticCode {
        match self {
            Self::UnknownStream | Self::ForeignStream | Self::WrongState | Self::NotPinned => {
                DiagnosticCode::FA401
            }
            Self::InUse => DiagnosticCode::FA405,
            Self::BudgetExhausted => DiagnosticCode::FA402,
            Self::SizeOverflow => DiagnosticCode::FA004,
            Self::OutOfMemory => DiagnosticCode::FA005,
            Self::GlobalBudget => DiagnosticCode::FA301,
            Self::TagBudget => DiagnosticCode::FA302,
            Self::ThreadBudget => DiagnosticCode::FA303,
        }
    }

    /// What to do about it.
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::UnknownStream => {
                "reserve and load the asset again, or pin what must not be evicted"
            }
            Self::ForeignStream => "ask the allocator that the stream was reserved from",
            Self::WrongState => {
                "reserve, `begin_load`, finish the writer, access, in this order; `state()` tells how far a stream is"
            }
            Self::InUse => "drop the guards of the stream first",
            Self::NotPinned => "unpin a stream as often as it was pinned",
            _ => self.code().info().remedy,
        }
    }
}

impl From<AllocErrorKind> for StreamErrorKind {
    fn from(kind: AllocErrorKind) -> Self {
        match kind {
            AllocErrorKind::CapacityOverflow => Self::SizeOverflow,
            AllocErrorKind::GlobalBudget => Self::GlobalBudget,
            AllocErrorKind::TagBudget => Self::TagBudget,
            AllocErrorKind::ThreadBudget => Self::ThreadBudget,
            // The others are those of frame arenas and scratch pools, which no stream is taken from.
            AllocErrorKind::OutOfMemory
            | AllocErrorKind::NoFrame
            | AllocErrorKind::ArenaExhausted
            | AllocErrorKind::ScratchPoolFull => Self::OutOfMemory,
        }
    }
}

/// A refused call: what was asked, of which stream, and what to do about it.
///
/// Nothing has changed in the allocator, unless the call says otherwise.
///
/// ```
/// use framealloc::{StreamErrorKind, StreamPriority, StreamingAllocator};
///
/// let streaming = StreamingAllocator::new(1000);
/// let pinned = streaming.reserve(600, StreamPriority::High)?;
/// let error = streaming.reserve(700, StreamPriority::High).unwrap_err();
/// assert_eq!(error.kind(), StreamErrorKind::BudgetExhausted);
/// assert_eq!((error.requested(), error.available(), error.evictable()), (700, 400, 0));
/// assert_eq!(error.code().name(), "FA402");
/// # let _ = pinned;
/// # Ok::<(), framealloc::StreamError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct StreamError {
    kind: StreamErrorKind,
    subject: Subject,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Subject {
    Stream {
        /// The method.
        call: &'static str,
        id: StreamId,
        state: Option<StreamState>,
    },
    Request {
        tag: TagId,
        priority: StreamPriority,
        requested: usize,
        available: usize,
        evictable: usize,
    },
}

impl StreamError {
    pub(super) fn stream(
        kind: StreamErrorKind,
        call: &'static str,
        id: StreamId,
        state: Option<StreamState>,
    ) -> Self {
        let subject = Subject::Stream { call, id, state };
        Self { kind, subject }
    }

    /// A reservation that does not fit. Reports it.
    #[cold]
    pub(super) fn exhausted(
        tag: TagId,
        priority: StreamPriority,
        requested: usize,
        available: usize,
        evictable: usize,
    ) -> Self {
        let error = Self {
            kind: StreamErrorKind::BudgetExhausted,
            subject: Subject::Request {
                tag,
                priority,
                requested,
                available,
                evictable,
            },
        };
        diagnostics::report(error.code(), format_args!("{}", Message(&error)));
        error
    }

    /// A reservation that found no memory, which has been reported.
    #[cold]
    pub(super) fn no_memory(error: AllocError, priority: StreamPriority, requested: usize) -> Self {
        Self {
            kind: error.kind().into(),
            subject: Subject::Request {
                tag: error.tag(),
                priority,
                requested,
                available: error.available(),
                evictable: 0,
            },
        }
    }

    /// Why.
    pub fn kind(&self) -> StreamErrorKind {
        self.kind
    }

    /// The diagnostic code.
    pub fn code(&self) -> DiagnosticCode {
        self.kind.code()
    }

    /// What to do about it.
    pub fn remedy(&self) -> &'static str {
        self.kind.remedy()
    }

    /// The stream that was named, and `None` for a reservation.
    pub fn id(&self) -> Option<StreamId> {
        match self.subject {
            Subject::Stream { id, .. } => Some(id),
            Subject::Request { .. } => None,
        }
    }

    /// How far the stream is, where that is why.
    pub fn state(&self) -> Option<StreamState> {
        match self.subject {
            Subject::Stream { state, .. } => state,
            Subject::Request { .. } => None,
        }
    }

    /// The tag that asked for a reservation.
    pub fn tag(&self) -> Option<TagId> {
        match self.subject {
            Subject::Stream { .. } => None,
            Subject::Request { tag, .. } => Some(tag),
        }
    }

    /// Bytes that a reservation asked for, and 0 for other calls.
    pub fn requested(&self) -> usize {
        match self.subject {
            Subject::Stream { .. } => 0,
            Subject::Request { requested, .. } => requested,
        }
    }

    /// Bytes that were left of the budget which refused, and 0 where none did.
    pub fn available(&self) -> usize {
        match self.subject {
            Subject::Stream { .. } => 0,
            Subject::Request { available, .. } => available,
        }
    }

    /// Bytes that an eviction could have freed for the reservation. What is being read is not counted, unless the reservation
    /// would not have fitted even with it.
    pub fn evictable(&self) -> usize {
        match self.subject {
            Subject::Stream { .. } => 0,
            Subject::Request { evictable, .. } => evictable,
        }
    }
}

/// What happened, without code and remedy.
pub(super) struct Message<'a>(pub(super) &'a StreamError);

impl fmt::Display for Message<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.0.kind;
        match self.0.subject {
            Subject::Stream { call, id, state } => {
                write!(f, "`{call}` of stream {id}, which ")?;
                match (kind, state) {
                    (StreamErrorKind::ForeignStream, _) => {
                        f.write_str("belongs to another allocator")
                    }
                    (StreamErrorKind::WrongState, Some(state)) => write!(f, "is {state}"),
                    (StreamErrorKind::InUse, _) => f.write_str("is borrowed"),
                    (StreamErrorKind::NotPinned, _) => f.write_str("is not pinned"),
                    _ => f.write_str("was freed, cancelled or evicted"),
                }
            }
            Subject::Request {
                tag,
                priority,
                requested,
                available,
                evictable,
            } => match kind {
                StreamErrorKind::BudgetExhausted => write!(
                    f,
                    "the streaming budget is exhausted: {tag} asked for {requested} bytes with {priority} priority, {available} are left, and {evictable} may be evicted"
                ),
                StreamErrorKind::SizeOverflow => write!(
                    f,
                    "{tag} asked for a stream of more bytes than can be addressed ({requested})"
                ),
                StreamErrorKind::OutOfMemory => write!(
                    f,
                    "the system has no memory for the stream of {requested} bytes that {tag} asked for"
                ),
                _ => write!(
                    f,
                    "a memory budget is reached: {tag} asked for a stream of {requested} bytes, {available} are left"
                ),
            },
        }
    }
}

impl fmt::Display for StreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "[{}] {}; {}",
            self.code().name(),
            Message(self),
            self.remedy()
        )
    }
}

impl fmt::Debug for StreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("StreamError");
        out.field("kind", &self.kind);
        match self.subject {
            Subject::Stream { call, id, state } => out
                .field("call", &call)
                .field("id", &id)
                .field("state", &state),
            Subject::Request {
                tag,
                priority,
                requested,
                available,
                evictable,
            } => out
                .field("tag", &tag)
                .field("priority", &priority)
                .field("requested", &requested)
                .field("available", &available)
                .field("evictable", &evictable),
        };
        out.finish()
    }
}

impl Error for StreamError {}

impl From<StreamError> for io::Error {
    fn from(error: StreamError) -> Self {
        let kind = match error.kind {
            StreamErrorKind::OutOfMemory => io::ErrorKind::OutOfMemory,
            StreamErrorKind::SizeOverflow => io::ErrorKind::InvalidInput,
            StreamErrorKind::BudgetExhausted => io::ErrorKind::QuotaExceeded,
            StreamErrorKind::UnknownStream => io::ErrorKind::NotFound,
            _ => io::ErrorKind::Other,
        };
        Self::new(kind, error)
    }
}

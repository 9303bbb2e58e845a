//! Why a handle was refused.

use core::error::Error;
use core::fmt;

use crate::allocators::borrow::word::Refusal;
use crate::diagnostics::DiagnosticCode;
use crate::error::AllocError;
use crate::not_stored::NotStored;

/// Why a [`HandleAllocator`](crate::HandleAllocator) refused. Nothing has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum HandleError {
    /// The handle's value was freed or taken (FA401).
    Freed,
    /// The handle belongs to another allocator (FA401).
    Foreign,
    /// The handle is [dangling](crate::Handle::dangling): it never had a value (FA401).
    Dangling,
    /// An unpin without a pin (FA401).
    NotPinned,
    /// The value is read or written elsewhere at this moment, in a way that excludes this use (FA405).
    AlreadyBorrowed,
    /// The value is pinned, and cannot be freed or taken (FA405).
    Pinned,
    /// There are 65,535 reading guards or 4,095 pins of this value: forgotten ones, most likely (FA405).
    TooManyBorrows,
    /// There is no memory for the value.
    Alloc(AllocError),
}

impl HandleError {
    /// The diagnostic code.
    pub fn code(&self) -> DiagnosticCode {
        match self {
            Self::Freed | Self::Foreign | Self::Dangling | Self::NotPinned => DiagnosticCode::FA401,
            Self::AlreadyBorrowed | Self::Pinned | Self::TooManyBorrows => DiagnosticCode::FA405,
            Self::Alloc(error) => error.code(),
        }
    }

    /// What happened, without the remedy.
    pub(super) fn message(&self) -> &'static str {
        match self {
            Self::Freed => "the handle's value was freed",
            Self::Foreign => "the handle belongs to another allocator",
            Self::Dangling => "the handle is dangling",
            Self::NotPinned => "the value is not pinned",
            Self::AlreadyBorrowed => "the value is in use in a way that excludes this one",
            Self::Pinned => "the value is pinned",
            Self::TooManyBorrows => "the value has too many guards or pins",
            Self::Alloc(_) => "there is no memory for the value",
        }
    }
}

impl From<Refusal> for HandleError {
    #[cold]
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Gone => Self::Freed,
            Refusal::Borrowed => Self::AlreadyBorrowed,
            Refusal::Pinned => Self::Pinned,
            Refusal::NotPinned => Self::NotPinned,
            Refusal::TooMany => Self::TooManyBorrows,
        }
    }
}

impl<T> From<NotStored<T, HandleError>> for HandleError {
    fn from(refused: NotStored<T, HandleError>) -> Self {
        refused.error
    }
}

impl fmt::Display for HandleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let code = self.code();
        match self {
            Self::Alloc(error) => error.fmt(f),
            _ => write!(f, "[{code}] {}; {}", self.message(), code.info().remedy),
        }
    }
}

impl Error for HandleError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Alloc(error) => Some(error),
            _ => None,
        }
    }
}

//! Why a group refused something.

use core::error::Error;
use core::fmt;

use super::GroupId;
use crate::diagnostics::{self, DiagnosticCode};
use crate::error::AllocError;
use crate::not_stored::NotStored;

/// Why a group, or a reference to a value in one, refused. Nothing has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum GroupError {
    /// The group was freed, or belongs to another allocator (FA404).
    Unknown(GroupId),
    /// The value went with its group (FA404).
    Freed,
    /// The value is written elsewhere at this moment, or read while it was to be written (FA405).
    AlreadyBorrowed,
    /// There are 65,535 reading guards of this value: forgotten ones, most likely (FA405).
    TooManyBorrows,
    /// There is no memory for the value.
    Alloc(AllocError),
}

impl GroupError {
    /// The diagnostic code.
    pub fn code(&self) -> DiagnosticCode {
        match self {
            Self::Unknown(_) | Self::Freed => DiagnosticCode::FA404,
            Self::AlreadyBorrowed | Self::TooManyBorrows => DiagnosticCode::FA405,
            Self::Alloc(error) => error.code(),
        }
    }
}

impl GroupError {
    /// Tells the sink, unless whoever refused has done so.
    pub(crate) fn report(&self) {
        if !matches!(self, Self::Alloc(_)) {
            diagnostics::report(self.code(), format_args!("{}", Message(self)));
        }
    }
}

/// What happened, without code and remedy.
struct Message<'a>(&'a GroupError);

impl fmt::Display for Message<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            GroupError::Unknown(group) => {
                write!(f, "{group} was freed, or belongs to another allocator")
            }
            GroupError::Freed => f.write_str("the group of the value was freed"),
            GroupError::AlreadyBorrowed => {
                f.write_str("a value of a group is in use in a way that excludes this use")
            }
            GroupError::TooManyBorrows => f.write_str("a value of a group has too many readers"),
            GroupError::Alloc(error) => error.fmt_message(f),
        }
    }
}

impl fmt::Display for GroupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let code = self.code();
        write!(f, "[{code}] {}; {}", Message(self), code.info().remedy)
    }
}

impl Error for GroupError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Alloc(error) => Some(error),
            _ => None,
        }
    }
}

impl<T> From<NotStored<T, GroupError>> for GroupError {
    fn from(refused: NotStored<T, GroupError>) -> Self {
        refused.error
    }
}

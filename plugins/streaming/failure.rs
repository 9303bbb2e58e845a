//! Why a file could not be streamed.

use std::fmt;

use bevy_asset::AssetPath;

use crate::StreamError;
use crate::diagnostics::DiagnosticCode;

/// The cause of a [`StreamFailure`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum StreamFailureKind {
    /// The source has no such file.
    NotFound,
    /// The source may not read the file.
    PermissionDenied,
    /// No asset source of this name is registered.
    UnknownSource,
    /// The path leads out of the source's folder.
    UnapprovedPath,
    /// The file ended before all of it was read. Sizes in bytes.
    Truncated {
        /// As large as the file was to be.
        expected: u64,
        /// As much as there was.
        read: u64,
    },
    /// There is more of the file than its size said: it grew while it was read, or the size that was given is too small.
    Grew {
        /// As large as the file was to be, in bytes.
        expected: u64,
    },
    /// The file is larger than the whole budget (FA402). Sizes in bytes.
    TooLarge {
        /// Of the file.
        size: u64,
        /// The streaming budget.
        budget: u64,
    },
    /// The source reported an error, which is told in its words.
    Source(String),
    /// The source's code panicked, with this message.
    SourcePanicked(String),
    /// Another limit than the streaming budget, or the system, refused the memory.
    Refused(StreamError),
    /// The world has no allocator (FA101).
    NoAllocator,
    /// The world has no asset server.
    NoAssetServer,
}

impl StreamFailureKind {
    /// Whether trying again may help.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Source(_) | Self::Refused(_))
    }

    /// The diagnostic code, where there is one.
    pub fn code(&self) -> Option<DiagnosticCode> {
        match self {
            Self::TooLarge { .. } => Some(DiagnosticCode::FA402),
            Self::Refused(error) => Some(error.code()),
            Self::NoAllocator => Some(DiagnosticCode::FA101),
            _ => None,
        }
    }

    /// What to do about it.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::NotFound => {
                "check the path, which is relative to the source's folder (`assets/` unless told otherwise)"
            }
            Self::PermissionDenied => "let the user who runs the game read the file",
            Self::UnknownSource => {
                "register the source with `app.register_asset_source` before `AssetPlugin` is added"
            }
            Self::UnapprovedPath => {
                "keep streamed files inside the source's folder, or register a source for theirs"
            }
            Self::Truncated { .. } => {
                "write the file anew, and move it into place when it is whole; insert `StreamedAsset` again to reload"
            }
            Self::Grew { .. } => {
                "write files under another name and move them into place; insert `StreamedAsset` again to reload"
            }
            Self::TooLarge { .. } => "split the file, or raise `StreamingSettings::budget`",
            Self::Source(_) => {
                "see whether the source can be reached; `StreamedAssets::retry` tries again"
            }
            Self::SourcePanicked(_) => "fix the source's `AssetReader`: it should return errors",
            Self::Refused(error) => error.remedy(),
            Self::NoAllocator => "add `app.add_plugins(SmartAllocPlugin)`",
            Self::NoAssetServer => {
                "add `app.add_plugins(AssetPlugin::default())`, or `DefaultPlugins`"
            }
        }
    }
}

impl fmt::Display for StreamFailureKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound => f.write_str("there is no such file"),
            Self::PermissionDenied => f.write_str("the permission to read it is denied"),
            Self::UnknownSource => f.write_str("there is no asset source of this name"),
            Self::UnapprovedPath => f.write_str("the path leads out of its source's folder"),
            Self::Truncated { expected, read } => {
                write!(
                    f,
                    "it is truncated: {read} of {expected} bytes could be read"
                )
            }
            Self::Grew { expected } => write!(
                f,
                "it has more than the {expected} bytes that it was to have, so it was changed while it was read, or its size was given wrongly"
            ),
            Self::TooLarge { size, budget } => write!(
                f,
                "it has {size} bytes, and the whole streaming budget is {budget} bytes"
            ),
            Self::Source(error) => write!(f, "its source failed: {error}"),
            Self::SourcePanicked(message) => write!(f, "its source panicked: {message}"),
            Self::Refused(error) => write!(f, "its memory was refused: {error}"),
            Self::NoAllocator => f.write_str("this world has no allocator"),
            Self::NoAssetServer => f.write_str("this world has no asset server"),
        }
    }
}

/// A file that could not be streamed: which, why, and what to do about it. Its reservation was returned.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StreamFailure {
    /// The file.
    pub path: AssetPath<'static>,
    /// Why.
    pub kind: StreamFailureKind,
    /// How often it was tried.
    pub attempts: u32,
}

impl fmt::Display for StreamFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(code) = self.kind.code() {
            write!(f, "[{}] ", code.name())?;
        }
        write!(f, "`{}` could not be streamed", self.path)?;
        if self.attempts > 1 {
            write!(f, " in {} attempts", self.attempts)?;
        }
        write!(f, ": {}; {}", self.kind, self.kind.remedy())
    }
}

impl std::error::Error for StreamFailure {}

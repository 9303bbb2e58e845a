//! How serious a code is, and what kind of message a report is.

use core::fmt;

/// How serious a code is: what strict modes and `--min-severity` compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DiagnosticLevel {
    /// Worth knowing; nothing is wrong.
    Hint,
    /// The program goes on, but not as it was meant to.
    Warning,
    /// Something was refused, or is wrong.
    Error,
}

impl DiagnosticLevel {
    /// `hint`, `warning` or `error`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hint => "hint",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

impl fmt::Display for DiagnosticLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// What kind of message a report is: the word before its text.
///
/// Errors and warnings are what the codes are about; notes and helps are for messages that only inform.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DiagnosticKind {
    /// Advice.
    Help,
    /// Worth knowing.
    Note,
    /// The program goes on, but not as it was meant to.
    Warning,
    /// Something was refused, or is wrong.
    Error,
}

impl DiagnosticKind {
    /// How serious a message of this kind is.
    pub const fn level(self) -> DiagnosticLevel {
        match self {
            Self::Error => DiagnosticLevel::Error,
            Self::Warning => DiagnosticLevel::Warning,
            Self::Note | Self::Help => DiagnosticLevel::Hint,
        }
    }

    /// `error`, `warning`, `note` or `help`.
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
            Self::Help => "help",
        }
    }

    /// The same as one character, for panels and logs that have little room.
    pub const fn emoji(self) -> &'static str {
        match self {
            Self::Error => "❌",
            Self::Warning => "⚠️",
            Self::Note => "ℹ️",
            Self::Help => "💡",
        }
    }
}

impl From<DiagnosticLevel> for DiagnosticKind {
    fn from(level: DiagnosticLevel) -> Self {
        match level {
            DiagnosticLevel::Error => Self::Error,
            DiagnosticLevel::Warning => Self::Warning,
            DiagnosticLevel::Hint => Self::Note,
        }
    }
}

impl fmt::Display for DiagnosticKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.prefix())
    }
}

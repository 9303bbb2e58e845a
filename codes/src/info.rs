//! What is known of a code.

use core::fmt;

use crate::level::{DiagnosticKind, DiagnosticLevel};

/// What is known of a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct CodeInfo {
    /// The code: `FA001`.
    pub code: &'static str,
    /// Its name, which is easier to remember: `no-open-frame`.
    pub name: &'static str,
    /// How serious it is.
    pub level: DiagnosticLevel,
    /// Who finds it.
    pub raised_by: RaisedBy,
    /// What it is about.
    pub category: Category,
    /// What it means, in a few words.
    pub meaning: &'static str,
    /// What usually brings it about.
    pub cause: &'static str,
    /// What to do.
    pub remedy: &'static str,
    /// The wrong and the right code. `None` where no program of a user's can bring it about.
    pub example: Option<Example>,
}

impl CodeInfo {
    /// The kind of message that reports it.
    pub const fn kind(&self) -> DiagnosticKind {
        match self.level {
            DiagnosticLevel::Error => DiagnosticKind::Error,
            DiagnosticLevel::Warning => DiagnosticKind::Warning,
            DiagnosticLevel::Hint => DiagnosticKind::Note,
        }
    }
}

/// Two pieces of Rust: the same thing done wrong and right.
///
/// Each is the body of a function that has framealloc's and Bevy's names in scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Example {
    /// What raises the code.
    pub wrong: &'static str,
    /// What does not.
    pub right: &'static str,
}

/// Who finds the mistake that a code stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RaisedBy {
    /// The allocator, while the program runs.
    RunTime,
    /// Static analysis of the sources.
    Analysis,
    /// Both.
    Both,
}

impl RaisedBy {
    /// Whether the allocator reports it.
    pub const fn at_run_time(self) -> bool {
        matches!(self, Self::RunTime | Self::Both)
    }

    /// Whether static analysis reports it.
    pub const fn by_analysis(self) -> bool {
        matches!(self, Self::Analysis | Self::Both)
    }
}

/// What a code is about: the hundred that it belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Category {
    /// FA0xx: frames and the memory in them.
    Frames,
    /// FA1xx: how the plugins are put together.
    Bevy,
    /// FA2xx: memory that meets more than one thread.
    Threading,
    /// FA3xx: limits.
    Budgets,
    /// FA4xx: memory that lives longer than a frame and is reached by a key.
    LongLived,
    /// FA5xx: memory that does not behave as its intent says.
    Behaviour,
    /// FA6xx: lifetimes that sources get wrong.
    Lifetime,
    /// FA7xx: frames and `async` code.
    Async,
    /// FA8xx: which module may allocate for what.
    Architecture,
    /// FA9xx: the allocator itself.
    Internal,
}

impl Category {
    /// The category as a word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Frames => "Frames",
            Self::Bevy => "Bevy",
            Self::Threading => "Threading",
            Self::Budgets => "Budgets",
            Self::LongLived => "Long-lived memory",
            Self::Behaviour => "Behaviour",
            Self::Lifetime => "Lifetime",
            Self::Async => "Async",
            Self::Architecture => "Architecture",
            Self::Internal => "Internal",
        }
    }
}

impl fmt::Display for Category {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

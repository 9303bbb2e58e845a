//! One report.

use core::fmt;
use std::borrow::Cow;

use framealloc_codes::{DiagnosticCode, DiagnosticKind};

use super::context::DiagContext;
use crate::tags::TagId;

/// One report: what happened, why, and what to do.
///
/// ```
/// use framealloc::diagnostics::{Diagnostic, DiagnosticCode};
///
/// let report = Diagnostic::error(DiagnosticCode::Custom("GAME01"), "the level has no floor")
///     .with_help("give `level.ron` a `floor`");
/// assert_eq!(
///     report.to_string(),
///     "[framealloc][GAME01] error: the level has no floor\n  help: give `level.ron` a `floor`",
/// );
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Diagnostic {
    /// What kind of message it is.
    pub kind: DiagnosticKind,
    /// The code.
    pub code: DiagnosticCode,
    /// What happened.
    pub message: Cow<'static, str>,
    /// What usually brings it about, or what else there is to know.
    pub note: Option<Cow<'static, str>>,
    /// What to do.
    pub help: Option<Cow<'static, str>>,
    /// The tag that it concerns: the current one of the thread that reports, unless the report is about another.
    pub tag: TagId,
    /// Where it happened, if it was asked for: see [`set_verbose`](super::set_verbose).
    pub context: Option<DiagContext>,
    /// How often this code has been reported for this tag in this process, this time included. Zero before it is reported.
    pub count: u64,
}

impl Diagnostic {
    /// A report of this kind, about the current tag.
    pub fn new(
        kind: DiagnosticKind,
        code: DiagnosticCode,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            kind,
            code,
            message: message.into(),
            note: None,
            help: None,
            tag: TagId::current(),
            context: None,
            count: 0,
        }
    }

    /// An error.
    pub fn error(code: DiagnosticCode, message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(DiagnosticKind::Error, code, message)
    }

    /// A warning.
    pub fn warning(code: DiagnosticCode, message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(DiagnosticKind::Warning, code, message)
    }

    /// What the registry says of `code`: its meaning, its usual cause and its remedy.
    pub fn of(code: DiagnosticCode) -> Self {
        let info = code.info();
        Self::explained(code, info.meaning)
    }

    /// A report of `code` that says what happened, with the usual cause and the remedy from the registry.
    pub(super) fn explained(code: DiagnosticCode, message: impl Into<Cow<'static, str>>) -> Self {
        let info = code.info();
        Self::new(code.kind(), code, message)
            .with_note(info.cause)
            .with_help(info.remedy)
    }

    /// Adds what else there is to know.
    #[must_use]
    pub fn with_note(mut self, note: impl Into<Cow<'static, str>>) -> Self {
        self.note = Some(note.into());
        self
    }

    /// Adds what to do.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<Cow<'static, str>>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Says which tag it is about.
    #[must_use]
    pub fn with_tag(mut self, tag: TagId) -> Self {
        self.tag = tag;
        self
    }

    /// Adds where it happens: on this thread, now.
    #[must_use]
    pub fn with_context(mut self) -> Self {
        self.context = Some(DiagContext::capture());
        self
    }

    fn fmt_details(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(note) = &self.note {
            write!(f, "\n  note: {note}")?;
        }
        if let Some(help) = &self.help {
            write!(f, "\n  help: {help}")?;
        }
        if let Some(context) = &self.context {
            write!(f, "\n  context: {context}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            kind,
            code,
            message,
            ..
        } = self;
        write!(f, "[framealloc][{code}] {kind}: {message}")?;
        if self.count > 1 {
            write!(f, " (time {})", self.count)?;
        }
        self.fmt_details(f)
    }
}

/// What strict mode panics with.
pub(super) struct PanicText<'a>(pub(super) &'a Diagnostic);

impl fmt::Display for PanicText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Diagnostic { code, message, .. } = self.0;
        write!(f, "[framealloc][{code}] {message}")?;
        self.0.fmt_details(f)
    }
}

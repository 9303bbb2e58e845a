//! Causes, remedies and examples: what [`DiagnosticCode::info`](crate::DiagnosticCode::info) adds to the list of codes.

pub(crate) mod architecture;
pub(crate) mod async_code;
pub(crate) mod behaviour;
pub(crate) mod bevy;
pub(crate) mod budgets;
pub(crate) mod frames;
pub(crate) mod internal;
pub(crate) mod lifetime;
pub(crate) mod long_lived;
pub(crate) mod threading;

use crate::info::{Category, CodeInfo, Example, RaisedBy};
use crate::level::DiagnosticLevel;

/// The long texts of a code. Like messages of the compiler, they begin small and have no full stop.
pub(crate) struct Texts {
    pub(crate) cause: &'static str,
    pub(crate) remedy: &'static str,
    pub(crate) example: Option<Example>,
}

/// What there is to say of a code that is not in the registry.
pub(crate) const CUSTOM: &CodeInfo = &CodeInfo {
    code: "custom",
    name: "custom",
    level: DiagnosticLevel::Hint,
    raised_by: RaisedBy::RunTime,
    category: Category::Internal,
    meaning: "a code of the program's own",
    cause: "the program reported it",
    remedy: "see where the program reports it",
    example: None,
};

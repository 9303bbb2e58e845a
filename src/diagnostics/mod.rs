//! What the allocator has to say: one registry of codes, and one way out.
//!
//! A report goes to the sink: standard error in debug builds, or wherever [`set_sink`] says. The same code again is
//! reported at its 1st, 2nd, 4th, 8th … time, with the count, so that a mistake made every frame does not drown the log;
//! [`count`] knows the exact number.

mod code;
mod report;

pub use code::{CodeInfo, DiagnosticCode, DiagnosticKind};
pub use report::{Diagnostic, capture, count, set_sink};

pub(crate) use report::{refused, report};

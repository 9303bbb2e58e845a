#![doc = include_str!("../README.md")]
#![no_std]
#![forbid(unsafe_code)]

mod code;
mod info;
mod level;
mod registry;

pub use code::DiagnosticCode;
pub use info::{Category, CodeInfo, Example, RaisedBy};
pub use level::{DiagnosticKind, DiagnosticLevel};

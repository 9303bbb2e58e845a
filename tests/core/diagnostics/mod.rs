//! Codes, reports, strict mode and context, as far as each thread has its own. What is the process's is tested in `process`.

mod examples;
mod macros;
mod reports;
mod strict;

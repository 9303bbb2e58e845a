//! What the word is built from. The model checker's package has stand-ins of the same names.

pub(super) use core::sync::atomic::{AtomicU64, Ordering};

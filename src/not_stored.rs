//! What comes back when a value could not be stored.

use core::error::Error;
use core::fmt;

/// A value that could not be stored, and why.
///
/// The question mark turns it into the error alone, where that is what a function returns.
///
/// ```
/// use framealloc::{GroupAllocator, GroupError};
///
/// let groups = GroupAllocator::new();
/// let level = groups.create_group("level 1");
/// groups.free_group(level);
///
/// let refused = groups.try_alloc_val(level, String::from("mesh")).unwrap_err();
/// assert_eq!(refused.error, GroupError::Unknown(level));
/// assert_eq!(refused.value, "mesh");
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct NotStored<T, E> {
    /// The value.
    pub value: T,
    /// Why.
    pub error: E,
}

impl<T, E: fmt::Display> fmt::Display for NotStored<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl<T, E: fmt::Debug> fmt::Debug for NotStored<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NotStored")
            .field("error", &self.error)
            .finish_non_exhaustive()
    }
}

impl<T, E: Error + 'static> Error for NotStored<T, E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.error)
    }
}

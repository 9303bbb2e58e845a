//! How a value behind a handle is kept.

use core::fmt;
use std::sync::Arc;

use crate::allocators::handles::Callback;

/// How a value is kept, for [`HandleAllocator::alloc_with_options`](crate::HandleAllocator::alloc_with_options).
///
/// ```
/// use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
/// use framealloc::{HandleAllocator, HandleOptions};
///
/// static MOVES: AtomicUsize = AtomicUsize::new(0);
///
/// let handles = HandleAllocator::new();
/// let mesh = handles.alloc_with_options(
///     [0.0f32; 16],
///     HandleOptions::new().on_relocation(|_mesh| {
///         MOVES.fetch_add(1, Relaxed);
///     }),
/// )?;
/// handles.defragment();
/// assert_eq!(MOVES.load(Relaxed), 0); // it is alone, and need not move
/// handles.free(mesh)?;
/// # Ok::<(), framealloc::HandleError>(())
/// ```
pub struct HandleOptions<T> {
    pub(super) relocatable: bool,
    pub(super) relocated: Option<Callback<T>>,
}

impl<T: 'static> HandleOptions<T> {
    /// As values are kept without options: they may move, and nobody is told.
    pub fn new() -> Self {
        Self {
            relocatable: true,
            relocated: None,
        }
    }

    /// Whether compaction may move the value. What may not keeps its whole segment of 64 KiB where it is.
    pub fn relocatable(self, relocatable: bool) -> Self {
        Self {
            relocatable,
            ..self
        }
    }

    /// Calls `f` with the value each time that it has moved, before anybody else sees it at its new address.
    ///
    /// It runs on the thread that compacts, with no lock held. Whoever resolves the value meanwhile, `f` itself included,
    /// gets [`AlreadyBorrowed`](crate::HandleError::AlreadyBorrowed).
    pub fn on_relocation(self, f: impl Fn(&mut T) + Send + Sync + 'static) -> Self {
        Self {
            relocated: Some(Arc::new(f)),
            ..self
        }
    }
}

impl<T: 'static> Default for HandleOptions<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Clone for HandleOptions<T> {
    fn clone(&self) -> Self {
        Self {
            relocatable: self.relocatable,
            relocated: self.relocated.clone(),
        }
    }
}

impl<T> fmt::Debug for HandleOptions<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HandleOptions")
            .field("relocatable", &self.relocatable)
            .field("on_relocation", &self.relocated.is_some())
            .finish()
    }
}

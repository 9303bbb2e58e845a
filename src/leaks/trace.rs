//! One traced block.

use crate::events::Block;

/// So many return addresses are kept of a stack, the innermost first. About 20 of them are framealloc's own in a debug build.
const DEPTH: usize = 64;

/// Return addresses, the innermost first.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Stack(Box<[usize]>);

impl Stack {
    /// Of the calling thread.
    #[inline(never)]
    pub(crate) fn capture() -> Self {
        let mut addresses = [0; DEPTH];
        let mut len = 0;
        backtrace::trace(|frame| {
            addresses[len] = frame.ip() as usize;
            len += 1;
            len < DEPTH
        });
        Self(addresses[..len].into())
    }

    pub(super) fn addresses(&self) -> &[usize] {
        &self.0
    }
}

/// A block that is alive, and how it came to be.
pub(crate) struct Trace {
    pub(super) block: Block,
    /// How many allocations it stands for.
    pub(super) weight: u64,
    /// The newest frame when it was made.
    pub(super) born: u64,
    pub(super) stack: Stack,
}

//! Borrows of a stream's bytes.

use core::fmt;
use core::ops::{Deref, DerefMut};

use super::StreamId;
use super::ledger::Ledger;
use crate::allocators::streams::{Exclusive, Shared};

/// Shared access to the bytes of a ready stream. See [`StreamingAllocator::access`](crate::StreamingAllocator::access).
///
/// While it lives the stream is not evicted, and the bytes stay valid even if the stream is freed: the memory goes with the
/// last guard then. One that is forgotten keeps its stream for as long as the allocator lives.
#[must_use = "the bytes may be evicted once the guard drops"]
pub struct StreamGuard<'a> {
    pub(super) bytes: Shared<'a, Ledger>,
    pub(super) id: StreamId,
}

/// Exclusive access to the bytes of a ready stream. See [`StreamGuard`], and
/// [`StreamingAllocator::access_mut`](crate::StreamingAllocator::access_mut).
#[must_use = "the bytes may be evicted once the guard drops"]
pub struct StreamGuardMut<'a> {
    pub(super) bytes: Exclusive<'a, Ledger>,
    pub(super) id: StreamId,
}

macro_rules! guard {
    ($name:ident) => {
        impl $name<'_> {
            /// The stream.
            pub fn id(&self) -> StreamId {
                self.id
            }
        }

        impl Deref for $name<'_> {
            type Target = [u8];

            #[inline]
            fn deref(&self) -> &[u8] {
                &self.bytes
            }
        }

        impl AsRef<[u8]> for $name<'_> {
            fn as_ref(&self) -> &[u8] {
                self
            }
        }

        /// The stream and its size: the bytes are too many to print.
        impl fmt::Debug for $name<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name))
                    .field("id", &self.id)
                    .field("len", &self.len())
                    .finish()
            }
        }
    };
}

guard!(StreamGuard);
guard!(StreamGuardMut);

impl DerefMut for StreamGuardMut<'_> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }
}

impl AsMut<[u8]> for StreamGuardMut<'_> {
    fn as_mut(&mut self) -> &mut [u8] {
        self
    }
}

//! Values that move from one thread to another, where one can see that they do.

use core::any::type_name;
use core::error::Error;
use core::fmt;
use core::mem::ManuallyDrop;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::Arc;
use std::thread::ThreadId;

use super::this_thread;
use crate::allocators::pool::PoolBox;
use crate::allocators::transfers;
use crate::diagnostics::{self, DiagnosticCode};
use crate::error::AllocError;
use crate::events::{Event, Hub};
use crate::smart_alloc::SmartAlloc;
use crate::tags::TagId;

/// A value on its way to another thread.
///
/// Frame memory cannot leave its thread, so the value lies in a pool block, or on the heap if it is larger than 4 KiB: it
/// has no frame, and the thread that receives it may keep it. The handle goes through any channel; where it arrives,
/// [`receive`](Self::receive) turns it into a [`PoolBox`].
///
/// A handle that is dropped without being received drops its value, and debug builds report that (FA206).
///
/// ```
/// use framealloc::{SmartAlloc, TransferHandle};
/// use std::sync::mpsc;
///
/// let alloc = SmartAlloc::with_defaults();
/// let (sender, receiver) = mpsc::channel();
/// let handle: TransferHandle<[f32; 64]> = alloc.frame_box_for_transfer([0.5; 64]);
/// sender.send(handle).unwrap();
///
/// std::thread::spawn(move || {
///     let handle = receiver.recv().unwrap();
///     let data = handle.receive();
///     assert_eq!(data[63], 0.5);
/// })
/// .join()
/// .unwrap();
/// ```
#[must_use = "a transfer that is dropped without being received is reported"]
pub struct TransferHandle<T> {
    /// Taken when the value is received or dropped.
    value: Option<PoolBox<T>>,
    id: TransferId,
    origin: ThreadId,
    tag: TagId,
    sent: bool,
    received: bool,
    /// Who listened to its allocator when it was made, and is told when it is received.
    watcher: Option<Arc<Hub>>,
}

/// Tells transfers of a process apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TransferId(u64);

/// How far a transfer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TransferState {
    /// With the thread that made it.
    Owned,
    /// Marked as sent, or seen on another thread, but not received.
    InFlight,
    /// Received in place, with [`TransferHandle::receive_mut`].
    Received,
    /// Its value has been taken out. A handle does not outlive that, so none is seen in this state.
    Consumed,
}

impl<T> TransferHandle<T> {
    /// Accepts the value: the calling thread owns it now.
    #[inline]
    pub fn receive(mut self) -> PoolBox<T> {
        self.note_received();
        // Nothing is left in it that would have to be dropped.
        ManuallyDrop::new(self).value.take().expect(HELD)
    }

    /// Accepts the value where it is, for a handle that cannot be moved. May be called again.
    pub fn receive_mut(&mut self) -> &mut T {
        self.note_received();
        self.value.as_mut().expect(HELD)
    }

    /// Accepts the value and takes it out of its memory.
    pub fn into_inner(self) -> T {
        self.receive().into_inner()
    }

    #[inline]
    fn note_received(&mut self) {
        if !self.received {
            self.received = true;
            transfers::completed();
            if let Some(hub) = self.watcher.take() {
                self.tell_ended(hub);
            }
        }
    }

    #[cold]
    fn tell_begun(&self, hub: &Hub) {
        hub.tell(&Event::TransferBegun {
            size: size_of::<T>(),
        });
    }

    #[cold]
    fn tell_ended(&self, hub: Arc<Hub>) {
        hub.tell(&Event::TransferEnded {
            size: size_of::<T>(),
        });
    }

    /// The transfer's id.
    pub fn id(&self) -> TransferId {
        self.id
    }

    /// The thread that made it.
    pub fn origin_thread(&self) -> ThreadId {
        self.origin
    }

    /// How far it is.
    pub fn state(&self) -> TransferState {
        if self.received {
            TransferState::Received
        } else if self.sent || this_thread() != self.origin {
            TransferState::InFlight
        } else {
            TransferState::Owned
        }
    }

    /// The value's size in bytes.
    pub fn size(&self) -> usize {
        size_of::<T>()
    }

    /// Notes that it is being sent, for [`state`](Self::state). Arriving on another thread does the same.
    pub fn mark_sent(&mut self) {
        self.sent = true;
    }

    /// Whether the value has been received in place.
    pub fn is_received(&self) -> bool {
        self.received
    }
}

const HELD: &str = "a handle holds its value until it is received or dropped";

impl<T> Drop for TransferHandle<T> {
    fn drop(&mut self) {
        // Dropped last, also if the report panics.
        let Some(_value) = self.value.take() else {
            return;
        };
        if !self.received {
            transfers::dropped();
            if cfg!(any(debug_assertions, feature = "debug")) {
                self.report_loss();
            }
        }
    }
}

impl<T> TransferHandle<T> {
    #[cold]
    fn report_loss(&self) {
        diagnostics::report(
            DiagnosticCode::FA206,
            format_args!(
                "a `{}` ({} bytes) that {:?} made for a transfer under {} was dropped without being received",
                type_name::<T>(),
                self.size(),
                self.origin,
                self.tag,
            ),
        );
    }
}

impl<T> fmt::Debug for TransferHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TransferHandle")
            .field("id", &self.id)
            .field("type", &type_name::<T>())
            .field("origin", &self.origin)
            .field("state", &self.state())
            .finish()
    }
}

/// A value that got no memory to be transferred in: it comes back with the reason.
pub struct TransferError<T> {
    value: T,
    error: AllocError,
}

impl<T> TransferError<T> {
    /// Why.
    pub fn error(&self) -> &AllocError {
        &self.error
    }

    /// The value.
    pub fn into_inner(self) -> T {
        self.value
    }
}

impl<T> fmt::Debug for TransferError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TransferError")
            .field("type", &type_name::<T>())
            .field("error", &self.error)
            .finish_non_exhaustive()
    }
}

impl<T> fmt::Display for TransferError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl<T> Error for TransferError<T> {}

/// Counts of transfers. See [`SmartAlloc::transfer_stats`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TransferStats {
    /// Transfers that were begun.
    pub transfers_initiated: u64,
    /// Of those, how many were received.
    pub transfers_completed: u64,
    /// Of those, how many were dropped without being received.
    pub transfers_dropped: u64,
    /// Bytes of the values that were begun.
    pub bytes_transferred: u64,
}

impl TransferStats {
    /// Transfers that have begun and not ended.
    pub fn pending(&self) -> u64 {
        self.transfers_initiated
            .saturating_sub(self.transfers_completed)
            .saturating_sub(self.transfers_dropped)
    }
}

/// Counts transfers that are made by other means than a [`TransferHandle`], on any thread.
///
/// ```
/// use framealloc::TransferRegistry;
///
/// let registry = TransferRegistry::new();
/// registry.record_initiated(256);
/// registry.record_completed();
/// assert_eq!(registry.stats().pending(), 0);
/// assert_eq!(registry.stats().bytes_transferred, 256);
/// ```
#[derive(Debug, Default)]
pub struct TransferRegistry {
    initiated: AtomicU64,
    completed: AtomicU64,
    dropped: AtomicU64,
    bytes: AtomicU64,
}

impl TransferRegistry {
    /// With nothing counted.
    pub const fn new() -> Self {
        Self {
            initiated: AtomicU64::new(0),
            completed: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
        }
    }

    /// Counts a transfer of so many bytes that begins.
    pub fn record_initiated(&self, bytes: usize) {
        self.initiated.fetch_add(1, Relaxed);
        self.bytes.fetch_add(bytes as u64, Relaxed);
    }

    /// Counts one that has been received.
    pub fn record_completed(&self) {
        self.completed.fetch_add(1, Relaxed);
    }

    /// Counts one that was dropped instead.
    pub fn record_dropped(&self) {
        self.dropped.fetch_add(1, Relaxed);
    }

    /// The counts.
    pub fn stats(&self) -> TransferStats {
        // What has ended first: never more than has begun.
        let (transfers_completed, transfers_dropped) =
            (self.completed.load(Relaxed), self.dropped.load(Relaxed));
        TransferStats {
            transfers_completed,
            transfers_dropped,
            transfers_initiated: self.initiated.load(Relaxed),
            bytes_transferred: self.bytes.load(Relaxed),
        }
    }

    /// Forgets what was counted.
    pub fn reset_stats(&self) {
        for counter in [&self.initiated, &self.completed, &self.dropped, &self.bytes] {
            counter.store(0, Relaxed);
        }
    }
}

impl SmartAlloc {
    /// Makes a value that is to be received on another thread. See [`TransferHandle`], which also says where it lies.
    ///
    /// # Panics
    ///
    /// If there is no memory for it or a budget refuses it, with the code of the reason;
    /// [`try_frame_box_for_transfer`](Self::try_frame_box_for_transfer) returns the value instead.
    #[track_caller]
    #[inline]
    pub fn frame_box_for_transfer<T>(&self, value: T) -> TransferHandle<T> {
        match PoolBox::<T>::uninit(self.pool()) {
            Ok(block) => self.begin_transfer(block.write(value)),
            Err(refused) => panic!("{refused}"),
        }
    }

    /// [`frame_box_for_transfer`](Self::frame_box_for_transfer) that returns the value if it got no memory.
    ///
    /// # Errors
    ///
    /// As [`pool_box`](Self::pool_box).
    pub fn try_frame_box_for_transfer<T>(
        &self,
        value: T,
    ) -> Result<TransferHandle<T>, TransferError<T>> {
        match PoolBox::<T>::uninit(self.pool()) {
            Ok(block) => Ok(self.begin_transfer(block.write(value))),
            Err(error) => Err(TransferError { value, error }),
        }
    }

    #[inline]
    fn begin_transfer<T>(&self, value: PoolBox<T>) -> TransferHandle<T> {
        let mut handle = TransferHandle {
            value: Some(value),
            id: TransferId(transfers::initiated(size_of::<T>())),
            origin: this_thread(),
            tag: TagId::current(),
            sent: false,
            received: false,
            watcher: None,
        };
        let hub = self.domain().hub();
        if hub.is_on() {
            handle.watcher = Some(hub.clone());
            handle.tell_begun(hub);
        }
        handle
    }

    /// How many values were made for a transfer, received, and dropped: in the whole process, as the pools are its, exact at
    /// any time and from any thread.
    pub fn transfer_stats(&self) -> TransferStats {
        let mut totals = transfers::totals();
        TransferStats {
            transfers_initiated: *totals.initiated.get_mut(),
            transfers_completed: *totals.completed.get_mut(),
            transfers_dropped: *totals.dropped.get_mut(),
            bytes_transferred: *totals.bytes.get_mut(),
        }
    }
}

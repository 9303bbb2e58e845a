//! The front: what a program calls.

use core::fmt;
use core::sync::atomic::Ordering::Relaxed;
use std::sync::Arc;

use super::call::Call;
use super::ledger::{Ledger, Shared};
use super::{
    EvictedStream, StreamError, StreamErrorKind, StreamGuard, StreamGuardMut, StreamId, StreamInfo,
    StreamPriority, StreamProgress, StreamState, StreamWriter, StreamingStats, access, loading,
    reserve,
};
use crate::allocators::payer::Payer;
use crate::allocators::streams::{Load, Streams};
use crate::diagnostics;
use crate::smart_alloc::SmartAlloc;
use crate::tags::TagId;

/// Memory for big assets, under a budget.
///
/// ```
/// use framealloc::{StreamPriority, StreamingAllocator};
///
/// let streaming = StreamingAllocator::new(64 << 20);
/// let id = streaming.reserve(1 << 20, StreamPriority::Normal)?;
///
/// let mut writer = streaming.begin_load(id)?; // on any thread
/// writer.as_mut_slice().fill(0x5A);
/// writer.finish()?;
///
/// if let Some(texture) = streaming.access(id) {
///     assert_eq!(texture.len(), 1 << 20); // stays as long as the guard
/// }
/// streaming.free(id); // or let it be evicted
/// # Ok::<(), framealloc::StreamError>(())
/// ```
///
/// All methods take `&self`, from any thread. [`SmartAlloc::streaming`] is an allocator's own; one made with
/// [`new`](Self::new) stands by itself.
///
/// # Memory
///
/// A stream has its memory from [`reserve`](Self::reserve) on, charged to the tag that is current then. Streams of 64 KiB and
/// more are aligned to 4 KiB, smaller ones to 16 bytes, so that their bytes can be cast. Streams of no bytes are streams like
/// others.
///
/// # Eviction
///
/// A reservation that does not fit evicts ready streams of its own priority or a lower one: those of the lowest priority
/// first, and among equals those first whose last access is longest ago (being made ready counts as one). It evicts no more
/// than it needs. What is pinned or borrowed, not ready yet, of a higher priority, or of no bytes is left alone. If that would
/// not make enough room, nothing is evicted, and the reservation is refused (FA402).
///
/// Reserved bytes never exceed the budget, whatever threads do; only [`set_budget`](Self::set_budget) can leave more reserved
/// than that. Bytes that were freed while they are borrowed count until they are let go.
pub struct StreamingAllocator {
    streams: Arc<Shared>,
}

impl StreamingAllocator {
    /// An allocator with a budget in bytes, on its own: its memory counts against tags, but not against an allocator's
    /// limits.
    pub fn new(budget: usize) -> Self {
        Self::with_payer(budget, Default::default())
    }

    fn with_payer(budget: usize, payer: Payer) -> Self {
        Self {
            streams: Arc::new(Streams::new(Ledger::new(budget, payer))),
        }
    }

    fn ledger(&self) -> &Ledger {
        self.streams.ledger()
    }

    // ---- Reserving and loading --------------------------------------------------------------------------------------

    /// Reserves `size` bytes, evicting what may be evicted if need be. Charged to the current tag.
    ///
    /// # Errors
    ///
    /// [`BudgetExhausted`](StreamErrorKind::BudgetExhausted) (FA402), with the bytes that are available and evictable;
    /// [`SizeOverflow`](StreamErrorKind::SizeOverflow) (FA004), [`OutOfMemory`](StreamErrorKind::OutOfMemory) (FA005), or
    /// what a budget of the tag, the thread or the allocator refuses. Nothing was evicted then, unless such a budget was
    /// used up by others while the eviction that was to make room for it went on.
    pub fn reserve(&self, size: usize, priority: StreamPriority) -> Result<StreamId, StreamError> {
        reserve::reserve(&self.streams, size, priority, TagId::current())
    }

    /// [`reserve`](Self::reserve), charged to the tag with this path, or to the current one.
    ///
    /// # Errors
    ///
    /// As [`reserve`](Self::reserve).
    pub fn reserve_tagged(
        &self,
        size: usize,
        priority: StreamPriority,
        tag: Option<&str>,
    ) -> Result<StreamId, StreamError> {
        let tag = tag.map_or_else(TagId::current, TagId::from_path);
        reserve::reserve(&self.streams, size, priority, tag)
    }

    /// Starts to load a reserved stream. Each stream is loaded once.
    ///
    /// # Errors
    ///
    /// [`WrongState`](StreamErrorKind::WrongState) if it loads or is ready already,
    /// [`UnknownStream`](StreamErrorKind::UnknownStream) or [`ForeignStream`](StreamErrorKind::ForeignStream) (FA401).
    pub fn begin_load(&self, id: StreamId) -> Result<StreamWriter, StreamError> {
        let call = Call {
            name: "begin_load",
            id,
        };
        call.slot(&self.streams)?;
        let mut accounts = self.ledger().accounts.lock();
        let load = Load::begin(&self.streams, id.index(), id.generation())
            .map_err(|view| call.unfit(view))?;
        accounts.has_begun();
        Ok(StreamWriter::new(load))
    }

    /// Says that `loaded` bytes of a loading stream are loaded, in all. The figure never falls, and never exceeds the size.
    ///
    /// Whether the stream is loading: one that was cancelled meanwhile is not.
    pub fn report_progress(&self, id: StreamId, loaded: usize) -> bool {
        loading::report(&self.streams, id, loaded)
    }

    /// Makes a loading stream ready, from outside its writer: at once if everything was written or reported as loaded, or as
    /// soon as that is so. While the writer has [lent its bytes](StreamWriter::as_mut_slice), the stream is not ready.
    ///
    /// A writer that dropped after everything was written has left the stream to this call; one that drops before has failed,
    /// and cancels. Does nothing if the stream is
    /// ready. Reports FA401 for streams that are not loading; [`try_finish_load`](Self::try_finish_load) returns that
    /// instead.
    pub fn finish_load(&self, id: StreamId) {
        if let Err(error) = self.try_finish_load(id) {
            diagnostics::report(
                error.code(),
                format_args!("{}", super::error::Message(&error)),
            );
        }
    }

    /// [`finish_load`](Self::finish_load) that returns the error.
    ///
    /// # Errors
    ///
    /// [`WrongState`](StreamErrorKind::WrongState) if it is only reserved,
    /// [`UnknownStream`](StreamErrorKind::UnknownStream) or [`ForeignStream`](StreamErrorKind::ForeignStream) (FA401).
    pub fn try_finish_load(&self, id: StreamId) -> Result<(), StreamError> {
        loading::finish(&self.streams, id)
    }

    /// Frees a stream that is reserved or loading. Its writer is refused from now on; the bytes are back in the budget when it
    /// drops.
    ///
    /// # Errors
    ///
    /// [`WrongState`](StreamErrorKind::WrongState) if it is ready; [`free`](Self::free) frees it then.
    /// [`UnknownStream`](StreamErrorKind::UnknownStream) or [`ForeignStream`](StreamErrorKind::ForeignStream) (FA401).
    pub fn cancel(&self, id: StreamId) -> Result<(), StreamError> {
        loading::cancel(&self.streams, id)
    }

    /// Frees a stream, pinned or not. The id is unknown from now on. If it is borrowed or loading, its bytes stay valid, and
    /// count against the budget, until they are let go.
    ///
    /// Whether there was such a stream: one that was evicted is gone already.
    pub fn free(&self, id: StreamId) -> bool {
        loading::remove(&self.streams, "free", id).is_ok()
    }

    // ---- Access -----------------------------------------------------------------------------------------------------

    /// The bytes of a ready stream, which is not evicted while the guard lives. Takes no lock.
    ///
    /// `None` if it is not ready, was evicted, or is borrowed exclusively; [`try_access`](Self::try_access) tells which.
    #[inline]
    pub fn access(&self, id: StreamId) -> Option<StreamGuard<'_>> {
        self.try_access(id).ok()
    }

    /// [`access`](Self::access) that returns the reason.
    ///
    /// # Errors
    ///
    /// [`WrongState`](StreamErrorKind::WrongState) if it is not ready, [`UnknownStream`](StreamErrorKind::UnknownStream) if
    /// it was freed or evicted, [`ForeignStream`](StreamErrorKind::ForeignStream) (all FA401), and
    /// [`InUse`](StreamErrorKind::InUse) (FA405) if it is borrowed exclusively, or by some 268 million guards.
    #[inline]
    pub fn try_access(&self, id: StreamId) -> Result<StreamGuard<'_>, StreamError> {
        access::read(&self.streams, id)
    }

    /// The bytes of a ready stream, to be changed. [`access`](Self::access) finds none while the guard lives.
    ///
    /// `None` as for [`access`](Self::access), or if it is borrowed at all.
    #[inline]
    pub fn access_mut(&self, id: StreamId) -> Option<StreamGuardMut<'_>> {
        self.try_access_mut(id).ok()
    }

    /// [`access_mut`](Self::access_mut) that returns the reason.
    ///
    /// # Errors
    ///
    /// As [`try_access`](Self::try_access), and [`InUse`](StreamErrorKind::InUse) if it is borrowed at all.
    #[inline]
    pub fn try_access_mut(&self, id: StreamId) -> Result<StreamGuardMut<'_>, StreamError> {
        access::write(&self.streams, id)
    }

    /// Keeps a stream from being evicted until it is [unpinned](Self::unpin) as often as it was pinned. It may be pinned
    /// before it is ready.
    ///
    /// # Errors
    ///
    /// [`UnknownStream`](StreamErrorKind::UnknownStream) or [`ForeignStream`](StreamErrorKind::ForeignStream) (FA401).
    pub fn pin(&self, id: StreamId) -> Result<(), StreamError> {
        self.reorder("pin", id, |entry| {
            entry.pins = entry.pins.checked_add(1).ok_or(StreamErrorKind::InUse)?;
            Ok(())
        })
    }

    /// Takes one pin back. The stream may be evicted as before when there is none left.
    ///
    /// # Errors
    ///
    /// [`NotPinned`](StreamErrorKind::NotPinned), [`UnknownStream`](StreamErrorKind::UnknownStream) or
    /// [`ForeignStream`](StreamErrorKind::ForeignStream) (FA401).
    pub fn unpin(&self, id: StreamId) -> Result<(), StreamError> {
        self.reorder("unpin", id, |entry| {
            entry.pins = entry
                .pins
                .checked_sub(1)
                .ok_or(StreamErrorKind::NotPinned)?;
            Ok(())
        })
    }

    /// Changes how much a stream matters, at any time.
    ///
    /// # Errors
    ///
    /// [`UnknownStream`](StreamErrorKind::UnknownStream) or [`ForeignStream`](StreamErrorKind::ForeignStream) (FA401).
    pub fn set_priority(&self, id: StreamId, priority: StreamPriority) -> Result<(), StreamError> {
        self.reorder("set_priority", id, |entry| {
            entry.priority = priority;
            Ok(())
        })
    }

    fn reorder(
        &self,
        name: &'static str,
        id: StreamId,
        change: impl FnOnce(&mut super::ledger::Entry) -> Result<(), StreamErrorKind>,
    ) -> Result<(), StreamError> {
        let mut accounts = self.ledger().accounts.lock();
        accounts.reorder(&self.streams, Call { name, id }, change)
    }

    /// Counts a frame, by which [`StreamInfo::idle_frames`] is told. An allocator's own frame ends do so by themselves. What is
    /// evicted depends on accesses only.
    pub fn next_frame(&self) {
        self.ledger().frame.fetch_add(1, Relaxed);
    }

    // ---- The budget and the figures --------------------------------------------------------------------------------

    /// The most bytes that may be reserved.
    pub fn budget(&self) -> usize {
        self.ledger().accounts.lock().budget()
    }

    /// Sets the budget. If more is reserved, streams of any priority are evicted until it is kept; what may not be evicted
    /// stays, and nothing can be reserved until it has gone.
    pub fn set_budget(&self, bytes: usize) {
        reserve::set_budget(&self.streams, bytes);
    }

    /// Bytes that are reserved: of every stream, and of freed ones whose bytes are not let go.
    pub fn total_reserved(&self) -> usize {
        self.ledger().accounts.lock().reserved()
    }

    /// Bytes of these that are loaded.
    pub fn total_loaded(&self) -> usize {
        self.streams.loaded()
    }

    /// Bytes that can be reserved without evicting.
    pub fn available(&self) -> usize {
        self.ledger().accounts.lock().available()
    }

    /// Bytes that an eviction for a stream of this priority could free: those of ready streams of this or a lower priority that
    /// are not pinned. What is borrowed at the moment is counted, though an eviction would leave it alone.
    pub fn evictable(&self, priority: StreamPriority) -> usize {
        self.ledger().accounts.lock().evictable(priority)
    }

    /// How far a stream is. `None` if it was freed or evicted, or is another allocator's.
    pub fn state(&self, id: StreamId) -> Option<StreamState> {
        Call { name: "state", id }.state(&self.streams).ok()
    }

    /// How much of a stream is loaded. `None` as for [`state`](Self::state).
    pub fn progress(&self, id: StreamId) -> Option<StreamProgress> {
        let accounts = self.ledger().accounts.lock();
        let call = Call {
            name: "progress",
            id,
        };
        let (slot, _) = accounts.live(&self.streams, call).ok()?;
        Some(StreamProgress {
            loaded: slot.loaded(),
            total: accounts.entry(id).size,
        })
    }

    /// All figures at one moment.
    pub fn stats(&self) -> StreamingStats {
        let accounts = self.ledger().accounts.lock();
        accounts.stats(self.streams.loaded())
    }

    /// Every stream that there is, in no particular order. Takes time in proportion to the most that there were at once.
    pub fn streams(&self) -> Vec<StreamInfo> {
        let accounts = self.ledger().accounts.lock();
        let frame = self.ledger().frame.load(Relaxed);
        let entries = (0..).zip(accounts.entries());
        entries
            .filter_map(|(index, entry)| {
                let slot = self.streams.slots().get(index)?;
                let state = StreamState::of(slot.view(), entry.generation)?;
                let was_used = matches!(state, StreamState::Ready | StreamState::Evicting);
                Some(StreamInfo {
                    id: self.ledger().id_of(index, entry.generation),
                    size: entry.size,
                    loaded: slot.loaded(),
                    priority: entry.priority,
                    state,
                    tag: entry.tag,
                    pins: entry.pins,
                    idle_frames: if was_used {
                        frame.saturating_sub(slot.frame())
                    } else {
                        0
                    },
                })
            })
            .collect()
    }

    // ---- Callbacks --------------------------------------------------------------------------------------------------

    /// Sets what is called for each stream that was evicted, in place of what was set before.
    ///
    /// Called on the thread whose reservation evicted it, before that returns, when the memory is free and with no lock held:
    /// it may call back. If it panics, the reservation is undone, and what was evicted stays so.
    pub fn set_eviction_callback(&self, callback: impl Fn(StreamId) + Send + Sync + 'static) {
        self.ledger().listeners.set_callback(Arc::new(callback));
    }

    /// Adds a listener that is told about each stream that was evicted, for as long as the allocator lives. As
    /// [`set_eviction_callback`](Self::set_eviction_callback), for any number of listeners.
    pub fn on_evicted(&self, listener: impl Fn(&EvictedStream) + Send + Sync + 'static) {
        self.ledger().listeners.add(Arc::new(listener));
    }
}

impl Drop for StreamingAllocator {
    fn drop(&mut self) {
        // With the last writer goes everything. Until then it keeps nothing but its own stream.
        if Arc::strong_count(&self.streams) > 1 {
            for stream in self.streams() {
                self.free(stream.id);
            }
        }
    }
}

impl fmt::Debug for StreamingAllocator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamingAllocator")
            .field("stats", &self.stats())
            .finish()
    }
}

/// Streaming.
impl SmartAlloc {
    /// This allocator's memory for big assets, with [`AllocConfig::streaming_limit`](crate::AllocConfig::streaming_limit) as
    /// its budget. See [`StreamingAllocator`].
    pub fn streaming(&self) -> &StreamingAllocator {
        self.parts().streaming.get_or_init(|| {
            let budget = self.config().streaming_limit();
            StreamingAllocator::with_payer(budget, self.parts().payer.clone())
        })
    }
}

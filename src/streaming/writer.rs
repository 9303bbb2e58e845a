//! Loading a stream.

use core::fmt;
use core::ops::{Deref, DerefMut};
use std::io::{self, Seek, SeekFrom, Write};

use super::call::Call;
use super::ledger::{Ledger, free};
use super::{StreamError, StreamId};
use crate::allocators::streams::{Exposed, Load, Phase, View};

/// Writes the bytes of one stream. See [`StreamingAllocator::begin_load`](crate::StreamingAllocator::begin_load).
///
/// It may be sent to another thread, and outlive the allocator. It writes like a [`Cursor`](io::Cursor) over exactly the
/// reserved bytes; bytes that are never written are zero.
///
/// ```
/// use framealloc::{StreamPriority, StreamState, StreamingAllocator};
/// use std::io::Write;
///
/// let streaming = StreamingAllocator::new(1 << 20);
/// let id = streaming.reserve(11, StreamPriority::Normal)?;
/// let mut writer = streaming.begin_load(id)?;
/// std::thread::spawn(move || -> std::io::Result<()> {
///     writer.write_all(b"hello world")?;
///     Ok(writer.finish()?)
/// })
/// .join()
/// .unwrap()?;
/// assert_eq!(&*streaming.access(id).unwrap(), b"hello world");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # How a load ends
///
/// - [`finish`](Self::finish) makes the stream ready, whether all of it was written or not.
/// - [`finish_load`](crate::StreamingAllocator::finish_load) makes it ready once all of it was written or reported as loaded:
///   at once if it was, or as soon as that is so. The writer is refused from then on.
/// - A writer that drops when everything was written leaves the stream loading, for
///   [`finish_load`](crate::StreamingAllocator::finish_load) to make it ready. Whoever finds that the bytes are wrong
///   [cancels](Self::cancel) it instead.
/// - Otherwise the load has failed: when the writer [cancels](Self::cancel), or drops before everything was written, or in a
///   panic, the stream is freed and its bytes are back in the budget.
/// - If the stream is freed or cancelled from elsewhere, the writer is refused, and its memory is freed when it drops.
#[must_use = "a writer that drops before everything was written cancels the load"]
pub struct StreamWriter {
    load: Load<Ledger>,
    position: usize,
    len: usize,
}

impl StreamWriter {
    pub(super) fn new(load: Load<Ledger>) -> Self {
        let len = load.slot().size();
        Self {
            load,
            position: 0,
            len,
        }
    }

    fn call(&self, name: &'static str) -> Call {
        Call {
            name,
            id: self.id(),
        }
    }

    /// The stream.
    pub fn id(&self) -> StreamId {
        let (index, generation) = (self.load.index(), self.load.generation());
        self.load.streams().ledger().id_of(index, generation)
    }

    /// Bytes that were reserved.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether the stream has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Where the next byte is written, from the start.
    pub fn position(&self) -> usize {
        self.position
    }

    /// Bytes from the position to the end.
    pub fn remaining(&self) -> usize {
        self.len - self.position
    }

    /// Says that `loaded` bytes are loaded, in all. What is written through [`Write`] counts by itself. The figure never
    /// falls, and never exceeds the size.
    ///
    /// Whether the stream still loads: a loader may as well stop if not.
    pub fn report_progress(&mut self, loaded: usize) -> bool {
        self.load.report(loaded).is_ok()
    }

    /// All bytes of the stream. Those that were not written yet are zero, and are zeroed when this is first called:
    /// [`chunk_mut`](Self::chunk_mut) does so piece by piece.
    ///
    /// The stream cannot become ready while they are lent. If the stream was freed meanwhile, they are written in vain.
    ///
    /// # Panics
    ///
    /// If [`finish_load`](crate::StreamingAllocator::finish_load) has made the stream ready;
    /// [`try_as_mut_slice`](Self::try_as_mut_slice) returns the error.
    #[track_caller]
    pub fn as_mut_slice(&mut self) -> StreamBytes<'_> {
        match self.try_as_mut_slice() {
            Ok(bytes) => bytes,
            Err(error) => panic!("{error}"),
        }
    }

    /// [`as_mut_slice`](Self::as_mut_slice) that returns the error.
    ///
    /// # Errors
    ///
    /// [`WrongState`](crate::StreamErrorKind::WrongState), or [`UnknownStream`](crate::StreamErrorKind::UnknownStream) if
    /// the stream has been freed or evicted since it was ready.
    pub fn try_as_mut_slice(&mut self) -> Result<StreamBytes<'_>, StreamError> {
        let call = self.call("as_mut_slice");
        let bytes = self.load.lend(0..self.len);
        bytes
            .map(StreamBytes)
            .map_err(|view| call.unfit(Some(view)))
    }

    /// The next bytes from the position on, at most `max` of them: room to read into. Tell how many were filled with
    /// [`advance`](Self::advance).
    ///
    /// ```
    /// use framealloc::{StreamPriority, StreamingAllocator};
    /// use std::io::Read;
    ///
    /// let mut file: &[u8] = &[7; 1000];
    /// let streaming = StreamingAllocator::new(1 << 20);
    /// let id = streaming.reserve(1000, StreamPriority::Normal)?;
    /// let mut writer = streaming.begin_load(id)?;
    /// while writer.remaining() > 0 {
    ///     let read = file.read(&mut writer.chunk_mut(256)?)?;
    ///     if read == 0 {
    ///         break;
    ///     }
    ///     writer.advance(read)?;
    /// }
    /// writer.finish()?;
    /// assert_eq!(*streaming.access(id).unwrap(), [7; 1000]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`try_as_mut_slice`](Self::try_as_mut_slice).
    pub fn chunk_mut(&mut self, max: usize) -> Result<StreamBytes<'_>, StreamError> {
        let call = self.call("chunk_mut");
        let end = self.position + max.min(self.remaining());
        let bytes = self.load.lend(self.position..end);
        bytes
            .map(StreamBytes)
            .map_err(|view| call.unfit(Some(view)))
    }

    /// Moves the position on by `n` bytes, at most to the end, and counts everything before it as loaded.
    ///
    /// # Errors
    ///
    /// [`UnknownStream`](crate::StreamErrorKind::UnknownStream) if the stream was freed or cancelled, and
    /// [`WrongState`](crate::StreamErrorKind::WrongState) if it is ready already. The position stays then.
    pub fn advance(&mut self, n: usize) -> Result<(), StreamError> {
        let call = self.call("advance");
        let position = self.position + n.min(self.remaining());
        self.load
            .report(position)
            .map_err(|view| call.unfit(Some(view)))?;
        self.position = position;
        Ok(())
    }

    /// Makes the stream ready. Bytes that were not written are zero.
    ///
    /// # Errors
    ///
    /// [`UnknownStream`](crate::StreamErrorKind::UnknownStream) if the stream was freed or cancelled meanwhile.
    pub fn finish(mut self) -> Result<(), StreamError> {
        let call = self.call("finish");
        self.complete().map_err(|view| call.unfit(Some(view)))
    }

    /// Gives the load up: the stream is freed, and its bytes are back in the budget.
    pub fn cancel(mut self) {
        self.end();
    }

    /// Makes the stream ready, if it was not freed.
    fn complete(&mut self) -> Result<(), View> {
        let done = self
            .load
            .lend(0..self.len)
            .map(drop)
            .and_then(|()| self.load.report(self.len))
            .and_then(|()| {
                let load = &self.load;
                let mut accounts = load.streams().ledger().accounts.lock();
                accounts.finish(load.streams(), load.index(), load.generation())
            });
        match done {
            Err(view) if self.load.is_abandoned(view) => Err(view),
            // `finish_load` has done it, or its wish was fulfilled when the bytes were taken back.
            _ => Ok(()),
        }
    }

    /// Leaves a stream that is whole to `finish_load`. Whether it is.
    fn leave(&mut self) -> bool {
        let load = &self.load;
        let mut accounts = load.streams().ledger().accounts.lock();
        accounts.writer_leaves(load.streams(), load.index(), load.generation())
    }

    /// Ends a load that has not become ready.
    fn end(&mut self) {
        let streams = self.load.streams().clone();
        let (index, generation) = (self.load.index(), self.load.generation());
        let mut accounts = streams.ledger().accounts.lock();
        let was_freed = self.load.is_abandoned(self.load.slot().view());
        let Ok(block) = self.load.end() else {
            return;
        };
        if !was_freed {
            accounts.has_failed();
        }
        drop(accounts);
        free(&streams, index, generation, block);
    }
}

impl Drop for StreamWriter {
    fn drop(&mut self) {
        let slot = self.load.slot();
        let view = slot.view();
        let open = matches!(view.phase(), Phase::Loading | Phase::Abandoned);
        if view.generation() != self.load.generation() || !open {
            return;
        }
        if view.is_ending() && slot.loaded() == self.len {
            let _ = self.complete();
        } else if !std::thread::panicking() && self.leave() {
            return;
        }
        self.end();
    }
}

/// # Errors
///
/// A [`StreamError`] as an [`io::Error`] if the stream was freed or cancelled, or is ready already. At the end of the stream
/// nothing more is written, so that `write_all` returns [`WriteZero`](io::ErrorKind::WriteZero).
impl Write for StreamWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let call = self.call("write");
        let bytes = &bytes[..bytes.len().min(self.remaining())];
        if bytes.is_empty() {
            return Ok(0);
        }
        self.load
            .write(self.position, bytes)
            .map_err(|view| call.unfit(Some(view)))?;
        self.position += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// # Errors
///
/// [`InvalidInput`](io::ErrorKind::InvalidInput) for a position outside the stream; it is not changed then.
impl Seek for StreamWriter {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => (self.len as u64).checked_add_signed(by),
            SeekFrom::Current(by) => (self.position as u64).checked_add_signed(by),
        };
        match position {
            Some(position) if position <= self.len as u64 => {
                self.position = position as usize;
                Ok(position)
            }
            _ => Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "a position outside the stream",
            )),
        }
    }
}

impl fmt::Debug for StreamWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamWriter")
            .field("id", &self.id())
            .field("position", &self.position)
            .field("len", &self.len)
            .finish()
    }
}

/// Bytes of a stream, lent to its writer. See [`StreamWriter::as_mut_slice`] and [`StreamWriter::chunk_mut`].
///
/// Nobody else sees them before it drops, whatever becomes of the stream.
pub struct StreamBytes<'a>(Exposed<'a, Ledger>);

impl Deref for StreamBytes<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl DerefMut for StreamBytes<'_> {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }
}

/// Its length: the bytes are too many to print.
impl fmt::Debug for StreamBytes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamBytes")
            .field("len", &self.len())
            .finish()
    }
}

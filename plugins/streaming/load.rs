//! Loading one file, on the IO pool.
//!
//! Bytes go from the source's reader straight into the stream's memory, a chunk at a time, with a pause after each in which other
//! loads have their turn, and in which a load that is no longer wanted ends.
//!
//! The size is what was told, or what seeking to the end tells. A source that cannot seek is read into reservations that
//! double, and if the budget has no room for that, it is counted first and read a second time. The end of the file is always
//! looked for: more bytes than expected, or fewer, are failures.
//!
//! Invariant: a load sends exactly one message, unless it is cancelled. Whatever it reserved is in that message, or freed.

use std::any::Any;
use std::future::poll_fn;
use std::io::{self, ErrorKind, SeekFrom};
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::Poll;

use bevy_asset::io::{AssetReaderError, Reader};
use bevy_asset::{AssetPath, AssetServer, AssetServerMode, AsyncSeekExt};
use crossbeam_channel::{Sender, TrySendError};
use futures_lite::FutureExt;
use futures_lite::future::yield_now;

use super::StreamFailureKind;
use super::owned::OwnedStream;
use super::room::{Claim, NoRoom};
use super::table::Key;
use crate::tags::TagId;
use crate::{SmartAlloc, StreamWriter};

/// How far a load is. Read by the frame's thread, written by the load.
#[derive(Debug)]
pub(super) struct Meter {
    loaded: AtomicU64,
    total: AtomicU64,
}

impl Meter {
    const UNKNOWN: u64 = u64::MAX;

    fn new() -> Self {
        Self {
            loaded: AtomicU64::new(0),
            total: AtomicU64::new(Self::UNKNOWN),
        }
    }

    pub(super) fn loaded(&self) -> u64 {
        self.loaded.load(Relaxed)
    }

    pub(super) fn total(&self) -> Option<u64> {
        Some(self.total.load(Relaxed)).filter(|&total| total != Self::UNKNOWN)
    }
}

/// What is to be loaded, and how.
pub(super) struct Load {
    pub(super) path: AssetPath<'static>,
    pub(super) alloc: SmartAlloc,
    pub(super) server: AssetServer,
    pub(super) claim: Claim,
    pub(super) tag: TagId,
    pub(super) pinned: bool,
    /// The size that was told.
    pub(super) size: Option<u64>,
    /// The size that the file had when it was loaded last.
    pub(super) size_before: Option<usize>,
    /// Bytes that are read at once.
    pub(super) chunk: usize,
    pub(super) meter: Arc<Meter>,
}

/// How a load ended.
pub(super) struct Finished {
    pub(super) key: Key,
    /// Tells it from earlier loads of the same file.
    pub(super) attempt: u64,
    pub(super) outcome: Result<OwnedStream, Stop>,
}

/// Why a load did not make its stream ready.
#[derive(Debug)]
pub(super) enum Stop {
    Failed(StreamFailureKind),
    /// There is no room at the moment for so many bytes.
    NoRoom(usize),
    /// Somebody freed the stream.
    Freed,
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Failed(match error.kind() {
            ErrorKind::NotFound => StreamFailureKind::NotFound,
            ErrorKind::PermissionDenied => StreamFailureKind::PermissionDenied,
            _ => StreamFailureKind::Source(error.to_string()),
        })
    }
}

impl From<AssetReaderError> for Stop {
    fn from(error: AssetReaderError) -> Self {
        match error {
            AssetReaderError::NotFound(_) => Self::Failed(StreamFailureKind::NotFound),
            AssetReaderError::Io(error) => match error.kind() {
                ErrorKind::NotFound => Self::Failed(StreamFailureKind::NotFound),
                ErrorKind::PermissionDenied => Self::Failed(StreamFailureKind::PermissionDenied),
                _ => Self::Failed(StreamFailureKind::Source(error.to_string())),
            },
            AssetReaderError::HttpError(401 | 403) => {
                Self::Failed(StreamFailureKind::PermissionDenied)
            }
            AssetReaderError::HttpError(404 | 410) => Self::Failed(StreamFailureKind::NotFound),
            error => Self::Failed(StreamFailureKind::Source(error.to_string())),
        }
    }
}

impl Load {
    pub(super) fn meter() -> Arc<Meter> {
        Arc::new(Meter::new())
    }

    /// Loads, and tells how it ended.
    pub(super) async fn run(self, key: Key, attempt: u64, finished: Sender<Finished>) {
        let caught = AssertUnwindSafe(self.load()).catch_unwind().await;
        let outcome = caught.unwrap_or_else(|panic| {
            let message = message_of(panic);
            Err(Stop::Failed(StreamFailureKind::SourcePanicked(message)))
        });
        // The channel has room for all loads that may be under way, so it is full only if many were cancelled at once.
        let mut message = Finished {
            key,
            attempt,
            outcome,
        };
        while let Err(TrySendError::Full(back)) = finished.try_send(message) {
            message = back;
            yield_now().await;
        }
    }

    async fn load(&self) -> Result<OwnedStream, Stop> {
        let mut reader = self.open().await?;
        let size = match self.size {
            Some(told) => Some(told),
            None => size_of(&mut *reader).await?,
        };
        match size {
            Some(size) => self.load_sized(&mut *reader, size).await,
            None => match self.load_growing(&mut *reader).await? {
                Grown::Loaded(stream) => Ok(stream),
                Grown::Counted(size) => {
                    drop(reader);
                    let mut reader = self.open().await?;
                    self.load_sized(&mut *reader, size).await
                }
            },
        }
    }

    async fn open(&self) -> Result<Box<dyn Reader + '_>, Stop> {
        if self.path.is_unapproved() {
            return Err(Stop::Failed(StreamFailureKind::UnapprovedPath));
        }
        let unknown = || Stop::Failed(StreamFailureKind::UnknownSource);
        let source = self.server.get_source(self.path.source());
        let source = source.map_err(|_| unknown())?;
        let reader = match self.server.mode() {
            AssetServerMode::Unprocessed => source.reader(),
            AssetServerMode::Processed => source.processed_reader().map_err(|_| unknown())?,
        };
        Ok(reader.read(self.path.path()).await?)
    }

    fn reserve(&self, size: u64) -> Result<(OwnedStream, StreamWriter), Stop> {
        let wanted = usize::try_from(size).unwrap_or(usize::MAX);
        let reserved = self.claim.reserve(&self.alloc, wanted, self.tag);
        let (mut stream, writer) = reserved.map_err(|why| match why {
            NoRoom::Now => Stop::NoRoom(wanted),
            NoRoom::Never { budget } => Stop::Failed(StreamFailureKind::TooLarge {
                size,
                budget: budget as u64,
            }),
            NoRoom::Refused(error) => Stop::Failed(StreamFailureKind::Refused(error)),
        })?;
        stream.set_pinned(self.pinned);
        Ok((stream, writer))
    }

    async fn load_sized(&self, reader: &mut dyn Reader, size: u64) -> Result<OwnedStream, Stop> {
        let (stream, mut writer) = self.reserve(size)?;
        self.meter.total.store(size, Relaxed);
        if !self.fill(reader, &mut writer).await? {
            return Err(Stop::Failed(StreamFailureKind::Truncated {
                expected: size,
                read: writer.position() as u64,
            }));
        }
        if read(reader, &mut [0]).await? != 0 {
            return Err(Stop::Failed(StreamFailureKind::Grew { expected: size }));
        }
        writer.finish().map_err(|_| Stop::Freed)?;
        Ok(stream)
    }

    /// Loads a file of unknown size, or only counts its bytes if there is no room to grow in.
    async fn load_growing(&self, reader: &mut dyn Reader) -> Result<Grown, Stop> {
        let first = self.size_before.unwrap_or(self.chunk);
        let Ok((mut stream, mut writer)) = self.reserve(first as u64) else {
            return Ok(Grown::Counted(self.count(reader, 0).await?));
        };
        let mut probe = [0];
        while self.fill(reader, &mut writer).await? && read(reader, &mut probe).await? != 0 {
            let so_far = writer.len();
            let doubled = (so_far as u64).saturating_mul(2).max(self.chunk as u64);
            let Ok((larger_stream, mut larger)) = self.reserve(doubled) else {
                drop((writer, stream));
                return Ok(Grown::Counted(self.count(reader, so_far as u64 + 1).await?));
            };
            self.copy(&mut writer, so_far, &mut larger).await?;
            io::Write::write_all(&mut larger, &probe).map_err(|_| Stop::Freed)?;
            (stream, writer) = (larger_stream, larger);
        }
        let size = writer.position();
        if size < writer.len() {
            let Ok((exact_stream, mut exact)) = self.reserve(size as u64) else {
                return Ok(Grown::Counted(size as u64));
            };
            self.copy(&mut writer, size, &mut exact).await?;
            (stream, writer) = (exact_stream, exact);
        }
        self.meter.total.store(size as u64, Relaxed);
        writer.finish().map_err(|_| Stop::Freed)?;
        Ok(Grown::Loaded(stream))
    }

    /// Fills the rest of a stream from the source. Whether the source had as much.
    async fn fill(&self, reader: &mut dyn Reader, writer: &mut StreamWriter) -> Result<bool, Stop> {
        while writer.remaining() > 0 {
            // The bytes are lent for one poll only: in between, the stream may be freed.
            let read = poll_fn(|cx| {
                let Ok(mut chunk) = writer.chunk_mut(self.chunk) else {
                    return Poll::Ready(Err(Stop::Freed));
                };
                let most = chunk.len();
                Pin::new(&mut *reader)
                    .poll_read(cx, &mut chunk)
                    .map_ok(|read| read.min(most))
                    .map_err(Stop::from)
            })
            .await?;
            if read == 0 {
                return Ok(false);
            }
            writer.advance(read).map_err(|_| Stop::Freed)?;
            self.meter.loaded.store(writer.position() as u64, Relaxed);
            yield_now().await;
        }
        Ok(true)
    }

    /// Copies the first bytes of a stream into another, in chunks.
    async fn copy(
        &self,
        from: &mut StreamWriter,
        bytes: usize,
        to: &mut StreamWriter,
    ) -> Result<(), Stop> {
        let freed = |_| Stop::Freed;
        io::Seek::seek(from, SeekFrom::Start(0))?;
        while to.position() < bytes {
            let most = self.chunk.min(bytes - to.position());
            let chunk = from.chunk_mut(most).map_err(freed)?;
            to.chunk_mut(most).map_err(freed)?.copy_from_slice(&chunk);
            drop(chunk);
            from.advance(most).map_err(freed)?;
            to.advance(most).map_err(freed)?;
            yield_now().await;
        }
        Ok(())
    }

    /// Reads to the end without keeping anything. How large the file is, `before` bytes of which were read already.
    async fn count(&self, reader: &mut dyn Reader, before: u64) -> Result<u64, Stop> {
        let mut size = before;
        let mut scratch = [0; 4096];
        loop {
            match read(reader, &mut scratch).await? {
                0 => return Ok(size),
                read => size += read as u64,
            }
            yield_now().await;
        }
    }
}

/// What became of a file of unknown size.
enum Grown {
    Loaded(OwnedStream),
    /// There was no room to grow in. It is this large.
    Counted(u64),
}

/// The size of the rest of a file that can seek. `None` if it cannot, or says 0: special files do.
async fn size_of(reader: &mut dyn Reader) -> Result<Option<u64>, Stop> {
    let Ok(seekable) = reader.seekable() else {
        return Ok(None);
    };
    match seekable.seek(SeekFrom::End(0)).await {
        Ok(size) => {
            seekable.seek(SeekFrom::Start(0)).await?;
            Ok(Some(size).filter(|&size| size != 0))
        }
        Err(error) if error.kind() == ErrorKind::Unsupported => Ok(None),
        Err(error) => Err(error.into()),
    }
}

async fn read(reader: &mut dyn Reader, buffer: &mut [u8]) -> Result<usize, Stop> {
    let most = buffer.len();
    let read = poll_fn(|cx| Pin::new(&mut *reader).poll_read(cx, buffer)).await?;
    Ok(read.min(most))
}

fn message_of(panic: Box<dyn Any + Send>) -> String {
    let panic = match panic.downcast::<String>() {
        Ok(message) => return *message,
        Err(panic) => panic,
    };
    match panic.downcast::<&'static str>() {
        Ok(message) => message.to_string(),
        Err(panic) => {
            // Its destructor might panic as well.
            std::mem::forget(panic);
            "something that is not a message".to_owned()
        }
    }
}

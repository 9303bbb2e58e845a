//! Asset sources that make their files up, and fail as they are told.

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bevy::asset::io::{
    AssetReader, AssetReaderError, AssetSourceBuilder, AssetSourceEvent, AssetWatcher, PathStream,
    Reader, ReaderNotSeekableError, SeekableReader, VecReader,
};
use bevy::prelude::*;
use bevy::tasks::futures_lite::{AsyncRead, AsyncSeek};

/// What a file is made of, again and again: another sequence for each name. Its length is a prime, so that a chunk in the wrong
/// place shows.
pub fn pattern_of(name: &str) -> Vec<u8> {
    let seed = name.bytes().fold(7_u64, |seed, byte| {
        seed.wrapping_mul(31).wrapping_add(u64::from(byte))
    });
    let byte_at = |place: u64| (place.wrapping_mul(2_654_435_761).wrapping_add(seed) >> 7) as u8;
    (0..65_521).map(byte_at).collect()
}

pub fn bytes_of(name: &str, size: usize) -> Vec<u8> {
    pattern_of(name).into_iter().cycle().take(size).collect()
}

/// Whether these are the bytes of a file.
pub fn is_made_of(bytes: &[u8], pattern: &[u8]) -> bool {
    let mut pieces = bytes.chunks(pattern.len());
    pieces.all(|piece| piece == &pattern[..piece.len()])
}

/// What a file does when it is read.
#[derive(Debug, Clone)]
pub enum Behaviour {
    Fine,
    /// The source cannot tell the size.
    CannotSeek,
    /// It claims to be larger than it is.
    Truncated {
        claims: usize,
    },
    /// It claims to be smaller than it is.
    Grows {
        claims: usize,
    },
    /// It cannot be opened.
    Refuses(io::ErrorKind),
    /// It breaks after so many bytes, on its first so many readings.
    Breaks {
        after: usize,
        times: usize,
    },
    /// It panics after so many bytes.
    Panics {
        after: usize,
    },
    /// It panics when it is opened.
    PanicsAtOnce,
    /// It never gets past so many bytes, until it is replaced.
    Hangs {
        after: usize,
    },
}

#[derive(Debug)]
struct Made {
    size: usize,
    behaviour: Behaviour,
    opened: usize,
}

/// A source of files that are made up.
#[derive(Debug, Clone, Default)]
pub struct Synthetic {
    files: Arc<Mutex<HashMap<String, Made>>>,
    open: Arc<AtomicUsize>,
    most_open: Arc<AtomicUsize>,
    order: Arc<Mutex<Vec<String>>>,
}

impl Synthetic {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn add(&self, name: &str, size: usize, behaviour: Behaviour) {
        let made = Made {
            size,
            behaviour,
            opened: 0,
        };
        self.files.lock().unwrap().insert(name.to_owned(), made);
    }

    /// How often a file was opened.
    pub fn opened(&self, name: &str) -> usize {
        self.files.lock().unwrap()[name].opened
    }

    /// Readers that are open at the moment.
    pub fn open(&self) -> usize {
        self.open.load(SeqCst)
    }

    /// The most readers that were ever open at once.
    pub fn most_open(&self) -> usize {
        self.most_open.load(SeqCst)
    }

    /// Names in the order in which they were opened.
    pub fn order(&self) -> Vec<String> {
        self.order.lock().unwrap().clone()
    }

    /// Before `AssetPlugin`.
    pub fn register(&self, app: &mut App, name: &'static str) {
        let source = self.clone();
        app.register_asset_source(
            name,
            AssetSourceBuilder::new(move || Box::new(source.clone())),
        );
    }

    /// As a source that is watched, if the app's `AssetPlugin` says so.
    pub fn register_watched(&self, app: &mut App, name: &'static str) -> Watcher {
        let source = self.clone();
        let watcher = Watcher::default();
        let watch = watcher.clone();
        let builder = AssetSourceBuilder::new(move || Box::new(source.clone()));
        app.register_asset_source(
            name,
            builder.with_watcher(move |sender| {
                let tell = move |event| sender.send_blocking(event).unwrap();
                *watch.0.lock().unwrap() = Some(Box::new(tell));
                Some(Box::new(watch.clone()))
            }),
        );
        watcher
    }
}

struct MadeReader {
    pattern: Vec<u8>,
    size: usize,
    claims: usize,
    behaviour: Behaviour,
    reading: usize,
    place: usize,
    open: Arc<AtomicUsize>,
}

impl Drop for MadeReader {
    fn drop(&mut self) {
        self.open.fetch_sub(1, SeqCst);
    }
}

type Telling = Box<dyn Fn(AssetSourceEvent) + Send>;

/// Tells a watched source's server that files have changed.
#[derive(Clone, Default)]
pub struct Watcher(Arc<Mutex<Option<Telling>>>);

impl AssetWatcher for Watcher {}

impl Watcher {
    pub fn tell_changed(&self, name: &str) {
        let tell = self.0.lock().unwrap();
        let tell = tell.as_ref().expect("the server watches");
        tell(AssetSourceEvent::ModifiedAsset(name.into()));
    }
}

impl MadeReader {
    /// Where the reading ends in another way than with the file.
    fn obstacle(&self) -> Option<usize> {
        match self.behaviour {
            Behaviour::Breaks { after, times } if self.reading <= times => Some(after),
            Behaviour::Panics { after } | Behaviour::Hangs { after } => Some(after),
            _ => None,
        }
    }
}

impl AsyncRead for MadeReader {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let obstacle = self.obstacle();
        let end = obstacle.unwrap_or(usize::MAX).min(self.size);
        if obstacle == Some(self.place) {
            return match self.behaviour {
                Behaviour::Breaks { .. } => Poll::Ready(Err(io::Error::other("the line is down"))),
                Behaviour::Panics { .. } => panic!("a bug in the source"),
                _ => Poll::Pending,
            };
        }
        let count = buffer.len().min(end - self.place);
        let mut filled = 0;
        while filled < count {
            let rest = &self.pattern[(self.place + filled) % self.pattern.len()..];
            let piece = rest.len().min(count - filled);
            buffer[filled..filled + piece].copy_from_slice(&rest[..piece]);
            filled += piece;
        }
        self.place += count;
        Poll::Ready(Ok(count))
    }
}

impl AsyncSeek for MadeReader {
    fn poll_seek(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        to: io::SeekFrom,
    ) -> Poll<io::Result<u64>> {
        self.place = match to {
            io::SeekFrom::Start(at) => at as usize,
            io::SeekFrom::End(by) => (self.claims as i64 + by) as usize,
            io::SeekFrom::Current(by) => (self.place as i64 + by) as usize,
        };
        Poll::Ready(Ok(self.place as u64))
    }
}

impl Reader for MadeReader {
    fn seekable(&mut self) -> Result<&mut dyn SeekableReader, ReaderNotSeekableError> {
        match self.behaviour {
            Behaviour::CannotSeek => Err(ReaderNotSeekableError),
            _ => Ok(self),
        }
    }
}

impl AssetReader for Synthetic {
    async fn read<'a>(&'a self, path: &'a Path) -> Result<impl Reader + 'a, AssetReaderError> {
        let name = path.to_str().unwrap().to_owned();
        let (size, behaviour, reading) = {
            let mut files = self.files.lock().unwrap();
            let made = files
                .get_mut(&name)
                .ok_or_else(|| AssetReaderError::NotFound(path.to_owned()))?;
            made.opened += 1;
            (made.size, made.behaviour.clone(), made.opened)
        };
        self.order.lock().unwrap().push(name.clone());
        match behaviour {
            Behaviour::Refuses(kind) => return Err(io::Error::from(kind).into()),
            Behaviour::PanicsAtOnce => panic!("a bug in the source"),
            _ => {}
        }
        let open = self.open.fetch_add(1, SeqCst) + 1;
        self.most_open.fetch_max(open, SeqCst);
        let claims = match behaviour {
            Behaviour::Truncated { claims } | Behaviour::Grows { claims } => claims,
            _ => size,
        };
        Ok(MadeReader {
            pattern: pattern_of(&name),
            size,
            claims,
            behaviour,
            reading,
            place: 0,
            open: Arc::clone(&self.open),
        })
    }

    async fn read_meta<'a>(&'a self, path: &'a Path) -> Result<impl Reader + 'a, AssetReaderError> {
        Err::<VecReader, _>(AssetReaderError::NotFound(path.to_owned()))
    }

    async fn read_directory<'a>(
        &'a self,
        path: &'a Path,
    ) -> Result<Box<PathStream>, AssetReaderError> {
        Err(AssetReaderError::NotFound(path.to_owned()))
    }

    async fn is_directory<'a>(&'a self, _: &'a Path) -> Result<bool, AssetReaderError> {
        Ok(false)
    }
}

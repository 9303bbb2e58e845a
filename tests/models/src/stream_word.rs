//! Writers, readers and evictions meet at one stream: its bytes are shared by readers, or one's alone, and its block is taken
//! once, when nobody uses it any more. loom checks every access of the bytes: two that are not ordered fail the model.

#![expect(unsafe_code, reason = "the bytes are checked by loom")]

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use loom::thread;

use crate::streams_word::{Phase, Removed, Word};

const GENERATION: u32 = 1;
const WRITTEN: u32 = 7;
const FREED: u32 = 0xDEAD;

/// One slot, as the allocator has it.
struct Stream {
    word: Word,
    /// What the slot's `initialised` is for: whether all bytes are written.
    initialised: AtomicUsize,
    bytes: UnsafeCell<u32>,
    taken: AtomicUsize,
}

impl Stream {
    fn loading() -> Arc<Self> {
        let stream = Self {
            word: Word::new(),
            initialised: AtomicUsize::new(0),
            bytes: UnsafeCell::new(0),
            taken: AtomicUsize::new(0),
        };
        assert_eq!(stream.word.occupy().ok(), Some(GENERATION));
        assert!(stream.word.open(GENERATION).is_ok());
        assert!(stream.word.begin(GENERATION).is_ok());
        assert!(stream.word.begin(GENERATION).is_err());
        Arc::new(stream)
    }

    fn ready() -> Arc<Self> {
        let stream = Self::loading();
        assert!(stream.write());
        assert!(stream.finish());
        stream
    }

    /// What the writer does. Whether it was let.
    fn write(&self) -> bool {
        if self.word.expose(GENERATION).is_err() {
            return false;
        }
        self.touch(WRITTEN);
        self.initialised.store(1, Relaxed);
        if self.word.cover() {
            self.finish();
        }
        true
    }

    /// Under the ledger's lock in the allocator, which the models leave out.
    fn finish(&self) -> bool {
        self.word.view().generation() == GENERATION
            && self.initialised.load(Relaxed) == 1
            && self.word.finish(GENERATION).is_ok()
    }

    fn touch(&self, value: u32) {
        // SAFETY: loom checks that nobody else is at it.
        self.bytes.with_mut(|bytes| unsafe { *bytes = value });
    }

    fn see(&self) -> u32 {
        // SAFETY: loom checks that nobody changes it.
        self.bytes.with(|bytes| unsafe { *bytes })
    }

    fn read(&self) -> bool {
        if self.word.read(GENERATION).is_err() {
            return false;
        }
        assert_eq!(self.see(), WRITTEN);
        if self.word.end_read() {
            self.reap();
        }
        true
    }

    fn take(&self) {
        self.touch(FREED);
        assert_eq!(self.taken.fetch_add(1, Relaxed), 0, "taken twice");
    }

    fn reap(&self) {
        if self.word.reap(GENERATION).is_ok() {
            self.take();
        }
    }

    fn remove(&self) {
        if self.word.remove(GENERATION) == Ok(Removed::Now) {
            self.take();
        }
    }

    fn writer_gone(&self) {
        if self.word.writer_gone(GENERATION).is_ok() {
            self.take();
        }
    }

    fn evict(&self) -> bool {
        if self.word.claim(GENERATION).is_err() {
            return false;
        }
        assert!(self.word.evict(GENERATION).is_ok());
        self.take();
        assert!(self.word.vacate(GENERATION).is_ok());
        true
    }

    fn is_taken(&self) -> bool {
        self.taken.load(Relaxed) == 1
    }
}

fn model(f: impl Fn() + Send + Sync + 'static) {
    let mut model = loom::model::Builder::new();
    // Every interleaving with so many switches away from a thread that could go on: all of them take minutes.
    model.preemption_bound = Some(3);
    model.check(f);
}

fn spawn(stream: &Arc<Stream>, f: impl FnOnce(&Stream) + 'static) -> thread::JoinHandle<()> {
    let stream = stream.clone();
    thread::spawn(move || f(&stream))
}

#[test]
fn a_reader_sees_all_that_was_written_whoever_finishes_the_stream() {
    model(|| {
        let stream = Stream::loading();
        let writer = spawn(&stream, |stream| assert!(stream.write()));
        let finisher = spawn(&stream, |stream| {
            assert!(stream.word.ask_end(GENERATION).is_ok() || stream.finish());
            stream.finish();
        });
        stream.read();
        writer.join().unwrap();
        finisher.join().unwrap();
        assert!(stream.read(), "it was written, and asked for");
    });
}

#[test]
fn an_overtaken_writer_does_not_touch_what_readers_see() {
    model(|| {
        let stream = Stream::loading();
        assert!(stream.write());
        let finisher = spawn(&stream, |stream| {
            stream.finish();
        });
        // The second time it may be too late.
        let reader = spawn(&stream, |stream| {
            stream.read();
        });
        stream.write();
        finisher.join().unwrap();
        reader.join().unwrap();
    });
}

#[test]
fn readers_and_an_eviction_exclude_each_other() {
    model(|| {
        let stream = Stream::ready();
        let readers = [(); 2].map(|()| {
            spawn(&stream, |stream| {
                stream.read();
            })
        });
        let evicted = stream.evict();
        readers
            .into_iter()
            .for_each(|reader| reader.join().unwrap());
        assert_eq!(evicted, stream.is_taken());
        assert!(evicted || stream.evict(), "nobody reads it any more");
        assert!(!stream.read());
    });
}

#[test]
fn a_claim_that_is_given_up_leaves_the_stream_as_it_was() {
    model(|| {
        let stream = Stream::ready();
        let reader = spawn(&stream, |stream| {
            stream.read();
        });
        if stream.word.claim(GENERATION).is_ok() {
            assert!(stream.word.unclaim(GENERATION).is_ok());
        }
        reader.join().unwrap();
        assert!(stream.read());
    });
}

#[test]
fn a_stream_freed_while_it_is_read_is_taken_once_by_the_last() {
    model(|| {
        let stream = Stream::ready();
        let readers = [(); 2].map(|()| {
            spawn(&stream, |stream| {
                stream.read();
            })
        });
        stream.remove();
        readers
            .into_iter()
            .for_each(|reader| reader.join().unwrap());
        assert!(stream.is_taken());
    });
}

#[test]
fn an_exclusive_borrow_is_alone_and_may_be_the_last() {
    model(|| {
        let stream = Stream::ready();
        let exclusive = spawn(&stream, |stream| {
            if stream.word.write(GENERATION).is_ok() {
                stream.touch(0);
                stream.touch(WRITTEN);
                if stream.word.end_write() {
                    stream.reap();
                }
            }
        });
        let reader = spawn(&stream, |stream| {
            stream.read();
        });
        stream.remove();
        exclusive.join().unwrap();
        reader.join().unwrap();
        assert!(stream.is_taken());
    });
}

#[test]
fn a_stream_freed_while_it_loads_is_taken_once_after_the_writer() {
    model(|| {
        let stream = Stream::loading();
        let writer = spawn(&stream, |stream| {
            stream.write();
            stream.writer_gone();
        });
        let finisher = spawn(&stream, |stream| {
            stream.finish();
        });
        stream.remove();
        writer.join().unwrap();
        finisher.join().unwrap();
        stream.remove();
        assert!(stream.is_taken());
        assert_eq!(stream.word.view().phase(), Phase::Empty);
    });
}

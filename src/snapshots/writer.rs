//! The thread that writes.
//!
//! It never reports: whoever emits next does, on a thread where strict mode and captures are the program's own affair.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::{self, JoinHandle};

use super::capture::Started;
use super::config::SnapshotConfig;
use super::files;
use super::model::Snapshot;
use crate::sync::Mutex;

/// Snapshots that may wait. The interval is long, so that more than one waits only where the disk hangs.
const QUEUE: usize = 4;

/// A snapshot, or how to come by it.
pub(super) enum Source {
    Whole(Box<Snapshot>),
    Started(Box<Started>),
}

enum Job {
    Write {
        source: Source,
        answers: bool,
    },
    /// Tells when all before it is done.
    Flush(SyncSender<()>),
}

/// What the writer has to say to who emits.
#[derive(Default)]
pub(super) struct Outcome {
    /// The newest failure that nobody has reported yet.
    failure: Mutex<Option<String>>,
    /// Whether a snapshot is on its way that answers the request file, which is there until it has arrived.
    answering: AtomicBool,
}

impl Outcome {
    pub(super) fn take_failure(&self) -> Option<String> {
        self.failure.lock().take()
    }

    pub(super) fn fail(&self, why: String) {
        let replaced = self.failure.lock().replace(why);
        drop(replaced);
    }

    pub(super) fn is_answering(&self) -> bool {
        self.answering.load(Relaxed)
    }
}

/// The way to the thread. Dropping it waits until everything is written.
pub(super) struct Writer {
    queue: Option<SyncSender<Job>>,
    thread: Option<JoinHandle<()>>,
    outcome: Arc<Outcome>,
}

impl Writer {
    pub(super) fn start(config: &SnapshotConfig, outcome: &Arc<Outcome>) -> io::Result<Self> {
        let (queue, jobs) = sync_channel(QUEUE);
        let writing = Writing {
            directory: config.directory.clone(),
            max: config.max_snapshots,
            outcome: Arc::clone(outcome),
            ours: Vec::new(),
        };
        let thread = thread::Builder::new()
            .name("framealloc-snapshots".to_owned())
            .spawn(move || writing.run(&jobs))?;
        Ok(Self {
            queue: Some(queue),
            thread: Some(thread),
            outcome: Arc::clone(outcome),
        })
    }

    /// Hands a snapshot over, if there is room for it. Never waits.
    pub(super) fn push(&self, source: Source, answers: bool) -> bool {
        let Some(queue) = &self.queue else {
            return false;
        };
        if answers {
            self.outcome.answering.store(true, Relaxed);
        }
        let refused = match queue.try_send(Job::Write { source, answers }) {
            Ok(()) => return true,
            Err(TrySendError::Full(_)) => "the disk is too slow: the snapshot was left out",
            Err(TrySendError::Disconnected(_)) => "the thread that writes snapshots has ended",
        };
        if answers {
            self.outcome.answering.store(false, Relaxed);
        }
        self.outcome.fail(refused.to_owned());
        false
    }

    /// Something to wait on until all that was handed over so far is written.
    pub(super) fn flushing(&self) -> impl FnOnce() + use<> {
        let queue = self.queue.clone();
        move || {
            let (done, wait) = sync_channel(1);
            if queue.is_some_and(|queue| queue.send(Job::Flush(done)).is_ok()) {
                // An error means that the thread is gone, and with it everything to wait for.
                let _ = wait.recv();
            }
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// What the thread works with.
struct Writing {
    directory: PathBuf,
    max: usize,
    outcome: Arc<Outcome>,
    /// The frames that it wrote last, as many as are kept.
    ours: Vec<u64>,
}

impl Writing {
    fn run(mut self, jobs: &Receiver<Job>) {
        for job in jobs {
            match job {
                Job::Write { source, answers } => {
                    let snapshot = match source {
                        Source::Whole(snapshot) => *snapshot,
                        Source::Started(started) => started.finish(),
                    };
                    if let Err(error) = self.write(&snapshot, answers) {
                        self.outcome.fail(error.to_string());
                    }
                    if answers {
                        self.outcome.answering.store(false, Relaxed);
                    }
                }
                Job::Flush(done) => {
                    let _ = done.send(());
                }
            }
        }
    }

    fn write(&mut self, snapshot: &Snapshot, answers: bool) -> io::Result<()> {
        files::write(&self.directory, snapshot.frame, &snapshot.to_json())?;
        // Who asked finds the snapshot as soon as the request is gone.
        let answered = if answers {
            files::remove_request(&self.directory)
        } else {
            Ok(())
        };
        self.ours.retain(|&frame| frame != snapshot.frame);
        if self.ours.len() == self.max {
            self.ours.remove(0);
        }
        self.ours.push(snapshot.frame);
        files::prune(&self.directory, self.max, &self.ours).and(answered)
    }
}

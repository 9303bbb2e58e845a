//! The front of what writes: whether it is time, and who asks.

use core::fmt;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use web_time::Instant;

use super::config::SnapshotConfig;
use super::files;
use super::model::Snapshot;
use super::writer::{Outcome, Source, Writer};
use crate::diagnostics::{self, DiagnosticCode};
use crate::smart_alloc::SmartAlloc;
use crate::sync::Mutex;

/// The request file is looked for this often at most: a look is a system call.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// Writes snapshots to files, for tools that look on: when a tool asks for one, or all the time.
///
/// A tool asks by making an empty file `snapshot.request` in the directory. The next [`maybe_emit`](Self::maybe_emit), or
/// [`maybe_emit_from`](Self::maybe_emit_from), that the interval allows has `snapshot_{frame:016}.json` written, and the request is removed once that file is there. The request is
/// looked for every 50 ms at most.
///
/// A thread of its own does the writing, from a queue; it starts with the first snapshot, and dropping the emitter waits until
/// it is done. Each file appears whole or not at all, and beyond [`max_snapshots`](SnapshotConfig::max_snapshots) the oldest
/// are removed: those of earlier runs first, then by frame. Other files are left alone. What goes wrong is reported as FA903
/// by whoever calls the emitter next, and a request that was not answered stays.
///
/// ```no_run
/// use framealloc::{SmartAlloc, SnapshotConfig, SnapshotEmitter};
///
/// let alloc = SmartAlloc::with_defaults();
/// let emitter = SnapshotEmitter::new(SnapshotConfig::default().with_directory("target/framealloc"));
/// loop {
///     alloc.begin_frame();
///     // … the frame …
///     alloc.end_frame();
///     emitter.maybe_emit_from(&alloc);
/// }
/// ```
pub struct SnapshotEmitter {
    config: SnapshotConfig,
    enabled: AtomicBool,
    emitted: AtomicU64,
    turns: Mutex<Turns>,
    outcome: Arc<Outcome>,
    writer: Mutex<Option<Writer>>,
}

/// When something was done last.
#[derive(Default)]
struct Turns {
    emitted: Option<Instant>,
    looked: Option<Instant>,
}

/// Whether so much time has passed since.
fn is_over(since: Option<Instant>, interval: Duration, now: Instant) -> bool {
    since.is_none_or(|since| now.saturating_duration_since(since) >= interval)
}

impl SnapshotEmitter {
    /// An emitter that is enabled. Nothing is written, and no directory made, before a snapshot is due.
    pub fn new(config: SnapshotConfig) -> Self {
        Self {
            config: config.sane(),
            enabled: AtomicBool::new(true),
            emitted: AtomicU64::new(0),
            turns: Mutex::new(Turns::default()),
            outcome: Arc::default(),
            writer: Mutex::new(None),
        }
    }

    /// The configuration that holds: the interval is at least 500 ms, and at least one snapshot is kept.
    pub fn config(&self) -> &SnapshotConfig {
        &self.config
    }

    /// Turns it on or off. While it is off it writes nothing, and requests stay.
    pub fn set_enabled(&self, enabled: bool) {
        self.enabled.store(enabled, Relaxed);
    }

    /// Whether it is on.
    pub fn is_enabled(&self) -> bool {
        self.enabled.load(Relaxed)
    }

    /// How many snapshots were handed to the writing thread.
    pub fn emit_count(&self) -> u64 {
        self.emitted.load(Relaxed)
    }

    /// Has a snapshot written if one is due: asked for, or [`auto_emit`](SnapshotConfig::auto_emit) is on, and the interval since
    /// the last one is over. Returns whether it is on its way.
    ///
    /// [`maybe_emit_with`](Self::maybe_emit_with) does without a snapshot while none is due.
    pub fn maybe_emit(&self, snapshot: &Snapshot) -> bool {
        self.maybe_emit_at(Instant::now(), || snapshot.clone())
    }

    /// [`maybe_emit`](Self::maybe_emit) of a snapshot of `alloc`, cheap enough for every frame: what takes time is done on the
    /// writing thread, and nothing while no snapshot is due.
    ///
    /// Threads, budgets and promotions are those of this moment. The counters of tags are read a little later; what threads
    /// allocate meanwhile is among them.
    pub fn maybe_emit_from(&self, alloc: &SmartAlloc) -> bool {
        self.if_due(Instant::now(), || {
            Source::Started(Box::new(alloc.start_snapshot()))
        })
    }

    /// [`maybe_emit`](Self::maybe_emit) of a snapshot that is made only if it is due.
    pub fn maybe_emit_with(&self, snapshot: impl FnOnce() -> Snapshot) -> bool {
        self.maybe_emit_at(Instant::now(), snapshot)
    }

    /// [`maybe_emit_with`](Self::maybe_emit_with) by the caller's clock.
    pub fn maybe_emit_at(&self, now: Instant, snapshot: impl FnOnce() -> Snapshot) -> bool {
        self.if_due(now, || Source::Whole(Box::new(snapshot())))
    }

    fn if_due(&self, now: Instant, source: impl FnOnce() -> Source) -> bool {
        if !self.is_enabled() {
            return false;
        }
        let asked = self.is_asked(now);
        let answers = *asked.as_ref().unwrap_or(&false);
        let emitted = (answers || self.config.auto_emit)
            && self.take_turn(now)
            && self.push(source(), answers);
        self.report(asked.err().map(|error| error.to_string()));
        emitted
    }

    /// Has a snapshot written, asked for or not, unless the interval since the last one is not over yet or the emitter is off.
    /// Returns whether it is on its way.
    pub fn emit(&self, snapshot: &Snapshot) -> bool {
        self.emit_at(Instant::now(), || snapshot.clone())
    }

    /// [`emit`](Self::emit) by the caller's clock, of a snapshot that is made only if the interval is over.
    pub fn emit_at(&self, now: Instant, snapshot: impl FnOnce() -> Snapshot) -> bool {
        let emitted = self.is_enabled()
            && self.take_turn(now)
            && self.push(Source::Whole(Box::new(snapshot())), false);
        self.report(None);
        emitted
    }

    /// Waits until everything that was emitted is written, or has failed.
    pub fn flush(&self) {
        self.wait();
        self.report(None);
    }

    /// Removes every snapshot from the directory, whoever wrote it, once those on their way are written. Returns how many there
    /// were.
    ///
    /// # Errors
    ///
    /// The system's, with the path. A directory that is not there has none.
    pub fn clear_all_snapshots(&self) -> io::Result<usize> {
        self.wait();
        files::clear(&self.config.directory)
    }

    fn wait(&self) {
        let flushing = self.writer.lock().as_ref().map(Writer::flushing);
        // Not under the lock: others emit meanwhile.
        if let Some(flushed) = flushing {
            flushed();
        }
    }

    /// Whether the request file is there, if it is time to look.
    fn is_asked(&self, now: Instant) -> io::Result<bool> {
        if !self.config.check_request_file || self.outcome.is_answering() {
            return Ok(false);
        }
        {
            let mut turns = self.turns.lock();
            if !is_over(turns.emitted, self.config.min_interval, now)
                || !is_over(turns.looked, LOOK_INTERVAL, now)
            {
                return Ok(false);
            }
            turns.looked = Some(now);
        }
        files::is_requested(&self.config.directory)
    }

    /// Whether the interval is over. If so, it begins anew: of several threads one gets the turn.
    fn take_turn(&self, now: Instant) -> bool {
        let mut turns = self.turns.lock();
        let is_over = is_over(turns.emitted, self.config.min_interval, now);
        if is_over {
            turns.emitted = Some(now);
        }
        is_over
    }

    fn push(&self, source: Source, answers: bool) -> bool {
        let mut writer = self.writer.lock();
        if writer.is_none() {
            match Writer::start(&self.config, &self.outcome) {
                Ok(started) => *writer = Some(started),
                Err(error) => self
                    .outcome
                    .fail(format!("no thread to write with: {error}")),
            }
        }
        let pushed = writer
            .as_ref()
            .is_some_and(|writer| writer.push(source, answers));
        if pushed {
            self.emitted.fetch_add(1, Relaxed);
        }
        pushed
    }

    /// Reports what went wrong, here or on the writing thread. Called last, with no lock held.
    fn report(&self, failure: Option<String>) {
        if let Some(failure) = failure.or_else(|| self.outcome.take_failure()) {
            diagnostics::report(DiagnosticCode::FA903, format_args!("{failure}"));
        }
    }
}

impl Drop for SnapshotEmitter {
    fn drop(&mut self) {
        // Waits until everything is written.
        drop(self.writer.get_mut().take());
        self.report(None);
    }
}

impl fmt::Debug for SnapshotEmitter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SnapshotEmitter")
            .field("config", &self.config)
            .field("enabled", &self.is_enabled())
            .field("emit_count", &self.emit_count())
            .finish_non_exhaustive()
    }
}

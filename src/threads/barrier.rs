//! Frames that end on several threads together.

use core::error::Error;
use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::Arc;
use std::thread::{self, ThreadId};
use std::time::Duration;

use web_time::Instant;

use super::rounds::{Refusal, Rounds, Until};
use super::this_thread;

/// Who signals.
#[derive(Clone, PartialEq)]
enum Party {
    Thread(ThreadId),
    Member(u64),
}

/// Lets a coordinator wait until a number of threads have finished their frame.
///
/// Each thread signals once a frame. When as many have signalled as the barrier has places, its *generation* is complete:
/// [`wait_all`](Self::wait_all) returns, and [`reset`](Self::reset) moves on to the next one.
///
/// ```
/// use framealloc::{FrameBarrier, SmartAlloc};
///
/// let alloc = SmartAlloc::with_defaults();
/// let barrier = FrameBarrier::new(3);
/// std::thread::scope(|scope| {
///     for _ in 0..2 {
///         scope.spawn(|| {
///             // … the frame's work …
///             barrier.signal_frame_complete();
///         });
///     }
///     alloc.begin_frame();
///     barrier.signal_frame_complete();
///     barrier.wait_all();
///     alloc.end_frame();
///     barrier.reset();
/// });
/// assert_eq!(barrier.generation(), 1);
/// ```
///
/// # Whose signal counts for what
///
/// A signal counts for the first generation that is not complete and that its thread has not signalled yet. No signal is
/// lost, in whatever order threads signal, wait and reset: a worker that is a frame ahead has signalled the next generation,
/// which then waits for the others only. `reset` on a generation that is not complete does nothing; only a thread that
/// leaves takes its signals with it.
///
/// Threads need no introduction: any that signals is counted, and a thread that ends is not waited for by name. To have the
/// others go on when a worker panics or ends early, give it a [`BarrierMember`] ([`join`](Self::join)), which is also the
/// way for tasks that move between threads.
///
/// A worker that must not run ahead waits until the coordinator has moved on:
///
/// ```
/// # let barrier = framealloc::FrameBarrier::new(1);
/// let signalled = barrier.signal_frame_complete();
/// # barrier.wait_and_reset();
/// barrier.wait_for_generation(signalled + 1);
/// ```
pub struct FrameBarrier {
    rounds: Rounds<Party>,
    has_names: bool,
    waits: Waits,
}

#[derive(Default)]
struct Waits {
    total: AtomicU64,
    total_us: AtomicU64,
    max_us: AtomicU64,
    timeouts: AtomicU64,
}

/// How a barrier was waited for. See [`FrameBarrier::stats`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BarrierStats {
    /// Waits that have ended.
    pub total_waits: u64,
    /// Microseconds that they took together.
    pub total_wait_time_us: u64,
    /// Microseconds that the longest took.
    pub max_wait_time_us: u64,
    /// Of the waits, those that ended because their time was up.
    pub timeout_count: u64,
}

impl FrameBarrier {
    /// A barrier with `places` places: a generation is complete with as many signals. With none, it always is.
    pub fn new(places: usize) -> Arc<Self> {
        FrameBarrierBuilder::new().with_count(places).build()
    }

    /// Tells that the calling thread has finished its frame, and returns the generation that the signal counts for.
    ///
    /// If the barrier has a free place of the thread's name, the thread takes it.
    pub fn signal_frame_complete(&self) -> u64 {
        if self.has_names {
            let thread = thread::current();
            self.rounds
                .signal(&Party::Thread(thread.id()), thread.name())
        } else {
            self.rounds.signal(&Party::Thread(this_thread()), None)
        }
    }

    /// Waits until the generation that the calling thread signalled last is complete; the present one, if it has not
    /// signalled. Any number of threads may wait.
    pub fn wait_all(&self) {
        self.wait(Until::Complete(&Party::Thread(this_thread())), None, false);
    }

    /// [`wait_all`](Self::wait_all) for so long at most. Returns whether the generation is complete.
    pub fn wait_timeout(&self, timeout: Duration) -> bool {
        // A deadline beyond the clock's end is none.
        let deadline = Instant::now().checked_add(timeout);
        let party = Party::Thread(this_thread());
        self.wait(Until::Complete(&party), deadline, false)
    }

    /// Moves on to the next generation if the present one is complete, and returns whether it was.
    ///
    /// One thread resets; where several would, let each call [`wait_and_reset`](Self::wait_and_reset) instead.
    pub fn reset(&self) -> bool {
        self.rounds.advance()
    }

    /// [`wait_all`](Self::wait_all), then moves on from that generation, unless another thread has done so meanwhile.
    pub fn wait_and_reset(&self) {
        self.wait(Until::Complete(&Party::Thread(this_thread())), None, true);
    }

    /// Waits until the barrier has moved on to this generation.
    pub fn wait_for_generation(&self, generation: u64) {
        self.wait(Until::Generation(generation), None, false);
    }

    fn wait(&self, until: Until<'_, Party>, deadline: Option<Instant>, reset: bool) -> bool {
        let start = Instant::now();
        let came = self.rounds.wait(until, deadline, reset);
        let us = start.elapsed().as_micros() as u64;
        self.waits.total.fetch_add(1, Relaxed);
        self.waits.total_us.fetch_add(us, Relaxed);
        self.waits.max_us.fetch_max(us, Relaxed);
        if !came {
            self.waits.timeouts.fetch_add(1, Relaxed);
        }
        came
    }

    /// Takes a place for the calling thread: the one of its name, another free one, or a new one if none is free. A thread
    /// that has a place keeps it.
    ///
    /// A registered thread that ends without [`unregister_thread`](Self::unregister_thread) is waited for.
    /// [`join`](Self::join) gives a guard that leaves by itself.
    pub fn register_thread(&self) {
        let thread = thread::current();
        let party = Party::Thread(thread.id());
        if self.rounds.holds_place(&party) {
            return;
        }
        let named = thread
            .name()
            .map(|name| self.rounds.join(&party, Some(name)));
        if named != Some(Ok(())) {
            let _ = self.rounds.join(&party, None);
        }
    }

    /// Gives up the calling thread's place: the others no longer wait for it, in the present generation either. Its signals
    /// for generations that are not complete go with it. Returns whether it had a place.
    pub fn unregister_thread(&self) -> bool {
        self.rounds.leave(&Party::Thread(this_thread()))
    }

    /// Whether this thread has a place.
    pub fn is_registered(&self, thread: ThreadId) -> bool {
        self.rounds.holds_place(&Party::Thread(thread))
    }

    /// Takes a place, free or new, for as long as the returned guard lives. See [`BarrierMember`].
    pub fn join(self: &Arc<Self>) -> BarrierMember {
        let member = self.member();
        let _ = self.rounds.join(&Party::Member(member.id), None);
        member
    }

    /// Takes the place of this name for as long as the returned guard lives. See [`BarrierMember`].
    ///
    /// # Errors
    ///
    /// [`BarrierErrorKind::Unknown`] if the barrier was built without such a place, or [`BarrierErrorKind::Taken`].
    pub fn join_as(self: &Arc<Self>, name: &str) -> Result<BarrierMember, BarrierError> {
        let member = self.member();
        match self.rounds.join(&Party::Member(member.id), Some(name)) {
            Ok(()) => Ok(member),
            Err(refusal) => Err(BarrierError {
                kind: match refusal {
                    Refusal::Unknown => BarrierErrorKind::Unknown,
                    Refusal::Taken => BarrierErrorKind::Taken,
                },
                name: name.to_owned(),
            }),
        }
    }

    fn member(self: &Arc<Self>) -> BarrierMember {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        BarrierMember {
            barrier: self.clone(),
            id: NEXT.fetch_add(1, Relaxed),
        }
    }

    /// The number of places: as many signals complete a generation.
    pub fn thread_count(&self) -> usize {
        self.rounds.places()
    }

    /// The signals that count for the present generation.
    pub fn arrived_count(&self) -> usize {
        self.rounds.arrived()
    }

    /// How often the barrier has moved on.
    pub fn generation(&self) -> u64 {
        self.rounds.generation()
    }

    /// Whether the present generation is complete.
    pub fn is_complete(&self) -> bool {
        self.rounds.is_complete()
    }

    /// The names of the places that the present generation still waits for: not signalled, or not taken at all.
    pub fn waiting_for(&self) -> Vec<String> {
        self.rounds.missing()
    }

    /// How it was waited for.
    pub fn stats(&self) -> BarrierStats {
        BarrierStats {
            total_waits: self.waits.total.load(Relaxed),
            total_wait_time_us: self.waits.total_us.load(Relaxed),
            max_wait_time_us: self.waits.max_us.load(Relaxed),
            timeout_count: self.waits.timeouts.load(Relaxed),
        }
    }
}

impl fmt::Debug for FrameBarrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FrameBarrier")
            .field("generation", &self.generation())
            .field("thread_count", &self.thread_count())
            .field("arrived_count", &self.arrived_count())
            .field("waiting_for", &self.waiting_for())
            .finish()
    }
}

/// A place in a [`FrameBarrier`], held by this value instead of a thread.
///
/// When it drops, on unwinding too, its place goes with it, and the others no longer wait for it. Its signals count as its
/// own, whatever thread they are made on.
///
/// ```
/// use framealloc::FrameBarrier;
///
/// let barrier = FrameBarrier::new(2);
/// let physics = barrier.join();
/// barrier.signal_frame_complete();
/// let died = std::thread::spawn(move || {
///     let _physics = physics;
///     panic!("before it has signalled");
/// });
/// assert!(died.join().is_err());
/// barrier.wait_all();
/// ```
pub struct BarrierMember {
    barrier: Arc<FrameBarrier>,
    id: u64,
}

impl BarrierMember {
    /// Tells that the member has finished its frame, and returns the generation that the signal counts for.
    pub fn signal_frame_complete(&self) -> u64 {
        self.barrier.rounds.signal(&Party::Member(self.id), None)
    }

    /// [`FrameBarrier::wait_all`] for the generation that the member signalled last.
    pub fn wait_all(&self) {
        let party = Party::Member(self.id);
        self.barrier.wait(Until::Complete(&party), None, false);
    }

    /// The barrier.
    pub fn barrier(&self) -> &Arc<FrameBarrier> {
        &self.barrier
    }
}

impl Drop for BarrierMember {
    fn drop(&mut self) {
        self.barrier.rounds.leave(&Party::Member(self.id));
    }
}

impl fmt::Debug for BarrierMember {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("BarrierMember").field(&self.id).finish()
    }
}

/// Sets a [`FrameBarrier`] up, with a name for each place.
///
/// ```
/// use framealloc::FrameBarrierBuilder;
///
/// let barrier = FrameBarrierBuilder::new()
///     .with_thread("main")
///     .with_thread("physics")
///     .build();
/// let physics = barrier.join_as("physics")?;
/// physics.signal_frame_complete();
/// assert_eq!(barrier.waiting_for(), ["main"]);
/// # Ok::<(), framealloc::BarrierError>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct FrameBarrierBuilder {
    names: Vec<String>,
    count: usize,
}

impl FrameBarrierBuilder {
    /// A barrier without places.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a place for a thread of this name.
    #[must_use]
    pub fn with_thread(mut self, name: &str) -> Self {
        self.names.push(name.to_owned());
        self
    }

    /// The least number of places, those with names included.
    #[must_use]
    pub fn with_count(mut self, places: usize) -> Self {
        self.count = places;
        self
    }

    /// The barrier.
    pub fn build(self) -> Arc<FrameBarrier> {
        Arc::new(FrameBarrier {
            has_names: !self.names.is_empty(),
            rounds: Rounds::new(self.names, self.count),
            waits: Waits::default(),
        })
    }
}

/// Why a named place could not be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BarrierErrorKind {
    /// The barrier has no place of this name.
    Unknown,
    /// The place has a holder.
    Taken,
}

/// A named place that could not be taken. Nothing has changed in the barrier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BarrierError {
    kind: BarrierErrorKind,
    name: String,
}

impl BarrierError {
    /// Why.
    pub fn kind(&self) -> BarrierErrorKind {
        self.kind
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Display for BarrierError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.name;
        match self.kind {
            BarrierErrorKind::Unknown => write!(
                f,
                "the barrier has no place for `{name}`; add it with `FrameBarrierBuilder::with_thread`, or `join` without a name"
            ),
            BarrierErrorKind::Taken => write!(
                f,
                "the barrier's place for `{name}` is taken; drop its `BarrierMember` first, or give each thread a name of its own"
            ),
        }
    }
}

impl Error for BarrierError {}

//! Which files are wanted, by whom, and how far each is.
//!
//! ```text
//!            too far away            its turn              its end
//!   Idle <----------------> Queued ----------> Loading ------------> Ready
//!                             ^  ^                | no room, or         | room for others
//!                             |  +---- Waiting <--+ a failed attempt    v
//!                             +------------- wanted again ---------- Evicted
//!   Loading --> Failed (for good), Cancelled: until somebody asks again
//! ```
//!
//! Invariant: a file is in exactly those of the table's sets that its state names; [`Places::enter`] alone changes a state.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use bevy_asset::{AssetPath, Handle};
use bevy_ecs::entity::{EntityHashMap, EntityIndexSet};
use bevy_ecs::prelude::*;
use bevy_platform::collections::HashMap;
use bevy_tasks::Task;
use crossbeam_channel::{Receiver, Sender, bounded, unbounded};

use super::load::{Finished, Meter};
use super::owned::OwnedStream;
use super::reload::Watched;
use super::wish::{Turn, Wish};
use super::{StreamFailure, StreamingTotals};
use crate::bevy::AllocIdentity;
use crate::{SmartAlloc, StreamId, StreamPriority};

/// A file's name in the table. Never used again.
pub(super) type Key = u64;

/// How far a file is.
pub(super) enum State {
    /// Too far away to be loaded.
    Idle,
    Queued(Turn),
    /// Until this frame.
    Waiting(u64),
    Loading(Loading),
    Ready(OwnedStream),
    Evicted,
    Failed(StreamFailure),
    Cancelled,
}

pub(super) struct Loading {
    pub(super) attempt: u64,
    /// Cancels the load when it drops.
    pub(super) _task: Task<()>,
    pub(super) meter: Arc<Meter>,
    /// Bytes that the last progress message told.
    pub(super) told: u64,
}

/// A file that somebody wants.
pub(super) struct File {
    pub(super) path: AssetPath<'static>,
    /// At least one.
    pub(super) users: EntityIndexSet,
    pub(super) wish: Wish,
    pub(super) state: State,
    /// Attempts since it was last loaded, or asked for.
    pub(super) attempts: u32,
    /// How often there was no room, since there was.
    pub(super) refusals: u32,
    /// Its size in bytes, once that was learned.
    pub(super) size: Option<usize>,
    /// Where changes are heard of, once the file was found there.
    pub(super) watched: Option<Handle<Watched>>,
    /// The frame in which a system last looked at it.
    last_used: AtomicU64,
    /// Whether it has been asked for already.
    asked: AtomicBool,
}

/// What a system asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ask {
    /// Load it, if it was evicted or is far away.
    Want,
    /// Load it, whatever became of it.
    Retry,
    Cancel,
}

/// Where files are, by their states.
#[derive(Default)]
pub(super) struct Places {
    pub(super) queue: BTreeSet<(Turn, Key)>,
    pub(super) waiting: BTreeSet<(u64, Key)>,
    pub(super) loading: BTreeSet<Key>,
    pub(super) ready: HashMap<StreamId, Key>,
    /// Streams that nobody wants any more. They are freed on the IO pool.
    pub(super) garbage: Vec<OwnedStream>,
}

/// A channel's two ends.
pub(super) struct Channel<T> {
    pub(super) sender: Sender<T>,
    pub(super) receiver: Receiver<T>,
}

#[derive(Resource)]
pub(super) struct Table {
    pub(super) alloc: Option<SmartAlloc>,
    /// Which allocator that is.
    pub(super) adopted: Option<AllocIdentity>,
    /// Whether files are watched at all.
    pub(super) watches: bool,
    pub(super) files: BTreeMap<Key, File>,
    pub(super) by_path: HashMap<AssetPath<'static>, Key>,
    pub(super) by_entity: EntityHashMap<Key>,
    pub(super) places: Places,
    /// Entities whose component came, went or changed.
    pub(super) changed: VecDeque<Entity>,
    pub(super) finished: Channel<Finished>,
    pub(super) evicted: Channel<StreamId>,
    pub(super) asked: Channel<(Key, Ask)>,
    pub(super) frame: u64,
    /// The last key or attempt that was given out.
    pub(super) last_number: u64,
    /// The file whose distance was looked at last.
    pub(super) cursor: Key,
    pub(super) idle: IdleBytes,
    /// What was counted. The rest is what the table's parts are.
    pub(super) totals: StreamingTotals,
    pub(super) told_of_missing: bool,
}

/// Bytes of ready files that nobody has used for a while, by priority, as they were some frames ago.
#[derive(Default)]
pub(super) struct IdleBytes {
    counted_at: Option<u64>,
    bytes: [usize; StreamPriority::ALL.len()],
}

/// Loads that may be under way at once, at the very most.
pub(super) const MOST_IN_FLIGHT: usize = 128;

impl Table {
    pub(super) fn new() -> Self {
        Self {
            alloc: None,
            adopted: None,
            watches: false,
            files: BTreeMap::new(),
            by_path: HashMap::default(),
            by_entity: EntityHashMap::default(),
            places: Places::default(),
            changed: VecDeque::new(),
            finished: Channel::from(bounded(2 * MOST_IN_FLIGHT)),
            evicted: Channel::from(unbounded()),
            asked: Channel::from(unbounded()),
            frame: 0,
            last_number: 0,
            cursor: 0,
            idle: IdleBytes::default(),
            totals: StreamingTotals::default(),
            told_of_missing: false,
        }
    }

    /// Whether nothing is streamed, and nothing is left over from what was.
    pub(super) fn is_at_rest(&self) -> bool {
        self.files.is_empty()
            && self.changed.is_empty()
            && self.places.garbage.is_empty()
            && self.finished.receiver.is_empty()
            && self.evicted.receiver.is_empty()
            && self.asked.receiver.is_empty()
    }

    pub(super) fn note_changed(&mut self, entity: Entity) {
        self.changed.push_back(entity);
    }

    pub(super) fn file_of(&self, entity: Entity) -> Option<(Key, &File)> {
        let key = *self.by_entity.get(&entity)?;
        Some((key, &self.files[&key]))
    }

    pub(super) fn next_number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }

    /// Loads a file once more, if it is loaded, is being loaded, or could not be.
    pub(super) fn load_again(&mut self, key: Key) {
        let file = self.files.get_mut(&key).expect("the caller looked it up");
        file.size = None;
        match &file.state {
            State::Ready(_) | State::Loading(_) | State::Waiting(_) | State::Failed(_) => {
                self.places.stop(key, file);
                file.attempts = 0;
                file.refusals = 0;
                match file.wish.priority {
                    Some(_) => self.places.enqueue(key, file),
                    None => drop(self.places.enter(key, file, State::Idle)),
                }
            }
            // It has yet to be read, or nobody wants it now.
            State::Queued(_) | State::Idle | State::Evicted | State::Cancelled => {}
        }
    }

    /// Notes that a system has something to ask. Once is enough until the table has heard of it.
    pub(super) fn ask(&self, key: Key, file: &File, ask: Ask) {
        if ask != Ask::Want || !file.asked.swap(true, Relaxed) {
            // The table itself has the receiver.
            let _ = self.asked.sender.send((key, ask));
        }
    }

    /// Bytes of equals that a load of this priority may push out, besides those that others were promised lately.
    pub(super) fn idle_bytes(&mut self, priority: StreamPriority, keep_for: u64) -> &mut usize {
        const FRESH_FOR: u64 = 4;
        let stale = |counted_at| self.frame.saturating_sub(counted_at) >= FRESH_FOR;
        if self.idle.counted_at.is_none_or(stale) {
            let mut bytes = [0; StreamPriority::ALL.len()];
            for key in self.places.ready.values() {
                let file = &self.files[key];
                if let State::Ready(stream) = &file.state
                    && !stream.is_pinned()
                    && file.idle_for(self.frame) >= keep_for
                {
                    bytes[file.wish.stream_priority() as usize] += stream.size();
                }
            }
            self.idle = IdleBytes {
                counted_at: Some(self.frame),
                bytes,
            };
        }
        &mut self.idle.bytes[priority as usize]
    }
}

impl<T> From<(Sender<T>, Receiver<T>)> for Channel<T> {
    fn from((sender, receiver): (Sender<T>, Receiver<T>)) -> Self {
        Self { sender, receiver }
    }
}

impl File {
    pub(super) fn new(path: AssetPath<'static>, wish: Wish) -> Self {
        Self {
            path,
            users: EntityIndexSet::default(),
            wish,
            state: State::Idle,
            attempts: 0,
            refusals: 0,
            size: None,
            watched: None,
            last_used: AtomicU64::new(0),
            asked: AtomicBool::new(false),
        }
    }

    /// Notes that it is used in this frame.
    pub(super) fn touch(&self, frame: u64) {
        // One line of cache less to fight over, for files that many systems look at.
        if self.last_used.load(Relaxed) != frame {
            self.last_used.store(frame, Relaxed);
        }
    }

    /// Frames since it was last used, or made ready.
    pub(super) fn idle_for(&self, frame: u64) -> u64 {
        frame.saturating_sub(self.last_used.load(Relaxed))
    }

    /// Lets systems ask again.
    pub(super) fn has_been_heard(&self) {
        self.asked.store(false, Relaxed);
    }
}

impl Places {
    /// Moves a file into another state, and gives back the one it was in.
    pub(super) fn enter(&mut self, key: Key, file: &mut File, next: State) -> State {
        match &file.state {
            State::Queued(turn) => {
                self.queue.remove(&(*turn, key));
            }
            State::Waiting(until) => {
                self.waiting.remove(&(*until, key));
            }
            State::Loading(_) => {
                self.loading.remove(&key);
            }
            State::Ready(stream) => {
                self.ready.remove(&stream.id());
            }
            State::Idle | State::Evicted | State::Failed(_) | State::Cancelled => {}
        }
        match &next {
            State::Queued(turn) => {
                self.queue.insert((*turn, key));
            }
            State::Waiting(until) => {
                self.waiting.insert((*until, key));
            }
            State::Loading(_) => {
                self.loading.insert(key);
            }
            State::Ready(stream) => {
                self.ready.insert(stream.id(), key);
            }
            State::Idle | State::Evicted | State::Failed(_) | State::Cancelled => {}
        }
        mem::replace(&mut file.state, next)
    }

    /// Puts a file into the queue, where its wish says.
    pub(super) fn enqueue(&mut self, key: Key, file: &mut File) {
        let turn = Turn::of(&file.wish);
        self.enter(key, file, State::Queued(turn));
    }

    /// Ends what a file is at: a load is cancelled, a stream is freed soon.
    pub(super) fn stop(&mut self, key: Key, file: &mut File) {
        if let State::Ready(stream) = self.enter(key, file, State::Cancelled) {
            self.garbage.push(stream);
        }
    }
}

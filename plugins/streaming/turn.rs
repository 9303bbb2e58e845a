//! What the table does in a frame.
//!
//! Invariant: each step looks at no more than a set number of files, messages or entities; the rest waits for the next frame.

use std::collections::BTreeSet;
use std::ops::Bound::{Excluded, Unbounded};

use bevy_asset::{AssetPath, AssetServer};
use bevy_ecs::prelude::*;
use bevy_ecs::system::SystemParam;
use bevy_tasks::{IoTaskPool, TaskPool};
use bevy_transform::components::GlobalTransform;
use crossbeam_channel::unbounded;

use super::load::{Finished, Load, Stop};
use super::owned::OwnedStream;
use super::reload;
use super::room::Claim;
use super::table::{Ask, Channel, File, IdleBytes, Key, Loading, MOST_IN_FLIGHT, State, Table};
use super::wish::{Distance, Wish};
use super::{
    StreamEvicted, StreamFailed, StreamFailure, StreamFailureKind, StreamFocus, StreamProgress,
    StreamReady, StreamedAsset, StreamingSettings, StreamingTotals,
};
use crate::SmartAlloc;
use crate::bevy::AllocResource;

/// What the table looks at.
#[derive(SystemParam)]
pub(super) struct Surroundings<'w, 's> {
    settings: Res<'w, StreamingSettings>,
    alloc: Option<Res<'w, AllocResource>>,
    server: Option<Res<'w, AssetServer>>,
    assets: Query<'w, 's, &'static StreamedAsset>,
    places: Query<'w, 's, &'static GlobalTransform>,
    focuses: Query<'w, 's, (&'static StreamFocus, &'static GlobalTransform)>,
}

/// Whom the table tells.
#[derive(SystemParam)]
pub(super) struct Tell<'w, 's> {
    commands: Commands<'w, 's>,
    progress: MessageWriter<'w, StreamProgress>,
    ready: MessageWriter<'w, StreamReady>,
    evicted: MessageWriter<'w, StreamEvicted>,
    failed: MessageWriter<'w, StreamFailed>,
}

macro_rules! tell_all {
    ($tell:ident.$messages:ident, $file:ident, |$entity:ident| $message:expr) => {
        for &$entity in $file.users.iter() {
            let message = $message;
            $tell.commands.trigger(message.clone());
            $tell.$messages.write(message);
        }
    };
}

/// Whether there is anything for [`turn`] to do: a condition, which costs a game that streams nothing less than a system.
pub(super) fn has_work(
    table: Res<Table>,
    alloc: Option<Res<AllocResource>>,
    settings: Res<StreamingSettings>,
    totals: Res<StreamingTotals>,
) -> bool {
    !table.is_at_rest()
        || settings.is_changed()
        || alloc.map(|alloc| alloc.identity()) != table.adopted
        || table.figures() != *totals
}

/// The system: one turn of the table.
pub(super) fn turn(
    mut table: ResMut<Table>,
    around: Surroundings,
    mut tell: Tell,
    mut totals: ResMut<StreamingTotals>,
) {
    let table = &mut *table;
    table.frame += 1;
    table.adopt_allocator(&around);
    table.hear_evictions(&around, &mut tell);
    table.hear_loads(&around, &mut tell);
    table.look_at_changes(&around, &mut tell);
    table.hear_asks(&around);
    table.look_at_distances(&around);
    table.wake();
    table.start(&around, &mut tell);
    table.tell_progress(&around, &mut tell);
    table.free_garbage();
    totals.set_if_neq(table.figures());
}

impl Tell<'_, '_> {
    /// Tells one entity that its file is ready.
    fn ready(&mut self, entity: Entity, path: &AssetPath<'static>, size: usize) {
        let message = StreamReady {
            entity,
            path: path.clone(),
            size,
        };
        self.commands.trigger(message.clone());
        self.ready.write(message);
    }
}

impl Surroundings<'_, '_> {
    fn distance(&self, entity: Entity) -> Distance {
        let Ok(place) = self.places.get(entity) else {
            return Distance::UNKNOWN;
        };
        let from = place.translation();
        let distances = self
            .focuses
            .iter()
            .map(|(focus, place)| Distance::from(focus, from.distance(place.translation())));
        distances.reduce(Distance::or).unwrap_or(Distance::UNKNOWN)
    }

    fn wish_of(&self, entity: Entity) -> Option<Wish> {
        let asset = self.assets.get(entity).ok()?;
        let is_near = || match asset.urgency() {
            super::StreamUrgency::ByDistance => self.distance(entity),
            super::StreamUrgency::Fixed { .. } => Distance::UNKNOWN,
        };
        Some(Wish::of(asset, is_near()))
    }

    /// The wish for a file. `None` if none of its entities wants it any more.
    fn wish_for(&self, file: &File, changes_wait: bool) -> Option<Wish> {
        // An entity that has changed to another file, and was not looked at yet, has no say in this one.
        let is_still_user = |user| {
            let asset = self.assets.get(user);
            asset.is_ok_and(|asset| asset.path() == &file.path)
        };
        let users = file.users.iter().copied();
        let wishes = users
            .filter(|&user| !changes_wait || is_still_user(user))
            .filter_map(|user| self.wish_of(user));
        wishes.reduce(Wish::and)
    }
}

impl Table {
    /// Takes the world's allocator over, and the budget that was set for it.
    fn adopt_allocator(&mut self, around: &Surroundings) {
        let Some(resource) = &around.alloc else {
            return;
        };
        let is_new = self.adopted != Some(resource.identity());
        if is_new {
            self.adopted = Some(resource.identity());
            self.leave_allocator();
            let told = self.evicted.sender.clone();
            resource.streaming().on_evicted(move |stream| {
                let _ = told.send(stream.id);
            });
            self.alloc = Some(SmartAlloc::clone(resource));
        }
        if let Some(alloc) = &self.alloc
            && let Some(budget) = around.settings.budget
            && (is_new || around.settings.is_changed())
            && alloc.streaming().budget() != budget
        {
            alloc.streaming().set_budget(budget);
        }
    }

    /// Starts anew with what is in another allocator's memory, or on its way there: all of it at once, since that happens once in a
    /// game, if ever.
    fn leave_allocator(&mut self) {
        // What it evicts from now on concerns nobody.
        self.evicted = Channel::from(unbounded());
        self.idle = IdleBytes::default();
        let places = &self.places;
        let there: Vec<Key> = (places.ready.values().chain(&places.loading))
            .copied()
            .collect();
        for key in there {
            self.load_again(key);
        }
    }

    fn hear_evictions(&mut self, around: &Surroundings, tell: &mut Tell) {
        for _ in 0..around.settings.per_frame {
            let Ok(id) = self.evicted.receiver.try_recv() else {
                return;
            };
            if let Some(&key) = self.places.ready.get(&id) {
                self.note_evicted(key, tell);
            }
        }
    }

    fn note_evicted(&mut self, key: Key, tell: &mut Tell) {
        let file = self
            .files
            .get_mut(&key)
            .expect("a ready file is in the table");
        self.places.enter(key, file, State::Evicted);
        self.totals.evictions += 1;
        let size = file.size.unwrap_or(0);
        tell_all!(tell.evicted, file, |entity| StreamEvicted {
            entity,
            path: file.path.clone(),
            size,
        });
        if file.wish.by_distance && file.wish.priority.is_some() {
            self.places.enqueue(key, file);
        }
    }

    fn hear_loads(&mut self, around: &Surroundings, tell: &mut Tell) {
        for _ in 0..around.settings.per_frame {
            let Ok(finished) = self.finished.receiver.try_recv() else {
                return;
            };
            self.note_finished(finished, around, tell);
        }
    }

    fn note_finished(&mut self, finished: Finished, around: &Surroundings, tell: &mut Tell) {
        let Finished {
            key,
            attempt,
            outcome,
        } = finished;
        let file = self.files.get_mut(&key).filter(
            |file| matches!(&file.state, State::Loading(loading) if loading.attempt == attempt),
        );
        let Some(file) = file else {
            // It was cancelled meanwhile.
            self.places.garbage.extend(outcome);
            return;
        };
        if self.watches
            && file.watched.is_none()
            && is_there(&outcome)
            && let Some(server) = &around.server
        {
            file.watched = reload::watch(server, &file.path);
        }
        match outcome {
            Ok(mut stream) => {
                file.attempts = 0;
                file.refusals = 0;
                file.size = Some(stream.size());
                file.touch(self.frame);
                stream.set_pinned(file.wish.pinned);
                stream.set_priority(file.wish.stream_priority());
                let (is_alive, size) = (stream.is_alive(), stream.size());
                self.places.enter(key, file, State::Ready(stream));
                self.totals.loads += 1;
                self.totals.loaded_bytes += size as u64;
                for &entity in file.users.iter() {
                    tell.ready(entity, &file.path, size);
                }
                if !is_alive {
                    self.note_evicted(key, tell);
                }
            }
            Err(Stop::NoRoom(size)) => {
                file.attempts -= 1;
                file.size = Some(size);
                self.wait_for_room(key);
            }
            Err(Stop::Freed) => {
                file.attempts = 0;
                self.places.enter(key, file, State::Evicted);
            }
            Err(Stop::Failed(kind))
                if kind.is_transient() && file.attempts <= around.settings.retries =>
            {
                let doublings = (file.attempts - 1).min(16);
                let pause = around.settings.retry_after.max(1) << doublings;
                let until = self.frame + pause;
                self.totals.retries += 1;
                self.places.enter(key, file, State::Waiting(until));
            }
            Err(Stop::Failed(kind)) => self.fail(key, kind, tell),
        }
    }

    fn wait_for_room(&mut self, key: Key) {
        let file = self.files.get_mut(&key).expect("the caller looked it up");
        let pause = 2 << file.refusals.min(4);
        file.refusals += 1;
        self.places
            .enter(key, file, State::Waiting(self.frame + pause));
    }

    fn fail(&mut self, key: Key, kind: StreamFailureKind, tell: &mut Tell) {
        let file = self.files.get_mut(&key).expect("the caller looked it up");
        let failure = StreamFailure {
            path: file.path.clone(),
            kind,
            attempts: file.attempts,
        };
        let is_of_the_world = matches!(
            failure.kind,
            StreamFailureKind::NoAllocator | StreamFailureKind::NoAssetServer
        );
        // What is wrong with the whole world is said once, not for each file.
        if !is_of_the_world {
            tracing::error!(target: "framealloc", "{failure}");
        } else if !std::mem::replace(&mut self.told_of_missing, true) {
            super::plugin::report_missing_part(&failure);
        }
        self.totals.failures += 1;
        tell_all!(tell.failed, file, |entity| StreamFailed {
            entity,
            failure: failure.clone(),
        });
        self.places.enter(key, file, State::Failed(failure));
    }

    // ---- Wishes -------------------------------------------------------------------------------------------------------

    fn look_at_changes(&mut self, around: &Surroundings, tell: &mut Tell) {
        // Looked at once, however many of their entities have changed.
        let mut lost_users = BTreeSet::new();
        for _ in 0..around.settings.per_frame {
            let Some(entity) = self.changed.pop_front() else {
                break;
            };
            let wanted = around.assets.get(entity).ok().map(StreamedAsset::path);
            let before = self.by_entity.get(&entity).copied();
            match wanted {
                Some(path) => {
                    let key = self.set_user(entity, path, around, tell);
                    // What it wanted of the file before may have been more.
                    lost_users.insert(key);
                }
                None => {
                    self.by_entity.remove(&entity);
                }
            }
            // The new file came first, so that what both share stays.
            if let Some(key) = before
                && self.by_entity.get(&entity) != Some(&key)
            {
                let file = self.files.get_mut(&key).expect("it has a user");
                file.users.swap_remove(&entity);
                lost_users.insert(key);
            }
        }
        for key in lost_users {
            if self.files[&key].users.is_empty() {
                let mut file = self.files.remove(&key).expect("it was just looked up");
                self.by_path.remove(&file.path);
                self.places.stop(key, &mut file);
            } else {
                self.look_at_wish(key, around);
            }
        }
    }

    /// Makes an entity a user of a file. A file at rest is queued: somebody new wants it, or wants it anew.
    fn set_user(
        &mut self,
        entity: Entity,
        path: &AssetPath<'static>,
        around: &Surroundings,
        tell: &mut Tell,
    ) -> Key {
        let known = self.by_path.get(path).copied();
        let key = known.unwrap_or_else(|| self.next_number());
        let wish = around.wish_of(entity).expect("it has the component");
        if known.is_none() {
            self.by_path.insert(path.clone(), key);
            self.files.insert(key, File::new(path.clone(), wish));
        }
        self.by_entity.insert(entity, key);
        let file = self.files.get_mut(&key).expect("it was just looked up");
        let is_new_user = file.users.insert(entity);
        let at_rest = match &file.state {
            State::Ready(stream) => {
                if is_new_user {
                    tell.ready(entity, &file.path, stream.size());
                }
                false
            }
            State::Idle | State::Evicted => is_new_user,
            State::Failed(_) | State::Cancelled => true,
            _ => false,
        };
        if at_rest && wish.priority.is_some() {
            file.wish = file.wish.and(wish);
            file.attempts = 0;
            self.places.enqueue(key, file);
        }
        key
    }

    /// Learns how much a file is wanted, and acts on it.
    fn look_at_wish(&mut self, key: Key, around: &Surroundings) {
        let Some(file) = self.files.get_mut(&key) else {
            return;
        };
        let Some(wish) = around.wish_for(file, !self.changed.is_empty()) else {
            return;
        };
        let before = std::mem::replace(&mut file.wish, wish);
        if before == wish {
            return;
        }
        let rose = wish.priority > before.priority;
        match &mut file.state {
            State::Ready(stream) => {
                stream.set_pinned(wish.pinned);
                if wish.stream_priority() != before.stream_priority() {
                    stream.set_priority(wish.stream_priority());
                }
            }
            State::Queued(_) if wish.priority.is_none() => {
                self.places.enter(key, file, State::Idle);
            }
            State::Queued(_) => self.places.enqueue(key, file),
            State::Waiting(_) if wish.priority.is_none() && file.attempts == 0 => {
                self.places.enter(key, file, State::Idle);
            }
            // A failed attempt waits for its time; room may be there for a higher priority.
            State::Waiting(_) if rose && file.attempts == 0 => self.places.enqueue(key, file),
            State::Idle | State::Evicted if rose => self.places.enqueue(key, file),
            _ => {}
        }
    }

    fn hear_asks(&mut self, around: &Surroundings) {
        for _ in 0..around.settings.per_frame {
            let Ok((key, ask)) = self.asked.receiver.try_recv() else {
                return;
            };
            let Some(file) = self.files.get_mut(&key) else {
                continue;
            };
            file.has_been_heard();
            match (ask, &file.state) {
                (Ask::Cancel, _) => self.places.stop(key, file),
                (_, State::Idle | State::Evicted)
                | (Ask::Retry, State::Failed(_) | State::Cancelled | State::Waiting(_)) => {
                    file.attempts = 0;
                    file.refusals = 0;
                    self.places.enqueue(key, file);
                }
                _ => {}
            }
        }
    }

    /// Looks at the distances of some files, in turn.
    fn look_at_distances(&mut self, around: &Surroundings) {
        for _ in 0..around.settings.per_frame.min(self.files.len()) {
            let next = self.files.range((Excluded(self.cursor), Unbounded)).next();
            let Some((&key, file)) = next.or_else(|| self.files.first_key_value()) else {
                return;
            };
            self.cursor = key;
            if file.wish.by_distance {
                self.look_at_wish(key, around);
            }
        }
    }

    // ---- Loads --------------------------------------------------------------------------------------------------------

    /// Queues what has waited long enough.
    fn wake(&mut self) {
        while let Some(&(until, key)) = self.places.waiting.first()
            && until <= self.frame
        {
            let file = self
                .files
                .get_mut(&key)
                .expect("a waiting file is in the table");
            self.places.enqueue(key, file);
        }
    }

    /// Starts loads from the head of the queue.
    fn start(&mut self, around: &Surroundings, tell: &mut Tell) {
        let in_flight = around.settings.in_flight.clamp(1, MOST_IN_FLIGHT);
        for _ in 0..around.settings.per_frame {
            if self.places.loading.len() >= in_flight {
                return;
            }
            let Some(&(_, key)) = self.places.queue.first() else {
                return;
            };
            let (Some(alloc), Some(server)) = (self.alloc.clone(), &around.server) else {
                let kind = match self.alloc {
                    None => StreamFailureKind::NoAllocator,
                    Some(_) => StreamFailureKind::NoAssetServer,
                };
                self.fail(key, kind, tell);
                continue;
            };
            let wish = self.files[&key].wish;
            let priority = wish.stream_priority();
            let idle = match wish.by_distance {
                true => 0,
                false => *self.idle_bytes(priority, around.settings.keep_for),
            };
            let claim = Claim { priority, idle };
            let size = self.files[&key].size;
            if let Some(size) = size
                && size <= alloc.streaming().budget()
                && !claim.fits(&alloc, size)
            {
                self.wait_for_room(key);
                continue;
            }
            let attempt = self.next_number();
            let file = self
                .files
                .get_mut(&key)
                .expect("a queued file is in the table");
            file.attempts += 1;
            let meter = Load::meter();
            let load = Load {
                path: file.path.clone(),
                alloc,
                server: (**server).clone(),
                claim,
                tag: wish.tag,
                pinned: wish.pinned,
                size: wish.size,
                size_before: size,
                chunk: around.settings.chunk_size.max(1),
                meter: meter.clone(),
            };
            let task = io_pool().spawn(load.run(key, attempt, self.finished.sender.clone()));
            let loading = Loading {
                attempt,
                _task: task,
                meter,
                told: 0,
            };
            self.places.enter(key, file, State::Loading(loading));
            if !wish.by_distance {
                let idle = self.idle_bytes(priority, around.settings.keep_for);
                *idle = idle.saturating_sub(size.unwrap_or(0));
            }
        }
    }

    fn tell_progress(&mut self, around: &Surroundings, tell: &mut Tell) {
        for key in &self.places.loading {
            let file = self
                .files
                .get_mut(key)
                .expect("a loading file is in the table");
            let State::Loading(loading) = &mut file.state else {
                continue;
            };
            let (loaded, total) = (loading.meter.loaded(), loading.meter.total());
            let step = match total {
                Some(total) => (total as f64 * f64::from(around.settings.progress_step)) as u64,
                None => around.settings.chunk_size as u64,
            };
            if loaded < loading.told.saturating_add(step.max(1)) {
                continue;
            }
            loading.told = loaded;
            tell_all!(tell.progress, file, |entity| StreamProgress {
                entity,
                path: file.path.clone(),
                loaded,
                total,
            });
        }
    }

    /// Frees what nobody wants any more, on the IO pool: giving large blocks back to the system takes a while.
    fn free_garbage(&mut self) {
        if !self.places.garbage.is_empty() {
            let garbage = std::mem::take(&mut self.places.garbage);
            io_pool().spawn(async move { drop(garbage) }).detach();
        }
    }

    fn figures(&self) -> StreamingTotals {
        let mut totals = self.totals;
        if let Some(alloc) = &self.alloc {
            let stats = alloc.streaming().stats();
            totals.budget = stats.budget;
            totals.reserved = stats.total_reserved;
            totals.loaded = stats.total_loaded;
        }
        totals.files = self.files.len();
        totals.waiting = self.places.queue.len() + self.places.waiting.len();
        totals.loading = self.places.loading.len();
        totals.ready = self.places.ready.len();
        totals
    }
}

/// Whether a load found its file, and may find another if that changes.
fn is_there(outcome: &Result<OwnedStream, Stop>) -> bool {
    use StreamFailureKind::{Grew, TooLarge, Truncated};
    match outcome {
        Ok(_) | Err(Stop::NoRoom(_) | Stop::Freed) => true,
        Err(Stop::Failed(kind)) => {
            matches!(kind, Truncated { .. } | Grew { .. } | TooLarge { .. })
        }
    }
}

fn io_pool() -> &'static IoTaskPool {
    IoTaskPool::get_or_init(TaskPool::default)
}

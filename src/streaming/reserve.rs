//! Reserving: from a request to a stream that has its memory.
//!
//! The order of steps keeps three promises. The budget holds for reserved bytes at every moment; and for memory where what is
//! evicted pays for what is asked, since it is freed first then. A reservation that cannot succeed evicts nothing: where what
//! is evicted does not pay, the memory is taken first, so that another limit, or the system, refuses in time. And no lock is
//! held while memory is taken or freed, or callbacks run.

use core::panic::AssertUnwindSafe;
use std::panic::{catch_unwind, resume_unwind};

use super::ledger::{Accounts, Ledger, Room, Shared, Victim};
use super::listeners::EvictedStream;
use super::loading;
use super::{StreamError, StreamId, StreamPriority};
use crate::allocators::streams::Block;
use crate::error::AllocError;
use crate::tags::{TagId, TagScope};

pub(super) fn reserve(
    streams: &Shared,
    size: usize,
    priority: StreamPriority,
    tag: TagId,
) -> Result<StreamId, StreamError> {
    let no_memory = |error| StreamError::no_memory(error, priority, size);
    let ledger = streams.ledger();
    let limits = {
        let _charged_to = TagScope::enter(tag);
        Block::check(size).map_err(no_memory)?;
        ledger.payer.room()
    };

    let mut taken = None;
    let (victims, held) = loop {
        let memory = taken.is_none().then_some(&limits);
        let room = ledger
            .accounts
            .lock()
            .make_room(streams, size, priority, memory);
        match room {
            Room::Granted { victims, held } => break (victims, held),
            Room::TakeFirst => taken = Some(take(ledger, size, tag).map_err(no_memory)?),
            Room::None {
                available,
                evictable,
            } => {
                // A block that was taken meanwhile goes back.
                drop(taken);
                return Err(StreamError::exhausted(
                    tag, priority, size, available, evictable,
                ));
            }
        }
    };

    let evicted = free_victims(victims);
    // A budget's callback or a report's sink may panic; the bytes are returned and the evictions told of all the same.
    let block = match taken {
        Some(block) => Ok(Ok(block)),
        None => catch_unwind(AssertUnwindSafe(|| take(ledger, size, tag))),
    };
    let made = {
        let mut accounts = ledger.accounts.lock();
        vacate(streams, &mut accounts, &evicted);
        match block {
            Ok(Ok(block)) => {
                accounts.give_back(held - size);
                Ok(Ok(accounts.install(streams, block, size, priority, tag)))
            }
            Ok(Err(error)) => {
                accounts.give_back(held);
                Ok(Err(no_memory(error)))
            }
            Err(panic) => {
                accounts.give_back(held);
                Err(panic)
            }
        }
    };
    // A callback that panics keeps the caller from learning the id, so the stream must not stay.
    let id = made.as_ref().ok().and_then(|made| made.ok());
    let unclaimed = id.map(|id| Unclaimed { streams, id });
    ledger.listeners.tell(&evicted);
    core::mem::forget(unclaimed);
    made.unwrap_or_else(|panic| resume_unwind(panic))
}

/// Sets the budget, and evicts what is above it.
pub(super) fn set_budget(streams: &Shared, budget: usize) {
    let ledger = streams.ledger();
    let victims = {
        let mut accounts = ledger.accounts.lock();
        accounts.set_budget(budget);
        accounts.evict_excess(streams)
    };
    let evicted = free_victims(victims);
    {
        let mut accounts = ledger.accounts.lock();
        vacate(streams, &mut accounts, &evicted);
        accounts.give_back(evicted.iter().map(|stream| stream.size).sum());
    }
    ledger.listeners.tell(&evicted);
}

fn take(ledger: &Ledger, size: usize, tag: TagId) -> Result<Block, AllocError> {
    let _charged_to = TagScope::enter(tag);
    Block::new(size, &ledger.payer)
}

/// Frees the memory of evicted streams.
fn free_victims(victims: Vec<Victim>) -> Vec<EvictedStream> {
    victims
        .into_iter()
        .map(|Victim { evicted, block }| {
            drop(block);
            evicted
        })
        .collect()
}

fn vacate(streams: &Shared, accounts: &mut Accounts, evicted: &[EvictedStream]) {
    for stream in evicted {
        accounts.vacate(streams, stream.id.index(), stream.id.generation());
    }
}

/// A stream whose id nobody has yet.
struct Unclaimed<'a> {
    streams: &'a Shared,
    id: StreamId,
}

impl Drop for Unclaimed<'_> {
    fn drop(&mut self) {
        let _ = loading::remove(self.streams, "reserve", self.id);
    }
}

//! Who makes room, in which order.
//!
//! ```text
//!  order:  Low: 3 9 12 | Normal: 4 5 30 | High: 8 | Critical          stamps, as they were when last looked at
//!          ^ evicted first
//! ```
//!
//! The order holds every ready stream that is not pinned and has bytes. An access only stamps the stream itself; the order
//! learns of it when an eviction comes by, which moves such a stream to where it belongs and goes on. Each access is paid for
//! by at most one such move, so that an eviction takes O(log n) steps' time beside those.

use core::ops::Bound::{Excluded, Unbounded};
use std::collections::BTreeSet;

use super::StreamPriority;
use super::ledger::Entry;
use crate::allocators::streams::Slots;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    priority: StreamPriority,
    stamp: u64,
    index: u32,
}

/// See the module's documentation.
pub(super) struct Order {
    keys: BTreeSet<Key>,
    /// The bytes of them, by priority.
    bytes: [usize; StreamPriority::ALL.len()],
    /// Streams that evictions have looked at.
    steps: u64,
}

/// Streams that are kept from everybody else until they are evicted or released.
#[derive(Default)]
pub(super) struct Claimed {
    pub(super) streams: Vec<u32>,
    pub(super) bytes: usize,
}

impl Order {
    pub(super) fn new() -> Self {
        Self {
            keys: BTreeSet::new(),
            bytes: [0; StreamPriority::ALL.len()],
            steps: 0,
        }
    }

    pub(super) fn steps(&self) -> u64 {
        self.steps
    }

    /// Puts a ready stream in, unless it may not be evicted, or frees nothing.
    pub(super) fn insert(&mut self, index: u32, entry: &mut Entry, stamp: u64) {
        if entry.pins != 0 || entry.size == 0 || entry.order_stamp.is_some() {
            return;
        }
        entry.order_stamp = Some(stamp);
        self.bytes[entry.priority as usize] += entry.size;
        self.keys.insert(Key {
            priority: entry.priority,
            stamp,
            index,
        });
    }

    /// Takes a stream out, if it is in. Where it was.
    pub(super) fn remove(&mut self, index: u32, entry: &mut Entry) -> Option<u64> {
        let stamp = entry.order_stamp.take()?;
        self.bytes[entry.priority as usize] -= entry.size;
        self.keys.remove(&Key {
            priority: entry.priority,
            stamp,
            index,
        });
        Some(stamp)
    }

    /// Bytes of all streams up to a priority, those that are being read included.
    pub(super) fn bytes_up_to(&self, highest: StreamPriority) -> usize {
        self.bytes[..=highest as usize].iter().sum()
    }

    /// Claims streams until they have `need` bytes, or until there are no more that nobody is reading. `now` is the latest
    /// stamp.
    pub(super) fn claim(
        &mut self,
        slots: &Slots,
        entries: &mut [Entry],
        need: usize,
        highest: StreamPriority,
        now: u64,
    ) -> Claimed {
        let mut claimed = Claimed::default();
        let mut passed: Option<Key> = None;
        while claimed.bytes < need {
            let next = match passed {
                None => self.keys.first(),
                Some(key) => self.keys.range((Excluded(key), Unbounded)).next(),
            };
            let Some(&key) = next.filter(|key| key.priority <= highest) else {
                break;
            };
            self.steps += 1;
            let slot = slots.get(key.index).expect("the stream has a slot");
            let entry = &mut entries[key.index as usize];
            let stamp = slot.stamp();
            // A stream that is used at this very moment is not followed any further.
            if stamp != key.stamp && key.stamp <= now {
                self.remove(key.index, entry);
                self.insert(key.index, entry, stamp);
                continue;
            }
            passed = Some(key);
            if slot.claim(entry.generation) {
                claimed.streams.push(key.index);
                claimed.bytes += entry.size;
            }
        }
        claimed
    }

    /// Gives claimed streams back to everybody.
    pub(super) fn release(slots: &Slots, entries: &[Entry], claimed: &Claimed) {
        for &index in &claimed.streams {
            let slot = slots.get(index).expect("the stream has a slot");
            let released = slot.unclaim(entries[index as usize].generation);
            debug_assert!(released, "a claim is decided by who made it");
        }
    }
}

//! Counts of the values that move between threads. They are in the records, and each is written by its record's thread
//! alone, so that counting costs a nanosecond and is exact over all threads.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::record::{LIMBO, Record, add, for_each_record};
use super::thread::local_by_address;

/// What one thread has sent, received and dropped.
#[derive(Default)]
pub(crate) struct Transfers {
    pub initiated: AtomicU64,
    pub completed: AtomicU64,
    pub dropped: AtomicU64,
    pub bytes: AtomicU64,
}

impl Transfers {
    pub(super) const fn new() -> Self {
        Self {
            initiated: AtomicU64::new(0),
            completed: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
        }
    }
}

/// Ids are a record's number and how many transfers it has seen begin.
const SEQUENCE_BITS: u32 = 40;

/// Counts a transfer that begins, and returns an id that no other has.
#[inline]
pub(crate) fn initiated(bytes: usize) -> u64 {
    local_by_address(|local| {
        let (record, before) = match local.record() {
            Some(record) => {
                let before = record.transfers.initiated.load(Relaxed);
                add(&record.transfers.initiated, 1);
                add(&record.transfers.bytes, bytes as u64);
                (record, before)
            }
            None => {
                LIMBO.transfers.bytes.fetch_add(bytes as u64, Relaxed);
                (&LIMBO, LIMBO.transfers.initiated.fetch_add(1, Relaxed))
            }
        };
        record.number() << SEQUENCE_BITS | before
    })
}

#[inline]
pub(crate) fn completed() {
    count(|transfers| &transfers.completed);
}

pub(crate) fn dropped() {
    count(|transfers| &transfers.dropped);
}

#[inline]
fn count(counter: impl Fn(&'static Transfers) -> &'static AtomicU64) {
    local_by_address(|local| match local.record() {
        Some(record) => add(counter(&record.transfers), 1),
        None => {
            counter(&LIMBO.transfers).fetch_add(1, Relaxed);
        }
    });
}

/// The counts of all threads. What has ended is read before what has begun, so that never more has ended.
pub(crate) fn totals() -> Transfers {
    let mut totals = Transfers::new();
    let sum = |counter: fn(&Record) -> &AtomicU64| {
        let mut sum = 0;
        for_each_record(|record| sum += counter(record).load(Relaxed));
        sum
    };
    *totals.completed.get_mut() = sum(|record| &record.transfers.completed);
    *totals.dropped.get_mut() = sum(|record| &record.transfers.dropped);
    *totals.initiated.get_mut() = sum(|record| &record.transfers.initiated);
    *totals.bytes.get_mut() = sum(|record| &record.transfers.bytes);
    totals
}

//! Many threads on one allocator.

use std::io::Write;
use std::sync::atomic::{
    AtomicBool, AtomicUsize,
    Ordering::{Acquire, Relaxed, Release},
};
use std::sync::{Arc, Mutex};
use std::thread;

use framealloc::{StreamId, StreamPriority, StreamPriority::*, StreamState, StreamingAllocator};

use super::{evictions, live_bytes, load, ready};
use crate::common::*;

/// Small steps from a seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (self.0 >> 33) as usize % sides
    }
}

/// Rounds that a thread does; few where each step is slow.
const ROUNDS: usize = if cfg!(debug_assertions) { 3000 } else { 30_000 };

#[test]
fn the_budget_holds_at_every_moment_whatever_threads_do() {
    const BUDGET: usize = 64 << 10;
    let tag = "streaming_hammer";
    let streaming = StreamingAllocator::new(BUDGET);
    let shared: Mutex<Vec<(StreamId, u8)>> = Mutex::new(Vec::new());
    let done = AtomicBool::new(false);
    let told = Arc::new(AtomicUsize::new(0));
    let counted = told.clone();
    streaming.set_eviction_callback(move |_| {
        counted.fetch_add(1, Relaxed);
    });
    thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Relaxed) {
                let stats = streaming.stats();
                assert!(stats.total_reserved <= BUDGET, "{stats}");
                assert!(stats.total_loaded <= stats.total_reserved, "{stats}");
                thread::yield_now();
            }
        });
        let workers: Vec<_> = (0..4_u64)
            .map(|seed| {
                let (streaming, shared) = (&streaming, &shared);
                scope.spawn(move || reported(|| work(streaming, shared, seed, tag)))
            })
            .collect();
        workers
            .into_iter()
            .for_each(|worker| drop(worker.join().unwrap()));
        done.store(true, Relaxed);
    });
    assert!(told.load(Relaxed) > 0);
    assert_eq!(told.load(Relaxed) as u64, streaming.stats().evictions);
    for stream in streaming.streams() {
        assert!(streaming.free(stream.id));
    }
    assert_eq!(
        (
            streaming.total_reserved(),
            streaming.total_loaded(),
            live_bytes(tag)
        ),
        (0, 0, 0)
    );
}

fn work(streaming: &StreamingAllocator, shared: &Mutex<Vec<(StreamId, u8)>>, seed: u64, tag: &str) {
    let mut dice = Dice(seed);
    let mut guards = Vec::new();
    for round in 0..ROUNDS {
        let known = {
            let shared = shared.lock().unwrap();
            (!shared.is_empty()).then(|| shared[dice.roll(shared.len())])
        };
        match (dice.roll(8), known) {
            (0..=2, _) => {
                let size = dice.roll(8 << 10);
                let priority = StreamPriority::ALL[dice.roll(4)];
                let Ok(id) = streaming.reserve_tagged(size, priority, Some(tag)) else {
                    continue;
                };
                let fill = round as u8;
                shared.lock().unwrap().push((id, fill));
                let Ok(mut writer) = streaming.begin_load(id) else {
                    continue;
                };
                // Others may free it meanwhile.
                while writer.remaining() > 0 && writer.write(&[fill; 3000]).is_ok() {}
                match dice.roll(4) {
                    0 => drop(writer),
                    1 => {
                        streaming.finish_load(id);
                        drop(writer);
                    }
                    _ => drop(writer.finish()),
                }
            }
            (3, Some((id, _))) => drop(streaming.free(id)),
            (4, Some((id, fill))) => {
                if let Some(mut data) = streaming.access_mut(id) {
                    assert!(data.iter().all(|byte| *byte == fill));
                    // Seen by nobody before it is put back.
                    data.fill(!fill);
                    data.fill(fill);
                }
            }
            (5, Some((id, _))) => {
                if streaming.pin(id).is_ok() {
                    streaming
                        .set_priority(id, StreamPriority::ALL[dice.roll(4)])
                        .ok();
                    streaming.unpin(id).ok();
                }
            }
            (_, Some((id, fill))) => {
                if let Some(data) = streaming.access(id) {
                    assert!(data.iter().all(|byte| *byte == fill));
                    if dice.roll(4) == 0 {
                        guards.push((data, fill));
                    }
                }
            }
            (_, None) => {}
        }
        if guards.len() > 3 || dice.roll(16) == 0 {
            for (data, fill) in guards.drain(..) {
                assert!(data.iter().all(|byte| *byte == fill));
            }
        }
        let mut shared = shared.lock().unwrap();
        if shared.len() > 60 {
            let index = dice.roll(shared.len());
            shared.swap_remove(index);
        }
    }
}

#[test]
fn a_borrow_is_never_lost_to_an_eviction_and_an_eviction_never_to_a_borrow() {
    let streaming = StreamingAllocator::new(4096);
    let evicted = evictions(&streaming);
    let newest = Mutex::new(None);
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let last_time = done.load(Acquire);
                    let Some((id, fill)) = *newest.lock().unwrap() else {
                        continue;
                    };
                    let (id, fill): (StreamId, u8) = (id, fill);
                    let data = streaming.access(id);
                    if let Some(data) = &data {
                        assert!(data.iter().all(|byte| *byte == fill));
                    }
                    if last_time {
                        assert!(data.is_some(), "the newest stays");
                        return;
                    }
                }
            });
        }
        for round in 0..ROUNDS {
            // It fails while both halves are being read, and succeeds as soon as one is not.
            let id = loop {
                let (id, _) = reported(|| streaming.reserve(2048, Normal));
                if let Ok(id) = id {
                    break id;
                }
            };
            load(&streaming, id, round as u8);
            *newest.lock().unwrap() = Some((id, round as u8));
        }
        done.store(true, Release);
    });
    assert_eq!(evicted.lock().unwrap().len(), ROUNDS - 2);
}

#[test]
fn a_failing_reservation_never_hides_what_it_considered() {
    let streaming = StreamingAllocator::new(4000);
    let ids: Vec<_> = (0..2000)
        .map(|n| ready(&streaming, 1, Normal, n as u8))
        .collect();
    let held = ready(&streaming, 2000, Normal, 9);
    let guard = streaming.access(held).unwrap();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let readers: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    while !done.load(Relaxed) {
                        for (n, id) in ids.iter().enumerate() {
                            assert_eq!(streaming.state(*id), Some(StreamState::Ready));
                            let data = streaming.access(*id).expect("it was only considered");
                            assert_eq!(*data, [n as u8]);
                        }
                    }
                })
            })
            .collect();
        reported(|| {
            for _ in 0..ROUNDS / 30 {
                // Enough by the books, but most of it is being read.
                assert!(streaming.reserve(2001, Critical).is_err());
            }
        });
        done.store(true, Relaxed);
        readers
            .into_iter()
            .for_each(|reader| reader.join().unwrap());
    });
    drop(guard);
    assert_eq!(streaming.stats().evictions, 0);
}

#[test]
fn one_of_many_threads_begins_a_load() {
    let streaming = StreamingAllocator::new(1 << 20);
    for _ in 0..200 {
        let id = streaming.reserve(100, Normal).unwrap();
        let began = AtomicUsize::new(0);
        thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    if let Ok(writer) = streaming.begin_load(id) {
                        began.fetch_add(1, Relaxed);
                        writer.finish().unwrap();
                    }
                });
            }
        });
        assert_eq!(began.load(Relaxed), 1);
        assert!(streaming.free(id));
    }
}

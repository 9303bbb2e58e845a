//! What it costs the thread that looks at everything: snapshots, with many threads and many tags.

use crate::times::{clocked, median};
use framealloc::tags::TagId;
use framealloc::{SmartAlloc, SnapshotConfig, SnapshotEmitter};
use std::hint::black_box;
use std::sync::Barrier;
use std::thread;
use std::time::Duration;

const THREADS: usize = 64;
const TAGS: usize = 1_000;

/// One line of the table: microseconds, the median over the rounds.
pub struct Look {
    /// What is done.
    pub what: &'static str,
    /// What the library promises that it costs at most, in microseconds.
    pub promise: f64,
    /// What it costs.
    pub micros: f64,
}

/// Measures every line, in a process in which 64 threads have used each of 1,000 tags.
pub fn measure() -> Vec<Look> {
    let alloc = SmartAlloc::with_defaults();
    let tags: Vec<_> = (0..TAGS)
        .map(|n| TagId::from_path(&format!("game::plugin_{}::system_{n}", n / 20)))
        .collect();
    let (ready, done) = (Barrier::new(THREADS + 1), Barrier::new(THREADS + 1));
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                alloc.begin_frame();
                for &tag in &tags {
                    let _scope = framealloc::tags::TagScope::enter(tag);
                    drop(black_box(alloc.frame_box([1u64; 8])));
                    drop(black_box(alloc.heap_box([1u64; 8])));
                    std::mem::forget(alloc.heap_box(1u64));
                }
                alloc.end_frame();
                ready.wait();
                done.wait();
            });
        }
        ready.wait();
        let looks = vec![
            look("`snapshot()`", 41, || {
                a_frame(&alloc);
                clocked(|| drop(black_box(alloc.snapshot())))
            }),
            emission(&alloc),
        ];
        done.wait();
        looks
    })
}

/// What both are promised to cost at most, in microseconds.
const PROMISE: f64 = 1_000.0;

fn look(what: &'static str, rounds: usize, mut f: impl FnMut() -> Duration) -> Look {
    f();
    let micros = (0..rounds).map(|_| f().as_nanos() as f64 / 1_000.0);
    Look {
        what,
        promise: PROMISE,
        micros: median(micros),
    }
}

fn emission(alloc: &SmartAlloc) -> Look {
    let directory = std::env::temp_dir().join(format!("framealloc-looks-{}", std::process::id()));
    let config = SnapshotConfig::default()
        .with_directory(&directory)
        .with_auto_emit(true);
    let emitter = SnapshotEmitter::new(config);
    let what = "the frame's thread, in `maybe_emit_from` when a snapshot is due";
    let look = look(what, 9, || {
        thread::sleep(emitter.config().min_interval);
        a_frame(alloc);
        let took = clocked(|| assert!(emitter.maybe_emit_from(alloc)));
        emitter.flush();
        took
    });
    drop(emitter);
    let _ = std::fs::remove_dir_all(&directory);
    look
}

/// In which something happened.
fn a_frame(alloc: &SmartAlloc) {
    alloc.begin_frame();
    drop(black_box(alloc.frame_box([1u64; 8])));
    alloc.end_frame();
}

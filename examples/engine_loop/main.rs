//! An engine without Bevy: a main thread and two workers, three levels, 300 frames. What kinds of memory there are, and when
//! to use which.
//!
//! | memory | lives | here |
//! |---|---|---|
//! | frame | until the frame ends | draw lists, look-ups, labels |
//! | guard | until a scope of the frame ends | contacts |
//! | checkpoint | until an attempt fails | path searches |
//! | transfer | until another thread has used it | what workers found |
//! | scratch pool | until the pool is reset | the level's costs |
//! | group | until the group is freed | the level's meshes |
//! | handle | until it is freed; compaction may move it | units |
//! | stream | until it is evicted | textures, of which not all fit |
//! | retained | the frame's end decides | highlights |
//!
//! ```sh
//! cargo run --example engine_loop --no-default-features
//! ```

mod game;
mod workers;

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;

use framealloc::{AllocConfig, AllocationTag, BudgetEvent, Bytes, FrameBarrierBuilder, SmartAlloc};

use game::{Game, TEXTURE_BYTES};

const LEVELS: u64 = 3;
const FRAMES_PER_LEVEL: u64 = 100;
const PATHS: AllocationTag = AllocationTag::new("paths");

fn main() -> Result<(), Box<dyn Error>> {
    // With budgets on, every byte below has an owner, and any of them can have a limit.
    let config = AllocConfig::minimal()
        .with_budgets(true)
        .with_scratch_pool_size(64 << 10)
        .with_streaming_budget(3 * TEXTURE_BYTES);
    let alloc = SmartAlloc::new(config);
    let budgets = alloc.budgets().expect("they are on").clone();

    // Searches may take 512 KiB. Above 128, somebody should have a look, long before players notice.
    let warnings = Arc::new(AtomicU64::new(0));
    budgets.register_tag(&PATHS, 128 << 10, 512 << 10);
    budgets.set_event_callback({
        let warnings = warnings.clone();
        move |event| {
            if let BudgetEvent::SoftLimitExceeded { .. } = event {
                warnings.fetch_add(1, Relaxed);
            }
        }
    });

    // All threads end their frames together. A thread that returns early or panics leaves, and is not waited for.
    let barrier = FrameBarrierBuilder::new()
        .with_thread("main")
        .with_thread("physics")
        .with_thread("paths")
        .build();
    let mut game = Game::new(&alloc);
    thread::scope(|scope| {
        let member = barrier.join_as("main")?;
        let (physics, contacts) =
            workers::start(scope, &alloc, &barrier, "physics", workers::physics)?;
        let (searches, paths) = workers::start(scope, &alloc, &barrier, "paths", workers::paths)?;
        for frame in 0..LEVELS * FRAMES_PER_LEVEL {
            let level = frame / FRAMES_PER_LEVEL;
            physics.send((frame, level))?;
            searches.send((frame, level))?;

            // A tag says who memory is charged to, in budgets, totals and reports.
            alloc.begin_frame();
            alloc.with_tag("level", |_| game.enter(level));
            alloc.with_tag("game", |_| {
                game.update(frame, contacts.recv()?, paths.recv()?)
            })?;
            alloc.with_tag("textures", |_| game.stream(frame))?;
            game.end_frame()?;
            member.signal_frame_complete();
            member.wait_all();
            barrier.reset();
        }
        // Dropping the channels ends the workers.
        game.finish()
    })?;

    println!("{:#?}", game.figures);
    for highlight in &game.highlights {
        println!(
            "frame {}: a path of {} steps",
            highlight.frame, highlight.steps
        );
    }
    let mut arenas = alloc.arenas();
    arenas.sort_by(|one, other| one.thread.cmp(&other.thread));
    for arena in arenas {
        let peak = Bytes(arena.peak_frame_bytes as u64);
        println!("arena of {}: {peak} in the largest frame", arena.thread);
        assert_eq!(
            arena.retired_chunks, 0,
            "nobody held on to a frame's memory"
        );
    }
    let paths = budgets.get_tag_budget(PATHS.name()).expect("registered");
    let (peak, warned) = (Bytes(paths.peak_usage as u64), warnings.load(Relaxed));
    println!(
        "budget of {}: {peak} at the most, {warned} warnings",
        paths.name
    );
    println!("streams: {} evicted", alloc.streaming().stats().evictions);

    // Everything was given back: what is left is room that the allocator keeps for next time, and that goes with it.
    assert_eq!(alloc.groups().stats().total_bytes, 0);
    assert_eq!(alloc.handles().active_count(), 0);
    assert_eq!(alloc.streaming().total_reserved(), 0);
    assert_eq!(paths.exceeded_count, 0);
    drop(game);
    drop(alloc);
    assert_eq!(budgets.current_usage(), 0);
    println!("in the end: {}", Bytes(budgets.current_usage() as u64));
    Ok(())
}

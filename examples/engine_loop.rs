//! An engine without Bevy: a main loop, worker threads, and one frame for all of them.
//!
//! The main loop owns the frames. A worker joins a frame by allocating in it; one that has nothing to do costs nothing.
//! What a worker sends to the main loop lives in a pool, since it changes threads. Everything is charged to a tag.
//!
//! ```sh
//! cargo run --example engine_loop --no-default-features
//! ```

use std::error::Error;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use framealloc::tags::TagTotals;
use framealloc::{AllocConfig, AllocError, Bytes, PoolBox, SmartAlloc};

const FRAMES: u64 = 300;
const WORKERS: usize = 3;
const BODIES: usize = 4_000;

struct Body {
    height: f32,
    speed: f32,
}

/// What a worker did in a frame.
struct Step {
    bounced: usize,
    highest: f32,
}

fn main() -> Result<(), Box<dyn Error>> {
    let alloc = SmartAlloc::new(AllocConfig::minimal());
    let mut frames = alloc.shared_frames()?;

    thread::scope(|scope| {
        let workers: Vec<(SyncSender<u64>, Receiver<PoolBox<Step>>)> = (0..WORKERS)
            .map(|worker| {
                let (orders, inbox) = sync_channel(1);
                let (outbox, steps) = sync_channel(1);
                let alloc = &alloc;
                thread::Builder::new()
                    .name(format!("worker {worker}"))
                    .spawn_scoped(scope, move || work(alloc, inbox, outbox))?;
                Ok((orders, steps))
            })
            .collect::<Result<_, std::io::Error>>()?;

        for frame in 0..FRAMES {
            frames.begin()?;
            for (orders, _) in &workers {
                orders.send(frame)?;
            }
            alloc.with_tag("main_loop", |alloc| -> Result<(), Box<dyn Error>> {
                // The boxes come from the workers' pools, and go back to them when the slice is dropped here.
                let steps = alloc.frame_slice_from_iter(
                    workers.iter().filter_map(|(_, steps)| steps.recv().ok()),
                )?;
                let bounced: usize = steps.iter().map(|step| step.bounced).sum();
                let highest = steps.iter().map(|step| step.highest).fold(0.0, f32::max);
                let line = alloc.frame_format(format_args!(
                    "frame {frame}: {bounced} bounced, the highest is at {highest:.2} m"
                ))?;
                if frame % 100 == 99 {
                    println!("{}", &*line);
                }
                Ok(())
            })?;
            frames.end()?;
        }
        // Dropping the channels ends the workers.
        Ok::<(), Box<dyn Error>>(())
    })?;

    println!("\nframe memory by tag");
    for row in TagTotals::capture().rows() {
        println!(
            "  {:<10} {:>10} a frame",
            row.tag,
            Bytes(row.frame_bytes / FRAMES).to_string()
        );
    }
    println!("\narenas by thread");
    for arena in alloc.arenas() {
        println!(
            "  {:<10} {:>10}, of which a frame used {} at the most",
            arena.thread,
            Bytes(arena.capacity as u64).to_string(),
            Bytes(arena.peak_frame_bytes as u64)
        );
    }
    println!("\n{}", alloc.stats());
    Ok(())
}

/// A worker's life: its bodies, and a step for each order.
fn work(alloc: &SmartAlloc, orders: Receiver<u64>, steps: SyncSender<PoolBox<Step>>) {
    let mut bodies: Vec<Body> = (0..BODIES)
        .map(|index| Body {
            height: 1.0 + index as f32 * 0.01,
            speed: 0.0,
        })
        .collect();
    for _frame in orders {
        let step = alloc.with_tag("physics", |alloc| simulate(alloc, &mut bodies));
        let sent = match step {
            Ok(step) => steps.send(step).is_ok(),
            Err(error) => {
                eprintln!("{error}");
                false
            }
        };
        if !sent {
            return;
        }
    }
}

fn simulate(alloc: &SmartAlloc, bodies: &mut [Body]) -> Result<PoolBox<Step>, AllocError> {
    const SECONDS: f32 = 1.0 / 60.0;
    for body in &mut *bodies {
        body.speed -= 9.81 * SECONDS;
        body.height += body.speed * SECONDS;
    }
    // Scratch for as long as this call: a list whose length nobody knows beforehand.
    let mut bounced = alloc.frame_slice_from_iter(
        bodies
            .iter_mut()
            .filter(|body| body.height < 0.0 && body.speed < 0.0),
    )?;
    for body in bounced.iter_mut() {
        body.height = -body.height;
        body.speed = -body.speed;
    }
    let count = bounced.len();
    drop(bounced);
    alloc.pool_box(Step {
        bounced: count,
        highest: bodies.iter().map(|body| body.height).fold(0.0, f32::max),
    })
}

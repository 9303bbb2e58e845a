//! What runs beside the main thread.

use std::error::Error;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use framealloc::{FrameBarrier, ScratchSlice, SmartAlloc, TransferHandle};

/// The frame's number, and the level that it belongs to.
pub type Order = (u64, u64);

pub struct Contacts {
    pub count: usize,
}

pub struct Path {
    pub steps: usize,
    pub attempts: u32,
}

/// The main thread's ends of the channels to a worker.
pub type Channels<T> = (SyncSender<Order>, Receiver<TransferHandle<T>>);

/// Starts a thread that answers an order a frame with what `work` finds out.
pub fn start<'s, T: Send + 'static, W>(
    scope: &'s thread::Scope<'s, '_>,
    alloc: &'s SmartAlloc,
    barrier: &'s Arc<FrameBarrier>,
    name: &'static str,
    begin: impl FnOnce(&'s SmartAlloc) -> W + Send + 's,
) -> Result<Channels<T>, Box<dyn Error>>
where
    W: FnMut(Order) -> T,
{
    let (orders, inbox) = sync_channel::<Order>(1);
    let (outbox, results) = sync_channel(1);
    let member = barrier.join_as(name)?;
    thread::Builder::new()
        .name(name.into())
        .spawn_scoped(scope, move || {
            let mut work = begin(alloc);
            for order in inbox {
                // Frames are each thread's own: this one's arena is reset without asking anybody.
                alloc.begin_frame();
                let result = alloc.with_tag(name, |alloc| {
                    let found = work(order);
                    // Frame memory cannot leave its thread, and does not compile if it tries. This can.
                    alloc.frame_box_for_transfer(found)
                });
                alloc.end_frame();
                if outbox.send(result).is_err() {
                    return;
                }
                member.signal_frame_complete();
                member.wait_all();
            }
        })?;
    Ok((orders, results))
}

/// Bodies that fall and bounce. What a step needs is gone when its guard closes: no list to keep, clear or shrink.
pub fn physics(alloc: &SmartAlloc) -> impl FnMut(Order) -> Contacts {
    let mut bodies: Vec<[f32; 2]> = (0..4000).map(|n| [1.0 + n as f32 * 0.01, 0.0]).collect();
    move |_| {
        let frame = alloc.frame();
        let mut touching = frame.vec(); // grows in place, and is warm in the cache from the last frame
        for (index, [height, speed]) in bodies.iter_mut().enumerate() {
            *speed -= 9.81 / 60.0;
            *height += *speed / 60.0;
            if *height < 0.0 {
                touching.push((index, *height));
            }
        }
        for (index, depth) in &touching {
            bodies[*index] = [-depth, bodies[*index][1].abs()];
        }
        Contacts {
            count: touching.len(),
        }
    }
}

const SIDE: usize = 64;

/// Searches the way across the level, first with little memory, then with more.
pub fn paths(alloc: &SmartAlloc) -> impl FnMut(Order) -> Path {
    let mut costs: Option<(u64, ScratchSlice<u8>)> = None;
    move |(frame, level)| {
        if costs.as_ref().is_none_or(|(of, _)| *of != level) {
            // The level's memory goes as one; a reset is refused while somebody still uses a part of it.
            costs = None;
            let pool = alloc.scratch_pool("level");
            pool.reset();
            let map = pool.alloc_slice_fill_with(SIDE * SIDE, |at| dice(level << 32 | at as u64));
            costs = Some((level, map));
        }
        let (_, costs) = costs.as_ref().expect("just made");
        let wall = 10 + (frame % 70) as u8;
        let mut attempts = 0;
        for room in [256, 1024, SIDE * SIDE] {
            attempts += 1;
            // An attempt that fails gives its memory back in the middle of the frame, so the next one has it.
            let found = alloc.speculative(|| search(alloc, costs, wall, room));
            match found {
                Ok(steps) => return Path { steps, attempts },
                Err(Failed::NoWay) => break,
                Err(Failed::NoRoom) => {}
            }
        }
        Path { steps: 0, attempts }
    }
}

fn dice(seed: u64) -> u8 {
    let mixed = (seed ^ seed >> 7).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    ((mixed ^ mixed >> 29).wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 56) as u8
}

enum Failed {
    NoRoom,
    NoWay,
}

fn search(alloc: &SmartAlloc, costs: &[u8], wall: u8, room: usize) -> Result<usize, Failed> {
    // Made for `room`, and never larger: what does not fit comes back instead of costing a frame its time.
    let mut open = alloc.frame_vec(room);
    let mut steps = alloc.frame_map(room);
    open.push(0);
    steps.insert(0, 0);
    let mut next = 0;
    while let Some(&at) = open.get(next) {
        next += 1;
        let taken: usize = steps[&at];
        if at == SIDE * SIDE - 1 {
            return Ok(taken);
        }
        let right = (at % SIDE + 1 < SIDE).then_some(at + 1);
        let left = (at % SIDE > 0).then(|| at - 1);
        let ways = [right, left, Some(at + SIDE), at.checked_sub(SIDE)];
        for to in ways.into_iter().flatten() {
            if costs.get(to).is_some_and(|cost| *cost >= wall) && !steps.contains_key(&to) {
                steps
                    .try_insert(to, taken + 1)
                    .map_err(|_| Failed::NoRoom)?;
                open.try_push(to).map_err(|_| Failed::NoRoom)?;
            }
        }
    }
    Err(Failed::NoWay)
}

//! Prey steer by their seven nearest neighbours, as starlings do, and away from hunters.
//!
//! The grids are the system's. Each agent needs a list of its own, of whoever is in sight, to pick the nearest from:
//! 30,000 lists a frame, filled in parallel.

use std::borrow::BorrowMut;

use allocator_api2::alloc::{Allocator, Global};
use allocator_api2::vec::Vec;
use bevy::ecs::system::SystemParam;
use bevy::prelude::*;
use bevy::utils::Parallel;
use framealloc::bevy::FrameAlloc;
use framealloc::tags::{TagId, TagScope};

use crate::Step;
use crate::agents::{Moving, OnlyHunters, OnlyPrey, Steered};
use crate::args::Mem;
use crate::field::Field;
use crate::frenzy::Frenzy;
use crate::grid::{Body, Grid, GridBuffers};
use crate::memory::{HeapVec, KeptVecs, NewVecs, TaskMemory};

/// How far prey see each other, and hunters.
const SIGHT: f32 = 18.0;
const FEAR: f32 = 70.0;
const NEIGHBOURS: usize = 7;

struct Buffers<A: Allocator> {
    prey: GridBuffers<A>,
    hunters: GridBuffers<A>,
}

impl<A: Allocator + Copy> Buffers<A> {
    fn new_in(memory: A) -> Self {
        Self {
            prey: GridBuffers::new_in(memory),
            hunters: GridBuffers::new_in(memory),
        }
    }
}

impl Default for Buffers<Global> {
    fn default() -> Self {
        Self::new_in(Global)
    }
}

#[derive(SystemParam)]
struct Scene<'w, 's> {
    field: Res<'w, Field>,
    frenzy: Res<'w, Frenzy>,
    prey: Query<'w, 's, Steered, OnlyPrey>,
    hunters: Query<'w, 's, Moving, OnlyHunters>,
}

pub fn add(app: &mut App, mem: Mem) {
    match mem {
        Mem::Frame => app.add_systems(Update, in_frame_memory.in_set(Step::Steer)),
        Mem::Vec => app.add_systems(Update, in_new_vecs.in_set(Step::Steer)),
        Mem::Local => app.add_systems(Update, in_kept_vecs.in_set(Step::Steer)),
    };
}

fn in_frame_memory(frame: FrameAlloc, scene: Scene) {
    steer_all(
        &mut Buffers::new_in(frame.scratch()),
        &frame.shared(),
        scene,
    );
}

fn in_new_vecs(scene: Scene) {
    let lists = NewVecs {
        charge_to: TagId::current(),
    };
    steer_all(&mut Buffers::new_in(Global), &lists, scene);
}

fn in_kept_vecs(
    mut kept: Local<Buffers<Global>>,
    lists: Local<Parallel<HeapVec<InSight>>>,
    scene: Scene,
) {
    let lists = KeptVecs {
        kept: &lists,
        charge_to: TagId::current(),
    };
    steer_all(&mut kept, &lists, scene);
}

/// A neighbour that an agent may steer by.
struct InSight {
    distance_squared: f32,
    offset: Vec2,
    velocity: Vec2,
}

fn steer_all<A: Allocator, M: TaskMemory<InSight>>(
    buffers: &mut Buffers<A>,
    lists: &M,
    scene: Scene,
) {
    let Scene {
        field,
        frenzy,
        mut prey,
        hunters,
    } = scene;
    let flock = buffers.prey.sort(
        field.grid(SIGHT),
        prey.iter()
            .map(|(position, velocity, _)| (position.0, velocity.0)),
    );
    let hunters = buffers.hunters.sort(
        field.grid(FEAR),
        hunters
            .iter()
            .map(|(position, velocity)| (position.0, velocity.0)),
    );
    let frenzy = *frenzy;
    // Bevy makes a task for each batch, on the heap, and charges whoever calls. A tag of its own keeps its allocations
    // apart from this system's; `open` sets the system's tag again inside.
    let _bevys_own = TagScope::enter(TagId::current().child("par_iter"));
    prey.par_iter_mut().for_each_init(
        || lists.open(),
        |task, (position, velocity, mut steering)| {
            let me = Body {
                position: position.0,
                velocity: velocity.0,
                slot: 0,
            };
            let mut in_sight = M::list(task);
            steering.0 = with_the_flock(me, flock, in_sight.borrow_mut())
                + away_from(me, hunters)
                + frenzy.pull(me.position);
        },
    );
}

/// Alignment, cohesion and separation over the nearest few of those in sight.
fn with_the_flock<A: Allocator>(me: Body, flock: Grid, in_sight: &mut Vec<InSight, A>) -> Vec2 {
    in_sight.extend(flock.near(me.position, SIGHT).filter_map(|body| {
        let offset = body.position - me.position;
        let distance_squared = offset.length_squared();
        // Whoever is exactly here is the agent itself.
        (distance_squared > 0.0 && distance_squared < SIGHT * SIGHT).then_some(InSight {
            distance_squared,
            offset,
            velocity: body.velocity,
        })
    }));
    if in_sight.len() > NEIGHBOURS {
        in_sight.select_nth_unstable_by(NEIGHBOURS - 1, |a, b| {
            a.distance_squared.total_cmp(&b.distance_squared)
        });
        in_sight.truncate(NEIGHBOURS);
    }
    if in_sight.is_empty() {
        return Vec2::ZERO;
    }
    let (mut heading, mut centre, mut room) = (Vec2::ZERO, Vec2::ZERO, Vec2::ZERO);
    for other in in_sight.iter() {
        heading += other.velocity;
        centre += other.offset;
        room -= other.offset / other.distance_squared.max(1.0);
    }
    let count = in_sight.len() as f32;
    (heading / count - me.velocity) * 3.2 + centre / count * 3.0 + room * 420.0
}

fn away_from(me: Body, hunters: Grid) -> Vec2 {
    hunters
        .near(me.position, FEAR)
        .map(|hunter| {
            let away = me.position - hunter.position;
            let distance = away.length().max(1.0);
            away / distance * (1.0 - distance / FEAR).max(0.0) * 900.0
        })
        .sum()
}

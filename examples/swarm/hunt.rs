//! Hunters take the shortest way to the nearest crowd, around the pillars, and chase what they see when they are there.
//!
//! Scratch: the prey by cell, and for each cell how many steps it is from a crowd, by a breadth-first search.
//! Runs in parallel with `flock`, whose grid it cannot share: what a guard holds ends with its system.

use allocator_api2::alloc::{Allocator, Global};
use allocator_api2::vec::Vec;
use bevy::ecs::system::SystemParam;
use bevy::prelude::*;
use framealloc::bevy::FrameAlloc;

use crate::Step;
use crate::agents::{Moving, OnlyHunters, OnlyPrey, Steered};
use crate::args::Mem;
use crate::field::Field;
use crate::grid::{Grid, GridBuffers};

const CELL: f32 = 36.0;
const SIGHT: f32 = 54.0;
/// Steps to a crowd from where no way leads to one.
const NO_WAY: u32 = u32::MAX;

struct Buffers<A: Allocator> {
    prey: GridBuffers<A>,
    steps: Vec<u32, A>,
    queue: Vec<u32, A>,
}

impl<A: Allocator + Copy> Buffers<A> {
    fn new_in(memory: A) -> Self {
        Self {
            prey: GridBuffers::new_in(memory),
            steps: Vec::new_in(memory),
            queue: Vec::new_in(memory),
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
    prey: Query<'w, 's, Moving, OnlyPrey>,
    hunters: Query<'w, 's, Steered, OnlyHunters>,
}

pub fn add(app: &mut App, mem: Mem) {
    match mem {
        Mem::Frame => app.add_systems(Update, in_frame_memory.in_set(Step::Steer)),
        Mem::Vec => app.add_systems(Update, in_new_vecs.in_set(Step::Steer)),
        Mem::Local => app.add_systems(Update, in_kept_vecs.in_set(Step::Steer)),
    };
}

fn in_frame_memory(frame: FrameAlloc, scene: Scene) {
    hunt(&mut Buffers::new_in(frame.scratch()), scene);
}

fn in_new_vecs(scene: Scene) {
    hunt(&mut Buffers::new_in(Global), scene);
}

fn in_kept_vecs(mut kept: Local<Buffers<Global>>, scene: Scene) {
    hunt(&mut kept, scene);
}

fn hunt<A: Allocator>(buffers: &mut Buffers<A>, mut scene: Scene) {
    let prey = buffers.prey.sort(
        scene.field.grid(CELL),
        scene
            .prey
            .iter()
            .map(|(position, velocity)| (position.0, velocity.0)),
    );
    steps_to_crowds(prey, &scene.field, &mut buffers.steps, &mut buffers.queue);
    for (position, velocity, mut steering) in &mut scene.hunters {
        let goal = in_reach(prey, position.0)
            .unwrap_or_else(|| next_place(prey, &buffers.steps, position.0));
        let wanted = (goal - position.0).normalize_or_zero() * 165.0;
        steering.0 = (wanted - velocity.0) * 3.5;
    }
}

/// Where the nearest prey in sight will be in a moment.
fn in_reach(prey: Grid, position: Vec2) -> Option<Vec2> {
    prey.near(position, SIGHT)
        .map(|body| (body.position.distance_squared(position), body))
        .filter(|(distance_squared, _)| *distance_squared < SIGHT * SIGHT)
        .min_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, body)| body.position + body.velocity * 0.15)
}

/// The middle of the next cell on the way to a crowd.
fn next_place(prey: Grid, steps: &[u32], position: Vec2) -> Vec2 {
    let shape = prey.shape;
    let next = shape
        .around(shape.cell_at(position))
        .min_by_key(|&cell| steps[cell])
        .expect("a cell is around itself");
    shape.centre_of(next)
}

/// For each cell, how many steps it is from one that is at least half as crowded as the most crowded.
fn steps_to_crowds<A: Allocator>(
    prey: Grid,
    field: &Field,
    steps: &mut Vec<u32, A>,
    queue: &mut Vec<u32, A>,
) {
    let shape = prey.shape;
    let cells = 0..shape.cells();
    let most = cells
        .clone()
        .map(|cell| prey.count(cell))
        .max()
        .unwrap_or(0);
    steps.clear();
    steps.resize(shape.cells(), NO_WAY);
    queue.clear();
    queue.reserve(shape.cells());
    for cell in cells.filter(|&cell| prey.count(cell) * 2 >= most.max(1)) {
        steps[cell] = 0;
        queue.push(cell as u32);
    }
    let mut head = 0;
    while let Some(&cell) = queue.get(head) {
        head += 1;
        for next in shape.around(cell as usize) {
            let centre = shape.centre_of(next);
            let blocked = field
                .pillars
                .iter()
                .any(|pillar| pillar.centre.distance(centre) < pillar.radius);
            if steps[next] == NO_WAY && !blocked {
                steps[next] = steps[cell as usize] + 1;
                queue.push(next as u32);
            }
        }
    }
}

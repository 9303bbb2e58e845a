//! A burst of sparks where prey was caught, from a fixed supply: nothing is spawned while the game runs.
//!
//! Scratch: the list of this frame's catches, which may be empty, and mostly is.

use allocator_api2::alloc::{Allocator, Global};
use allocator_api2::vec::Vec;
use bevy::ecs::system::SystemParam;
use bevy::prelude::*;
use framealloc::bevy::FrameAlloc;

use crate::Step;
use crate::agents::Prey;
use crate::args::Mem;
use crate::field::STEP;

const SUPPLY: u32 = 1_200;
const PER_CATCH: usize = 14;
/// Seconds that a spark glows.
const LIFE: f32 = 0.7;

#[derive(Component, Clone, Copy, Debug, Default)]
#[require(Transform)]
pub struct Spark {
    pub position: Vec2,
    pub velocity: Vec2,
    /// From 1, new, to 0, out.
    pub glow: f32,
}

/// When sparks move.
#[derive(SystemSet, Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Glow;

#[derive(SystemParam)]
struct Scene<'w, 's> {
    prey: Query<'w, 's, &'static Prey>,
    sparks: Query<'w, 's, &'static mut Spark>,
}

pub fn add(app: &mut App, mem: Mem) {
    app.add_systems(Startup, spawn);
    match mem {
        Mem::Frame => app.add_systems(Update, in_frame_memory.in_set(Glow)),
        Mem::Vec => app.add_systems(Update, in_new_vecs.in_set(Glow)),
        Mem::Local => app.add_systems(Update, in_kept_vecs.in_set(Glow)),
    };
    app.configure_sets(Update, Glow.in_set(Step::Show));
}

fn spawn(mut commands: Commands) {
    for _ in 0..SUPPLY {
        commands.spawn(Spark::default());
    }
}

fn in_frame_memory(frame: FrameAlloc, scene: Scene) {
    glow(&mut frame.vec(), scene);
}

fn in_new_vecs(scene: Scene) {
    glow(&mut Vec::new_in(Global), scene);
}

fn in_kept_vecs(mut kept: Local<Kept>, scene: Scene) {
    glow(&mut kept.0, scene);
}

struct Kept(Vec<Vec2, Global>);

impl Default for Kept {
    fn default() -> Self {
        Self(Vec::new_in(Global))
    }
}

fn glow<A: Allocator>(catches: &mut Vec<Vec2, A>, mut scene: Scene) {
    catches.clear();
    catches.extend(scene.prey.iter().filter_map(|prey| prey.caught_at));
    let mut lit = catches
        .iter()
        .flat_map(|&place| (0..PER_CATCH).map(move |index| (place, index)));
    for mut spark in &mut scene.sparks {
        if spark.glow > 0.0 {
            let Spark {
                position,
                velocity,
                glow,
            } = *spark;
            *spark = Spark {
                position: position + velocity * STEP,
                velocity: velocity * 0.95,
                glow: glow - STEP / LIFE,
            };
        } else if let Some((position, index)) = lit.next() {
            let angle = index as f32 / PER_CATCH as f32 * std::f32::consts::TAU;
            *spark = Spark {
                position,
                velocity: Vec2::from_angle(angle) * (70.0 + 50.0 * (index % 3) as f32),
                glow: 1.0,
            };
        }
    }
}

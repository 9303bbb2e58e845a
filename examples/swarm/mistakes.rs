//! Mistakes on purpose, to see what the tools say of them: `--leaky` and `--over-budget`.
//!
//! Both are in a module of their own, which has a budget: see `assets/swarm.budget.json`.

use bevy::prelude::*;
use framealloc::PoolBox;
use framealloc::bevy::{AllocResource, FrameAlloc};
use framealloc::tags::TagId;

use crate::agents::Prey;
use crate::args::Args;

/// Frames from the least that is planned to the most and back.
const CYCLE: u32 = 240;
/// Steps that the longest plan has: 1.2 MiB of them, a little more than the budget's hard limit.
const LONGEST: usize = 160_000;

pub fn add(app: &mut App, args: &Args) {
    if args.leaky {
        app.init_resource::<Memories>()
            .add_systems(Update, remember_every_catch);
    }
    if args.over_budget {
        app.add_systems(Update, plan_too_far);
    }
}

/// Whether a tag is that of a mistake that was asked for.
pub fn is_one(tag: TagId) -> bool {
    tag.path().starts_with("swarm::mistakes::")
}

/// Where prey was caught, since the game began. Nobody looks at it, and nobody empties it.
#[derive(Resource, Default)]
struct Memories {
    places: Vec<PoolBox<Memory>>,
}

struct Memory {
    _place: Vec2,
    _trail: [Vec2; 31],
}

/// A leak: pools grow by a quarter of a kilobyte for each catch, and the vector with them.
fn remember_every_catch(
    alloc: Res<AllocResource>,
    prey: Query<&Prey>,
    mut memories: ResMut<Memories>,
) {
    for place in prey.iter().filter_map(|prey| prey.caught_at) {
        let memory = Memory {
            _place: place,
            _trail: [place; 31],
        };
        // The budget refuses it in the end. The game forgets what it cannot remember, and goes on.
        if let Ok(memory) = alloc.pool_box(memory) {
            memories.places.push(memory);
        }
    }
}

/// Scratch memory that comes and goes like a tide, and is refused at high water.
fn plan_too_far(frame: FrameAlloc, mut age: Local<u32>) {
    *age = (*age + 1) % CYCLE;
    let tide = (*age as f32 / CYCLE as f32 * std::f32::consts::TAU).cos();
    let steps = ((1.0 - tide) / 2.0 * LONGEST as f32) as usize;
    // What is refused, and why, stands in the log and in the panel. A shorter plan will have to do.
    for steps in [steps, steps / 8] {
        if let Ok(plan) = frame.try_alloc_slice_fill_with(steps, |step| Vec2::splat(step as f32)) {
            std::hint::black_box(plan);
            break;
        }
    }
}

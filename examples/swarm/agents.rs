//! The agents: what they are made of, where they start, and how they move.

use bevy::prelude::*;

use crate::Step;
use crate::field::{Field, STEP};

/// One agent in so many is a hunter.
const PREY_PER_HUNTER: u32 = 500;

#[derive(Component, Clone, Copy, Debug)]
#[require(Velocity, Steering, Transform)]
pub struct Position(pub Vec2);

#[derive(Component, Clone, Copy, Debug, Default)]
pub struct Velocity(pub Vec2);

/// Where an agent wants to go: an acceleration, made anew each frame.
#[derive(Component, Clone, Copy, Debug, Default)]
pub struct Steering(pub Vec2);

#[derive(Component, Clone, Copy, Debug, Default)]
pub struct Prey {
    /// Where it was caught in this frame. It is elsewhere by then.
    pub caught_at: Option<Vec2>,
}

#[derive(Component, Clone, Copy, Debug)]
pub struct Hunter;

/// Filters that tell Bevy that prey and hunters are never the same, so that their systems may run side by side.
pub type OnlyPrey = (With<Prey>, Without<Hunter>);
pub type OnlyHunters = (With<Hunter>, Without<Prey>);

/// What is known of an agent, and what is steered.
pub type Moving = (&'static Position, &'static Velocity);
pub type Steered = (&'static Position, &'static Velocity, &'static mut Steering);

/// The only source of chance, so that two runs are the same.
#[derive(Resource)]
pub struct Dice(fastrand::Rng);

impl Dice {
    fn between(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.0.f32()
    }

    /// A place on the field's edge, and a velocity from there to about its middle.
    pub fn entrance(&mut self, field: &Field) -> (Vec2, Vec2) {
        let angle = self.between(0.0, std::f32::consts::TAU);
        let place = (Vec2::from_angle(angle) * 1.5 * field.half).clamp(-field.half, field.half);
        (place, -place.normalize_or(Vec2::X) * 90.0)
    }
}

/// How many agents there are of each kind.
#[derive(Resource, Clone, Copy, Debug)]
pub struct Population {
    pub prey: u32,
    pub hunters: u32,
}

pub fn add(app: &mut App, agents: u32) {
    let hunters = (agents / PREY_PER_HUNTER).max(3);
    app.insert_resource(Dice(fastrand::Rng::with_seed(0x5EED)))
        .insert_resource(Field::for_agents(agents))
        .insert_resource(Population {
            prey: agents - hunters,
            hunters,
        })
        .add_systems(Startup, spawn)
        .add_systems(Update, drive.in_set(Step::Move));
}

fn spawn(
    mut commands: Commands,
    mut dice: ResMut<Dice>,
    field: Res<Field>,
    population: Res<Population>,
) {
    let mut start = || {
        let place = Vec2::new(dice.between(-0.97, 0.97), dice.between(-0.97, 0.97)) * field.half;
        let heading = Vec2::from_angle(dice.between(0.0, std::f32::consts::TAU));
        (Position(field.keep_inside(place)), Velocity(heading * 60.0))
    };
    for _ in 0..population.prey {
        commands.spawn((Prey::default(), start()));
    }
    for _ in 0..population.hunters {
        commands.spawn((Hunter, start()));
    }
}

/// Moves the agents. It needs no memory, and so the executor may run it in parallel without a thought.
fn drive(
    field: Res<Field>,
    mut agents: Query<(&mut Position, &mut Velocity, &Steering, Has<Hunter>)>,
) {
    for (mut position, mut velocity, steering, hunts) in &mut agents {
        let (slowest, fastest) = if hunts { (60.0, 165.0) } else { (40.0, 150.0) };
        let push = field.repulsion(position.0) * 700.0;
        velocity.0 = (velocity.0 + (steering.0 + push) * STEP).clamp_length(slowest, fastest);
        position.0 = field.keep_inside(position.0 + velocity.0 * STEP);
    }
}

//! Puts agents and sparks where they are drawn. Parallel, and without memory of its own.

use bevy::prelude::*;
use framealloc::tags::{TagId, TagScope};

use crate::Step;
use crate::agents::{Hunter, Position, Velocity};
use crate::sparks::Spark;

pub fn add(app: &mut App) {
    app.add_systems(
        Update,
        (pose_agents, pose_sparks.after(crate::sparks::Glow)).in_set(Step::Show),
    );
}

fn pose_agents(mut agents: Query<(&mut Transform, &Position, &Velocity, Has<Hunter>)>) {
    // See `flock`: what Bevy allocates to spread the loop is told apart.
    let _bevys_own = TagScope::enter(TagId::current().child("par_iter"));
    agents
        .par_iter_mut()
        .for_each(|(mut transform, position, velocity, hunts)| {
            let speed = velocity.0.length();
            let (size, layer) = if hunts { (2.4, 1.0) } else { (1.0, 0.0) };
            transform.translation = position.0.extend(layer);
            transform.rotation = Quat::from_rotation_z(velocity.0.to_angle());
            // The faster, the longer.
            transform.scale = Vec3::new(size * (0.6 + speed / 110.0), size, 1.0);
        });
}

fn pose_sparks(mut sparks: Query<(&mut Transform, &Spark)>) {
    for (mut transform, spark) in &mut sparks {
        transform.translation = spark.position.extend(2.0);
        transform.scale = Vec3::splat(spark.glow.max(0.0));
    }
}

use bevy::prelude::*;
use framealloc::bevy::FrameAlloc;

#[derive(Component)]
struct Agent;

fn shares(frame: FrameAlloc, agents: Query<&Agent>) {
    agents.par_iter().for_each(|_| {
        frame.alloc(7);
    });
}

fn main() {
    App::new().add_systems(Update, shares);
}

use bevy::prelude::*;
use framealloc::bevy::FrameAlloc;

fn defers(frame: FrameAlloc, mut commands: Commands) {
    let value = frame.alloc(7);
    commands.queue(move |_: &mut World| println!("{value}"));
}

fn main() {
    App::new().add_systems(Update, defers);
}

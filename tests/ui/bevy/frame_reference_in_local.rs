use bevy::prelude::*;
use framealloc::bevy::FrameAlloc;

fn hoards(frame: FrameAlloc, mut kept: Local<Option<&'static u32>>) {
    let value = frame.alloc(7);
    *kept = Some(value);
}

fn main() {
    App::new().add_systems(Update, hoards);
}

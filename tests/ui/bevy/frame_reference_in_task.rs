use bevy::prelude::*;
use bevy::tasks::AsyncComputeTaskPool;
use framealloc::bevy::FrameAlloc;

fn detaches(frame: FrameAlloc) {
    let path = frame.alloc_slice_fill(8, 0.0_f32);
    AsyncComputeTaskPool::get()
        .spawn(async move { println!("{path:?}") })
        .detach();
}

fn main() {
    App::new().add_systems(Update, detaches);
}

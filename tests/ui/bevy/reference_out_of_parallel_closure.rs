use bevy::prelude::*;
use bevy::tasks::ComputeTaskPool;
use framealloc::bevy::FrameAlloc;

fn collects(frame: FrameAlloc) {
    let shared = frame.shared();
    let _: Vec<&mut u32> = ComputeTaskPool::get().scope(|scope| {
        scope.spawn(async move { shared.frame().alloc(7) });
    });
}

fn main() {
    App::new().add_systems(Update, collects);
}

use bevy::prelude::*;
use bevy::tasks::ComputeTaskPool;
use framealloc::bevy::FrameAlloc;

fn waits(frame: FrameAlloc) {
    let shared = frame.shared();
    ComputeTaskPool::get().scope(|scope| {
        scope.spawn(async move {
            let frame = shared.frame();
            std::future::ready(()).await;
            frame.alloc(7);
        });
    });
}

fn main() {
    App::new().add_systems(Update, waits);
}

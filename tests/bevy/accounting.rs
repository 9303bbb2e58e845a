//! What a system takes from the frame is charged to that system, however it takes it.

use bevy::prelude::*;
use bevy::tasks::ComputeTaskPool;
use framealloc::bevy::{AllocResource, FrameAlloc, SmartAllocPlugin};
use framealloc::tags::{TagId, TagTotals};

use crate::headless_app;

const FRAMES: u64 = 5;

/// Bytes of frame memory charged to the system, a function whose name no other test uses, in some frames of `app`.
fn charged_to<F>(_system: &F, mut app: App) -> u64 {
    let tag = TagId::from_path(std::any::type_name::<F>());
    for _ in 0..FRAMES {
        app.update();
    }
    TagTotals::capture().of(tag).frame_bytes
}

fn app() -> App {
    let mut app = headless_app();
    app.add_plugins(SmartAllocPlugin);
    app
}

#[test]
fn through_a_guard() {
    fn uses_a_guard(frame: FrameAlloc) {
        frame.alloc_slice_fill(1000, 1_u64);
        frame.alloc([0_u64; 24]);
    }

    let mut app = app();
    app.add_systems(Update, uses_a_guard);
    assert_eq!(charged_to(&uses_a_guard, app), FRAMES * (8000 + 192));
}

#[test]
fn through_the_resource() {
    fn uses_the_resource(alloc: Res<AllocResource>) {
        let _box = alloc.frame_box([0_u64; 24]);
        let _slice = alloc.frame_slice_fill(1000, 1_u64);
    }

    let mut app = app();
    app.add_systems(Update, uses_the_resource);
    let bytes = charged_to(&uses_the_resource, app);
    assert!(bytes >= FRAMES * 8192, "{bytes}");
}

#[test]
fn from_every_thread_of_a_parallel_loop() {
    #[derive(Component)]
    struct Agent(u64);
    fn loops_in_parallel(frame: FrameAlloc, mut agents: Query<&mut Agent>) {
        let shared = frame.shared();
        agents.par_iter_mut().for_each(|mut agent| {
            let frame = shared.frame();
            let numbers = frame.alloc_slice_fill_with(16, |i| agent.0 + i as u64);
            agent.0 = numbers[1];
        });
    }
    // Its threads pick up the other's closures, and the other way round.
    fn loops_as_well(frame: FrameAlloc, agents: Query<&Name>) {
        let shared = frame.shared();
        agents.par_iter().for_each(|name| {
            assert_eq!(shared.frame().alloc_str(name), &**name);
        });
    }

    let mut app = app();
    app.add_systems(Update, (loops_in_parallel, loops_as_well));
    for i in 0..3000 {
        app.world_mut().spawn((Agent(i), Name::new("12345678")));
    }
    assert_eq!(charged_to(&loops_in_parallel, app), FRAMES * 3000 * 128);
    let other = TagId::from_path(std::any::type_name_of_val(&loops_as_well));
    assert_eq!(
        TagTotals::capture().of(other).frame_bytes,
        FRAMES * 3000 * 8
    );
}

#[test]
fn from_the_tasks_of_a_scope() {
    fn opens_a_scope(frame: FrameAlloc) {
        let shared = frame.shared();
        ComputeTaskPool::get().scope(|scope| {
            for _ in 0..50 {
                scope.spawn(async move {
                    shared.frame().alloc_slice_fill(100, 1_u64);
                });
            }
        });
    }

    let mut app = app();
    app.add_systems(Update, opens_a_scope);
    assert_eq!(charged_to(&opens_a_scope, app), FRAMES * 50 * 800);
}

#[test]
fn in_a_run_condition() {
    fn condition_with_scratch(frame: FrameAlloc) -> bool {
        frame.alloc_slice_fill(10, 1_u64).len() == 10
    }

    let mut app = app();
    app.add_systems(Update, (|| ()).run_if(condition_with_scratch));
    assert_eq!(charged_to(&condition_with_scratch, app), FRAMES * 80);
}

#[test]
fn each_part_of_a_pipe_with_a_guard_of_its_own() {
    fn pipe_start(frame: FrameAlloc) -> u64 {
        *frame.alloc(3_u64)
    }
    fn pipe_end(In(value): In<u64>, frame: FrameAlloc) {
        frame.alloc([value; 2]);
    }

    let mut app = app();
    app.add_systems(Update, pipe_start.pipe(pipe_end));
    assert_eq!(charged_to(&pipe_start, app), FRAMES * 8);
    let end = TagId::from_path(std::any::type_name_of_val(&pipe_end));
    assert_eq!(TagTotals::capture().of(end).frame_bytes, FRAMES * 16);
}

#[test]
fn in_an_observer_and_in_an_exclusive_system() {
    #[derive(Event)]
    struct Hit;
    fn on_hit(_: On<Hit>, frame: FrameAlloc) {
        frame.alloc([0_u64; 4]);
    }
    fn exclusive_with_scratch(world: &mut World) {
        world.trigger(Hit);
        let mut state = bevy::ecs::system::SystemState::<FrameAlloc>::new(world);
        state.get(world).unwrap().alloc([0_u64; 8]);
    }

    let mut app = app();
    app.add_observer(on_hit)
        .add_systems(Update, exclusive_with_scratch);
    assert_eq!(charged_to(&exclusive_with_scratch, app), FRAMES * 64);
    let observer = TagId::from_path(std::any::type_name_of_val(&on_hit));
    assert_eq!(TagTotals::capture().of(observer).frame_bytes, FRAMES * 32);
}

//! A worker that waits inside a system runs other systems on top of it, on the same stack and the same arena.
//!
//! With one worker this is certain, so these tests have a process, hence task pools, of their own.

use std::future;
use std::sync::Mutex;
use std::task::{Poll, Waker};
use std::thread::{self, ThreadId};

use bevy::prelude::*;
use bevy::tasks::ComputeTaskPool;
use framealloc::bevy::{FrameAlloc, SmartAllocPlugin};
use framealloc::tags::TagId;

const OTHERS: u32 = 12;

fn app() -> App {
    let mut app = App::new();
    app.add_plugins((
        MinimalPlugins.set(TaskPoolPlugin {
            task_pool_options: TaskPoolOptions {
                compute: bevy::app::TaskPoolThreadAssignmentPolicy {
                    min_threads: 1,
                    max_threads: 1,
                    percent: 1.0,
                    on_thread_spawn: None,
                    on_thread_destroy: None,
                },
                ..default()
            },
        }),
        SmartAllocPlugin,
    ));
    app
}

/// What the systems of an app know of each other.
#[derive(Resource, Default)]
struct Ran(Mutex<Progress>);

#[derive(Default)]
struct Progress {
    /// Systems that ended in this frame.
    ended: u32,
    /// Who waits for the last of them.
    waker: Option<Waker>,
    /// The waiting system's thread, while it waits.
    waiting: Option<ThreadId>,
    /// Systems that ran on top of the waiting one, in all frames.
    on_top: u32,
}

impl Ran {
    fn ended(&self) {
        let mut progress = self.0.lock().unwrap();
        progress.ended += 1;
        if progress.waiting == Some(thread::current().id()) {
            progress.on_top += 1;
        }
        if progress.ended == OTHERS
            && let Some(waker) = progress.waker.take()
        {
            waker.wake();
        }
    }

    /// Waits, as `par_iter` does, on the pool: the worker runs other systems until all have ended.
    fn wait_for_all(&self) {
        self.0.lock().unwrap().waiting = Some(thread::current().id());
        ComputeTaskPool::get().scope(|scope| {
            scope.spawn(future::poll_fn(|context| {
                let mut progress = self.0.lock().unwrap();
                if progress.ended == OTHERS {
                    return Poll::Ready(());
                }
                progress.waker = Some(context.waker().clone());
                Poll::Pending
            }));
        });
        self.0.lock().unwrap().waiting = None;
    }

    fn start_over(&self) {
        self.0.lock().unwrap().ended = 0;
    }
}

fn run_frames(app: &mut App) {
    for _ in 0..50 {
        app.update();
    }
    let on_top = app.world().resource::<Ran>().0.lock().unwrap().on_top;
    assert!(
        on_top >= 50,
        "only {on_top} systems ran on top of the waiting one"
    );
}

fn tag_of<F>(_: &F) -> TagId {
    TagId::from_path(std::any::type_name::<F>())
}

/// Takes frame memory of several sizes, some larger than what an arena starts with.
fn other(frame: &FrameAlloc, ran: &Ran, pattern: &[u8]) {
    for size in [1, 1 << 10, 1 << 18, 3 << 20] {
        let bytes = frame.alloc_slice_copy(&pattern[..size]);
        let more = frame.alloc_slice_copy(&pattern[..64]);
        assert!(*bytes == pattern[..size] && *more == pattern[..64]);
    }
    ran.ended();
}

/// Adds the others, which become ready only after another system ended; the waiting one is in line before them.
fn add_others(app: &mut App) {
    fn starts() {}

    app.init_resource::<Ran>().add_systems(Update, starts);
    for index in 0..OTHERS as u8 {
        let pattern = vec![index; 3 << 20];
        let system = move |frame: FrameAlloc, ran: Res<Ran>| other(&frame, &ran, &pattern);
        app.add_systems(Update, system.after(starts));
    }
}

#[test]
fn a_waiting_systems_memory_and_tag_stay_its_own() {
    fn waits(frame: FrameAlloc, ran: Res<Ran>) {
        let own = tag_of(&waits);
        let before = frame.alloc_slice_fill_with(50_000, |i| i as u32);
        let label = frame.alloc(0xF00D_u64);
        ran.wait_for_all();
        assert_eq!(TagId::current(), own);
        let after = frame.alloc_slice_fill_with(50_000, |i| !(i as u32));
        assert!((0..50_000).all(|i| before[i] == i as u32 && after[i] == !(i as u32)));
        assert_eq!(*label, 0xF00D);
        ran.start_over();
    }

    let mut app = app();
    app.add_systems(Update, waits);
    add_others(&mut app);
    run_frames(&mut app);
}

#[test]
fn a_guard_in_a_parallel_closure_stays_whole_while_systems_run_on_top_of_it() {
    #[derive(Component)]
    struct Agent(u32);

    fn parallel(frame: FrameAlloc, agents: Query<&Agent>, ran: Res<Ran>) {
        let own = tag_of(&parallel);
        let shared = frame.shared();
        agents.par_iter().for_each(|agent| {
            let frame = shared.frame();
            let path = frame.alloc_slice_fill_with(2_000, |i| agent.0 + i as u32);
            ran.wait_for_all();
            assert_eq!(TagId::current(), own);
            let second = shared.frame();
            let more = second.alloc_slice_fill_with(2_000, |i| agent.0 * i as u32);
            assert!((0..2_000).all(|i| path[i] == agent.0 + i as u32));
            assert!((0..2_000).all(|i| more[i] == agent.0 * i as u32));
        });
        assert_eq!(TagId::current(), own);
        ran.start_over();
    }

    let mut app = app();
    app.add_systems(Update, parallel);
    add_others(&mut app);
    app.world_mut().spawn_batch((1..40).map(Agent));
    run_frames(&mut app);
}

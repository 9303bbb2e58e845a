//! FA2xx: memory that meets more than one thread.

use super::Texts;
use crate::info::Example;

pub(crate) const FA201: Texts = Texts {
    cause: "a free for another thread that its bounded queue refused, under `QueueFullPolicy::Fail`",
    remedy: "raise the capacity of the queue, choose another policy, or process deferred frees more often",
    example: Some(Example {
        wrong: "\
let alloc = SmartAlloc::with_defaults();
alloc.set_deferred_config(DeferredConfig::bounded(64).full_policy(QueueFullPolicy::Fail));
let particles: Vec<_> = (0..1_000).map(|n| alloc.pool_box(n).unwrap()).collect();
std::thread::spawn(move || drop(particles)).join().unwrap(); // more than the queue takes
",
        right: "\
let alloc = SmartAlloc::with_defaults();
alloc.set_deferred_config(DeferredConfig::bounded(64).full_policy(QueueFullPolicy::Grow));
let particles: Vec<_> = (0..1_000).map(|n| alloc.pool_box(n).unwrap()).collect();
std::thread::spawn(move || drop(particles)).join().unwrap();
",
    }),
};

pub(crate) const FA202: Texts = Texts {
    cause: "memory asked for while a thread starts or after its thread-local state was destroyed; it is served, more slowly",
    remedy: "keep allocations out of the destructors of thread-locals",
    example: Some(Example {
        wrong: "\
struct Log;
impl Drop for Log {
    fn drop(&mut self) {
        // The allocator's own thread-local may be gone by now.
        let alloc = SmartAlloc::with_defaults();
        drop(alloc.pool_box(\"the thread is over\").unwrap());
    }
}
thread_local! {
    static LOG: Log = const { Log };
}
std::thread::spawn(|| {
    LOG.with(|_| ());
    drop(SmartAlloc::with_defaults().pool_box(1).unwrap());
})
.join()
.unwrap();
",
        right: "\
std::thread::spawn(|| {
    let alloc = SmartAlloc::with_defaults();
    drop(alloc.pool_box(\"the thread is over\").unwrap()); // while it is still running
})
.join()
.unwrap();
",
    }),
};

pub(crate) const FA204: Texts = Texts {
    cause: "a queue of frees from other threads that is nearly full, or that overflowed",
    remedy: "process deferred frees more often, or raise the capacity of the queue",
    example: Some(Example {
        wrong: "\
let alloc = SmartAlloc::with_defaults();
alloc.set_deferred_config(DeferredConfig::bounded(64));
let particles: Vec<_> = (0..60).map(|n| alloc.pool_box(n).unwrap()).collect();
std::thread::spawn(move || drop(particles)).join().unwrap(); // above 80 % of the queue
",
        right: "\
let alloc = SmartAlloc::with_defaults();
alloc.set_deferred_config(DeferredConfig::bounded(1_024));
let particles: Vec<_> = (0..60).map(|n| alloc.pool_box(n).unwrap()).collect();
std::thread::spawn(move || drop(particles)).join().unwrap();
alloc.process_deferred_frees(usize::MAX);
",
    }),
};

pub(crate) const FA206: Texts = Texts {
    cause: "a `TransferHandle` that was dropped without `receive()`",
    remedy: "receive it on the thread that it was sent to, or keep the value in a `pool_box()`",
    example: Some(Example {
        wrong: "\
let alloc = SmartAlloc::with_defaults();
alloc.begin_frame();
let handle = alloc.frame_box_for_transfer([0_u8; 64]);
std::thread::spawn(move || drop(handle)).join().unwrap(); // nobody received it
alloc.end_frame();
",
        right: "\
let alloc = SmartAlloc::with_defaults();
alloc.begin_frame();
let handle = alloc.frame_box_for_transfer([0_u8; 64]);
std::thread::spawn(move || assert_eq!(handle.receive()[0], 0)).join().unwrap();
alloc.end_frame();
",
    }),
};

pub(crate) const FA211: Texts = Texts {
    cause: "frame memory, which belongs to one thread's frame, in a closure that runs on another thread",
    remedy: "send it with `frame_box_for_transfer()`, or take memory on the thread that uses it",
    example: Some(Example {
        wrong: "\
fn simulate(alloc: &SmartAlloc) {
    let input = alloc.frame_box([0.0_f32; 64]).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| println!(\"{}\", input[0]));
    });
}
",
        right: "\
fn simulate(alloc: &SmartAlloc) {
    let input = alloc.frame_box_for_transfer([0.0_f32; 64]);
    std::thread::scope(|scope| {
        scope.spawn(move || println!(\"{}\", input.receive()[0]));
    });
}
",
    }),
};

pub(crate) const FA212: Texts = Texts {
    cause: "a thread that opens and closes frames beside others that meet in a `FrameBarrier`, without being part of it",
    remedy: "count the thread in when the barrier is built, and let it signal at the end of its frame",
    example: Some(Example {
        wrong: "\
fn run(alloc: SmartAlloc) {
    let barrier = FrameBarrier::new(1);
    let physics = (alloc.clone(), barrier.clone());
    std::thread::spawn(move || {
        physics.0.begin_frame();
        physics.0.end_frame();
        physics.1.signal_frame_complete();
    });
    std::thread::spawn(move || {
        alloc.begin_frame(); // shares the frame, and nobody waits for it
        alloc.end_frame();
    });
    barrier.wait_all();
}
",
        right: "\
fn run(alloc: SmartAlloc) {
    let barrier = FrameBarrier::new(2);
    for _ in 0..2 {
        let (alloc, barrier) = (alloc.clone(), barrier.clone());
        std::thread::spawn(move || {
            alloc.begin_frame();
            alloc.end_frame();
            barrier.signal_frame_complete();
        });
    }
    barrier.wait_all();
}
",
    }),
};

pub(crate) const FA213: Texts = Texts {
    cause: "a spawned thread that allocates, in a program that gives budgets to threads, but not to this one",
    remedy: "give it one with `set_thread_budget_config`",
    example: Some(Example {
        wrong: "\
fn start_loader(alloc: SmartAlloc) {
    std::thread::spawn(move || {
        alloc.begin_frame();
        drop(alloc.frame_slice_fill(4096, 0_u8));
        alloc.end_frame();
    });
}
",
        right: "\
fn start_loader(alloc: SmartAlloc) {
    std::thread::spawn(move || {
        let budget = ThreadBudgetConfig { frame_budget: 8 << 20, ..Default::default() };
        alloc.set_thread_budget_config(std::thread::current().id(), budget);
        alloc.begin_frame();
        drop(alloc.frame_slice_fill(4096, 0_u8));
        alloc.end_frame();
    });
}
",
    }),
};

pub(crate) const FA214: Texts = Texts {
    cause: "a loop that frees another thread's memory faster than its bounded queue is processed",
    remedy: "process deferred frees in the loop, raise the capacity, or free on the thread that allocated",
    example: Some(Example {
        wrong: "\
fn consume(alloc: &SmartAlloc, received: std::sync::mpsc::Receiver<PoolBox<[u8; 64]>>) {
    alloc.set_deferred_config(DeferredConfig::bounded(64));
    for message in received {
        drop(message); // each one is a free for the sender's thread
    }
}
",
        right: "\
fn consume(alloc: &SmartAlloc, received: std::sync::mpsc::Receiver<PoolBox<[u8; 64]>>) {
    alloc.set_deferred_config(DeferredConfig::bounded(64));
    for message in received {
        drop(message);
        alloc.process_deferred_frees(16);
    }
}
",
    }),
};

pub(crate) const FA215: Texts = Texts {
    cause: "`end_frame` on one thread while threads of the same `FrameBarrier` may still be in the frame",
    remedy: "call `wait_all()` before `end_frame()`",
    example: Some(Example {
        wrong: "\
fn frame(alloc: &SmartAlloc, barrier: &FrameBarrier) {
    alloc.begin_frame();
    barrier.signal_frame_complete();
    alloc.end_frame(); // the others are not done
}
",
        right: "\
fn frame(alloc: &SmartAlloc, barrier: &FrameBarrier) {
    alloc.begin_frame();
    barrier.signal_frame_complete();
    barrier.wait_all();
    alloc.end_frame();
}
",
    }),
};

//! Tracy's own client, with nobody who listens: what it is told does it no harm. What it is told is in `tests/core/profiling`.

use framealloc::{Profiler, ProfilingConfig, SmartAlloc};

#[test]
fn tracy_is_told_of_everything() {
    let alloc = SmartAlloc::with_defaults();
    let early = alloc.pool_box(1u64).unwrap();
    alloc.enable_tracy();
    assert!(alloc.is_profiled());
    for frame in 0..100u64 {
        alloc.begin_frame();
        let _phase = alloc.phase_scope("simulate");
        let boxes: Vec<_> = (0..300).map(|n| alloc.frame_box([n; 4]).unwrap()).collect();
        alloc.frame().alloc_slice_fill(10_000, frame);
        let moved = alloc.heap_box([frame; 500]).unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                alloc.begin_frame();
                drop(moved);
                alloc.end_frame();
            });
        });
        drop(boxes);
        alloc.end_frame();
    }
    drop(early);
    let late = alloc.pool_box(2u64).unwrap();
    alloc.stop_profiling();
    assert!(!alloc.is_profiled());
    drop(late);

    let other = SmartAlloc::with_defaults();
    let config = ProfilingConfig {
        name: "render".into(),
        marks_frames: false,
    };
    other.enable_tracy_with(config.clone());
    alloc.profile_with(Profiler::tracy(), config);
    let outlives = (
        other.pool_box([0u8; 100]).unwrap(),
        alloc.heap_box([0u8; 100]).unwrap(),
    );
    drop((alloc, other));
    drop(outlives);
}

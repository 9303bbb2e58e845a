//! Hooks for user interfaces and profilers, and frame events.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::thread;

use framealloc::diagnostics::{DiagnosticsEvent, DiagnosticsHooks, MemoryEvent, ProfilerHooks};
use framealloc::tags::TagId;
use framealloc::{FrameEvent, LifecycleManager};

use crate::common::{on_a_thread, small};

#[test]
fn a_debug_interface_hears_of_frames_and_pressure_and_draws_a_graph() {
    let shown = Arc::new(Mutex::new(Vec::new()));
    let panel = shown.clone();
    let hooks = DiagnosticsHooks::new();
    hooks.add_listener(move |event| match event {
        DiagnosticsEvent::FrameBegin { frame_number } => {
            panel.lock().unwrap().push(format!("frame {frame_number}"));
        }
        DiagnosticsEvent::MemoryPressure { current, limit } => {
            panel.lock().unwrap().push(format!("{current} of {limit}"));
        }
        _ => {}
    });

    let alloc = small();
    let held = alloc.heap_box([0_u8; 3000]).unwrap();
    for _ in 0..3 {
        hooks.on_frame_begin();
        hooks.on_frame_end(&alloc.stats());
    }
    hooks.emit(DiagnosticsEvent::MemoryPressure {
        current: 90,
        limit: 100,
    });
    drop(held);
    assert_eq!(
        *shown.lock().unwrap(),
        ["frame 1", "frame 2", "frame 3", "90 of 100"]
    );

    let graph_data = hooks.get_memory_graph_data(100);
    assert_eq!((graph_data.len(), graph_data.frames[99]), (100, 3));
    assert!(graph_data.current[99] >= 3000 && graph_data.current[0] == 0);
    assert_eq!(hooks.history().len(), 3);
}

#[test]
fn an_allocators_own_hooks_need_no_telling() {
    let alloc = small();
    let begun = Arc::new(Mutex::new(Vec::new()));
    let log = begun.clone();
    alloc.diagnostics().add_listener(move |event| {
        if let DiagnosticsEvent::FrameBegin { frame_number } = event {
            log.lock().unwrap().push(*frame_number);
        }
    });
    for _ in 0..3 {
        alloc.begin_frame();
        alloc.end_frame();
    }
    assert_eq!(*begun.lock().unwrap(), [1, 2, 3]);
}

#[test]
fn a_profiler_is_told_of_allocations_and_frees() {
    let live = Arc::new(Mutex::new(HashMap::new()));
    let reported = live.clone();
    let profile = move |event| match event {
        MemoryEvent::Alloc { ptr, size, tag } => {
            reported.lock().unwrap().insert(ptr, (size, tag));
        }
        MemoryEvent::Free { ptr } => {
            reported.lock().unwrap().remove(&ptr);
        }
        _ => {}
    };
    // The program's own memory …
    let hooks = ProfilerHooks::new();
    hooks.set_callback(profile.clone());
    hooks.emit_alloc(0x4000, 16, TagId::ROOT);
    assert_eq!(live.lock().unwrap()[&0x4000], (16, TagId::ROOT));
    hooks.emit_free(0x4000);

    // … and an allocator's.
    let alloc = small();
    alloc.profiler().set_callback(profile);
    let tag = TagId::from_path("tour_profiled");
    let held = alloc.with_tag("tour_profiled", |alloc| alloc.pool_box([0_u8; 24]).unwrap());
    let told: Vec<_> = live.lock().unwrap().values().copied().collect();
    assert_eq!(told, [(24, tag)]);
    drop(held);
    assert!(live.lock().unwrap().is_empty());
}

#[test]
fn frames_tell_of_their_beginnings_ends_and_of_frees_for_other_threads() {
    let alloc = small();
    alloc.enable_lifecycle_tracking();
    let lines = Arc::new(Mutex::new(Vec::new()));
    let log = lines.clone();
    alloc.on_frame_event(move |event| match event {
        FrameEvent::FrameBegin {
            thread_id,
            frame_number,
            ..
        } => {
            let line = format!("Frame {frame_number} started on {thread_id:?}");
            log.lock().unwrap().push(line);
        }
        FrameEvent::CrossThreadFreeQueued { from, to, size } => {
            let line = format!("Cross-thread: {from:?} -> {to:?}, {size} bytes");
            log.lock().unwrap().push(line);
        }
        FrameEvent::FrameEnd {
            duration_us,
            peak_memory,
            ..
        } => {
            assert!(*duration_us < 60_000_000);
            let line = format!("Frame took some μs, peak {peak_memory} bytes");
            log.lock().unwrap().push(line);
        }
        _ => {}
    });

    let here = thread::current().id();
    alloc.begin_frame();
    let unit = alloc.pool_box([7_u8; 100]).unwrap();
    let there = on_a_thread(move || {
        drop(unit);
        thread::current().id()
    });
    drop(alloc.frame_box([0_u8; 50]).unwrap());
    alloc.end_frame();
    assert_eq!(
        *lines.lock().unwrap(),
        [
            format!("Frame 1 started on {here:?}"),
            format!("Cross-thread: {there:?} -> {here:?}, 100 bytes"),
            "Frame took some μs, peak 100 bytes".to_owned(),
        ]
    );

    let stats = alloc.thread_frame_stats(here);
    assert_eq!(
        format!(
            "Frames: {}, Peak: {} bytes",
            stats.frames_completed, stats.peak_memory
        ),
        "Frames: 1, Peak: 100 bytes"
    );
    let manager: &LifecycleManager = alloc.lifecycle();
    assert_eq!(manager.summary().frames_completed, 1);
}

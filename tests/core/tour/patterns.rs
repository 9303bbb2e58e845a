//! The common patterns, and the cures of common troubles.

use std::collections::VecDeque;
use std::error::Error;
use std::io::Write;
use std::thread;

use framealloc::{AllocConfig, AllocErrorKind, SmartAlloc, StreamPriority, StreamWriter};

use crate::common::{FA001, FA003, reported};

#[derive(Default)]
struct Work {
    steps: u32,
}

fn process(work: &Work) -> u32 {
    work.steps + 1
}

#[test]
fn pattern_1_a_game_loop() -> Result<(), Box<dyn Error>> {
    let alloc = SmartAlloc::with_defaults();
    let mut done = 0;
    while done < 10 {
        alloc.begin_frame();
        let scratch = alloc.frame_box(Work { steps: done })?;
        done = process(&scratch);
        drop(scratch);
        alloc.end_frame();
    }
    assert_eq!(alloc.frame_number(), 10);
    Ok(())
}

#[test]
fn pattern_2_a_level_is_loaded_and_freed_at_once() -> Result<(), Box<dyn Error>> {
    fn load(name: &str) -> Result<Vec<u8>, Box<dyn Error>> {
        Ok(name.repeat(100).into_bytes())
    }
    let alloc = SmartAlloc::with_defaults();
    let groups = alloc.groups();
    let level_group = groups.create_group("level_1");
    let mut assets = Vec::new();
    for asset in ["rock", "tree", "river"] {
        assets.push(groups.alloc_val(level_group, load(asset)?));
    }
    assert_eq!(assets[1].read()?.len(), 400);
    let freed = groups.free_group(level_group);
    assert_eq!(freed.values, 3);
    assert!(!assets[1].is_live());
    Ok(())
}

#[test]
fn pattern_3_assets_stream_in_on_another_thread() -> Result<(), Box<dyn Error>> {
    fn load_texture(mut to: StreamWriter, progress: impl Fn(usize)) -> std::io::Result<()> {
        let part = vec![0xAB; to.len() / 4];
        for loaded in 1..=4 {
            to.write_all(&part)?;
            progress(loaded * part.len());
        }
        // A writer that only drops has given the load up, should it drop before `finish_load` is called.
        Ok(to.finish()?)
    }
    let alloc = SmartAlloc::with_defaults();
    let streaming = alloc.streaming();
    let texture_id = streaming.reserve(64 << 10, StreamPriority::High)?;
    let writer = streaming.begin_load(texture_id)?;
    thread::scope(|scope| {
        let loading = scope.spawn(move || {
            load_texture(writer, |progress| {
                streaming.report_progress(texture_id, progress);
            })
        });
        // Before the load has ended or after: the stream is ready once all of it is there.
        streaming.finish_load(texture_id);
        loading.join().unwrap()
    })?;
    let mut used = false;
    if let Some(data) = streaming.access(texture_id) {
        used = data.iter().all(|byte| *byte == 0xAB);
    }
    assert!(used);
    Ok(())
}

#[test]
fn pattern_4_boxes_rather_than_pointers() -> Result<(), Box<dyn Error>> {
    let alloc = SmartAlloc::with_defaults();
    let pool_data = alloc.pool_box(Work { steps: 1 })?;
    let heap_data = alloc.heap_box([Work::default(), Work { steps: 2 }])?;
    alloc.begin_frame();
    let frame_data = alloc.frame_box(VecDeque::from([1, 2]))?;
    assert_eq!(
        (pool_data.steps, heap_data[1].steps, frame_data[1]),
        (1, 2, 2)
    );
    drop(frame_data);
    alloc.end_frame();
    Ok(())
}

#[test]
fn trouble_a_frame_allocation_outside_a_frame() {
    let alloc = SmartAlloc::with_defaults();
    let (refused, reports) = reported(|| alloc.try_frame_alloc::<u32>().map(drop).unwrap_err());
    assert_eq!(
        (refused.kind(), reports),
        (AllocErrorKind::NoFrame, vec![FA001])
    );
    alloc.begin_frame();
    let data = alloc.frame_alloc::<u32>();
    drop(data);
    alloc.end_frame();
    let data = alloc.pool_box(5_u32);
    assert_eq!(*data.unwrap(), 5);
}

#[test]
fn trouble_an_arena_that_is_too_small() {
    const LARGE: usize = 6 << 20;
    let fits = |config: AllocConfig| {
        let alloc = SmartAlloc::new(config);
        alloc.begin_frame();
        let (fits, reports) = reported(|| alloc.frame_slice_fill(LARGE, 1_u8).is_ok());
        alloc.end_frame();
        (fits, reports)
    };
    assert_eq!(fits(AllocConfig::minimal()), (false, vec![FA003]));
    let config = AllocConfig::default().with_frame_arena_size(64 * 1024 * 1024);
    assert_eq!(fits(config), (true, vec![]));
}

#[test]
fn trouble_memory_that_is_not_given_back() {
    let alloc = SmartAlloc::with_defaults();
    let kept = alloc.pool_box([1_u64; 8]).unwrap();
    // The process's, and other tests run beside this one: at least this value is in there.
    let stats = alloc.stats();
    let active = stats.allocation_count - stats.deallocation_count;
    assert!(active >= 1);
    assert_eq!(active, stats.active_allocations());
    drop(kept);
}

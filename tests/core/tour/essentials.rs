//! Frames, intent, budgets, streams, handles, groups and boxes.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Barrier, Mutex};
use std::thread;

use framealloc::{
    AllocConfig, AllocationTag, BudgetEvent, Handle, HandleAllocator, SmartAlloc, StreamPriority,
    StreamingAllocator,
};

use super::Corner;
use crate::common::{FA002, reported, retired};

#[test]
fn core_concepts_a_frame_holds_values_and_arrays() {
    let alloc = SmartAlloc::new(AllocConfig::default());

    alloc.begin_frame();
    let noise = alloc.frame_alloc::<[u16; 32]>();
    let corners = alloc.frame_alloc::<[Corner; 4096]>();

    // The memory is there; what it holds is said here, since nothing unwritten can be read.
    let noise = noise.init_default();
    assert_eq!(*noise, [0; 32]);
    assert!(size_of_val(&*corners) >= 4096 * 24);

    drop((noise, corners));
    let ((), reports) = reported(|| alloc.end_frame());
    assert_eq!(reports, []);
}

#[test]
fn core_concepts_what_is_held_past_the_frame_stays_whole_and_is_reported() {
    let alloc = SmartAlloc::new(AllocConfig::default());
    alloc.begin_frame();
    let corners = alloc.frame_alloc::<[u32; 4096]>().write([7; 4096]);
    let ((), reports) = reported(|| alloc.end_frame());
    assert_eq!(reports, [FA002]);
    crate::common::busy_frames(&alloc, 3);
    assert!(corners.iter().all(|corner| *corner == 7));
    drop(corners);
    assert_eq!(retired(&alloc), 0);
}

#[test]
fn core_concepts_every_thread_has_frames_of_its_own_without_setup() {
    let alloc = Arc::new(SmartAlloc::with_defaults());
    let all_at_once = Arc::new(Barrier::new(3));
    let workers: Vec<_> = (0..3_u64)
        .map(|worker| {
            let (alloc, all_at_once) = (alloc.clone(), all_at_once.clone());
            thread::spawn(move || {
                alloc.begin_frame();
                let number = alloc.frame_alloc::<u64>().write(worker);
                all_at_once.wait();
                let seen = *number;
                drop(number);
                alloc.end_frame();
                seen
            })
        })
        .collect();
    let seen: Vec<_> = workers.into_iter().map(|w| w.join().unwrap()).collect();
    assert_eq!(seen, [0, 1, 2]);
    assert_eq!(alloc.arenas().len(), 3);
}

#[test]
fn core_concepts_memory_is_asked_for_by_intent() {
    let alloc = SmartAlloc::with_defaults();
    alloc.begin_frame();
    let frame = alloc.frame_alloc::<[u8; 100]>().zeroed();
    let pool = alloc.pool_alloc::<[u8; 100]>().zeroed();
    let heap = alloc.heap_alloc::<[u8; 10_000]>().zeroed();
    assert!(frame.iter().chain(&*pool).chain(&*heap).all(|b| *b == 0));
    drop(frame);
    alloc.end_frame();
    // Only what is of the frame goes with it.
    assert_eq!((pool.len(), heap.len()), (100, 10_000));
}

#[test]
fn budgets_hold_a_subsystem_and_tell_what_happens() {
    let config = AllocConfig::default().with_budgets(true);
    let alloc = SmartAlloc::new(config);
    let rendering = AllocationTag::new("tour_rendering");

    let budgets = alloc.budgets().expect("they are on");
    budgets.register_tag(&rendering, 1000, 2000);
    let events = Arc::new(Mutex::new(Vec::new()));
    budgets.set_event_callback({
        let events = events.clone();
        move |event| {
            events.lock().unwrap().push(match event {
                BudgetEvent::SoftLimitExceeded { .. } => "soft",
                BudgetEvent::HardLimitExceeded { .. } => "hard",
                BudgetEvent::NewPeak { .. } => "peak",
                _ => "other",
            });
        }
    });

    alloc.with_tag("tour_rendering", |alloc| {
        let meshes = alloc.heap_box([0_u8; 1500]).unwrap();
        let refused = alloc.heap_box([0_u8; 1500]).unwrap_err();
        assert!(refused.kind().is_budget());
        assert_eq!(refused.available(), 500);
        drop(meshes);
    });
    let events = events.lock().unwrap();
    for event in ["soft", "hard", "peak"] {
        assert!(events.contains(&event), "{event} in {events:?}");
    }
    let budget = budgets.get_tag_budget(rendering.name()).unwrap();
    assert_eq!((budget.current_usage, budget.peak_usage), (0, 1500));
}

#[test]
fn streaming_loads_a_part_at_a_time_and_evicts_what_was_not_used_for_longest() {
    const SIZE: usize = 64 << 10;
    let streaming = StreamingAllocator::new(2 * SIZE);

    let id = streaming.reserve(SIZE, StreamPriority::Normal).unwrap();
    let mut bytes = streaming.begin_load(id).unwrap();
    let (first, rest) = (SIZE / 4, SIZE - SIZE / 4);
    bytes.as_mut_slice()[..first].fill(1);
    streaming.report_progress(id, first);
    assert!(streaming.access(id).is_none(), "not all of it is there");
    bytes.as_mut_slice()[first..].fill(2);
    streaming.report_progress(id, first + rest);
    streaming.finish_load(id);

    let data = streaming.access(id).unwrap();
    assert_eq!((data.len(), data[0], data[SIZE - 1]), (SIZE, 1, 2));
    drop((data, bytes));

    // Two more than fit: the first goes, and then the second.
    let evicted = Arc::new(AtomicUsize::new(0));
    streaming.set_eviction_callback({
        let evicted = evicted.clone();
        move |_| {
            evicted.fetch_add(1, Relaxed);
        }
    });
    for _ in 0..3 {
        let next = streaming.reserve(SIZE, StreamPriority::Normal).unwrap();
        let mut writer = streaming.begin_load(next).unwrap();
        writer.as_mut_slice().fill(3);
        writer.finish().unwrap();
    }
    assert_eq!(evicted.load(Relaxed), 2);
    assert!(streaming.access(id).is_none());
}

#[test]
fn handles_name_a_value_wherever_compaction_moves_it() {
    #[derive(Default)]
    struct Creature {
        hunger: u32,
    }
    let allocator = HandleAllocator::new();

    let handle: Handle<Creature> = allocator.alloc().unwrap();
    let mut creature = allocator.resolve_mut(handle).unwrap();
    *creature = Creature { hunger: 3 };
    drop(creature);

    allocator.pin(handle);
    let place = crate::common::address(&*allocator.resolve(handle).unwrap());
    allocator.defragment();
    assert_eq!(
        crate::common::address(&*allocator.resolve(handle).unwrap()),
        place
    );
    allocator.unpin(handle);

    // Holes, so that there is something to move.
    let crowd: Vec<Handle<[u64; 32]>> = (0..2000).map(|_| allocator.alloc().unwrap()).collect();
    for gone in crowd.iter().skip(1).step_by(2) {
        allocator.free(*gone).unwrap();
    }
    let relocations = allocator.defragment();
    assert!(relocations > 0);
    assert_eq!(allocator.relocation_count(), relocations as u64);
    let creature = allocator.resolve(handle).unwrap();
    assert_eq!(creature.hunger, 3);
}

#[test]
fn groups_free_what_a_level_loaded_at_once() {
    let alloc = SmartAlloc::with_defaults();
    let groups = alloc.groups();
    let counted = Arc::new(());

    let level = groups.create_group("tour level");
    groups.alloc_val(level, (vec![0_u8; 512], counted.clone()));
    groups.alloc_val(level, (String::from("a mesh"), counted.clone()));
    groups.alloc_val(level, ([0.5_f32; 32], counted.clone()));
    assert_eq!(groups.group_count(level), 3);
    assert_eq!(Arc::strong_count(&counted), 4);

    groups.free_group(level);
    assert_eq!(Arc::strong_count(&counted), 1);
    assert!(!groups.group_exists(level));
}

#[test]
fn boxes_free_and_drop_what_they_hold() {
    struct Report {
        field: &'static str,
        _counted: Arc<()>,
    }
    let alloc = SmartAlloc::with_defaults();
    let counted = Arc::new(());

    alloc.begin_frame();
    let report = alloc
        .frame_box(Report {
            field: "fine",
            _counted: counted.clone(),
        })
        .unwrap();
    assert_eq!(format!("{}", report.field), "fine");
    drop(report);
    alloc.end_frame();
    {
        let boxed = alloc.pool_box((123_u64, counted.clone())).unwrap();
        assert_eq!(boxed.0, 123);
    }
    {
        let large = alloc.heap_box(([0_u8; 8192], counted.clone())).unwrap();
        assert_eq!(large.0.len(), 8192);
    }
    assert_eq!(Arc::strong_count(&counted), 1);
}

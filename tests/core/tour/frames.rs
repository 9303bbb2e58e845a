//! Phases, checkpoints, collections, tags and scratch pools.

use framealloc::{FrameMap, FrameVec, SmartAlloc};

use super::Corner;
use crate::common::small;

#[test]
fn phases_tell_what_each_part_of_a_frame_allocated() {
    let alloc = small();
    alloc.begin_frame();

    alloc.begin_phase("physics");
    let contacts = alloc.frame_alloc::<[[u32; 2]; 256]>();
    alloc.begin_phase("broad");
    let nested = alloc.frame_alloc::<[u64; 4]>();
    assert_eq!(alloc.current_phase(), Some("broad"));
    alloc.end_phase();
    let physics = alloc.end_phase().unwrap();

    alloc.begin_phase("render");
    let corners = alloc.frame_alloc::<[Corner; 4096]>();
    alloc.end_phase();

    {
        let _phase = alloc.phase_scope("ai");
        assert_eq!(alloc.current_phase(), Some("ai"));
    }
    assert_eq!(alloc.current_phase(), None);

    drop((contacts, nested, corners));
    alloc.end_frame();
    assert_eq!(physics.name, "physics");
    assert!(physics.bytes_allocated >= 2048);
    let names: Vec<_> = alloc.phases().into_iter().map(|p| p.path).collect();
    assert_eq!(names, ["physics", "physics/broad", "render", "ai"]);
}

#[test]
fn checkpoints_give_back_what_an_attempt_allocated() {
    fn attempt(alloc: &SmartAlloc) -> Result<u32, &'static str> {
        let tried = alloc.frame_slice_fill(1000, 1_u32).map_err(|_| "no room")?;
        Err(if tried.len() == 1000 {
            "a dead end"
        } else {
            "?"
        })
    }
    let alloc = small();
    alloc.begin_frame();

    let checkpoint = alloc.frame_checkpoint();
    let result = attempt(&alloc);
    if result.is_err() {
        alloc.rollback_to(checkpoint);
    }
    assert_eq!(result, Err("a dead end"));
    // As much is to be had as before.
    assert_eq!(alloc.frame_checkpoint().head(), checkpoint.head());

    alloc.end_frame();
}

#[test]
fn speculative_blocks_are_rolled_back_on_an_error() {
    let alloc = small();
    alloc.begin_frame();
    let before = alloc.frame_remaining();
    let run = |valid: bool| {
        alloc.speculative(|| {
            let data = alloc.frame_alloc::<[u64; 4096]>().zeroed();
            if !valid {
                return Err("validation failed");
            }
            Ok(data.iter().sum::<u64>())
        })
    };
    for _ in 0..1000 {
        assert_eq!(run(false), Err("validation failed"));
    }
    assert!(alloc.frame_remaining() + (600 << 10) > before);
    assert_eq!(run(true), Ok(0));
    alloc.end_frame();
}

#[test]
fn a_vector_of_the_frame_is_filled_read_and_emptied() {
    let alloc = small();
    alloc.begin_frame();
    let mut entities = alloc.frame_vec::<u32>(128);
    entities.push(7);
    entities.push(8);
    let mut processed = 0;
    for entity in entities.iter() {
        processed += entity;
    }
    assert_eq!((processed, entities.get(1)), (15, Some(&8)));
    for entity in &mut entities {
        *entity += 1;
    }
    assert_eq!(entities.pop(), Some(9));
    assert_eq!((entities.len(), entities.capacity()), (1, 128));
    assert!(entities.into_iter().eq([8]));
    alloc.end_frame();
}

#[test]
fn a_map_of_the_frame_is_filled_read_and_walked() {
    let alloc = small();
    alloc.begin_frame();
    let mut lookup = alloc.frame_map::<u64, Corner>(64);
    let id = 12;
    let transform = Corner::default();
    lookup.insert(id, transform);
    let mut used = 0;
    if let Some(found) = lookup.get(&id) {
        assert_eq!(*found, transform);
        used += 1;
    }
    for (key, corner) in &mut lookup {
        corner.normal[0] = *key as f32;
        used += 1;
    }
    assert_eq!((used, lookup[&id].normal[0]), (2, 12.0));
    drop(lookup);
    alloc.end_frame();
}

#[test]
fn collections_do_not_grow_beyond_what_they_were_made_for() {
    let alloc = small();
    alloc.begin_frame();
    let mut two: FrameVec<'_, u8> = alloc.frame_vec(2);
    let mut one: FrameMap<'_, u8, u8> = alloc.frame_map(1);
    two.extend([1, 2]);
    one.insert(1, 1);
    assert_eq!(two.try_push(3), Err(3));
    assert_eq!(one.try_insert(2, 2), Err((2, 2)));
    drop((two, one));
    alloc.end_frame();
}

#[test]
fn tags_nest_and_have_a_path() {
    let alloc = small();
    alloc.begin_frame();
    alloc.with_tag("ai", |alloc| {
        let scratch = alloc.frame_alloc::<[u32; 16]>();
        assert_eq!(format!("{:?}", alloc.current_tag()), "Some(\"ai\")");
        alloc.with_tag("pathfinding", |alloc| {
            let nodes = alloc.frame_alloc::<[[u16; 4]; 256]>();
            assert_eq!(
                format!("{:?}", alloc.current_tag()),
                "Some(\"pathfinding\")"
            );
            assert_eq!(alloc.tag_path(), "ai::pathfinding");
            drop(nodes);
        });
        drop(scratch);
    });
    assert_eq!((alloc.current_tag(), &*alloc.tag_path()), (None, ""));
    alloc.end_frame();
}

#[test]
fn scratch_pools_keep_what_frames_do_not() {
    let alloc = small();
    let pool = alloc.scratch_pool("pathfinding");
    let nodes = pool.alloc::<[u64; 1024]>().write([5; 1024]);
    for _ in 0..3 {
        alloc.begin_frame();
        assert_eq!(nodes[1023], 5);
        alloc.end_frame();
    }
    drop(nodes);
    pool.reset();
    assert_eq!(pool.allocated(), 0);

    let kept = alloc.scratch_pool("level").alloc_box([0_u8; 100]);
    let scratch = alloc.scratch();
    let mut lines = Vec::new();
    for stat in scratch.stats() {
        lines.push(format!("{}: {}", stat.name, stat.allocated >= 100));
        assert!(stat.capacity >= stat.allocated);
    }
    lines.sort();
    assert_eq!(lines, ["level: true", "pathfinding: false"]);
    drop(kept);
    scratch.reset_all();
    assert!(scratch.stats().iter().all(|stat| stat.allocated == 0));
}

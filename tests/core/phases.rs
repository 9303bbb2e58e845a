//! Phases: bytes and counts of each part of a frame.

use framealloc::diagnostics::DiagnosticCode::FA008;
use framealloc::{Phase, SmartAlloc};

use crate::common::{panics, reported, small};

fn figures(phases: &[Phase]) -> Vec<(&str, usize, u64)> {
    phases
        .iter()
        .map(|phase| (&*phase.path, phase.bytes_allocated, phase.allocation_count))
        .collect()
}

#[test]
fn every_path_counts_for_the_innermost_phase() {
    let alloc = small();
    alloc.begin_frame();
    alloc.begin_phase("physics");
    let contacts = alloc.frame_box([0u8; 100]).unwrap();
    alloc.begin_phase("solver");
    let pool = alloc.pool_box([0u8; 64]).unwrap();
    let heap = alloc.heap_box([0u8; 1000]).unwrap();
    let guard = alloc.frame();
    guard.alloc([0u8; 48]);
    guard.alloc([0u8; 16]);
    drop(guard);
    let solver = alloc.end_phase().unwrap();
    assert_eq!((solver.name, solver.depth), ("solver", 1));
    let more = alloc.frame_box(1u64).unwrap();
    alloc.end_phase();
    let after = alloc.frame_box([0u8; 500]).unwrap();
    drop((contacts, pool, heap, more, after));
    alloc.end_frame();
    assert_eq!(
        figures(&alloc.phases()),
        [("physics", 108, 2), ("physics/solver", 1128, 4)]
    );
}

#[test]
fn a_phase_begun_again_goes_on_and_a_frame_starts_anew() {
    let alloc = small();
    for _ in 0..3 {
        alloc.begin_frame();
        for _ in 0..2 {
            let _phase = alloc.phase_scope("ai");
            drop(alloc.frame_box([0u8; 8]).unwrap());
        }
        alloc.end_frame();
        let phases = alloc.phases();
        assert_eq!(figures(&phases), [("ai", 16, 2)]);
        assert_eq!(phases[0].times, 2);
    }
}

#[test]
fn phases_belong_to_an_allocator_and_a_thread() {
    let (one, other) = (small(), small());
    one.begin_frame();
    other.begin_frame();
    one.begin_phase("mine");
    drop(other.frame_box([0u8; 64]).unwrap());
    drop(other.pool_box([0u8; 64]).unwrap());
    assert_eq!(other.current_phase(), None);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            assert_eq!(one.current_phase(), None);
            one.begin_frame();
            drop(one.frame_box(0u64).unwrap());
            one.end_frame();
        });
    });
    assert_eq!(one.end_phase().unwrap().allocation_count, 0);
    one.end_frame();
    other.end_frame();
}

#[test]
fn a_frame_that_ends_in_a_phase_ends_it_and_says_so() {
    let alloc = small();
    alloc.begin_frame();
    let scope = alloc.phase_scope("left_open");
    let (_, codes) = reported(|| alloc.end_frame());
    assert_eq!(codes, [FA008]);
    assert_eq!(alloc.current_phase(), None);
    alloc.begin_frame();
    alloc.begin_phase("next");
    // The scope of the frame before must not end the phase of this one.
    drop(scope);
    assert_eq!(alloc.current_phase(), Some("next"));
    alloc.end_phase();
    alloc.end_frame();
}

#[test]
fn ending_a_phase_that_is_not_open_is_reported() {
    let alloc = small();
    let (phase, codes) = reported(|| alloc.end_phase());
    assert_eq!((phase, codes), (None, vec![FA008]));
}

#[test]
fn a_panic_ends_the_phases_that_it_leaves() {
    let alloc = small();
    alloc.begin_frame();
    panics(|| {
        let _outer = alloc.phase_scope("outer");
        alloc.begin_phase("inner");
        panic!("in the inner phase");
    });
    assert_eq!(alloc.current_phase(), None);
    alloc.end_frame();
}

#[test]
fn an_outer_scope_ends_what_is_inside_it() {
    let alloc = small();
    let outer = alloc.phase_scope("outer");
    let inner = alloc.phase_scope("inner");
    drop(outer);
    assert_eq!(alloc.current_phase(), None);
    alloc.begin_phase("later");
    drop(inner);
    assert_eq!(alloc.current_phase(), Some("later"));
    alloc.end_phase();
}

#[test]
fn memory_is_as_without_phases_when_they_come_and_go() {
    let alloc = small();
    let unmetered = alloc.frame();
    for round in 0..200u32 {
        alloc.begin_frame();
        let before = alloc.frame_box([round; 100]).unwrap();
        let phase = alloc.phase_scope("phase");
        let inside = alloc.frame_box([round + 1; 100]).unwrap();
        let guard = alloc.frame();
        let scratch = guard.alloc([round + 2; 100]);
        unmetered.alloc([round; 100]);
        drop(phase);
        let after = alloc.frame_box([round + 3; 100]).unwrap();
        let second = alloc.frame();
        let more = second.alloc([round + 4; 100]);
        assert_eq!(*before, [round; 100]);
        assert_eq!(*inside, [round + 1; 100]);
        assert_eq!(*scratch, [round + 2; 100]);
        assert_eq!(*after, [round + 3; 100]);
        assert_eq!(*more, [round + 4; 100]);
        drop((before, inside, after));
        drop(guard);
        drop(second);
        alloc.end_frame();
    }
    let reserved = alloc.stats().frame_reserved;
    assert!(reserved <= SmartAlloc::with_defaults().config().frame_arena_size);
}

//! FA0xx: frames and the memory in them.

use super::Texts;
use crate::info::Example;

pub(crate) const FA001: Texts = Texts {
    cause: "an allocation before `begin_frame`, after `end_frame`, or on a thread whose frame was never begun",
    remedy: "call `begin_frame()` on this thread first, open a guard with `frame()`, or use `pool_box()` or `heap_box()`",
    example: Some(Example {
        wrong: "\
let alloc = SmartAlloc::with_defaults();
let refused = alloc.frame_box([0.0_f32; 3]); // no frame is open
assert!(refused.is_err());
",
        right: "\
let alloc = SmartAlloc::with_defaults();
alloc.begin_frame();
let position = alloc.frame_box([0.0_f32; 3]).unwrap();
assert_eq!(position[0], 0.0);
drop(position);
alloc.end_frame();
",
    }),
};

pub(crate) const FA002: Texts = Texts {
    cause: "a `FrameBox` that is kept past `end_frame`, or past the rollback of what it was allocated in; it stays valid, and its chunk is kept apart until it drops",
    remedy: "drop it before the frame ends or is rolled back, or keep the value in a `pool_box()`",
    example: Some(Example {
        wrong: "\
let alloc = SmartAlloc::with_defaults();
alloc.begin_frame();
let target = alloc.frame_box(7_u32).unwrap();
alloc.end_frame(); // `target` is still in use
assert_eq!(*target, 7);
",
        right: "\
let alloc = SmartAlloc::with_defaults();
alloc.begin_frame();
let target = alloc.pool_box(7_u32).unwrap(); // lives as long as it is needed
alloc.end_frame();
assert_eq!(*target, 7);
",
    }),
};

pub(crate) const FA003: Texts = Texts {
    cause: "more frame memory on one thread than the arena's limit allows",
    remedy: "raise the limit with `AllocConfig::with_frame_arena_size` or `with_max_frame_arena_size`",
    example: Some(Example {
        wrong: "\
let alloc = SmartAlloc::new(AllocConfig::default().with_frame_arena_size(1 << 20));
alloc.begin_frame();
// The limit is four times the size, unless it is set.
let vertices = alloc.frame_slice_fill(8 << 20, 0_u8);
assert!(vertices.is_err());
alloc.end_frame();
",
        right: "\
let alloc = SmartAlloc::new(AllocConfig::default().with_frame_arena_size(16 << 20));
alloc.begin_frame();
let vertices = alloc.frame_slice_fill(8 << 20, 0_u8).unwrap();
assert_eq!(vertices.len(), 8 << 20);
drop(vertices);
alloc.end_frame();
",
    }),
};

pub(crate) const FA004: Texts = Texts {
    cause: "a length so large that its bytes cannot be addressed",
    remedy: "check the length: it is often the result of a subtraction that went below zero",
    example: Some(Example {
        wrong: "\
let alloc = SmartAlloc::with_defaults();
let (first, last) = (3_usize, 2_usize);
alloc.begin_frame();
let indices = alloc.frame_slice_fill(last.wrapping_sub(first), 0_u32);
assert!(indices.is_err());
alloc.end_frame();
",
        right: "\
let alloc = SmartAlloc::with_defaults();
let (first, last) = (3_usize, 2_usize);
alloc.begin_frame();
let indices = alloc.frame_slice_fill(last.saturating_sub(first), 0_u32).unwrap();
assert!(indices.is_empty());
drop(indices);
alloc.end_frame();
",
    }),
};

pub(crate) const FA005: Texts = Texts {
    cause: "the system refused a mapping",
    remedy: "lower the limits, or free memory",
    example: Some(Example {
        wrong: "\
let alloc = SmartAlloc::with_defaults();
let world = alloc.try_heap_alloc::<[u8; 1 << 60]>(); // more than any machine has
assert!(world.is_err());
",
        right: "\
let alloc = SmartAlloc::with_defaults();
let region = alloc.try_heap_alloc::<[u8; 1 << 20]>();
assert!(region.is_ok());
",
    }),
};

pub(crate) const FA006: Texts = Texts {
    cause: "`begin_frame` twice, `end_frame` without a frame, or either on an allocator whose frames are shared",
    remedy: "call `begin_frame` and `end_frame` in turn on each thread; where frames are shared, leave them to their owner",
    example: Some(Example {
        wrong: "\
let alloc = SmartAlloc::with_defaults();
alloc.begin_frame();
alloc.begin_frame(); // the first one is still open, and goes on
alloc.end_frame();
",
        right: "\
let alloc = SmartAlloc::with_defaults();
alloc.begin_frame();
alloc.end_frame();
alloc.begin_frame();
alloc.end_frame();
",
    }),
};

pub(crate) const FA007: Texts = Texts {
    cause: "a checkpoint of another frame, thread or allocator, or one that an earlier rollback has passed",
    remedy: "take a checkpoint and roll back to it within one frame, on one thread, newest first",
    example: Some(Example {
        wrong: "\
let alloc = SmartAlloc::with_defaults();
alloc.begin_frame();
let checkpoint = alloc.frame_checkpoint();
alloc.end_frame();
alloc.begin_frame();
alloc.rollback_to(checkpoint); // of the frame before
alloc.end_frame();
",
        right: "\
let alloc = SmartAlloc::with_defaults();
alloc.begin_frame();
let checkpoint = alloc.frame_checkpoint();
drop(alloc.frame_box([0_u8; 64]).unwrap());
alloc.rollback_to(checkpoint);
alloc.end_frame();
",
    }),
};

pub(crate) const FA008: Texts = Texts {
    cause: "`end_phase` without a phase, or a frame that ends while a phase is open",
    remedy: "end every phase that was begun, or let `phase_scope` do it",
    example: Some(Example {
        wrong: "\
let alloc = SmartAlloc::with_defaults();
alloc.begin_frame();
alloc.begin_phase(\"physics\");
alloc.end_frame(); // the phase is still open
",
        right: "\
let alloc = SmartAlloc::with_defaults();
alloc.begin_frame();
{
    let _physics = alloc.phase_scope(\"physics\");
}
alloc.end_frame();
",
    }),
};

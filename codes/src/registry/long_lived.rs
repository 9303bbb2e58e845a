//! FA4xx: memory that lives longer than a frame and is reached by a key.

use super::Texts;
use crate::info::Example;

pub(crate) const FA401: Texts = Texts {
    cause: "a handle that was freed, or that belongs to another allocator",
    remedy: "keep a handle only as long as its value, and resolve it with the allocator that made it",
    example: Some(Example {
        wrong: "\
let alloc = SmartAlloc::with_defaults();
let handle = alloc.handles().insert(7_u32).unwrap();
let _ = alloc.handles().free(handle);
let _ = alloc.handles().free(handle); // it is free already
",
        right: "\
let alloc = SmartAlloc::with_defaults();
let handle = alloc.handles().insert(7_u32).unwrap();
let _ = alloc.handles().free(handle);
",
    }),
};

pub(crate) const FA402: Texts = Texts {
    cause: "a reservation that does not fit, though everything that may be evicted were evicted",
    remedy: "raise the streaming budget, free or unpin assets, or reserve with a higher priority",
    example: Some(Example {
        wrong: "\
let streaming = StreamingAllocator::new(1 << 20);
let terrain = streaming.reserve(2 << 20, StreamPriority::Normal);
",
        right: "\
let streaming = StreamingAllocator::new(4 << 20);
let terrain = streaming.reserve(2 << 20, StreamPriority::Normal);
",
    }),
};

pub(crate) const FA403: Texts = Texts {
    cause: "more memory from a scratch pool than its limit allows",
    remedy: "reset the pool when its contents are done with, or raise its limit",
    example: Some(Example {
        wrong: "\
let alloc = SmartAlloc::with_defaults();
let pool = alloc.scratch_pool(\"navigation\");
for _level in 0..3_000 {
    // It is never reset.
    if pool.try_alloc_slice::<u64>(4_096).is_err() {
        break;
    }
}
",
        right: "\
let alloc = SmartAlloc::with_defaults();
let mut pool = alloc.scratch_pool(\"navigation\");
for _level in 0..3_000 {
    let _ = pool.alloc_slice::<u64>(4_096);
    pool.reset();
}
",
    }),
};

pub(crate) const FA404: Texts = Texts {
    cause: "a group that was freed, or that belongs to another allocator",
    remedy: "create the group first, and free it last",
    example: Some(Example {
        wrong: "\
let alloc = SmartAlloc::with_defaults();
let level = alloc.groups().create_group(\"level\");
alloc.groups().free_group(level);
let _ = alloc.groups().try_alloc_val(level, 7_u32); // the group is gone
",
        right: "\
let alloc = SmartAlloc::with_defaults();
let level = alloc.groups().create_group(\"level\");
let _ = alloc.groups().alloc_val(level, 7_u32);
alloc.groups().free_group(level);
",
    }),
};

pub(crate) const FA405: Texts = Texts {
    cause: "a value of a group or behind a handle that is read, written or pinned elsewhere in a way that excludes this use",
    remedy: "let the other guard drop or unpin first, or try again",
    example: Some(Example {
        wrong: "\
let alloc = SmartAlloc::with_defaults();
let handle = alloc.handles().insert(7_u32).unwrap();
let reader = alloc.handles().resolve(handle).unwrap();
let _ = alloc.handles().resolve_mut(handle); // while it is read
drop(reader);
",
        right: "\
let alloc = SmartAlloc::with_defaults();
let handle = alloc.handles().insert(7_u32).unwrap();
drop(alloc.handles().resolve(handle));
let _ = alloc.handles().resolve_mut(handle);
",
    }),
};

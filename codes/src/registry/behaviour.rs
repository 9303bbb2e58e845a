//! FA5xx: memory that does not behave as its intent says. The behaviour filter finds it over many frames, tag by tag.

use super::Texts;
use crate::info::Example;

pub(crate) const FA501: Texts = Texts {
    cause: "frame memory of a tag that is kept, on average, for more frames than the threshold",
    remedy: "use `pool_box()` for it, or drop it within its frame",
    example: Some(Example {
        wrong: "\
fn remember(alloc: &SmartAlloc) {
    alloc.begin_frame();
    let target = alloc.frame_box([0.0_f32; 3]).unwrap();
    for _ in 0..600 {
        alloc.end_frame();
        alloc.begin_frame();
    }
    println!(\"{:?}\", *target); // ten seconds later
}
",
        right: "\
fn remember(alloc: &SmartAlloc) {
    let target = alloc.pool_box([0.0_f32; 3]).unwrap();
    for _ in 0..600 {
        alloc.begin_frame();
        alloc.end_frame();
    }
    println!(\"{:?}\", *target);
}
",
    }),
};

pub(crate) const FA502: Texts = Texts {
    cause: "more than the threshold's share of a tag's frame allocations outlive their frame",
    remedy: "use `pool_box()` or `heap_box()` for what outlives the frame",
    example: Some(Example {
        wrong: "\
fn spawn(alloc: &SmartAlloc) {
    for _ in 0..100 {
        alloc.begin_frame();
        let unit = alloc.frame_box([0_u8; 64]).unwrap();
        alloc.end_frame();
        drop(unit); // always after its frame
    }
}
",
        right: "\
fn spawn(alloc: &SmartAlloc) {
    for _ in 0..100 {
        alloc.begin_frame();
        let unit = alloc.pool_box([0_u8; 64]).unwrap();
        alloc.end_frame();
        drop(unit);
    }
}
",
    }),
};

pub(crate) const FA510: Texts = Texts {
    cause: "most pool boxes of a tag are freed in the frame that made them",
    remedy: "take them from the frame: `frame()` or `frame_box()` is cheaper",
    example: Some(Example {
        wrong: "\
fn sort(alloc: &SmartAlloc) {
    for _ in 0..100 {
        alloc.begin_frame();
        drop(alloc.pool_box([0_u32; 64]).unwrap());
        alloc.end_frame();
    }
}
",
        right: "\
fn sort(alloc: &SmartAlloc) {
    for _ in 0..100 {
        alloc.begin_frame();
        drop(alloc.frame_box([0_u32; 64]).unwrap());
        alloc.end_frame();
    }
}
",
    }),
};

pub(crate) const FA520: Texts = Texts {
    cause: "a tag's data is promoted out of the frame more often than every second frame",
    remedy: "allocate it in a pool or on the heap in the first place",
    example: Some(Example {
        wrong: "\
fn record(alloc: &SmartAlloc) {
    for _ in 0..100 {
        alloc.begin_frame();
        let _sample = alloc.frame_retained::<[f32; 16]>(RetentionPolicy::PromoteToPool);
        let _promoted = alloc.end_frame_with_promotions();
    }
}
",
        right: "\
fn record(alloc: &SmartAlloc) {
    let mut samples = Vec::new();
    for _ in 0..100 {
        samples.push(alloc.pool_box([0.0_f32; 16]).unwrap());
    }
}
",
    }),
};

pub(crate) const FA530: Texts = Texts {
    cause: "a tag allocates from the heap every frame",
    remedy: "use frame memory for scratch, and pools for small values",
    example: Some(Example {
        wrong: "\
fn update(alloc: &SmartAlloc) {
    for _ in 0..100 {
        alloc.begin_frame();
        for _ in 0..100 {
            drop(alloc.heap_box([0_u8; 256]).unwrap());
        }
        alloc.end_frame();
    }
}
",
        right: "\
fn update(alloc: &SmartAlloc) {
    for _ in 0..100 {
        alloc.begin_frame();
        for _ in 0..100 {
            drop(alloc.frame_box([0_u8; 256]).unwrap());
        }
        alloc.end_frame();
    }
}
",
    }),
};

pub(crate) const FA540: Texts = Texts {
    cause: "boxes that are forgotten, leaked, or kept somewhere where nobody takes them out again; with the feature `debug`, a \
            `LeakTracker` that is on finds what is held when the last clone of the allocator is dropped",
    remedy: "free it at the line that the report names, or, if it is to live as long as the program, say so with \
             `LeakTracker::allow_tag` or `allow_function`",
    example: Some(Example {
        wrong: "\
let alloc = SmartAlloc::with_defaults();
alloc.leak_tracker().enable();
std::mem::forget(alloc.pool_box([0_u8; 64]).unwrap());
drop(alloc);
",
        right: "\
let alloc = SmartAlloc::with_defaults();
alloc.leak_tracker().enable();
drop(alloc.pool_box([0_u8; 64]).unwrap());
drop(alloc);
",
    }),
};

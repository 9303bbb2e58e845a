//! FA6xx: lifetimes that sources get wrong.

use super::Texts;
use crate::info::Example;

pub(crate) const FA601: Texts = Texts {
    cause: "a frame allocation that is assigned to a field, or pushed into a collection, which outlives the frame",
    remedy: "store a `pool_box()` or `heap_box()` instead",
    example: Some(Example {
        wrong: "\
struct World<'a> {
    targets: Vec<FrameBox<'a, u32>>,
}

fn aim<'a>(alloc: &'a SmartAlloc, world: &mut World<'a>) {
    let target = alloc.frame_box(7).unwrap();
    world.targets.push(target);
}
",
        right: "\
struct World {
    targets: Vec<PoolBox<u32>>,
}

fn aim(alloc: &SmartAlloc, world: &mut World) {
    let target = alloc.pool_box(7).unwrap();
    world.targets.push(target);
}
",
    }),
};

pub(crate) const FA602: Texts = Texts {
    cause: "a pool or heap allocation in every round of a loop that runs every frame",
    remedy: "allocate once before the loop, or take the memory from the frame",
    example: Some(Example {
        wrong: "\
fn collide(alloc: &SmartAlloc, bodies: &[u32]) {
    for &body in bodies {
        let contacts = alloc.heap_box([body; 64]).unwrap();
        println!(\"{}\", contacts.len());
    }
}
",
        right: "\
fn collide(alloc: &SmartAlloc, bodies: &[u32]) {
    let frame = alloc.frame();
    let contacts = frame.alloc([0; 64]);
    for &body in bodies {
        contacts.fill(body);
        println!(\"{}\", contacts.len());
    }
}
",
    }),
};

pub(crate) const FA603: Texts = Texts {
    cause: "a game loop that allocates frame memory, and neither begins nor ends a frame",
    remedy: "call `begin_frame()` at the start of each round and `end_frame()` at its end",
    example: Some(Example {
        wrong: "\
fn game(alloc: &SmartAlloc) {
    loop {
        let input = alloc.frame_box([0_u8; 64]);
        if input.is_err() {
            break;
        }
    }
}
",
        right: "\
fn game(alloc: &SmartAlloc) {
    for _ in 0..100 {
        alloc.begin_frame();
        let input = alloc.frame_box([0_u8; 64]).unwrap();
        drop(input);
        alloc.end_frame();
    }
}
",
    }),
};

pub(crate) const FA604: Texts = Texts {
    cause: "a policy that promotes what the code never takes, or an importance that contradicts how long it is used",
    remedy: "choose the policy by what becomes of the value, or handle the promoted ones",
    example: Some(Example {
        wrong: "\
fn save(alloc: &SmartAlloc) {
    alloc.begin_frame();
    let _state = alloc.frame_retained::<[u8; 64]>(RetentionPolicy::PromoteToHeap);
    alloc.end_frame(); // nobody takes what was promoted
}
",
        right: "\
fn save(alloc: &SmartAlloc) {
    alloc.begin_frame();
    let _state = alloc.frame_retained::<[u8; 64]>(RetentionPolicy::PromoteToHeap);
    for promoted in alloc.end_frame_with_promotions().promoted {
        println!(\"{} bytes\", promoted.size());
    }
}
",
    }),
};

pub(crate) const FA605: Texts = Texts {
    cause: "a value retained with `RetentionPolicy::Discard` that is stored beyond the frame",
    remedy: "retain it with a policy that promotes, or do not store it",
    example: Some(Example {
        wrong: "\
struct Cache<'a> {
    best: Option<FrameRetained<'a, u32>>,
}

fn search<'a>(alloc: &'a SmartAlloc, cache: &mut Cache<'a>) {
    let best = alloc.frame_retained::<u32>(RetentionPolicy::Discard);
    cache.best = Some(best);
}
",
        right: "\
fn search(alloc: &SmartAlloc) -> PromotionResult {
    let _best = alloc.frame_retained::<u32>(RetentionPolicy::PromoteToPool);
    alloc.end_frame_with_promotions()
}
",
    }),
};

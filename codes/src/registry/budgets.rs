//! FA3xx: limits.

use super::Texts;
use crate::info::Example;

pub(crate) const FA301: Texts = Texts {
    cause: "live memory of an allocator above the limit that was set for all of it",
    remedy: "raise the limit with `AllocConfig::with_memory_limit`, or free memory",
    example: Some(Example {
        wrong: "\
let alloc = SmartAlloc::new(AllocConfig::default().with_budgets(true).with_memory_limit(1 << 20));
let level = alloc.try_heap_alloc::<[u8; 2 << 20]>();
assert!(level.is_err());
",
        right: "\
let alloc = SmartAlloc::new(AllocConfig::default().with_budgets(true).with_memory_limit(4 << 20));
let level = alloc.try_heap_alloc::<[u8; 2 << 20]>();
assert!(level.is_ok());
",
    }),
};

pub(crate) const FA302: Texts = Texts {
    cause: "live memory of a tag and the tags below it above the tag's limit",
    remedy: "raise the tag's budget, or free what the tag holds",
    example: Some(Example {
        wrong: "\
let alloc = SmartAlloc::new(AllocConfig::default().with_budgets(true));
alloc.budgets().unwrap().register_tag_budget(\"ai\", 32 << 10, 64 << 10);
alloc.with_tag(\"ai\", |alloc| {
    assert!(alloc.heap_box([0_u8; 128 << 10]).is_err());
});
",
        right: "\
let alloc = SmartAlloc::new(AllocConfig::default().with_budgets(true));
alloc.budgets().unwrap().register_tag_budget(\"ai\", 192 << 10, 256 << 10);
alloc.with_tag(\"ai\", |alloc| {
    assert!(alloc.heap_box([0_u8; 128 << 10]).is_ok());
});
",
    }),
};

pub(crate) const FA303: Texts = Texts {
    cause: "frame or pool memory of one thread above its `ThreadBudgetConfig`",
    remedy: "raise the thread's budget, or choose another policy for what exceeds it",
    example: Some(Example {
        wrong: "\
let alloc = SmartAlloc::with_defaults();
let budget = ThreadBudgetConfig {
    frame_budget: 64 << 10,
    frame_exceeded_policy: BudgetExceededPolicy::Fail,
    ..Default::default()
};
alloc.set_thread_budget_config(std::thread::current().id(), budget);
alloc.begin_frame();
assert!(alloc.frame_slice_fill(128 << 10, 0_u8).is_err());
alloc.end_frame();
",
        right: "\
let alloc = SmartAlloc::with_defaults();
let budget = ThreadBudgetConfig {
    frame_budget: 256 << 10,
    frame_exceeded_policy: BudgetExceededPolicy::Fail,
    ..Default::default()
};
alloc.set_thread_budget_config(std::thread::current().id(), budget);
alloc.begin_frame();
assert!(alloc.frame_slice_fill(128 << 10, 0_u8).is_ok());
alloc.end_frame();
",
    }),
};

pub(crate) const FA311: Texts = Texts {
    cause: "two or more allocations in the body of one loop, whose memory grows with the number of rounds",
    remedy: "allocate once before the loop, take one slice for all rounds, or give the tag a budget",
    example: Some(Example {
        wrong: "\
fn paths(alloc: &SmartAlloc, agents: &[u32]) {
    for &agent in agents {
        let open = alloc.frame_slice_fill(64, agent).unwrap();
        let closed = alloc.frame_slice_fill(64, agent).unwrap();
        println!(\"{} {}\", open.len(), closed.len());
    }
}
",
        right: "\
fn paths(alloc: &SmartAlloc, agents: &[u32]) {
    let mut open = alloc.frame_slice_fill(64, 0).unwrap();
    let mut closed = alloc.frame_slice_fill(64, 0).unwrap();
    for &agent in agents {
        open.fill(agent);
        closed.fill(agent);
        println!(\"{} {}\", open.len(), closed.len());
    }
}
",
    }),
};

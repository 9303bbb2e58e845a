//! FA7xx: frames and `async` code.

use super::Texts;
use crate::info::Example;

pub(crate) const FA701: Texts = Texts {
    cause: "frame memory asked for in an async function or block, which may be polled in any frame and on any thread",
    remedy: "use `pool_box()` or `heap_box()` in async code, or allocate in the synchronous code that polls it",
    example: Some(Example {
        wrong: "\
async fn load(alloc: &SmartAlloc) -> usize {
    let header = alloc.frame_box([0_u8; 64]).unwrap();
    header.len()
}
",
        right: "\
async fn load(alloc: &SmartAlloc) -> usize {
    let header = alloc.pool_box([0_u8; 64]).unwrap();
    header.len()
}
",
    }),
};

pub(crate) const FA702: Texts = Texts {
    cause: "a frame allocation that is alive at an `await`, after which the frame may have ended",
    remedy: "drop it before the `await`, or use `pool_box()`",
    example: Some(Example {
        wrong: "\
async fn load(alloc: &SmartAlloc, file: impl Future<Output = u8>) -> u8 {
    let header = alloc.frame_box(1_u8).unwrap();
    let byte = file.await;
    *header + byte
}
",
        right: "\
async fn load(alloc: &SmartAlloc, file: impl Future<Output = u8>) -> u8 {
    let header = alloc.pool_box(1_u8).unwrap();
    let byte = file.await;
    *header + byte
}
",
    }),
};

pub(crate) const FA703: Texts = Texts {
    cause: "an async block or a task's closure that captures frame memory",
    remedy: "move a `pool_box()` into it instead",
    example: Some(Example {
        wrong: "\
fn save(alloc: &SmartAlloc) -> impl Future<Output = usize> {
    let state = alloc.frame_box([0_u8; 64]).unwrap();
    async move { state.len() }
}
",
        right: "\
fn save(alloc: &SmartAlloc) -> impl Future<Output = usize> + use<> {
    let state = alloc.pool_box([0_u8; 64]).unwrap();
    async move { state.len() }
}
",
    }),
};

//! Freed memory is filled with `0xCD`, in release builds with the feature `debug` too.

#![expect(
    unsafe_code,
    reason = "freed memory is looked at when it is handed out again"
)]

use std::mem::MaybeUninit;

use framealloc::SmartAlloc;

const SIZE: usize = 256;
type Block = [u8; SIZE];

/// What lies in a block that was handed out and not written to.
fn contents(block: &MaybeUninit<Block>) -> Block {
    // SAFETY: the allocator has filled the block.
    unsafe { block.assume_init() }
}

#[test]
fn a_freed_pool_block_is_filled_but_for_the_links_of_free_blocks() {
    let alloc = SmartAlloc::with_defaults();
    let boxed = alloc.pool_box([0x11_u8; SIZE]).unwrap();
    let address = boxed.as_ptr() as usize;
    drop(boxed);
    let again = alloc.pool_alloc::<Block>();
    assert_eq!(again.as_ptr() as usize, address);
    assert_eq!(contents(&again)[64..], [0xCD; SIZE - 64]);
}

#[test]
fn memory_of_a_frame_that_has_ended_is_filled() {
    let alloc = SmartAlloc::with_defaults();
    let frame = |kept: bool| {
        alloc.begin_frame();
        let boxed = alloc.frame_box([0x11_u8; SIZE]).unwrap();
        let address = boxed.as_ptr() as usize;
        drop(boxed);
        assert_eq!(kept, alloc.frame_is_open());
        alloc.end_frame();
        address
    };
    frame(true);
    let address = frame(true);
    alloc.begin_frame();
    let again = alloc.frame_alloc::<Block>();
    assert_eq!(again.as_ptr() as usize, address);
    assert_eq!(contents(&again), [0xCD; SIZE]);
    drop(again);
    alloc.end_frame();
}

#[test]
fn memory_of_a_guard_that_has_closed_is_filled() {
    let alloc = SmartAlloc::with_defaults();
    let address = {
        let frame = alloc.frame();
        std::ptr::from_ref(frame.alloc([0x11_u8; SIZE])) as usize
    };
    let frame = alloc.frame();
    let again = frame.alloc_slice_uninit::<Block>(1);
    assert_eq!(again.as_ptr() as usize, address);
    assert_eq!(contents(&again[0]), [0xCD; SIZE]);
}

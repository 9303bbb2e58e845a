//! Pages: aligned, so that a block's page is found from its address, and never given back.

use core::ptr::null_mut;
use core::sync::atomic::{AtomicPtr, AtomicUsize};
use std::alloc::Layout;

use super::batch;
use super::class::{PAGE, class_size};
use super::deferred::Queue;
use super::heap::PoolHeap;
use super::remote::Block;
use crate::allocators::os;
use crate::sync::Mutex;

/// Pages are mapped by the segment.
const SEGMENT: usize = 2 << 20;
/// A free block on a list is used up to here: for its link.
pub(super) const FREE_BYTES: usize = size_of::<*mut Block>();

#[repr(C)]
pub(super) struct Page {
    pub(super) owner: *const PoolHeap,
    pub(super) class: usize,
    /// Where its blocks go that other threads free.
    pub(super) queue: *const Queue,
    /// The charges of its blocks, by index; null in a page whose blocks are not charged.
    pub(super) charges: AtomicPtr<AtomicUsize>,
}

/// The page of a pooled block.
#[inline(always)]
pub(super) fn page_of(block: *mut Block) -> *mut Page {
    (block as usize & !(PAGE - 1)) as *mut Page
}

/// The class of a block.
///
/// # Safety
///
/// `block` is a pooled block.
#[inline(always)]
pub(super) unsafe fn class_of_block(block: *mut Block) -> usize {
    // SAFETY: the caller's contract; pages are never freed.
    unsafe { (*page_of(block)).class }
}

/// The heap whose page a block is of.
///
/// # Safety
///
/// `block` is a pooled block.
pub(super) unsafe fn owner_of(block: *mut Block) -> &'static PoolHeap {
    // SAFETY: the caller's contract; pages and heaps are never freed (I5).
    unsafe { &*(*page_of(block)).owner }
}

/// Where a block goes that another thread frees.
///
/// # Safety
///
/// `block` is a pooled block.
pub(super) unsafe fn queue_of(block: *mut Block) -> &'static Queue {
    // SAFETY: as in `owner_of`.
    unsafe { &*(*page_of(block)).queue }
}

/// How many words of a free block a batch uses. `block` is a pooled block.
#[inline(always)]
pub(super) fn links(block: *mut Block) -> usize {
    // SAFETY: the caller's contract.
    links_of(unsafe { class_of_block(block) })
}

#[inline(always)]
pub(super) fn links_of(class: usize) -> usize {
    // Small classes are by 16 bytes; all others have room for the most.
    (class_size(class.min(batch::MAX_LINKS)) / size_of::<*mut Block>()).min(batch::MAX_LINKS)
}

/// A block of a batch, of which only the link is used from here on.
#[inline(always)]
pub(super) fn leave_on_list(block: *mut Block, class: usize) {
    os::conceal(
        block as usize + FREE_BYTES,
        links_of(class) * size_of::<*mut Block>() - FREE_BYTES,
    );
    os::reveal(block as usize, FREE_BYTES);
}

struct FreePages(*mut Page);
// SAFETY: free pages are nobody's, and the list is reached only under its lock.
unsafe impl Send for FreePages {}
static FREE_PAGES: Mutex<FreePages> = Mutex::new(FreePages(null_mut()));

/// A page for a heap, and null if the system has no more memory. Free pages are linked through their first words.
pub(super) fn take_page() -> *mut Page {
    let mut pages = FREE_PAGES.lock();
    if pages.0.is_null() {
        let layout = Layout::from_size_align(SEGMENT, SEGMENT).expect("a constant layout");
        let Some(segment) = os::map(layout) else {
            return null_mut();
        };
        for index in (0..SEGMENT / PAGE).rev() {
            let page = (segment.as_ptr() as usize + index * PAGE) as *mut Page;
            // SAFETY: inside the fresh segment.
            unsafe { page.cast::<*mut Page>().write(pages.0) };
            pages.0 = page;
        }
    }
    let page = pages.0;
    // SAFETY: pages on the list hold a link.
    pages.0 = unsafe { page.cast::<*mut Page>().read() };
    page
}

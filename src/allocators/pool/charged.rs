//! Blocks that are charged to someone: where a page remembers it, and the quick ways for blocks that a thread's credit pays for.
//!
//! A page of charged blocks has a table with a word for each of its blocks, made when the first is charged. Budgets make
//! every allocation and free take the slow paths of [`heap`](super::heap); most of them end here, at a thread that
//! has credit for its current tag, and whom nobody watches.

use core::ptr::{NonNull, null_mut};
use core::sync::atomic::{AtomicUsize, Ordering::Acquire, Ordering::Relaxed, Ordering::Release};
use std::alloc::Layout;

use super::class::{block_index, blocks_per_page, class_size};
use super::heap::{Lists, PoolHeap, leave_on_list, page_of};
use super::remote::Block;
use crate::allocators::os;
use crate::allocators::payer::{Charge, Payer};
use crate::allocators::record::add;
use crate::allocators::thread::Local;

/// The entry for `block` in its page's table of charges. `None` if the page has no table, and there is no memory for one.
///
/// # Safety
///
/// `block` is a pooled block of `class`, and of a page of charged blocks if a table is to be made.
pub(super) unsafe fn charge_entry(
    block: *mut Block,
    class: usize,
    make: bool,
) -> Option<&'static AtomicUsize> {
    let page = page_of(block);
    // SAFETY: pages are never freed, nor are their tables (I5).
    unsafe {
        let mut table = (*page).charges.load(Acquire);
        if table.is_null() {
            if !make {
                return None;
            }
            let layout = Layout::array::<AtomicUsize>(blocks_per_page(class)).ok()?;
            let fresh = os::map(layout)?;
            table = fresh.cast::<AtomicUsize>().as_ptr();
            for index in 0..blocks_per_page(class) {
                table
                    .add(index)
                    .write(AtomicUsize::new(Charge::NOBODY.to_word()));
            }
            // Blocks of a page may be in use by several threads.
            let charges = &(*page).charges;
            if let Err(first) = charges.compare_exchange(null_mut(), table, Release, Acquire) {
                os::unmap(fresh, layout);
                table = first;
            }
        }
        let index = block_index(class, block as usize - page as usize);
        Some(&*table.add(index))
    }
}

/// A block for the current tag, if this thread's credit pays for it, the list has one whose page has a table, and no phase
/// or listener wants to know.
#[inline(always)]
pub(super) fn take_on_credit(local: &Local, class: usize, payer: &Payer) -> Option<NonNull<u8>> {
    let size = class_size(class);
    let payee = payer.payee_with_credit(local)?;
    // SAFETY: records are never freed (I5), and this one is the calling thread's.
    let heap = unsafe { &(*local.record.get()).charged };
    let block = heap.first(class)?;
    // SAFETY: a block of this class, of a page of this heap.
    let entry = unsafe { charge_entry(block, class, false) }?;
    if !payee.slot.spend(size) {
        return None;
    }
    heap.pop(Lists::FREE, class);
    entry.store(Charge::account(payee.account).to_word(), Relaxed);
    local.counters().pool.allocated(size);
    add(&heap.allocs[class], 1);
    NonNull::new(block.cast())
}

/// Frees a block of this thread's that the current tag's credit paid for, and nobody watches. Returns whether it is one.
///
/// # Safety
///
/// `block` is of `class` and the caller's to give; `entry` is its charge, and `owner` its page's heap.
#[inline(always)]
pub(super) unsafe fn free_into_credit(
    local: &Local,
    block: *mut Block,
    class: usize,
    owner: *const PoolHeap,
    entry: &AtomicUsize,
) -> bool {
    // SAFETY: entries hold charges.
    let charge = unsafe { Charge::from_word(entry.load(Relaxed)) };
    let Some(payee) = charge.payee_with_credit(local) else {
        return false;
    };
    // SAFETY: records are never freed (I5), and this one is the calling thread's.
    let heap = unsafe { &(*local.record.get()).charged };
    if !core::ptr::eq(owner, heap) {
        return false;
    }
    entry.store(Charge::NOBODY.to_word(), Relaxed);
    let size = class_size(class);
    local.counters().pool.freed(size);
    add(&heap.frees[class], 1);
    leave_on_list(block, class);
    // SAFETY: the page is this heap's.
    unsafe { heap.put(block, class) };
    // When the block is free: whoever gets the budget finds it so.
    payee.take_back(size);
    true
}

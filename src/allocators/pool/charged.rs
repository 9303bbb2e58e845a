//! Blocks that are charged to someone: where a page remembers it, and the quick ways for blocks that a thread's credit pays for.
//!
//! A page of charged blocks has a table with a word for each of its blocks, made when the first is charged. Budgets make
//! every allocation and free take the slow paths of [`heap`](super::heap); most of them end here, at a thread that
//! has credit for its current tag, and whom nobody watches.

use core::ptr::{NonNull, null_mut};
use core::sync::atomic::{AtomicUsize, Ordering::Acquire, Ordering::Relaxed, Ordering::Release};
use std::alloc::Layout;

use super::class::{block_index, blocks_per_page, class_size};
use super::page::{leave_on_list, owner_of, page_of};
use super::remote::Block;
use crate::allocators::os;
use crate::allocators::payer::{Charge, Payer};
use crate::allocators::record::add;
use crate::allocators::thread::{Local, local};

/// The entry for `block` in its page's table of charges, if the page has one.
///
/// # Safety
///
/// `block` is a pooled block of `class`.
#[inline(always)]
pub(super) unsafe fn charge_entry(block: *mut Block, class: usize) -> Option<&'static AtomicUsize> {
    let page = page_of(block);
    // SAFETY: pages are never freed, nor are their tables (I5), which have an entry for each block.
    unsafe {
        let table = (*page).charges.load(Acquire);
        let index = block_index(class, block as usize - page as usize);
        (!table.is_null()).then(|| &*table.add(index))
    }
}

/// The same, of a page that gets a table if it has none. `None` if there is no memory for one.
///
/// # Safety
///
/// `block` is a pooled block of `class`, and of a page of charged blocks.
pub(super) unsafe fn new_charge_entry(
    block: *mut Block,
    class: usize,
) -> Option<&'static AtomicUsize> {
    let page = page_of(block);
    // SAFETY: as in `charge_entry`.
    unsafe {
        if (*page).charges.load(Acquire).is_null() {
            let layout = Layout::array::<AtomicUsize>(blocks_per_page(class)).ok()?;
            let fresh = os::map(layout)?;
            let table = fresh.cast::<AtomicUsize>().as_ptr();
            for index in 0..blocks_per_page(class) {
                table
                    .add(index)
                    .write(AtomicUsize::new(Charge::NOBODY.to_word()));
            }
            // Blocks of a page may be in use by several threads.
            let charges = &(*page).charges;
            let first = charges.compare_exchange(null_mut(), table, Release, Acquire);
            if first.is_err() {
                os::unmap(fresh, layout);
            }
        }
        charge_entry(block, class)
    }
}

/// A block for the current tag, if this thread's credit pays for it, the list has one whose page has a table, and no phase
/// or listener wants to know.
#[cold]
#[inline(never)]
pub(super) fn take_on_credit(class: usize, payer: &Payer) -> Option<NonNull<u8>> {
    local(|local| take_here(local, class, payer))
}

#[inline(always)]
fn take_here(local: &Local, class: usize, payer: &Payer) -> Option<NonNull<u8>> {
    let size = class_size(class);
    let payee = payer.payee_with_credit(local)?;
    // SAFETY: records are never freed (I5), and this one is the calling thread's.
    let heap = unsafe { &(*local.record.get()).charged };
    let block = heap.first(class)?;
    // SAFETY: a block of this class, of a page of this heap.
    let entry = unsafe { charge_entry(block, class) }?;
    if !payee.slot.spend(size) {
        return None;
    }
    // SAFETY: nothing has been taken or put there since.
    unsafe { heap.take_first(block, class) };
    entry.store(Charge::account(payee.account).to_word(), Relaxed);
    local.counters().pool.allocated(size);
    add(&heap.allocs[class], 1);
    os::reveal(block as usize, size);
    NonNull::new(block.cast())
}

/// Frees a block of this thread's that the current tag's credit paid for, and nobody watches. Returns whether it is one.
///
/// # Safety
///
/// `block` is of `class` and the caller's to give, and `entry` is that of [`charge_entry`].
#[inline(always)]
pub(super) unsafe fn free_into_credit(
    local: &Local,
    block: *mut Block,
    class: usize,
    entry: &AtomicUsize,
) -> bool {
    // SAFETY: the block is pooled; entries hold charges; pages are never freed (I5).
    let (charge, owner) = unsafe { (Charge::from_word(entry.load(Relaxed)), owner_of(block)) };
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

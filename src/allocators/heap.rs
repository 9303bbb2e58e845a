//! The heap path: blocks of the global allocator, each with a word that says who pays for it.
//!
//! ```text
//!  +------------------- prefix --------------------+-------------+
//!  | (alignment's remainder)              | charge | block       |
//!  +-----------------------------------------------+-------------+
//!                                                  ^ multiple of the layout's alignment
//! ```

use core::alloc::Layout;
use core::marker::PhantomData;
use core::ptr::{self, NonNull};
use std::alloc;

use super::boxes::{fillable, forward_to_value, sendable_box};
use super::os;
use super::payer::{Charge, Payer};
use super::record::{LIMBO, Traffic};
use super::thread::local;
use crate::behavior::AllocKind;
use crate::diagnostics;
use crate::error::{AllocError, AllocErrorKind};
use crate::events;
use crate::tags::TagId;

/// The layout with room for the charge, and the bytes before the block.
#[inline(always)]
const fn with_prefix(layout: Layout) -> Option<(Layout, usize)> {
    match Layout::new::<usize>().extend(layout) {
        Ok(whole) => Some(whole),
        Err(_) => None,
    }
}

/// A block of the global allocator. `layout` is not empty; known when compiled, it costs nothing to compute with.
///
/// User code may run before the block is made: what budgets have to say.
#[inline]
pub(crate) fn allocate(layout: Layout, payer: &Payer) -> Result<NonNull<u8>, AllocError> {
    let Some(whole) = with_prefix(layout) else {
        return Err(refused(AllocErrorKind::CapacityOverflow, layout));
    };
    if payer.is_limited() {
        return allocate_within_budgets(layout, whole, payer);
    }
    allocate_for(layout, whole, Charge::tag(TagId::current()), payer)
}

/// [`allocate`] where there are budgets to ask. Apart, so that what has none keeps its registers.
#[inline(never)]
fn allocate_within_budgets(
    layout: Layout,
    whole: (Layout, usize),
    payer: &Payer,
) -> Result<NonNull<u8>, AllocError> {
    // Most of the time this thread's credit pays, and nobody wants to know.
    let paid = local(|local| payer.payee_with_credit(local))
        .filter(|payee| payee.slot.spend(layout.size()));
    let Some(payee) = paid else {
        return allocate_with_care(layout, whole, payer);
    };
    let charge = Charge::account(payee.account);
    let Some(block) = allocate_charged(whole, charge) else {
        return Err(out_of_memory(charge, layout));
    };
    local(|local| local.counters().heap.allocated(layout.size()));
    Ok(block)
}

/// Allocates where somebody has to be asked or told.
#[inline(never)]
fn allocate_with_care(
    layout: Layout,
    whole: (Layout, usize),
    payer: &Payer,
) -> Result<NonNull<u8>, AllocError> {
    let charge = payer.admit(layout, layout.size())?;
    allocate_for(layout, whole, charge, payer)
}

/// A block for which `charge` was admitted, counted and told of.
#[inline(always)]
fn allocate_for(
    layout: Layout,
    whole: (Layout, usize),
    charge: Charge,
    payer: &Payer,
) -> Result<NonNull<u8>, AllocError> {
    let Some(block) = allocate_charged(whole, charge) else {
        return Err(out_of_memory(charge, layout));
    };
    local(|local| {
        if local.record.get().is_null() {
            count_slowly(charge, layout.size());
        } else {
            // Charged to the current tag, whoever else pays: its counters are at hand.
            local.counters().heap.allocated(layout.size());
        }
    });
    if Payer::must_note() {
        note(block, layout, charge, payer);
    }
    Ok(block)
}

/// A block that remembers its charge. `None` if the system has no more memory.
#[inline(always)]
fn allocate_charged((whole, prefix): (Layout, usize), charge: Charge) -> Option<NonNull<u8>> {
    // SAFETY: the size is not zero. The prefix lies before the block, inside the allocation, and ends with room for a word.
    unsafe {
        let block = NonNull::new(alloc::alloc(whole))?.add(prefix);
        let word = block.cast::<usize>().sub(1);
        word.write_unaligned(charge.to_word());
        Some(block)
    }
}

#[cold]
#[inline(never)]
fn out_of_memory(charge: Charge, layout: Layout) -> AllocError {
    charge.release(layout.size());
    refused(AllocErrorKind::OutOfMemory, layout)
}

/// Tells a phase, and who listens, of a new block. User code may run; if it panics, the block is freed.
#[cold]
#[inline(never)]
fn note(block: NonNull<u8>, layout: Layout, charge: Charge, payer: &Payer) {
    struct Untold(NonNull<u8>, Layout);
    impl Drop for Untold {
        fn drop(&mut self) {
            // SAFETY: nobody was given the block.
            unsafe { free(self.0, self.1) }
        }
    }
    payer.count_for_phase(layout.size());
    let Some(hub) = payer.watcher() else {
        return;
    };
    // SAFETY: the word before the block: see `allocate`.
    unsafe {
        block
            .cast::<usize>()
            .sub(1)
            .write_unaligned(charge.watched().to_word());
    }
    let unless_told = Untold(block, layout);
    let address = block.as_ptr() as usize;
    hub.allocated(AllocKind::Heap, address, layout.size(), payer.frame_here());
    core::mem::forget(unless_told);
}

#[cold]
#[inline(never)]
fn refused(kind: AllocErrorKind, layout: Layout) -> AllocError {
    diagnostics::refused(AllocError::new(kind, layout, 0))
}

/// Counts an allocation where the current tag's counters will not do.
#[cold]
#[inline(never)]
fn count_slowly(charge: Charge, bytes: usize) {
    with_traffic(
        charge,
        |traffic| traffic.allocated(bytes),
        |shared| {
            shared.allocated_shared(bytes);
            diagnostics::thread_state_missing("heap memory");
        },
    );
}

/// The heap's counters of the tag that is charged: this thread's own, or limbo's where it has none.
fn with_traffic(charge: Charge, own: impl FnOnce(&Traffic), shared: impl FnOnce(&Traffic)) {
    let Some(tag) = charge.charged_tag() else {
        return;
    };
    match local(|local| local.counters_of(tag.index())) {
        Some(counters) => own(&counters.heap),
        None => shared(&LIMBO.counters(tag.index()).heap),
    }
}

/// Frees a block.
///
/// # Safety
///
/// `block` came from [`allocate`] with this layout, and is not used any more.
#[inline(always)]
pub(crate) unsafe fn free(block: NonNull<u8>, layout: Layout) {
    // SAFETY: see `allocate`.
    let charge = unsafe { Charge::from_word(block.cast::<usize>().sub(1).read_unaligned()) };
    let known = local(|local| {
        if !charge.is_plain() {
            return None;
        }
        local.known_counters_of(charge.plain_tag())
    });
    // SAFETY: the caller's contract. Both ways end with a call that needs nothing of this one any more.
    unsafe {
        match known {
            Some(counters) => {
                counters.heap.freed(layout.size());
                deallocate(block, layout);
            }
            None => free_slowly(block, layout, charge),
        }
    }
}

/// [`free`] of a block that budgets pay for, or somebody watches, or whose counters this thread has not got.
#[cold]
#[inline(never)]
unsafe fn free_slowly(block: NonNull<u8>, layout: Layout, charge: Charge) {
    // Most of what budgets pay for is freed under the tag that allocated it.
    let of_this_tag = local(|local| {
        let payee = charge.payee_with_credit(local)?;
        local.counters().heap.freed(layout.size());
        Some(payee)
    });
    if let Some(payee) = of_this_tag {
        // SAFETY: the caller's contract.
        unsafe { deallocate(block, layout) };
        payee.take_back(layout.size());
        return;
    }
    // Given back if a listener panics, too.
    let freeing = Freeing {
        block,
        layout,
        charge,
    };
    if charge.is_watched() {
        // Before anybody can have its address, and tell of that. Runs user code.
        events::forget(block.as_ptr() as usize).tell();
    }
    drop(freeing);
}

/// A block that is to be given back.
struct Freeing {
    block: NonNull<u8>,
    layout: Layout,
    charge: Charge,
}

impl Drop for Freeing {
    fn drop(&mut self) {
        let bytes = self.layout.size();
        with_traffic(
            self.charge,
            |traffic| traffic.freed(bytes),
            |shared| shared.freed_shared(bytes),
        );
        // SAFETY: whoever frees the block has made this, once.
        unsafe { deallocate(self.block, self.layout) };
        self.charge.release(bytes);
    }
}

/// Gives a block back to the system.
#[inline(always)]
unsafe fn deallocate(block: NonNull<u8>, layout: Layout) {
    let (whole, prefix) = with_prefix(layout)
        .unwrap_or_else(|| diagnostics::bug("a block has a layout that cannot be allocated"));
    // SAFETY: the caller's contract.
    unsafe {
        if os::POISONS {
            ptr::write_bytes(block.as_ptr(), os::POISON, layout.size());
        }
        alloc::dealloc(block.sub(prefix).as_ptr(), whole);
    }
}

/// An owned value on the heap, counted for the tag that was current when it was made.
///
/// ```
/// use framealloc::SmartAlloc;
///
/// let alloc = SmartAlloc::with_defaults();
/// let map = alloc.heap_alloc::<[u8; 1 << 20]>().zeroed();
/// assert_eq!(map[1 << 19], 0);
/// ```
pub struct HeapBox<T> {
    value: NonNull<T>,
    _owned: PhantomData<T>,
}

impl<T> HeapBox<T> {
    fn take_block(payer: &Payer) -> Result<NonNull<T>, AllocError> {
        Ok(allocate(Layout::new::<T>(), payer)?.cast())
    }

    /// # Safety
    ///
    /// `block` came from [`take_block`](Self::take_block), and is not used any more.
    unsafe fn free_block(block: NonNull<T>) {
        // SAFETY: the caller's contract.
        unsafe { free(block.cast(), Layout::new::<T>()) }
    }
}

sendable_box!(HeapBox, &Payer);

//! The tab: who pays for the leases of one tag in the active chunk.
//!
//! To find out who pays takes longer than to pay from a thread's credit. So an arena remembers it, and while nothing changes,
//! a lease bumps, pays, and adds its bytes here. They are written into the chunk's charge before anybody looks at that.

use core::cell::Cell;
use core::ptr::{NonNull, null, null_mut};
use std::alloc::Layout;

use super::metering::ChunkCharge;
use super::{Arena, Unaudited};
use crate::allocators::chunk::{self, Chunk};
use crate::allocators::domain::Domain;
use crate::allocators::layout::{self, footprint};
use crate::allocators::os;
use crate::allocators::thread::{Local, local_by_address};
use crate::budgets::Account;

pub(super) struct Tab {
    /// Who pays, from the calling thread's credit with it; null if there is no tab.
    account: Cell<*const Account>,
    chunk: Cell<*mut Chunk>,
    /// Which of the charges it is added to.
    charge: Cell<usize>,
    /// What has not been added yet.
    bytes: Cell<usize>,
}

impl Tab {
    pub(super) const fn new() -> Self {
        Self {
            account: Cell::new(null()),
            chunk: Cell::new(null_mut()),
            charge: Cell::new(0),
            bytes: Cell::new(0),
        }
    }

    pub(super) fn open(&self, account: &'static Account, chunk: *mut Chunk, charge: usize) {
        self.account.set(account);
        self.chunk.set(chunk);
        self.charge.set(charge);
    }

    /// Adds what it has come to to the charge.
    pub(super) fn settle(&self, charges: &mut Unaudited<ChunkCharge>) {
        let bytes = self.bytes.take();
        if bytes != 0 {
            charges[self.charge.get()].charge.bytes += bytes;
        }
    }

    /// It was settled, and what it is added to is about to go.
    pub(super) fn close(&self) {
        debug_assert_eq!(self.bytes.get(), 0);
        self.account.set(null());
    }
}

impl Domain {
    /// Leases a block in the common case of a metered arena: there is a tab, the thread has credit enough, the block fits the
    /// active chunk, and nobody wants to know.
    #[inline(always)]
    pub(crate) fn lease_on_credit(&self, layout: Layout) -> Option<NonNull<u8>> {
        local_by_address(|local| {
            if local.key.get() != self.key() {
                return None;
            }
            // SAFETY: the arena of this thread in this domain, which is active.
            let block = unsafe { &*local.arena.get() }.lease_on_tab(local, layout, self)?;
            os::reveal(block, layout.size());
            NonNull::new(block as *mut u8)
        })
    }
}

impl Arena {
    #[inline(always)]
    fn lease_on_tab(&self, local: &Local, layout: Layout, domain: &Domain) -> Option<usize> {
        let tab = &self.tab;
        let (known, payee) = local.known_payee.get()?;
        let usable = core::ptr::eq(payee.account, tab.account.get())
            && known == (domain.ledger().version(), local.tag.get())
            && tab.chunk.get() == self.top.get()
            && local.phases.get() == 0;
        if !usable {
            return None;
        }
        let start = local.ptr.get();
        // SAFETY: the active chunk is mapped and this thread's (I2).
        let limit = unsafe { (*tab.chunk.get()).limit.get() };
        let (block, end) = layout::bump(start, limit, layout)?;
        let bytes = footprint(layout.size());
        if !payee.slot.spend(bytes) {
            return None;
        }
        tab.bytes.set(tab.bytes.get() + bytes);
        if block != start {
            // SAFETY: the padding lies in the active chunk, and is nobody's.
            unsafe { chunk::credit(start, block - start) };
        }
        local.ptr.set(end);
        // Hooded, as it was.
        local.limit.set(end);
        Some(block)
    }
}

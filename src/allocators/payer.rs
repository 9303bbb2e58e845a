//! Who pays for a block besides the tag that it is charged to, and what the block remembers of it.
//!
//! A block of pool or heap keeps one word, its [`Charge`]:
//!
//! ```text
//!  0                      nobody (the entry of a free block)
//!  tag << 2 | 1           the tag alone
//!  address of an Account  the tag, and the budgets that hold it
//! ```
//!
//! and, or'ed to it, 2 if somebody listens to what becomes of the block.

use core::alloc::Layout;
use core::fmt;
use std::sync::Arc;

use super::domain::Domain;
use super::thread::{Local, local};
use crate::budgets::{self, Account, Ledger, Memory, Payee, Room};
use crate::error::AllocError;
use crate::events::Hub;
use crate::phases;
use crate::tags::TagId;

/// The budgets that blocks of pool and heap count against: those of an allocator once it has any, or none.
///
/// What an allocator keeps for itself (groups, handles, streams, scratch pools) is made with the payer of the allocator that
/// it belongs to; such a thing made on its own has no payer but the tag.
#[derive(Default)]
pub(crate) struct Payer {
    ledger: Option<Arc<Ledger>>,
    /// The allocator's domain, for its phases; zero if there is none.
    domain: u64,
    /// What listens to the allocator.
    hub: Option<Arc<Hub>>,
    /// Whether it is the one in an allocator's [`Parts`](crate::parts::Parts), and no copy: who reaches it holds the allocator.
    original: bool,
}

impl Clone for Payer {
    fn clone(&self) -> Self {
        Self {
            ledger: self.ledger.clone(),
            domain: self.domain,
            hub: self.hub.clone(),
            original: false,
        }
    }
}

impl Payer {
    /// The allocator of `domain`.
    pub(crate) fn of(domain: &Domain) -> Self {
        Self {
            ledger: Some(domain.ledger().clone()),
            domain: domain.id(),
            hub: Some(domain.hub().clone()),
            original: true,
        }
    }

    /// Whether there are budgets to ask.
    #[inline]
    pub(crate) fn is_limited(&self) -> bool {
        self.budgets().is_some()
    }

    /// The budgets to ask, if there are any.
    #[inline]
    fn budgets(&self) -> Option<&Arc<Ledger>> {
        self.ledger.as_ref().filter(|ledger| ledger.is_on())
    }

    /// Charges `bytes` for a block of `layout` to the current tag, and to its budgets. User code may run.
    #[inline]
    pub(crate) fn admit(&self, layout: Layout, bytes: usize) -> Result<Charge, AllocError> {
        let Some(ledger) = self.budgets() else {
            return Ok(Charge::tag(TagId::current()));
        };
        let payee = local(|local| local.payee(ledger));
        // From the thread's credit, as a rule.
        if payee.account.has_thread() || !payee.slot.spend(bytes) {
            ledger.admit(payee, Memory::Block, layout, bytes)?;
        }
        Ok(Charge::account(payee.account))
    }

    /// Where the current tag's blocks are paid from, if that is this thread's credit alone and nobody wants to know.
    #[inline(always)]
    pub(crate) fn payee_with_credit(&self, local: &Local) -> Option<Payee> {
        let ledger = self.ledger.as_ref()?;
        let (known, payee) = local.known_payee.get()?;
        let current = known == (ledger.version(), local.tag.get());
        (current
            && local.phases.get() == 0
            && !local.record.get().is_null()
            && !payee.account.has_thread())
        .then_some(payee)
    }

    /// The limits that a block of the current tag counts against, with the bytes that they leave; `None` if there are none.
    pub(crate) fn room(&self) -> Option<Room> {
        let ledger = self.budgets()?;
        ledger.revoke_credit();
        Some(local(|local| local.payee(ledger)).account.room())
    }

    /// Whether somebody may want to know of the block that has just been allocated: a phase that is open on this thread, or who
    /// listens to an allocator. Asked once for both.
    #[inline]
    pub(crate) fn must_note() -> bool {
        local(|local| local.phases.get()) != 0
    }

    /// Counts a block for the phase that is open on this thread, if one is.
    #[cold]
    pub(crate) fn count_for_phase(&self, bytes: usize) {
        phases::count(self.domain, bytes);
    }

    /// What listens to the allocator.
    #[cfg(feature = "debug")]
    pub(crate) fn hub(&self) -> Option<&Arc<Hub>> {
        self.hub.as_ref()
    }

    /// The number of the frame that is open for the calling thread, if one is.
    pub(crate) fn frame_here(&self) -> Option<u64> {
        let hub = self.hub.as_ref()?;
        let domain = hub.domain();
        // No count means that the parts of an allocator are being dropped, after its domain.
        if !self.original || domain.strong_count() == 0 {
            return hub.frame_here();
        }
        // SAFETY: the caller reached the original by a handle of the allocator, which holds the domain.
        let domain = unsafe { &*domain.as_ptr() };
        let (number, is_open) = local(|local| domain.frame_here(local));
        is_open.then_some(number)
    }

    /// Who listens to what the calling thread allocates now, if anybody does.
    pub(crate) fn watcher(&self) -> Option<&Arc<Hub>> {
        self.hub.as_ref().filter(|hub| hub.watches())
    }
}

impl fmt::Debug for Payer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.ledger.is_some() {
            "Payer(an allocator)"
        } else {
            "Payer(nobody)"
        })
    }
}

impl Local {
    /// The account of the current tag in `ledger`, and this thread's credit with it.
    #[inline]
    pub(crate) fn payee(&self, ledger: &Arc<Ledger>) -> Payee {
        let wanted = (ledger.version(), self.tag.get());
        match self.known_payee.get() {
            Some((known, payee)) if known == wanted => payee,
            _ => self.look_up_payee(ledger, wanted),
        }
    }

    #[cold]
    fn look_up_payee(&self, ledger: &Arc<Ledger>, wanted: (u64, u32)) -> Payee {
        let payee = budgets::payee(ledger, wanted.0, wanted.1);
        self.known_payee.set(Some((wanted, payee)));
        payee
    }
}

/// Set in the charge of a tag alone.
const TAG: usize = 1;
/// Set in the charge of a block that is watched.
const WATCHED: usize = 2;
const _: () = assert!(align_of::<Account>() >= 4);

/// What a block remembers of who pays for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(transparent)]
pub(crate) struct Charge(usize);

impl Charge {
    /// No charge.
    pub(crate) const NOBODY: Self = Self(0);

    pub(crate) fn tag(tag: TagId) -> Self {
        Self((tag.index() as usize) << 2 | TAG)
    }

    /// The same, of a block that is watched.
    pub(crate) fn watched(self) -> Self {
        Self(self.0 | WATCHED)
    }

    /// Whether the block is watched: see [`events::forget`](crate::events::forget).
    pub(crate) fn is_watched(self) -> bool {
        self.0 & WATCHED != 0
    }

    /// Whether a tag alone is charged, and nobody has to be told that the block is freed.
    #[inline(always)]
    pub(crate) fn is_plain(self) -> bool {
        self.0 & (WATCHED | TAG) == TAG
    }

    /// The tag of a plain charge.
    #[inline(always)]
    pub(crate) fn plain_tag(self) -> u32 {
        (self.0 >> 2) as u32
    }

    #[inline]
    pub(crate) fn account(account: &'static Account) -> Self {
        Self(core::ptr::from_ref(account).expose_provenance())
    }

    pub(crate) fn to_word(self) -> usize {
        self.0
    }

    /// # Safety
    ///
    /// The word came from [`to_word`](Self::to_word).
    pub(crate) unsafe fn from_word(word: usize) -> Self {
        Self(word)
    }

    fn as_account(self) -> Option<&'static Account> {
        let address = self.0 & !WATCHED;
        if address & TAG != 0 || address == 0 {
            return None;
        }
        let account = core::ptr::with_exposed_provenance::<Account>(address);
        // SAFETY: the word is an account's address (accounts are aligned to a word), and accounts are never freed.
        Some(unsafe { &*account })
    }

    /// Where the block's bytes go back to, if it is an account that pays for blocks of the current tag, from this thread's
    /// credit alone, and nobody has to be told.
    #[inline(always)]
    pub(crate) fn payee_with_credit(self, local: &Local) -> Option<Payee> {
        let ((_, tag), payee) = local.known_payee.get()?;
        // A watched block's word is no account's.
        let its = self == Self::account(payee.account);
        let usable = tag == local.tag.get()
            && !local.record.get().is_null()
            && !payee.account.has_thread()
            && !payee.slot.is_revoked();
        (its && usable).then_some(payee)
    }

    /// The tag that is charged; `None` if nobody is.
    #[inline]
    pub(crate) fn charged_tag(self) -> Option<TagId> {
        if self.0 & TAG != 0 {
            return Some(TagId::from_index((self.0 >> 2) as u32));
        }
        self.as_account().map(Account::tag)
    }

    /// Gives the budgets back what was charged for a block of so many bytes.
    #[inline]
    pub(crate) fn release(self, bytes: usize) {
        if self.0 & TAG == 0 {
            self.release_account(bytes);
        }
    }

    #[cold]
    fn release_account(self, bytes: usize) {
        let Some(account) = self.as_account() else {
            return;
        };
        let known = local(|local| local.known_payee.get());
        match known {
            // Into this thread's credit, if it has one.
            Some((_, payee))
                if core::ptr::eq(payee.account, account)
                    && !account.has_thread()
                    && !payee.slot.is_revoked() =>
            {
                payee.take_back(bytes);
            }
            _ => account.release_block(bytes),
        }
    }
}

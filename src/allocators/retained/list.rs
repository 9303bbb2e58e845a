//! The retained values of one arena, and the stages that each goes through. See the module's drawing.

use core::cell::Cell;
use core::mem::{MaybeUninit, offset_of};
use core::ptr::{NonNull, null_mut};
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::Arc;

use super::drop_in_place;
use super::kind::{Kind, Owned, Room};
use super::pending::{Claim, Pending};
use crate::allocators::arena::Arena;
use crate::allocators::chunk;
use crate::retention::{RetainedId, RetentionPolicy};
use crate::sync::Mutex;
use crate::tags::TagId;

/// What is remembered of a retained value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Meta {
    pub id: RetainedId,
    pub tag: TagId,
    pub policy: RetentionPolicy,
    pub phase: Option<&'static str>,
}

impl Meta {
    pub(super) fn new(policy: RetentionPolicy, phase: Option<&'static str>) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self {
            id: RetainedId::from_number(NEXT.fetch_add(1, Relaxed)),
            tag: TagId::current(),
            policy,
            phase,
        }
    }
}

/// A retained value, as it lies in frame memory.
#[repr(C)]
pub(super) struct Entry<T> {
    head: Head,
    value: MaybeUninit<T>,
}

/// The part of an entry that does not know the value's type. Its cells are guarded by the lock of its arena's lists.
pub(super) struct Head {
    next: Cell<*mut Head>,
    stage: Cell<Stage>,
    /// Whether the arena's thread has yet to look at it.
    listed: Cell<bool>,
    /// Whether its bytes are among those that its chunk keeps on purpose.
    kept: Cell<bool>,
    arena: *const Arena,
    kind: &'static Kind,
    meta: Meta,
}

#[derive(Default)]
enum Stage {
    /// The handle is alive, and the frame goes on.
    #[default]
    Held,
    /// The handle has let go.
    Released,
    /// The frame has ended; the handle will move the value there.
    Claimed(Arc<Pending>),
    /// The frame has ended; the handle will drop the value.
    Orphaned,
    /// The value is gone; the lease is left.
    Spent,
}

impl<T> Entry<T> {
    pub(super) const OFFSET: usize = offset_of!(Self, value);

    pub(super) fn new(arena: *const Arena, meta: Meta, value: T) -> Self
    where
        T: Send + 'static,
    {
        Self {
            head: Head {
                next: Cell::new(null_mut()),
                stage: Cell::new(Stage::Held),
                listed: Cell::new(false),
                kept: Cell::new(false),
                arena,
                kind: Kind::of::<T>(),
                meta,
            },
            value: MaybeUninit::new(value),
        }
    }

    pub(super) fn value(entry: *mut Self) -> *mut T {
        entry.wrapping_byte_add(Self::OFFSET).cast()
    }

    /// # Safety
    ///
    /// The entry is leased.
    pub(super) unsafe fn meta(entry: *const Self) -> *const Meta {
        // SAFETY: the caller's contract.
        unsafe { &raw const (*entry).head.meta }
    }
}

impl Head {
    /// # Safety
    ///
    /// The entry is leased.
    unsafe fn value(this: NonNull<Self>) -> NonNull<u8> {
        // SAFETY: the value lies so far into the entry.
        unsafe { this.cast().byte_add(this.as_ref().kind.offset) }
    }
}

/// A value whose frame has ended, or is about to.
#[derive(Clone, Copy)]
pub(crate) struct Due {
    pub meta: Meta,
    pub kind: &'static Kind,
}

/// What became of a value that was taken from the list.
pub(crate) enum Taken {
    /// It moved into the room.
    Moved(Owned),
    /// Its handle is alive, and will move it into the room.
    Claimed(Claim),
    /// Its handle is alive, and will drop it. The room was not needed.
    Orphaned(#[expect(dead_code, reason = "to be dropped by the caller")] Room),
    /// Somebody else was faster. The room was not needed.
    Elsewhere(#[expect(dead_code, reason = "to be dropped by the caller")] Room),
}

pub(crate) struct Retained {
    lists: Mutex<Lists>,
}

struct Lists {
    /// Values of the open frame, in the order in which they were made.
    first: *mut Head,
    last: *mut Head,
    count: usize,
    /// Entries whose frame has ended, until their thread looks.
    settled: *mut Head,
}

impl Lists {
    fn unlink_first(&mut self) -> Option<NonNull<Head>> {
        let head = NonNull::new(self.first)?;
        // SAFETY: listed entries are leased, and their links are guarded by this lock.
        self.first = unsafe { head.as_ref() }.next.replace(null_mut());
        if self.first.is_null() {
            self.last = null_mut();
        }
        self.count -= 1;
        Some(head)
    }

    /// Leaves an entry to its thread.
    fn settle(&mut self, head: NonNull<Head>) {
        // SAFETY: as above.
        let entry = unsafe { head.as_ref() };
        entry.listed.set(true);
        entry.next.set(self.settled);
        self.settled = head.as_ptr();
    }
}

impl Retained {
    pub(crate) fn new() -> Self {
        Self {
            lists: Mutex::new(Lists {
                first: null_mut(),
                last: null_mut(),
                count: 0,
                settled: null_mut(),
            }),
        }
    }

    /// # Safety
    ///
    /// The entry is leased on this arena, whose thread the caller is, and not listed.
    pub(super) unsafe fn push(&self, head: NonNull<Head>) {
        let mut lists = self.lists.lock();
        match NonNull::new(lists.last) {
            // SAFETY: listed entries are leased, and their links are guarded by this lock.
            Some(last) => unsafe { last.as_ref() }.next.set(head.as_ptr()),
            None => lists.first = head.as_ptr(),
        }
        lists.last = head.as_ptr();
        lists.count += 1;
    }

    pub(crate) fn count(&self) -> usize {
        self.lists.lock().count
    }

    /// The value that was retained first, of those that are left.
    pub(crate) fn first(&self) -> Option<Due> {
        let lists = self.lists.lock();
        let head = NonNull::new(lists.first)?;
        // SAFETY: listed entries are leased.
        let head = unsafe { head.as_ref() };
        Some(Due {
            meta: head.meta,
            kind: head.kind,
        })
    }

    /// Moves the first value into `room`, if it is still the one that is `due`. If its handle is alive, the value will move
    /// later, or will be dropped if it is to be discarded.
    ///
    /// Runs nobody's code, and may be called on any thread.
    pub(crate) fn take_first(&self, due: &Due, room: Room, discard: bool) -> Taken {
        let mut lists = self.lists.lock();
        let head = match NonNull::new(lists.first) {
            // SAFETY: listed entries are leased.
            Some(head) if unsafe { head.as_ref() }.meta.id == due.meta.id => head,
            _ => return Taken::Elsewhere(room),
        };
        // SAFETY: as above.
        let entry = unsafe { head.as_ref() };
        assert!(entry.kind.is_same(room.kind()), "room of another type");
        lists.unlink_first();
        match entry.stage.take() {
            Stage::Held if discard => {
                entry.stage.set(Stage::Orphaned);
                Taken::Orphaned(room)
            }
            Stage::Held => {
                let (handles, claim) = Pending::new(room);
                entry.stage.set(Stage::Claimed(handles));
                lists.settle(head);
                Taken::Claimed(claim)
            }
            _ => {
                entry.stage.set(Stage::Spent);
                // SAFETY: the handle has let go and the entry was unlinked here: the value is ours (I8).
                let owned = unsafe { room.fill(Head::value(head)) };
                lists.settle(head);
                Taken::Moved(owned)
            }
        }
    }

    /// Drops the first value where it is; one whose handle is alive is left for that to drop.
    ///
    /// # Safety
    ///
    /// The calling thread is the arena's.
    pub(super) unsafe fn discard_first(&self) -> Option<Due> {
        let mut lists = self.lists.lock();
        let head = lists.unlink_first()?;
        // SAFETY: the entry is leased until the lease is ended below.
        let entry = unsafe { head.as_ref() };
        let due = Due {
            meta: entry.meta,
            kind: entry.kind,
        };
        let held = matches!(entry.stage.take(), Stage::Held);
        entry
            .stage
            .set(if held { Stage::Orphaned } else { Stage::Spent });
        drop(lists);
        if !held {
            // SAFETY: the handle has let go and the entry was unlinked here: the value is ours (I8), and this is its thread.
            unsafe { drop_in_place(due.kind, Head::value(head), || end_lease(head)) }
        }
        Some(due)
    }

    /// Ends the leases of values that have moved, and notes for those that are still in use that this is intended.
    ///
    /// # Safety
    ///
    /// The calling thread is the arena's.
    pub(super) unsafe fn look(&self) {
        loop {
            let mut lists = self.lists.lock();
            let Some(head) = NonNull::new(lists.settled) else {
                return;
            };
            // SAFETY: listed entries are leased.
            let entry = unsafe { head.as_ref() };
            lists.settled = entry.next.replace(null_mut());
            entry.listed.set(false);
            let stage = entry.stage.take();
            let spent = matches!(stage, Stage::Spent);
            entry.stage.set(stage);
            drop(lists);
            // SAFETY: the entry is leased, and this is its arena's thread.
            unsafe {
                if spent {
                    end_lease(head);
                } else {
                    entry.kept.set(true);
                    chunk::keep(head.as_ptr() as usize, entry.kind.entry);
                }
            }
        }
    }

    /// Drops every value that is left: the domain is gone, and with it every handle that was not forgotten.
    ///
    /// # Safety
    ///
    /// Nobody else can reach the arena any more.
    pub(super) unsafe fn drop_all(&self) {
        loop {
            let Some(head) = self.lists.lock().unlink_first() else {
                return;
            };
            // SAFETY: unlinked, with no handle left (I8). The arena and its leases end as a whole.
            unsafe { head.as_ref().kind.drop_value(Head::value(head)) }
        }
    }
}

/// Ends the lease of an entry.
///
/// # Safety
///
/// The entry is leased, its value is gone, nobody else refers to it, and the calling thread is its arena's.
unsafe fn end_lease(head: NonNull<Head>) {
    // SAFETY: the caller's contract.
    unsafe {
        let (layout, kept) = (head.as_ref().kind.entry, head.as_ref().kept.get());
        let address = head.as_ptr() as usize;
        if kept {
            chunk::keep_no_more(address, layout);
        }
        chunk::end_lease(address, layout.size(), layout.align());
    }
}

/// The handle of an entry drops.
///
/// # Safety
///
/// The caller is the entry's one handle, on its arena's thread.
pub(super) unsafe fn let_go(head: NonNull<Head>) {
    // SAFETY: the handle keeps the entry leased, and its arena lives as long as the domain that it borrows.
    let (entry, arena) = unsafe { (head.as_ref(), &*head.as_ref().arena) };
    let retained = &arena.retained;
    let stage = {
        let _lists = retained.lists.lock();
        match entry.stage.take() {
            Stage::Held => {
                entry.stage.set(Stage::Released);
                return;
            }
            // What is left in its place means to others that the entry is in use.
            stage => stage,
        }
    };
    // SAFETY: the frame has ended, so nobody else touches the value (I8); the lease ends after it is gone.
    unsafe {
        let value = Head::value(head);
        if let Stage::Claimed(pending) = stage
            && pending.arrive(value)
        {
            return leave(head, retained);
        }
        drop_in_place(entry.kind, value, || leave(head, retained));
    }
}

/// Ends the lease of an entry whose value its handle has moved or dropped, or leaves that to the next look.
///
/// # Safety
///
/// As for [`end_lease`].
unsafe fn leave(head: NonNull<Head>, retained: &Retained) {
    let lists = retained.lists.lock();
    // SAFETY: the entry is leased.
    let entry = unsafe { head.as_ref() };
    entry.stage.set(Stage::Spent);
    let listed = entry.listed.get();
    drop(lists);
    if !listed {
        // SAFETY: the caller's contract; only this thread takes entries off that list.
        unsafe { end_lease(head) }
    }
}

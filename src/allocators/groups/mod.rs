//! Groups: values that are freed together.
//!
//! ```text
//!  GroupRef ----> Group ----> chunks:  [ value | value | value | room ]  [ one big value ]
//!   (entry 1)      |                     ^        ^
//!                  +--> entries:  [ word | value  | drop, chunk ]
//!                                 [ word | value  | drop, chunk ]  ...
//! ```
//!
//! Entries stay until the last reference to the group is gone, so that a reference may always ask its entry's word whether
//! the value is still there. Chunks go with the values.
//!
//! - **G1** An entry below the length is written once, under the lock, before anybody learns its number.
//! - **G2** A chunk is held by the group until it is closed, then by the values that were borrowed at that moment.

mod chunk;
mod value;

pub use value::{GroupRead, GroupRef, GroupWrite};

use core::alloc::Layout;
use core::cell::UnsafeCell;
use core::mem::{self, MaybeUninit};
use core::ptr::{self, NonNull};
use std::sync::Arc;

use super::borrow::word::Word;
use super::layout;
use super::pages::Pages;
use super::panics::FirstPanic;
use super::payer::Payer;
use crate::error::AllocError;
use crate::sync::Mutex;
use chunk::{Chunk, Fresh, LARGEST, SMALLEST};

/// Why a value was not stored.
pub(crate) enum Refused {
    /// The group is closed.
    Closed,
    Alloc(AllocError),
}

impl From<AllocError> for Refused {
    fn from(error: AllocError) -> Self {
        Self::Alloc(error)
    }
}

/// What closing a group freed.
#[derive(Default)]
pub(crate) struct Closed {
    pub(crate) values: usize,
    pub(crate) bytes: usize,
}

/// See the module's documentation.
pub(crate) struct Group {
    pub(crate) name: String,
    payer: Payer,
    entries: Pages<Entry>,
    inner: Mutex<Inner>,
}

struct Inner {
    closed: bool,
    /// Values stored.
    len: u32,
    /// Bytes of the values.
    bytes: usize,
    /// Bytes of the chunks.
    reserved: usize,
    chunks: Vec<Chunk>,
    bump: Option<Bump>,
    next_chunk: usize,
}

/// The chunk that values are put into.
struct Bump {
    chunk: Chunk,
    /// Where the next value may lie.
    at: NonNull<u8>,
    limit: usize,
}

// SAFETY: the pointer is only the start of room that belongs to the group.
unsafe impl Send for Bump {}

struct Entry {
    word: Word,
    item: UnsafeCell<MaybeUninit<Item>>,
}

// SAFETY: the item is written once, before others learn of the entry (G1), and read only from then on.
unsafe impl Sync for Entry {}
// SAFETY: an entry is the address of a value that may be dropped on any thread.
unsafe impl Send for Entry {}

/// A stored value, or slice of values.
#[derive(Clone, Copy)]
struct Item {
    value: NonNull<u8>,
    len: usize,
    drop: Option<unsafe fn(NonNull<u8>, usize)>,
    /// `None` for what has no size.
    chunk: Option<Chunk>,
}

/// # Safety
///
/// `len` values of `T` lie at `values`, and are not used any more.
unsafe fn drop_values<T>(values: NonNull<u8>, len: usize) {
    let values = ptr::slice_from_raw_parts_mut(values.cast::<T>().as_ptr(), len);
    // SAFETY: the caller's contract.
    unsafe { ptr::drop_in_place(values) }
}

impl Inner {
    /// Room in the current chunk.
    fn bump(&mut self, layout: Layout) -> Option<(NonNull<u8>, Chunk)> {
        let bump = self.bump.as_mut()?;
        let from = bump.at.addr().get();
        let (start, end) = layout::bump(from, bump.limit, layout)?;
        // SAFETY: both lie in the chunk, at or behind `at`.
        unsafe {
            let block = bump.at.add(start - from);
            bump.at = bump.at.add(end - from);
            Some((block, bump.chunk))
        }
    }

    /// Takes a chunk in, which has room for `layout`. What is large has its chunk for itself, and the current one stays.
    fn adopt(&mut self, fresh: Fresh, layout: Layout) -> (NonNull<u8>, Chunk) {
        self.chunks.push(fresh.chunk);
        self.reserved += fresh.size;
        let bump = Bump {
            chunk: fresh.chunk,
            at: fresh.first,
            limit: fresh.limit,
        };
        let outer = self.bump.replace(bump);
        let room = self.bump(layout).expect("the chunk was made for it");
        if is_large(layout) {
            self.bump = outer;
        } else {
            self.next_chunk = (self.next_chunk * 2).min(LARGEST);
        }
        room
    }
}

/// Whether a block has a chunk of its own.
const fn is_large(layout: Layout) -> bool {
    layout.size() > LARGEST / 4 || layout.align() > LARGEST / 4
}

impl Group {
    pub(crate) fn new(name: String, payer: Payer) -> Arc<Self> {
        Arc::new(Self {
            name,
            payer,
            entries: Pages::new(),
            inner: Mutex::new(Inner {
                closed: false,
                len: 0,
                bytes: 0,
                reserved: 0,
                chunks: Vec::new(),
                bump: None,
                next_chunk: SMALLEST,
            }),
        })
    }

    /// Values, their bytes, and the bytes of the chunks.
    pub(crate) fn figures(&self) -> (usize, usize, usize) {
        let inner = self.inner.lock();
        (inner.len as usize, inner.bytes, inner.reserved)
    }

    /// Takes a value and stores it. If it is refused, it stays where it is: it is passed by reference so that large ones are
    /// not copied from call to call.
    ///
    /// # Panics
    ///
    /// If there is no value.
    pub(crate) fn store<T: Send + 'static>(
        self: &Arc<Self>,
        value: &mut Option<T>,
    ) -> Result<GroupRef<T>, Refused> {
        assert!(value.is_some());
        // SAFETY: one `T` fits its layout; entry and value belong together.
        unsafe {
            let (entry, block) = self.store_block::<T>(Layout::new::<T>(), 1, |block| {
                block.cast().write(value.take().expect("a value"));
            })?;
            Ok(GroupRef::new(self.clone(), entry, block.cast()))
        }
    }

    /// Empties a vector and stores its values beside each other. If they are refused, they stay where they are.
    pub(crate) fn store_slice<T: Send + 'static>(
        self: &Arc<Self>,
        values: &mut Vec<T>,
    ) -> Result<GroupRef<[T]>, Refused> {
        let (len, layout) = (values.len(), Layout::for_value(&**values));
        // SAFETY: the values fit the layout of their slice, and the vector forgets them; entry and values belong together.
        unsafe {
            let (entry, block) = self.store_block::<T>(layout, len, |block| {
                ptr::copy_nonoverlapping(values.as_ptr(), block.cast().as_ptr(), len);
                values.set_len(0);
            })?;
            let slice = NonNull::slice_from_raw_parts(block.cast(), len);
            Ok(GroupRef::new(self.clone(), entry, slice))
        }
    }

    /// Stores zeroes.
    pub(crate) fn store_zeroes(
        self: &Arc<Self>,
        layout: Layout,
    ) -> Result<GroupRef<[u8]>, Refused> {
        // SAFETY: the bytes of the layout are zeroed, which are so many `u8`.
        unsafe {
            let (entry, block) = self.store_block::<u8>(layout, layout.size(), |block| {
                block.write_bytes(0, layout.size());
            })?;
            let slice = NonNull::slice_from_raw_parts(block, layout.size());
            Ok(GroupRef::new(self.clone(), entry, slice))
        }
    }

    /// Takes room, lets `fill` fill it, and enters it. If there is no room, `fill` is not called.
    ///
    /// # Safety
    ///
    /// `len` values of `T` fit `layout`. `fill` runs no code of the user's, and writes them.
    unsafe fn store_block<T: Send + 'static>(
        &self,
        layout: Layout,
        len: usize,
        fill: impl FnOnce(NonNull<u8>),
    ) -> Result<(u32, NonNull<u8>), Refused> {
        // What is allocated is allocated with the lock released: a budget may have something to say to its owner. It is
        // made for whoever locks next, and given back by `Spare` if it is not needed.
        let mut spare = Spare(None);
        loop {
            let mut inner = self.inner.lock();
            if inner.closed {
                return Err(Refused::Closed);
            }
            let entry = inner.len;
            if self.entries.get(entry).is_none() {
                drop(inner);
                self.entries.grow(entry, &self.payer, || Entry {
                    word: Word::vacant(0),
                    item: UnsafeCell::new(MaybeUninit::uninit()),
                })?;
                continue;
            }
            let room = if layout.size() == 0 {
                Some((layout.dangling_ptr(), None))
            } else if let Some((block, chunk)) = inner.bump(layout) {
                Some((block, Some(chunk)))
            } else if let Some(fresh) = spare.0.take() {
                let (block, chunk) = inner.adopt(fresh, layout);
                Some((block, Some(chunk)))
            } else {
                None
            };
            let Some((block, chunk)) = room else {
                let at_least = if is_large(layout) {
                    0
                } else {
                    inner.next_chunk
                };
                drop(inner);
                spare.0 = Some(Chunk::allocate(layout, at_least, &self.payer)?);
                continue;
            };
            fill(block);
            let item = Item {
                value: block,
                len,
                drop: mem::needs_drop::<T>().then_some(drop_values::<T> as _),
                chunk,
            };
            let place = self.entries.get(entry).expect("made above");
            // SAFETY: under the lock, and nobody knows of the entry yet (G1).
            unsafe { (*place.item.get()).write(item) };
            place.word.publish();
            inner.len += 1;
            inner.bytes += layout.size();
            drop(inner);
            return Ok((entry, block));
        }
    }

    /// Drops every value, the newest first, and frees the chunks. What is borrowed follows when its last borrow ends.
    ///
    /// A destructor that panics does not keep the others from running; the first panic goes on when all is freed.
    pub(crate) fn close(&self) -> Closed {
        let (chunks, closed) = {
            let mut inner = self.inner.lock();
            if inner.closed {
                return Closed::default();
            }
            inner.closed = true;
            inner.bump = None;
            let closed = Closed {
                values: inner.len as usize,
                bytes: inner.bytes,
            };
            (mem::take(&mut inner.chunks), closed)
        };
        let mut panic = FirstPanic::default();
        for entry in (0..closed.values as u32).rev() {
            self.doom(entry, &mut panic);
        }
        for chunk in chunks {
            // SAFETY: the group's own hold, and the values that are left have theirs (G2).
            unsafe { chunk.release() };
        }
        panic.resume();
        closed
    }

    /// Drops a value, or leaves it to its last borrower.
    fn doom(&self, entry: u32, panic: &mut FirstPanic) {
        let entry = self.entries.get(entry).expect("below the length");
        // SAFETY: below the length (G1).
        let item = unsafe { (*entry.item.get()).assume_init() };
        let mut held = None;
        let ours = entry.word.doom(|| {
            held = item.chunk;
            if let Some(chunk) = item.chunk {
                // SAFETY: the group holds it (G2).
                unsafe { chunk.hold() };
            }
        });
        if !ours {
            return;
        }
        if let Some(drop) = item.drop {
            // SAFETY: doomed while nobody used it, so it is ours (B1), and dropped once.
            panic.run(|| unsafe { drop(item.value, item.len) });
        }
        if let Some(chunk) = held {
            // SAFETY: held above for a borrower that was gone before it would have mattered.
            unsafe { chunk.release() };
        }
    }

    /// Drops a value that was borrowed when the group was closed.
    ///
    /// # Safety
    ///
    /// The entry's word has just said that its last use ended.
    unsafe fn finish(entry: &Entry) {
        struct Release(Option<Chunk>);
        impl Drop for Release {
            fn drop(&mut self) {
                if let Some(chunk) = self.0 {
                    // SAFETY: held for this value when the group was closed (G2).
                    unsafe { chunk.release() };
                }
            }
        }
        // SAFETY: below the length (G1); the value is the caller's, and dropped once.
        unsafe {
            let item = (*entry.item.get()).assume_init();
            let _release = Release(item.chunk);
            if let Some(drop) = item.drop {
                drop(item.value, item.len);
            }
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.close();
    }
}

/// A chunk that is given back unless somebody takes it.
struct Spare(Option<Fresh>);

impl Drop for Spare {
    fn drop(&mut self) {
        if let Some(fresh) = self.0.take() {
            // SAFETY: nobody else knows of it.
            unsafe { fresh.chunk.release() };
        }
    }
}

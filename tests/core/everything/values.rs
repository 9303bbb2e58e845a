//! Values that know what they hold, and books that know which of them live.

use std::collections::{HashMap, HashSet};
use std::ops::Deref;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use framealloc::{
    FrameMap, FrameRetained, FrameVec, GroupRef, HandleAllocator, PromotedAllocation,
    TransferHandle,
};

use crate::common::address;

/// Which values live, and what went wrong. Destructors write faults here rather than panic, which would end the process.
#[derive(Default)]
pub struct Books {
    next: AtomicU64,
    live: Mutex<HashSet<u64>>,
    faults: Mutex<Vec<String>>,
}

impl Books {
    fn open(&self) -> u64 {
        let id = self.next.fetch_add(1, Relaxed);
        self.live.lock().unwrap().insert(id);
        id
    }

    pub fn fault(&self, text: String) {
        let faults = self.faults.lock();
        faults.unwrap_or_else(PoisonError::into_inner).push(text);
    }

    /// The number of values that live, if nothing went wrong.
    pub fn settle(&self) -> usize {
        let faults = self.faults.lock().unwrap();
        assert!(faults.is_empty(), "{faults:?}");
        self.live.lock().unwrap().len()
    }

    pub fn made(&self) -> u64 {
        self.next.load(Relaxed)
    }
}

/// A value that was written once, and has to be that for as long as it lives.
pub trait Pattern: Send + Sync + 'static {
    fn new(books: &Arc<Books>) -> Self;
    fn id(&self) -> u64;
    fn check(&self);
}

pub struct Words<const N: usize> {
    words: [u64; N],
    id: u64,
    books: Arc<Books>,
}

/// A word that is different for every value and every place in it.
fn word(id: u64, place: usize) -> u64 {
    (id + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ place as u64
}

impl<const N: usize> Pattern for Words<N> {
    fn new(books: &Arc<Books>) -> Self {
        let id = books.open();
        Self {
            words: std::array::from_fn(|place| word(id, place)),
            id,
            books: books.clone(),
        }
    }

    fn id(&self) -> u64 {
        self.id
    }

    fn check(&self) {
        let whole = (0..N).all(|place| self.words[place] == word(self.id, place));
        if !whole {
            self.books
                .fault(format!("value {} was overwritten", self.id));
        }
        if !address(self).is_multiple_of(align_of::<Self>()) {
            self.books
                .fault(format!("value {} is not aligned", self.id));
        }
    }
}

impl<const N: usize> Drop for Words<N> {
    fn drop(&mut self) {
        self.check();
        let mut live = self.books.live.lock().unwrap();
        if !live.remove(&self.id) {
            drop(live);
            self.books
                .fault(format!("value {} was dropped twice", self.id));
        }
    }
}

pub type Small = Words<1>;
pub type Middle = Words<40>;
/// Larger than a pool block.
pub type Large = Words<900>;

#[repr(align(512))]
pub struct Wide(Words<5>);

impl Pattern for Wide {
    fn new(books: &Arc<Books>) -> Self {
        Self(Words::new(books))
    }

    fn id(&self) -> u64 {
        self.0.id
    }

    fn check(&self) {
        self.0.check();
        if !address(self).is_multiple_of(512) {
            self.0
                .books
                .fault(format!("value {} is not aligned", self.0.id));
        }
    }
}

/// Something that a thread holds on to.
pub trait Held {
    fn check(&self);
    /// Does something with it that leaves it whole.
    fn poke(&mut self, _books: &Arc<Books>, _n: usize) {}
}

/// What may be sent to the other thread.
pub trait Parcel: Send {
    fn arrive(self: Box<Self>) -> Box<dyn Held>;
}

/// A box of one value, whatever box.
pub struct One<B>(pub B);

impl<T: Pattern, B: Deref<Target = T>> Held for One<B> {
    fn check(&self) {
        self.0.check();
    }
}

impl<T: Pattern, B: Deref<Target = T> + Send + 'static> Parcel for One<B> {
    fn arrive(self: Box<Self>) -> Box<dyn Held> {
        self
    }
}

/// A box of many.
pub struct Many<B>(pub B);

impl<T: Pattern, B: Deref<Target = [T]>> Held for Many<B> {
    fn check(&self) {
        self.0.iter().for_each(T::check);
    }
}

pub struct Transferred<T>(pub TransferHandle<T>);

impl<T: Pattern> Parcel for Transferred<T> {
    fn arrive(self: Box<Self>) -> Box<dyn Held> {
        Box::new(One(self.0.receive()))
    }
}

/// A vector, and the ids of what is in it.
pub struct Vector<'a, T>(pub FrameVec<'a, T>, pub Vec<u64>);

impl<T: Pattern> Held for Vector<'_, T> {
    fn check(&self) {
        self.0.iter().for_each(T::check);
        assert!(self.0.iter().map(T::id).eq(self.1.iter().copied()));
    }

    fn poke(&mut self, books: &Arc<Books>, n: usize) {
        let Self(vec, model) = self;
        match n % 6 {
            0 | 1 => {
                let value = T::new(books);
                let id = value.id();
                let full = vec.is_full();
                match vec.try_push(value) {
                    Ok(()) => model.push(id),
                    Err(back) => assert!(full && back.id() == id),
                }
            }
            2 => assert_eq!(vec.pop().map(|value| value.id()), model.pop()),
            3 if !model.is_empty() => {
                let at = n / 6 % model.len();
                assert_eq!(vec.swap_remove(at).id(), model.swap_remove(at));
            }
            4 => {
                let half = model.len() / 2;
                let drained: Vec<_> = vec.drain(half..).map(|value| value.id()).collect();
                assert_eq!(drained, model.split_off(half));
            }
            _ => {
                vec.retain(|value| !value.id().is_multiple_of(3));
                model.retain(|id| !id.is_multiple_of(3));
            }
        }
        self.check();
    }
}

/// A map, and the ids of what is in it.
pub struct Map<'a, T>(pub FrameMap<'a, u64, T>, pub HashMap<u64, u64>);

impl<T: Pattern> Held for Map<'_, T> {
    fn check(&self) {
        assert_eq!(self.0.len(), self.1.len());
        for (key, id) in &self.1 {
            let value = &self.0[key];
            value.check();
            assert_eq!(value.id(), *id);
        }
    }

    fn poke(&mut self, books: &Arc<Books>, n: usize) {
        let Self(map, model) = self;
        let key = (n / 4 % 12) as u64;
        match n % 4 {
            0 | 1 => {
                let value = T::new(books);
                let id = value.id();
                match map.try_insert(key, value) {
                    Ok(old) => assert_eq!(old.map(|v| v.id()), model.insert(key, id)),
                    Err((_, back)) => assert!(map.is_full() && back.id() == id),
                }
            }
            2 => assert_eq!(map.remove(&key).map(|v| v.id()), model.remove(&key)),
            _ => {
                map.retain(|_, value| value.id().is_multiple_of(2));
                model.retain(|_, id| id.is_multiple_of(2));
            }
        }
        self.check();
    }
}

pub struct Retained<'a, T>(pub FrameRetained<'a, T>);

impl<T: Pattern> Held for Retained<'_, T> {
    fn check(&self) {
        self.0.get().check();
    }
}

/// An item of a frame's end, until it is redeemed.
pub enum Item {
    Waits(PromotedAllocation),
    Redeemed(Box<dyn Held>),
    Gone,
}

impl Held for Item {
    fn check(&self) {
        if let Self::Redeemed(held) = self {
            held.check();
        }
    }

    fn poke(&mut self, _: &Arc<Books>, _: usize) {
        // What is in use stays an item; what has another type goes, with its value.
        *self = match std::mem::replace(self, Self::Gone) {
            Self::Waits(item) if item.is_in_use() => Self::Waits(item),
            Self::Waits(PromotedAllocation::Pool { value, .. }) => value
                .downcast::<Middle>()
                .map_or(Self::Gone, |owner| Self::Redeemed(Box::new(One(owner)))),
            Self::Waits(PromotedAllocation::Heap { value, .. }) => value
                .downcast::<Middle>()
                .map_or(Self::Gone, |owner| Self::Redeemed(Box::new(One(owner)))),
            Self::Waits(PromotedAllocation::Scratch { value, .. }) => value
                .downcast::<Middle>()
                .map_or(Self::Gone, |owner| Self::Redeemed(Box::new(One(owner)))),
            Self::Waits(PromotedAllocation::Failed { meta, .. }) => meta
                .value
                .downcast::<Middle>()
                .map_or(Self::Gone, |owner| Self::Redeemed(Box::new(One(owner)))),
            other => other,
        };
        self.check();
    }
}

/// A value that both threads name: in a group or behind a handle.
pub trait Named: Send + Sync {
    /// Holds it, to read or to change it, while `then` runs. It may be gone, or held by the other thread.
    fn hold(&self, handles: &HandleAllocator, change: bool, then: &mut dyn FnMut());
    fn free(&self, _handles: &HandleAllocator) {}
    fn pin(&self, _handles: &HandleAllocator, _then: &mut dyn FnMut()) {}
}

impl<T: Pattern> Named for GroupRef<T> {
    fn hold(&self, _: &HandleAllocator, change: bool, then: &mut dyn FnMut()) {
        if change && let Ok(value) = self.write() {
            then();
            value.check();
        } else if let Ok(value) = self.read() {
            then();
            value.check();
        }
    }
}

impl<T: Pattern> Named for framealloc::Handle<T> {
    fn hold(&self, handles: &HandleAllocator, change: bool, then: &mut dyn FnMut()) {
        if change && let Ok(value) = handles.resolve_mut(*self) {
            then();
            value.check();
        } else if let Ok(value) = handles.resolve(*self) {
            let place = address(&*value);
            then();
            value.check();
            assert_eq!(address(&*value), place);
        }
    }

    fn free(&self, handles: &HandleAllocator) {
        let _ = handles.free(*self);
    }

    fn pin(&self, handles: &HandleAllocator, then: &mut dyn FnMut()) {
        if handles.try_pin(*self).is_ok() {
            let place = handles.resolve(*self).map(|value| address(&*value));
            then();
            let now = handles.resolve(*self).map(|value| address(&*value));
            if let (Ok(place), Ok(now)) = (place, now) {
                assert_eq!(place, now, "a pinned value has moved");
            }
            handles.try_unpin(*self).unwrap();
        }
    }
}

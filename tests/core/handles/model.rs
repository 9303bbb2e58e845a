//! Sequences of operations, checked against a model of plain collections.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;

use framealloc::{Handle, HandleAllocator, HandleError};
use proptest::prelude::*;

use super::Live;
use crate::common::*;

#[derive(Debug, Clone)]
enum Op {
    /// Stores a value of one of several sizes.
    Store(usize),
    Free(usize),
    Take(usize),
    Read(usize),
    EndRead(usize),
    Write(usize),
    EndWrite(usize),
    Pin(usize),
    Unpin(usize),
    Defragment,
    Step(usize),
    Check,
}

fn op() -> impl Strategy<Value = Op> {
    let any = any::<usize>();
    prop_oneof![
        20 => any.prop_map(Op::Store),
        12 => any.prop_map(Op::Free),
        2 => any.prop_map(Op::Take),
        4 => any.prop_map(Op::Read),
        4 => any.prop_map(Op::EndRead),
        3 => any.prop_map(Op::Write),
        4 => any.prop_map(Op::EndWrite),
        2 => any.prop_map(Op::Pin),
        3 => any.prop_map(Op::Unpin),
        1 => Just(Op::Defragment),
        1 => (0..5000_usize).prop_map(Op::Step),
        1 => Just(Op::Check),
    ]
}

/// What a value of any type is asked.
trait Value: Send + Sync + 'static {
    fn new(stamp: u64, live: Live) -> Self;
    fn set(&mut self, stamp: u64);
    fn holds(&self, stamp: u64) -> bool;
}

struct Words<const WORDS: usize>([u64; WORDS], #[expect(dead_code)] Live);

impl<const WORDS: usize> Value for Words<WORDS> {
    fn new(stamp: u64, live: Live) -> Self {
        Self([stamp; WORDS], live)
    }

    fn set(&mut self, stamp: u64) {
        self.0 = [stamp; WORDS];
    }

    fn holds(&self, stamp: u64) -> bool {
        self.0.iter().all(|word| *word == stamp) && address(self).is_multiple_of(align_of::<Self>())
    }
}

#[repr(align(256))]
struct Aligned(Words<3>);

impl Value for Aligned {
    fn new(stamp: u64, live: Live) -> Self {
        Self(Words::new(stamp, live))
    }

    fn set(&mut self, stamp: u64) {
        self.0.set(stamp);
    }

    fn holds(&self, stamp: u64) -> bool {
        self.0.holds(stamp) && address(self).is_multiple_of(256)
    }
}

/// A handle of any of these types.
trait AnyHandle {
    fn free(&self, handles: &HandleAllocator) -> Result<(), HandleError>;
    fn take(&self, handles: &HandleAllocator, stamp: u64) -> Result<(), HandleError>;
    fn read<'a>(&self, handles: &'a HandleAllocator) -> Result<Box<dyn Check + 'a>, HandleError>;
    fn write<'a>(
        &self,
        handles: &'a HandleAllocator,
        stamp: u64,
    ) -> Result<Box<dyn Check + 'a>, HandleError>;
    fn pin(&self, handles: &HandleAllocator) -> Result<(), HandleError>;
    fn unpin(&self, handles: &HandleAllocator) -> Result<(), HandleError>;
    fn is_valid(&self, handles: &HandleAllocator) -> bool;
}

impl<T: Value> AnyHandle for Handle<T> {
    fn free(&self, handles: &HandleAllocator) -> Result<(), HandleError> {
        handles.free(*self)
    }

    fn take(&self, handles: &HandleAllocator, stamp: u64) -> Result<(), HandleError> {
        handles.take(*self).map(|value| assert!(value.holds(stamp)))
    }

    fn read<'a>(&self, handles: &'a HandleAllocator) -> Result<Box<dyn Check + 'a>, HandleError> {
        Ok(Box::new(handles.resolve(*self)?))
    }

    fn write<'a>(
        &self,
        handles: &'a HandleAllocator,
        stamp: u64,
    ) -> Result<Box<dyn Check + 'a>, HandleError> {
        let mut value = handles.resolve_mut(*self)?;
        value.set(stamp);
        Ok(Box::new(value))
    }

    fn pin(&self, handles: &HandleAllocator) -> Result<(), HandleError> {
        handles.try_pin(*self)
    }

    fn unpin(&self, handles: &HandleAllocator) -> Result<(), HandleError> {
        handles.try_unpin(*self)
    }

    fn is_valid(&self, handles: &HandleAllocator) -> bool {
        handles.is_valid(*self)
    }
}

/// A guard of any of these types.
trait Check {
    fn holds(&self, stamp: u64) -> bool;
    fn address(&self) -> usize;
}

impl<T: Value, G: std::ops::Deref<Target = T>> Check for G {
    fn holds(&self, stamp: u64) -> bool {
        Value::holds(&**self, stamp)
    }

    fn address(&self) -> usize {
        address(&**self)
    }
}

/// A value of the model.
struct Kept {
    handle: Box<dyn AnyHandle>,
    stamp: u64,
    alive: bool,
    readers: usize,
    written: bool,
    pins: usize,
    /// Where it was when it was pinned or borrowed first.
    at: usize,
}

impl Kept {
    fn in_use(&self) -> bool {
        self.readers > 0 || self.written
    }

    /// What the model says of freeing it.
    fn freed(&self) -> Result<(), HandleError> {
        match self {
            Self { alive: false, .. } => Err(HandleError::Freed),
            _ if self.in_use() => Err(HandleError::AlreadyBorrowed),
            _ if self.pins > 0 => Err(HandleError::Pinned),
            _ => Ok(()),
        }
    }
}

/// Runs operations beside a model of plain collections. `alone` tells whether nobody else uses the allocator.
fn run(handles: &HandleAllocator, ops: &[Op], salt: u64, alone: bool) {
    let count = Arc::new(AtomicUsize::new(0));
    let mut kept: Vec<Kept> = Vec::new();
    let mut reads: Vec<(usize, Box<dyn Check + '_>)> = Vec::new();
    let mut writes: Vec<(usize, Box<dyn Check + '_>)> = Vec::new();
    let mut stamp = salt << 32;
    for op in ops {
        stamp += 1;
        match *op {
            Op::Store(size) => {
                fn store<T: Value>(
                    handles: &HandleAllocator,
                    stamp: u64,
                    live: Live,
                ) -> Box<dyn AnyHandle> {
                    Box::new(handles.insert(T::new(stamp, live)).unwrap())
                }
                let store = match size % 8 {
                    0..3 => store::<Words<40>>,
                    3..5 => store::<Words<300>>,
                    5 => store::<Words<2500>>,
                    6 => store::<Aligned>,
                    _ => store::<Words<0>>,
                };
                kept.push(Kept {
                    handle: store(handles, stamp, Live::new(&count)),
                    stamp,
                    alive: true,
                    readers: 0,
                    written: false,
                    pins: 0,
                    at: 0,
                });
            }
            Op::Defragment => {
                let before = handles.relocation_count();
                let moves = handles.defragment();
                if alone {
                    assert_eq!(handles.relocation_count() - before, moves as u64);
                    assert_eq!(handles.defragment(), 0);
                }
            }
            Op::Step(bytes) => {
                handles.defragment_step(bytes);
            }
            Op::EndRead(r) if !reads.is_empty() => {
                let (index, guard) = reads.swap_remove(r % reads.len());
                assert!(guard.holds(kept[index].stamp));
                kept[index].readers -= 1;
            }
            Op::EndWrite(w) if !writes.is_empty() => {
                let (index, guard) = writes.swap_remove(w % writes.len());
                assert!(guard.holds(kept[index].stamp));
                kept[index].written = false;
            }
            Op::Free(n) | Op::Take(n) if !kept.is_empty() => {
                let index = n % kept.len();
                let value = &mut kept[index];
                let outcome = match op {
                    Op::Free(_) => value.handle.free(handles),
                    _ => value.handle.take(handles, value.stamp),
                };
                assert_eq!(outcome, value.freed());
                value.alive &= outcome.is_err();
            }
            Op::Read(n) | Op::Write(n) if !kept.is_empty() => {
                let index = n % kept.len();
                let value = &mut kept[index];
                let writes_it = matches!(op, Op::Write(_));
                let outcome = match op {
                    Op::Read(_) => value.handle.read(handles),
                    _ => value.handle.write(handles, stamp),
                };
                let expected = match value {
                    Kept { alive: false, .. } => Err(HandleError::Freed),
                    Kept { written: true, .. } => Err(HandleError::AlreadyBorrowed),
                    Kept { readers: 1.., .. } if writes_it => Err(HandleError::AlreadyBorrowed),
                    _ => Ok(()),
                };
                assert_eq!(outcome.as_ref().map(drop).map_err(|error| *error), expected);
                if let Ok(guard) = outcome {
                    if value.in_use() || value.pins > 0 {
                        assert!(
                            value.at == 0 || guard.address() == value.at,
                            "moved while in use"
                        );
                    }
                    value.at = guard.address();
                    if writes_it {
                        value.written = true;
                        value.stamp = stamp;
                        writes.push((index, guard));
                    } else {
                        assert!(guard.holds(value.stamp));
                        value.readers += 1;
                        reads.push((index, guard));
                    }
                }
            }
            Op::Pin(n) if !kept.is_empty() => {
                let index = n % kept.len();
                let value = &mut kept[index];
                let expected = value.alive.then_some(()).ok_or(HandleError::Freed);
                assert_eq!(value.handle.pin(handles), expected);
                if value.alive {
                    if value.pins == 0 && !value.in_use() {
                        // Wherever it is now, it stays.
                        value.at = value
                            .handle
                            .read(handles)
                            .map_or(0, |guard| guard.address());
                    }
                    value.pins += 1;
                }
            }
            Op::Unpin(n) if !kept.is_empty() => {
                let index = n % kept.len();
                let value = &mut kept[index];
                let expected = match value {
                    Kept { alive: false, .. } => Err(HandleError::Freed),
                    Kept { pins: 0, .. } => Err(HandleError::NotPinned),
                    _ => Ok(()),
                };
                assert_eq!(value.handle.unpin(handles), expected);
                value.pins -= usize::from(expected.is_ok());
            }
            Op::Check => {
                for value in &kept {
                    assert_eq!(value.handle.is_valid(handles), value.alive);
                    if let Ok(guard) = value.handle.read(handles) {
                        assert!(guard.holds(value.stamp));
                    }
                }
                let pinned = kept
                    .iter()
                    .filter(|value| value.alive && value.pins > 0)
                    .count();
                let stats = handles.stats();
                if alone {
                    assert_eq!(stats.pinned_count as usize, pinned);
                    assert_eq!(
                        stats.active_handles as usize,
                        kept.iter().filter(|v| v.alive).count()
                    );
                }
                assert!(stats.segment_live_bytes <= stats.segment_bytes);
            }
            _ => {}
        }
        assert_eq!(
            count.load(Relaxed),
            kept.iter().filter(|value| value.alive).count()
        );
    }
    drop((reads, writes));
    for value in &mut kept {
        (0..value.pins).for_each(|_| value.handle.unpin(handles).unwrap());
        if value.alive {
            value.handle.free(handles).unwrap();
        }
    }
    assert_eq!(count.load(Relaxed), 0);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_sequence_of_operations_agrees_with_a_plain_model(ops in prop::collection::vec(op(), 1..800)) {
        let handles = HandleAllocator::new();
        reported(|| run(&handles, &ops, 0, true));
        handles.defragment();
        prop_assert_eq!(handles.stats().reserved_bytes(), 0);
    }

    #[test]
    fn threads_with_values_of_their_own_do_not_disturb_each_other(
        sequences in prop::collection::vec(prop::collection::vec(op(), 1..300), 3)
    ) {
        let handles = HandleAllocator::new();
        thread::scope(|scope| {
            for (salt, ops) in sequences.iter().enumerate() {
                let handles = &handles;
                scope.spawn(move || reported(|| run(handles, ops, salt as u64, false)));
            }
        });
        handles.defragment();
        let stats = handles.stats();
        prop_assert_eq!((stats.reserved_bytes(), stats.active_handles, stats.pinned_count), (0, 0, 0));
    }
}

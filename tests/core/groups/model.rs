//! Sequences of operations, checked against a model of plain collections.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;

use framealloc::{GroupAllocator, GroupError, GroupId, GroupRef};
use proptest::prelude::*;

use super::Live;
use crate::common::*;

#[derive(Debug, Clone)]
enum Op {
    Create,
    /// Stores a value, or a slice of so many, in a group.
    Store(usize, usize),
    Free(usize),
    Read(usize),
    Write(usize),
    EndRead(usize),
    EndWrite(usize),
    Forget(usize),
    Stats,
}

fn op() -> impl Strategy<Value = Op> {
    let any = any::<usize>();
    prop_oneof![
        2 => Just(Op::Create),
        8 => (any, prop_oneof![4 => 0..6_usize, 1 => 0..400_usize]).prop_map(|(g, n)| Op::Store(g, n)),
        1 => any.prop_map(Op::Free),
        5 => any.prop_map(Op::Read),
        3 => any.prop_map(Op::Write),
        5 => any.prop_map(Op::EndRead),
        3 => any.prop_map(Op::EndWrite),
        1 => any.prop_map(Op::Forget),
        1 => Just(Op::Stats),
    ]
}

/// A value of the model: what it holds, who uses it, and whether its group is there.
struct Stored {
    group: usize,
    value: &'static GroupRef<[Live]>,
    stamp: u64,
    len: usize,
    readers: usize,
    written: bool,
}

/// What is stored and borrowed, kept beside it in plain collections.
fn run(groups: &GroupAllocator, ops: &[Op], salt: u64) {
    let count = Arc::new(AtomicUsize::new(0));
    let mut ids: Vec<(GroupId, bool)> = Vec::new();
    let mut stored: Vec<Stored> = Vec::new();
    let mut reads = Vec::new();
    let mut writes = Vec::new();
    let mut stamp = salt << 32;
    for op in ops {
        stamp += 1;
        match *op {
            Op::Create => ids.push((groups.create_group(format!("group {}", ids.len())), true)),
            Op::Store(g, len) if !ids.is_empty() => {
                let group = g % ids.len();
                let (id, exists) = ids[group];
                let values: Vec<_> = (0..len).map(|_| Live::new(&count, stamp)).collect();
                match groups.try_alloc_vec(id, values) {
                    Ok(value) => {
                        assert!(exists);
                        // References are leaked and collected below, so that guards can be kept in vectors.
                        let value = Box::leak(Box::new(value));
                        stored.push(Stored {
                            group,
                            value,
                            stamp,
                            len,
                            readers: 0,
                            written: false,
                        });
                    }
                    Err(refused) => {
                        assert!(!exists);
                        assert_eq!(refused.value.len(), len);
                    }
                }
            }
            Op::Free(g) if !ids.is_empty() => {
                let group = g % ids.len();
                let freed = groups.try_free_group(ids[group].0);
                let expected: Vec<_> = stored.iter().filter(|value| value.group == group).collect();
                match freed {
                    Ok(freed) => {
                        assert!(std::mem::replace(&mut ids[group].1, false));
                        assert_eq!(freed.values, expected.len());
                        let lens: usize = expected.iter().map(|value| value.len).sum();
                        assert_eq!(freed.bytes, lens * size_of::<Live>());
                    }
                    Err(error) => {
                        assert!(!ids[group].1);
                        assert_eq!(error, GroupError::Unknown(ids[group].0));
                    }
                }
            }
            Op::Read(v) if !stored.is_empty() => {
                let index = v % stored.len();
                let value = &mut stored[index];
                match value.value.read() {
                    Ok(guard) => {
                        assert!(ids[value.group].1 && !value.written);
                        value.readers += 1;
                        reads.push((index, guard));
                    }
                    Err(GroupError::Freed) => assert!(!ids[value.group].1),
                    Err(error) => assert!(value.written && error == GroupError::AlreadyBorrowed),
                }
            }
            Op::Write(v) if !stored.is_empty() => {
                let index = v % stored.len();
                let value = &mut stored[index];
                match value.value.write() {
                    Ok(mut guard) => {
                        assert!(ids[value.group].1 && !value.written && value.readers == 0);
                        value.written = true;
                        value.stamp = stamp;
                        guard.iter_mut().for_each(|live| live.1 = stamp);
                        writes.push((index, guard));
                    }
                    Err(GroupError::Freed) => assert!(!ids[value.group].1),
                    Err(error) => {
                        assert_eq!(error, GroupError::AlreadyBorrowed);
                        assert!(value.written || value.readers > 0);
                    }
                }
            }
            Op::EndRead(r) if !reads.is_empty() => {
                let (index, guard) = reads.swap_remove(r % reads.len());
                assert!(guard.iter().all(|live| live.1 == stored[index].stamp));
                assert_eq!(guard.len(), stored[index].len);
                stored[index].readers -= 1;
            }
            Op::EndWrite(w) if !writes.is_empty() => {
                let (index, guard) = writes.swap_remove(w % writes.len());
                assert!(guard.iter().all(|live| live.1 == stored[index].stamp));
                stored[index].written = false;
            }
            Op::Forget(v) if !stored.is_empty() => {
                // A clone comes and goes; nothing depends on it.
                drop(stored[v % stored.len()].value.clone());
            }
            Op::Stats => {
                for (group, (id, exists)) in ids.iter().enumerate() {
                    let values: Vec<_> =
                        stored.iter().filter(|value| value.group == group).collect();
                    let expected = if *exists { values.len() } else { 0 };
                    assert_eq!(groups.group_count(*id), expected);
                    assert_eq!(groups.group_exists(*id), *exists);
                }
            }
            _ => {}
        }
        let live: usize = stored
            .iter()
            .filter(|value| ids[value.group].1 || value.written || value.readers > 0)
            .map(|value| value.len)
            .sum();
        assert_eq!(count.load(Relaxed), live);
    }
    for (id, exists) in ids {
        if exists {
            groups.free_group(id);
        }
    }
    drop((reads, writes));
    assert_eq!(count.load(Relaxed), 0);
    for value in stored {
        assert!(!value.value.is_live());
        drop(collect(value.value));
    }
}

/// Takes back what was leaked for the model's guards, which are gone.
#[expect(
    unsafe_code,
    reason = "the reference came from a box, and nothing borrows it any more"
)]
fn collect<T>(leaked: &'static T) -> Box<T> {
    // SAFETY: see above.
    unsafe { Box::from_raw(std::ptr::from_ref(leaked).cast_mut()) }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_sequence_of_operations_agrees_with_a_plain_model(ops in prop::collection::vec(op(), 1..300)) {
        let groups = GroupAllocator::new();
        reported(|| run(&groups, &ops, 0));
        prop_assert_eq!(groups.stats(), Default::default());
    }

    #[test]
    fn threads_with_groups_of_their_own_do_not_disturb_each_other(
        sequences in prop::collection::vec(prop::collection::vec(op(), 1..150), 3)
    ) {
        let groups = GroupAllocator::new();
        thread::scope(|scope| {
            for (salt, ops) in sequences.iter().enumerate() {
                let groups = &groups;
                scope.spawn(move || reported(|| run(groups, ops, salt as u64)));
            }
        });
        prop_assert_eq!(groups.stats(), Default::default());
    }
}

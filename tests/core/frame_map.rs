//! Hash maps of fixed capacity in frame memory.

use std::cell::Cell;
use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasherDefault, Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};

use framealloc::collections::map::Entry;
use framealloc::{AllocErrorKind, FrameMap, SmartAlloc};
use proptest::prelude::*;

use crate::common::*;
use crate::for_every_alignment;
use crate::frame_vec::{Tracked, panic_of};

#[test]
fn a_map_made_for_n_entries_holds_n_and_updates_them_when_it_is_full() {
    let alloc = small();
    alloc.begin_frame();
    for capacity in (0..130).chain([1000, 7000]) {
        let mut map = alloc.frame_map::<u64, u64>(capacity);
        assert_eq!((map.capacity(), map.remaining()), (capacity, capacity));
        for n in 0..capacity as u64 {
            assert_eq!(map.insert(n, n), None);
        }
        assert!(map.is_full());
        assert_eq!(map.try_insert(1 << 40, 7), Err((1 << 40, 7)));
        for n in 0..capacity as u64 {
            assert_eq!(map.insert(n, n + 1), Some(n));
            *map.entry(n).or_insert(0) += 1;
        }
        assert!(
            map.iter()
                .map(|(k, v)| (*k, *v))
                .eq((0..capacity as u64).map(|n| (n, n + 2)))
        );
        assert_eq!(map.get(&(1 << 40)), None);
        assert_eq!(map.remove(&(1 << 40)), None);
        assert_eq!(map.capacity(), capacity);
    }
    let ((), codes) = reported(|| alloc.end_frame());
    assert_eq!(codes, []);
}

#[test]
fn a_map_for_nothing_needs_no_frame() {
    let alloc = small();
    let mut map = alloc.frame_map::<String, u32>(0);
    assert!(map.is_full() && map.is_empty());
    assert_eq!(map.get("a"), None);
    assert_eq!(map.remove("a"), None);
    assert_eq!(map.try_insert("a".to_owned(), 1), Err(("a".to_owned(), 1)));
    assert_eq!(
        map.entry("b".to_owned()).try_or_insert(1),
        Err(("b".to_owned(), 1))
    );
    map.clear();
    map.retain(|_, _| true);
    assert_eq!(map.drain().len(), 0);
}

#[test]
fn what_cannot_be_had_is_an_error_or_a_panic_with_its_code() {
    let alloc = small();
    let refused = |capacity| {
        let (map, codes) = reported(|| alloc.try_frame_map::<u64, u64>(capacity));
        (map.unwrap_err().kind(), codes)
    };
    assert_eq!(refused(1), (AllocErrorKind::NoFrame, vec![FA001]));
    alloc.begin_frame();
    for capacity in [usize::MAX, isize::MAX as usize, 1 << 33] {
        assert_eq!(
            refused(capacity),
            (AllocErrorKind::CapacityOverflow, vec![FA004])
        );
    }
    assert_eq!(
        refused(10 << 20),
        (AllocErrorKind::ArenaExhausted, vec![FA003])
    );
    // The entries fit, and the table does not.
    let fits = (1..).find(|n| refused_at(&alloc, n << 12)).unwrap() << 12;
    for capacity in (fits - (1 << 12)..fits).step_by(64) {
        let (map, codes) = reported(|| alloc.try_frame_map::<u64, u64>(capacity));
        match map {
            Ok(map) => assert_eq!((map.capacity(), codes), (capacity, vec![])),
            Err(error) => {
                assert_eq!(
                    (error.kind(), codes),
                    (AllocErrorKind::ArenaExhausted, vec![FA003])
                );
            }
        }
    }
    let text = panic_of(|| drop(reported(|| alloc.frame_map::<u64, u64>(10 << 20))));
    assert!(text.contains("FA003"));
    assert_eq!(alloc.frame_map::<u64, u64>(100).capacity(), 100);
    let ((), codes) = reported(|| alloc.end_frame());
    assert_eq!((codes, retired(&alloc)), (vec![], 0));
}

fn refused_at(alloc: &SmartAlloc, capacity: usize) -> bool {
    reported(|| alloc.try_frame_map::<u64, u64>(capacity).is_err()).0
}

#[test]
fn an_insert_past_the_capacity_says_what_to_do_and_drops_key_and_value_once() {
    let alloc = small();
    let live = Cell::new(0);
    alloc.begin_frame();
    let mut map = alloc.frame_map(1);
    map.insert(1, Tracked::new(1, &live));
    for overfill in [
        (|map, value| drop(map.insert(2, value))) as fn(&mut FrameMap<_, _>, _),
        |map, value| _ = map.entry(2).or_insert(value),
        |map, value| _ = map.entry(2).or_insert_with(|| value),
        |map, value| map.extend([(2, value)]),
    ] {
        let text = panic_of(|| overfill(&mut map, Tracked::new(2, &live)));
        assert!(
            text.contains("map of capacity 1") && text.contains("try_insert"),
            "{text}"
        );
        assert_eq!((live.get(), map.len()), (1, 1));
    }
    let rest = map.try_extend([(1, 5), (2, 6), (3, 7)].map(|(k, n)| (k, Tracked::new(n, &live))));
    assert!(
        rest.unwrap_err()
            .map(|(key, value)| (key, value.0))
            .eq([(2, 6), (3, 7)])
    );
    assert_eq!(map[&1].0, 5);
    drop(map);
    assert_eq!(live.get(), 0);
    alloc.end_frame();
}

#[test]
fn a_map_kept_past_its_frame_stays_valid_and_is_changed_for_ever_without_new_memory() {
    let alloc = small();
    alloc.begin_frame();
    // All counts of entries, so that some tables are as full as they may be.
    let mut maps: Vec<_> = [1, 2, 3, 7, 28, 56, 57, 112, 113, 500]
        .map(|capacity| alloc.frame_map::<u32, String>(capacity))
        .into();
    let ((), codes) = reported(|| alloc.end_frame());
    assert_eq!(codes, [FA002]);
    // From here on no frame is open: whatever asked for memory would be refused, and report that.
    let ((), codes) = reported(|| {
        for map in &mut maps {
            let capacity = map.capacity() as u32;
            for n in 0..60 * capacity {
                if map.is_full() {
                    assert_eq!(
                        map.remove(&(n - capacity)).unwrap(),
                        (n - capacity).to_string()
                    );
                }
                map.insert(n, n.to_string());
            }
            assert!(map.is_full());
            // Emptied and filled, with keys that it never had.
            for n in 60 * capacity..90 * capacity {
                if map.is_full() {
                    let keys: Vec<u32> = map.keys().copied().collect();
                    keys.iter().for_each(|key| drop(map.remove(key)));
                    assert!(map.is_empty());
                }
                map.insert(n, n.to_string());
            }
        }
    });
    assert_eq!(codes, []);
    busy_frames(&alloc, 2);
    for map in &maps {
        assert!(
            map.iter()
                .all(|(key, text)| *text == key.to_string() && map[key] == *text)
        );
    }
    drop(maps);
    assert_eq!(retired(&alloc), 0);
}

#[test]
fn a_map_that_is_emptied_again_and_again_fills_up_with_nothing() {
    /// Its first number is its hash.
    #[derive(PartialEq, Eq)]
    struct Key(u64, u32);
    impl Hash for Key {
        fn hash<H: Hasher>(&self, state: &mut H) {
            state.write_u64(self.0);
        }
    }
    let alloc = small();
    alloc.begin_frame();
    let hasher = BuildHasherDefault::<Plain>::default();
    let mut map = alloc.frame_map_with_hasher(60, hasher);
    reported(|| alloc.end_frame());
    // Each time another stretch of the table is crowded, which marks it when it is left.
    for round in 0..200 {
        map.extend((0..28).map(|n| (Key(round * 28, n), n)));
        for n in 0..28 {
            assert_eq!(map.remove(&Key(round * 28, n)), Some(n));
        }
        assert!(map.is_empty());
    }
}

#[test]
fn every_alignment_is_kept() {
    with_a_large_stack(|| {
        let alloc = SmartAlloc::new(minimal().with_max_frame_arena_size(1 << 30));
        alloc.begin_frame();
        macro_rules! check {
            ($t:ident) => {
                let mut map = alloc.frame_map(3);
                map.extend((0..3).map(|n| (n, $t(n))));
                for (key, value) in &map {
                    assert_eq!(address(value) % align_of::<$t>(), 0, stringify!($t));
                    assert_eq!(value.0, *key);
                }
                drop(map);
            };
        }
        for_every_alignment!(check);
        let mut set = alloc.frame_map::<(), ()>(9);
        assert_eq!(
            (set.insert((), ()), set.insert((), ()), set.len()),
            (None, Some(()), 1)
        );
        drop(set);
        let ((), codes) = reported(|| alloc.end_frame());
        assert_eq!(codes, []);
    });
}

#[test]
fn entries_are_in_the_order_of_their_insertion() {
    let alloc = small();
    alloc.begin_frame();
    let mut map = alloc.frame_map(8);
    map.extend(
        ["d", "a", "c", "b", "e", "f"]
            .iter()
            .zip(&[1, 2, 3, 4, 5, 6]),
    );
    map.retain(|_, n| *n != 2);
    assert!(map.keys().copied().eq(["d", "c", "b", "e", "f"]));
    assert_eq!(map.remove("c"), Some(3));
    assert!(map.values().copied().eq([1, 6, 4, 5]));
    assert!(map.iter().rev().map(|(k, _)| *k).eq(["e", "b", "f", "d"]));
    assert_eq!(format!("{map:?}"), r#"{"d": 1, "f": 6, "b": 4, "e": 5}"#);
    map.values_mut().for_each(|n| *n *= 2);
    for (_, n) in &mut map {
        *n += 1;
    }
    assert_eq!(map.iter().len(), 4);
    assert_eq!(map.get_key_value("e"), Some((&"e", &11)));
    assert_eq!(map.into_iter().next_back(), Some(("e", 11)));
    alloc.end_frame();
}

#[test]
fn iterators_drop_what_they_do_not_yield() {
    let alloc = small();
    let live = Cell::new(0);
    alloc.begin_frame();
    let filled = || {
        let mut map = alloc.frame_map(6);
        map.extend((0..6).map(|n| (n, Tracked::new(n, &live))));
        map
    };
    let mut entries = filled().into_iter();
    assert_eq!(
        entries.next().map(|(key, value)| (key, value.0)),
        Some((0, 0))
    );
    assert_eq!((entries.len(), live.get()), (5, 5));
    drop(entries);
    assert!(filled().into_keys().eq(0..6));
    assert_eq!(
        filled().into_values().next_back().map(|value| value.0),
        Some(5)
    );
    assert_eq!(live.get(), 0);
    let mut map = filled();
    drop(map.drain().next());
    assert!(map.is_empty() && live.get() == 0 && map.get(&3).is_none());
    map.extend((0..6).map(|n| (n, Tracked::new(n, &live))));
    std::mem::forget(map.drain());
    assert!(map.is_empty() && map.get(&3).is_none());
    map.extend((0..6).map(|n| (n, Tracked::new(n, &live))));
    map.clear();
    assert_eq!(live.get(), 6);
    drop(map);
    alloc.end_frame();
}

#[test]
fn an_entry_is_looked_at_filled_changed_and_emptied() {
    let alloc = small();
    alloc.begin_frame();
    let mut map = alloc.frame_map::<_, u32>(3);
    assert_eq!(*map.entry("a").or_default(), 0);
    assert_eq!(*map.entry("a").and_modify(|n| *n += 5).or_insert(9), 5);
    assert_eq!(
        *map.entry("bcd").or_insert_with_key(|key| key.len() as u32),
        3
    );
    assert_eq!(map.entry("e").key(), &"e");
    match map.entry("a") {
        Entry::Occupied(mut entry) => {
            assert_eq!((*entry.key(), *entry.get(), entry.insert(7)), ("a", 5, 5));
            *entry.get_mut() += 1;
            assert_eq!(entry.remove_entry(), ("a", 8));
        }
        Entry::Vacant(_) => unreachable!(),
    }
    match map.entry("f") {
        Entry::Vacant(entry) => {
            assert_eq!(format!("{entry:?}"), r#"VacantEntry("f")"#);
            *entry.insert(1) += 1;
        }
        Entry::Occupied(_) => unreachable!(),
    }
    map.insert("g", 4);
    match map.entry("h") {
        Entry::Vacant(entry) => assert_eq!(entry.try_insert(1), Err(("h", 1))),
        Entry::Occupied(_) => unreachable!(),
    }
    let Entry::Occupied(entry) = map.entry("bcd") else {
        unreachable!()
    };
    assert_eq!(entry.remove(), 3);
    assert!(map.iter().eq([(&"g", &4), (&"f", &2)]));
    assert_eq!(
        (map["f"], map.contains_key("bcd"), map.get_mut("g")),
        (2, false, Some(&mut 4))
    );
    panics(|| map["bcd"]);
    drop(map);
    alloc.end_frame();
}

#[test]
fn maps_are_equal_whatever_their_order_and_hashers() {
    let alloc = small();
    alloc.begin_frame();
    let mut a = alloc.frame_map(4);
    let mut b = alloc.frame_map_with_hasher(3, RandomState::new());
    a.extend([(1, "x"), (2, "y")]);
    b.extend([(2, "y"), (1, "x")]);
    assert_eq!(a, b);
    b.insert(3, "z");
    assert_ne!(a, b);
    a.insert(4, "z");
    assert_ne!(a, b);
    drop((a, b));
    alloc.end_frame();
}

#[test]
fn an_existing_key_is_kept_when_its_value_changes() {
    #[derive(Debug)]
    struct Name(&'static str, u32);
    impl PartialEq for Name {
        fn eq(&self, other: &Self) -> bool {
            self.0 == other.0
        }
    }
    impl Eq for Name {}
    impl Hash for Name {
        fn hash<H: Hasher>(&self, state: &mut H) {
            self.0.hash(state);
        }
    }
    let alloc = small();
    alloc.begin_frame();
    let mut map = alloc.frame_map(2);
    map.insert(Name("a", 1), 'x');
    map.insert(Name("a", 2), 'y');
    map.insert(Name("b", 3), 'z');
    map.insert(Name("a", 4), 'w');
    assert!(
        map.iter()
            .map(|(name, c)| (name.1, *c))
            .eq([(1, 'w'), (3, 'z')])
    );
    drop(map);
    alloc.end_frame();
}

thread_local! {
    /// Calls of `Fragile`'s functions that are left before one panics.
    static CALLS: Cell<usize> = const { Cell::new(usize::MAX) };
}

fn fragile() {
    let left = CALLS.get();
    CALLS.set(left.wrapping_sub(1));
    assert!(left != 0, "a call too many");
}

/// A key whose hash, comparisons and destructor may panic, and whose hashes collide.
struct Fragile<'c>(Tracked<'c>);

impl PartialEq for Fragile<'_> {
    fn eq(&self, other: &Self) -> bool {
        fragile();
        self.0 == other.0
    }
}

impl Eq for Fragile<'_> {}

impl Hash for Fragile<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        fragile();
        (self.0.0 % 3).hash(state);
    }
}

impl Drop for Fragile<'_> {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            fragile();
        }
    }
}

#[test]
fn a_hasher_a_comparison_or_a_destructor_that_panics_leaves_the_map_whole() {
    let alloc = small();
    alloc.begin_frame();
    let live = Cell::new(0);
    let key = |n| Fragile(Tracked::new(n, &live));
    for calls in 0..120 {
        let mut map = alloc.frame_map_with_hasher(12, BuildHasherDefault::<Plain>::default());
        CALLS.set(calls);
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            for n in 0..12 {
                map.insert(key(n), n);
            }
            map.entry(key(3)).or_insert(5);
            map.insert(key(4), 4);
            map.remove(&key(5));
            map.retain(|key, _| {
                fragile();
                key.0.0 % 4 != 1
            });
            map.remove(&key(2));
            map.insert(key(13), 13);
            drop(map.drain().next());
            map.insert(key(14), 14);
            map.clear();
            map.insert(key(15), 15);
        }));
        CALLS.set(usize::MAX);
        if calls < 60 {
            assert!(outcome.is_err());
        }
        // Every entry is found by its key, no more are there, and nobody else lives.
        assert_eq!(live.get() as usize, map.len(), "after {calls} calls");
        let keys: Vec<u8> = map.keys().map(|key| key.0.0).collect();
        for n in &keys {
            assert_eq!(map.get(&key(*n)), Some(n));
        }
        for n in &keys {
            assert_eq!(map.remove(&key(*n)), Some(*n));
        }
        assert!(map.is_empty());
        map.extend((0..12).map(|n| (key(n), n)));
        drop(map);
        assert_eq!(live.get(), 0);
    }
    let ((), codes) = reported(|| alloc.end_frame());
    assert_eq!(codes, []);
}

/// Keys that are equal to nothing, and hash as they like: wrong, and harmless.
#[test]
fn keys_without_sense_do_no_harm() {
    thread_local! {
        static DICE: Cell<u64> = const { Cell::new(1) };
    }
    fn dice() -> u64 {
        DICE.set(
            DICE.get()
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1),
        );
        DICE.get() >> 33
    }
    struct Senseless;
    impl PartialEq for Senseless {
        fn eq(&self, _: &Self) -> bool {
            dice().is_multiple_of(5)
        }
    }
    impl Eq for Senseless {}
    impl Hash for Senseless {
        fn hash<H: Hasher>(&self, state: &mut H) {
            state.write_u64(dice() % 4);
        }
    }
    let alloc = small();
    alloc.begin_frame();
    let live = Cell::new(0);
    let mut map = alloc.frame_map(9);
    for n in 0..3000 {
        match dice() % 5 {
            0 => drop(map.remove(&Senseless)),
            1 => map.retain(|_, _| !dice().is_multiple_of(3)),
            2 => drop(
                map.entry(Senseless)
                    .try_or_insert(Tracked::new(n as u8, &live))
                    .is_ok(),
            ),
            _ => drop(map.try_insert(Senseless, Tracked::new(n as u8, &live))),
        }
        assert_eq!(live.get() as usize, map.len());
    }
    drop(map);
    assert_eq!(live.get(), 0);
    let ((), codes) = reported(|| alloc.end_frame());
    assert_eq!(codes, []);
}

/// A hasher that returns the number that it is given: collisions are the test's choice.
#[derive(Default)]
struct Plain(u64);

impl Hasher for Plain {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0 << 8 | u64::from(*byte);
        }
    }

    fn write_u64(&mut self, n: u64) {
        self.0 = n;
    }
}

#[derive(Debug, Clone)]
enum Op {
    Insert(u8, u8),
    TryInsert(u8, u8),
    Remove(u8),
    RemoveEntry(u8),
    Get(u8),
    OrInsert(u8, u8),
    Modify(u8),
    EntryRemove(u8),
    /// Keeps what is less, and panics after so many calls.
    Retain(u8, usize),
    Drain(usize),
    Clear,
    Extend(Vec<(u8, u8)>),
    Rebuild,
    EndFrame,
}

fn op() -> impl Strategy<Value = Op> {
    let key = 0..24_u8;
    let entry = || (0..24_u8, any::<u8>());
    prop_oneof![
        6 => entry().prop_map(|(k, v)| Op::Insert(k, v)),
        4 => entry().prop_map(|(k, v)| Op::TryInsert(k, v)),
        8 => key.clone().prop_map(Op::Remove),
        2 => key.clone().prop_map(Op::RemoveEntry),
        2 => key.clone().prop_map(Op::Get),
        3 => entry().prop_map(|(k, v)| Op::OrInsert(k, v)),
        2 => key.clone().prop_map(Op::Modify),
        2 => key.prop_map(Op::EntryRemove),
        1 => (any::<u8>(), 0..40_usize).prop_map(|(v, calls)| Op::Retain(v, calls)),
        1 => (0..20_usize).prop_map(Op::Drain),
        1 => Just(Op::Clear),
        2 => prop::collection::vec(entry(), 0..12).prop_map(Op::Extend),
        1 => Just(Op::Rebuild),
        1 => Just(Op::EndFrame),
    ]
}

fn run<S: std::hash::BuildHasher + Default>(alloc: &SmartAlloc, capacity: usize, ops: &[Op]) {
    let live = Cell::new(0);
    let tracked = |n: u8| Tracked::new(n, &live);
    alloc.begin_frame();
    let mut ours = alloc.frame_map_with_hasher::<u8, Tracked, S>(capacity, S::default());
    let mut model: HashMap<u8, u8> = HashMap::new();
    for op in ops {
        let fits =
            |model: &HashMap<u8, u8>, key: &u8| model.len() < capacity || model.contains_key(key);
        match op {
            Op::Insert(k, v) if fits(&model, k) => {
                assert_eq!(
                    ours.insert(*k, tracked(*v)).map(|v| v.0),
                    model.insert(*k, *v)
                );
            }
            Op::Insert(k, v) => panics(|| ours.insert(*k, tracked(*v))),
            Op::TryInsert(k, v) => match ours.try_insert(*k, tracked(*v)) {
                Ok(before) => {
                    assert!(fits(&model, k));
                    assert_eq!(before.map(|v| v.0), model.insert(*k, *v));
                }
                Err((key, value)) => {
                    assert_eq!((key, value.0), (*k, *v));
                    assert!(!fits(&model, k));
                }
            },
            Op::Remove(k) => assert_eq!(ours.remove(k).map(|v| v.0), model.remove(k)),
            Op::RemoveEntry(k) => assert_eq!(
                ours.remove_entry(k).map(|(k, v)| (k, v.0)),
                model.remove_entry(k)
            ),
            Op::Get(k) => {
                assert_eq!(ours.get(k).map(|v| &v.0), model.get(k));
                assert_eq!(ours.contains_key(k), model.contains_key(k));
            }
            Op::OrInsert(k, v) if fits(&model, k) => {
                assert_eq!(
                    ours.entry(*k).or_insert(tracked(*v)).0,
                    *model.entry(*k).or_insert(*v)
                );
            }
            Op::OrInsert(k, v) => panics(|| ours.entry(*k).or_insert(tracked(*v)).0),
            Op::Modify(k) => {
                let _ = ours.entry(*k).and_modify(|v| v.0 = v.0.wrapping_add(1));
                model.entry(*k).and_modify(|v| *v = v.wrapping_add(1));
            }
            Op::EntryRemove(k) => match ours.entry(*k) {
                Entry::Occupied(entry) => assert_eq!(Some(entry.remove().0), model.remove(k)),
                Entry::Vacant(entry) => assert!(!model.contains_key(&entry.into_key())),
            },
            Op::Retain(least, most_calls) => {
                let (mut calls, before) = (0, ours.len());
                let mut refused = Vec::new();
                let outcome = catch_unwind(AssertUnwindSafe(|| {
                    ours.retain(|k, v| {
                        assert!(calls < *most_calls);
                        calls += 1;
                        if v.0 >= *least {
                            refused.push(*k);
                        }
                        v.0 < *least
                    })
                }));
                assert_eq!(outcome.is_ok(), before <= *most_calls);
                refused
                    .iter()
                    .for_each(|k| assert!(model.remove(k).unwrap() >= *least));
            }
            Op::Drain(n) => {
                for (k, v) in ours.drain().take(*n) {
                    assert_eq!(model.remove(&k), Some(v.0));
                }
                model.clear();
            }
            Op::Clear => {
                ours.clear();
                model.clear();
            }
            Op::Extend(entries) => {
                let split = entries.iter().position(|(k, v)| {
                    let fits = fits(&model, k);
                    if fits {
                        model.insert(*k, *v);
                    }
                    !fits
                });
                let rest = ours.try_extend(entries.iter().map(|(k, v)| (*k, tracked(*v))));
                match (rest, split) {
                    (Ok(()), None) => {}
                    (Err(rest), Some(at)) => {
                        assert!(
                            rest.map(|(k, v)| (k, v.0))
                                .eq(entries[at..].iter().copied())
                        );
                    }
                    (rest, split) => panic!("{} {split:?}", rest.is_ok()),
                }
            }
            Op::Rebuild => {
                if !alloc.frame_is_open() {
                    alloc.begin_frame();
                }
                let mut fresh = alloc.frame_map_with_hasher(capacity, S::default());
                fresh.extend(ours);
                ours = fresh;
            }
            Op::EndFrame => {
                reported(|| alloc.try_end_frame().is_ok());
                busy_frames(alloc, 1);
            }
        }
        assert_eq!(
            (ours.len(), ours.remaining()),
            (model.len(), capacity - model.len())
        );
        assert!(ours.iter().all(|(k, v)| model.get(k) == Some(&v.0)));
        assert!(
            model
                .iter()
                .all(|(k, v)| ours.get(k).is_some_and(|ours| ours.0 == *v))
        );
        assert_eq!(live.get() as usize, model.len());
    }
    drop(ours);
    assert_eq!(live.get(), 0);
    reported(|| alloc.try_end_frame().is_ok());
    assert_eq!(retired(alloc), 0);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_sequence_of_operations_does_what_a_hash_map_does(
        capacity in 0..20_usize,
        ops in prop::collection::vec(op(), 1..200),
    ) {
        run::<RandomState>(&small(), capacity, &ops);
    }

    #[test]
    fn so_it_does_where_all_keys_collide(
        capacity in 0..20_usize,
        ops in prop::collection::vec(op(), 1..200),
    ) {
        run::<BuildHasherDefault<Constant>>(&small(), capacity, &ops);
    }
}

/// One hash for all.
#[derive(Default)]
struct Constant;

impl Hasher for Constant {
    fn finish(&self) -> u64 {
        7
    }

    fn write(&mut self, _: &[u8]) {}
}

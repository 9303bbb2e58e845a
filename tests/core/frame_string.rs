//! Text of fixed capacity in frame memory.

use std::fmt::Write;

use framealloc::{AllocErrorKind, FrameStr, SmartAlloc};
use proptest::prelude::*;

use crate::common::*;
use crate::frame_vec::panic_of;

#[test]
fn text_for_n_bytes_holds_n_and_gives_back_what_does_not_fit() {
    let alloc = small();
    alloc.begin_frame();
    let mut text = alloc.frame_string(6);
    assert_eq!(text.capacity(), 6);
    text.push('ü');
    text.push_str("ab");
    assert_eq!(text.try_push_str("cde"), Err("cde"));
    assert_eq!(text.remaining(), 2);
    assert_eq!(text.try_push('€'), Err('€'));
    assert!(write!(text, "{}", 123).is_err());
    assert_eq!(text, "üab");
    write!(text, "{}", 12).unwrap();
    assert!(text.is_full());
    let said = panic_of(|| text.push('!'));
    assert!(
        said.contains("string of capacity 6") && said.contains("try_push_str"),
        "{said}"
    );
    panics(|| text.insert(0, '!'));
    assert_eq!(text, "üab12");
    drop(text);
    assert_eq!(
        alloc.try_frame_string(usize::MAX).unwrap_err().kind(),
        AllocErrorKind::CapacityOverflow
    );
    alloc.end_frame();
    assert_eq!(
        alloc.try_frame_string(1).unwrap_err().kind(),
        AllocErrorKind::NoFrame
    );
    assert!(alloc.frame_string(0).is_full());
}

#[test]
fn text_kept_past_its_frame_stays_valid_and_can_be_changed() {
    let alloc = small();
    alloc.begin_frame();
    let mut text = alloc.frame_string(40);
    text.push_str("kept");
    let ((), codes) = reported(|| alloc.end_frame());
    assert_eq!(codes, [FA002]);
    busy_frames(&alloc, 2);
    text.insert_str(0, "text that was ");
    text.make_ascii_uppercase();
    let text = FrameStr::from(text);
    busy_frames(&alloc, 2);
    assert_eq!(&*text, "TEXT THAT WAS KEPT");
    drop(text);
    assert_eq!(retired(&alloc), 0);
}

#[test]
fn places_within_a_character_are_refused() {
    let alloc = small();
    alloc.begin_frame();
    let mut text = alloc.frame_string(20);
    text.extend(["a", "€"]);
    text.extend(['b']);
    panics(|| text.insert(2, 'x'));
    panics(|| text.insert_str(6, "x"));
    panics(|| text.truncate(3));
    panics(|| text.remove(2));
    panics(|| text.remove(5));
    assert_eq!(text, "a€b");
    assert_eq!(text.remove(1), '€');
    text.truncate(9);
    assert_eq!(
        (text.pop(), text.pop(), text.pop()),
        (Some('b'), Some('a'), None)
    );
    assert_eq!(format!("{text}|{text:?}"), "|\"\"");
    drop(text);
    alloc.end_frame();
}

#[derive(Debug, Clone)]
enum Op {
    Push(char),
    PushStr(String),
    Insert(usize, char),
    InsertStr(usize, String),
    Pop,
    Remove(usize),
    Truncate(usize),
    Clear,
    Write(i16),
}

fn op() -> impl Strategy<Value = Op> {
    let char = prop_oneof![Just('a'), Just('é'), Just('€'), Just('🦀')];
    let text = prop::collection::vec(char.clone(), 0..5)
        .prop_map(|characters| characters.into_iter().collect::<String>());
    let at = 0..30_usize;
    prop_oneof![
        4 => char.clone().prop_map(Op::Push),
        3 => text.clone().prop_map(Op::PushStr),
        3 => (at.clone(), char).prop_map(|(at, c)| Op::Insert(at, c)),
        3 => (at.clone(), text).prop_map(|(at, text)| Op::InsertStr(at, text)),
        3 => Just(Op::Pop),
        3 => at.clone().prop_map(Op::Remove),
        1 => at.prop_map(Op::Truncate),
        1 => Just(Op::Clear),
        2 => any::<i16>().prop_map(Op::Write),
    ]
}

fn run(alloc: &SmartAlloc, capacity: usize, ops: &[Op]) {
    alloc.begin_frame();
    let mut ours = alloc.frame_string(capacity);
    let mut model = String::new();
    for op in ops {
        let room = capacity - model.len();
        match op {
            Op::Push(c) => match ours.try_push(*c) {
                Ok(()) => model.push(*c),
                Err(_) => assert!(c.len_utf8() > room),
            },
            Op::PushStr(text) => match ours.try_push_str(text) {
                Ok(()) => model.push_str(text),
                Err(_) => assert!(text.len() > room),
            },
            Op::Insert(at, c) if model.is_char_boundary(*at) && c.len_utf8() <= room => {
                ours.insert(*at, *c);
                model.insert(*at, *c);
            }
            Op::InsertStr(at, text) if model.is_char_boundary(*at) && text.len() <= room => {
                ours.insert_str(*at, text);
                model.insert_str(*at, text);
            }
            Op::Insert(at, c) => panics(|| ours.insert(*at, *c)),
            Op::InsertStr(at, text) => panics(|| ours.insert_str(*at, text)),
            Op::Pop => assert_eq!(ours.pop(), model.pop()),
            Op::Remove(at) if model.is_char_boundary(*at) && *at < model.len() => {
                assert_eq!(ours.remove(*at), model.remove(*at));
            }
            Op::Remove(at) => panics(|| ours.remove(*at)),
            Op::Truncate(len) if model.is_char_boundary(*len) || *len >= model.len() => {
                ours.truncate(*len);
                model.truncate(*len);
            }
            Op::Truncate(len) => panics(|| ours.truncate(*len)),
            Op::Clear => {
                ours.clear();
                model.clear();
            }
            Op::Write(n) => match write!(ours, "{n}") {
                Ok(()) => model += &n.to_string(),
                Err(_) => {
                    // An integer is written in pieces: its sign may have found room.
                    assert!(n.to_string().len() > room);
                    model.clone_from(&ours.to_string());
                }
            },
        }
        assert_eq!(ours.as_str(), model);
        assert!(std::str::from_utf8(ours.as_bytes()).is_ok());
        assert_eq!(ours.remaining(), capacity - model.len());
    }
    assert_eq!(*ours.into_boxed_str(), *model);
    let ((), codes) = reported(|| alloc.end_frame());
    assert_eq!(codes, []);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_sequence_of_operations_does_what_a_string_does(
        capacity in 0..30_usize,
        ops in prop::collection::vec(op(), 1..100),
    ) {
        run(&small(), capacity, &ops);
    }
}

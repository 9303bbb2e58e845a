//! Who memory is charged to. The heap's share is in the `process` and `audit` binaries.

use std::thread;

use framealloc::SmartAlloc;
use framealloc::tags::{TagId, TagScope, TagTotals};

use crate::common::*;

/// Frame bytes charged to the tag while `f` runs. Every test has tags of its own.
fn charged(tag: TagId, f: impl FnOnce()) -> u64 {
    let before = TagTotals::capture();
    f();
    TagTotals::capture().since(&before).of(tag).frame_bytes
}

fn tag(path: &str) -> TagId {
    TagId::from_path(path)
}

#[test]
fn tags_nest_and_are_left_in_turn() {
    let alloc = small();
    let outer = TagId::current();
    alloc.with_tag("tags_nest", |alloc| {
        assert_eq!(alloc.tag_path(), "tags_nest");
        alloc.with_tag("inner::deeper", |alloc| {
            assert_eq!(alloc.tag_path(), "tags_nest::inner::deeper");
            assert_eq!(alloc.current_tag(), Some("deeper"));
        });
        alloc.with_tag("", |alloc| assert_eq!(alloc.tag_path(), "tags_nest"));
        assert_eq!(alloc.tag_path(), "tags_nest");
    });
    assert_eq!(TagId::current(), outer);
    assert_eq!(alloc.current_tag(), None);
    assert_eq!(alloc.tag_path(), "");
}

#[test]
fn a_panic_restores_the_outer_tag() {
    let alloc = small();
    alloc.with_tag("tags_panic", |alloc| {
        panics(|| {
            alloc.with_tag("first", |alloc| {
                let _scope = TagScope::enter(tag("tags_panic::elsewhere"));
                alloc.with_tag("second", |_| panic!("under a tag"))
            })
        });
        assert_eq!(alloc.tag_path(), "tags_panic");
    });
    assert_eq!(TagId::current(), TagId::ROOT);
}

#[test]
fn a_tag_is_its_threads_own() {
    let alloc = small();
    alloc.with_tag("tags_thread", |alloc| {
        thread::scope(|scope| {
            scope.spawn(|| assert_eq!(alloc.current_tag(), None));
        });
    });
    // Nor does a thread that adopts another's record find its tag.
    for _ in 0..5 {
        thread::spawn(|| {
            assert_eq!(TagId::current(), TagId::ROOT);
            std::mem::forget(TagScope::enter(tag("tags_thread::forgotten")));
        })
        .join()
        .unwrap();
    }
}

#[test]
fn leases_are_charged_to_the_tag_that_made_them() {
    let alloc = small();
    let (a, b) = (tag("tags_leases::a"), tag("tags_leases::b"));
    let before = TagTotals::capture();
    alloc.begin_frame();
    let mut kept = Vec::new();
    for n in 0..1000_usize {
        let _scope = TagScope::enter(if n % 3 == 0 { a } else { b });
        kept.push(alloc.frame_slice_fill(n, 1_u8).unwrap());
    }
    drop(kept);
    alloc.end_frame();
    let spent = TagTotals::capture().since(&before);
    let expected = |own: &dyn Fn(usize) -> bool| -> u64 {
        (0..1000)
            .filter(|n| own(*n))
            .map(|n: usize| n.next_multiple_of(8) as u64)
            .sum()
    };
    assert_eq!(spent.of(a).frame_bytes, expected(&|n| n % 3 == 0));
    assert_eq!(spent.of(b).frame_bytes, expected(&|n| n % 3 != 0));
    let both = spent.within(tag("tags_leases"));
    assert_eq!(both.frame_bytes, expected(&|_| true));
    assert_eq!(spent.of(tag("tags_leases")).frame_bytes, 0);
}

#[test]
fn big_blocks_and_full_chunks_are_charged_too() {
    let alloc = small();
    let mine = tag("tags_big");
    let bytes = charged(mine, || {
        alloc.begin_frame();
        alloc.with_tag("tags_big", |alloc| {
            let kept: Vec<_> = (0..40)
                .map(|n| {
                    alloc
                        .frame_slice_fill(if n % 10 == 0 { 100_000 } else { 10_000 }, 1_u8)
                        .unwrap()
                })
                .collect();
            assert_eq!(kept.len(), 40);
        });
        alloc.end_frame();
    });
    assert_eq!(bytes, 4 * 100_000 + 36 * 10_000);
}

#[test]
fn a_frame_that_ends_under_a_tag_loses_no_bytes() {
    let alloc = small();
    let mine = tag("tags_ends");
    let bytes = charged(mine, || {
        let _scope = TagScope::enter(mine);
        for _ in 0..200 {
            alloc.begin_frame();
            drop(alloc.frame_box([1_u8; 96]).unwrap());
            let kept = alloc.frame_box([2_u8; 32]).unwrap();
            reported(|| alloc.end_frame());
            drop(kept);
        }
    });
    assert_eq!(bytes, 200 * 128);
}

#[test]
fn a_guards_bytes_are_charged_to_the_tag_it_was_used_under() {
    let alloc = small();
    let mine = tag("tags_guard");
    let bytes = charged(mine, || {
        alloc.with_tag("tags_guard", |alloc| {
            let frame = alloc.frame();
            frame.alloc([1_u8; 48]);
            for _ in 0..50 {
                frame.alloc_slice_fill(10_000, 1_u8);
            }
            frame.alloc_slice_fill(100_000, 1_u8);
        });
    });
    assert_eq!(bytes, 48 + 50 * 10_000 + 100_000);
}

#[test]
fn guards_nested_under_nested_tags_are_charged_apart() {
    let alloc = small();
    let (outer, inner) = (tag("tags_nested"), tag("tags_nested::inner"));
    let before = TagTotals::capture();
    alloc.with_tag("tags_nested", |alloc| {
        let frame = alloc.frame();
        frame.alloc([1_u8; 80]);
        alloc.with_tag("inner", |alloc| {
            let frame = alloc.frame();
            frame.alloc([1_u8; 160]);
        });
        frame.alloc([1_u8; 40]);
    });
    let spent = TagTotals::capture().since(&before);
    assert_eq!(spent.of(outer).frame_bytes, 120);
    assert_eq!(spent.of(inner).frame_bytes, 160);
}

#[test]
fn a_guard_that_closes_under_another_tag_charges_the_one_it_was_opened_under() {
    let alloc = small();
    let (opened, closed) = (tag("tags_moved::opened"), tag("tags_moved::closed"));
    let before = TagTotals::capture();
    let frame = {
        let _scope = TagScope::enter(opened);
        let frame = alloc.frame();
        frame.alloc([1_u8; 800]);
        frame
    };
    {
        let _scope = TagScope::enter(closed);
        drop(frame);
    }
    let spent = TagTotals::capture().since(&before);
    assert_eq!(
        (spent.of(opened).frame_bytes, spent.of(closed).frame_bytes),
        (800, 0)
    );
}

#[test]
fn a_slice_finished_under_another_tag_takes_nothing_from_that() {
    let alloc = small();
    let (making, finishing) = (tag("tags_finish::making"), tag("tags_finish::finishing"));
    struct Making {
        left: u32,
        _scope: TagScope,
    }
    impl Iterator for Making {
        type Item = u64;
        fn next(&mut self) -> Option<u64> {
            self.left = self.left.checked_sub(1)?;
            Some(1)
        }
    }
    alloc.begin_frame();
    let before = TagTotals::capture();
    {
        let _scope = TagScope::enter(finishing);
        let slice = alloc
            .frame_slice_from_iter(Making {
                left: 1100,
                _scope: TagScope::enter(making),
            })
            .unwrap();
        assert_eq!(slice.len(), 1100);
    }
    let spent = TagTotals::capture().since(&before);
    let sum = spent.within(tag("tags_finish")).frame_bytes;
    // The room that the slice grew into and did not need stays charged: it cannot be given back for another tag.
    assert!((8800..=2 * 8800).contains(&sum), "{sum}");
    for part in [making, finishing] {
        let bytes = spent.of(part).frame_bytes;
        assert!(bytes <= 2 * 8800, "{part} was charged {bytes} bytes");
    }
}

#[test]
fn two_allocators_under_two_tags_are_charged_apart() {
    let (a, b) = (small(), small());
    let (in_a, in_b) = (tag("tags_two::a"), tag("tags_two::b"));
    let before = TagTotals::capture();
    a.begin_frame();
    b.begin_frame();
    for n in 0..300 {
        let first = {
            let _scope = TagScope::enter(in_a);
            a.frame_box([1_u8; 40]).unwrap()
        };
        let second = {
            let _scope = TagScope::enter(in_b);
            let frame = a.frame();
            frame.alloc([1_u8; 16]);
            b.frame_box([1_u8; 80]).unwrap()
        };
        drop(first);
        if n % 10 == 0 {
            a.end_frame();
            a.begin_frame();
        }
        drop(second);
    }
    a.end_frame();
    b.end_frame();
    let spent = TagTotals::capture().since(&before);
    assert_eq!(spent.of(in_a).frame_bytes, 300 * 40);
    assert_eq!(spent.of(in_b).frame_bytes, 300 * 96);
}

#[test]
fn threads_under_one_tag_add_up() {
    let alloc = small();
    let before = TagTotals::capture();
    for _ in 0..3 {
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    alloc.with_tag("tags_threads", |alloc| {
                        alloc.begin_frame();
                        for _ in 0..100 {
                            drop(alloc.frame_box([1_u8; 24]).unwrap());
                        }
                        alloc.end_frame();
                        alloc.frame().alloc([1_u8; 8]);
                    });
                });
            }
        });
    }
    let spent = TagTotals::capture().since(&before);
    assert_eq!(spent.of(tag("tags_threads")).frame_bytes, 12 * (2400 + 8));
}

#[test]
fn with_tag_in_a_loop_finds_the_same_child_whatever_the_parent() {
    let alloc = small();
    let names = ["one", "two", "three", "four"];
    let mut first = Vec::new();
    for round in 0..100 {
        let mut ids = Vec::new();
        for parent in names {
            alloc.with_tag(parent, |alloc| {
                for child in names {
                    alloc.with_tag(child, |alloc| {
                        assert_eq!(alloc.tag_path(), format!("{parent}::{child}"));
                        ids.push(TagId::current());
                    });
                }
            });
        }
        if round == 0 {
            first = ids;
        } else {
            assert_eq!(first, ids);
        }
    }
}

#[test]
fn a_path_with_brackets_is_one_segment() {
    let spawn = tag("tags_path::spawn<game::Enemy>");
    assert_eq!(spawn.name(), "spawn<game::Enemy>");
    assert_eq!(spawn.parent(), Some(tag("tags_path")));
    assert!(spawn.is_in(tag("tags_path")) && !tag("tags_path").is_in(spawn));
    assert!(spawn.is_in(TagId::ROOT) && TagId::ROOT.parent().is_none());
}

#[test]
fn thousands_of_tags_are_counted_apart() {
    let alloc = SmartAlloc::with_defaults();
    let tags: Vec<_> = (0..3000)
        .map(|n| tag("tags_many").child(&n.to_string()))
        .collect();
    let before = TagTotals::capture();
    alloc.begin_frame();
    for (n, &tag) in tags.iter().enumerate() {
        let _scope = TagScope::enter(tag);
        drop(alloc.frame_slice_fill(n, 1_u64).unwrap());
    }
    alloc.end_frame();
    let spent = TagTotals::capture().since(&before);
    for (n, &tag) in tags.iter().enumerate() {
        assert_eq!(spent.of(tag).frame_bytes, n as u64 * 8);
    }
    let rows = spent
        .rows()
        .filter(|row| row.tag.is_in(tag("tags_many")))
        .count();
    assert_eq!(rows, 2999);
}

//! Beginning and ending frames, rightly and wrongly, and what is reported.

use framealloc::diagnostics::{self, DiagnosticCode};
use framealloc::tags::{TagId, TagScope};
use framealloc::{AllocErrorKind, FrameError};

use crate::common::*;

#[test]
fn frame_memory_without_a_frame_is_refused_by_every_door() {
    let alloc = small();
    let (kinds, codes) = reported(|| {
        [
            alloc.frame_box(1).map(|_| ()),
            alloc
                .frame_box_with(|| -> u8 { unreachable!("there is no room for it") })
                .map(|_| ()),
            alloc.try_frame_alloc::<u64>().map(|_| ()),
            alloc.frame_slice::<u8>(1).map(|_| ()),
            alloc.frame_slice_fill(1, 1_u8).map(|_| ()),
            alloc.frame_slice_copy(&[1]).map(|_| ()),
            alloc.frame_slice_from_iter([1]).map(|_| ()),
            alloc.frame_str("text").map(|_| ()),
            alloc.frame_format(format_args!("{}", 1)).map(|_| ()),
        ]
        .map(|refused| refused.unwrap_err().kind())
    });
    assert_eq!(kinds, [AllocErrorKind::NoFrame; 9]);
    assert_eq!(codes, [FA001; 9]);
    let ((), codes) = reported(|| panics(|| alloc.frame_alloc::<u64>().as_ptr() as usize));
    assert_eq!(codes, [FA001]);
}

#[test]
fn frame_memory_is_refused_after_the_frame_has_ended() {
    let alloc = small();
    for _ in 0..3 {
        alloc.begin_frame();
        assert!(alloc.frame_box(1).is_ok());
        alloc.end_frame();
        let (refused, codes) = reported(|| alloc.frame_box(1).map(|_| ()));
        assert_eq!(refused.unwrap_err().code(), FA001);
        assert_eq!(codes, [FA001]);
    }
}

#[test]
fn a_refusal_names_the_tag_the_bytes_and_the_remedy() {
    let alloc = small();
    let (error, reports) = diagnostics::capture(|| {
        alloc.with_tag("boundaries_refusal", |alloc| {
            alloc.with_tag("nodes", |alloc| {
                alloc.frame_box([0_u8; 123]).map(|_| ()).unwrap_err()
            })
        })
    });
    assert_eq!(error.requested(), 123);
    assert_eq!(error.tag().path(), "boundaries_refusal::nodes");
    let report = &reports[0];
    for part in ["123 bytes", "boundaries_refusal::nodes"] {
        assert!(report.message.contains(part), "{}", report.message);
        assert!(error.to_string().contains(part));
    }
    assert!(error.to_string().starts_with("[FA001]"));
    assert!(report.help.as_deref().unwrap().contains("begin_frame"));
}

#[test]
fn an_escape_names_the_tags_and_the_bytes() {
    let alloc = small();
    let physics = TagId::from_path("boundaries_escape::physics");
    let sound = TagId::from_path("boundaries_escape::sound");
    let silent = TagId::from_path("boundaries_escape::silent");
    alloc.begin_frame();
    let contacts = {
        let _scope = TagScope::enter(physics);
        alloc.frame_box([0_u8; 400]).unwrap()
    };
    let voices = {
        let _scope = TagScope::enter(sound);
        alloc.frame_slice_fill(100, 0_u32).unwrap()
    };
    {
        let _scope = TagScope::enter(silent);
    }
    let ((), reports) = diagnostics::capture(|| alloc.end_frame());
    assert_eq!(codes(&reports), [FA002]);
    let message = &reports[0].message;
    assert!(message.contains("800 bytes"), "{message}");
    assert!(
        message.contains("`boundaries_escape::physics`"),
        "{message}"
    );
    assert!(message.contains("`boundaries_escape::sound`"), "{message}");
    assert!(!message.contains("silent"), "{message}");
    drop((contacts, voices));

    // A big block names its own.
    alloc.begin_frame();
    let big = {
        let _scope = TagScope::enter(sound);
        alloc.frame_slice_fill(300_000, 0_u8).unwrap()
    };
    let ((), reports) = diagnostics::capture(|| alloc.end_frame());
    let message = &reports[0].message;
    assert!(message.contains("300000 bytes"), "{message}");
    assert!(message.contains("`boundaries_escape::sound`"), "{message}");
    assert!(!message.contains("physics"), "{message}");
    drop(big);
}

#[test]
fn an_escape_from_no_tag_says_so() {
    let alloc = small();
    alloc.begin_frame();
    let _kept = alloc.frame_box([0_u64; 2]).unwrap();
    let ((), reports) = diagnostics::capture(|| alloc.end_frame());
    assert!(reports[0].message.contains("16 bytes"));
    assert!(reports[0].message.contains("(untagged)"));
}

#[test]
fn beginning_twice_is_reported_and_the_frame_goes_on() {
    let alloc = small();
    alloc.begin_frame();
    let kept = alloc.frame_box([1_u64; 30]).unwrap();
    let ((), codes) = reported(|| alloc.begin_frame());
    assert_eq!(codes, [FA006]);
    assert_eq!(alloc.try_begin_frame(), Err(FrameError::AlreadyOpen));
    overwrite(&alloc);
    assert_eq!(*kept, [1; 30]);
    assert_eq!(alloc.frame_number(), 1);
    drop(kept);
    let ((), codes) = reported(|| alloc.end_frame());
    assert_eq!(codes, []);
}

#[test]
fn ending_without_a_frame_is_reported_and_changes_nothing() {
    let alloc = small();
    let ((), codes) = reported(|| alloc.end_frame());
    assert_eq!(codes, [FA006]);
    assert_eq!(alloc.try_end_frame(), Err(FrameError::NotOpen));
    alloc.begin_frame();
    let kept = alloc.frame_box([1_u64; 30]).unwrap();
    let (_, codes) = reported(|| {
        alloc.end_frame();
        alloc.end_frame();
        alloc.end_frame();
    });
    assert_eq!(codes, [FA002, FA006, FA006]);
    busy_frames(&alloc, 2);
    assert_eq!(*kept, [1; 30]);
}

#[test]
fn frames_are_numbered_by_thread() {
    let alloc = small();
    assert_eq!(alloc.frame_number(), 0);
    busy_frames(&alloc, 5);
    assert_eq!(alloc.frame_number(), 5);
    for _ in 0..2 {
        on_a_thread(|| {
            assert_eq!(alloc.frame_number(), 0, "this thread has begun none");
            busy_frames(&alloc, 2);
            assert_eq!(alloc.frame_number(), 2);
        });
    }
    assert_eq!(alloc.frame_number(), 5);
}

#[test]
fn a_clone_shares_the_frame() {
    let alloc = small();
    let clone = alloc.clone();
    alloc.begin_frame();
    let kept = clone.frame_box([2_u64; 9]).unwrap();
    assert!(clone.frame_is_open());
    let ((), codes) = reported(|| clone.end_frame());
    assert_eq!(codes, [FA002]);
    assert!(!alloc.frame_is_open());
    drop(alloc);
    busy_frames(&clone, 2);
    assert_eq!(*kept, [2; 9]);
}

#[test]
fn reports_are_captured_by_the_innermost_and_on_their_thread_only() {
    let alloc = small();
    let ((inner, codes_between), outer) = reported(|| {
        alloc.end_frame();
        let ((), inner) = reported(|| {
            alloc.end_frame();
            std::thread::scope(|scope| {
                scope.spawn(|| diagnostics::capture(|| alloc.end_frame()));
            });
        });
        let unwound = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            diagnostics::capture(|| panic!("captured halfway"))
        }));
        assert!(unwound.is_err());
        alloc.end_frame();
        (inner, ())
    });
    assert_eq!((inner, codes_between), (vec![FA006], ()));
    assert_eq!(outer, [FA006, FA006]);
}

#[test]
fn counts_tell_every_report() {
    let alloc = small();
    let before = diagnostics::count(DiagnosticCode::FA001);
    reported(|| {
        for _ in 0..100 {
            assert!(alloc.frame_box(1).is_err());
        }
    });
    // Other tests report it too.
    assert!(diagnostics::count(DiagnosticCode::FA001) >= before + 100);
}

#[test]
fn the_last_frame_and_the_largest_are_told_in_bytes() {
    let alloc = small();
    for bytes in [100, 5000, 200] {
        alloc.begin_frame();
        drop(alloc.frame_slice_fill(bytes, 1_u8).unwrap());
        alloc.frame().alloc_slice_fill(48, 1_u8);
        alloc.end_frame();
    }
    let arena = &alloc.arenas()[0];
    assert_eq!(arena.frame_bytes, 200 + 48);
    assert_eq!(arena.peak_frame_bytes, 5000 + 48);
    assert_eq!(arena.total_bytes, 104 + 5000 + 200 + 3 * 48);
    assert_eq!(alloc.stats().frame_allocated, 248);
}

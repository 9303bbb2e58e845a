//! What the library's build script prints.

#[path = "../../build/hints.rs"]
mod hints;

use hints::{Build, lines};

const QUICK_REFERENCE: &str = "\
[framealloc] ────────────────────────────────────────
[framealloc] ℹ️  framealloc Quick Reference
[framealloc] ────────────────────────────────────────
[framealloc]    Frame allocation (fastest, reset per frame):
[framealloc]      alloc.begin_frame();
[framealloc]      let data = alloc.frame_box(value);
[framealloc]      alloc.end_frame();";

#[test]
fn a_plain_build_is_given_the_quick_reference() {
    assert_eq!(lines(Build::default(), false).join("\n"), QUICK_REFERENCE);
}

#[test]
fn features_and_profile_are_told_what_they_mean() {
    let build = Build {
        bevy: true,
        debug: true,
        release: true,
        parking_lot: false,
    };
    let hints = "\
[framealloc] ℹ️  Bevy integration enabled
[framealloc]    Remember to add SmartAllocPlugin to your Bevy App:
[framealloc]      app.add_plugins(framealloc::bevy::SmartAllocPlugin::default())
[framealloc] ℹ️  Debug features enabled
[framealloc]    Debug mode provides:
[framealloc]      • Memory poisoning (freed memory filled with 0xCD)
[framealloc]      • Allocation backtraces (for leak detection)
[framealloc]      • Extended validation checks
[framealloc] ℹ️  Building in release mode
[framealloc]    Tip: Consider enabling 'parking_lot' for better mutex performance
";
    let said = lines(build, false).join("\n");
    assert_eq!(said, format!("{hints}{QUICK_REFERENCE}"));
}

#[test]
fn a_release_build_with_parking_lot_needs_no_tip() {
    let build = Build {
        release: true,
        parking_lot: true,
        ..Build::default()
    };
    assert_eq!(lines(build, false).join("\n"), QUICK_REFERENCE);
}

#[test]
fn only_when_asked_for_are_hints_warnings() {
    let quiet = lines(Build::default(), false);
    assert!(quiet.iter().all(|line| line.starts_with("[framealloc] ")));
    let loud = lines(Build::default(), true);
    assert_eq!(loud.len(), quiet.len());
    assert!(
        loud.iter()
            .all(|line| line.starts_with("cargo::warning=[framealloc] "))
    );
}

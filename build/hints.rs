//! What the build script has to say about the build it is part of. Only what the build's own settings tell: nothing is
//! guessed from lock files.

/// The settings that hints depend on.
#[derive(Debug, Clone, Copy, Default)]
pub struct Build {
    /// Feature `bevy`.
    pub bevy: bool,
    /// Feature `debug`.
    pub debug: bool,
    /// Feature `parking_lot`.
    pub parking_lot: bool,
    /// Built with optimisation.
    pub release: bool,
}

const BEVY: &[&str] = &[
    "ℹ️  Bevy integration enabled",
    "   Remember to add SmartAllocPlugin to your Bevy App:",
    "     app.add_plugins(framealloc::bevy::SmartAllocPlugin::default())",
];

const DEBUG: &[&str] = &[
    "ℹ️  Debug features enabled",
    "   Debug mode provides:",
    "     • Memory poisoning (freed memory filled with 0xCD)",
    "     • Allocation backtraces (for leak detection)",
    "     • Extended validation checks",
];

const RELEASE: &[&str] = &[
    "ℹ️  Building in release mode",
    "   Tip: Consider enabling 'parking_lot' for better mutex performance",
];

const QUICK_REFERENCE: &[&str] = &[
    RULE,
    "ℹ️  framealloc Quick Reference",
    RULE,
    "   Frame allocation (fastest, reset per frame):",
    "     alloc.begin_frame();",
    "     let data = alloc.frame_box(value);",
    "     alloc.end_frame();",
];

const RULE: &str = "────────────────────────────────────────";

/// The lines that the build script prints. Cargo shows them with `-vv`; as warnings, also without.
pub fn lines(build: Build, as_warnings: bool) -> Vec<String> {
    let parts = [
        (build.bevy, BEVY),
        (build.debug, DEBUG),
        (build.release && !build.parking_lot, RELEASE),
        (true, QUICK_REFERENCE),
    ];
    let directive = if as_warnings { "cargo::warning=" } else { "" };
    parts
        .iter()
        .filter(|(applies, _)| *applies)
        .flat_map(|(_, hint)| *hint)
        .map(|line| format!("{directive}[framealloc] {line}"))
        .collect()
}

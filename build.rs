//! Tells the crate what kind of build this is, and whoever builds it what they may want to know.

#[path = "build/hints.rs"]
mod hints;

use std::env;

/// Set to anything but `0`, it raises hints to warnings.
const BUILD_HINTS: &str = "FRAMEALLOC_BUILD_HINTS";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=build/hints.rs");
    println!("cargo::rerun-if-env-changed={BUILD_HINTS}");
    // Cargo passes the sanitizer on only to nightly builds that asked for one.
    let sanitizers = env::var("CARGO_CFG_SANITIZE").unwrap_or_default();
    if sanitizers.split(',').any(|name| name == "address") {
        println!("cargo::rustc-cfg=framealloc_asan");
    }
    let build = hints::Build {
        bevy: has_feature("BEVY"),
        debug: has_feature("DEBUG"),
        parking_lot: has_feature("PARKING_LOT"),
        release: env::var("PROFILE").is_ok_and(|profile| profile == "release"),
    };
    let as_warnings = env::var(BUILD_HINTS).is_ok_and(|value| !matches!(&*value, "" | "0"));
    for line in hints::lines(build, as_warnings) {
        println!("{line}");
    }
}

fn has_feature(name: &str) -> bool {
    env::var_os(format!("CARGO_FEATURE_{name}")).is_some()
}

//! Tells the crate what kind of build this is.

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // Cargo passes the sanitizer on only to nightly builds that asked for one.
    let sanitizers = env::var("CARGO_CFG_SANITIZE").unwrap_or_default();
    if sanitizers.split(',').any(|name| name == "address") {
        println!("cargo::rustc-cfg=framealloc_asan");
    }
}

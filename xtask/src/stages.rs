//! The stages of `cargo xtask test`, in the order in which they run: the quick ones first.

use crate::packages::{C_COMPILER, CPP_COMPILER, DISPLAY, VALGRIND};
use crate::{codes, counts, root, target_dir, tools};
use anyhow::Result;
use xshell::{Cmd, Shell, cmd};

/// One thing that must hold.
pub struct Stage {
    /// For `--only` and the summary.
    pub name: &'static str,
    /// What it does, in a line.
    pub what: &'static str,
    /// Debian packages it cannot do without.
    pub needs: &'static [&'static str],
    /// Does it.
    pub run: fn(&Shell) -> Result<Outcome>,
}

/// How a stage ended that did not fail.
pub enum Outcome {
    /// It holds.
    Passed,
    /// This machine or this checkout lacks something; says what.
    Skipped(String),
}

use Outcome::{Passed, Skipped};

/// Everything that continuous integration does.
pub const STAGES: &[Stage] = &[
    Stage {
        name: "format",
        what: "rustfmt finds nothing to change",
        needs: &[],
        run: format,
    },
    Stage {
        name: "codes",
        what: "the registry of diagnostic codes, and the pages and the table that are written from it",
        needs: C_COMPILER,
        run: diagnostic_codes,
    },
    Stage {
        name: "core",
        what: "tests of the allocator without Bevy, compile-fail tests included",
        needs: C_COMPILER,
        run: core_tests,
    },
    Stage {
        name: "loom",
        what: "model of the lock-free parts, every interleaving",
        needs: C_COMPILER,
        run: loom,
    },
    Stage {
        name: "sanitizer",
        what: "the same tests under AddressSanitizer, freed frame memory poisoned, leaks detected",
        needs: C_COMPILER,
        run: sanitizer,
    },
    Stage {
        name: "fuzz",
        what: "a minute of a fuzzer that looks for sequences of all operations which break the allocator",
        needs: CPP_COMPILER,
        run: fuzz,
    },
    Stage {
        name: "nightly",
        what: "the standard library's collections in frames, pools and the heap: its unstable `Allocator`",
        needs: C_COMPILER,
        run: nightly_tests,
    },
    Stage {
        name: "counts",
        what: "instruction counts of the fast paths stay below their limits",
        needs: VALGRIND,
        run: |sh| {
            counts::gate(sh)?;
            Ok(Passed)
        },
    },
    Stage {
        name: "clippy",
        what: "no warnings, with the feature sets that users pick",
        needs: C_COMPILER,
        run: clippy,
    },
    Stage {
        name: "docs",
        what: "documentation builds without warnings, with and without Bevy and `debug`",
        needs: C_COMPILER,
        run: docs,
    },
    Stage {
        name: "bevy",
        what: "tests of the plugins on a headless Bevy",
        needs: C_COMPILER,
        run: bevy,
    },
    Stage {
        name: "rendered",
        what: "unit tests, doctests (the README's too), and tests with a renderer and two worlds: the panel, and a play of the showcase game",
        needs: DISPLAY,
        run: rendered,
    },
    Stage {
        name: "swarm",
        what: "the showcase game runs 300 frames without a window, and opens one",
        needs: DISPLAY,
        run: swarm,
    },
];

fn format(sh: &Shell) -> Result<Outcome> {
    cmd!(sh, "cargo fmt --all --check").run()?;
    cmd!(sh, "cargo fmt --manifest-path fuzz/Cargo.toml --check").run()?;
    Ok(Passed)
}

fn diagnostic_codes(sh: &Shell) -> Result<Outcome> {
    codes::check(sh)?;
    cmd!(sh, "cargo test -p framealloc-codes").run()?;
    Ok(Passed)
}

fn core_tests(sh: &Shell) -> Result<Outcome> {
    cmd!(sh, "cargo test -p framealloc-tests --no-fail-fast").run()?;
    cmd!(
        sh,
        "cargo test -p framealloc-tests --test process --features tracing"
    )
    .run()?;
    // Call stacks of what is alive, checked frees; and poison in release builds.
    for profile in ["dev", "release"] {
        cmd!(
            sh,
            "cargo test -p framealloc-tests --features debug --test debug_feature --test audit_system --profile {profile} --no-fail-fast"
        )
        .run()?;
    }
    // Every free of the tests is right.
    cmd!(
        sh,
        "cargo test -p framealloc-tests --features debug --test core --test process --no-fail-fast"
    )
    .run()?;
    cmd!(
        sh,
        "cargo test -p framealloc-tests --test tracy --features tracy"
    )
    .run()?;
    // Debug builds charge pool blocks to tags, which takes the pools' slow paths: only a release build runs the fast ones.
    cmd!(
        sh,
        "cargo test --release -p framealloc-tests --test core --test process --no-fail-fast"
    )
    .run()?;
    Ok(Passed)
}

fn loom(sh: &Shell) -> Result<Outcome> {
    cmd!(sh, "cargo test -p framealloc-models").run()?;
    Ok(Passed)
}

/// A nightly compiler; any that is installed will do.
fn nightly(sh: &Shell) -> Option<String> {
    let toolchains = cmd!(sh, "rustup toolchain list").quiet().read().ok()?;
    toolchains
        .split_whitespace()
        .find(|word| word.starts_with("nightly"))
        .map(str::to_owned)
}

fn nightly_tests(sh: &Shell) -> Result<Outcome> {
    let Some(nightly) = nightly(sh) else {
        return Ok(Skipped(
            "the feature `nightly` needs a nightly toolchain, and rustup has none".to_owned(),
        ));
    };
    cmd!(
        sh,
        "rustup run {nightly} cargo test -p framealloc-tests --features nightly --test nightly"
    )
    .env("CARGO_TARGET_DIR", target_dir().join("nightly"))
    .run()?;
    Ok(Passed)
}

/// AddressSanitizer needs a nightly compiler.
fn sanitizer(sh: &Shell) -> Result<Outcome> {
    let Some(nightly) = nightly(sh) else {
        return Ok(Skipped(
            "AddressSanitizer needs a nightly toolchain, and rustup has none".to_owned(),
        ));
    };
    let host = "x86_64-unknown-linux-gnu";
    // Build scripts and proc-macros stay as they are because a target is named. Tests ask for absurd sizes: the answer is
    // then null, as without the sanitizer.
    // In both profiles, because pools take other paths in each. What `process` says of the resident memory holds in one: fast
    // code fills the sanitizer's quarantine of freed memory faster than it levels off.
    for (profile, feature, tests) in [
        ("dev", "", &["core", "process", "audit_system"][..]),
        ("dev", "debug", &["debug_feature", "audit_system"]),
        ("release", "", &["core", "audit_system"]),
    ] {
        let tests = tests.iter().flat_map(|test| ["--test", test]);
        cmd!(
            sh,
            "rustup run {nightly} cargo test -p framealloc-tests --features={feature} {tests...} --profile {profile} --target {host} --no-fail-fast"
        )
        .env("RUSTFLAGS", "-Zsanitizer=address")
        .env("ASAN_OPTIONS", "detect_leaks=1:allocator_may_return_null=1")
        .env("CARGO_TARGET_DIR", target_dir().join("sanitizer"))
        .run()?;
    }
    Ok(Passed)
}

/// What it finds, it leaves in `fuzz/artifacts`. What it has learnt stays in the target folder, for the next time.
fn fuzz(sh: &Shell) -> Result<Outcome> {
    let Some(nightly) = nightly(sh) else {
        return Ok(Skipped(
            "the fuzzer needs a nightly toolchain, and rustup has none".to_owned(),
        ));
    };
    let path = tools::path_with(tools::folder_with(sh, "cargo-fuzz", "0.13.2")?)?;
    let target = target_dir().join("fuzz");
    let corpus = target.join("corpus");
    sh.create_dir(&corpus)?;
    let options = ["-max_total_time=60", "-max_len=4096", "-len_control=20"];
    cmd!(
        sh,
        "rustup run {nightly} cargo fuzz run --target-dir {target} everything {corpus} -- {options...}"
    )
    .env("PATH", path)
    .env("ASAN_OPTIONS", "detect_leaks=1:allocator_may_return_null=1")
    .run()?;
    Ok(Passed)
}

/// The library with the features that users pick, and the packages that are not shipped.
fn clippy(sh: &Shell) -> Result<Outcome> {
    let library = [
        &["--no-default-features"][..],
        &["--no-default-features", "--features", "parking_lot"],
        &["--no-default-features", "--features", "parking_lot,debug"],
        &["--no-default-features", "--features", "debug,snapshots"],
        &["--no-default-features", "--features", "tracing"],
        &["--no-default-features", "--features", "tracy"],
        &["--no-default-features", "--features", "tracy-on-demand"],
        &["--no-default-features", "--features", "allocator-api2-04"],
        &["--no-default-features", "--features", "bevy"],
        &["--features", "debug"],
        &["--features", "hotpatching"],
        &[],
    ];
    for features in library {
        cmd!(
            sh,
            "cargo clippy -p framealloc --lib {features...} -- -D warnings"
        )
        .run()?;
    }
    let members = [
        "-p",
        "framealloc-tests",
        "-p",
        "framealloc-benches",
        "-p",
        "framealloc-codes",
        "-p",
        "xtask",
    ];
    cmd!(sh, "cargo clippy {members...} --all-targets -- -D warnings").run()?;
    cmd!(
        sh,
        "cargo clippy -p framealloc-tests --features debug --all-targets -- -D warnings"
    )
    .run()?;
    let rendered = rendered_packages();
    cmd!(
        sh,
        "cargo clippy {rendered...} --all-targets -- -D warnings"
    )
    .run()?;
    Ok(Passed)
}

fn docs(sh: &Shell) -> Result<Outcome> {
    let sets = [
        &[][..],
        &["--no-default-features"],
        &["--no-default-features", "--features", "debug,snapshots"],
    ];
    for features in sets {
        cmd!(sh, "cargo doc --no-deps -p framealloc {features...}")
            .env("RUSTDOCFLAGS", "-D warnings")
            .run()?;
    }
    cmd!(sh, "cargo doc --no-deps -p framealloc-codes")
        .env("RUSTDOCFLAGS", "-D warnings")
        .run()?;
    Ok(Passed)
}

fn bevy(sh: &Shell) -> Result<Outcome> {
    cmd!(
        sh,
        "cargo test -p framealloc-tests --features bevy --no-fail-fast"
    )
    .run()?;
    Ok(Passed)
}

fn rendered(sh: &Shell) -> Result<Outcome> {
    let packages = rendered_packages();
    on_a_display(sh, &["cargo", "test", "--no-fail-fast"])
        .args(packages)
        .run()?;
    Ok(Passed)
}

/// Built without optimisation, which is how the renderer is compiled already: hence the small swarm.
fn swarm(sh: &Shell) -> Result<Outcome> {
    if !root().join("examples/swarm").exists() {
        return Ok(Skipped("there is no game in examples/swarm".to_owned()));
    }
    let packages = rendered_packages();
    cmd!(sh, "cargo build {packages...} --examples").run()?;
    let game = target_dir().join("debug/examples/swarm");
    cmd!(sh, "{game} --headless --agents 1000 --frames 300")
        .env("BEVY_ASSET_ROOT", root())
        .run()?;
    // It ends with an error if nothing was drawn.
    let album = target_dir().join("tmp/swarm");
    sh.create_dir(&album)?;
    let picture = album.join("window.png");
    on_a_display(sh, &[&game.to_string_lossy()])
        .args("--agents 1000 --fly --inspect --exit-after 200".split(' '))
        .arg("--screenshot")
        .arg(picture)
        .env("BEVY_ASSET_ROOT", root())
        .run()?;
    Ok(Passed)
}

/// The library and its rendered tests, always named together: the features of Bevy are then the same for both, and its
/// renderer, which takes most of the time, is compiled once.
fn rendered_packages() -> [&'static str; 6] {
    let features = "framealloc-tests/render,framealloc-tests/inspector";
    [
        "-p",
        "framealloc",
        "-p",
        "framealloc-tests",
        "--features",
        features,
    ]
}

/// Runs a command on this display, or on a virtual one.
fn on_a_display<'sh>(sh: &'sh Shell, command: &[&str]) -> Cmd<'sh> {
    if std::env::var_os("DISPLAY").is_some() {
        let (program, args) = (command[0], &command[1..]);
        return cmd!(sh, "{program} {args...}");
    }
    cmd!(sh, "xvfb-run --auto-servernum {command...}")
}

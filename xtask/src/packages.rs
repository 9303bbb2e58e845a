//! System packages that a stage needs: installed where that is possible, named where it is not.

use anyhow::{Result, bail};
use xshell::{Shell, cmd};

/// Building the peers, and anything else that compiles C.
pub const C_COMPILER: &[&str] = &["gcc", "libc6-dev", "make"];

/// Building the fuzzer, which is C++.
pub const CPP_COMPILER: &[&str] = &["g++", "gcc", "libc6-dev", "make"];

/// Counting instructions.
pub const VALGRIND: &[&str] = &["gcc", "libc6-dev", "make", "valgrind"];

/// A window and a graphics adapter, both in software.
pub const DISPLAY: &[&str] = &[
    "gcc",
    "libc6-dev",
    "libx11-xcb1",
    "libxcursor1",
    "libxi6",
    "libxkbcommon-x11-0",
    "libxrandr2",
    "mesa-vulkan-drivers",
    "xauth",
    "xvfb",
];

/// Makes sure that Debian's `packages` are there.
pub fn provide(sh: &Shell, packages: &[&str]) -> Result<()> {
    if packages.is_empty() {
        return Ok(());
    }
    if cmd!(sh, "dpkg-query --version")
        .quiet()
        .ignore_stdout()
        .ignore_stderr()
        .run()
        .is_err()
    {
        println!(
            "not a Debian system: make sure that the likes of these packages are installed: {}",
            packages.join(" ")
        );
        return Ok(());
    }
    let missing: Vec<&str> = packages
        .iter()
        .copied()
        .filter(|package| !is_installed(sh, package))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let root = cmd!(sh, "id -u").quiet().read().is_ok_and(|id| id == "0");
    if !root {
        bail!(
            "packages are missing; run: sudo apt-get install {}",
            missing.join(" ")
        );
    }
    sh.set_var("DEBIAN_FRONTEND", "noninteractive");
    // An outdated index is good enough if the packages are in it.
    if let Err(error) = cmd!(sh, "apt-get update --quiet").run() {
        eprintln!("{error}");
    }
    cmd!(
        sh,
        "apt-get install --yes --quiet --no-install-recommends {missing...}"
    )
    .run()?;
    Ok(())
}

fn is_installed(sh: &Shell, package: &str) -> bool {
    let format = "--showformat=${Status}";
    let status = cmd!(sh, "dpkg-query --show {format} {package}");
    let status = status.quiet().ignore_stderr().read();
    status.is_ok_and(|status| status == "install ok installed")
}

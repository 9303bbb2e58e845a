//! Instruction counts: the runner that they need, the run, and what is made of it.

use crate::{root, target_dir, tools};
use anyhow::{Context, Result};
use std::path::PathBuf;
use xshell::{Shell, cmd};

/// Counts instructions and fails if a row is above its limit.
pub fn gate(sh: &Shell) -> Result<()> {
    let counts = count(sh)?;
    cmd!(
        sh,
        "cargo run --profile bench -p framealloc-benches -- gate {counts}"
    )
    .run()?;
    Ok(())
}

/// Counts instructions, measures times, and writes both to the results file.
pub fn write_results(sh: &Shell) -> Result<()> {
    let counts = count(sh)?;
    let results = root().join("benches/RESULTS.md");
    cmd!(
        sh,
        "cargo run --profile bench -p framealloc-benches -- report {counts} {results}"
    )
    // The C library's own default, which it would otherwise raise while the first-touch rows run.
    .env("MALLOC_MMAP_THRESHOLD_", "131072")
    .run()?;
    Ok(())
}

/// Runs every cell under callgrind and returns gungraun's report.
fn count(sh: &Shell) -> Result<PathBuf> {
    let path = tools::path_with(runner(sh)?)?;
    let jobs = std::thread::available_parallelism()?.to_string();
    let bench = cmd!(
        sh,
        "cargo bench -p framealloc-benches --bench counts -- --output-format=json --parallel={jobs}"
    );
    let report = bench.env("PATH", path).read()?;
    let file = target_dir().join("framealloc-counts.json");
    sh.write_file(&file, report)?;
    Ok(file)
}

/// The folder of the `gungraun-runner` that fits the library, which accepts no other version.
fn runner(sh: &Shell) -> Result<PathBuf> {
    let lock = sh.read_file(root().join("Cargo.lock"))?;
    let version = locked_version(&lock, "gungraun").context("Cargo.lock has no gungraun")?;
    tools::folder_with(sh, "gungraun-runner", version)
}

fn locked_version<'lock>(lock: &'lock str, package: &str) -> Option<&'lock str> {
    let (_, after) = lock.split_once(&format!("name = \"{package}\"\nversion = \""))?;
    after.split('"').next()
}

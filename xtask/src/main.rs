//! The project's own commands: `cargo xtask test` is everything that continuous integration does, `cargo xtask bench`
//! measures and writes the results table, `cargo xtask codes` writes the pages of the diagnostic codes.

mod codes;
mod counts;
mod packages;
mod stages;
mod tools;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use stages::{Outcome, STAGES, Stage};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};
use xshell::Shell;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "framealloc's tests and benchmarks")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Check and test everything, as continuous integration does.
    Test {
        /// Run this stage only; may be given several times.
        #[arg(long, value_name = "STAGE")]
        only: Vec<String>,
        /// Name the stages and what each does.
        #[arg(long)]
        list: bool,
    },
    /// Measure against the peers and write benches/RESULTS.md.
    Bench,
    /// Write docs/codes/ and the README's table of codes from the registry.
    Codes,
}

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<ExitCode> {
    let sh = Shell::new()?;
    sh.change_dir(root());
    // Every toolchain used here is one that is there already: rustup must not go and fetch another.
    sh.set_var("RUSTUP_DIST_SERVER", "http://127.0.0.1:9");
    match command {
        Command::Test { list: true, .. } => {
            for stage in STAGES {
                println!("{:<14} {}", stage.name, stage.what);
            }
            Ok(ExitCode::SUCCESS)
        }
        Command::Test { only, .. } => test(&sh, &only),
        Command::Bench => {
            packages::provide(&sh, packages::VALGRIND)?;
            counts::write_results(&sh)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Codes => {
            codes::write(&sh)?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Runs the stages, all of them even if one fails, and sums up.
fn test(sh: &Shell, only: &[String]) -> Result<ExitCode> {
    let chosen = choose(only)?;
    let mut results = Vec::new();
    for stage in chosen {
        println!("\n=== {}: {}", stage.name, stage.what);
        let start = Instant::now();
        let outcome = packages::provide(sh, stage.needs).and_then(|()| (stage.run)(sh));
        if let Err(error) = &outcome {
            eprintln!("{}: {error:#}", stage.name);
        }
        if let Ok(Outcome::Skipped(why)) = &outcome {
            boxed(&format!("{} did not run: {why}", stage.name));
        }
        results.push((stage.name, start.elapsed(), outcome));
    }
    println!("\n=== summary");
    for (name, took, outcome) in &results {
        println!("{name:<14} {:>7}  {}", minutes(*took), verdict(outcome));
    }
    let failed = results.iter().any(|(_, _, outcome)| outcome.is_err());
    Ok(if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

fn choose(only: &[String]) -> Result<Vec<&'static Stage>> {
    if only.is_empty() {
        return Ok(STAGES.iter().collect());
    }
    let find = |name: &String| {
        let stage = STAGES.iter().find(|stage| stage.name == name);
        stage.with_context(|| format!("no stage is called `{name}`; --list names them"))
    };
    only.iter().map(find).collect()
}

fn verdict(outcome: &Result<Outcome>) -> String {
    match outcome {
        Ok(Outcome::Passed) => "passed".to_owned(),
        Ok(Outcome::Skipped(why)) => format!("DID NOT RUN: {why}"),
        Err(error) => format!("FAILED: {error}"),
    }
}

fn minutes(took: Duration) -> String {
    format!("{}:{:02}", took.as_secs() / 60, took.as_secs() % 60)
}

/// Says something in a way that a long log does not hide.
fn boxed(text: &str) {
    let line = "#".repeat(text.chars().count() + 4);
    println!("\n{line}\n# {text} #\n{line}");
}

/// The checkout: asked of cargo at run time, because a target folder that several checkouts share keeps one binary for all.
fn root() -> PathBuf {
    let member = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    match member.as_deref().and_then(Path::parent) {
        Some(root) => root.to_owned(),
        None => PathBuf::from("."),
    }
}

/// Where cargo puts what it builds.
fn target_dir() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

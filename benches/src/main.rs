//! Turns measurements into the gate's verdict and the tables of `RESULTS.md`; `cargo xtask bench` calls it.

use framealloc_benches::counts::Counts;
use framealloc_benches::{costs, looks, report, times};
use std::process::ExitCode;

const USAGE: &str = "\
framealloc-benches gate COUNTS            print the instruction counts; fail above a limit
framealloc-benches times                  measure CPU times and print them
framealloc-benches costs                  measure what turning something on costs, and what snapshots do, and print it
framealloc-benches looks                  measure what snapshots cost, and print it
framealloc-benches report COUNTS RESULTS  write both to the file RESULTS; fail above a limit
COUNTS is what `cargo bench --bench counts -- --output-format=json` printed.";

/// How many boxes the memory check frees on another thread.
const REMOTE_FREES: usize = 2_000_000;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let outcome = match words[..] {
        ["gate", counts] => read(counts).and_then(|counts| {
            println!("{}", report::counts_table(&counts));
            judge(&counts)
        }),
        ["times"] => {
            println!("{}", measured_times());
            Ok(())
        }
        ["costs"] => {
            println!("{}", report::costs_table(&costs::measure()));
            println!("{}", report::looks_table(&looks::measure()));
            Ok(())
        }
        ["looks"] => {
            println!("{}", report::looks_table(&looks::measure()));
            Ok(())
        }
        ["report", counts, results] => {
            read(counts).and_then(|counts| write(&counts, results).and_then(|()| judge(&counts)))
        }
        _ => Err(USAGE.to_owned()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}

fn read(counts: &str) -> Result<Counts, String> {
    let report = std::fs::read_to_string(counts).map_err(|error| format!("{counts}: {error}"))?;
    Counts::read(&report)
}

fn judge(counts: &Counts) -> Result<(), String> {
    let above = counts.above_limits();
    if above.is_empty() {
        return Ok(());
    }
    Err(format!(
        "instruction counts above their limits (benches/src/rows.rs):\n  {}",
        above.join("\n  ")
    ))
}

fn measured_times() -> String {
    let growth = times::growth_under_remote_frees(REMOTE_FREES);
    let times = times::measure();
    format!(
        "{}\nWhile {REMOTE_FREES} pool boxes were freed on another thread, the process grew by {} KiB.\n",
        report::times_table(&times),
        growth / 1024
    )
}

fn write(counts: &Counts, results: &str) -> Result<(), String> {
    let text = format!(
        "# Results\n\nWritten by `cargo xtask bench`; [README.md](README.md) says what the rows mean and how far to trust them.\n\n\
         {}\n## Instructions\n\n{}\n## Time\n\n{}\n\
         ## What turning something on costs\n\n{}\n\
         ## What a look at everything costs: 64 threads, 1,000 tags\n\n{}",
        report::setting(),
        report::counts_table(counts),
        measured_times(),
        report::costs_table(&costs::measure()),
        report::looks_table(&looks::measure())
    );
    std::fs::write(results, text).map_err(|error| format!("{results}: {error}"))?;
    println!("wrote {results}");
    Ok(())
}

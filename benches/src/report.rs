//! Results as Markdown.

use crate::costs::Cost;
use crate::counts::Counts;
use crate::looks::Look;
use crate::times::Times;
use crate::{ROWS, Subject};
use std::fmt::Write;
use std::path::Path;

/// What the numbers were taken on, so that a reader can tell whether theirs should agree.
pub fn setting() -> String {
    // At run time: a target folder that several checkouts share keeps one binary for all.
    let package = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| "benches".into());
    let lock = Path::new(&package).join("../Cargo.lock");
    let lock = std::fs::read_to_string(lock).unwrap_or_default();
    let peers = [
        "bumpalo",
        "bump-scope",
        "libmimalloc-sys",
        "tikv-jemallocator",
    ];
    let peers: Vec<String> = peers
        .iter()
        .filter_map(|peer| Some(format!("{peer} {}", locked_version(&lock, peer)?)))
        .collect();
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let cpu = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    format!(
        "Peers: {}. Processor: {}.\n",
        peers.join(", "),
        cpu.map_or("unknown", |(_, name)| name)
    )
}

fn locked_version<'lock>(lock: &'lock str, package: &str) -> Option<&'lock str> {
    let (_, after) = lock.split_once(&format!("name = \"{package}\"\nversion = \""))?;
    after.split('"').next()
}

/// Instructions an operation, a row a line.
pub fn counts_table(counts: &Counts) -> String {
    let mut table = String::from("| instructions an operation | target |");
    heads(&mut table, &Subject::ALL);
    for row in ROWS {
        let target = row
            .target
            .map_or(String::new(), |target| target.to_string());
        let _ = write!(table, "\n| {} | {target} |", row.what);
        for subject in Subject::ALL {
            cell(&mut table, subject, counts.of(row, subject), 1);
        }
    }
    table.push('\n');
    table
}

/// CPU time as ratios to each row's reference, and framealloc's in nanoseconds.
pub fn times_table(times: &[Times]) -> String {
    let mut table = String::from("| CPU time | ratio to | framealloc, ns |");
    heads(&mut table, &Subject::ALL);
    for row in times {
        let of = |wanted| row.cells.iter().find(|(subject, ..)| *subject == wanted);
        let nanos = of(Subject::Framealloc).map(|&(_, nanos, _)| {
            let digits = if nanos < 1_000.0 { 1 } else { 0 };
            format!("{nanos:.digits$}")
        });
        let _ = write!(
            table,
            "\n| {} | {} | {} |",
            row.what,
            row.reference.name(),
            nanos.unwrap_or_default()
        );
        for subject in Subject::ALL {
            cell(
                &mut table,
                subject,
                of(subject).map(|(_, _, ratio)| *ratio),
                2,
            );
        }
    }
    table.push('\n');
    table
}

/// What turning something on costs.
pub fn costs_table(costs: &[Cost]) -> String {
    let mut table = String::from(
        "| CPU time, ns | without | with | ratio | more | promised, at most |\n|---|---:|---:|---:|---:|---:|\n",
    );
    for cost in costs {
        let Cost {
            what,
            promise,
            without,
            with,
            more,
            ratio,
        } = cost;
        let _ = writeln!(
            table,
            "| {what} | {without:.1} | {with:.1} | {ratio:.2} | **{more:.1}** | {promise:.0} |"
        );
    }
    table
}

/// What looking at everything costs.
pub fn looks_table(looks: &[Look]) -> String {
    let mut table = String::from("| CPU time, µs | | promised, at most |\n|---|---:|---:|\n");
    for Look {
        what,
        promise,
        micros,
    } in looks
    {
        let _ = writeln!(table, "| {what} | **{micros:.0}** | {promise:.0} |");
    }
    table
}

fn heads(table: &mut String, subjects: &[Subject]) {
    for subject in subjects {
        let _ = write!(table, " {} |", subject.name());
    }
    let columns = table.matches('|').count() - 1;
    table.push_str("\n|---|");
    table.push_str(&"---:|".repeat(columns - 1));
}

fn cell(table: &mut String, subject: Subject, value: Option<f64>, digits: usize) {
    let _ = match (value, subject) {
        (None, _) => write!(table, " |"),
        (Some(value), Subject::Framealloc) => write!(table, " **{value:.digits$}** |"),
        (Some(value), _) => write!(table, " {value:.digits$} |"),
    };
}

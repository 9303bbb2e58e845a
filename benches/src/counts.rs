//! From gungraun's report to instructions an operation.

use crate::{Operation, ROWS, Row, Subject};
use serde_json::Value;
use std::collections::BTreeMap;

/// One process under callgrind: a cell of the table and how often its operation runs.
#[derive(Clone, Copy)]
pub struct Job {
    row: &'static Row,
    subject: Subject,
    times: usize,
}

impl Job {
    /// Every job, in the order in which gungraun numbers them: each cell without an operation, then with many.
    pub fn all() -> Vec<Job> {
        cells()
            .flat_map(|(row, subject)| {
                [0, row.times].map(|times| Job {
                    row,
                    subject,
                    times,
                })
            })
            .collect()
    }

    /// The warm operation, and how often to run it.
    pub fn prepare(self) -> (Operation, usize) {
        let operation = self
            .row
            .prepare(self.subject)
            .expect("a job is made from a cell");
        (operation, self.times)
    }
}

fn cells() -> impl Iterator<Item = (&'static Row, Subject)> {
    ROWS.iter()
        .flat_map(|row| row.cells.iter().map(move |&(subject, _)| (row, subject)))
}

/// Instructions an operation, for every cell of the table.
#[derive(Debug, PartialEq)]
pub struct Counts(BTreeMap<(&'static str, Subject), f64>);

impl Counts {
    /// Reads what `cargo bench --bench counts -- --output-format=json` printed: an object a line, one for every job.
    ///
    /// # Errors
    /// Says which job is missing or which line is not as gungraun writes it.
    pub fn read(report: &str) -> Result<Counts, String> {
        let mut jobs = BTreeMap::new();
        for line in report.lines().filter(|line| line.starts_with('{')) {
            let job: Value = serde_json::from_str(line)
                .map_err(|error| format!("gungraun's report is not JSON: {error}"))?;
            let number = job["id"].as_str().and_then(|id| id.strip_prefix("cell_"));
            let number: usize = number
                .and_then(|number| number.parse().ok())
                .ok_or_else(|| format!("a job of gungraun's report has the name {}", job["id"]))?;
            let events = &job["profiles"][0]["data"]["total"]["metrics"]["Ir"]["values"];
            // "both" holds this run and the one before.
            let count = events["new"].as_u64().or(events["both"][0].as_u64());
            jobs.insert(
                number,
                count.ok_or_else(|| format!("job {number} counted no instructions: {events}"))?,
            );
        }
        let job = |number: usize| {
            let count = jobs.get(&number).map(|&count| count as f64);
            count.ok_or_else(|| format!("gungraun's report has no job {number}"))
        };
        cells()
            .enumerate()
            .map(|(cell, (row, subject))| {
                let (none, all) = (job(2 * cell)?, job(2 * cell + 1)?);
                Ok(((row.id, subject), (all - none) / row.times as f64))
            })
            .collect::<Result<_, _>>()
            .map(Counts)
    }

    /// Instructions an operation of `subject` in `row`.
    pub fn of(&self, row: &Row, subject: Subject) -> Option<f64> {
        self.0.get(&(row.id, subject)).copied()
    }

    /// The rows above their limit, as messages that name row, limit and count.
    pub fn above_limits(&self) -> Vec<String> {
        let ours = |row| self.of(row, Subject::Framealloc);
        ROWS.iter()
            .filter_map(|row| Some((row, ours(row)?)))
            .filter(|(row, count)| count.round() > f64::from(row.limit))
            .map(|(row, count)| {
                format!(
                    "{} ({}): {count:.1} instructions an operation, the limit is {}",
                    row.id, row.what, row.limit
                )
            })
            .collect()
    }
}

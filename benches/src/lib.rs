//! What is measured: the rows of the results table, each an operation on framealloc and on its peers.
//!
//! `counts` (instructions, under callgrind) and `times` (CPU time) run the same closures, so that the two views of a row are
//! views of the same code.

pub mod costs;
pub mod counts;
pub mod looks;
pub mod ours;
pub mod peers;
pub mod report;
pub mod rows;
pub mod times;
mod trace;
mod workloads;

pub use rows::ROWS;

/// Runs an operation as many times as it is told.
pub type Operation = Box<dyn FnMut(usize)>;

/// Who carries an operation out: a column of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// This library.
    Framealloc,
    /// bumpalo as it comes, with a minimum alignment of 1.
    Bumpalo,
    /// bumpalo with a minimum alignment of 8.
    BumpaloAlign8,
    /// bump-scope, downwards, with a minimum alignment of 8.
    BumpScope,
    /// `Box` on the C library's allocator.
    System,
    /// `Box` on mimalloc.
    Mimalloc,
    /// `Box` on jemalloc.
    Jemalloc,
}

impl Subject {
    /// Every subject, in the order of the columns.
    pub const ALL: [Subject; 7] = [
        Subject::Framealloc,
        Subject::Bumpalo,
        Subject::BumpaloAlign8,
        Subject::BumpScope,
        Subject::System,
        Subject::Mimalloc,
        Subject::Jemalloc,
    ];

    /// The head of its column.
    pub fn name(self) -> &'static str {
        match self {
            Subject::Framealloc => "framealloc",
            Subject::Bumpalo => "bumpalo",
            Subject::BumpaloAlign8 => "bumpalo, align 8",
            Subject::BumpScope => "bump-scope",
            Subject::System => "system",
            Subject::Mimalloc => "mimalloc",
            Subject::Jemalloc => "jemalloc",
        }
    }
}

/// A subject, and how it prepares what it runs.
pub type Cell<Run> = (Subject, fn() -> Run);

/// One operation and everyone who can carry it out.
pub struct Row {
    /// Names the row in the gate's messages.
    pub id: &'static str,
    /// The row's title in the table.
    pub what: &'static str,
    /// How often the operation runs in one measurement.
    pub times: usize,
    /// Instructions an operation that the design aims at.
    pub target: Option<u32>,
    /// Instructions an operation, rounded, above which the gate fails.
    pub limit: u32,
    /// Prepares a warm operation of each subject.
    pub cells: &'static [Cell<Operation>],
}

impl Row {
    /// The operation of `subject`, if it has one in this row.
    pub fn prepare(&self, subject: Subject) -> Option<Operation> {
        let (_, prepare) = self.cells.iter().find(|(of, _)| *of == subject)?;
        let mut operation = prepare();
        // The first run makes arenas grow to their size, the second one runs on what the first left behind.
        operation(self.times);
        operation(self.times);
        Some(operation)
    }
}

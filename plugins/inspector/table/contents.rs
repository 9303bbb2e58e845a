//! What stands in a table, in its order. Rows may be made when their lines come into sight.

use super::text::Texts;
use crate::bevy::inspector::rows::{Column, Row, as_json, as_text};

/// The key of a last row, which is a sum.
pub const SUM: u64 = u64::MAX;

/// Whether a line has others below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fold {
    Leaf,
    Open,
    Closed,
}

#[derive(Default)]
pub struct Contents {
    pub columns: &'static [Column],
    pub lines: Vec<Line>,
    /// A last line that stays in sight.
    pub sum: Option<Line>,
    /// Whether differences are shown.
    pub compares: bool,
    /// The greatest of the figures by which it is sorted.
    pub greatest: f64,
}

pub struct Line {
    /// That of its row.
    pub key: u64,
    pub depth: u8,
    pub fold: Fold,
    pub row: Option<Box<Row>>,
    /// Laid out when it comes into sight.
    pub texts: Option<Texts>,
}

impl Line {
    /// A line whose row is made when it is seen.
    pub fn new(key: u64) -> Self {
        Self {
            key,
            depth: 0,
            fold: Fold::Leaf,
            row: None,
            texts: None,
        }
    }

    /// The line of a row.
    pub fn of(row: Row) -> Self {
        let mut line = Self::new(row.key);
        line.row = Some(Box::new(row));
        line
    }
}

impl Contents {
    /// All rows with the sum, as text to be copied.
    pub fn text(&mut self, make: &dyn Fn(u64) -> Option<Row>) -> String {
        self.make_all(make);
        let lines = self.lines.iter().chain(&self.sum);
        as_text(self.columns, lines.filter_map(|line| line.row.as_deref()))
    }

    /// All rows, as JSON.
    pub fn json(&mut self, make: &dyn Fn(u64) -> Option<Row>) -> String {
        self.make_all(make);
        let rows = self.lines.iter().filter_map(|line| line.row.as_deref());
        as_json(self.columns, rows)
    }

    fn make_all(&mut self, make: &dyn Fn(u64) -> Option<Row>) {
        for line in &mut self.lines {
            if line.row.is_none() {
                line.row = make(line.key).map(Box::new);
            }
        }
    }
}

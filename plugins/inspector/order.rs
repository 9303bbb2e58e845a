//! By what a table is sorted.
//!
//! What is sorted are keys: a figure, and a rank by name where figures are the same. Rows themselves need not be there.

use serde::{Deserialize, Serialize};

use super::rows::{Column, Row};
use super::value::Value;

/// By what a table is sorted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// The key of a column. Empty for the order that the rows come in.
    pub column: String,
    /// By the difference instead of the figure.
    #[serde(default)]
    pub by_difference: bool,
    pub descending: bool,
}

impl Order {
    pub fn natural() -> Self {
        Self {
            column: String::new(),
            by_difference: false,
            descending: false,
        }
    }

    pub fn descending(column: &str) -> Self {
        Self {
            column: column.to_owned(),
            by_difference: false,
            descending: true,
        }
    }

    /// A click on a column's title: figures begin with the greatest, names with the first.
    pub fn click(&mut self, column: &Column, is_name: bool, by_difference: bool) {
        if self.column == column.key && self.by_difference == by_difference {
            self.descending = !self.descending;
        } else {
            *self = Self {
                column: column.key.to_owned(),
                by_difference,
                descending: !is_name && !column.is_text,
            };
        }
    }

    /// The column that it is sorted by, if that is one of these.
    pub fn column(&self, columns: &[Column]) -> Option<usize> {
        let mut keys = columns.iter().map(|column| column.key);
        keys.position(|key| key == self.column)
    }

    /// The key of what has this figure. `rank` is its place by name, which decides between equals, and is the key of the column of
    /// names.
    pub fn key(&self, figure: Option<f64>, rank: u32) -> Key {
        let figure = bits(figure.unwrap_or(f64::NEG_INFINITY));
        let figure = if self.descending { !figure } else { figure };
        Key { figure, rank }
    }

    /// Sorts rows.
    pub fn sort(&self, columns: &[Column], rows: &mut Vec<Row>) {
        let Some(column) = self.column(columns) else {
            return;
        };
        let by_name = ranks(rows, |row| row.full_name.to_lowercase());
        let by_text = match column {
            0 => None,
            column if columns[column].is_text => {
                Some(ranks(rows, |row| match &row.values[column - 1] {
                    Value::Text(text) => text.to_lowercase(),
                    _ => String::new(),
                }))
            }
            _ => None,
        };
        let mut keyed: Vec<(Key, Row)> = Vec::with_capacity(rows.len());
        for (index, row) in rows.drain(..).enumerate() {
            let figure = match (column, &by_text) {
                (0, _) => Some(f64::from(by_name[index])),
                (_, Some(ranks)) => Some(f64::from(ranks[index])),
                (column, None) if self.by_difference => row.difference(column),
                (column, None) => row.values[column - 1].number(),
            };
            keyed.push((self.key(figure, by_name[index]), row));
        }
        keyed.sort_by_key(|(key, _)| *key);
        rows.extend(keyed.into_iter().map(|(_, row)| row));
    }
}

/// What is sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    figure: u64,
    rank: u32,
}

/// A number whose order is that of figures.
fn bits(figure: f64) -> u64 {
    let bits = figure.to_bits();
    if bits >> 63 == 0 {
        bits | 1 << 63
    } else {
        !bits
    }
}

/// The place of each by its text; the same for the same text.
fn ranks(rows: &[Row], text: impl Fn(&Row) -> String) -> Vec<u32> {
    let mut sorted: Vec<(String, usize)> = rows.iter().map(text).zip(0..).collect();
    sorted.sort_unstable();
    let mut ranks = vec![0; rows.len()];
    let mut rank = 0;
    for (place, (text, index)) in sorted.iter().enumerate() {
        if place > 0 && sorted[place - 1].0 != *text {
            rank += 1;
        }
        ranks[*index] = rank;
    }
    ranks
}

#[cfg(test)]
mod tests {
    use super::super::rows::tests::{COLUMNS, row};
    use super::super::rows::{as_json, as_text};
    use super::*;

    fn names(rows: &[Row]) -> Vec<&str> {
        rows.iter().map(|row| &*row.name).collect()
    }

    #[test]
    fn a_click_sorts_and_the_next_turns_it_round() {
        let mut rows = vec![row("b", 1, "z"), row("a", 3, "y"), row("C", 2, "x")];
        let mut order = Order::natural();
        order.click(&COLUMNS[1], false, false);
        order.sort(COLUMNS, &mut rows);
        assert_eq!(names(&rows), ["a", "C", "b"]);
        order.click(&COLUMNS[1], false, false);
        order.sort(COLUMNS, &mut rows);
        assert_eq!(names(&rows), ["b", "C", "a"]);
        order.click(&COLUMNS[0], true, false);
        order.sort(COLUMNS, &mut rows);
        assert_eq!(names(&rows), ["a", "b", "C"]);
        order.click(&COLUMNS[2], false, false);
        order.sort(COLUMNS, &mut rows);
        assert_eq!(names(&rows), ["C", "a", "b"]);
    }

    #[test]
    fn rows_are_sorted_by_how_much_they_changed() {
        let mut rows = vec![row("small", 10, ""), row("big", 100, ""), row("new", 1, "")];
        rows[0].before = Some(vec![Value::Bytes(1), Value::Nothing]);
        rows[1].before = Some(vec![Value::Bytes(100), Value::Nothing]);
        rows[2].before = Some(vec![Value::Nothing, Value::Nothing]);
        let mut order = Order::natural();
        order.click(&COLUMNS[1], false, true);
        order.sort(COLUMNS, &mut rows);
        assert_eq!(names(&rows), ["small", "new", "big"]);
        assert!(
            as_text(COLUMNS, &rows).starts_with("Tag\tBytes\tState\tΔ Bytes\nsmall\t10\t\t9\n")
        );
        let json: serde_json::Value = serde_json::from_str(&as_json(COLUMNS, &rows)).unwrap();
        assert_eq!(json[0]["before"]["bytes"], 1);
    }

    #[test]
    fn figures_are_in_their_order_whatever_their_sign() {
        let figures = [
            f64::NEG_INFINITY,
            -2.5,
            -0.0,
            0.0,
            1e-300,
            3.0,
            f64::INFINITY,
        ];
        assert!(figures.is_sorted_by_key(|figure| bits(*figure)));
    }
}

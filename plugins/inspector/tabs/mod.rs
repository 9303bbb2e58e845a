//! What stands on each tab.
//!
//! | file | its rows |
//! |---|---|
//! | `overview.rs` | headline figures, their history, who stands out |
//! | `tags.rs` | the tree of tags |
//! | `systems.rs` | systems, and who calls the global allocator |
//! | `budgets.rs` | budgets as bars |
//! | `arenas.rs` | frame arenas by thread |
//! | `pools.rs` | pools by size class |
//! | `streaming.rs` | streams |
//! | `log.rs` | reports |
//!
//! A tab makes its rows from a look; the same for the look that is compared with gives the differences. The table does the
//! rest. Of tags there may be thousands: theirs are sorted as keys, and made when they come into sight (`figures.rs`).

mod arenas;
mod budgets;
mod figures;
mod log;
pub mod overview;
mod pools;
mod streaming;
mod systems;
mod tags;

use std::collections::HashMap;

use bevy_egui::egui::{self, RichText, Ui};

use super::look::Look;
use super::order::Order;
use super::panel::Panel;
use super::rows::{Column, Row};
use super::state::InspectorTab;
use super::table::{Contents, Line, SUM};
use super::value::Value;

/// What a table is made from.
pub struct Place<'a> {
    pub panel: &'a Panel,
    pub look: &'a Look,
    pub compared: Option<&'a Look>,
    /// What is sought, in lower case.
    pub needle: &'a str,
    pub order: &'a Order,
}

impl Place<'_> {
    pub fn contents(&self, tab: InspectorTab) -> Contents {
        let mut contents = match tab {
            InspectorTab::Overview => Contents::default(),
            InspectorTab::Tags => tags::contents(self),
            InspectorTab::Systems => systems::contents(self),
            InspectorTab::Budgets => self.flat(budgets::COLUMNS, budgets::rows),
            InspectorTab::Arenas => self.flat(arenas::COLUMNS, arenas::rows),
            InspectorTab::Pools => self.flat(pools::COLUMNS, pools::rows),
            InspectorTab::Streaming => self.flat(streaming::COLUMNS, streaming::rows),
            InspectorTab::Log => self.flat(log::COLUMNS, |_| log::rows(&self.panel.log)),
        };
        // The log is no state of a frame.
        contents.compares = self.compared.is_some() && tab != InspectorTab::Log;
        contents
    }

    /// The row of a line that came without. `None` on tabs whose lines come with their rows.
    pub fn row(&self, tab: InspectorTab, key: u64) -> Option<Row> {
        match tab {
            InspectorTab::Tags => Some(tags::row(self, key as usize)),
            InspectorTab::Systems => Some(systems::row(self, key as usize)),
            _ => None,
        }
    }

    /// A table whose rows stand beside one another.
    fn flat(&self, columns: &'static [Column], rows: impl Fn(&Look) -> Vec<Row>) -> Contents {
        let mut rows = match self.compared {
            None => rows(self.look),
            Some(compared) => joined(rows(self.look), rows(compared)),
        };
        rows.retain(|row| row.is_found(self.needle));
        self.order.sort(columns, &mut rows);
        let sorted = self.order.column(columns).filter(|column| *column > 0);
        let greatest = sorted.map_or(0.0, |column| {
            let figures = rows
                .iter()
                .filter_map(|row| row.values[column - 1].number());
            figures.fold(0.0, f64::max)
        });
        let sum = (rows.len() > 1).then(|| sum(columns, &rows)).flatten();
        Contents {
            columns,
            lines: rows.into_iter().map(Line::of).collect(),
            sum: sum.map(Line::of),
            greatest,
            ..Contents::default()
        }
    }
}

/// Rows with what they were before. Those that are gone are there as nothing.
pub fn joined(rows: Vec<Row>, before: Vec<Row>) -> Vec<Row> {
    let mut before: HashMap<u64, Row> = before.into_iter().map(|row| (row.key, row)).collect();
    let mut joined: Vec<Row> = rows
        .into_iter()
        .map(|row| {
            let values = match before.remove(&row.key) {
                Some(before) => before.values,
                None => vec![Value::Nothing; row.values.len()],
            };
            Row {
                before: Some(values),
                ..row
            }
        })
        .collect();
    joined.extend(before.into_values().map(|row| {
        let values = row
            .values
            .iter()
            .map(|value| match value {
                Value::Text(text) => Value::Text(text.clone()),
                _ => Value::Nothing,
            })
            .collect();
        Row {
            before: Some(row.values),
            values,
            ..row
        }
    }));
    joined
}

/// The sum of what can be added up: figures of bytes, counts and rates. `None` if there is none.
fn sum(columns: &[Column], rows: &[Row]) -> Option<Row> {
    let add = |of: &dyn Fn(&Row) -> Option<&Vec<Value>>, index: usize| {
        let mut sum = Value::Nothing;
        for row in rows {
            let Some(value) = of(row).map(|values| &values[index]) else {
                continue;
            };
            sum = match (sum, value) {
                (Value::Nothing, Value::Text(_) | Value::Share(_)) => Value::Nothing,
                (Value::Nothing, value) => value.clone(),
                (Value::Bytes(sum), Value::Bytes(more)) => Value::Bytes(sum + more),
                (Value::Count(sum), Value::Count(more)) => Value::Count(sum + more),
                (Value::Rate(sum), Value::Rate(more)) => Value::Rate(sum + more),
                (Value::ByteRate(sum), Value::ByteRate(more)) => Value::ByteRate(sum + more),
                (sum, _) => sum,
            };
        }
        sum
    };
    let all = |of: &dyn Fn(&Row) -> Option<&Vec<Value>>| -> Vec<Value> {
        (0..columns.len() - 1)
            .map(|index| match columns[index + 1].key {
                // Sizes and highest marks are no parts of one whole.
                "block" | "peak" | "idle" | "times" | "soft" | "limit" | "budget_live"
                | "exceeded" => Value::Nothing,
                _ => add(of, index),
            })
            .collect()
    };
    let values = all(&|row| Some(&row.values));
    if values.iter().all(|value| value.number().is_none()) {
        return None;
    }
    let name = format!("{} rows", super::value::grouped(rows.len() as u64));
    let before = rows.iter().any(|row| row.before.is_some());
    Some(Row {
        before: before.then(|| all(&|row| row.before.as_ref())),
        ..Row::new(SUM, name, values)
    })
}

/// How a tab is sorted until somebody sorts it.
pub fn first_order(tab: InspectorTab) -> Order {
    match tab {
        InspectorTab::Tags => Order::descending("live"),
        InspectorTab::Systems => Order::descending("calls"),
        InspectorTab::Budgets => Order::descending("fill"),
        InspectorTab::Arenas => Order::descending("frame"),
        _ => Order::natural(),
    }
}

/// What stands above a tab's table. Returns whether the table is to be made again.
pub fn above(
    panel: &mut Panel,
    tab: InspectorTab,
    look: &Look,
    compared: Option<&Look>,
    ui: &mut Ui,
) -> bool {
    match tab {
        InspectorTab::Tags => tags::above(panel, look, ui),
        InspectorTab::Systems => systems::above(panel, look, ui),
        InspectorTab::Budgets => {
            budgets::above(look, compared, ui);
            false
        }
        InspectorTab::Streaming => {
            streaming::above(look, ui);
            false
        }
        InspectorTab::Pools => {
            pools::above(look, ui);
            false
        }
        InspectorTab::Overview | InspectorTab::Arenas | InspectorTab::Log => false,
    }
}

/// What is said where there are no rows.
pub fn empty(tab: InspectorTab, look: &Look, is_search: bool, ui: &mut Ui) {
    ui.add_space(16.0);
    ui.vertical_centered(|ui| {
        if is_search {
            ui.label("Nothing here contains what you search for.");
            return;
        }
        match tab {
            InspectorTab::Streaming => streaming::empty(ui),
            InspectorTab::Log => {
                ui.label("No reports: nothing that the allocator had to complain about.");
            }
            InspectorTab::Budgets => budgets::empty(look, ui),
            InspectorTab::Pools => {
                ui.label("No pool was used yet: `alloc.pool_box(value)` takes a block of one.");
            }
            InspectorTab::Arenas => {
                ui.label("No thread has used frame memory yet.");
            }
            _ => {
                ui.label("Nothing was allocated yet.");
            }
        }
    });
}

/// A line of code, with a button that copies it.
pub fn code(ui: &mut Ui, code: &str) {
    ui.horizontal_wrapped(|ui| {
        ui.label(
            RichText::new(code)
                .monospace()
                .background_color(ui.visuals().code_bg_color),
        );
        if ui.small_button("Copy code").clicked() {
            ui.ctx().copy_text(code.to_owned());
        }
    });
}

/// A hint with a frame of its own.
pub fn hint(ui: &mut Ui, contents: impl FnOnce(&mut Ui)) {
    egui::Frame::group(ui.style())
        .inner_margin(egui::Margin::symmetric(8, 4))
        .fill(ui.visuals().faint_bg_color)
        .show(ui, |ui| {
            ui.set_width(ui.available_width());
            contents(ui);
        });
    ui.add_space(2.0);
}

//! A table of many rows. `egui_extras` lays it out, scrolls it and lets columns be dragged; only rows in sight are made and
//! painted.
//!
//! | file | what it is |
//! |---|---|
//! | `contents.rs` | the lines, and their rows |
//! | `titles.rs` | the columns' titles, which sort |
//! | `cell.rs` | a cell: its text, its bar, what stands beside the pointer, its menu |
//! | `text.rs` | the texts of a row, names that are too long |
//! | `widths.rs` | how wide columns are |
//!
//! Cells put no widgets into the `Ui` that they get: they paint a text that is laid out already, and what is clicked is the cell.
//! So a cell costs about a microsecond, and does not push its column's edge while figures change.

mod cell;
mod contents;
mod text;
mod titles;
mod widths;

use bevy_egui::egui::{Id, ScrollArea, Sense, Ui, vec2};
use egui_extras::{Column as Width, TableBuilder, TableRow};

use super::galleys::Galleys;
use super::order::Order;
use super::rows::{Column, Row};
use super::theme::{self, ROW};
use cell::Cell;
pub use contents::{Contents, Fold, Line, SUM};
use text::Texts;
pub use text::name;
pub use widths::Widths;
use widths::{Fitted, GAP, LEAST, Place};

/// As tall is the row of titles, in points.
const TITLES: f32 = ROW + 2.0;

/// What somebody did to a table.
pub enum Action {
    Sort {
        column: usize,
        by_difference: bool,
    },
    Fold(u64),
    /// Let columns be as wide as at first.
    ForgetWidths,
}

#[derive(Default)]
pub struct Table {
    pub contents: Contents,
    /// That of the texts.
    generation: u64,
    fitted: Option<Fitted>,
    /// The cell whose menu is open.
    menu: Option<Id>,
}

impl Table {
    /// Whether rows should stay where they are: a menu is open.
    pub fn is_held(&self) -> bool {
        self.menu.is_some()
    }

    /// Lays the columns out anew.
    pub fn forget_widths(&mut self) {
        self.fitted = None;
    }

    /// Paints it. Rows that came without are made by `make`, from their keys.
    pub fn show(
        &mut self,
        ui: &mut Ui,
        title: &'static str,
        order: &Order,
        chosen: &mut Widths,
        galleys: &mut Galleys,
        make: &dyn Fn(u64) -> Option<Row>,
    ) -> Option<Action> {
        self.forget_old_texts(galleys);
        let across = ScrollArea::horizontal()
            .id_salt((title, "across"))
            .auto_shrink(false);
        across
            .show(ui, |ui| {
                ui.spacing_mut().item_spacing = vec2(GAP, 0.0);
                theme::table(ui.visuals_mut());
                self.rows(ui, title, order, chosen, galleys, make)
            })
            .inner
    }

    fn forget_old_texts(&mut self, galleys: &Galleys) {
        if self.generation != galleys.generation() {
            for line in self.contents.lines.iter_mut().chain(&mut self.contents.sum) {
                line.texts = None;
            }
        }
        self.generation = galleys.generation();
    }

    fn rows(
        &mut self,
        ui: &mut Ui,
        title: &'static str,
        order: &Order,
        chosen: &mut Widths,
        galleys: &mut Galleys,
        make: &dyn Fn(u64) -> Option<Row>,
    ) -> Option<Action> {
        let contents = &mut self.contents;
        let places = Place::all(contents);
        let wanted = Fitted::of(title, &places, contents.columns, chosen, ui);
        let sum_height = if contents.sum.is_some() { ROW } else { 0.0 };
        let height = ui.available_height() - TITLES - sum_height;
        let mut builder = TableBuilder::new(ui)
            .id_salt((title, contents.compares))
            .striped(true)
            .resizable(true)
            .sense(Sense::click())
            .auto_shrink(false)
            .min_scrolled_height(ROW)
            .max_scroll_height(height.max(ROW));
        for width in &wanted.widths {
            builder = builder.column(Width::initial(*width).at_least(LEAST));
        }
        let fitted = match &mut self.fitted {
            Some(fitted) if fitted.is_like(&wanted) => fitted,
            other => {
                builder.reset();
                other.insert(wanted)
            }
        };
        let mut action = None;
        let table = builder.header(TITLES, |mut row| {
            for place in &places {
                let done = titles::title(&mut row, *place, contents.columns, order);
                action = done.or(action.take());
            }
        });
        let mut lines = Lines {
            columns: contents.columns,
            places: &places,
            order,
            greatest: contents.greatest,
            galleys,
            make,
            room_for_name: fitted.widths[0],
            menu: self.menu.take(),
            menu_shown: None,
            folded: None,
        };
        let lines_in_it = &mut contents.lines;
        let mut seen = Vec::new();
        table.body(|body| {
            seen.extend_from_slice(body.widths());
            lines.room_for_name = seen[0];
            body.rows(ROW, lines_in_it.len(), |mut row| {
                let line = &mut lines_in_it[row.index()];
                lines.line(&mut row, line);
            });
        });
        if let Some(sum) = &mut contents.sum {
            let across = ui.max_rect().left()
                ..=ui.max_rect().left() + seen.iter().map(|width| width + GAP).sum::<f32>();
            let line = ui.visuals().widgets.noninteractive.bg_stroke;
            ui.painter().hline(across, ui.cursor().top(), line);
            let mut builder = TableBuilder::new(ui)
                .id_salt((title, "sum"))
                .vscroll(false)
                .sense(Sense::click());
            for width in &seen {
                builder = builder.column(Width::exact(*width).clip(false));
            }
            builder.body(|mut body| {
                body.row(ROW, |mut row| {
                    lines.line(&mut row, sum);
                });
            });
        }
        self.menu = lines.menu_shown;
        if let Some(key) = lines.folded {
            action = Some(Action::Fold(key));
        }
        fitted.note(&seen, contents.columns, chosen);
        action
    }
}

/// Paints lines, and remembers what is done to them.
struct Lines<'a> {
    columns: &'static [Column],
    places: &'a [Place],
    order: &'a Order,
    greatest: f64,
    galleys: &'a mut Galleys,
    make: &'a dyn Fn(u64) -> Option<Row>,
    room_for_name: f32,
    menu: Option<Id>,
    menu_shown: Option<Id>,
    folded: Option<u64>,
}

impl Lines<'_> {
    fn line(&mut self, row: &mut TableRow<'_, '_>, line: &mut Line) {
        for &place in self.places {
            let (_, response) = row.col(|ui| {
                if place.column == 0 {
                    self.lay_out(line, ui);
                }
                if let Some(cell) = Cell::of(line, place, self.columns) {
                    cell.paint(self.bar_to(place, line), ui);
                }
            });
            let Some(cell) = Cell::of(line, place, self.columns) else {
                continue;
            };
            cell.describe(&response);
            if place.column == 0 && line.fold != Fold::Leaf && response.clicked() {
                self.folded = Some(line.key);
            }
            cell.hover(&response);
            if response.secondary_clicked() {
                self.menu = Some(response.id);
            }
            if self.menu == Some(response.id) && cell.menu(&response) {
                self.menu_shown = self.menu;
            }
        }
    }

    /// What a cell's bar is a part of; nothing if it has none.
    fn bar_to(&self, place: Place, line: &Line) -> f64 {
        let is_sorted = self.order.column == self.columns[place.column].key;
        if is_sorted && !self.order.by_difference && !place.is_difference && line.key != SUM {
            self.greatest
        } else {
            0.0
        }
    }

    /// Makes a line's row and its texts, if they are not there.
    fn lay_out(&mut self, line: &mut Line, ui: &Ui) {
        if line.row.is_none() {
            line.row = (self.make)(line.key).map(Box::new);
        }
        let room = self.room_for_name - cell::indent(line);
        let is_laid_out = line.texts.as_ref().is_some_and(|texts| texts.fit(room));
        if let (false, Some(row)) = (is_laid_out, &line.row) {
            line.texts = Some(Texts::of(row, self.columns, room, self.galleys, ui));
        }
    }
}

//! A table of many rows, of which only those in sight are laid out and painted.
//!
//! Why not `egui_extras`: there each cell is a `Ui` of its own, with its label in it. Here a cell is a rectangle, its text is
//! painted, and columns have fixed widths, so that nothing moves while figures change. Columns for which there is no room are
//! left out from the right, but the first two never are.

use std::sync::Arc;

use bevy_egui::egui::{
    Align2, Color32, Galley, Id, Pos2, Rect, Response, ScrollArea, Sense, Shape, Stroke,
    StrokeKind, Ui, WidgetInfo, WidgetType, pos2, vec2,
};

use super::rows::{Column, Fold, Order, Row, Shown, as_json, as_text};
use super::theme::{self, ROW};
use super::value::{Share, Value};

/// Between columns, in points.
const GAP: f32 = 10.0;
/// As wide is a step of the tree.
const STEP: f32 = 12.0;
/// The key of a last row, which is a sum.
pub const SUM: u64 = u64::MAX;
/// As narrow may the first column get.
const LEAST_NAME: f32 = 150.0;

/// Rows that are ready to be shown, in their order.
#[derive(Default)]
pub struct Table {
    pub columns: &'static [Column],
    pub rows: Vec<Row>,
    /// A last row that stays in sight.
    pub sum: Option<Row>,
    /// Whether differences are shown.
    pub compares: bool,
    /// The greatest of the figures by which it is sorted.
    pub greatest: f64,
    /// For what the texts of its rows were laid out.
    pub laid_out_for: Option<LaidOutFor>,
    /// The cell whose menu is open.
    pub menu: Option<Id>,
}

/// Texts are laid out once and painted in many frames, as long as this stays as it is.
#[derive(Clone, Copy)]
pub struct LaidOutFor {
    pixels_per_point: f32,
    /// Falls when egui throws its glyphs away.
    atlas_fill: f32,
}

/// What somebody did to a table.
pub enum Action {
    Sort { column: usize, by_difference: bool },
    Fold(u64),
}

/// A column's place on the screen.
#[derive(Clone, Copy)]
struct Place {
    column: usize,
    is_difference: bool,
    left: f32,
    right: f32,
}

impl Table {
    /// All rows with the sum, as text to be copied.
    pub fn text(&self) -> String {
        as_text(self.columns, self.rows.iter().chain(&self.sum))
    }

    /// All rows, as JSON.
    pub fn json(&self) -> String {
        as_json(self.columns, &self.rows)
    }

    pub fn show(&mut self, ui: &mut Ui, id: &str, order: &Order) -> Option<Action> {
        let scroll_bar = ui.spacing().scroll.allocated_width();
        let width = ui.available_width() - scroll_bar;
        let places = self.places(ui, width);
        let mut action = self.titles(ui, &places, order);
        let sum_height = if self.sum.is_some() { ROW + 4.0 } else { 0.0 };
        let height = (ui.available_height() - sum_height).max(ROW);
        self.forget_old_texts(ui);
        let spacing = std::mem::take(&mut ui.spacing_mut().item_spacing);
        ScrollArea::vertical()
            .id_salt(id)
            .auto_shrink(false)
            .max_height(height)
            .show_rows(ui, ROW, self.rows.len(), |ui, range| {
                let top = ui.min_rect().top();
                for (line, index) in range.enumerate() {
                    let top = top + line as f32 * ROW;
                    let done = self.row(ui, &places, order, Some(index), top, width);
                    action = done.or(action.take());
                }
            });
        if self.sum.is_some() {
            let (rect, _) = ui.allocate_exact_size(vec2(width, sum_height), Sense::hover());
            let stroke = ui.visuals().widgets.noninteractive.bg_stroke;
            ui.painter().hline(rect.x_range(), rect.top() + 1.0, stroke);
            self.row(ui, &places, order, None, rect.top() + 3.0, width);
        }
        ui.spacing_mut().item_spacing = spacing;
        action
    }

    fn forget_old_texts(&mut self, ui: &Ui) {
        let now = LaidOutFor {
            pixels_per_point: ui.pixels_per_point(),
            atlas_fill: ui.fonts(|fonts| fonts.font_atlas_fill_ratio()),
        };
        let is_good = self.laid_out_for.is_some_and(|before| {
            before.pixels_per_point == now.pixels_per_point && before.atlas_fill <= now.atlas_fill
        });
        if !is_good {
            for row in self.rows.iter_mut().chain(&mut self.sum) {
                row.shown = None;
            }
        }
        self.laid_out_for = Some(now);
    }

    /// Lays the columns out, from the right.
    fn places(&self, ui: &Ui, width: f32) -> Vec<Place> {
        let digit = ui.fonts_mut(|fonts| fonts.glyph_width(&theme::figures(), '0'));
        let mut wanted = Vec::new();
        for (index, column) in self.columns.iter().enumerate().skip(1) {
            if self.compares && !column.compared {
                continue;
            }
            wanted.push((index, false, f32::from(column.digits) * digit));
            if self.compares && !column.is_text {
                wanted.push((index, true, 10.0 * digit));
            }
        }
        let mut room = width - LEAST_NAME;
        let fits = wanted.iter().enumerate().take_while(|(place, wanted)| {
            room -= wanted.2 + GAP;
            *place == 0 || room >= 0.0
        });
        let count = fits.count();
        wanted.truncate(count);
        let left = ui.max_rect().left();
        let mut right = left + width;
        let mut places = Vec::with_capacity(count + 1);
        for (column, is_difference, wide) in wanted.into_iter().rev() {
            places.push(Place {
                column,
                is_difference,
                left: right - wide,
                right,
            });
            right -= wide + GAP;
        }
        places.push(Place {
            column: 0,
            is_difference: false,
            left,
            right,
        });
        places.reverse();
        places
    }

    fn titles(&self, ui: &mut Ui, places: &[Place], order: &Order) -> Option<Action> {
        let mut action = None;
        let (row, _) =
            ui.allocate_exact_size(vec2(ui.available_width(), ROW + 2.0), Sense::hover());
        for place in places {
            let column = &self.columns[place.column];
            let rect = Rect::from_x_y_ranges(place.left..=place.right, row.y_range());
            let sorted = order.column == column.key && order.by_difference == place.is_difference;
            let title = if place.is_difference {
                format!("Δ {}", column.title)
            } else {
                column.title.to_owned()
            };
            let id = ui.id().with(("title", column.key, place.is_difference));
            let response = ui.interact(rect, id, Sense::click());
            response.widget_info(|| WidgetInfo::labeled(WidgetType::Button, true, &title));
            let visuals = ui.visuals();
            let color = if sorted || response.hovered() {
                visuals.strong_text_color()
            } else {
                visuals.weak_text_color()
            };
            let on_left = place.column == 0 || column.is_text;
            let galley = ui.painter().layout_no_wrap(title, theme::names(), color);
            let mark = if sorted { 10.0 } else { 0.0 };
            let x = if on_left {
                rect.left()
            } else {
                rect.right() - galley.size().x
            };
            let y = rect.center().y - galley.size().y / 2.0;
            let end = x + galley.size().x;
            ui.painter().galley(pos2(x, y), galley, color);
            if sorted {
                let at = if on_left {
                    end + mark / 2.0 + 2.0
                } else {
                    x - mark / 2.0 - 2.0
                };
                triangle(ui, pos2(at, rect.center().y), order.descending, color);
            }
            if response.clicked() {
                action = Some(Action::Sort {
                    column: place.column,
                    by_difference: place.is_difference,
                });
            }
            if response.hovered() && !column.help.is_empty() {
                response.on_hover_text(column.help);
            }
        }
        let line = ui.visuals().widgets.noninteractive.bg_stroke;
        ui.painter().hline(row.x_range(), row.bottom() - 1.0, line);
        action
    }

    /// Paints a row; the sum without an index.
    fn row(
        &mut self,
        ui: &Ui,
        places: &[Place],
        order: &Order,
        index: Option<usize>,
        top: f32,
        width: f32,
    ) -> Option<Action> {
        let columns = self.columns;
        let row = match index {
            Some(index) => &mut self.rows[index],
            None => self.sum.as_mut()?,
        };
        let room = places[0].right - places[0].left;
        let is_laid_out = row
            .shown
            .as_ref()
            .is_some_and(|shown| shown[0].room == room);
        if !is_laid_out {
            row.shown = Some(lay_out(ui, columns, row, room));
        }
        let row = &*row;
        let left = ui.max_rect().left();
        let rect = Rect::from_min_size(pos2(left, top), vec2(width, ROW));
        if index.is_some_and(|index| index % 2 == 1) {
            ui.painter()
                .rect_filled(rect, 0.0, ui.visuals().faint_bg_color);
        }
        let base = ui.id().with(("row", row.key, index.is_none()));
        let mut action = None;
        for place in places {
            let rect = Rect::from_x_y_ranges(place.left..=place.right, rect.y_range());
            let id = base.with((place.column, place.is_difference));
            let response = ui.interact(rect, id, Sense::click());
            if response.hovered() && index.is_some() {
                let line = Rect::from_min_size(pos2(left, top), vec2(width, ROW));
                let stroke = Stroke::new(1.0, ui.visuals().weak_text_color());
                ui.painter()
                    .rect_stroke(line, 2.0, stroke, StrokeKind::Inside);
            }
            let cell = Cell {
                column: &columns[place.column],
                place: *place,
                row,
                rect,
            };
            if place.column == 0 {
                cell.name(ui, &response);
                if response.clicked() && row.fold != Fold::Leaf {
                    action = Some(Action::Fold(row.key));
                }
            } else if place.is_difference {
                cell.difference(ui, &response);
            } else {
                let is_sorted =
                    index.is_some() && order.column == cell.column.key && !order.by_difference;
                let greatest = if is_sorted { self.greatest } else { 0.0 };
                cell.value(ui, &response, greatest);
            }
            cell.hover(&response);
            if response.secondary_clicked() {
                self.menu = Some(id);
            }
            if self.menu == Some(id) {
                let menu = response.context_menu(|ui| {
                    let mut copy = |title: &str, text: &dyn Fn() -> String| {
                        if ui.button(title).clicked() {
                            ui.ctx().copy_text(text());
                            ui.close();
                        }
                    };
                    copy("Copy cell", &|| cell.plain());
                    copy("Copy row as text", &|| as_text(columns, [row]));
                    copy("Copy row as JSON", &|| as_json(columns, [row]));
                });
                if menu.is_none() {
                    self.menu = None;
                }
            }
        }
        action
    }
}

/// Lays out the texts of a row's cells. The first column has so much room.
fn lay_out(ui: &Ui, columns: &[Column], row: &Row, room: f32) -> Box<[Shown]> {
    let fonts = [theme::names(), theme::figures()];
    let text = |text: String, is_text: bool| {
        // The colour is given when it is painted.
        let font = fonts[usize::from(!is_text)].clone();
        ui.painter()
            .layout_no_wrap(text, font, Color32::PLACEHOLDER)
    };
    // A name is one line, whatever is in it.
    let mut name = text(row.name.replace(['\n', '\r', '\t'], " "), true);
    let room_for_name = room - row.indent();
    if name.size().x > room_for_name {
        let part = room_for_name / name.size().x;
        name = text(shortened(&row.name, part, columns[0].keeps_start), true);
    }
    let values = row.values.iter().enumerate();
    let values = values.map(|(index, value)| {
        let shown = match value {
            Value::Nothing if row.key == SUM => String::new(),
            value => value.shown(),
        };
        text(shown, columns[index + 1].is_text)
    });
    let galleys = std::iter::once(name).chain(values);
    galleys.map(|galley| Shown { galley, room }).collect()
}

impl Row {
    /// Where its name begins.
    fn indent(&self) -> f32 {
        let own = self.fold != Fold::Leaf || self.depth > 0;
        f32::from(self.depth) * STEP + if own { STEP } else { 0.0 }
    }
}

struct Cell<'a> {
    column: &'a Column,
    place: Place,
    row: &'a Row,
    rect: Rect,
}

impl Cell<'_> {
    fn content(&self) -> &Value {
        &self.row.values[self.place.column - 1]
    }

    fn galley(&self) -> Option<Arc<Galley>> {
        let shown = self.row.shown.as_ref()?;
        Some(shown[self.place.column].galley.clone())
    }

    fn name(&self, ui: &Ui, response: &Response) {
        response.widget_info(|| WidgetInfo::labeled(WidgetType::Label, true, &self.row.full_name));
        let left = self.rect.left() + self.row.indent();
        if self.row.fold != Fold::Leaf {
            let color = ui.visuals().weak_text_color();
            let at = pos2(left - STEP / 2.0 - 1.0, self.rect.center().y);
            if self.row.fold == Fold::Open {
                triangle(ui, at, true, color);
            } else {
                arrow(ui, at, color);
            }
        }
        let color = if self.row.values.iter().all(Value::is_zero) {
            ui.visuals().weak_text_color()
        } else {
            ui.visuals().text_color()
        };
        if let Some(galley) = self.galley() {
            let y = self.rect.center().y - galley.size().y / 2.0;
            ui.painter().galley(pos2(left, y), galley, color);
        }
    }

    fn value(&self, ui: &Ui, response: &Response, greatest: f64) {
        let value = self.content();
        self.describe(response, || value.shown());
        let visuals = ui.visuals();
        if let Value::Share(share) = value {
            if let Some(galley) = self.galley() {
                bar(ui, self.rect, *share, galley);
            }
            return;
        }
        if let Some(number) = value.number()
            && greatest > 0.0
        {
            let mut filled = self.rect.shrink2(vec2(0.0, 2.0));
            let part = (number / greatest).clamp(0.0, 1.0) as f32;
            filled.set_left(filled.right() - filled.width() * part);
            ui.painter().rect_filled(
                filled.expand2(vec2(2.0, 0.0)),
                2.0,
                theme::data_bar(visuals),
            );
        }
        let color = if value.is_zero() {
            visuals.weak_text_color()
        } else {
            visuals.text_color()
        };
        if let Some(galley) = self.galley() {
            self.paint(ui, galley, color);
        }
    }

    fn difference(&self, ui: &Ui, response: &Response) {
        let Some(difference) = self.row.difference(self.place.column) else {
            return;
        };
        let text = self.content().difference(difference);
        self.describe(response, || text.clone());
        let color = theme::change(ui.visuals(), difference);
        let galley = ui
            .painter()
            .layout_no_wrap(text.clone(), theme::figures(), color);
        self.paint(ui, galley, color);
    }

    fn describe(&self, response: &Response, text: impl Fn() -> String) {
        response.widget_info(|| {
            let text = text();
            let delta = if self.place.is_difference { "Δ " } else { "" };
            let (title, name) = (self.column.title, &self.row.full_name);
            WidgetInfo::labeled(
                WidgetType::Label,
                true,
                format!("{delta}{title} {text}, {name}"),
            )
        });
    }

    fn paint(&self, ui: &Ui, galley: Arc<Galley>, color: Color32) {
        let (anchor, at) = if self.column.is_text {
            (Align2::LEFT_CENTER, self.rect.left_center())
        } else {
            (Align2::RIGHT_CENTER, self.rect.right_center())
        };
        let rect = anchor.anchor_size(at, galley.size());
        if rect.width() > self.rect.width() {
            let painter = ui.painter().with_clip_rect(self.rect);
            painter.galley(rect.min.max(self.rect.min), galley, color);
        } else {
            ui.painter().galley(rect.min, galley, color);
        }
    }

    fn hover(&self, response: &Response) {
        if !response.hovered() {
            return;
        }
        response.clone().on_hover_ui_at_pointer(|ui| {
            ui.set_max_width(420.0);
            ui.strong(&*self.row.full_name);
            if self.place.column > 0 {
                if let Some(exact) = self.content().exact() {
                    ui.label(format!("{}: {exact}", self.column.title));
                }
                if let Value::Text(text) = self.content() {
                    ui.label(&**text);
                }
                if let Some(before) = &self.row.before {
                    let before = before[self.place.column - 1].exact();
                    let before = before.unwrap_or_else(|| "not there".to_owned());
                    ui.label(format!("before: {before}"));
                }
            }
            if let Some(note) = &self.row.note {
                ui.label(&**note);
            }
        });
    }

    fn plain(&self) -> String {
        match self.place.column {
            0 => self.row.full_name.clone().into_owned(),
            column if self.place.is_difference => self
                .row
                .difference(column)
                .map_or(String::new(), |difference| difference.to_string()),
            _ => self.content().plain(),
        }
    }
}

/// A part of a whole, with how much it is written on it.
fn bar(ui: &Ui, rect: Rect, share: Share, galley: Arc<Galley>) {
    let visuals = ui.visuals();
    let rect = rect.shrink2(vec2(0.0, 2.5));
    let painter = ui.painter();
    painter.rect_filled(rect, 2.0, visuals.extreme_bg_color);
    let mut filled = rect;
    filled.set_width(rect.width() * share.fraction().clamp(0.0, 1.0) as f32);
    painter.rect_filled(filled, 2.0, share.severity.fill().gamma_multiply(0.75));
    painter.rect_stroke(
        rect,
        2.0,
        visuals.widgets.noninteractive.bg_stroke,
        StrokeKind::Inside,
    );
    if let Some(mark) = share.mark()
        && mark <= 1.0
    {
        let x = rect.left() + rect.width() * mark as f32;
        painter.vline(
            x,
            rect.y_range(),
            Stroke::new(1.5, visuals.strong_text_color()),
        );
    }
    let color = visuals.strong_text_color();
    let at = Align2::CENTER_CENTER.anchor_size(rect.center(), galley.size());
    painter.galley(at.min, galley, color);
}

/// So much of a name as there is room for. The end of a path is what tells it from others.
fn shortened(name: &str, part: f32, keeps_start: bool) -> String {
    let name = name.replace(['\n', '\r', '\t'], " ");
    let letters = name.chars().count();
    let kept = ((letters as f32 * part) as usize).saturating_sub(2);
    if keeps_start {
        let start: String = name.chars().take(kept).collect();
        return format!("{start}…");
    }
    let end: String = name.chars().skip(letters - kept.min(letters)).collect();
    format!("…{end}")
}

/// A triangle that points down, or up.
fn triangle(ui: &Ui, center: Pos2, down: bool, color: Color32) {
    let y = if down { 2.5 } else { -2.5 };
    let points = vec![
        center + vec2(-4.0, -y),
        center + vec2(4.0, -y),
        center + vec2(0.0, y),
    ];
    ui.painter()
        .add(Shape::convex_polygon(points, color, Stroke::NONE));
}

/// A triangle that points right.
fn arrow(ui: &Ui, center: Pos2, color: Color32) {
    let points = vec![
        center + vec2(-2.5, -4.0),
        center + vec2(2.5, 0.0),
        center + vec2(-2.5, 4.0),
    ];
    ui.painter()
        .add(Shape::convex_polygon(points, color, Stroke::NONE));
}

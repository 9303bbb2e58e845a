//! A cell: its text, its bar, what stands beside the pointer, its menu.

use std::sync::Arc;

use bevy_egui::egui::{
    Align2, Color32, Galley, Painter, Pos2, Rect, Response, Shape, Stroke, StrokeKind, Ui, Visuals,
    WidgetInfo, WidgetType, pos2, vec2,
};

use super::contents::{Fold, Line};
use super::text::Texts;
use super::widths::Place;
use crate::bevy::inspector::rows::{Column, Row, as_json, as_text};
use crate::bevy::inspector::theme;
use crate::bevy::inspector::value::{Share, Value};

/// As wide is a step of the tree.
const STEP: f32 = 12.0;
/// As long is each end of a mark.
const MARK: f32 = 3.0;

/// Where a line's name begins.
pub fn indent(line: &Line) -> f32 {
    let own = line.fold != Fold::Leaf || line.depth > 0;
    f32::from(line.depth) * STEP + if own { STEP } else { 0.0 }
}

pub struct Cell<'a> {
    columns: &'static [Column],
    place: Place,
    line: &'a Line,
    row: &'a Row,
    texts: &'a Texts,
}

impl<'a> Cell<'a> {
    /// A cell of a line that is laid out.
    pub fn of(line: &'a Line, place: Place, columns: &'static [Column]) -> Option<Self> {
        Some(Self {
            columns,
            place,
            line,
            row: line.row.as_ref()?,
            texts: line.texts.as_ref()?,
        })
    }

    fn column(&self) -> &'static Column {
        &self.columns[self.place.column]
    }

    fn is_name(&self) -> bool {
        self.place.column == 0
    }

    fn value(&self) -> &Value {
        &self.row.values[self.place.column - 1]
    }

    fn difference(&self) -> Option<f64> {
        self.row.difference(self.place.column)
    }

    // ---- What is seen ----------------------------------------------------------------------------------------------------

    /// Paints it. With `bar_to`, a bar behind the figure says what part of that it is.
    pub fn paint(&self, bar_to: f64, ui: &Ui) {
        let rect = ui.max_rect();
        if !ui.is_rect_visible(rect) {
            return;
        }
        let (painter, visuals) = (ui.painter(), ui.visuals());
        if self.is_name() {
            self.paint_name(rect, painter, visuals);
        } else if self.place.is_difference {
            if let Some(difference) = self.difference() {
                let text = self.value().difference(difference);
                let color = theme::change(visuals, difference);
                let galley = painter.layout_no_wrap(text, theme::figures(), color);
                self.put(rect, painter, galley, color);
            }
        } else {
            self.paint_value(rect, painter, visuals, bar_to);
        }
    }

    fn paint_name(&self, rect: Rect, painter: &Painter, visuals: &Visuals) {
        let left = rect.left() + indent(self.line);
        let at = pos2(left - STEP / 2.0 - 1.0, rect.center().y);
        match self.line.fold {
            Fold::Leaf => {}
            Fold::Open => triangle(painter, at, true, visuals.weak_text_color()),
            Fold::Closed => arrow(painter, at, visuals.weak_text_color()),
        }
        let color = if self.row.values.iter().all(Value::is_zero) {
            visuals.weak_text_color()
        } else {
            visuals.text_color()
        };
        let galley = self.texts.galley(0);
        let y = rect.center().y - galley.size().y / 2.0;
        painter.galley(pos2(left, y), galley, color);
    }

    fn paint_value(&self, rect: Rect, painter: &Painter, visuals: &Visuals, bar_to: f64) {
        let value = self.value();
        let galley = self.texts.galley(self.place.column);
        if let Value::Share(share) = value {
            bar(rect, *share, galley, painter, visuals);
            return;
        }
        if let Some(number) = value.number()
            && bar_to > 0.0
            && number > 0.0
        {
            let mut filled = rect.shrink2(vec2(0.0, 2.0));
            let part = (number / bar_to).clamp(0.0, 1.0) as f32;
            filled.set_left(filled.right() - filled.width() * part);
            let filled = filled.expand2(vec2(2.0, 0.0));
            painter.rect_filled(filled, 2.0, theme::data_bar(visuals));
        }
        let color = if value.is_zero() {
            visuals.weak_text_color()
        } else {
            visuals.text_color()
        };
        self.put(rect, painter, galley, color);
    }

    /// Paints a text on its side of the cell. What is too long loses its end.
    fn put(&self, rect: Rect, painter: &Painter, galley: Arc<Galley>, color: Color32) {
        let (anchor, at) = if self.column().is_text {
            (Align2::LEFT_CENTER, rect.left_center())
        } else {
            (Align2::RIGHT_CENTER, rect.right_center())
        };
        let place = anchor.anchor_size(at, galley.size());
        if place.width() > rect.width() {
            let clip = painter.clip_rect().intersect(rect);
            let at = pos2(rect.left(), place.top());
            painter.with_clip_rect(clip).galley(at, galley, color);
        } else {
            painter.galley(place.min, galley, color);
        }
    }

    // ---- What is heard, pointed at and copied ----------------------------------------------------------------------------

    /// What a screen reader says.
    pub fn describe(&self, response: &Response) {
        response.widget_info(|| {
            let name = &self.row.full_name;
            let title = self.column().title;
            let text = if self.is_name() {
                name.to_string()
            } else if !self.place.is_difference {
                format!("{title} {}, {name}", self.value().shown())
            } else if let Some(difference) = self.difference() {
                format!("Δ {title} {}, {name}", self.value().difference(difference))
            } else {
                String::new()
            };
            WidgetInfo::labeled(WidgetType::Label, true, text)
        });
    }

    /// What stands beside the pointer: exact figures.
    pub fn hover(&self, response: &Response) {
        if !response.hovered() {
            return;
        }
        response.clone().on_hover_ui_at_pointer(|ui| {
            ui.set_max_width(420.0);
            ui.strong(&*self.row.full_name);
            if !self.is_name() {
                if let Some(exact) = self.value().exact() {
                    ui.label(format!("{}: {exact}", self.column().title));
                }
                if let Value::Text(text) = self.value() {
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

    /// The menu that copies. Returns whether it is open.
    pub fn menu(&self, response: &Response) -> bool {
        let menu = response.context_menu(|ui| {
            let mut copy = |title: &str, text: &dyn Fn() -> String| {
                if ui.button(title).clicked() {
                    ui.ctx().copy_text(text());
                    ui.close();
                }
            };
            copy("Copy cell", &|| self.plain());
            copy("Copy row as text", &|| as_text(self.columns, [self.row]));
            copy("Copy row as JSON", &|| as_json(self.columns, [self.row]));
        });
        menu.is_some()
    }

    fn plain(&self) -> String {
        if self.is_name() {
            self.row.full_name.clone().into_owned()
        } else if self.place.is_difference {
            let difference = self.difference();
            difference.map_or(String::new(), |difference| difference.to_string())
        } else {
            self.value().plain()
        }
    }
}

/// A part of a whole, with how much it is written on it.
fn bar(rect: Rect, share: Share, galley: Arc<Galley>, painter: &Painter, visuals: &Visuals) {
    let rect = rect.shrink2(vec2(0.0, 2.5));
    painter.rect_filled(rect, 2.0, visuals.extreme_bg_color);
    let mut filled = rect;
    filled.set_width(rect.width() * share.fraction().clamp(0.0, 1.0) as f32);
    painter.rect_filled(filled, 2.0, share.severity.fill().gamma_multiply(0.75));
    let stroke = visuals.widgets.noninteractive.bg_stroke;
    painter.rect_stroke(rect, 2.0, stroke, StrokeKind::Inside);
    if let Some(mark) = share.mark()
        && (0.0..=1.0).contains(&mark)
    {
        let x = rect.left() + rect.width() * mark as f32;
        let stroke = Stroke::new(1.5, visuals.strong_text_color());
        // At the edges, where it does not cross the figure.
        for y in [rect.top(), rect.bottom() - MARK] {
            painter.vline(x, y..=y + MARK, stroke);
        }
    }
    let color = visuals.strong_text_color();
    let at = Align2::CENTER_CENTER.anchor_size(rect.center(), galley.size());
    painter.galley(at.min, galley, color);
}

/// A triangle that points down, or up.
pub fn triangle(painter: &Painter, center: Pos2, down: bool, color: Color32) {
    let y = if down { 2.5 } else { -2.5 };
    let points = vec![
        center + vec2(-4.0, -y),
        center + vec2(4.0, -y),
        center + vec2(0.0, y),
    ];
    painter.add(Shape::convex_polygon(points, color, Stroke::NONE));
}

/// A triangle that points right.
fn arrow(painter: &Painter, center: Pos2, color: Color32) {
    let points = vec![
        center + vec2(-2.5, -4.0),
        center + vec2(2.5, 0.0),
        center + vec2(-2.5, 4.0),
    ];
    painter.add(Shape::convex_polygon(points, color, Stroke::NONE));
}

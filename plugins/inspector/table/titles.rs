//! Titles of columns: a click sorts, another turns the order round.

use bevy_egui::egui::{WidgetInfo, WidgetType, pos2};
use egui_extras::TableRow;

use super::Action;
use super::cell::triangle;
use super::widths::Place;
use crate::bevy::inspector::order::Order;
use crate::bevy::inspector::rows::Column;
use crate::bevy::inspector::theme;

/// As wide is the mark of the column that is sorted by.
const MARK: f32 = 10.0;

pub fn title(
    row: &mut TableRow<'_, '_>,
    place: Place,
    columns: &[Column],
    order: &Order,
) -> Option<Action> {
    let column = &columns[place.column];
    let is_sorted = order.column == column.key && order.by_difference == place.is_difference;
    let title = if place.is_difference {
        format!("Δ {}", column.title)
    } else {
        column.title.to_owned()
    };
    let (_, response) = row.col(|ui| {
        let visuals = ui.visuals();
        let color = if is_sorted || ui.response().hovered() {
            visuals.strong_text_color()
        } else {
            visuals.weak_text_color()
        };
        let rect = ui.max_rect();
        let is_on_left = place.column == 0 || column.is_text;
        let painter = ui.painter().with_clip_rect(ui.clip_rect().intersect(rect));
        let galley = painter.layout_no_wrap(title.clone(), theme::names(), color);
        let x = if is_on_left {
            rect.left()
        } else {
            // What is too long loses its end.
            (rect.right() - galley.size().x).max(rect.left())
        };
        let y = rect.center().y - galley.size().y / 2.0;
        let end = x + galley.size().x;
        painter.galley(pos2(x, y), galley, color);
        if is_sorted {
            let at = if is_on_left {
                end + MARK / 2.0 + 2.0
            } else {
                (x - MARK / 2.0 - 2.0).max(rect.left() + MARK / 2.0)
            };
            triangle(&painter, pos2(at, rect.center().y), order.descending, color);
        }
        let line = visuals.widgets.noninteractive.bg_stroke;
        ui.painter()
            .hline(rect.expand(5.0).x_range(), rect.bottom() - 1.0, line);
    });
    response.widget_info(|| WidgetInfo::labeled(WidgetType::Button, true, &title));
    let mut action = response.clicked().then_some(Action::Sort {
        column: place.column,
        by_difference: place.is_difference,
    });
    response.context_menu(|ui| {
        if ui.button("Usual widths of columns").clicked() {
            action = Some(Action::ForgetWidths);
            ui.close();
        }
    });
    if response.hovered() && !column.help.is_empty() {
        response.on_hover_text(column.help);
    }
    action
}

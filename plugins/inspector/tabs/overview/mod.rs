//! Headline figures, their history, and who stands out.

mod headlines;
mod history;
mod ranking;

use bevy_egui::egui::{
    Align2, Color32, Rect, Sense, Stroke, StrokeKind, Ui, WidgetInfo, WidgetType, pos2, vec2,
};

use crate::Bytes;
use crate::bevy::inspector::galleys::{Font, Galleys};
use crate::bevy::inspector::history::Measure;
use crate::bevy::inspector::look::Look;
use crate::bevy::inspector::panel::Panel;
use crate::bevy::inspector::state::{InspectorTab, MemoryInspector};
use crate::bevy::inspector::table::name as shortened;
use crate::bevy::inspector::theme;
use crate::bevy::inspector::value::{Value, decimal};

pub fn show(
    panel: &mut Panel,
    look: &Look,
    compared: Option<&Look>,
    inspector: &mut MemoryInspector,
    galleys: &mut Galleys,
    ui: &mut Ui,
) {
    headlines::show(look, compared, ui);
    ui.add_space(4.0);
    ui.horizontal(|ui| {
        for measure in Measure::ALL {
            ui.selectable_value(&mut panel.settings.measure, measure, measure.title());
        }
    });
    let line = theme::ROW;
    let lists = (ranking::STAND_OUT as f32 + 1.0) * line + 12.0;
    let height = (ui.available_height() - lists).clamp(90.0, 340.0);
    let measure = panel.settings.measure;
    if measure == Measure::CallsBySystem && !look.audits {
        ui.allocate_ui(vec2(ui.available_width(), height), |ui| {
            ui.set_min_height(height);
            ui.add_space(height / 3.0);
            ui.vertical_centered(|ui| {
                ui.label(
                    "Calls of the global allocator are not counted: no HeapAudit is installed.",
                );
                if ui.button("How to install one").clicked() {
                    inspector.tab = InspectorTab::Systems;
                }
            });
        });
    } else {
        history::show(panel, measure, height, galleys, ui);
    }
    ui.add_space(6.0);
    ui.columns(2, |columns| {
        ranking::calls(look).show(panel, look, galleys, &mut columns[0]);
        ranking::frame().show(panel, look, galleys, &mut columns[1]);
    });
}

/// A mark, a name, and a figure on the right.
fn line(
    ui: &mut Ui,
    mark: Option<Color32>,
    name: &str,
    value: &Value,
    unit: &str,
    galleys: &mut Galleys,
) {
    let size = vec2(ui.available_width(), theme::ROW);
    let (rect, response) = ui.allocate_exact_size(size, Sense::hover());
    let visuals = ui.visuals();
    let painter = ui.painter().with_clip_rect(rect);
    let mut left = rect.left() + 2.0;
    if let Some(color) = mark {
        let square = Rect::from_center_size(pos2(left + 5.0, rect.center().y), vec2(10.0, 10.0));
        painter.rect(
            square,
            2.0,
            color,
            Stroke::new(1.0, visuals.weak_text_color()),
            StrokeKind::Inside,
        );
        left += 16.0;
    }
    let shown = value.shown();
    response
        .widget_info(|| WidgetInfo::labeled(WidgetType::Label, true, format!("{name}: {shown}")));
    let color = visuals.text_color();
    let galley = galleys.lay_out(&shown, Font::Figures, ui);
    let figure = Align2::RIGHT_CENTER.anchor_size(rect.right_center(), galley.size());
    painter.galley(figure.min, galley, color);
    let room = figure.left() - 8.0 - left;
    let galley = shortened(name, false, room, galleys, ui);
    let y = rect.center().y - galley.size().y / 2.0;
    painter.galley(pos2(left, y), galley, color);
    if response.hovered() {
        response.on_hover_ui(|ui| {
            ui.strong(name);
            let exact = value.exact().unwrap_or(shown);
            ui.label(if unit.is_empty() {
                exact
            } else {
                format!("{} {unit}", value.shown())
            });
        });
    }
}

/// A line of the corner's.
pub fn corner_figures(look: &Look) -> Vec<(&'static str, String)> {
    let total = look.total();
    let mut lines = vec![(
        "frame",
        format!(
            "{} of {}",
            Bytes(look.frame_bytes().round() as u64),
            Bytes(look.frame_reserved())
        ),
    )];
    if look.audits {
        lines.push((
            "heap calls",
            format!("{} a frame", decimal(look.rate(total.calls))),
        ));
        lines.push(("held", Bytes(total.global).to_string()));
    }
    lines.push(("pools", Bytes(look.pool_live()).to_string()));
    if let Some((name, fill)) = look.worst_budget() {
        let name = name.rsplit("::").next().unwrap_or(name);
        lines.push(("budget", format!("{:.0} % {name}", fill * 100.0)));
    }
    lines
}

//! What the last minute was like: a plot, and a list of what is in it.

use bevy_egui::egui::{Align, Color32, Layout, RichText, Ui, Vec2, vec2};
use egui_plot::{AxisHints, FilledArea, GridMark, HoverPosition, Line, Plot, PlotPoints};

use super::line;
use crate::bevy::inspector::galleys::Galleys;
use crate::bevy::inspector::history::{Measure, NAMED, Series, Stacked};
use crate::bevy::inspector::panel::Panel;
use crate::bevy::inspector::theme;
use crate::bevy::inspector::value::Value;

/// As wide is the list beside the plot.
const LEGEND: f32 = 270.0;

pub fn show(panel: &mut Panel, measure: Measure, height: f32, galleys: &mut Galleys, ui: &mut Ui) {
    let Stacked { times, series, .. } = panel.history.stacked(measure, &panel.tree);
    ui.horizontal(|ui| {
        let width = (ui.available_width() - LEGEND - 8.0).max(160.0);
        plot(times, series, measure, vec2(width, height), ui);
        ui.allocate_ui_with_layout(vec2(LEGEND, height), Layout::top_down(Align::Min), |ui| {
            legend(series, measure, galleys, ui)
        });
    });
}

fn figure(measure: Measure, figure: f64) -> Value {
    if measure.is_bytes() {
        Value::ByteRate(figure)
    } else {
        Value::Rate(figure)
    }
}

fn color(index: usize, series: &Series) -> Color32 {
    if index >= NAMED || series.name == "all others" {
        theme::OTHERS
    } else {
        theme::SERIES[index % theme::SERIES.len()]
    }
}

fn plot(times: &[f64], series: &[Series], measure: Measure, size: Vec2, ui: &mut Ui) {
    let highest = series
        .last()
        .map_or(0.0, |top| top.tops.iter().copied().fold(0.0, f64::max));
    let oldest = times.first().copied().unwrap_or(0.0).min(-10.0);
    let y_axis = AxisHints::new_y()
        .formatter(move |mark, _| figure(measure, mark.value.max(0.0)).shown())
        .min_thickness(62.0);
    let x_axis = AxisHints::new_x().formatter(|mark, _| match mark.value {
        0.0 => "now".to_owned(),
        seconds => format!("{seconds:.0} s"),
    });
    Plot::new("history")
        .width(size.x)
        .height(size.y)
        .allow_drag(false)
        .allow_zoom(false)
        .allow_scroll(false)
        .allow_boxed_zoom(false)
        .allow_double_click_reset(false)
        .show_crosshair(false)
        .set_margin_fraction(vec2(0.0, 0.04))
        .x_grid_spacer(|grid| {
            let mut marks = decimal_marks(-grid.bounds.0);
            marks.iter_mut().for_each(|mark| mark.value *= -1.0);
            marks
        })
        .y_grid_spacer(move |grid| match grid.bounds.1.max(1.0) {
            highest if measure.is_bytes() => binary_marks(highest),
            highest => decimal_marks(highest),
        })
        .include_x(oldest)
        .include_x(0.0)
        .include_y(0.0)
        .include_y(if highest > 0.0 { highest } else { 1.0 })
        .custom_y_axes(vec![y_axis])
        .custom_x_axes(vec![x_axis])
        .label_formatter(move |position| match position {
            HoverPosition::NearDataPoint {
                plot_name,
                position,
                ..
            } => Some(format!(
                "{plot_name}\nup to here {}\n{:.1} s ago",
                figure(measure, position.y).shown(),
                -position.x
            )),
            HoverPosition::Elsewhere { .. } => None,
        })
        .show(ui, |plot| {
            let bottom = vec![0.0; times.len()];
            let mut floor = &bottom;
            for (index, band) in series.iter().enumerate() {
                let color = color(index, band);
                let area = FilledArea::new(band.name.clone(), times, floor, &band.tops);
                plot.add(
                    area.fill_color(color.gamma_multiply(0.7))
                        .allow_hover(false),
                );
                let edge = PlotPoints::Borrowed(&band.edge);
                plot.line(Line::new(band.name.clone(), edge).color(color).width(1.0));
                floor = &band.tops;
            }
        });
}

/// As many lines there are about.
const LINES: f64 = 5.0;

/// Lines at powers of two.
fn binary_marks(highest: f64) -> Vec<GridMark> {
    marks(highest, (highest / LINES).max(1.0).log2().ceil().exp2())
}

/// Lines at round figures.
fn decimal_marks(highest: f64) -> Vec<GridMark> {
    let rough = highest / LINES;
    let power = 10f64.powf(rough.max(0.1).log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0];
    let fits = steps.into_iter().find(|step| step * power >= rough);
    marks(highest, fits.unwrap_or(10.0) * power)
}

/// Lines from nothing up.
fn marks(highest: f64, step: f64) -> Vec<GridMark> {
    let mut marks = Vec::new();
    let mut value = 0.0;
    while value <= highest && marks.len() < 20 {
        marks.push(GridMark {
            value,
            step_size: step,
        });
        value += step;
    }
    marks
}

/// The bands, the top one first, with their newest figures.
fn legend(series: &[Series], measure: Measure, galleys: &mut Galleys, ui: &mut Ui) {
    ui.spacing_mut().item_spacing.y = 0.0;
    if series.is_empty() {
        ui.label(RichText::new("nothing yet").weak());
        return;
    }
    for (index, band) in series.iter().enumerate().rev() {
        line(
            ui,
            Some(color(index, band)),
            &band.name,
            &figure(measure, band.newest),
            "",
            galleys,
        );
    }
}

//! Headline figures, their history, and who stands out.

use bevy_egui::egui::{self, Align, Color32, FontId, Layout, RichText, Sense, Stroke, Ui, vec2};
use egui_plot::{AxisHints, FilledArea, GridMark, HoverPosition, Line, Plot, PlotPoints};

use crate::Bytes;
use crate::bevy::inspector::history::{Measure, NAMED, Series};
use crate::bevy::inspector::look::{Look, Use};
use crate::bevy::inspector::panel::Panel;
use crate::bevy::inspector::state::{InspectorTab, MemoryInspector};
use crate::bevy::inspector::theme::{self, Severity};
use crate::bevy::inspector::value::{Value, decimal, grouped};

/// As wide is the list beside the plot.
const LEGEND: f32 = 270.0;
/// As many stand in a list of those that stand out.
const STAND_OUT: usize = 5;

pub fn show(
    panel: &mut Panel,
    look: &Look,
    compared: Option<&Look>,
    inspector: &mut MemoryInspector,
    ui: &mut Ui,
) {
    headlines(look, compared, ui);
    ui.add_space(4.0);
    ui.horizontal(|ui| {
        for measure in Measure::ALL {
            ui.selectable_value(&mut panel.settings.measure, measure, measure.title());
        }
    });
    let line = theme::ROW;
    let lists = (STAND_OUT as f32 + 1.0) * line + 12.0;
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
        history(panel, measure, height, ui);
    }
    ui.add_space(6.0);
    ui.columns(2, |columns| {
        let calls = Ranking {
            title: "Most heap calls",
            figure: |used| used.calls,
            shown: |rate| Value::Rate(rate),
            unit: "calls a frame",
            nothing: if look.audits {
                "no system calls the heap"
            } else {
                "not counted without a HeapAudit"
            },
        };
        let frame = Ranking {
            title: "Most frame memory",
            figure: |used| used.frame,
            shown: |rate| Value::ByteRate(rate),
            unit: "a frame",
            nothing: "no system uses frame memory",
        };
        calls.show(panel, look, &mut columns[0]);
        frame.show(panel, look, &mut columns[1]);
    });
}

/// A figure that everybody wants to know.
struct Headline {
    title: &'static str,
    figure: Value,
    before: Option<Value>,
    below: String,
    help: &'static str,
    severity: Severity,
}

fn headlines(look: &Look, compared: Option<&Look>, ui: &mut Ui) {
    let total = look.total();
    let before = |figure: &dyn Fn(&Look) -> Value| compared.map(figure);
    let frame = |look: &Look| Value::ByteRate(look.frame_bytes());
    let pools = |look: &Look| Value::Bytes(look.pool_live());
    let heap = |look: &Look| Value::Bytes(look.total().heap);
    let calls = |look: &Look| {
        if look.audits {
            Value::Rate(look.rate(look.total().calls))
        } else {
            Value::Nothing
        }
    };
    let mut headlines = vec![
        Headline {
            title: "Frame memory",
            figure: frame(look),
            before: before(&frame),
            below: format!("a frame; {} in arenas", Bytes(look.frame_reserved())),
            help: "Frame memory handed out in a frame, in the whole process, and what the arenas of this world hold.",
            severity: Severity::Fine,
        },
        Headline {
            title: "Pools",
            figure: pools(look),
            before: before(&pools),
            below: format!("of {} in pages", Bytes(look.pool_reserved())),
            help: "Live blocks of the pools, and what their pages hold, in the whole process.",
            severity: Severity::Fine,
        },
        Headline {
            title: "Heap",
            figure: heap(look),
            before: before(&heap),
            below: "live, of heap_box".to_owned(),
            help: "Live memory of heap_box and its kin, in the whole process.",
            severity: Severity::Fine,
        },
        Headline {
            title: "Heap calls",
            figure: calls(look),
            before: before(&calls),
            below: if look.audits {
                format!("a frame; {} held", Bytes(total.global))
            } else {
                "no HeapAudit installed".to_owned()
            },
            help: "Calls of the global allocator a frame, and what is live of it: Vec, Box, String.",
            severity: Severity::Fine,
        },
    ];
    if let Some((name, fill)) = look.worst_budget() {
        let severity = match fill {
            fill if fill >= 1.0 => Severity::Bad,
            fill if fill >= 0.8 => Severity::Warning,
            _ => Severity::Fine,
        };
        headlines.push(Headline {
            title: "Fullest budget",
            figure: Value::text(format!("{:.0} %", fill * 100.0)),
            before: None,
            below: name.to_owned(),
            help: "Of all budgets, the one that is closest to its limit, or over it.",
            severity,
        });
    }
    if look.streaming.allocation_count > 0 {
        let stats = &look.streaming;
        headlines.push(Headline {
            title: "Streaming",
            figure: Value::Bytes(stats.total_reserved as u64),
            before: None,
            below: format!(
                "of {}, {} streams",
                Bytes(stats.budget as u64),
                stats.allocation_count
            ),
            help: "Bytes that streams have reserved, of their budget.",
            severity: Severity::Fine,
        });
    }
    headlines.push(Headline {
        title: "Reports",
        figure: Value::Count(look.reports),
        before: None,
        below: "so far; see Log".to_owned(),
        help: "Errors, warnings and hints of the allocator since the program began.",
        severity: if look.reports > 0 {
            Severity::Warning
        } else {
            Severity::Fine
        },
    });
    let gap = 6.0;
    let width = (ui.available_width() + gap) / headlines.len() as f32 - gap;
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = gap;
        for headline in headlines {
            headline.show(width, ui);
        }
    });
}

impl Headline {
    fn show(&self, width: f32, ui: &mut Ui) {
        let size = vec2(width, 62.0);
        let (rect, response) = ui.allocate_exact_size(size, Sense::hover());
        let visuals = ui.visuals().clone();
        ui.painter().rect(
            rect,
            4.0,
            visuals.faint_bg_color,
            visuals.widgets.noninteractive.bg_stroke,
            egui::StrokeKind::Inside,
        );
        let inner = rect.shrink2(vec2(8.0, 5.0));
        let mut card = ui.new_child(
            egui::UiBuilder::new()
                .max_rect(inner)
                .layout(Layout::top_down(Align::Min)),
        );
        card.spacing_mut().item_spacing.y = 1.0;
        card.set_clip_rect(rect.intersect(ui.clip_rect()));
        let extend = |text: RichText| egui::Label::new(text).truncate();
        card.add(extend(
            RichText::new(self.title)
                .small()
                .color(visuals.weak_text_color()),
        ));
        let figure = RichText::new(self.figure.shown())
            .font(FontId::monospace(18.0))
            .color(match self.severity {
                Severity::Fine => visuals.strong_text_color(),
                severity => severity.text(&visuals),
            });
        card.add(extend(figure));
        let difference = self.before.as_ref().and_then(|before| {
            let (now, before) = (self.figure.number()?, before.number()?);
            Some(now - before)
        });
        let below = match difference {
            None => RichText::new(&self.below).color(visuals.weak_text_color()),
            Some(difference) => {
                let text = format!("Δ {}", self.figure.difference(difference));
                RichText::new(text).color(theme::change(&visuals, difference))
            }
        };
        card.add(extend(below.small()));
        response.on_hover_ui(|ui| {
            ui.set_max_width(320.0);
            if let Some(exact) = self.figure.exact() {
                ui.strong(exact);
            }
            ui.label(&self.below);
            ui.label(self.help);
        });
    }
}

fn history(panel: &Panel, measure: Measure, height: f32, ui: &mut Ui) {
    let times = panel.history.times();
    let series = panel.history.stacked(measure, &panel.tree);
    ui.horizontal(|ui| {
        let width = (ui.available_width() - LEGEND - 8.0).max(160.0);
        plot(&times, &series, measure, vec2(width, height), ui);
        ui.allocate_ui_with_layout(vec2(LEGEND, height), Layout::top_down(Align::Min), |ui| {
            legend(&series, measure, ui)
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

fn plot(times: &[f64], series: &[Series], measure: Measure, size: egui::Vec2, ui: &mut Ui) {
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
        .y_grid_spacer(move |grid| marks(measure, grid.bounds.1.max(1.0)))
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
            let mut floor = vec![0.0; times.len()];
            for (index, band) in series.iter().enumerate() {
                let color = color(index, band);
                let area = FilledArea::new(band.name.clone(), times, &floor, &band.tops);
                plot.add(
                    area.fill_color(color.gamma_multiply(0.7))
                        .allow_hover(false),
                );
                let edge: PlotPoints<'_> = times
                    .iter()
                    .zip(&band.tops)
                    .map(|(&x, &y)| [x, y])
                    .collect();
                plot.line(Line::new(band.name.clone(), edge).color(color).width(1.0));
                floor.clone_from(&band.tops);
            }
        });
}

/// About five lines, at round figures: powers of two for bytes.
fn marks(measure: Measure, highest: f64) -> Vec<GridMark> {
    let rough = highest / 5.0;
    let step = if measure.is_bytes() {
        rough.max(1.0).log2().ceil().exp2()
    } else {
        let power = 10f64.powf(rough.max(0.1).log10().floor());
        let steps = [1.0, 2.0, 5.0, 10.0];
        let fits = steps.into_iter().find(|step| step * power >= rough);
        fits.unwrap_or(10.0) * power
    };
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
fn legend(series: &[Series], measure: Measure, ui: &mut Ui) {
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
        );
    }
}

/// A mark, a name, and a figure on the right.
fn line(ui: &mut Ui, mark: Option<Color32>, name: &str, value: &Value, unit: &str) {
    let size = vec2(ui.available_width(), theme::ROW);
    let (rect, response) = ui.allocate_exact_size(size, Sense::hover());
    let visuals = ui.visuals();
    let painter = ui.painter().with_clip_rect(rect);
    let mut left = rect.left() + 2.0;
    if let Some(color) = mark {
        let square =
            egui::Rect::from_center_size(egui::pos2(left + 5.0, rect.center().y), vec2(10.0, 10.0));
        painter.rect(
            square,
            2.0,
            color,
            Stroke::new(1.0, visuals.weak_text_color()),
            egui::StrokeKind::Inside,
        );
        left += 16.0;
    }
    let shown = value.shown();
    response.widget_info(|| {
        egui::WidgetInfo::labeled(egui::WidgetType::Label, true, format!("{name}: {shown}"))
    });
    let color = visuals.text_color();
    let galley = painter.layout_no_wrap(shown.clone(), theme::figures(), color);
    let figure = egui::Align2::RIGHT_CENTER.anchor_size(rect.right_center(), galley.size());
    painter.galley(figure.min, galley, color);
    let room = figure.left() - 8.0 - left;
    let mut text = name.replace(['\n', '\r', '\t'], " ");
    let mut galley = painter.layout_no_wrap(text.clone(), theme::names(), color);
    if galley.size().x > room {
        let kept = (text.chars().count() as f32 * room / galley.size().x) as usize;
        let skipped = text.chars().count() - kept.saturating_sub(2);
        text = format!("…{}", text.chars().skip(skipped).collect::<String>());
        galley = painter.layout_no_wrap(text, theme::names(), color);
    }
    let y = rect.center().y - galley.size().y / 2.0;
    painter.galley(egui::pos2(left, y), galley, color);
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

/// Systems by one of their figures.
struct Ranking {
    title: &'static str,
    figure: fn(&Use) -> u64,
    shown: fn(f64) -> Value,
    unit: &'static str,
    nothing: &'static str,
}

impl Ranking {
    fn show(&self, panel: &Panel, look: &Look, ui: &mut Ui) {
        ui.spacing_mut().item_spacing.y = 0.0;
        let mut best: Vec<(usize, u64)> = Vec::with_capacity(STAND_OUT + 1);
        let mut count = 0;
        for (place, used) in look.owned.iter().enumerate() {
            let figure = (self.figure)(used);
            if figure == 0 {
                continue;
            }
            count += 1;
            let at = best.partition_point(|&(_, other)| other >= figure);
            if at < STAND_OUT {
                best.insert(at, (place, figure));
                best.truncate(STAND_OUT);
            }
        }
        let title = match count {
            0 => self.title.to_owned(),
            count => format!("{} ({} systems)", self.title, grouped(count)),
        };
        ui.label(RichText::new(title).strong());
        if best.is_empty() {
            ui.label(RichText::new(self.nothing).weak());
        }
        for (place, figure) in best {
            let value = (self.shown)(look.rate(figure));
            line(ui, None, panel.tree.nodes[place].path, &value, self.unit);
        }
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

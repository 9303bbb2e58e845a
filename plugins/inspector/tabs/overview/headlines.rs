//! The figures that everybody wants to know, in a row at the top.

use bevy_egui::egui::{
    Align, FontId, Label, Layout, RichText, Sense, StrokeKind, Ui, UiBuilder, vec2,
};

use crate::Bytes;
use crate::bevy::inspector::look::Look;
use crate::bevy::inspector::theme::{self, Severity};
use crate::bevy::inspector::value::Value;

/// A figure that everybody wants to know.
struct Headline {
    title: &'static str,
    figure: Value,
    before: Option<Value>,
    below: String,
    help: &'static str,
    severity: Severity,
}

pub fn show(look: &Look, compared: Option<&Look>, ui: &mut Ui) {
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
            StrokeKind::Inside,
        );
        let inner = rect.shrink2(vec2(8.0, 5.0));
        let mut card = ui.new_child(
            UiBuilder::new()
                .max_rect(inner)
                .layout(Layout::top_down(Align::Min)),
        );
        card.spacing_mut().item_spacing.y = 1.0;
        card.set_clip_rect(rect.intersect(ui.clip_rect()));
        let extend = |text: RichText| Label::new(text).truncate();
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

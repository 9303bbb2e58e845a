//! Systems: who calls the global allocator in the frame loop, and who takes how much frame memory.

use bevy_egui::egui::Ui;

use super::figures::Figures;
use super::{Place, code, hint};
use crate::bevy::inspector::look::{Look, Use};
use crate::bevy::inspector::order::Key;
use crate::bevy::inspector::panel::Panel;
use crate::bevy::inspector::rows::{Column, Row};
use crate::bevy::inspector::table::{Contents, Line, SUM};
use crate::bevy::inspector::value::{Value, grouped};

pub const COLUMNS: &[Column] = &[
    Column::text("system", "System", 0)
        .help("What it named with `with_tag` is counted with it. Run conditions are systems, too."),
    Column::figure("calls", "Calls")
        .digits(9)
        .help("Calls of the global allocator a frame: each Vec that grows, Box, String. The ones to get rid of."),
    Column::figure("called", "Called for").help("Bytes of these calls, a frame."),
    Column::figure("global", "Held")
        .help("Live memory from the global allocator.")
        .not_compared(),
    Column::figure("frame", "Frame").help("Frame memory handed out, in bytes a frame."),
    Column::figure("kept", "Pools+heap")
        .digits(11)
        .help("Live memory in framealloc's pools (where they are charged to tags) and heap.")
        .not_compared(),
];

fn value(look: &Look, used: &Use, column: usize) -> Value {
    let audited = |value: Value| if look.audits { value } else { Value::Nothing };
    match column {
        1 => audited(Value::Rate(look.rate(used.calls))),
        2 => audited(Value::ByteRate(look.rate(used.called))),
        3 => audited(Value::Bytes(used.global)),
        4 => Value::ByteRate(look.rate(used.frame)),
        _ => Value::Bytes(used.pool + used.heap),
    }
}

const FIGURES: Figures = Figures {
    columns: COLUMNS,
    value,
};

pub fn contents(place: &Place<'_>) -> Contents {
    let panel = place.panel;
    let by_figure = place.order.column(COLUMNS);
    let mut sorted: Vec<(Key, u32)> = Vec::with_capacity(place.look.owned.len());
    let mut greatest = 0.0_f64;
    let mut sum = Use::default();
    let mut sum_before = Use::default();
    for ((used, node), index) in place.look.owned.iter().zip(&panel.tree.nodes).zip(0..) {
        let is_shown = used.ever || (panel.settings.idle && node.is_system);
        if !is_shown || !node.found {
            continue;
        }
        sum.add(used);
        let before = place
            .compared
            .and_then(|look| look.owned.get(index as usize));
        if let Some(before) = before {
            sum_before.add(before);
        }
        let figure = FIGURES.figure(place, by_figure, used, before, node.rank);
        greatest = greatest.max(figure.unwrap_or(0.0));
        sorted.push((place.order.key(figure, node.rank), index));
    }
    if by_figure.is_some() {
        sorted.sort_unstable();
    }
    let sum = (sorted.len() > 1).then(|| {
        let before = place.compared.map(|_| Some(&sum_before));
        let name = format!("{} rows", grouped(sorted.len() as u64));
        FIGURES.row(place, SUM, name, &sum, before)
    });
    Contents {
        columns: COLUMNS,
        lines: sorted
            .iter()
            .map(|(_, index)| Line::new(u64::from(*index)))
            .collect(),
        sum: sum.map(Line::of),
        greatest,
        ..Contents::default()
    }
}

/// The row of a line, once it comes into sight.
pub fn row(place: &Place<'_>, index: usize) -> Row {
    let node = &place.panel.tree.nodes[index];
    let before = place.compared.map(|look| look.owned.get(index));
    let row = FIGURES.row(
        place,
        index as u64,
        node.path,
        &place.look.owned[index],
        before,
    );
    if node.is_system {
        row
    } else if index == 0 {
        row.with_note("Outside all systems: schedules, tasks, other threads.")
    } else {
        row.with_note("No system of a schedule: an observer, a thread, code outside Bevy.")
    }
}

pub fn above(panel: &mut Panel, look: &Look, ui: &mut Ui) -> bool {
    if !look.audits {
        hint(ui, |ui| {
            ui.label(
                "Who calls malloc is not counted: no HeapAudit is installed. Put this into your main.rs, and this table \
                 names every system that calls the global allocator, Bevy's own included:",
            );
            code(
                ui,
                "#[global_allocator]\nstatic HEAP: framealloc::HeapAudit = framealloc::HeapAudit::system();",
            );
        });
    }
    let box_ = ui
        .checkbox(&mut panel.settings.idle, "Idle ones too")
        .on_hover_text("Systems that have never allocated anything: the good ones.");
    box_.changed()
}

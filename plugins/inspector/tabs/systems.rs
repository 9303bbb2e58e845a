//! Systems: who calls the global allocator in the frame loop, and who takes how much frame memory.

use bevy_egui::egui::Ui;

use super::{Place, code, hint};
use crate::bevy::inspector::look::Look;
use crate::bevy::inspector::panel::Panel;
use crate::bevy::inspector::rows::{Column, Row};
use crate::bevy::inspector::value::Value;

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

pub fn rows(place: &Place<'_>, look: &Look) -> Vec<Row> {
    let tree = &place.panel.tree;
    let audited = |value: Value| if look.audits { value } else { Value::Nothing };
    let owned = look.owned.iter().enumerate();
    owned
        .filter(|(index, used)| {
            used.ever || (place.panel.settings.idle && tree.nodes[*index].is_system)
        })
        .map(|(index, used)| {
            let values = vec![
                audited(Value::Rate(look.rate(used.calls))),
                audited(Value::ByteRate(look.rate(used.called))),
                audited(Value::Bytes(used.global)),
                Value::ByteRate(look.rate(used.frame)),
                Value::Bytes(used.pool + used.heap),
            ];
            let row = Row::new(index as u64, tree.path(index), values);
            if tree.nodes[index].is_system {
                row
            } else if index == 0 {
                row.with_note("Outside all systems: schedules, tasks, other threads.")
            } else {
                row.with_note("No system of a schedule: an observer, a thread, code outside Bevy.")
            }
        })
        .collect()
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

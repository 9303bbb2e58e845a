//! Streams.

use bevy_egui::egui::Ui;

use super::code;
use crate::bevy::inspector::look::Look;
use crate::bevy::inspector::rows::{Column, Row};
use crate::bevy::inspector::theme::Severity;
use crate::bevy::inspector::value::{Share, Value};
use crate::{Bytes, StreamState};

pub const COLUMNS: &[Column] = &[
    Column::text("stream", "Stream", 0)
        .help("Its number, and the tag that its memory is charged to."),
    Column::figure("loaded", "Loaded")
        .digits(20)
        .help("How much of it is there."),
    Column::figure("size", "Size").help("Bytes reserved."),
    Column::text("priority", "Priority", 9)
        .help("Whom it may evict, and by whom it may be evicted."),
    Column::text("state", "State", 12).help("How far it is."),
    Column::figure("pins", "Pins")
        .digits(5)
        .help("How often it is pinned: pinned ones are not evicted."),
    Column::figure("idle", "Idle")
        .digits(8)
        .help("Frames since it was last used."),
];

pub fn rows(look: &Look) -> Vec<Row> {
    let streams = look.streams.iter();
    let mut rows: Vec<Row> = streams
        .map(|stream| {
            let values = vec![
                Value::Share(Share {
                    severity: match stream.state {
                        StreamState::Ready => Severity::Fine,
                        _ => Severity::Warning,
                    },
                    ..Share::new(stream.loaded as u64, stream.size as u64)
                }),
                Value::Bytes(stream.size as u64),
                Value::text(stream.priority.to_string()),
                Value::text(stream.state.to_string()),
                Value::Count(u64::from(stream.pins)),
                Value::Count(stream.idle_frames),
            ];
            let id = stream.id.raw();
            // Numbers are used again with another generation, which is the upper half.
            let number = format!("#{}.{}", id as u32, id >> 32);
            let name = format!("{number} {}", stream.tag);
            Row::new(id, name, values)
        })
        .collect();
    rows.sort_by_key(|row| row.key as u32);
    rows
}

pub fn above(look: &Look, ui: &mut Ui) {
    let stats = &look.streaming;
    if stats.allocation_count == 0 && stats.evictions == 0 {
        return;
    }
    ui.label(format!(
        "{} of {} reserved, {} loaded; {} loading, {} ready; {} evicted so far ({}).",
        Bytes(stats.total_reserved as u64),
        Bytes(stats.budget as u64),
        Bytes(stats.total_loaded as u64),
        stats.loading_count,
        stats.ready_count,
        stats.evictions,
        Bytes(stats.evicted_bytes),
    ));
}

pub fn empty(ui: &mut Ui) {
    ui.label("Nothing is streamed. Memory for big assets, under a limit:");
    code(
        ui,
        "let id = alloc.streaming().reserve(bytes, StreamPriority::Normal)?;",
    );
}

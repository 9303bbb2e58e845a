//! Frame arenas by thread.

use crate::bevy::inspector::look::Look;
use crate::bevy::inspector::rows::{Column, Row};
use crate::bevy::inspector::value::{Share, Value};

pub const COLUMNS: &[Column] = &[
    Column::text("thread", "Thread", 0).help("The thread that the arena serves."),
    Column::figure("fill", "Fill").digits(20).help(
        "What the last frame was handed of its memory. The mark is the most of any frame. What guards gave back is handed out again: \
         a frame can have more than all of it.",
    ),
    Column::figure("frame", "Frame").help("Bytes that its last frame was handed, those included that guards gave back and others got."),
    Column::figure("peak", "Peak").help("The most of any frame."),
    Column::figure("reserved", "Reserved").help("Bytes that it may use without growing."),
    Column::figure("retired", "Retired")
        .digits(8)
        .help("Chunks that are kept apart because something in them outlived its frame (FA002)."),
    Column::figure("total", "Handed out")
        .help("Bytes handed out since it was made.")
        .not_compared(),
    Column::text("state", "State", 8).help("Whether the thread still runs."),
];

pub fn rows(look: &Look) -> Vec<Row> {
    let arenas = look.arenas.iter().enumerate();
    arenas
        .map(|(index, arena)| {
            let share = Share {
                mark: Some(arena.peak_frame_bytes as u64),
                ..Share::new(arena.frame_bytes as u64, arena.capacity as u64)
            };
            let values = vec![
                Value::Share(share),
                Value::Bytes(arena.frame_bytes as u64),
                Value::Bytes(arena.peak_frame_bytes as u64),
                Value::Bytes(arena.capacity as u64),
                Value::Count(arena.retired_chunks as u64),
                Value::Bytes(arena.total_bytes),
                Value::text(if arena.alive { "in use" } else { "waiting" }),
            ];
            let row = Row::new(index as u64, arena.thread.clone(), values);
            if arena.alive {
                row
            } else {
                row.with_note("The thread has ended. Its arena waits for the next one.")
            }
        })
        .collect()
}

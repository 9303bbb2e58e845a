//! Pools by size class.

use bevy_egui::egui::Ui;

use crate::Bytes;
use crate::bevy::inspector::look::Look;
use crate::bevy::inspector::rows::{Column, Row};
use crate::bevy::inspector::value::{Share, Value};

pub const COLUMNS: &[Column] = &[
    Column::text("class", "Class", 0)
        .help("Values of up to this size, down to the next smaller class."),
    Column::figure("fill", "Fill")
        .digits(20)
        .help("How many of the blocks in the class's pages are live."),
    Column::figure("live", "Live").help("Live blocks."),
    Column::figure("free", "Free").help("Blocks that are ready to be used again."),
    Column::figure("bytes", "Bytes").help("Bytes of the live blocks."),
    Column::figure("pages", "Pages").help("Bytes of the class's pages."),
    Column::figure("made", "Made")
        .digits(9)
        .help("Blocks handed out, a frame."),
    Column::figure("freed", "Freed")
        .digits(9)
        .help("Blocks freed, a frame."),
];

pub fn rows(look: &Look) -> Vec<Row> {
    let classes = look.pools.iter();
    classes
        .map(|class| {
            let stats = &class.stats;
            let values = vec![
                Value::Share(Share::new(stats.live(), stats.blocks)),
                Value::Count(stats.live()),
                Value::Count(stats.blocks.saturating_sub(stats.live())),
                Value::Bytes(stats.live_bytes() as u64),
                Value::Bytes(stats.reserved as u64),
                Value::Rate(look.rate(class.allocs)),
                Value::Rate(look.rate(class.frees)),
            ];
            let size = stats.block_size as u64;
            Row::new(
                size,
                format!("{} bytes", super::super::value::grouped(size)),
                values,
            )
        })
        .collect()
}

pub fn above(look: &Look, ui: &mut Ui) {
    if !look.pools.is_empty() {
        ui.label(format!(
            "{} live in {} of pages, in the whole process.",
            Bytes(look.pool_live()),
            Bytes(look.pool_reserved()),
        ));
    }
}

//! Who stands out: the systems with the most of something.

use bevy_egui::egui::{RichText, Ui};

use super::line;
use crate::bevy::inspector::galleys::Galleys;
use crate::bevy::inspector::look::{Look, Use};
use crate::bevy::inspector::panel::Panel;
use crate::bevy::inspector::value::{Value, grouped};

/// As many stand in a list of those that stand out.
pub const STAND_OUT: usize = 5;

/// Systems by one of their figures.
pub struct Ranking {
    title: &'static str,
    figure: fn(&Use) -> u64,
    shown: fn(f64) -> Value,
    unit: &'static str,
    nothing: &'static str,
}

impl Ranking {
    pub fn show(&self, panel: &Panel, look: &Look, galleys: &mut Galleys, ui: &mut Ui) {
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
            line(
                ui,
                None,
                panel.tree.nodes[place].path,
                &value,
                self.unit,
                galleys,
            );
        }
    }
}

pub fn calls(look: &Look) -> Ranking {
    Ranking {
        title: "Most heap calls",
        figure: |used| used.calls,
        shown: Value::Rate,
        unit: "calls a frame",
        nothing: if look.audits {
            "no system calls the heap"
        } else {
            "not counted without a HeapAudit"
        },
    }
}

pub fn frame() -> Ranking {
    Ranking {
        title: "Most frame memory",
        figure: |used| used.frame,
        shown: Value::ByteRate,
        unit: "a frame",
        nothing: "no system uses frame memory",
    }
}

//! The line at the bottom: which frames the figures are of, and what the panel costs itself.

use std::time::Duration;

use bevy_egui::egui::{RichText, Ui};

use super::panel::Panel;
use super::state::MemoryInspector;
use super::value::{decimal, grouped};

/// What painting the panel takes, told since the look before.
#[derive(Default)]
pub struct Cost {
    sum: Duration,
    times: u32,
    most: Duration,
    shown: Option<(f64, f64)>,
}

impl Cost {
    pub fn add(&mut self, spent: Duration) {
        self.sum += spent;
        self.times += 1;
        self.most = self.most.max(spent);
    }

    pub fn turn_over(&mut self) {
        if self.times > 0 {
            let average = self.sum.as_secs_f64() * 1e3 / f64::from(self.times);
            *self = Self {
                shown: Some((average, self.most.as_secs_f64() * 1e3)),
                ..Self::default()
            };
        }
    }
}

impl Panel {
    pub fn footer(&self, inspector: &MemoryInspector, ui: &mut Ui) {
        let Some(look) = &self.live else {
            return;
        };
        let mut text = if inspector.paused {
            format!("frame {}, paused", grouped(look.frame))
        } else {
            format!(
                "frame {}, figures of the last {}",
                grouped(look.frame),
                frames(look.frames)
            )
        };
        if let Some((average, most)) = self.cost.shown {
            text.push_str(&format!(
                "; this panel itself: {average:.2} ms a frame, {most:.2} at most"
            ));
        }
        if let Some(place) = self.tag.and_then(|tag| self.tree.place(tag))
            && look.audits
            && place != 0
        {
            let calls = decimal(look.rate(look.below[place].calls));
            text.push_str(&format!(", {calls} heap calls"));
        }
        ui.horizontal(|ui| {
            ui.label(RichText::new(text).small().weak());
            if let Some(message) = self.saver.message() {
                ui.label(RichText::new(message).small());
            }
        });
    }
}

fn frames(count: u64) -> String {
    match count {
        1 => "frame".to_owned(),
        count => format!("{} frames", grouped(count)),
    }
}

//! Colours and sizes.
//!
//! The series' colours are those of Okabe and Ito, "Color Universal Design: How to make figures and presentations that are
//! friendly to colorblind people" (2008, jfly.uni-koeln.de/color), which people with any form of colour vision tell apart. No
//! state is told by colour alone: it stands beside in words.

use bevy_egui::egui::{Color32, FontId, Visuals};

const ORANGE: Color32 = Color32::from_rgb(0xE6, 0x9F, 0x00);
const SKY: Color32 = Color32::from_rgb(0x56, 0xB4, 0xE9);
const GREEN: Color32 = Color32::from_rgb(0x00, 0x9E, 0x73);
const YELLOW: Color32 = Color32::from_rgb(0xF0, 0xE4, 0x42);
const BLUE: Color32 = Color32::from_rgb(0x00, 0x72, 0xB2);
const VERMILLION: Color32 = Color32::from_rgb(0xD5, 0x5E, 0x00);
const PURPLE: Color32 = Color32::from_rgb(0xCC, 0x79, 0xA7);

/// The colours of a history's series, in order. Yellow comes last: it is faint on white.
pub const SERIES: [Color32; 7] = [BLUE, ORANGE, GREEN, SKY, VERMILLION, PURPLE, YELLOW];
/// What is in no series of its own.
pub const OTHERS: Color32 = Color32::from_gray(0x88);

/// How tall a row of a table is, in points.
pub const ROW: f32 = 18.0;

/// Digits of one width, so that figures stand below one another and do not move while they change.
pub fn figures() -> FontId {
    FontId::monospace(12.0)
}

/// Names.
pub fn names() -> FontId {
    FontId::proportional(13.0)
}

/// More contrast than egui's own: figures are small.
pub fn sharpen(visuals: &mut Visuals) {
    let text = if visuals.dark_mode { 0xCC } else { 0x28 };
    visuals.widgets.noninteractive.fg_stroke.color = Color32::from_gray(text);
    visuals.weak_text_color = Some(Color32::from_gray(if visuals.dark_mode {
        0x90
    } else {
        0x62
    }));
    visuals.widgets.inactive.fg_stroke.color = Color32::from_gray(text);
}

/// Tables have lines between their columns, to be dragged by, and a row under the pointer: both fainter than what they are for.
pub fn table(visuals: &mut Visuals) {
    let line = if visuals.dark_mode { 0x2E } else { 0xDC };
    visuals.widgets.noninteractive.bg_stroke.color = Color32::from_gray(line);
    visuals.widgets.hovered.bg_fill = visuals.selection.bg_fill.gamma_multiply(0.3);
}

/// How full something is, or how grave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    Fine,
    Warning,
    Bad,
}

impl Severity {
    /// For bars and marks.
    pub const fn fill(self) -> Color32 {
        match self {
            Self::Fine => GREEN,
            Self::Warning => ORANGE,
            Self::Bad => VERMILLION,
        }
    }

    /// For text on this background.
    pub fn text(self, visuals: &Visuals) -> Color32 {
        match (self, visuals.dark_mode) {
            (Self::Fine, _) => visuals.text_color(),
            (_, true) => self.fill(),
            // Darker, for contrast with white.
            (Self::Warning, false) => Color32::from_rgb(0x8F, 0x5F, 0x00),
            (Self::Bad, false) => Color32::from_rgb(0xA8, 0x4A, 0x00),
        }
    }
}

/// What a change is painted in: more memory is worth a look, less is not.
pub fn change(visuals: &Visuals, difference: f64) -> Color32 {
    if difference > 0.0 {
        Severity::Bad.text(visuals)
    } else if difference < 0.0 {
        if visuals.dark_mode { SKY } else { BLUE }
    } else {
        visuals.weak_text_color()
    }
}

/// Behind figures of the column that a table is sorted by.
pub fn data_bar(visuals: &Visuals) -> Color32 {
    let alpha = if visuals.dark_mode { 0.45 } else { 0.35 };
    (if visuals.dark_mode { BLUE } else { SKY }).gamma_multiply(alpha)
}

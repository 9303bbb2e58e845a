//! The texts of a row, laid out once and painted in many frames.

use std::sync::Arc;

use bevy_egui::egui::{Color32, Galley, Ui};

use super::contents::SUM;
use crate::bevy::inspector::rows::{Column, Row};
use crate::bevy::inspector::theme;
use crate::bevy::inspector::value::Value;

pub struct Texts {
    name: Arc<Galley>,
    /// As wide may the name be.
    room: f32,
    /// Of each column but the first.
    values: Vec<Arc<Galley>>,
}

/// Texts are as good as new as long as this stays as it is.
#[derive(Clone, Copy)]
pub struct Fonts {
    pixels_per_point: f32,
    /// Falls when egui throws its glyphs away.
    atlas_fill: f32,
}

impl Fonts {
    pub fn of(ui: &Ui) -> Self {
        Self {
            pixels_per_point: ui.pixels_per_point(),
            atlas_fill: ui.fonts(|fonts| fonts.font_atlas_fill_ratio()),
        }
    }

    pub fn are_those_of(self, before: Self) -> bool {
        before.pixels_per_point == self.pixels_per_point && before.atlas_fill <= self.atlas_fill
    }
}

impl Texts {
    /// Lays a row out. What is the same as in the row that was there before stays as it was laid out.
    pub fn of(
        row: &Row,
        columns: &[Column],
        room: f32,
        before: Option<(&Row, &Self)>,
        ui: &Ui,
    ) -> Self {
        let name = match before {
            Some((known, texts)) if known.name == row.name && texts.room == room => {
                texts.name.clone()
            }
            _ => name(&row.name, columns[0].keeps_start, room, ui),
        };
        let values = row.values.iter().enumerate().map(|(index, value)| {
            if let Some((known, texts)) = before
                && known.values.get(index) == Some(value)
            {
                return texts.values[index].clone();
            }
            let shown = match value {
                Value::Nothing if row.key == SUM => String::new(),
                value => value.shown(),
            };
            let font = if columns[index + 1].is_text {
                theme::names()
            } else {
                theme::figures()
            };
            // The colour is given when it is painted.
            let painter = ui.painter();
            painter.layout_no_wrap(one_line(&shown), font, Color32::PLACEHOLDER)
        });
        Self {
            name,
            room,
            values: values.collect(),
        }
    }

    /// Whether the name has this much room.
    pub fn fit(&self, room: f32) -> bool {
        self.room == room
    }

    /// The text of a column.
    pub fn galley(&self, column: usize) -> Arc<Galley> {
        match column {
            0 => self.name.clone(),
            column => self.values[column - 1].clone(),
        }
    }
}

/// So much of a name as there is room for. The end of a path is what tells it from others.
pub fn name(name: &str, keeps_start: bool, room: f32, ui: &Ui) -> Arc<Galley> {
    let mut text = one_line(name);
    let layout = |text: String| {
        let painter = ui.painter();
        painter.layout_no_wrap(text, theme::names(), Color32::PLACEHOLDER)
    };
    let mut whole = layout(text.clone());
    for with_parameters in [last_segments as fn(&str) -> String, |_| "…".to_owned()] {
        if whole.size().x <= room {
            break;
        }
        if let Some(shorter) = generic(&text, with_parameters) {
            whole = layout(shorter.clone());
            text = shorter;
        }
    }
    let width = whole.size().x;
    if width <= room {
        return whole;
    }
    let letters = text.chars().count();
    let mut kept = (letters as f32 * room / width) as usize;
    loop {
        let shortened = layout(if keeps_start {
            let start: String = text.chars().take(kept).collect();
            format!("{start}…")
        } else {
            let end: String = text.chars().skip(letters - kept).collect();
            format!("…{end}")
        });
        // Letters are not all as wide as the average.
        let over = shortened.size().x - room;
        if over <= 0.0 || kept == 0 {
            return shortened;
        }
        let width_of_letter = width / letters as f32;
        kept = kept.saturating_sub(1 + (over / width_of_letter) as usize);
    }
}

/// The path of a generic function with its parameters made shorter, which would push its name out of sight.
fn generic(path: &str, shorter: impl Fn(&str) -> String) -> Option<String> {
    let start = path.find('<').filter(|&start| start > 0)? + 1;
    let end = path.rfind('>').filter(|&end| end > start)?;
    let parameters = shorter(&path[start..end]);
    Some(format!("{}{parameters}{}", &path[..start], &path[end..]))
}

/// Types without the paths to them.
fn last_segments(types: &str) -> String {
    let mut shorter = String::with_capacity(types.len());
    let mut segment = 0;
    let mut rest = types;
    while let Some(letter) = rest.chars().next() {
        if let Some(after) = rest.strip_prefix("::") {
            shorter.truncate(segment);
            rest = after;
            continue;
        }
        shorter.push(letter);
        if !(letter.is_alphanumeric() || letter == '_') {
            segment = shorter.len();
        }
        rest = &rest[letter.len_utf8()..];
    }
    shorter
}

/// A row is one line, whatever is in it.
fn one_line(text: &str) -> String {
    text.replace(['\n', '\r', '\t'], " ")
}

#[cfg(test)]
mod tests {
    use super::{generic, last_segments};

    #[test]
    fn parameters_lose_the_paths_to_them() {
        let short = |path| generic(path, last_segments).unwrap_or_default();
        assert_eq!(
            short("a::inherited<b::C<d::E>, f::G>"),
            "a::inherited<C<E>, G>"
        );
        assert_eq!(
            short("a::run<&mut b::C>::{{closure}}"),
            "a::run<&mut C>::{{closure}}"
        );
        assert_eq!(
            short("é::run<(é::ü, b::{{closure}})>"),
            "é::run<(ü, {{closure}})>"
        );
    }

    #[test]
    fn only_what_has_parameters_is_made_shorter() {
        for whole in ["a::b", "<a::B as c::D>::e", "a > b < c", "a<>", ""] {
            assert_eq!(generic(whole, last_segments), None, "{whole}");
        }
    }
}

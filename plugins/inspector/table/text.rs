//! The texts of a row, laid out once and painted in many frames.

use std::borrow::Cow;
use std::sync::Arc;

use bevy_egui::egui::{Galley, Ui};

use super::contents::SUM;
use crate::bevy::inspector::galleys::{Font, Galleys};
use crate::bevy::inspector::rows::{Column, Row};
use crate::bevy::inspector::value::Value;

pub struct Texts {
    name: Arc<Galley>,
    /// As wide may the name be.
    room: f32,
    /// Of each column but the first.
    values: Vec<Arc<Galley>>,
}

impl Texts {
    pub fn of(row: &Row, columns: &[Column], room: f32, galleys: &mut Galleys, ui: &Ui) -> Self {
        let values = columns[1..].iter().zip(&row.values).map(|(column, value)| {
            let font = if column.is_text {
                Font::Names
            } else {
                Font::Figures
            };
            match value {
                Value::Nothing if row.key == SUM => galleys.lay_out("", font, ui),
                value => galleys.lay_out(&value.shown(), font, ui),
            }
        });
        Self {
            values: values.collect(),
            name: name(&row.name, columns[0].keeps_start, room, galleys, ui),
            room,
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
pub fn name(
    name: &str,
    keeps_start: bool,
    room: f32,
    galleys: &mut Galleys,
    ui: &Ui,
) -> Arc<Galley> {
    let mut text = Cow::Borrowed(name);
    let mut layout = |text: &str| galleys.lay_out(text, Font::Names, ui);
    let mut whole = layout(&text);
    for with_parameters in [last_segments as fn(&str) -> String, |_| "…".to_owned()] {
        if whole.size().x <= room {
            break;
        }
        if let Some(shorter) = generic(&text, with_parameters) {
            whole = layout(&shorter);
            text = Cow::Owned(shorter);
        }
    }
    let width = whole.size().x;
    if width <= room {
        return whole;
    }
    let letters = text.chars().count();
    let mut kept = (letters as f32 * room / width) as usize;
    loop {
        let shortened = layout(&if keeps_start {
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

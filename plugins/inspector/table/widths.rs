//! How wide columns are: as somebody dragged them, or as their figures need. What is left is the names'.

use std::collections::BTreeMap;

use bevy_egui::egui::Ui;

use super::contents::Contents;
use crate::bevy::inspector::rows::Column;
use crate::bevy::inspector::theme;

/// Between columns, in points.
pub const GAP: f32 = 10.0;
/// As narrow may a column get.
pub const LEAST: f32 = 28.0;
/// As narrow is the first column at least, unless somebody drags it. Then the others are scrolled.
const LEAST_NAME: f32 = 150.0;
/// Right of the last column: the bar that scrolls is there.
const END: f32 = 12.0;
/// The digits of a difference.
const DIFFERENCE: f32 = 10.0;

/// The widths that somebody chose, in points, by column.
pub type Widths = BTreeMap<String, f32>;

/// A column on the screen: of values, or of their differences.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    pub column: usize,
    pub is_difference: bool,
}

impl Place {
    /// The columns in their order, differences beside their values.
    pub fn all(contents: &Contents) -> Vec<Self> {
        let mut places = Vec::with_capacity(2 * contents.columns.len());
        for (column, of) in contents.columns.iter().enumerate() {
            if contents.compares && !of.compared {
                continue;
            }
            places.push(Self {
                column,
                is_difference: false,
            });
            if contents.compares && !of.is_text {
                places.push(Self {
                    column,
                    is_difference: true,
                });
            }
        }
        places
    }

    fn key(self, columns: &[Column]) -> String {
        let delta = if self.is_difference { "Δ " } else { "" };
        format!("{delta}{}", columns[self.column].key)
    }

    /// How wide it is until somebody drags it.
    fn digits(self, columns: &[Column]) -> f32 {
        if self.is_difference {
            DIFFERENCE
        } else {
            f32::from(columns[self.column].digits)
        }
    }
}

/// The widths of a table's columns, as they are on the screen.
#[derive(Debug, Clone, PartialEq)]
pub struct Fitted {
    table: &'static str,
    places: Vec<Place>,
    room: f32,
    pub widths: Vec<f32>,
}

impl Fitted {
    pub fn of(
        table: &'static str,
        places: &[Place],
        columns: &[Column],
        chosen: &Widths,
        ui: &Ui,
    ) -> Self {
        let digit = ui.fonts_mut(|fonts| fonts.glyph_width(&theme::figures(), '0'));
        let room = ui.available_width();
        let width = |place: &Place| {
            let chosen = chosen.get(&place.key(columns)).copied();
            let chosen = chosen.filter(|width| width.is_finite() && *width >= LEAST);
            chosen.unwrap_or(place.digits(columns) * digit)
        };
        let mut widths: Vec<f32> = places.iter().map(width).collect();
        if !chosen.contains_key(&places[0].key(columns)) {
            let others: f32 = widths[1..].iter().map(|width| width + GAP).sum();
            widths[0] = (room - END - others).max(LEAST_NAME);
        }
        Self {
            table,
            places: places.to_vec(),
            room,
            widths,
        }
    }

    /// Whether it is of the same columns in as much room. Then they are as somebody may just be dragging them.
    pub fn is_like(&self, other: &Self) -> bool {
        self.table == other.table && self.places == other.places && self.room == other.room
    }

    /// Notes what was dragged.
    pub fn note(&mut self, seen: &[f32], columns: &[Column], chosen: &mut Widths) {
        let known = self.widths.iter_mut().zip(seen).zip(&self.places);
        for ((width, seen), place) in known {
            if (*width - seen).abs() > 0.5 {
                *width = *seen;
                chosen.insert(place.key(columns), seen.round());
            }
        }
    }
}

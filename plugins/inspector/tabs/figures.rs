//! Columns of what tags used: a figure of a tag is made when it is sorted by, a row when it is seen.

use std::borrow::Cow;

use super::Place;
use crate::bevy::inspector::look::{Look, Use};
use crate::bevy::inspector::rows::{Column, Row};
use crate::bevy::inspector::value::Value;

pub struct Figures {
    pub columns: &'static [Column],
    /// Of all columns but the first.
    pub value: fn(&Look, &Use, usize) -> Value,
}

impl Figures {
    /// What a tag is sorted by. Of names, that is their rank.
    pub fn figure(
        &self,
        place: &Place<'_>,
        column: Option<usize>,
        used: &Use,
        before: Option<&Use>,
        rank: u32,
    ) -> Option<f64> {
        match column? {
            0 => Some(f64::from(rank)),
            column => {
                let number = |look: &Look, used: &Use| (self.value)(look, used, column).number();
                let now = number(place.look, used);
                if !place.order.by_difference {
                    return now;
                }
                let before = number(place.compared?, before.unwrap_or(&Use::default()));
                Some(now.unwrap_or(0.0) - before.unwrap_or(0.0))
            }
        }
    }

    /// A row. `before` is there if looks are compared, and then says what there was of it.
    pub fn row(
        &self,
        place: &Place<'_>,
        key: u64,
        name: impl Into<Cow<'static, str>>,
        used: &Use,
        before: Option<Option<&Use>>,
    ) -> Row {
        let columns = 1..self.columns.len();
        let values = |look: &Look, used: &Use| -> Vec<Value> {
            let columns = columns.clone();
            columns
                .map(|column| (self.value)(look, used, column))
                .collect()
        };
        let mut row = Row::new(key, name, values(place.look, used));
        row.before = place
            .compared
            .zip(before)
            .map(|(look, before)| match before {
                Some(before) => values(look, before),
                None => vec![Value::Nothing; columns.len()],
            });
        row
    }
}

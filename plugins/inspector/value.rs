//! What stands in a cell: shown rounded, copied exactly.

use std::borrow::Cow;

use serde_json::Value as Json;

use super::theme::Severity;
use crate::Bytes;

/// The value of a cell.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// There is none.
    Nothing,
    Text(Cow<'static, str>),
    Bytes(u64),
    Count(u64),
    /// Something by frame.
    Rate(f64),
    /// Bytes by frame.
    ByteRate(f64),
    Share(Share),
}

/// A part of something, shown as a bar.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Share {
    pub part: u64,
    pub whole: u64,
    /// Where the bar has a mark: a soft limit, a high-water mark.
    pub mark: Option<u64>,
    pub severity: Severity,
}

impl Share {
    pub fn new(part: u64, whole: u64) -> Self {
        Self {
            part,
            whole,
            mark: None,
            severity: Severity::Fine,
        }
    }

    pub fn fraction(self) -> f64 {
        ratio(self.part, self.whole)
    }

    /// Where the mark is.
    pub fn mark(self) -> Option<f64> {
        self.mark.map(|mark| ratio(mark, self.whole))
    }
}

fn ratio(part: u64, whole: u64) -> f64 {
    match whole {
        0 => 0.0,
        whole => part as f64 / whole as f64,
    }
}

impl Value {
    /// Text that does not change.
    pub fn text(text: impl Into<Cow<'static, str>>) -> Self {
        Self::Text(text.into())
    }

    /// The number to sort by, and to compare.
    pub fn number(&self) -> Option<f64> {
        match *self {
            Self::Nothing | Self::Text(_) => None,
            Self::Bytes(value) | Self::Count(value) => Some(value as f64),
            Self::Rate(value) | Self::ByteRate(value) => Some(value),
            Self::Share(share) => Some(share.fraction()),
        }
    }

    /// Whether it is nothing worth looking at.
    pub fn is_zero(&self) -> bool {
        match self {
            Self::Text(_) => false,
            value => value.number().is_none_or(|number| number == 0.0),
        }
    }

    /// As it is shown.
    pub fn shown(&self) -> String {
        match self {
            Self::Nothing => "–".to_owned(),
            Self::Text(text) => text.to_string(),
            Self::Bytes(bytes) => Bytes(*bytes).to_string(),
            Self::Count(count) => grouped(*count),
            Self::Rate(rate) => decimal(*rate),
            Self::ByteRate(rate) => Bytes(rate.round() as u64).to_string(),
            Self::Share(share) => format!("{:.0} %", share.fraction() * 100.0),
        }
    }

    /// Exactly, with the unit.
    pub fn exact(&self) -> Option<String> {
        match self {
            Self::Nothing | Self::Text(_) => None,
            Self::Bytes(bytes) => Some(format!("{} bytes", grouped(*bytes))),
            Self::Count(count) => Some(grouped(*count)),
            Self::Rate(rate) => Some(format!("{rate:.3} a frame")),
            Self::ByteRate(rate) => Some(format!("{} bytes a frame", grouped(rate.round() as u64))),
            Self::Share(share) => Some(format!(
                "{} of {}",
                grouped(share.part),
                grouped(share.whole)
            )),
        }
    }

    /// For tables of other programs: figures without units.
    pub fn plain(&self) -> String {
        match self {
            Self::Nothing => String::new(),
            Self::Text(text) => text.to_string(),
            Self::Bytes(value) | Self::Count(value) => value.to_string(),
            Self::Rate(rate) | Self::ByteRate(rate) => format!("{rate:.3}"),
            Self::Share(share) => format!("{:.4}", share.fraction()),
        }
    }

    pub fn json(&self) -> Json {
        match self {
            Self::Nothing => Json::Null,
            Self::Text(text) => Json::from(text.as_ref()),
            Self::Bytes(value) | Self::Count(value) => Json::from(*value),
            Self::Rate(rate) | Self::ByteRate(rate) => Json::from((rate * 1e3).round() / 1e3),
            Self::Share(share) => {
                serde_json::json!({ "part": share.part, "whole": share.whole })
            }
        }
    }

    /// How a difference of values of this kind is shown.
    pub fn difference(&self, difference: f64) -> String {
        if difference == 0.0 {
            return "0".to_owned();
        }
        let sign = if difference > 0.0 { '+' } else { '−' };
        let size = difference.abs();
        match self {
            Self::Bytes(_) | Self::ByteRate(_) => format!("{sign}{}", Bytes(size.round() as u64)),
            Self::Count(_) => format!("{sign}{}", grouped(size as u64)),
            Self::Share(_) => format!("{sign}{:.0} %", size * 100.0),
            _ => format!("{sign}{}", decimal(size)),
        }
    }
}

/// A whole number with its digits in groups of three.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// One decimal; none from a thousand on.
pub fn decimal(number: f64) -> String {
    if number.abs() >= 999.95 {
        grouped(number.round() as u64)
    } else {
        format!("{number:.1}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_grouped_and_rounded() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(grouped(u64::MAX), "18,446,744,073,709,551,615");
        assert_eq!(decimal(0.04), "0.0");
        assert_eq!(decimal(999.94), "999.9");
        assert_eq!(decimal(12_345.6), "12,346");
    }

    #[test]
    fn values_are_shown_rounded_and_copied_exactly() {
        let bytes = Value::Bytes(1_572_864);
        assert_eq!(bytes.shown(), "1.5 MiB");
        assert_eq!(bytes.exact().unwrap(), "1,572,864 bytes");
        assert_eq!(bytes.plain(), "1572864");
        assert_eq!(bytes.json(), 1_572_864);
        assert_eq!(bytes.difference(-2048.0), "−2.0 KiB");
        assert_eq!(bytes.difference(0.0), "0");
        assert_eq!(Value::Rate(4.0).shown(), "4.0");
        assert_eq!(Value::Rate(4.0).difference(0.5), "+0.5");
        assert_eq!(Value::Nothing.json(), Json::Null);
        let share = Value::Share(Share::new(1, 0));
        assert_eq!(share.shown(), "0 %");
    }
}

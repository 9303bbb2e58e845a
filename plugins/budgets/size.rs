//! A size in a budget file: a number of bytes, or text such as `64 MiB`.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, Visitor};

/// Bytes. No block of memory can be larger than `isize::MAX`, so no size here is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size(pub(super) usize);

const LARGEST: u64 = isize::MAX as u64;

pub(super) struct SizeVisitor;

impl SizeVisitor {
    fn check<E: Error>(bytes: u64) -> Result<Size, E> {
        match usize::try_from(bytes) {
            Ok(size) if bytes <= LARGEST => Ok(Size(size)),
            _ => Err(E::custom(format_args!(
                "{bytes} bytes are more than a program can have"
            ))),
        }
    }
}

impl Visitor<'_> for SizeVisitor {
    type Value = Size;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a size, as in 65536 or \"64 KiB\"")
    }

    fn visit_u64<E: Error>(self, bytes: u64) -> Result<Size, E> {
        Self::check(bytes)
    }

    fn visit_i64<E: Error>(self, bytes: i64) -> Result<Size, E> {
        match u64::try_from(bytes) {
            Ok(bytes) => Self::check(bytes),
            Err(_) => Err(E::custom(format_args!("the size {bytes} is negative"))),
        }
    }

    fn visit_f64<E: Error>(self, bytes: f64) -> Result<Size, E> {
        Err(E::custom(if bytes < 0.0 {
            format!("the size {bytes} is negative")
        } else if bytes > LARGEST as f64 {
            format!("{bytes} bytes are more than a program can have")
        } else {
            format!(
                "the size {bytes} is not a whole number of bytes; write it as text, as in \"1.5 MiB\""
            )
        }))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Size, E> {
        if text.trim_start().starts_with('-') {
            return Err(E::custom(format_args!("the size `{text}` is negative")));
        }
        match parse_size::parse_size(text) {
            Ok(bytes) => Self::check(bytes),
            Err(parse_size::Error::PosOverflow) => Err(E::custom(format_args!(
                "`{text}` is more than a program can have"
            ))),
            Err(_) => Err(E::custom(format_args!(
                "`{text}` is not a size; write 65536, \"64 KiB\" or \"1.5 MiB\""
            ))),
        }
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SizeVisitor)
    }
}

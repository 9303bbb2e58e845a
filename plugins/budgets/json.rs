//! Reading a budget file.
//!
//! Everything that can be wrong is found while reading, so that serde_json says where: at the end of what is wrong. Hence the
//! visitors by hand, which keep the names that they have seen.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{self, Deserialize, DeserializeSeed, Deserializer, Error, MapAccess, Visitor};

use super::limits::{
    BudgetKind, BudgetLimits, BudgetSet, BudgetSetError, GLOBAL, Limits, check_limits,
};
use super::size::{Size, SizeVisitor};
use crate::{BudgetExceededPolicy, ThreadBudgetConfig};

/// Reads the text of a budget file. A byte order mark is passed over.
pub(super) fn read(text: &[u8]) -> Result<BudgetSet, BudgetSetError> {
    let text = text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text);
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let mut set = BudgetSet::new();
    let read = deserializer.deserialize_map(File(&mut set));
    match read.and_then(|()| deserializer.end()) {
        Ok(()) => Ok(set),
        Err(error) => {
            let place = format!(" at line {} column {}", error.line(), error.column());
            let message = error.to_string();
            Err(BudgetSetError {
                message: message.strip_suffix(&place).unwrap_or(&message).to_owned(),
                // Nothing at all ends in line 1.
                line: error.line().max(1),
                column: error.column().max(1),
            })
        }
    }
}

/// The whole file.
struct File<'a>(&'a mut BudgetSet);

const FIELDS: &[&str] = &["$schema", "global", "modules", "systems", "tags", "threads"];

impl<'de> Visitor<'de> for File<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of budgets")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<(), M::Error> {
        let set = self.0;
        let mut seen: Vec<String> = Vec::new();
        while let Some(field) = map.next_key::<String>()? {
            if seen.contains(&field) {
                return Err(M::Error::custom(format_args!("duplicate field `{field}`")));
            }
            match field.as_str() {
                "$schema" => drop(map.next_value::<String>()?),
                "global" => {
                    let limits = map.next_value::<BytesLimits>()?.0;
                    set.try_add(BudgetKind::Global, GLOBAL, Limits::Bytes(limits))
                        .map_err(M::Error::custom)?;
                }
                "modules" => {
                    map.next_value_seed(Section::<BytesLimits>::new(set, BudgetKind::Module))?
                }
                "systems" => {
                    map.next_value_seed(Section::<BytesLimits>::new(set, BudgetKind::System))?
                }
                "tags" => map.next_value_seed(Section::<BytesLimits>::new(set, BudgetKind::Tag))?,
                "threads" => {
                    map.next_value_seed(Section::<ThreadLimits>::new(set, BudgetKind::Thread))?
                }
                other => return Err(M::Error::unknown_field(other, FIELDS)),
            }
            seen.push(field);
        }
        Ok(())
    }
}

/// Budgets of one kind, by name.
struct Section<'a, L> {
    set: &'a mut BudgetSet,
    kind: BudgetKind,
    limits: PhantomData<L>,
}

impl<'a, L> Section<'a, L> {
    fn new(set: &'a mut BudgetSet, kind: BudgetKind) -> Self {
        Self {
            set,
            kind,
            limits: PhantomData,
        }
    }
}

impl<'de, L: Deserialize<'de> + Into<Limits>> DeserializeSeed<'de> for Section<'_, L> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, L: Deserialize<'de> + Into<Limits>> Visitor<'de> for Section<'_, L> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an object of budgets by the name of the {}", self.kind)
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<(), M::Error> {
        while let Some(name) = map.next_key::<String>()? {
            // Before its limits are read, so that the place is the name's.
            self.set
                .check_name(self.kind, &name)
                .map_err(M::Error::custom)?;
            let limits = map.next_value::<L>()?.into();
            self.set
                .try_add(self.kind, &name, limits)
                .map_err(M::Error::custom)?;
        }
        Ok(())
    }
}

/// `"32 MiB"`, or `{ "soft": "24 MiB", "hard": "32 MiB", "policy": "fail" }`.
struct BytesLimits(BudgetLimits);

impl From<BytesLimits> for Limits {
    fn from(limits: BytesLimits) -> Self {
        Self::Bytes(limits.0)
    }
}

impl<'de> Deserialize<'de> for BytesLimits {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(BytesLimitsVisitor)
    }
}

struct BytesLimitsVisitor;

impl<'de> Visitor<'de> for BytesLimitsVisitor {
    type Value = BytesLimits;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a size, as in \"64 KiB\", or an object with `soft`, `hard` and `policy`")
    }

    fn visit_u64<E: Error>(self, bytes: u64) -> Result<BytesLimits, E> {
        SizeVisitor.visit_u64(bytes).map(BytesLimits::hard)
    }

    fn visit_i64<E: Error>(self, bytes: i64) -> Result<BytesLimits, E> {
        SizeVisitor.visit_i64(bytes).map(BytesLimits::hard)
    }

    fn visit_f64<E: Error>(self, bytes: f64) -> Result<BytesLimits, E> {
        SizeVisitor.visit_f64(bytes).map(BytesLimits::hard)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<BytesLimits, E> {
        SizeVisitor.visit_str(text).map(BytesLimits::hard)
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<BytesLimits, M::Error> {
        const FIELDS: &[&str] = &["soft", "hard", "policy"];
        let (mut soft, mut hard, mut policy) = (None, None, None);
        while let Some(field) = map.next_key::<String>()? {
            match field.as_str() {
                "soft" => once("soft", &mut soft, &mut map, |Size(bytes)| bytes)?,
                "hard" => once("hard", &mut hard, &mut map, |Size(bytes)| bytes)?,
                "policy" => once("policy", &mut policy, &mut map, |Policy(policy)| policy)?,
                other => return Err(M::Error::unknown_field(other, FIELDS)),
            }
            // As soon as both are known, so that the place is theirs.
            if let (Some(_), Some(_)) = (soft, hard) {
                check_limits(limits(soft, hard, None)).map_err(M::Error::custom)?;
            }
        }
        let limits = limits(soft, hard, policy);
        check_limits(limits).map_err(M::Error::custom)?;
        Ok(BytesLimits(limits))
    }
}

fn limits(
    soft: Option<usize>,
    hard: Option<usize>,
    policy: Option<BudgetExceededPolicy>,
) -> BudgetLimits {
    BudgetLimits {
        soft: soft.or_else(|| BudgetLimits::new(hard?).soft),
        hard,
        policy: policy.unwrap_or(BudgetExceededPolicy::Warn),
    }
}

impl BytesLimits {
    fn hard(Size(bytes): Size) -> Self {
        Self(BudgetLimits::new(bytes))
    }
}

/// `{ "frame": "8 MiB", "held": "16 MiB", "warn_at_percent": 80, "policy": "fail" }`: of each thread.
struct ThreadLimits(ThreadBudgetConfig);

impl From<ThreadLimits> for Limits {
    fn from(limits: ThreadLimits) -> Self {
        Self::Threads(limits.0)
    }
}

impl<'de> Deserialize<'de> for ThreadLimits {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ThreadLimitsVisitor)
    }
}

struct ThreadLimitsVisitor;

impl<'de> Visitor<'de> for ThreadLimitsVisitor {
    type Value = ThreadLimits;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with `frame`, `held`, `warn_at_percent` and `policy`")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<ThreadLimits, M::Error> {
        const FIELDS: &[&str] = &["frame", "held", "warn_at_percent", "policy"];
        let (mut frame, mut held, mut warn, mut policy) = (None, None, None, None);
        while let Some(field) = map.next_key::<String>()? {
            match field.as_str() {
                "frame" => once("frame", &mut frame, &mut map, |Size(bytes)| bytes)?,
                "held" => once("held", &mut held, &mut map, |Size(bytes)| bytes)?,
                "warn_at_percent" => once("warn_at_percent", &mut warn, &mut map, |Percent(n)| n)?,
                "policy" => once("policy", &mut policy, &mut map, |Policy(policy)| policy)?,
                other => return Err(M::Error::unknown_field(other, FIELDS)),
            }
        }
        if frame.is_none() && held.is_none() {
            return Err(M::Error::custom(
                "a thread's budget needs `frame` or `held`",
            ));
        }
        let policy = policy.unwrap_or(BudgetExceededPolicy::Warn);
        Ok(ThreadLimits(ThreadBudgetConfig {
            frame_budget: frame.unwrap_or(usize::MAX),
            pool_budget: held.unwrap_or(usize::MAX),
            frame_exceeded_policy: policy,
            pool_exceeded_policy: policy,
            warning_threshold: warn.unwrap_or(90),
        }))
    }
}

/// Reads a field that may be there once.
fn once<'de, M: MapAccess<'de>, V: Deserialize<'de>, T>(
    name: &'static str,
    field: &mut Option<T>,
    map: &mut M,
    value: impl FnOnce(V) -> T,
) -> Result<(), M::Error> {
    if field.is_some() {
        return Err(M::Error::duplicate_field(name));
    }
    *field = Some(value(map.next_value()?));
    Ok(())
}

struct Policy(BudgetExceededPolicy);

impl<'de> Deserialize<'de> for Policy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Name;
        impl Visitor<'_> for Name {
            type Value = Policy;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a policy: \"warn\", \"fail\", \"allow\" or \"promote\"")
            }

            fn visit_str<E: Error>(self, name: &str) -> Result<Policy, E> {
                Ok(Policy(match name {
                    "warn" => BudgetExceededPolicy::Warn,
                    "fail" => BudgetExceededPolicy::Fail,
                    "allow" => BudgetExceededPolicy::Allow,
                    "promote" => BudgetExceededPolicy::Promote,
                    _ => return Err(E::invalid_value(de::Unexpected::Str(name), &self)),
                }))
            }
        }
        deserializer.deserialize_str(Name)
    }
}

struct Percent(u8);

impl<'de> Deserialize<'de> for Percent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Number;
        impl Number {
            fn refuse<E: Error>(percent: impl fmt::Display) -> Result<Percent, E> {
                Err(E::custom(format_args!(
                    "{percent} is no percentage from 1 to 100"
                )))
            }
        }
        impl Visitor<'_> for Number {
            type Value = Percent;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a percentage from 1 to 100")
            }

            fn visit_u64<E: Error>(self, percent: u64) -> Result<Percent, E> {
                match u8::try_from(percent) {
                    Ok(percent @ 1..=100) => Ok(Percent(percent)),
                    _ => Self::refuse(percent),
                }
            }

            fn visit_i64<E: Error>(self, percent: i64) -> Result<Percent, E> {
                Self::refuse(percent)
            }

            fn visit_f64<E: Error>(self, percent: f64) -> Result<Percent, E> {
                Self::refuse(percent)
            }
        }
        deserializer.deserialize_any(Number)
    }
}

//! Budgets as data: what a file says, and what code says without one.

use std::collections::HashMap;
use std::error::Error;
use std::fmt;
use std::sync::Arc;

use bevy_reflect::Reflect;

use crate::{BudgetExceededPolicy, ThreadBudgetConfig};

/// What a budget limits.
#[derive(Reflect, Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum BudgetKind {
    /// Everything of the app's allocator. Its name is `global`.
    Global,
    /// A system, by its full name: `game::ai::find_paths`.
    System,
    /// A module and everything below it: `game::ai` holds `game::ai::find_paths`.
    Module,
    /// A tag of the game's own, and everything below it.
    Tag,
    /// Threads by name: `Compute Task Pool` holds each thread of that pool, and `*` stands for anything.
    Thread,
}

impl fmt::Display for BudgetKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Global => "global",
            Self::System => "system",
            Self::Module => "module",
            Self::Tag => "tag",
            Self::Thread => "thread",
        })
    }
}

/// How much memory something may use, in bytes of live memory.
///
/// ```
/// use framealloc::BudgetExceededPolicy;
/// use framealloc::bevy::BudgetLimits;
///
/// let strict = BudgetLimits::new(32 << 20)
///     .with_soft_limit(24 << 20)
///     .with_policy(BudgetExceededPolicy::Fail);
/// assert_eq!(BudgetLimits::new(1000).soft, Some(900));
/// # let _ = strict;
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BudgetLimits {
    /// Above it, [`BudgetChanged`](super::BudgetChanged) warns.
    pub soft: Option<usize>,
    /// Above it, the policy decides, and [`BudgetChanged`](super::BudgetChanged) tells.
    pub hard: Option<usize>,
    /// What happens to an allocation beyond the hard limit. Unless set, it is reported (FA301, FA302) and allowed.
    pub policy: BudgetExceededPolicy,
}

impl BudgetLimits {
    /// A hard limit, with a soft one at 90 % of it.
    pub const fn new(hard: usize) -> Self {
        Self {
            soft: Some(hard - hard / 10),
            hard: Some(hard),
            policy: BudgetExceededPolicy::Warn,
        }
    }

    /// A soft limit alone: to be told, and no more.
    pub const fn soft(soft: usize) -> Self {
        Self {
            soft: Some(soft),
            hard: None,
            policy: BudgetExceededPolicy::Warn,
        }
    }

    /// Sets the soft limit.
    #[must_use]
    pub const fn with_soft_limit(mut self, soft: usize) -> Self {
        self.soft = Some(soft);
        self
    }

    /// Sets what happens to an allocation beyond the hard limit.
    #[must_use]
    pub const fn with_policy(mut self, policy: BudgetExceededPolicy) -> Self {
        self.policy = policy;
        self
    }
}

/// One budget of a set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) kind: BudgetKind,
    pub(super) name: Arc<str>,
    pub(super) limits: Limits,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Limits {
    /// Of everything, or of a tag.
    Bytes(BudgetLimits),
    /// Of each of some threads.
    Threads(ThreadBudgetConfig),
}

/// Budgets: what a file holds, or what code puts together.
///
/// ```
/// use framealloc::ThreadBudgetConfig;
/// use framealloc::bevy::{BudgetLimits, BudgetSet};
///
/// let budgets = BudgetSet::new()
///     .global(BudgetLimits::new(256 << 20))
///     .module("game::ai", BudgetLimits::new(32 << 20))
///     .system("game::ai::find_paths", BudgetLimits::new(4 << 20))
///     .tag("level", BudgetLimits::soft(64 << 20))
///     .threads("Compute Task Pool", ThreadBudgetConfig::relaxed(8, 8));
/// assert_eq!(budgets.len(), 5);
///
/// let read = BudgetSet::from_json(r#"{ "modules": { "game::ai": "32 MiB" } }"#)?;
/// assert_eq!(read, BudgetSet::new().module("game::ai", BudgetLimits::new(32 << 20)));
/// # Ok::<(), framealloc::bevy::BudgetSetError>(())
/// ```
///
/// # Panics
///
/// The methods that add a budget panic if its name cannot be one (it is empty, has spaces at its ends, an empty part between
/// its `::`, or is `global`), if the set has a budget of that name, or if its soft limit is above the hard one: mistakes in the
/// program's text. [`from_json`](Self::from_json) returns them as errors.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BudgetSet {
    entries: Vec<Entry>,
}

/// What is wrong with a budget, or with a file of them, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BudgetSetError {
    /// What is wrong.
    pub message: String,
    /// The line, from 1.
    pub line: usize,
    /// The column where reading stopped, at the end of what is wrong: in bytes, from 1.
    pub column: usize,
}

impl fmt::Display for BudgetSetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.line, self.column, self.message)
    }
}

impl Error for BudgetSetError {}

impl BudgetSet {
    /// No budgets.
    pub const fn new() -> Self {
        Self {
            entries: Vec::new(),
        }
    }

    /// Limits everything that the app's allocator holds.
    #[must_use]
    pub fn global(self, limits: BudgetLimits) -> Self {
        self.with(BudgetKind::Global, GLOBAL, Limits::Bytes(limits))
    }

    /// Limits a system, by its full name.
    #[must_use]
    pub fn system(self, name: &str, limits: BudgetLimits) -> Self {
        self.with(BudgetKind::System, name, Limits::Bytes(limits))
    }

    /// Limits a module, and everything below it.
    #[must_use]
    pub fn module(self, path: &str, limits: BudgetLimits) -> Self {
        self.with(BudgetKind::Module, path, Limits::Bytes(limits))
    }

    /// Limits a tag, and everything below it.
    #[must_use]
    pub fn tag(self, path: &str, limits: BudgetLimits) -> Self {
        self.with(BudgetKind::Tag, path, Limits::Bytes(limits))
    }

    /// Limits each thread whose name `pattern` matches, in which `*` stands for anything and the number that a task pool puts
    /// after its threads' names may be left out.
    #[must_use]
    pub fn threads(self, pattern: &str, limits: ThreadBudgetConfig) -> Self {
        self.with(BudgetKind::Thread, pattern, Limits::Threads(limits))
    }

    /// How many budgets there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The names of the budgets, and what they limit.
    pub fn names(&self) -> impl Iterator<Item = (BudgetKind, &str)> {
        self.entries.iter().map(|entry| (entry.kind, &*entry.name))
    }

    /// Takes a budget out. Returns whether it was there.
    pub fn remove(&mut self, name: &str) -> bool {
        let before = self.len();
        self.entries.retain(|entry| &*entry.name != name);
        self.len() != before
    }

    /// Reads the text of a budget file.
    ///
    /// # Errors
    ///
    /// What is wrong, with line and column: the text is no JSON, has unknown fields, a size that is negative, not whole or too
    /// large, a soft limit above the hard one, two budgets of one name, or a name that cannot be one.
    pub fn from_json(text: &str) -> Result<Self, BudgetSetError> {
        super::json::read(text.as_bytes())
    }

    /// This set, and those of `other` that it has no budget of the same name for.
    pub(super) fn over(&self, other: &Self) -> Vec<Entry> {
        let mine: HashMap<_, _> = self.entries.iter().map(|entry| (&entry.name, ())).collect();
        let others = other.entries.iter();
        let others = others.filter(|entry| !mine.contains_key(&entry.name));
        self.entries.iter().chain(others).cloned().collect()
    }

    fn with(mut self, kind: BudgetKind, name: &str, limits: Limits) -> Self {
        if let Err(message) = self.try_add(kind, name, limits) {
            panic!("the budget `{name}` cannot be: {message}");
        }
        self
    }

    pub(super) fn try_add(
        &mut self,
        kind: BudgetKind,
        name: &str,
        limits: Limits,
    ) -> Result<(), String> {
        self.check_name(kind, name)?;
        if let Limits::Bytes(limits) = limits {
            check_limits(limits)?;
        }
        self.entries.push(Entry {
            kind,
            name: name.into(),
            limits,
        });
        Ok(())
    }

    /// Whether a budget of this kind and name may be added.
    pub(super) fn check_name(&self, kind: BudgetKind, name: &str) -> Result<(), String> {
        if name.is_empty() {
            return Err(format!("the name of a {kind} is empty"));
        }
        if name.trim() != name {
            return Err(format!("the name `{name}` begins or ends with a space"));
        }
        if kind != BudgetKind::Global && name == GLOBAL {
            return Err("`global` is the budget of everything; choose another name".to_owned());
        }
        if kind != BudgetKind::Thread && name.split("::").any(str::is_empty) {
            return Err(format!("`{name}` has an empty part"));
        }
        match self.entries.iter().find(|entry| &*entry.name == name) {
            Some(first) => Err(format!(
                "there are two budgets of `{name}`; the first is a {}'s",
                first.kind
            )),
            None => Ok(()),
        }
    }
}

/// The name of the budget of everything.
pub(super) const GLOBAL: &str = "global";

pub(super) fn check_limits(limits: BudgetLimits) -> Result<(), String> {
    use crate::Bytes;
    match (limits.soft, limits.hard) {
        (None, None) => Err("a budget needs a `soft` or a `hard` limit".to_owned()),
        (Some(soft), Some(hard)) if soft > hard => Err(format!(
            "the soft limit ({}) is above the hard one ({})",
            Bytes(soft as u64),
            Bytes(hard as u64)
        )),
        _ => Ok(()),
    }
}

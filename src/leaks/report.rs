//! What is alive, by tag and call site: for people, and for tools.

use core::fmt;
use std::sync::Arc;

use hashbrown::HashMap;

use super::allowed::Allowed;
use super::symbols::{StackFrame, Symbols};
use super::trace::{Stack, Trace};
use crate::behavior::AllocKind;
use crate::diagnostics::{self, DiagnosticCode};
use crate::stats::Bytes;
use crate::tags::TagId;

/// Lines of a stack that a report to people shows.
const SHOWN_LINES: usize = 12;
/// Call sites of a tag that FA540 names.
const SHOWN_SITES: usize = 8;

/// What is alive, and where it was allocated: see [`LeakTracker::report`](crate::LeakTracker::report).
///
/// Displays as text; with the feature `snapshots` it can be written and read as JSON and whatever else serde knows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[cfg_attr(feature = "snapshots", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct LeakReport {
    /// The newest frame of any thread.
    pub frame: u64,
    /// By tag and call site, those with the most bytes first.
    pub groups: Vec<LeakGroup>,
    /// What was passed over, since the allow-list has it.
    pub allowed: LeakTotals,
}

/// Blocks of one kind and tag that one line of the program has allocated.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "snapshots", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct LeakGroup {
    /// Whom they are charged to.
    #[cfg_attr(feature = "snapshots", serde(with = "tag_path"))]
    pub tag: TagId,
    /// The kind of memory.
    pub kind: AllocKind,
    /// The line of the program that allocated them: the first of `stack`.
    pub call_site: StackFrame,
    /// How many there are.
    pub count: u64,
    /// Their bytes, as they were asked for.
    pub bytes: u64,
    /// Whether `count` and `bytes` are exact. Otherwise they are estimated from samples.
    pub exact: bool,
    /// How many frames ago the newest of them was allocated.
    pub youngest: u64,
    /// How many frames ago the oldest was.
    pub oldest: u64,
    /// The call stack of the oldest, the innermost function first, without those of framealloc and the standard library.
    pub stack: Vec<StackFrame>,
}

/// Blocks, and their bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "snapshots", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct LeakTotals {
    /// How many there are.
    pub count: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Whether both are exact. Otherwise they are estimated from samples.
    pub exact: bool,
}

impl Default for LeakTotals {
    fn default() -> Self {
        Self {
            count: 0,
            bytes: 0,
            exact: true,
        }
    }
}

impl LeakTotals {
    fn add(&mut self, count: u64, bytes: u64, exact: bool) {
        self.count += count;
        self.bytes += bytes;
        self.exact &= exact;
    }
}

impl LeakReport {
    /// Whether nothing is alive that the allow-list does not have.
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// All groups together.
    pub fn totals(&self) -> LeakTotals {
        totals(&self.groups)
    }

    /// Each tag with what its groups hold together, the most bytes first.
    pub fn by_tag(&self) -> Vec<(TagId, LeakTotals)> {
        self.tags()
            .into_iter()
            .map(|(tag, groups)| (tag, totals(groups)))
            .collect()
    }

    fn tags(&self) -> Vec<(TagId, Vec<&LeakGroup>)> {
        let mut tags: Vec<(TagId, Vec<&LeakGroup>)> = Vec::new();
        for group in &self.groups {
            match tags.iter_mut().find(|(tag, _)| *tag == group.tag) {
                Some((_, groups)) => groups.push(group),
                None => tags.push((group.tag, vec![group])),
            }
        }
        tags.sort_by_key(|(_, groups)| core::cmp::Reverse(totals(groups.iter().copied()).bytes));
        tags
    }

    /// Reports it as FA540, once for each tag. An empty one says nothing. The last that whoever calls it does.
    pub(super) fn send(&self) {
        let messages = self.tags().into_iter().map(|(tag, groups)| {
            let message = Held { tag, groups };
            (tag, message)
        });
        diagnostics::report_each(DiagnosticCode::FA540, messages);
    }
}

fn totals<'a>(groups: impl IntoIterator<Item = &'a LeakGroup>) -> LeakTotals {
    let mut totals = LeakTotals::default();
    for group in groups {
        totals.add(group.count, group.bytes, group.exact);
    }
    totals
}

/// Blocks with the same stack.
#[derive(Clone, Copy)]
struct Alike {
    totals: LeakTotals,
    youngest: u64,
    oldest: u64,
}

/// Looks the symbols up: nothing is to be locked.
pub(super) fn make(frame: u64, traces: Vec<Arc<Trace>>, allowed: &Allowed) -> LeakReport {
    let mut report = LeakReport {
        frame,
        ..LeakReport::default()
    };
    let mut alike: HashMap<(TagId, AllocKind, &Stack), Alike> = HashMap::new();
    for trace in &traces {
        let (block, weight) = (&trace.block, trace.weight);
        let (bytes, exact) = (block.size as u64 * weight, weight == 1);
        if allowed.has_tag(block.tag) {
            report.allowed.add(weight, bytes, exact);
            continue;
        }
        let age = frame.saturating_sub(trace.born);
        let blocks = alike
            .entry((block.tag, block.kind, &trace.stack))
            .or_insert(Alike {
                totals: LeakTotals::default(),
                youngest: age,
                oldest: age,
            });
        blocks.totals.add(weight, bytes, exact);
        blocks.youngest = blocks.youngest.min(age);
        blocks.oldest = blocks.oldest.max(age);
    }
    let mut symbols = Symbols::new();
    let mut sites: HashMap<(TagId, AllocKind, StackFrame), LeakGroup> = HashMap::new();
    for ((tag, kind, stack), blocks) in alike {
        let stack = symbols.resolve(stack);
        let LeakTotals {
            count,
            bytes,
            exact,
        } = blocks.totals;
        if allowed.has_function(&stack) {
            report.allowed.add(count, bytes, exact);
            continue;
        }
        let call_site = stack.first().cloned().unwrap_or_else(StackFrame::unknown);
        let group = LeakGroup {
            tag,
            kind,
            call_site: call_site.clone(),
            count,
            bytes,
            exact,
            youngest: blocks.youngest,
            oldest: blocks.oldest,
            stack,
        };
        sites
            .entry((tag, kind, call_site))
            .and_modify(|site| site.join(&group))
            .or_insert(group);
    }
    report.groups = sites.into_values().collect();
    report.groups.sort_by(|one, other| {
        let order = other.bytes.cmp(&one.bytes);
        let order = order.then_with(|| one.tag.path().cmp(other.tag.path()));
        order.then_with(|| (&one.call_site, one.kind).cmp(&(&other.call_site, other.kind)))
    });
    report
}

impl LeakGroup {
    /// Adds another stack of the same call site.
    fn join(&mut self, other: &Self) {
        self.count += other.count;
        self.bytes += other.bytes;
        self.exact &= other.exact;
        self.youngest = self.youngest.min(other.youngest);
        // The same stack whatever the order they come in.
        if (other.oldest, &other.stack) > (self.oldest, &self.stack) {
            self.stack.clone_from(&other.stack);
        }
        self.oldest = self.oldest.max(other.oldest);
    }

    fn totals(&self) -> LeakTotals {
        LeakTotals {
            count: self.count,
            bytes: self.bytes,
            exact: self.exact,
        }
    }
}

/// `3 blocks, 1.5 KiB`; an estimate, `about 300 blocks, 1.5 KiB`.
impl fmt::Display for LeakTotals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let about = if self.exact { "" } else { "about " };
        let blocks = if self.count == 1 { "block" } else { "blocks" };
        write!(f, "{about}{} {blocks}, {}", self.count, Bytes(self.bytes))
    }
}

impl fmt::Display for LeakReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} held", self.totals())?;
        if self.allowed.count != 0 {
            write!(f, " (besides {} that may be)", self.allowed)?;
        }
        for (tag, groups) in self.tags() {
            write!(f, "\n{tag}: {}", totals(groups.iter().copied()))?;
            for group in groups {
                write!(f, "\n  {group}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for LeakGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} memory, ", self.totals(), self.kind)?;
        if self.youngest != self.oldest {
            write!(f, "{} to ", self.youngest)?;
        }
        let frames = if self.oldest == 1 { "frame" } else { "frames" };
        write!(f, "{} {frames} old, from", self.oldest)?;
        write!(f, "{}", Indented(&self.stack))
    }
}

/// A stack, each function on a line of its own.
pub(crate) struct Indented<'a>(pub(crate) &'a [StackFrame]);

impl fmt::Display for Indented<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in self.0.iter().take(SHOWN_LINES) {
            write!(f, "\n      {line}")?;
        }
        match self.0.len().saturating_sub(SHOWN_LINES) {
            0 => Ok(()),
            more => write!(f, "\n      and {more} more"),
        }
    }
}

/// What FA540 says of one tag.
struct Held<'a> {
    tag: TagId,
    groups: Vec<&'a LeakGroup>,
}

impl fmt::Display for Held<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { tag, groups } = self;
        let totals = totals(groups.iter().copied());
        write!(
            f,
            "{totals} of `{tag}` are still held though their allocator is gone"
        )?;
        for group in groups.iter().take(SHOWN_SITES) {
            write!(f, "\n    {group}")?;
        }
        match groups.len().saturating_sub(SHOWN_SITES) {
            0 => Ok(()),
            more => write!(f, "\n    and from {more} more places"),
        }
    }
}

/// A tag as its path.
#[cfg(feature = "snapshots")]
mod tag_path {
    use std::borrow::Cow;

    use serde::{Deserialize, Deserializer, Serializer};

    use crate::tags::TagId;

    pub(super) fn serialize<S: Serializer>(tag: &TagId, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(tag.path())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<TagId, D::Error> {
        Ok(TagId::from_path(&Cow::<str>::deserialize(from)?))
    }
}

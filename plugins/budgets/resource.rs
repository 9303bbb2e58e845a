//! [`Budgets`]: what is in force, and where it stands.

use std::sync::Arc;

use bevy_ecs::prelude::*;
use wildmatch::WildMatch;

use super::changed::BudgetChanged;
use super::limits::{BudgetKind, BudgetSet, Entry, GLOBAL, Limits};
use crate::tags::TagId;
use crate::{
    BudgetExceededPolicy, BudgetManager, BudgetProbe, BudgetStatus, SmartAlloc, ThreadBudgetWindow,
};

/// The budgets of the app: those that code set, and those of the file, which has the last word where both name the same.
///
/// What is set here is in force with the next frame. Reading costs nothing until it is done.
///
/// ```
/// use bevy_app::{App, Update};
/// use bevy_ecs::prelude::*;
/// use framealloc::bevy::{BudgetLimits, BudgetPlugin, BudgetSet, Budgets, SmartAllocPlugin};
///
/// fn show(budgets: Res<Budgets>) {
///     for row in budgets.rows() {
///         println!("{} {}: {} of {:?}, {:?}", row.kind, row.name, row.used, row.hard, row.status);
///     }
/// }
///
/// let mut app = App::new();
/// app.add_plugins((SmartAllocPlugin, BudgetPlugin::default())).add_systems(Update, show);
/// let mut budgets = app.world_mut().resource_mut::<Budgets>();
/// budgets.set(BudgetSet::new().module("game::ai", BudgetLimits::new(32 << 20)));
/// app.update();
/// assert_eq!(app.world().resource::<Budgets>().row("game::ai").unwrap().hard, Some(32 << 20));
/// ```
#[derive(Resource, Debug, Default)]
pub struct Budgets {
    own: BudgetSet,
    file: BudgetSet,
    awaited_file: Option<String>,
    rows: Vec<Row>,
    /// Whether what is in force is not what was set.
    outdated: bool,
    /// Changes when rows come or go.
    generation: u32,
    /// Frames that were looked at.
    frames: u64,
    /// Filled anew each frame, in the same memory.
    threads: Vec<ThreadBudgetWindow>,
    /// Whether the allocator's threads were given budgets by name.
    names_threads: bool,
    worst: Option<usize>,
}

#[derive(Debug)]
struct Row {
    entry: Entry,
    from_file: bool,
    watch: Watch,
    /// Allocations that ever exceeded it.
    exceeded: u64,
    status: BudgetStatus,
    /// Of the last frame.
    measure: Measure,
    peak: usize,
}

#[derive(Debug)]
enum Watch {
    Bytes(BudgetProbe),
    Threads(ThreadPattern),
}

/// The most that was used at once, and its limits.
#[derive(Debug, Clone, Copy)]
struct Measure {
    peak: usize,
    soft: usize,
    hard: usize,
}

impl Measure {
    fn status(&self) -> BudgetStatus {
        if self.peak > self.hard {
            BudgetStatus::Exceeded
        } else if self.peak > self.soft {
            BudgetStatus::Warning
        } else {
            BudgetStatus::Ok
        }
    }

    /// In percent of the hard limit, or of the soft one where there is no other.
    fn percent(&self) -> f32 {
        let limit = if self.hard == usize::MAX {
            self.soft
        } else {
            self.hard
        };
        match (self.peak, limit) {
            (0, _) | (_, usize::MAX) => 0.0,
            (_, 0) => f32::INFINITY,
            (peak, limit) => (peak as f64 * 100.0 / limit as f64) as f32,
        }
    }
}

/// Names of threads: `*` stands for anything, and the number that a task pool adds may be left out.
#[derive(Debug, Clone)]
struct ThreadPattern(WildMatch);

impl ThreadPattern {
    fn new(pattern: &str) -> Self {
        Self(WildMatch::new(pattern))
    }

    fn matches(&self, name: &str) -> bool {
        self.0.matches(name) || without_number(name).is_some_and(|pool| self.0.matches(pool))
    }
}

/// `Compute Task Pool` of `Compute Task Pool (3)`.
fn without_number(name: &str) -> Option<&str> {
    let (pool, number) = name.strip_suffix(')')?.rsplit_once(" (")?;
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then_some(pool)
}

/// One budget in force, and where it stands. Sizes are bytes.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct BudgetRow {
    /// Its name.
    pub name: Arc<str>,
    /// What it limits.
    pub kind: BudgetKind,
    /// Live memory now. Of threads: the last frame's peak of the one that is closest to its limits.
    pub used: usize,
    /// The most that was live at once in the last frame.
    pub frame_peak: usize,
    /// The most that was live at once since the budget is in force.
    pub peak: usize,
    /// Above it, it warns.
    pub soft: Option<usize>,
    /// Above it, its policy decides.
    pub hard: Option<usize>,
    /// What that is.
    pub policy: BudgetExceededPolicy,
    /// Where it stood in the last frame.
    pub status: BudgetStatus,
    /// `frame_peak` in percent of the hard limit, or of the soft one where there is no other.
    pub percent: f32,
    /// Allocations that ever exceeded it, whatever became of them.
    pub exceeded_count: u64,
    /// Whether it comes from the budget file.
    pub from_file: bool,
}

impl Budgets {
    pub(super) fn new(own: BudgetSet) -> Self {
        Self {
            outdated: !own.is_empty(),
            own,
            ..Self::default()
        }
    }

    /// Replaces the budgets that code has set. Those of the file stay.
    pub fn set(&mut self, budgets: BudgetSet) {
        if self.own != budgets {
            self.own = budgets;
            self.outdated = true;
        }
    }

    /// The budgets that code has set.
    pub fn own(&self) -> &BudgetSet {
        &self.own
    }

    /// The budgets of the file: those of its last version that could be used.
    pub fn file(&self) -> &BudgetSet {
        &self.file
    }

    /// The path of the plugin's file, while it is not there. As soon as it is, it is read.
    pub fn awaited_file(&self) -> Option<&str> {
        self.awaited_file.as_deref()
    }

    pub(super) fn await_file(&mut self, path: Option<String>) {
        self.awaited_file = path;
    }

    pub(super) fn set_file(&mut self, budgets: BudgetSet) {
        if self.file != budgets {
            self.file = budgets;
            self.outdated = true;
        }
    }

    /// Every budget in force.
    pub fn rows(&self) -> impl Iterator<Item = BudgetRow> {
        self.rows.iter().map(Row::show)
    }

    /// The budget of this name: a path, a pattern of threads, or `global`.
    pub fn row(&self, name: &str) -> Option<BudgetRow> {
        self.find(name).map(|index| self.rows[index].show())
    }

    /// Where the budget of this name stood in the last frame.
    pub fn status(&self, name: &str) -> Option<BudgetStatus> {
        self.find(name).map(|index| self.rows[index].status)
    }

    /// The budget that came closest to its limit in the last frame, or went furthest beyond it.
    pub fn worst(&self) -> Option<BudgetRow> {
        self.worst.map(|index| self.rows[index].show())
    }

    /// How full the [worst](Self::worst) budget was in the last frame, in percent; 0 without budgets. Costs nothing.
    pub fn worst_percent(&self) -> f32 {
        self.worst
            .map_or(0.0, |index| self.rows[index].measure.percent())
    }

    /// How many budgets are in force.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether no budget is in force.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub(super) fn generation(&self) -> u32 {
        self.generation
    }

    pub(super) fn frames(&self) -> u64 {
        self.frames
    }

    pub(super) fn is_outdated(&self) -> bool {
        self.outdated
    }

    pub(super) fn find(&self, name: &str) -> Option<usize> {
        self.rows.iter().position(|row| &*row.entry.name == name)
    }

    /// Where the budget at `index` stood in the last frame, and how full it was, in percent.
    pub(super) fn at(&self, index: usize) -> (BudgetStatus, f32) {
        let row = &self.rows[index];
        (row.status, row.measure.percent())
    }

    // ---- Into force -----------------------------------------------------------------------------------------------

    /// Makes the allocator's budgets what was set. Between frames.
    pub(super) fn apply(&mut self, alloc: &SmartAlloc) {
        self.outdated = false;
        let entries = self.file.over(&self.own);
        if entries.is_empty() && self.rows.is_empty() {
            return;
        }
        let budgets = alloc.enable_budgets();
        let mut before = std::mem::take(&mut self.rows);
        for row in &before {
            if !entries.iter().any(|entry| entry.name == row.entry.name) {
                row.entry.lift(alloc, budgets);
            }
        }
        let from_file = self.file.len();
        for (index, entry) in entries.into_iter().enumerate() {
            let known = before.iter().position(|row| row.entry.name == entry.name);
            let known = known.map(|index| before.swap_remove(index));
            let row = Row::of(entry, budgets, index < from_file, known);
            self.rows.push(row);
        }
        self.name_threads(alloc);
        self.worst = None;
        self.generation = self.generation.wrapping_add(1);
    }

    fn name_threads(&mut self, alloc: &SmartAlloc) {
        let named = self.rows.iter().filter_map(|row| match &row.entry.limits {
            Limits::Threads(config) => Some((ThreadPattern::new(&row.entry.name), *config)),
            Limits::Bytes(_) => None,
        });
        let named: Vec<_> = named.collect();
        if named.is_empty() && !self.names_threads {
            return;
        }
        self.names_threads = !named.is_empty();
        alloc.thread_budgets().set_configs_by_name(move |name| {
            let mut named = named.iter();
            let found = named.find(|(pattern, _)| pattern.matches(name));
            found.map(|&(_, config)| config)
        });
    }

    // ---- Where they stand -----------------------------------------------------------------------------------------

    /// Looks at every budget, and tells of those that stand elsewhere than before. After a frame.
    pub(super) fn look(&mut self, alloc: &SmartAlloc, mut tell: impl FnMut(BudgetChanged)) {
        self.frames += 1;
        if let Some(budgets) = alloc.budgets() {
            budgets.settle();
        }
        if self.names_threads {
            alloc.thread_budgets().take_windows(&mut self.threads);
        }
        self.worst = None;
        let mut most = 0.0;
        for (index, row) in self.rows.iter_mut().enumerate() {
            let changed = row.look(&self.threads);
            if row.measure.percent() > most {
                most = row.measure.percent();
                self.worst = Some(index);
            }
            if let Some(changed) = changed {
                tell(changed);
            }
        }
    }
}

impl Row {
    /// Puts a budget into force. One that was in force under this name keeps its peak and its status.
    fn of(entry: Entry, budgets: &BudgetManager, from_file: bool, known: Option<Self>) -> Self {
        let (soft, hard, watch) = match &entry.limits {
            Limits::Bytes(limits) => {
                let tag = entry.tag();
                let soft = limits.soft.unwrap_or(usize::MAX);
                let hard = limits.hard.unwrap_or(usize::MAX);
                budgets.register(tag, soft, hard, limits.policy);
                (soft, hard, Watch::Bytes(budgets.probe(tag)))
            }
            Limits::Threads(config) => {
                let pattern = ThreadPattern::new(&entry.name);
                let soft = usize::MAX;
                (soft, config.frame_budget, Watch::Threads(pattern))
            }
        };
        let exceeded = match &watch {
            Watch::Bytes(probe) => {
                // What was before does not concern it.
                probe.take_peak();
                probe.exceeded_count()
            }
            Watch::Threads(_) => known.as_ref().map_or(0, |row| row.exceeded),
        };
        Self {
            status: known.as_ref().map_or(BudgetStatus::Ok, |row| row.status),
            peak: known.as_ref().map_or(0, |row| row.peak),
            measure: Measure {
                peak: known.as_ref().map_or(0, |row| row.measure.peak),
                soft,
                hard,
            },
            entry,
            from_file,
            watch,
            exceeded,
        }
    }

    fn look(&mut self, threads: &[ThreadBudgetWindow]) -> Option<BudgetChanged> {
        let exceeded = match &self.watch {
            Watch::Bytes(probe) => {
                self.measure.peak = probe.take_peak();
                probe.exceeded_count()
            }
            Watch::Threads(pattern) => {
                let mut exceeded = 0;
                let mut worst: Option<Measure> = None;
                for window in threads {
                    if !window
                        .name
                        .as_ref()
                        .is_some_and(|name| pattern.matches(name))
                    {
                        continue;
                    }
                    exceeded += window.exceeded_count;
                    for measure in measures(window) {
                        if worst.is_none_or(|worst| measure.percent() > worst.percent()) {
                            worst = Some(measure);
                        }
                    }
                }
                match worst {
                    Some(worst) => self.measure = worst,
                    None => self.measure.peak = 0,
                }
                exceeded
            }
        };
        let exceeded_by = exceeded.saturating_sub(self.exceeded);
        self.exceeded = exceeded;
        self.peak = self.peak.max(self.measure.peak);
        let status = match exceeded_by {
            0 => self.measure.status(),
            _ => BudgetStatus::Exceeded,
        };
        let before = std::mem::replace(&mut self.status, status);
        (status != before).then(|| BudgetChanged {
            name: self.entry.name.clone(),
            kind: self.entry.kind,
            status,
            before,
            peak: self.measure.peak,
            soft: limit(self.measure.soft),
            hard: limit(self.measure.hard),
            exceeded_by,
        })
    }

    fn show(&self) -> BudgetRow {
        let (used, policy) = match (&self.watch, &self.entry.limits) {
            (Watch::Bytes(probe), Limits::Bytes(limits)) => (probe.usage(), limits.policy),
            (_, Limits::Threads(config)) => (self.measure.peak, config.frame_exceeded_policy),
            (_, Limits::Bytes(limits)) => (self.measure.peak, limits.policy),
        };
        BudgetRow {
            name: self.entry.name.clone(),
            kind: self.entry.kind,
            used,
            frame_peak: self.measure.peak,
            peak: self.peak,
            soft: limit(self.measure.soft),
            hard: limit(self.measure.hard),
            policy,
            status: self.status,
            percent: self.measure.percent(),
            exceeded_count: self.exceeded,
            from_file: self.from_file,
        }
    }
}

/// Of the frame memory, and of what a thread holds.
fn measures(window: &ThreadBudgetWindow) -> [Measure; 2] {
    [
        Measure {
            peak: window.frame_peak,
            soft: window.frame_warns_above,
            hard: window.frame_budget,
        },
        Measure {
            peak: window.pool_peak,
            soft: window.pool_warns_above,
            hard: window.pool_budget,
        },
    ]
}

fn limit(bytes: usize) -> Option<usize> {
    (bytes != usize::MAX).then_some(bytes)
}

impl Entry {
    fn tag(&self) -> TagId {
        match self.kind {
            BudgetKind::Global => TagId::ROOT,
            _ => TagId::from_path(&self.name),
        }
    }

    /// Takes its limits away again.
    fn lift(&self, alloc: &SmartAlloc, budgets: &BudgetManager) {
        debug_assert_eq!(self.kind == BudgetKind::Global, &*self.name == GLOBAL);
        match self.kind {
            // The allocator may have been made with one.
            BudgetKind::Global => budgets.set_global_limit(alloc.config().global_memory_limit),
            BudgetKind::Thread => {}
            _ => budgets.unregister(self.tag()),
        }
    }
}

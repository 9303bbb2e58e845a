//! Run conditions: what runs only while a budget holds.
//!
//! A condition remembers where its budget stands in the resource, and looks it up by name again only when budgets came or went.

use std::borrow::Cow;

use bevy_ecs::prelude::*;

use super::resource::Budgets;
use crate::BudgetStatus;
use crate::diagnostics::{self, Diagnostic, DiagnosticCode};

/// A budget by name, looked up once in each generation of budgets.
#[derive(Clone)]
struct Found {
    name: Cow<'static, str>,
    at: Option<(u32, Option<usize>)>,
    reported: bool,
}

impl Found {
    fn new(name: Cow<'static, str>) -> Self {
        Self {
            name,
            at: None,
            reported: false,
        }
    }

    /// Where the budget stood in the last frame, and how full it was. `None` if there is none of this name.
    fn look(&mut self, budgets: Option<&Budgets>) -> Option<(BudgetStatus, f32)> {
        let Some(budgets) = budgets else {
            self.report();
            return None;
        };
        let index = match self.at {
            Some((generation, index)) if generation == budgets.generation() => index,
            _ => {
                let index = budgets.find(&self.name);
                self.at = Some((budgets.generation(), index));
                index
            }
        };
        index.map(|index| budgets.at(index))
    }

    #[cold]
    fn report(&mut self) {
        if std::mem::replace(&mut self.reported, true) {
            return;
        }
        let message = format!(
            "a run condition asks for the budget `{}` in a world that `BudgetPlugin` does not serve",
            self.name
        );
        diagnostics::emit(
            Diagnostic::error(DiagnosticCode::FA101, message)
                .with_note("the system runs as if the budget held")
                .with_help("add `app.add_plugins(framealloc::bevy::BudgetPlugin::default())`"),
        );
    }
}

/// A run condition: in the last frame, the budget of this name was exceeded, or would have been, had its policy let it.
///
/// A budget that there is not, or not yet, is not exceeded. The name is that of the budget: a path, a pattern of threads, or
/// `global`.
///
/// ```
/// use bevy_app::{App, Update};
/// use bevy_ecs::prelude::*;
/// use framealloc::bevy::budget_exceeded;
///
/// fn drop_far_chunks() {}
///
/// App::new().add_systems(Update, drop_far_chunks.run_if(budget_exceeded("game::terrain")));
/// ```
pub fn budget_exceeded(
    name: impl Into<Cow<'static, str>>,
) -> impl FnMut(Option<Res<Budgets>>) -> bool + Clone {
    let mut found = Found::new(name.into());
    move |budgets| {
        let stands = found.look(budgets.as_deref());
        stands.is_some_and(|(status, _)| status == BudgetStatus::Exceeded)
    }
}

/// A run condition: in the last frame, the budget of this name was above its soft limit, or exceeded.
pub fn budget_strained(
    name: impl Into<Cow<'static, str>>,
) -> impl FnMut(Option<Res<Budgets>>) -> bool + Clone {
    let mut found = Found::new(name.into());
    move |budgets| {
        let stands = found.look(budgets.as_deref());
        stands.is_some_and(|(status, _)| status != BudgetStatus::Ok)
    }
}

/// A run condition, the opposite of [`budget_exceeded`]: a system runs only while the budget holds.
///
/// If the system is itself what fills the budget, that is again empty in a frame without it, so that it would run in every
/// other frame. [`shed_over_budget`] waits.
pub fn budget_within(
    name: impl Into<Cow<'static, str>>,
) -> impl FnMut(Option<Res<Budgets>>) -> bool + Clone {
    let mut exceeded = budget_exceeded(name);
    move |budgets| !exceeded(budgets)
}

/// When a system that was shed runs again. See [`shed_over_budget_with`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ShedSettings {
    /// From where on the system does not run: [`Exceeded`](BudgetStatus::Exceeded), unless set, or
    /// [`Warning`](BudgetStatus::Warning), the soft limit.
    pub at: BudgetStatus,
    /// So many frames in a row the budget has to hold before the system runs again. 60 unless set.
    pub frames: u32,
    /// In those, it is at most so full, in percent of its hard limit, or of the soft one where there is no other. 80 unless set.
    pub resume_below_percent: f32,
}

impl Default for ShedSettings {
    fn default() -> Self {
        Self {
            at: BudgetStatus::Exceeded,
            frames: 60,
            resume_below_percent: 80.0,
        }
    }
}

/// A run condition for what a game can do without for a moment: the system stops when the budget of this name is exceeded, and
/// runs again when it has held for a second's worth of frames.
///
/// ```
/// use bevy_app::{App, Update};
/// use bevy_ecs::prelude::*;
/// use framealloc::bevy::shed_over_budget;
///
/// fn spawn_sparks() {}
///
/// App::new().add_systems(Update, spawn_sparks.run_if(shed_over_budget("game::particles")));
/// ```
pub fn shed_over_budget(
    name: impl Into<Cow<'static, str>>,
) -> impl FnMut(Option<Res<Budgets>>) -> bool + Clone {
    shed_over_budget_with(name, ShedSettings::default())
}

/// [`shed_over_budget`] with settings.
pub fn shed_over_budget_with(
    name: impl Into<Cow<'static, str>>,
    settings: ShedSettings,
) -> impl FnMut(Option<Res<Budgets>>) -> bool + Clone {
    let mut found = Found::new(name.into());
    // The last frame in which the budget was too full, while the system is shed.
    let mut shed_in: Option<u64> = None;
    move |budgets| {
        let Some((status, percent)) = found.look(budgets.as_deref()) else {
            // A budget that was taken away sheds nothing.
            shed_in = None;
            return true;
        };
        let frame = budgets.map_or(0, |budgets| budgets.frames());
        if status >= settings.at {
            shed_in = Some(frame);
        } else if let Some(last) = shed_in {
            if percent > settings.resume_below_percent {
                shed_in = Some(frame);
            } else if frame.saturating_sub(last) >= u64::from(settings.frames) {
                shed_in = None;
            }
        }
        shed_in.is_none()
    }
}

//! A budget crossed a limit.

use std::fmt;
use std::sync::Arc;

use bevy_ecs::prelude::*;
use bevy_reflect::Reflect;

use super::limits::BudgetKind;
use crate::{BudgetStatus, Bytes};

/// A budget stands elsewhere than when the frame before had ended: a message, and an event for observers.
///
/// There is one at most for each budget and frame. It tells of the frame's worst moment, so that scratch memory that a
/// system took and gave back counts, too. Messages are written when the frame has ended, and read in the next.
///
/// ```
/// use bevy_app::{App, Update};
/// use bevy_ecs::prelude::*;
/// use framealloc::bevy::{BudgetChanged, BudgetPlugin, SmartAllocPlugin};
///
/// fn warn_the_designers(mut changes: MessageReader<BudgetChanged>) {
///     for change in changes.read() {
///         println!("{change}");
///     }
/// }
///
/// fn lower_the_quality(change: On<BudgetChanged>) {
///     if change.is_exceeded() && &*change.name == "game::particles" {
///         // …
///     }
/// }
///
/// App::new()
///     .add_plugins((SmartAllocPlugin, BudgetPlugin::from_file("game.budget.json")))
///     .add_systems(Update, warn_the_designers)
///     .add_observer(lower_the_quality);
/// ```
#[derive(Message, Event, Reflect, Debug, Clone, PartialEq, Eq)]
#[reflect(opaque)]
#[reflect(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct BudgetChanged {
    /// The budget's name.
    pub name: Arc<str>,
    /// What it limits.
    pub kind: BudgetKind,
    /// Where it stands.
    pub status: BudgetStatus,
    /// Where it stood before.
    pub before: BudgetStatus,
    /// The most bytes that were live at once in the frame. Of threads, those of the one that is closest to its limits.
    pub peak: usize,
    /// The soft limit.
    pub soft: Option<usize>,
    /// The hard limit.
    pub hard: Option<usize>,
    /// Allocations of the frame that would have exceeded the hard limit, whatever became of them.
    pub exceeded_by: u64,
}

impl BudgetChanged {
    /// The soft limit was crossed, and the hard one was not.
    pub fn is_warning(&self) -> bool {
        self.status == BudgetStatus::Warning && self.before == BudgetStatus::Ok
    }

    /// The hard limit was crossed, or would have been, had the policy let it.
    pub fn is_exceeded(&self) -> bool {
        self.status == BudgetStatus::Exceeded
    }

    /// It stands better than before.
    pub fn is_recovered(&self) -> bool {
        self.status < self.before
    }
}

impl fmt::Display for BudgetChanged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.status {
            BudgetStatus::Exceeded => "exceeded its budget",
            BudgetStatus::Warning if self.is_recovered() => "is back below its hard limit",
            BudgetStatus::Warning => "is above its soft limit",
            BudgetStatus::Ok => "is back within its budget",
        };
        write!(
            f,
            "{} `{}` {what}: {}",
            self.kind,
            self.name,
            Bytes(self.peak as u64)
        )?;
        if let Some(soft) = self.soft {
            write!(f, ", soft limit {}", Bytes(soft as u64))?;
        }
        if let Some(hard) = self.hard {
            write!(f, ", hard limit {}", Bytes(hard as u64))?;
        }
        match self.exceeded_by {
            0 => Ok(()),
            1 => f.write_str(", by 1 allocation"),
            n => write!(f, ", by {n} allocations"),
        }
    }
}

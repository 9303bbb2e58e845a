//! Budgets in a Bevy app: from code and from `*.budget.json` files, with messages when one is crossed.
//!
//! ```text
//!  plugin field ──┐                            ┌── messages and observers: BudgetChanged
//!                 ├─> Budgets (resource) ──────┼── run conditions: budget_within, shed_over_budget
//!  budget file ───┘      |         ^           └── rows for panels
//!                        v         | once a frame, after it has ended
//!                  the allocator's budgets
//! ```
//!
//! | file | what it is |
//! |---|---|
//! | `plugin.rs` | [`BudgetPlugin`]: what a game adds |
//! | `limits.rs` | [`BudgetLimits`], [`BudgetKind`], [`BudgetSet`]: budgets as data |
//! | `json.rs`, `size.rs` | reading them from a file, with the place of each mistake |
//! | `file.rs` | the file as an asset |
//! | `follow.rs` | the file's way into force: loading it, waiting for it, keeping the last good one |
//! | `resource.rs` | [`Budgets`]: what is in force, and where it stands |
//! | `watch.rs` | what is done when a frame has ended |
//! | `changed.rs` | [`BudgetChanged`]: a budget crossed a limit |
//! | `conditions.rs` | run conditions |
//!
//! What must hold: budgets are applied, and looked at, between frames; a frame in which nothing is crossed writes no message
//! and allocates nothing; a file that cannot be used changes nothing.

mod changed;
mod conditions;
mod file;
mod follow;
mod json;
mod limits;
mod plugin;
mod resource;
mod size;
mod watch;

pub use changed::BudgetChanged;
pub use conditions::{
    ShedSettings, budget_exceeded, budget_strained, budget_within, shed_over_budget,
    shed_over_budget_with,
};
pub use file::{BudgetFile, BudgetFileError};
pub use follow::BudgetFileMessage;
pub use limits::{BudgetKind, BudgetLimits, BudgetSet, BudgetSetError};
pub use plugin::{BudgetPlugin, BudgetSystems};
pub use resource::{BudgetRow, Budgets};

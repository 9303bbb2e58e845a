//! Budgets as bars.

use bevy_egui::egui::Ui;

use super::code;
use crate::bevy::inspector::look::{Look, limit_of};
use crate::bevy::inspector::rows::{Column, Row};
use crate::bevy::inspector::theme::Severity;
use crate::bevy::inspector::value::{Share, Value};
use crate::{Bytes, TagBudget};

pub const COLUMNS: &[Column] = &[
    Column::text("budget", "Budget of", 0).help("A tag and everything below it."),
    Column::figure("fill", "Fill")
        .digits(24)
        .help("How much of the limit is used. The mark is the soft limit."),
    Column::text("state", "State", 10).help("Where it stands. It was over if an allocation would have exceeded the limit."),
    Column::figure("budget_live", "Live").help(
        "Live bytes of the tag and everything below it: with BudgetPlugin, the most in the last frame.",
    ),
    Column::figure("soft", "Soft")
        .help("The soft limit: beyond it, the budget warns.")
        .not_compared(),
    Column::figure("limit", "Limit")
        .help("The hard limit.")
        .not_compared(),
    Column::figure("peak", "Peak").help("The most that was live."),
    Column::figure("exceeded", "Exceeded")
        .digits(8)
        .help("Allocations that would have exceeded the limit."),
];

fn state(severity: Severity, exceeded: u64) -> Value {
    Value::text(match severity {
        Severity::Fine if exceeded != 0 => "was over",
        Severity::Fine => "fine",
        Severity::Warning => "over soft",
        Severity::Bad => "over limit",
    })
}

pub fn rows(look: &Look) -> Vec<Row> {
    let Some(budgets) = &look.budgets else {
        return Vec::new();
    };
    let mut rows: Vec<Row> = budgets.tags.iter().map(of_tag).collect();
    if budgets.limit != 0 {
        let severity = if budgets.used > budgets.limit {
            Severity::Bad
        } else {
            Severity::Fine
        };
        let share = Share {
            severity,
            ..Share::new(budgets.used, budgets.limit)
        };
        let values = vec![
            Value::Share(share),
            state(severity, 0),
            Value::Bytes(budgets.used),
            Value::Nothing,
            Value::Bytes(budgets.limit),
            Value::Bytes(budgets.peak),
            Value::Nothing,
        ];
        rows.push(Row::new(0, "everything", values).with_note("The allocator's memory limit."));
    }
    rows
}

fn of_tag(budget: &TagBudget) -> Row {
    let used = budget.current_usage as u64;
    let (soft, hard) = (budget.soft_limit, budget.hard_limit);
    let severity = if budget.current_usage >= hard {
        Severity::Bad
    } else if budget.current_usage > soft {
        Severity::Warning
    } else {
        Severity::Fine
    };
    let limited = |limit: usize| {
        if limit == usize::MAX {
            Value::Nothing
        } else {
            Value::Bytes(limit as u64)
        }
    };
    let fill = match limit_of(budget) {
        None => Value::Nothing,
        Some(limit) => Value::Share(Share {
            mark: (soft < hard).then_some(soft as u64),
            severity,
            ..Share::new(used, limit)
        }),
    };
    let values = vec![
        fill,
        state(severity, budget.exceeded_count),
        Value::Bytes(used),
        limited(soft),
        limited(hard),
        Value::Bytes(budget.peak_usage as u64),
        Value::Count(budget.exceeded_count),
    ];
    // Budgets have one row a tag; its path is as good a key as any.
    Row::new(hash(budget.name), budget.name, values)
        .with_note(format!("beyond its limit: {:?}", budget.policy))
}

fn hash(name: &str) -> u64 {
    use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
    BuildHasherDefault::<DefaultHasher>::default().hash_one(name)
}

pub fn above(look: &Look, _compared: Option<&Look>, ui: &mut Ui) {
    if let Some(budgets) = &look.budgets {
        let over = budgets
            .tags
            .iter()
            .filter(|budget| budget.current_usage > budget.soft_limit.min(budget.hard_limit))
            .count();
        let over = match over {
            0 => "none is over its limits".to_owned(),
            over => format!("{over} over a limit"),
        };
        ui.label(format!(
            "{} live under budgets, {} at most; {} budgets of tags, {over}.",
            Bytes(budgets.used),
            Bytes(budgets.peak),
            budgets.tags.len(),
        ));
    }
    if let Some(file) = &look.awaited_file {
        ui.label(format!(
            "The budget file {file} is not there. As soon as it is, it is read."
        ));
    }
}

pub fn empty(look: &Look, ui: &mut Ui) {
    if look.awaited_file.is_some() {
        return;
    }
    ui.label("This allocator has no budgets. Say what a module, a system or everything may use, in code or in a file:");
    code(
        ui,
        "app.add_plugins(BudgetPlugin::from_file(\"game.budget.json\"))",
    );
    code(
        ui,
        "{ \"modules\": { \"game::ai\": { \"soft\": \"8 MiB\", \"hard\": \"16 MiB\" } } }",
    );
}

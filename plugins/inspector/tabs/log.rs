//! The newest reports, with what the registry of codes says of them.

use crate::bevy::inspector::rows::{Column, Row};
use crate::bevy::inspector::value::Value;
use crate::diagnostics::{Diagnostic, DiagnosticCode};

pub const COLUMNS: &[Column] = &[
    Column::text("message", "What happened", 0)
        .help("Rest the pointer on it for the cause and the remedy.")
        .keeps_start(),
    Column::text("code", "Code", 7).help("Its code in the registry."),
    Column::text("level", "Level", 8).help("error, warning or hint"),
    Column::figure("times", "Times")
        .digits(8)
        .help("How often it was reported for this tag, up to this report."),
    Column::text("tag", "Tag", 34).help("The tag that it concerns."),
];

/// The newest first.
pub fn rows(log: &[Diagnostic]) -> Vec<Row> {
    let reports = log.iter().enumerate().rev();
    reports
        .map(|(index, report)| {
            let values = vec![
                Value::text(report.code.name()),
                Value::text(report.kind.level().name()),
                Value::Count(report.count),
                Value::text(report.tag.to_string()),
            ];
            Row::new(index as u64, report.message.clone(), values).with_note(note(report))
        })
        .collect()
}

fn note(report: &Diagnostic) -> String {
    let info = report.code.info();
    let mut note = match report.code {
        DiagnosticCode::Custom(_) => String::new(),
        _ => format!("{}: {}", info.code, info.meaning),
    };
    let mut add = |what: &str, text: &str| {
        if !text.is_empty() {
            let gap = if note.is_empty() { "" } else { "\n" };
            note.push_str(&format!("{gap}{what}: {text}"));
        }
    };
    add("Cause", report.note.as_deref().unwrap_or(info.cause));
    add("Remedy", report.help.as_deref().unwrap_or(info.remedy));
    if let Some(context) = &report.context {
        add("Where", &context.to_string());
    }
    note
}

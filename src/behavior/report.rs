//! What the figures say.

use core::fmt;
use std::borrow::Cow;

use super::filter::{AllocKind, TagBehaviorStats, part};
use super::thresholds::BehaviorThresholds;
use crate::diagnostics::{DiagnosticCode, DiagnosticLevel};

/// How memory behaved: see [`SmartAlloc::behavior_report`](crate::SmartAlloc::behavior_report).
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct BehaviorReport {
    /// What is worth a word, by tag.
    pub issues: Vec<BehaviorIssue>,
    /// The figures of each tag and kind of memory, by tag.
    pub stats: Vec<TagBehaviorStats>,
    /// Frames that have ended meanwhile.
    pub frames_analyzed: u64,
    /// Whether behaviour is being watched.
    pub filter_enabled: bool,
}

/// Memory of a tag that does not behave as its intent says. Displays as five lines.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct BehaviorIssue {
    /// FA501 to FA530.
    pub code: DiagnosticCode,
    /// How serious it is.
    pub level: DiagnosticLevel,
    /// The tag's path; empty for what nobody tagged.
    pub tag: &'static str,
    /// The kind of memory.
    pub kind: AllocKind,
    /// What is wrong.
    pub message: Cow<'static, str>,
    /// What to do.
    pub suggestion: Cow<'static, str>,
    /// What was observed: frames, a part of one, or a number a frame.
    pub observed_value: f64,
    /// What would have been all right.
    pub threshold: f64,
}

impl BehaviorReport {
    pub(super) fn judge(
        stats: Vec<TagBehaviorStats>,
        frames_analyzed: u64,
        filter_enabled: bool,
        thresholds: &BehaviorThresholds,
    ) -> Self {
        let mut issues = Vec::new();
        for row in &stats {
            judge(row, frames_analyzed, thresholds, &mut issues);
        }
        Self {
            issues,
            stats,
            frames_analyzed,
            filter_enabled,
        }
    }

    /// The issues of one level.
    pub fn issues_at_level(&self, level: DiagnosticLevel) -> impl Iterator<Item = &BehaviorIssue> {
        self.issues.iter().filter(move |issue| issue.level == level)
    }

    /// Whether there are errors. Behaviour is none as yet.
    pub fn has_errors(&self) -> bool {
        self.count(DiagnosticLevel::Error) != 0
    }

    /// Whether there are warnings, or worse.
    pub fn has_warnings(&self) -> bool {
        self.has_errors() || self.count(DiagnosticLevel::Warning) != 0
    }

    fn count(&self, level: DiagnosticLevel) -> usize {
        self.issues_at_level(level).count()
    }

    /// One line: how many issues of which level, in how many frames, of how many tags.
    pub fn summary(&self) -> String {
        // Sorted by tag.
        let mut tags: Vec<_> = self.stats.iter().map(|row| row.tag).collect();
        tags.dedup();
        format!(
            "Behavior analysis: {} errors, {} warnings, {} hints ({} frames, {} tags)",
            self.count(DiagnosticLevel::Error),
            self.count(DiagnosticLevel::Warning),
            self.count(DiagnosticLevel::Hint),
            self.frames_analyzed,
            tags.len()
        )
    }
}

impl fmt::Display for BehaviorReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.summary())?;
        for issue in &self.issues {
            write!(f, "\n{issue}")?;
        }
        Ok(())
    }
}

fn judge(
    row: &TagBehaviorStats,
    frames: u64,
    thresholds: &BehaviorThresholds,
    issues: &mut Vec<BehaviorIssue>,
) {
    let mut check =
        |code: DiagnosticCode, observed: f64, threshold: f64, texts: [&'static str; 2]| {
            if observed > threshold {
                issues.push(BehaviorIssue {
                    code,
                    level: code.level(),
                    tag: row.tag,
                    kind: row.kind,
                    message: Cow::Borrowed(texts[0]),
                    suggestion: Cow::Borrowed(texts[1]),
                    observed_value: observed,
                    threshold,
                });
            }
        };
    let enough = row.total_allocs >= thresholds.min_samples;
    match row.kind {
        AllocKind::Frame => {
            if row.followed_allocs >= thresholds.min_samples {
                check(
                    DiagnosticCode::FA501,
                    row.average_lifetime(),
                    f64::from(thresholds.frame_survival_frames),
                    [
                        "frame allocation behaves like long-lived data",
                        "Consider using pool_alloc() or scratch_pool()",
                    ],
                );
                check(
                    DiagnosticCode::FA502,
                    row.survival_rate(),
                    thresholds.frame_survival_rate,
                    [
                        "frame allocations often outlive their frame",
                        "Consider pool_box() or heap_box() for what outlives the frame",
                    ],
                );
            }
            if enough {
                check(
                    DiagnosticCode::FA520,
                    row.promotions_per_frame(),
                    thresholds.promotion_churn_rate,
                    [
                        "Excessive promotion churn detected",
                        "Consider allocating directly in the target allocator",
                    ],
                );
            }
        }
        AllocKind::Pool if enough => check(
            DiagnosticCode::FA510,
            row.same_frame_free_rate(),
            thresholds.pool_same_frame_free_rate,
            [
                "pool allocations are freed in the frame that made them",
                "Consider using frame() or frame_box()",
            ],
        ),
        AllocKind::Heap if enough => check(
            DiagnosticCode::FA530,
            part(row.in_frame_allocs, frames.saturating_sub(row.first_frame)),
            thresholds.heap_in_hot_path_count as f64 / 60.0,
            [
                "heap allocations in the frame loop",
                "Consider frame memory for scratch, and pool_box() for small values",
            ],
        ),
        AllocKind::Pool | AllocKind::Heap => {}
    }
}

impl BehaviorIssue {
    fn observed(&self) -> String {
        let value = self.observed_value;
        match self.code {
            DiagnosticCode::FA501 => format!("avg lifetime: {value:.1} frames"),
            DiagnosticCode::FA502 => format!("{:.1}% outlive their frame", value * 100.0),
            DiagnosticCode::FA510 => format!("{:.1}% freed in their frame", value * 100.0),
            DiagnosticCode::FA520 => format!("{value:.2} promotions/frame"),
            _ => format!("{value:.2} heap allocations/frame"),
        }
    }

    fn expected(&self) -> String {
        let value = self.threshold;
        match self.code {
            DiagnosticCode::FA501 => format!("expected < {value:.0} frames"),
            DiagnosticCode::FA502 | DiagnosticCode::FA510 => {
                format!("expected < {:.0}%", value * 100.0)
            }
            _ => format!("expected < {value:.2}/frame"),
        }
    }

    /// The issue as the message of a report.
    pub(super) fn one_line(&self) -> String {
        format!(
            "{} ({}, {})",
            self.message,
            self.observed(),
            self.expected()
        )
    }
}

impl fmt::Display for BehaviorIssue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            code,
            level,
            message,
            suggestion,
            ..
        } = self;
        let tag = if self.tag.is_empty() {
            "(untagged)"
        } else {
            self.tag
        };
        write!(
            f,
            "[{code}] {level}: {message}\n  tag: {tag}\n  observed: {}\n  threshold: {}\n  suggestion: {suggestion}",
            self.observed(),
            self.expected()
        )
    }
}

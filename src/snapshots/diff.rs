//! What grew from one snapshot to another, and whether it stops.

use core::fmt;
use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::model::Snapshot;
use crate::stats::Bytes;

/// Up to here a program is taken to be warming up, if there are no more than two snapshots to tell by.
const WARM_UP_FRAMES: u64 = 600;

/// What grew between snapshots of one run, by tag and kind of memory, over all threads: what grew most comes first.
///
/// ```
/// use framealloc::{GrowthVerdict, Snapshot, SnapshotDiff, TagSnapshot};
///
/// let series: Vec<Snapshot> = (0..10)
///     .map(|step| {
///         let mut snapshot = Snapshot::new(1_000 + step * 60);
///         snapshot.add_tag(TagSnapshot {
///             path: "game::decals".into(),
///             alloc_kind: "pool".into(),
///             alloc_count: step,
///             bytes: step * 4096,
///             ..Default::default()
///         });
///         snapshot
///     })
///     .collect();
/// let diff = SnapshotDiff::over(&series);
/// assert_eq!(diff.frames, 540);
/// assert_eq!(diff.rows[0].bytes_growth, 9 * 4096);
/// assert_eq!(diff.rows[0].verdict, GrowthVerdict::LeakSuspected);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SnapshotDiff {
    /// The frame of the oldest snapshot.
    pub from_frame: u64,
    /// The frame of the newest.
    pub to_frame: u64,
    /// Frames between the two.
    pub frames: u64,
    /// How many snapshots were looked at.
    pub snapshots: usize,
    /// Every tag and kind that any of them has.
    pub rows: Vec<TagGrowth>,
}

/// How one kind of memory of one tag grew. See [`SnapshotDiff`].
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TagGrowth {
    /// The tag; empty for what nobody tagged.
    pub path: Cow<'static, str>,
    /// As in [`TagSnapshot`](crate::TagSnapshot).
    pub alloc_kind: Cow<'static, str>,
    /// Bytes in the oldest snapshot. For frame memory, bytes a frame.
    pub bytes_before: u64,
    /// Bytes in the newest.
    pub bytes_after: u64,
    /// The difference.
    pub bytes_growth: i64,
    /// That by frame. 0 if there is no frame between.
    pub bytes_per_frame: f64,
    /// Allocations in the oldest.
    pub count_before: u64,
    /// Allocations in the newest.
    pub count_after: u64,
    /// The difference.
    pub count_growth: i64,
    /// What to think of it.
    pub verdict: GrowthVerdict,
}

/// What to think of how a tag's memory grew.
///
/// Of the snapshots of the later half of the frames, the least of the earlier ones is compared with the least of the later
/// ones: what goes up and down has a floor that stays, what is warmed up has one that no longer rises, and that of a leak goes
/// on rising. Rising means by more than 1 KiB, than 1 % of what there was at first, and than a tenth of the whole growth.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GrowthVerdict {
    /// It changed by no more than 1 KiB, or 1 % of what there was.
    #[default]
    Steady,
    /// There is less of it.
    Shrunk,
    /// It grew, and its floor no longer rises. Of two snapshots alone: it grew, and the older one is of the first 600 frames.
    WarmUp,
    /// It grew, and its floor still rises. Of two snapshots alone: it grew after the first 600 frames.
    LeakSuspected,
    /// It is frame memory, which every frame gives back, however much there is.
    FrameMemory,
}

impl fmt::Display for GrowthVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Steady => "steady",
            Self::Shrunk => "shrunk",
            Self::WarmUp => "warm-up",
            Self::LeakSuspected => "leak suspected",
            Self::FrameMemory => "frame memory",
        })
    }
}

impl SnapshotDiff {
    /// What grew from one snapshot to a later one.
    pub fn between(older: &Snapshot, newer: &Snapshot) -> Self {
        Self::over([older, newer])
    }

    /// What grew over a series: the more of it there is, the better leaks are told from warming up. They are put in the order of
    /// their frames.
    pub fn over<'a>(series: impl IntoIterator<Item = &'a Snapshot>) -> Self {
        let mut series: Vec<_> = series.into_iter().collect();
        series.sort_by_key(|snapshot| snapshot.frame);
        let (Some(first), Some(last)) = (series.first(), series.last()) else {
            return Self::default();
        };
        let frames = last.frame - first.frame;
        let mut rows: Vec<_> = tracks(&series)
            .into_iter()
            .map(|((path, kind), points)| growth(path, kind, &points, &series))
            .collect();
        rows.sort_by(|a, b| {
            let by_growth = b.bytes_growth.cmp(&a.bytes_growth);
            by_growth
                .then_with(|| a.path.cmp(&b.path))
                .then_with(|| a.alloc_kind.cmp(&b.alloc_kind))
        });
        Self {
            from_frame: first.frame,
            to_frame: last.frame,
            frames,
            snapshots: series.len(),
            rows,
        }
    }

    /// The rows that are [`LeakSuspected`](GrowthVerdict::LeakSuspected).
    pub fn leaks(&self) -> impl Iterator<Item = &TagGrowth> {
        let rows = self.rows.iter();
        rows.filter(|row| row.verdict == GrowthVerdict::LeakSuspected)
    }
}

/// Bytes and allocations in one snapshot.
#[derive(Clone, Copy, Default)]
struct Point {
    bytes: u64,
    count: u64,
}

type Key<'a> = (&'a str, &'a str);

/// What each tag and kind has in each snapshot, over all threads.
fn tracks<'a>(series: &[&'a Snapshot]) -> BTreeMap<Key<'a>, Vec<Point>> {
    let mut tracks = BTreeMap::new();
    for (index, snapshot) in series.iter().enumerate() {
        for tag in &snapshot.tags {
            let points = tracks
                .entry((&*tag.path, &*tag.alloc_kind))
                .or_insert_with(|| vec![Point::default(); series.len()]);
            let point: &mut Point = &mut points[index];
            point.bytes = point.bytes.saturating_add(tag.bytes);
            point.count = point.count.saturating_add(tag.alloc_count);
        }
    }
    tracks
}

fn growth(path: &str, kind: &str, points: &[Point], series: &[&Snapshot]) -> TagGrowth {
    let (first, last) = (points[0], points[points.len() - 1]);
    let frames = series[series.len() - 1].frame - series[0].frame;
    let bytes_growth = difference(first.bytes, last.bytes);
    TagGrowth {
        path: path.to_owned().into(),
        alloc_kind: kind.to_owned().into(),
        bytes_before: first.bytes,
        bytes_after: last.bytes,
        bytes_growth,
        bytes_per_frame: match frames {
            0 => 0.0,
            frames => bytes_growth as f64 / frames as f64,
        },
        count_before: first.count,
        count_after: last.count,
        count_growth: difference(first.count, last.count),
        verdict: if kind == "frame" {
            GrowthVerdict::FrameMemory
        } else {
            verdict(points, series)
        },
    }
}

fn verdict(points: &[Point], series: &[&Snapshot]) -> GrowthVerdict {
    let (first, last) = (points[0].bytes, points[points.len() - 1].bytes);
    let growth = difference(first, last);
    let tolerance = (first / 100).max(1024) as i64;
    if growth.unsigned_abs() <= tolerance as u64 {
        return GrowthVerdict::Steady;
    }
    if growth < 0 {
        return GrowthVerdict::Shrunk;
    }
    let still_rises = if points.len() == 2 {
        series[0].frame >= WARM_UP_FRAMES
    } else {
        let frames = series[series.len() - 1].frame - series[0].frame;
        let middle = series[0].frame + frames / 2;
        // At least one is before the middle, or all are of one frame; the last is after it.
        let half = series.partition_point(|snapshot| snapshot.frame < middle);
        let (earlier, later) = points[half..].split_at((points.len() - half) / 2);
        let floor = |points: &[Point]| points.iter().map(|point| point.bytes).min();
        match (floor(earlier), floor(later)) {
            (Some(earlier), Some(later)) => difference(earlier, later) > tolerance.max(growth / 10),
            // One snapshot in the later half: it has grown until then.
            _ => {
                let before = points[half.saturating_sub(1)].bytes;
                difference(before, last) > tolerance.max(growth / 10)
            }
        }
    };
    if still_rises {
        GrowthVerdict::LeakSuspected
    } else {
        GrowthVerdict::WarmUp
    }
}

fn difference(before: u64, after: u64) -> i64 {
    let difference = i128::from(after) - i128::from(before);
    difference.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64
}

/// A table of the rows that changed.
impl fmt::Display for SnapshotDiff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "frames {} to {} ({} frames, {} snapshots)",
            self.from_frame, self.to_frame, self.frames, self.snapshots
        )?;
        let changed = self
            .rows
            .iter()
            .filter(|row| row.bytes_growth != 0 || row.count_growth != 0);
        let mut is_first = true;
        for row in changed {
            if is_first {
                is_first = false;
                write!(
                    f,
                    "\n{:<40} {:<6} {:>11} {:>11} {:>12} {:>13} {:>9}  verdict",
                    "tag", "kind", "before", "after", "growth", "a frame", "count"
                )?;
            }
            write!(
                f,
                "\n{:<40} {:<6} {:>11} {:>11} {:>12} {:>13} {:>+9}  {}",
                if row.path.is_empty() {
                    "(untagged)"
                } else {
                    &*row.path
                },
                row.alloc_kind,
                Bytes(row.bytes_before),
                Bytes(row.bytes_after),
                signed(row.bytes_growth),
                signed(row.bytes_per_frame.round() as i64),
                row.count_growth,
                row.verdict
            )?;
        }
        if is_first {
            f.write_str("\nnothing changed")?;
        }
        Ok(())
    }
}

fn signed(bytes: i64) -> String {
    let sign = if bytes < 0 { '-' } else { '+' };
    format!("{sign}{}", Bytes(bytes.unsigned_abs()))
}

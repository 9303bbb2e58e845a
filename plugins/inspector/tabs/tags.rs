//! The tree of tags.

use bevy_egui::egui::Ui;

use super::Place;
use super::figures::Figures;
use crate::bevy::inspector::look::{Look, Use};
use crate::bevy::inspector::order::Key;
use crate::bevy::inspector::panel::Panel;
use crate::bevy::inspector::rows::{Column, Row};
use crate::bevy::inspector::table::{Contents, Fold, Line, SUM};
use crate::bevy::inspector::value::Value;

const COLUMNS: &[Column] = &[
    Column::text("tag", "Tag", 0).help("Systems, and what you named with `with_tag`, by their paths."),
    Column::figure("frame", "Frame").help("Frame memory handed out, in bytes a frame."),
    Column::figure("live", "Live").help("Live memory in pools, on the heap and from the global allocator."),
    Column::figure("pool", "Pools")
        .help("Live memory in pools, where they are charged to tags.")
        .not_compared(),
    Column::figure("heap", "Heap")
        .help("Live memory of `heap_box` and its kin.")
        .not_compared(),
    Column::figure("global", "Global")
        .help("Live memory from the global allocator besides Heap: Vec, Box, String. A HeapAudit counts it.")
        .not_compared(),
    Column::figure("calls", "Calls")
        .digits(9)
        .help("Calls of the global allocator a frame. A HeapAudit counts them."),
];

fn value(look: &Look, used: &Use, column: usize) -> Value {
    let audited = |value: Value| if look.audits { value } else { Value::Nothing };
    match column {
        1 => Value::ByteRate(look.rate(used.frame)),
        2 => Value::Bytes(used.live()),
        3 if look.pool_tags => Value::Bytes(used.pool),
        3 => Value::Nothing,
        4 => Value::Bytes(used.heap),
        5 => audited(Value::Bytes(used.global)),
        _ => audited(Value::Rate(look.rate(used.calls))),
    }
}

const FIGURES: Figures = Figures {
    columns: COLUMNS,
    value,
};

struct Tree<'a> {
    place: &'a Place<'a>,
    by_figure: Option<usize>,
    greatest: f64,
    /// By place in the tree: whether it or something below it is shown.
    shown: Vec<bool>,
    lines: Vec<Line>,
    /// The levels that are being gone through, each after the one above it.
    levels: Vec<(Key, u32)>,
}

pub fn contents(place: &Place<'_>) -> Contents {
    let mut tree = Tree {
        by_figure: place.order.column(COLUMNS),
        greatest: 0.0,
        shown: shown(place),
        lines: Vec::new(),
        levels: Vec::new(),
        place,
    };
    tree.level(0, 0);
    Contents {
        columns: COLUMNS,
        lines: tree.lines,
        sum: Some(Line::of(total(place))),
        greatest: tree.greatest,
        ..Contents::default()
    }
}

/// What the whole process uses, which is what all rows of the first level come to.
fn total(place: &Place<'_>) -> Row {
    let before = place.compared.map(Look::total);
    FIGURES.row(
        place,
        SUM,
        "everything",
        &place.look.total(),
        Some(before.as_ref()),
    )
}

fn shown(place: &Place<'_>) -> Vec<bool> {
    let nodes = &place.panel.tree.nodes;
    let idle = place.panel.settings.idle;
    // Tags may have been made since the look.
    let known = place.look.own.iter().zip(nodes);
    let mut shown: Vec<bool> = known
        .map(|(own, node)| node.found && (idle || own.ever))
        .collect();
    for index in (1..shown.len()).rev() {
        let parent = nodes[index].parent as usize;
        // The root is a row like any other, not what all lie in.
        shown[parent] |= shown[index] && parent != 0;
    }
    shown
}

/// What a tag used, as it is shown: with what is below it, or alone.
fn used<'a>(place: &Place<'_>, look: &'a Look, index: usize) -> Option<&'a Use> {
    if index == 0 || place.panel.settings.own_only {
        look.own.get(index)
    } else {
        look.below.get(index)
    }
}

impl Tree<'_> {
    fn level(&mut self, parent: usize, depth: u8) {
        let start = self.levels.len();
        if parent == 0 {
            self.put(0);
        }
        let place = self.place;
        for &child in &place.panel.tree.nodes[parent].children {
            self.put(child);
        }
        let end = self.levels.len();
        if self.by_figure.is_some() {
            self.levels[start..].sort_unstable();
        }
        for at in start..end {
            let index = self.levels[at].1 as usize;
            let fold = self.fold(index, depth);
            let mut line = Line::new(index as u64);
            (line.depth, line.fold) = (depth, fold);
            self.lines.push(line);
            if fold == Fold::Open {
                self.level(index, depth.saturating_add(1));
            }
        }
        self.levels.truncate(start);
    }

    /// Adds a tag to the level.
    fn put(&mut self, index: u32) {
        if self.shown.get(index as usize) != Some(&true) {
            return;
        }
        let place = self.place;
        let rank = place.panel.tree.nodes[index as usize].rank;
        let now = used(place, place.look, index as usize);
        let before = place
            .compared
            .and_then(|look| used(place, look, index as usize));
        let figure = now.and_then(|now| FIGURES.figure(place, self.by_figure, now, before, rank));
        self.greatest = self.greatest.max(figure.unwrap_or(0.0));
        self.levels.push((place.order.key(figure, rank), index));
    }

    fn fold(&self, index: usize, depth: u8) -> Fold {
        let panel = self.place.panel;
        let mut children = panel.tree.nodes[index].children.iter();
        let has_children =
            index != 0 && children.any(|&child| self.shown.get(child as usize) == Some(&true));
        if !has_children {
            return Fold::Leaf;
        }
        // A search opens what it finds things in.
        let (folded, opens_at_first) = if self.place.needle.is_empty() {
            (&panel.folded, panel.opens_at_first(index, depth))
        } else {
            (&panel.folded_found, true)
        };
        if opens_at_first != folded.contains(&(index as u64)) {
            Fold::Open
        } else {
            Fold::Closed
        }
    }
}

/// The row of a line, once it comes into sight.
pub fn row(place: &Place<'_>, index: usize) -> Row {
    let node = &place.panel.tree.nodes[index];
    let nothing = Use::default();
    let now = used(place, place.look, index).unwrap_or(&nothing);
    let before = place.compared.map(|look| used(place, look, index));
    let mut row = FIGURES.row(place, index as u64, node.name, now, before);
    row.full_name = node.path.into();
    if node.is_system {
        row.note = Some("a system".into());
    } else if index == 0 {
        row.note = Some(
            "What no system and no `with_tag` stands for: schedules, tasks, other threads.".into(),
        );
    }
    row
}

impl Panel {
    /// The first level is open if it is short.
    fn opens_at_first(&self, index: usize, depth: u8) -> bool {
        depth == 0 && self.tree.nodes[index].children.len() <= 12
    }
}

pub fn above(panel: &mut Panel, look: &Look, ui: &mut Ui) -> bool {
    let mut is_changed = false;
    ui.horizontal(|ui| {
        let mut below = !panel.settings.own_only;
        is_changed |= ui
            .checkbox(&mut below, "With what is below")
            .on_hover_text("Figures of a tag and everything below it, or of the tag alone.")
            .changed();
        panel.settings.own_only = !below;
        is_changed |= ui
            .checkbox(&mut panel.settings.idle, "Idle ones too")
            .on_hover_text("Tags that have never used anything.")
            .changed();
        let folds = ["Expand all", "Collapse all"];
        for (index, title) in folds.into_iter().enumerate() {
            if ui.small_button(title).clicked() {
                fold_all(panel, look, index == 0);
                is_changed = true;
            }
        }
    });
    is_changed
}

fn fold_all(panel: &mut Panel, look: &Look, open: bool) {
    panel.folded.clear();
    panel.folded_found.clear();
    let depths = panel.depths(look.own.len());
    for (index, depth) in depths.into_iter().enumerate().skip(1) {
        if panel.opens_at_first(index, depth) != open {
            panel.folded.insert(index as u64);
        }
    }
}

impl Panel {
    fn depths(&self, known: usize) -> Vec<u8> {
        let mut depths = vec![0u8; known];
        for index in 1..known {
            let parent = self.tree.nodes[index].parent as usize;
            if parent != 0 {
                depths[index] = depths[parent].saturating_add(1);
            }
        }
        depths
    }
}

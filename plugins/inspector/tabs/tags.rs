//! The tree of tags.

use bevy_egui::egui::Ui;

use super::Place;
use crate::bevy::inspector::look::{Look, Use};
use crate::bevy::inspector::panel::Panel;
use crate::bevy::inspector::rows::{Column, Fold, Row};
use crate::bevy::inspector::table::{SUM, Table};
use crate::bevy::inspector::tree::UNTAGGED;
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

fn values(look: &Look, used: &Use) -> Vec<Value> {
    let audited = |value: Value| if look.audits { value } else { Value::Nothing };
    vec![
        Value::ByteRate(look.rate(used.frame)),
        Value::Bytes(used.live()),
        if look.pool_tags {
            Value::Bytes(used.pool)
        } else {
            Value::Nothing
        },
        Value::Bytes(used.heap),
        audited(Value::Bytes(used.global)),
        audited(Value::Rate(look.rate(used.calls))),
    ]
}

struct Tree<'a> {
    place: &'a Place<'a>,
    /// By place in the tree: whether it or something below it is shown.
    shown: Vec<bool>,
    rows: Vec<Row>,
}

pub fn table(place: &Place<'_>) -> Table {
    let mut tree = Tree {
        shown: shown(place),
        rows: Vec::new(),
        place,
    };
    tree.level(0, 0);
    Table {
        columns: COLUMNS,
        rows: tree.rows,
        sum: Some(total(place)),
        ..Table::default()
    }
}

/// What the whole process uses, which is what all rows of the first level come to.
fn total(place: &Place<'_>) -> Row {
    let mut row = Row::new(SUM, "everything", values(place.look, &place.look.total()));
    row.before = place.compared.map(|look| values(look, &look.total()));
    row
}

fn shown(place: &Place<'_>) -> Vec<bool> {
    let nodes = &place.panel.tree.nodes;
    // Tags may have been made since the look.
    let known = place.look.own.len();
    let mut shown: Vec<bool> = (0..known)
        .map(|index| {
            let node = &nodes[index];
            let found = match index {
                0 => UNTAGGED.contains(place.needle),
                _ => node.lower.contains(place.needle),
            };
            found && (place.panel.settings.idle || place.look.own[index].ever)
        })
        .collect();
    for index in (1..known).rev() {
        let parent = nodes[index].parent as usize;
        // The root is a row like any other, not what all lie in.
        shown[parent] |= shown[index] && parent != 0;
    }
    shown
}

impl Tree<'_> {
    fn level(&mut self, parent: usize, depth: u8) {
        let nodes = &self.place.panel.tree.nodes;
        let mut level: Vec<Row> = Vec::new();
        if parent == 0 && self.shown.first() == Some(&true) {
            level.push(self.row(0, depth));
        }
        for &child in &nodes[parent].children {
            if self.shown.get(child as usize) == Some(&true) {
                level.push(self.row(child as usize, depth));
            }
        }
        self.place.order.sort(COLUMNS, &mut level);
        for row in level {
            let (index, is_open) = (row.key as usize, row.fold == Fold::Open);
            self.rows.push(row);
            if is_open {
                self.level(index, depth.saturating_add(1));
            }
        }
    }

    fn row(&self, index: usize, depth: u8) -> Row {
        let Place {
            panel,
            look,
            compared,
            needle,
            ..
        } = *self.place;
        let node = &panel.tree.nodes[index];
        let used = |look: &Look| {
            let by_place = if index == 0 || panel.settings.own_only {
                &look.own
            } else {
                &look.below
            };
            values(look, by_place.get(index).unwrap_or(&Use::default()))
        };
        let has_children = index != 0
            && node
                .children
                .iter()
                .any(|&child| self.shown.get(child as usize) == Some(&true));
        // A search opens what it finds things in.
        let folded = if needle.is_empty() {
            &panel.folded
        } else {
            &panel.folded_found
        };
        let is_toggled = folded.contains(&(index as u64));
        let opens_at_first = !needle.is_empty() || panel.opens_at_first(index, depth);
        let fold = match (has_children, opens_at_first != is_toggled) {
            (false, _) => Fold::Leaf,
            (true, true) => Fold::Open,
            (true, false) => Fold::Closed,
        };
        let name = match index {
            0 => UNTAGGED,
            _ => node.name,
        };
        let mut row = Row::new(index as u64, name, used(look));
        row.full_name = panel.tree.path(index).into();
        row.depth = depth;
        row.fold = fold;
        row.before = compared.map(used);
        if node.is_system {
            row.note = Some("a system".into());
        } else if index == 0 {
            row.note = Some(
                "What no system and no `with_tag` stands for: schedules, tasks, other threads."
                    .into(),
            );
        }
        row
    }
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

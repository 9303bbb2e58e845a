//! Columns of the panel's tables: dragged, remembered, scrolled to.

use super::*;

/// How wide a column is, by its title.
fn width(harness: &Harness<'static, App>, title: &str) -> f32 {
    harness.get_by_label(title).rect().width()
}

/// Drags the right edge of a column by so many points.
fn drag_edge(harness: &mut Harness<'static, App>, title: &str, by: f32) {
    let column = harness.get_by_label(title).rect();
    // The handle is in the middle of the gap between two columns.
    let edge = egui::pos2(column.right() + 5.0, column.center().y);
    harness.hover_at(edge);
    harness.run_steps(1);
    harness.drag_at(edge);
    harness.run_steps(1);
    let there = edge + egui::vec2(by, 0.0);
    harness.hover_at(there);
    harness.run_steps(2);
    harness.drop_at(there);
    harness.run_steps(2);
    harness.remove_cursor();
    harness.run_steps(2);
}

fn tables() -> Harness<'static, App> {
    let app = app(AllocConfig::default(), |alloc| {
        alloc.with_tag("columns_tag", |alloc| {
            drop(alloc.frame_box([1_u8; 256]).unwrap());
        });
    });
    panel(app, InspectorTab::Tags)
}

#[test]
fn a_column_is_as_wide_as_somebody_drags_it_until_the_usual_widths_are_wanted() {
    let mut harness = tables();
    let usual = width(&harness, "Frame");
    drag_edge(&mut harness, "Frame", 40.0);
    let dragged = width(&harness, "Frame");
    assert!((dragged - usual - 40.0).abs() < 2.0, "{usual} to {dragged}");

    click(&mut harness, "Systems");
    click(&mut harness, "Tags");
    let back = width(&harness, "Frame");
    assert!((back - dragged).abs() < 1.0, "{dragged} became {back}");

    harness.get_by_label("Frame").click_secondary();
    harness.run_steps(3);
    click(&mut harness, "Usual widths of columns");
    assert_eq!(width(&harness, "Frame"), usual);
}

#[test]
fn names_have_what_the_other_columns_leave_also_after_the_window_became_wider() {
    let mut harness = tables();
    let (name, frame) = (width(&harness, "Tag"), width(&harness, "Frame"));
    harness.set_size(egui::vec2(1300.0, 700.0));
    harness.run_steps(3);
    let wider = width(&harness, "Tag");
    assert!((wider - name - 200.0).abs() < 2.0, "{name} to {wider}");
    assert_eq!(width(&harness, "Frame"), frame);
}

#[test]
fn columns_for_which_a_narrow_window_has_no_room_are_scrolled_to() {
    let mut harness = tables();
    harness.set_size(egui::vec2(440.0, 500.0));
    harness.run_steps(3);
    let right = |harness: &Harness<'static, App>| harness.get_by_label("Calls").rect().right();
    assert!(right(&harness) > 440.0, "there is room for all");
    assert!(width(&harness, "Tag") > 100.0, "names have room, still");
    let below_title = harness.get_by_label("Tag").rect().center() + egui::vec2(0.0, 40.0);
    harness.hover_at(below_title);
    harness.run_steps(1);
    harness.event(egui::Event::MouseWheel {
        unit: egui::MouseWheelUnit::Point,
        delta: egui::vec2(-600.0, 0.0),
        phase: egui::TouchPhase::Move,
        modifiers: egui::Modifiers::NONE,
    });
    harness.run_steps(10);
    assert!(right(&harness) <= 440.0, "{}", right(&harness));
}

#[test]
fn rows_stay_where_they_are_while_a_menu_is_open() {
    let bytes = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(64));
    let of_frame = bytes.clone();
    let app = app(AllocConfig::default(), move |alloc| {
        let bytes = of_frame.load(std::sync::atomic::Ordering::Relaxed);
        for (tag, bytes) in [("held_one", bytes), ("held_two", 20_000)] {
            alloc.with_tag(tag, |alloc| {
                drop(alloc.frame_slice_fill(bytes, 1_u8).unwrap());
            });
        }
    });
    let mut harness = panel(app, InspectorTab::Tags);
    inspector(&mut harness).search = "held_".to_owned();
    harness.run_steps(2);
    click(&mut harness, "Frame");
    let row = |harness: &Harness<'static, App>, name: &str| {
        let mut found = harness.query_all_by_label_contains(name);
        found.next().expect("it is there").rect().top()
    };
    let is_above =
        |harness: &Harness<'static, App>| row(harness, "held_one") < row(harness, "held_two");
    assert!(!is_above(&harness));
    let cell = harness.query_all_by_label_contains("held_one").next();
    cell.expect("the cell is there").click_secondary();
    harness.run_steps(3);
    bytes.store(90_000, std::sync::atomic::Ordering::Relaxed);
    harness.run_steps(6);
    assert!(!is_above(&harness), "they change places under the menu");
    assert!(copied(&mut harness, "Copy row as text").contains("held_one"));
    harness.run_steps(6);
    assert!(is_above(&harness));
}

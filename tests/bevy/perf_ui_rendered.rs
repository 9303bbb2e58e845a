//! The entries for `iyes_perf_ui` on the screen: the example `perf_ui`, looked at.
//!
//! The pictures are in `target/tmp/perf_ui/`, for people to look at.

#[allow(dead_code, reason = "a test has its own `main`")]
#[path = "../../examples/perf_ui.rs"]
mod example;
mod rendered;

use bevy::diagnostic::DiagnosticsStore;
use bevy::input::keyboard::Key;
use bevy::prelude::*;
use framealloc::bevy::DiagnosticsPlugin;

use rendered::picture;
use rendered::player::Player;

/// The text in the row that begins with a label.
fn value(player: &mut Player, label: &str) -> String {
    let world = player.app.world_mut();
    let label = format!("{label}: ");
    let (mut texts, mut children) = (world.query::<(Entity, &Text)>(), world.query::<&Children>());
    let (found, _) = (texts.iter(world))
        .find(|(_, text)| text.0 == label)
        .unwrap_or_else(|| panic!("{label:?} is not on the screen"));
    let parent = |entity| world.get::<ChildOf>(entity).expect("a row").parent();
    let row = parent(parent(found));
    let in_row = children.query(world);
    let value = (in_row.iter_descendants(row))
        .find_map(|entity| world.get::<Text>(entity).filter(|text| text.0 != label));
    value.expect("there is a value").0.clone()
}

/// Plays until these are the values on the screen: frame memory, arena fill, the worst budget.
#[track_caller]
fn until_shown(player: &mut Player, values: [&str; 3]) {
    player.until(&format!("{values:?}"), |player| {
        let labels = ["Frame memory", "Arena fill", "Worst budget"];
        labels.map(|label| value(player, label)) == values
    });
}

#[test]
fn the_entries_show_what_the_game_uses() {
    let mut app = App::new();
    app.add_plugins((picture::plugins(), example::game));
    let mut player = Player::start(app, "perf_ui");

    // A system takes 8 * 1024 values of 8 bytes, of the 4 MiB that an arena may have and the 256 KiB that it may take itself.
    until_shown(&mut player, ["64.0 KiB", "2 %", "25 %"]);
    player.until("heap allocations", |player| {
        value(player, "Heap allocations") != "N/A"
    });
    player.photograph("calm");

    player.hold(KeyCode::Space, Key::Space);
    until_shown(&mut player, ["384.0 KiB", "9 %", "150 %"]);
    player.photograph("busy");

    // What was measured at the end of a frame is shown in the next.
    let store = player.app.world().resource::<DiagnosticsStore>();
    let allocs = store.get(&DiagnosticsPlugin::HEAP_ALLOCS).unwrap().value();
    let allocs = allocs.unwrap();
    // The game makes 101 of them itself: labels, and the list that holds them.
    assert!(allocs > 101.0, "{allocs}");
    player.frames(1);
    assert_eq!(
        value(&mut player, "Heap allocations"),
        format!("{allocs:.0} a frame")
    );
}

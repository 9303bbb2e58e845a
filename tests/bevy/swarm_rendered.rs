//! The real `swarm`, played: its own app, drawn into a picture instead of a window, and a player at its keys.
//!
//! The pictures are in `target/tmp/swarm/`, for people to look at. What they show is checked by the texts on the screen.

mod rendered;

use bevy::input::keyboard::Key;
use bevy::prelude::*;
use clap::Parser;
use framealloc::bevy::{Budgets, InspectorTab, MemoryInspector, StreamingTotals};

use crate::args::Args;
use crate::frenzy::Frenzy;
use crate::window;
use rendered::picture;
use rendered::player::Player;

/// Starts the game, and waits until its budgets have been read.
fn start(options: &[&str]) -> Player {
    // A small swarm, since tests are not optimised. A game that ends some day has the panel as it is at first.
    let always = ["swarm", "--agents", "1000", "--exit-after", "1000000"];
    let args = Args::parse_from(always.iter().chain(options));
    let app = window::app(&args, picture::plugins());
    let mut player = Player::start(app, "swarm");
    player.until("budgets in force", |player| {
        !player.app.world().resource::<Budgets>().is_empty()
    });
    player
}

fn frenzy(player: &Player) -> bool {
    player.app.world().resource::<Frenzy>().is_on()
}

/// Whether a cell tells of bytes, and of more than none.
fn is_some_bytes(cell: &str) -> bool {
    cell != "0 B" && cell.ends_with('B')
}

/// In this order: pools and reports are the whole process's, and only the first game finds none.
#[test]
fn the_panel_shows_what_the_game_does_and_the_mistakes_it_makes() {
    f9_opens_the_panel_over_the_game_and_every_tab_shows_what_the_game_does();
    a_leak_shows_as_a_pool_that_only_grows();
    a_budget_that_is_too_small_is_in_the_log_and_in_the_table_of_budgets();
}

fn f9_opens_the_panel_over_the_game_and_every_tab_shows_what_the_game_does() {
    let mut player = start(&["--fly"]);
    player.until("ground, and a look at the swarm", |player| {
        let texts = player.ui_texts();
        let ready = player.app.world().resource::<StreamingTotals>().ready;
        ready > 20 && texts.iter().any(|text| text.contains("frame memory"))
    });
    player.photograph("game");
    assert!(!player.shows("Memory"), "hidden, it paints nothing");
    player.press(KeyCode::F9, Key::F9);
    // Time for a history.
    player.frames(60);
    for tab in InspectorTab::ALL {
        player.click(tab.title());
        assert_eq!(player.app.world().resource::<MemoryInspector>().tab, tab);
        // At first the lists begin with what the game hardly does: call malloc, and hold memory.
        if matches!(tab, InspectorTab::Tags | InspectorTab::Systems) {
            player.click("Frame");
        }
        if tab == InspectorTab::Tags {
            player.click("swarm");
        }
        shows_the_game(&player, tab);
        player.photograph(&tab.title().to_lowercase());
    }
    player.press(KeyCode::F9, Key::F9);
    assert!(!player.shows("Memory"), "closed, it paints nothing");
}

fn shows_the_game(player: &Player, tab: InspectorTab) {
    match tab {
        InspectorTab::Overview => player.expect(&[
            "Frame memory by system",
            "swarm::flock::in_frame_memory",
            "swarm::hunt::in_frame_memory",
            "of 2.0 MiB",
        ]),
        InspectorTab::Tags => {
            for module in ["swarm", "flock", "hunt", "collide"] {
                let frame = player.cell(module, "Frame");
                assert!(is_some_bytes(frame), "{module}: {frame}");
            }
            let sprites = player.cell("looks", "Global");
            assert!(is_some_bytes(sprites), "{sprites}");
        }
        InspectorTab::Systems => {
            for module in ["flock", "hunt", "collide"] {
                let system = format!("swarm::{module}::in_frame_memory");
                let frame = player.cell(&system, "Frame");
                assert!(is_some_bytes(frame), "{system}: {frame}");
                assert_eq!(player.cell(&system, "Calls"), "0.0", "{system}");
            }
        }
        InspectorTab::Budgets => {
            // Those of assets/swarm.budget.json.
            for (of, soft, hard) in [
                ("swarm", "192.0 MiB", "256.0 MiB"),
                ("swarm::mistakes", "512.0 KiB", "1.0 MiB"),
                ("swarm::collide::in_frame_memory", "48.0 MiB", "96.0 MiB"),
            ] {
                assert_eq!(player.cell(of, "Soft"), soft, "{of}");
                assert_eq!(player.cell(of, "Limit"), hard, "{of}");
                assert_eq!(player.cell(of, "State"), "fine", "{of}");
            }
        }
        InspectorTab::Arenas => {
            let peaks = player.column("Peak");
            assert!(peaks.into_iter().any(is_some_bytes));
            player.expect(&["Compute Task Pool (0)"]);
        }
        // The game keeps everything in frames.
        InspectorTab::Pools => player.expect(&["No pool was used yet"]),
        InspectorTab::Streaming => {
            let streams = player.column("Stream");
            let tiles: Vec<_> = streams
                .into_iter()
                .filter(|stream| stream.contains(" terrain::"))
                .collect();
            assert!(tiles.len() > 10, "{tiles:?}");
            for tile in tiles {
                assert_eq!(player.cell(tile, "Size"), "42.2 KiB", "{tile}");
            }
            assert!(player.column("State").contains(&"ready"));
        }
        InspectorTab::Log => player.expect(&["No reports"]),
    }
}

fn a_budget_that_is_too_small_is_in_the_log_and_in_the_table_of_budgets() {
    let mut player = start(&["--over-budget", "--inspect"]);
    player.click("Log");
    player.until("refusal", |player| player.shows("FA302"));
    player.expect(&["swarm::mistakes"]);
    player.photograph("over-budget-log");
    player.click("Budgets");
    assert_ne!(player.cell("swarm::mistakes", "Exceeded"), "0");
    assert_eq!(player.cell("swarm", "Exceeded"), "0");
    player.photograph("over-budget-budgets");
}

fn a_leak_shows_as_a_pool_that_only_grows() {
    let mut player = start(&["--leaky", "--inspect"]);
    player.click("Pools");
    let live = |player: &Player| player.cell("256 bytes", "Live").parse::<u32>();
    player.until("prey that is caught", |player| player.shows("256 bytes"));
    let before = live(&player).unwrap();
    player.until("growth", |player| live(player).unwrap() >= before + 10);
    player.photograph("leaky-pools");
    player.click("Budgets");
    assert!(is_some_bytes(player.cell("swarm::mistakes", "Live")));
    player.photograph("leaky-budgets");

    // Keys that are typed into the panel are not for the game.
    player.click("Search");
    player.press(KeyCode::Space, Key::Space);
    assert!(!frenzy(&player));
    player.press(KeyCode::F9, Key::F9);
    player.press(KeyCode::Space, Key::Space);
    assert!(frenzy(&player));
}

//! The memory inspector in a rendered app: opened by its key, clicked through, photographed.
//!
//! The pictures are in `target/tmp/inspector/`, for people to look at. What they show is checked by the texts that egui painted, not
//! by pixels.
//!
//! One test a process: a global allocator counts the process's allocations.

mod rendered;

use std::hint::black_box;

use bevy::input::keyboard::Key;
use bevy::prelude::*;
use bevy_egui::egui;
use framealloc::bevy::{
    AllocResource, Corner, FrameAlloc, InspectorTab, MemoryInspector, MemoryInspectorPlugin,
    SmartAllocPlugin,
};
use framealloc::{AllocConfig, HeapAudit, HeapBox, PoolBox, StreamPriority};

use rendered::picture;
use rendered::player::Player;

#[global_allocator]
static HEAP: HeapAudit = HeapAudit::system();

// ---- A game that allocates in every way --------------------------------------------------------------------------------

mod game {
    use super::*;

    #[derive(Resource, Default)]
    pub struct Holds {
        pub maps: Vec<HeapBox<[u8; 40_000]>>,
        pub spells: Vec<PoolBox<[u64; 12]>>,
        pub names: Vec<String>,
    }

    pub mod ai {
        use super::*;

        pub fn find_paths(frame: FrameAlloc, alloc: Res<AllocResource>, mut step: Local<usize>) {
            *step += 1;
            let swing = ((*step as f32 / 20.0).sin() * 20_000.0) as usize + 24_000;
            black_box(frame.alloc_slice_fill(swing, 1_u32));
            alloc.with_tag("open_list", |alloc| {
                black_box(alloc.frame_slice_fill(9_000, 2_u32).unwrap());
            });
        }

        pub fn think(frame: FrameAlloc) {
            black_box(frame.alloc_slice_fill(12_000, 1_u32));
        }
    }

    pub mod physics {
        use super::*;

        pub fn collide(frame: FrameAlloc, mut step: Local<usize>) {
            *step += 1;
            black_box(frame.alloc_slice_fill(20_000 + (*step % 50) * 300, 1_u64));
        }
    }

    pub mod ui {
        use super::*;

        pub fn write_labels() {
            let labels: Vec<String> = (0..24).map(|unit| format!("unit {unit}")).collect();
            black_box(labels);
        }

        pub fn remember_names(mut holds: ResMut<Holds>) {
            if holds.names.len() < 400 {
                let name = format!("a name that somebody keeps: {}", holds.names.len());
                holds.names.push(name);
            }
        }
    }

    pub fn cast_spells(alloc: Res<AllocResource>, mut holds: ResMut<Holds>) {
        holds.spells.push(alloc.pool_box([0; 12]).unwrap());
        if holds.spells.len() > 200 {
            holds.spells.drain(..20);
        }
    }

    pub fn load_maps(alloc: Res<AllocResource>, mut holds: ResMut<Holds>) {
        if holds.maps.len() < 20
            && let Ok(map) = alloc.heap_box([7; 40_000])
        {
            holds.maps.push(map);
        }
    }
}

fn add_game(app: &mut App) {
    app.init_resource::<game::Holds>().add_systems(
        Update,
        (
            game::ai::find_paths,
            game::ai::think,
            game::physics::collide,
            game::ui::write_labels,
            game::ui::remember_names,
            game::cast_spells,
            game::load_maps,
        ),
    );
    let alloc = app.world().resource::<AllocResource>().clone();
    let budgets = alloc.budgets().unwrap();
    let module = module_path!();
    budgets.register_tag_budget(&format!("{module}::game::ai"), 160 << 10, 400 << 10);
    budgets.register_tag_budget(&format!("{module}::game::load_maps"), 600 << 10, 700 << 10);
    budgets.register_tag_budget(&format!("{module}::game::cast_spells"), 64 << 10, 256 << 10);
    let streaming = alloc.streaming();
    for tile in 0..6_usize {
        let priority = StreamPriority::ALL[tile % 4];
        let tag = format!("terrain::tile_{tile}");
        let id = streaming.reserve_tagged(300_000 + tile * 50_000, priority, Some(&tag));
        let id = id.unwrap();
        if tile > 0 {
            let mut writer = streaming.begin_load(id).unwrap();
            let part = if tile < 3 {
                100_000 * tile
            } else {
                300_000 + tile * 50_000
            };
            std::io::Write::write_all(&mut writer, &vec![1; part]).unwrap();
            if tile >= 3 {
                writer.finish().unwrap();
            } else {
                std::mem::forget(writer);
            }
        }
    }
}

// ---- The app -----------------------------------------------------------------------------------------------------------

fn set_up(mut commands: Commands) {
    commands.spawn((
        Camera2d,
        Camera {
            clear_color: Color::srgb(0.12, 0.2, 0.16).into(),
            ..default()
        },
        Msaa::Off,
    ));
    for i in 0..60 {
        let at = Vec3::new(
            (i % 12) as f32 * 100.0 - 550.0,
            (i / 12) as f32 * 120.0 - 250.0,
            0.0,
        );
        let sprite = Sprite::from_color(Color::hsl(i as f32 * 6.0, 0.5, 0.5), Vec2::splat(24.0));
        commands.spawn((sprite, Transform::from_translation(at)));
    }
}

fn app() -> App {
    let mut app = App::new();
    let config = AllocConfig::default()
        .with_budgets(true)
        .with_pool_tags(true);
    app.add_plugins(picture::plugins())
        .add_plugins((
            MemoryInspectorPlugin {
                settings_file: None,
                ..default()
            },
            SmartAllocPlugin::new(config),
        ))
        .add_systems(Startup, set_up);
    add_game(&mut app);
    app
}

#[test]
fn the_key_opens_the_panel_and_every_tab_shows_what_is_there() {
    let mut player = Player::start(app(), "inspector");
    player.frames(30);
    assert!(!player.shows("Overview"), "hidden, it paints nothing");

    player.press(KeyCode::F9, Key::F9);
    assert!(player.app.world().resource::<MemoryInspector>().open);
    player.frames(150);
    let footer = |player: &Player| {
        let mut texts = player.painted().iter();
        let footer = texts.find(|(text, _)| text.contains("this panel itself"));
        footer.expect("there is a footer").1.bottom()
    };
    let bottom = footer(&player);
    player.frames(30);
    assert_eq!(footer(&player), bottom, "the window grows");
    assert!(
        bottom < 700.0,
        "the window is taller than 720 lines have room for"
    );
    for theme in [egui::Theme::Dark, egui::Theme::Light] {
        player.theme(theme);
        let name = |tab: InspectorTab| {
            format!(
                "{}-{}",
                tab.title().to_lowercase(),
                match theme {
                    egui::Theme::Dark => "dark",
                    egui::Theme::Light => "light",
                }
            )
        };
        for tab in InspectorTab::ALL {
            player.click(tab.title());
            assert_eq!(player.app.world().resource::<MemoryInspector>().tab, tab);
            match tab {
                InspectorTab::Overview => {
                    player.expect(&["Frame memory", "Heap calls", "collide", "memory_panel"]);
                }
                InspectorTab::Tags => {
                    if theme == egui::Theme::Dark {
                        // The game is what uses frame memory.
                        player.click("Frame");
                    }
                    player.expect(&["(untagged)", "everything", "inspector_rendered"]);
                }
                InspectorTab::Systems => {
                    // The panel does not hide what it takes itself.
                    player.expect(&["write_labels", "memory_panel", "render_system"]);
                }
                InspectorTab::Budgets => player.expect(&["game::load_maps", "over", "700.0 KiB"]),
                InspectorTab::Arenas => player.expect(&["in use", "Reserved"]),
                InspectorTab::Pools => player.expect(&["96 bytes", "Pages"]),
                InspectorTab::Streaming => player.expect(&["terrain::tile_3", "ready", "loading"]),
                InspectorTab::Log => player.expect(&["FA302", "warning"]),
            }
            player.photograph(&name(tab));
        }
    }
    player.theme(egui::Theme::Dark);

    player.click("Systems");
    player.click("Pin frame");
    player.frames(30);
    player.expect(&["Δ Calls", "Unpin"]);
    player.photograph("systems-compared");
    player.click("Unpin");

    // Another world's arenas.
    player.click("Main world");
    player.click("RenderApp");
    player.click("Arenas");
    player.photograph("arenas-render-app");

    player.press(KeyCode::F9, Key::F9);
    assert!(!player.shows("Overview"));
    player
        .app
        .world_mut()
        .resource_mut::<MemoryInspector>()
        .corner = Some(Corner::TopRight);
    player.frames(30);
    player.expect(&["heap calls", "frame"]);
    player.photograph("corner");
}

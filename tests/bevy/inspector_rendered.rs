//! The memory inspector in a rendered app: opened by its key, clicked through, photographed.
//!
//! The pictures are in `target/inspector/` (or where `FRAMEALLOC_SHOTS` says), for people to look at. What they show is checked
//! by the texts that egui painted, not by pixels. Needs a Vulkan driver; Mesa's `lavapipe` will do.
//!
//! One test a process: a global allocator counts the process's allocations.

use std::hint::black_box;
use std::path::PathBuf;

use bevy::app::PluginsState;
use bevy::camera::RenderTarget;
use bevy::input::ButtonState;
use bevy::input::keyboard::{Key, KeyboardInput};
use bevy::prelude::*;
use bevy::render::RenderPlugin;
use bevy::render::render_resource::TextureFormat;
use bevy::render::view::screenshot::{Screenshot, ScreenshotCaptured, save_to_disk};
use bevy::time::TimeUpdateStrategy;
use bevy::window::ExitCondition;
use bevy::winit::WinitPlugin;
use bevy_egui::input::EguiInputEvent;
use bevy_egui::{EguiContext, EguiFullOutput, EguiPostUpdateSet, PrimaryEguiContext, egui};
use framealloc::bevy::{
    AllocResource, Corner, FrameAlloc, InspectorTab, MemoryInspector, MemoryInspectorPlugin,
    SmartAllocPlugin,
};
use framealloc::{AllocConfig, HeapAudit, HeapBox, PoolBox, StreamPriority};

#[global_allocator]
static HEAP: HeapAudit = HeapAudit::system();

const SIZE: UVec2 = UVec2::new(1280, 720);

/// What egui painted: each text, and where.
#[derive(Resource, Default)]
struct Painted(Vec<(String, egui::Rect)>);

#[derive(Resource)]
struct Picture(Handle<Image>);

/// Screenshots that were written.
#[derive(Resource, Default)]
struct Saved(u32);

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

// ---- The app, and a hand at its keyboard and mouse ---------------------------------------------------------------------

struct Player {
    app: App,
    context: Entity,
    shots: PathBuf,
    taken: u32,
}

fn set_up(mut commands: Commands, mut images: ResMut<Assets<Image>>) {
    let picture = Image::new_target_texture(SIZE.x, SIZE.y, TextureFormat::Rgba8UnormSrgb, None);
    let picture = images.add(picture);
    commands.insert_resource(Picture(picture.clone()));
    commands.spawn((
        Camera2d,
        Camera {
            clear_color: Color::srgb(0.12, 0.2, 0.16).into(),
            ..default()
        },
        Msaa::Off,
        IsDefaultUiCamera,
        RenderTarget::Image(picture.into()),
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

fn note_painted(outputs: Query<&EguiFullOutput>, mut painted: ResMut<Painted>) {
    fn note(shape: &egui::Shape, clip: egui::Rect, texts: &mut Vec<(String, egui::Rect)>) {
        match shape {
            egui::Shape::Text(text) => {
                let rect = text.visual_bounding_rect();
                if clip.intersects(rect) {
                    texts.push((text.galley.text().to_owned(), rect));
                }
            }
            egui::Shape::Vec(shapes) => {
                for shape in shapes {
                    note(shape, clip, texts);
                }
            }
            _ => {}
        }
    }
    for output in &outputs {
        let Some(output) = &output.0 else { continue };
        painted.0.clear();
        for clipped in &output.shapes {
            note(&clipped.shape, clipped.clip_rect, &mut painted.0);
        }
    }
}

impl Player {
    fn start(directory: &str) -> Self {
        let shots = std::env::var_os("FRAMEALLOC_SHOTS").map_or_else(
            || PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(directory),
            PathBuf::from,
        );
        std::fs::create_dir_all(&shots).unwrap();
        let mut app = App::new();
        app.add_plugins(
            DefaultPlugins
                .set(RenderPlugin {
                    synchronous_pipeline_compilation: true,
                    ..default()
                })
                .set(WindowPlugin {
                    primary_window: None,
                    exit_condition: ExitCondition::DontExit,
                    ..default()
                })
                .disable::<WinitPlugin>(),
        )
        .add_plugins((
            MemoryInspectorPlugin {
                settings_file: None,
                ..default()
            },
            SmartAllocPlugin::new(
                AllocConfig::default()
                    .with_budgets(true)
                    .with_pool_tags(true),
            ),
        ))
        .insert_resource(TimeUpdateStrategy::ManualDuration(
            std::time::Duration::from_secs_f64(1.0 / 60.0),
        ))
        .init_resource::<Painted>()
        .init_resource::<Saved>()
        .add_systems(Startup, set_up)
        .add_systems(
            PostUpdate,
            note_painted
                .after(EguiPostUpdateSet::EndPass)
                .before(EguiPostUpdateSet::ProcessOutput),
        );
        add_game(&mut app);
        while app.plugins_state() == PluginsState::Adding {
            bevy::tasks::tick_global_task_pools_on_main_thread();
        }
        app.finish();
        app.cleanup();
        for _ in 0..5 {
            app.update();
        }
        let mut contexts = app
            .world_mut()
            .query_filtered::<Entity, With<PrimaryEguiContext>>();
        let context = contexts.single(app.world()).unwrap();
        Self {
            app,
            context,
            shots,
            taken: 0,
        }
    }

    fn frames(&mut self, count: u32) {
        for _ in 0..count {
            self.app.update();
        }
    }

    fn key(&mut self, code: KeyCode) {
        for state in [ButtonState::Pressed, ButtonState::Released] {
            self.app.world_mut().write_message(KeyboardInput {
                key_code: code,
                logical_key: Key::F9,
                state,
                text: None,
                repeat: false,
                window: Entity::PLACEHOLDER,
            });
            self.frames(1);
        }
        self.frames(2);
    }

    fn event(&mut self, event: egui::Event) {
        let context = self.context;
        self.app
            .world_mut()
            .write_message(EguiInputEvent { context, event });
    }

    fn hover(&mut self, at: egui::Pos2) {
        self.event(egui::Event::PointerMoved(at));
        self.frames(2);
    }

    fn click(&mut self, text: &str) {
        let at = self.place(text).center();
        self.hover(at);
        for pressed in [true, false] {
            self.event(egui::Event::PointerButton {
                pos: at,
                button: egui::PointerButton::Primary,
                pressed,
                modifiers: egui::Modifiers::NONE,
            });
            self.frames(1);
        }
        self.event(egui::Event::PointerMoved(egui::pos2(2.0, 2.0)));
        self.frames(15);
    }

    fn texts(&self) -> &[(String, egui::Rect)] {
        &self.app.world().resource::<Painted>().0
    }

    fn place(&self, text: &str) -> egui::Rect {
        let found = self.texts().iter().find(|(painted, _)| painted == text);
        found
            .unwrap_or_else(|| panic!("{text:?} is not on the screen: {:#?}", self.texts()))
            .1
    }

    fn shows(&self, part: &str) -> bool {
        self.texts().iter().any(|(text, _)| text.contains(part))
    }

    #[track_caller]
    fn expect(&self, parts: &[&str]) {
        for part in parts {
            assert!(
                self.shows(part),
                "{part:?} is not on the screen: {:#?}",
                self.texts()
            );
        }
    }

    fn theme(&mut self, theme: egui::Theme) {
        let mut context = self
            .app
            .world_mut()
            .get_mut::<EguiContext>(self.context)
            .unwrap();
        context.get_mut().set_theme(theme);
        self.frames(2);
    }

    fn photograph(&mut self, name: &str) {
        let picture = self.app.world().resource::<Picture>().0.clone();
        let path = self.shots.join(format!("{name}.png"));
        self.app
            .world_mut()
            .spawn(Screenshot::image(picture))
            .observe(save_to_disk(path.clone()))
            .observe(|_: On<ScreenshotCaptured>, mut saved: ResMut<Saved>| saved.0 += 1);
        self.taken += 1;
        for _ in 0..200 {
            self.app.update();
            if self.app.world().resource::<Saved>().0 == self.taken {
                break;
            }
        }
        assert!(
            path.metadata().unwrap().len() > 1000,
            "{} is no picture",
            path.display()
        );
    }
}

#[test]
fn the_key_opens_the_panel_and_every_tab_shows_what_is_there() {
    let mut player = Player::start("inspector");
    player.frames(30);
    assert!(!player.shows("Overview"), "hidden, it paints nothing");

    player.key(KeyCode::F9);
    assert!(player.app.world().resource::<MemoryInspector>().open);
    player.frames(150);
    let footer = |player: &Player| {
        let mut texts = player.texts().iter();
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
                    player.expect(&["(untagged)", "everything", "inspector_rendered"])
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

    player.key(KeyCode::F9);
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

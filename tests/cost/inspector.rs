//! What the memory inspector costs: hidden, in an app of 1,000 systems and 100,000 entities; open, with 1,000 tags.
//!
//! ```sh
//! cargo run --release -p framealloc-tests --features framealloc-tests/render,framealloc-tests/inspector --example inspector_cost
//! ```
//!
//! Apps take turns, so that what else the machine does hits all of them: one without the suite, one with tags and frames alone,
//! one with egui alone (which the panel needs, and a game may have anyway), and one with all plugins, the panel hidden. What
//! counts is the median of the ratios. Then the panel is painted alone, tab by tab, at 60 frames a second by egui's clock, and
//! its CPU time is told.

use std::hint::black_box;
use std::time::{Duration, Instant};

use bevy::prelude::*;
use bevy_egui::{EguiPlugin, EguiPrimaryContextPass, egui};
use cpu_time::ThreadTime;
use framealloc::bevy::{
    AllocResource, FrameAllocPlugins, InspectorTab, MemoryInspector, MemoryInspectorPlugin,
    SmartAllocPlugin, ui_for_memory,
};
use framealloc::tags::{TagId, TagScope};
use framealloc::{HeapAudit, HeapBox};

#[path = "../bevy/unrendered.rs"]
mod unrendered;

#[global_allocator]
static HEAP: HeapAudit = HeapAudit::system();

const SYSTEMS: usize = 1_000;
const ENTITIES: usize = 100_000;
const ROUNDS: usize = 60;
const FRAMES: u32 = 10;
const TAGS: usize = 1_000;

#[derive(Component)]
struct Body {
    place: Vec2,
    speed: Vec2,
}

/// Ten kinds of entities: each system works on one of them.
#[derive(Component)]
struct Kind<const N: usize>;

fn work<const N: usize>(mut bodies: Query<&mut Body, With<Kind<N>>>) {
    // A hundredth of them, so that the thousand systems together look at each entity once.
    for mut body in bodies.iter_mut().take(ENTITIES / SYSTEMS) {
        let speed = body.speed;
        body.place += speed * 0.016;
    }
}

#[derive(Clone, Copy)]
enum Suite {
    None,
    SmartAllocAlone,
    EguiAlone,
    Hidden,
}

fn app(suite: Suite) -> App {
    let mut app = App::new();
    app.add_plugins(unrendered::plugins());
    match suite {
        Suite::None => {}
        Suite::SmartAllocAlone => {
            app.add_plugins(SmartAllocPlugin);
        }
        Suite::EguiAlone => {
            app.add_plugins(EguiPlugin::default())
                .init_schedule(EguiPrimaryContextPass);
        }
        Suite::Hidden => {
            app.add_plugins(FrameAllocPlugins.set(MemoryInspectorPlugin {
                settings_file: None,
                ..default()
            }));
        }
    }
    unrendered::take_textures(&mut app);
    app.add_systems(Startup, |mut commands: Commands| {
        commands.spawn(Camera2d);
    });
    macro_rules! kinds {
        ($($kind:literal)*) => {$(
            for _ in 0..SYSTEMS / 10 {
                app.add_systems(Update, work::<$kind>);
            }
            app.world_mut().spawn_batch((0..ENTITIES / 10).map(|index| {
                let speed = Vec2::new(index as f32, 1.0);
                (Body { place: Vec2::ZERO, speed }, Kind::<$kind>)
            }));
        )*};
    }
    kinds!(0 1 2 3 4 5 6 7 8 9);
    unrendered::finish(&mut app);
    for _ in 0..10 {
        app.update();
    }
    app
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

fn hidden() {
    let suites = [
        Suite::None,
        Suite::SmartAllocAlone,
        Suite::EguiAlone,
        Suite::Hidden,
    ];
    let mut apps = suites.map(app);
    let mut rounds = Vec::new();
    for round in 0..ROUNDS {
        let mut times = suites.map(|_| 0.0);
        // Each begins as often as the others.
        for turn in 0..suites.len() {
            let which = (round + turn) % suites.len();
            let started = Instant::now();
            for _ in 0..FRAMES {
                apps[which].update();
            }
            times[which] = started.elapsed().as_secs_f64() * 1e3 / f64::from(FRAMES);
        }
        rounds.push(times);
    }
    let frame = median(rounds.iter().map(|times| times[0]).collect());
    println!("{SYSTEMS} systems, {ENTITIES} entities: {frame:.2} ms a frame without the suite");
    let percent = |suite: Suite, beside: Suite| {
        let ratios = rounds
            .iter()
            .map(|times| times[suite as usize] / times[beside as usize]);
        (median(ratios.collect()) - 1.0) * 100.0
    };
    for (what, suite, beside) in [
        ("tags and frames alone", Suite::SmartAllocAlone, Suite::None),
        ("egui alone", Suite::EguiAlone, Suite::None),
        ("suite, panel hidden", Suite::Hidden, Suite::None),
        ("the same, beside egui", Suite::Hidden, Suite::EguiAlone),
    ] {
        println!("  {what:<24} {:+.2} %", percent(suite, beside));
    }
}

fn open() {
    let mut app = App::new();
    app.add_plugins((MinimalPlugins, SmartAllocPlugin));
    app.update();
    let alloc = app.world().resource::<AllocResource>().clone();
    let tags: Vec<TagId> = (0..TAGS)
        .map(|index| {
            let (plugin, module) = (index / 100, index / 10 % 10);
            TagId::from_path(&format!("game_{plugin}::module_{module}::system_{index}"))
        })
        .collect();
    let mut held: Vec<HeapBox<[u8; 256]>> = Vec::new();
    let mut spend = |round: usize| {
        for (index, &tag) in tags.iter().enumerate() {
            let _scope = TagScope::enter(tag);
            black_box(
                alloc
                    .frame()
                    .alloc_slice_fill(10 + (index + round) % 90, 1_u64),
            );
            if round == 0 {
                held.push(alloc.heap_box([0; 256]).unwrap());
            }
            black_box(vec![0_u8; 16]);
        }
    };
    let context = egui::Context::default();
    let mut time = 0.0;
    println!("panel open, {TAGS} tags, all expanded, at 5 looks a second of 60 frames each:");
    println!(
        "  {:<10} {:>9} {:>9} {:>9} {:>9} {:>17}",
        "tab", "mean ms", "median", "p99", "most", "with tessellation"
    );
    app.insert_resource(MemoryInspector::opened());
    for tab in InspectorTab::ALL {
        app.world_mut().resource_mut::<MemoryInspector>().tab = tab;
        // All rows unfolded: a search unfolds.
        app.world_mut().resource_mut::<MemoryInspector>().search = match tab {
            InspectorTab::Tags => "game_".to_owned(),
            _ => String::new(),
        };
        let (mut spent, mut whole) = (Vec::new(), Duration::ZERO);
        for round in 0..300 {
            app.update();
            spend(round);
            time += 1.0 / 60.0;
            let input = egui::RawInput {
                screen_rect: Some(egui::Rect::from_min_size(
                    egui::Pos2::ZERO,
                    egui::vec2(960.0, 640.0),
                )),
                time: Some(time),
                ..default()
            };
            let mut painted = Duration::ZERO;
            let started = ThreadTime::now();
            let mut output = context.run_ui(input, |ui| {
                let started = ThreadTime::now();
                ui_for_memory(app.world_mut(), ui);
                painted += started.elapsed();
            });
            // Nobody draws: egui insists on being told.
            output.textures_delta.clear();
            black_box(context.tessellate(output.shapes, 1.0));
            if round >= 60 {
                spent.push(painted.as_secs_f64() * 1e3);
                whole += started.elapsed();
            }
        }
        let mean = spent.iter().sum::<f64>() / spent.len() as f64;
        let whole = whole.as_secs_f64() * 1e3 / spent.len() as f64;
        spent.sort_by(f64::total_cmp);
        let at = |part: f64| spent[(spent.len() as f64 * part) as usize];
        println!(
            "  {:<10} {mean:>9.3} {:>9.3} {:>9.3} {:>9.3} {whole:>17.3}",
            tab.title(),
            at(0.5),
            at(0.99),
            spent[spent.len() - 1]
        );
    }
}

fn main() {
    let only = std::env::args().nth(1);
    if only.as_deref() != Some("open") {
        hidden();
    }
    if only.as_deref() != Some("hidden") {
        open();
    }
}

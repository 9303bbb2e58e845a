//! What the memory inspector costs: hidden, in an app of 1,000 systems and 100,000 entities; open, with 1,000 tags.
//!
//! ```sh
//! cargo run --release -p framealloc-tests --features framealloc-tests/render,framealloc-tests/inspector --example inspector_cost
//! ```
//!
//! Apps take turns, so that what else the machine does hits all of them, each in a process of its own, as a game is, and each
//! after each other one equally often: one without the suite; the same again, which tells what two equal apps differ by; one with
//! tags and frames alone; one with egui alone (which the panel needs, and a game may have anyway); and one with all plugins, the
//! panel hidden. A turn's figure is its median frame, what counts is the median of the ratios. Then the panel is painted alone,
//! tab by tab, at 60 frames a second by egui's clock, and its CPU time is told.
//!
//! Times of whole frames differ by a percent from run to run. Instructions do not: `turn SUITE FRAMES` is one app alone, for
//! callgrind. What 200 frames more execute, without the suite (0) and with it (4), is what it costs:
//!
//! ```sh
//! for turn in "0 20" "0 220" "4 20" "4 220"; do valgrind --tool=callgrind target/release/examples/inspector_cost turn $turn; done
//! ```

use std::hint::black_box;
use std::process::Command;
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
const ROUNDS: usize = 20;
const FRAMES: u32 = 250;
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
    Same,
    SmartAllocAlone,
    EguiAlone,
    Hidden,
}

impl Suite {
    const ALL: [Self; 5] = [
        Self::None,
        Self::Same,
        Self::SmartAllocAlone,
        Self::EguiAlone,
        Self::Hidden,
    ];
}

fn app(suite: Suite) -> App {
    let mut app = App::new();
    app.add_plugins(unrendered::plugins());
    match suite {
        Suite::None | Suite::Same => {}
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

/// One turn of an app: the median of its frames, in milliseconds.
fn frame(suite: Suite, frames: u32) -> f64 {
    let mut app = app(suite);
    let frames = (0..frames).map(|_| {
        let started = Instant::now();
        app.update();
        started.elapsed().as_secs_f64() * 1e3
    });
    median(frames.collect())
}

fn frame_in_a_process(suite: Suite) -> f64 {
    let mut turn = Command::new(std::env::current_exe().expect("this program has a path"));
    turn.arg("turn").arg((suite as usize).to_string());
    let output = turn.output().expect("this program can be started");
    let figure = String::from_utf8_lossy(&output.stdout);
    figure
        .trim()
        .parse()
        .unwrap_or_else(|_| panic!("a turn failed: {}", String::from_utf8_lossy(&output.stderr)))
}

fn hidden() {
    let suites = Suite::ALL.len();
    let rounds: Vec<[f64; Suite::ALL.len()]> = (0..ROUNDS)
        .map(|round| {
            // A prime number of suites: at every step, each has its turn.
            let step = 1 + round % (suites - 1);
            let mut times = [0.0; Suite::ALL.len()];
            for turn in 0..suites {
                let suite = Suite::ALL[(round + turn * step) % suites];
                times[suite as usize] = frame_in_a_process(suite);
            }
            times
        })
        .collect();
    let frame = median(rounds.iter().map(|times| times[0]).collect());
    println!("{SYSTEMS} systems, {ENTITIES} entities: {frame:.2} ms a frame without the suite");
    for (what, suite, beside) in [
        ("the same app, again", Suite::Same, Suite::None),
        ("tags and frames alone", Suite::SmartAllocAlone, Suite::None),
        ("egui alone", Suite::EguiAlone, Suite::None),
        ("suite, panel hidden", Suite::Hidden, Suite::None),
        ("the same, beside egui", Suite::Hidden, Suite::EguiAlone),
    ] {
        let mut percents: Vec<f64> = rounds
            .iter()
            .map(|times| (times[suite as usize] / times[beside as usize] - 1.0) * 100.0)
            .collect();
        percents.sort_by(f64::total_cmp);
        let [low, middle, high] = [1, 2, 3].map(|quarter| percents[ROUNDS * quarter / 4]);
        println!("  {what:<22} {middle:+.2} %   (half of the rounds: {low:+.2} to {high:+.2})");
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
    let mut arguments = std::env::args().skip(1);
    let only = arguments.next();
    if only.as_deref() == Some("turn") {
        let suite = arguments.next().expect("a suite's number");
        let suite: usize = suite.parse().expect("a suite's number");
        let frames = arguments
            .next()
            .map_or(FRAMES, |frames| frames.parse().expect("a number of frames"));
        println!("{}", frame(Suite::ALL[suite], frames));
        return;
    }
    if only.as_deref() != Some("open") {
        hidden();
    }
    if only.as_deref() != Some("hidden") {
        open();
    }
}

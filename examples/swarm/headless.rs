//! The game in the terminal: a warm-up, calm frames, a frenzy, and frames to come down again, each measured.

use std::io::{IsTerminal, Write, stdout};
use std::time::Duration;

use bevy::app::TaskPoolThreadAssignmentPolicy;
use bevy::prelude::*;
use cpu_time::ProcessTime;
use framealloc::bevy::AllocResource;
use framealloc::tags::TagTotals;
use framealloc::{ArenaStats, Bytes};

use crate::agents::{Position, Velocity};
use crate::args::{Args, Mem};
use crate::collide::Tally;
use crate::frenzy::{self, Frenzy};
use crate::measure::{Phase, arena_bytes, aside, held};

/// Bevy's own buffers, and the arenas, have found their sizes by then.
const WARM_UP: u32 = 200;
/// An arena that had a peak gives memory back after four calm stretches of 64 frames.
const COOL_DOWN: u32 = 450;
/// Points of the line that shows what is held.
const POINTS: u32 = 72;

/// What one run showed.
pub struct Run {
    pub mem: Mem,
    pub agents: u32,
    pub warm_up: Phase,
    pub calm: Phase,
    pub frenzy: Phase,
    pub cool_down: Phase,
    pub tally: Tally,
    pub calm_contacts: usize,
    /// Of every agent's place and velocity at the end.
    pub checksum: u64,
    /// What was held as the run went on.
    pub line: Vec<u64>,
}

impl Run {
    /// The frames after the warm-up, those in which arenas grow and shrink included.
    pub fn steady(&self) -> [&Phase; 3] {
        [&self.calm, &self.frenzy, &self.cool_down]
    }

    pub fn arenas(&self) -> &[ArenaStats] {
        &self.cool_down.arenas
    }
}

pub fn run(args: &Args, mem: Mem) -> Run {
    let frenzy_frames = frenzy::LENGTH.min(args.frames / 4);
    let calm_frames = args.frames - frenzy_frames;
    let total = WARM_UP + args.frames + COOL_DOWN;
    println!(
        "{}: {} agents, {} frames ({WARM_UP} to warm up, {calm_frames} calm, {frenzy_frames} of frenzy, {COOL_DOWN} to cool down)",
        mem.title(),
        args.agents,
        total,
    );
    let mut game = Game::new(args, mem, total);
    let warm_up = game.play("warm-up", WARM_UP);
    let calm = game.play("calm", calm_frames);
    let calm_contacts = game.app.world().resource::<Tally>().contacts;
    game.app.world_mut().resource_mut::<Frenzy>().begin();
    let frenzy = game.play("frenzy", frenzy_frames);
    let cool_down = game.play("cool-down", COOL_DOWN);
    game.clear_progress();
    Run {
        mem,
        agents: args.agents,
        warm_up,
        calm,
        frenzy,
        cool_down,
        tally: *game.app.world().resource::<Tally>(),
        calm_contacts,
        checksum: checksum(game.app.world_mut()),
        line: game.line,
    }
}

struct Game {
    app: App,
    mem: Mem,
    played: u32,
    total: u32,
    line: Vec<u64>,
}

impl Game {
    fn new(args: &Args, mem: Mem, total: u32) -> Self {
        let mut app = App::new();
        let mut pools = TaskPoolPlugin::default();
        if let Some(threads) = args.threads {
            pools.task_pool_options.compute = TaskPoolThreadAssignmentPolicy {
                min_threads: threads,
                max_threads: threads,
                ..pools.task_pool_options.compute
            };
        }
        app.add_plugins((
            MinimalPlugins.set(pools),
            TransformPlugin,
            AssetPlugin::default(),
        ));
        crate::add_game(&mut app, args, mem);
        app.finish();
        app.cleanup();
        Self {
            app,
            mem,
            played: 0,
            total,
            line: Vec::with_capacity(POINTS as usize + 1),
        }
    }

    fn play(&mut self, name: &'static str, frames: u32) -> Phase {
        let before = self.totals();
        let mut times = {
            let _aside = aside();
            Vec::with_capacity(frames as usize)
        };
        let (mut most_held, mut most_arena_bytes) = (0, 0);
        for _ in 0..frames {
            let start = ProcessTime::now();
            self.app.update();
            times.push(start.elapsed());
            self.played += 1;
            most_arena_bytes = most_arena_bytes.max(self.arena_bytes());
            if self.played.is_multiple_of(self.total.div_ceil(POINTS)) {
                let held = self.held();
                most_held = most_held.max(held);
                self.line.push(held);
                self.show_progress(name, held);
            }
        }
        let usage = self.totals().since(&before);
        let held = self.held();
        let _aside = aside();
        Phase {
            name,
            frames,
            time_per_frame: median(times),
            usage,
            arenas: self.app.world().resource::<AllocResource>().arenas(),
            held,
            most_held: most_held.max(held),
            most_arena_bytes,
        }
    }

    fn totals(&self) -> TagTotals {
        let _aside = aside();
        TagTotals::capture()
    }

    fn arena_bytes(&self) -> usize {
        let _aside = aside();
        arena_bytes(&self.app.world().resource::<AllocResource>().arenas())
    }

    fn held(&self) -> u64 {
        held(self.app.world().resource::<AllocResource>(), self.mem)
    }

    /// One line that is written over; in a log, one line for every tenth of the run.
    fn show_progress(&self, phase: &str, held: u64) {
        let _aside = aside();
        let contacts = self.app.world().resource::<Tally>().contacts;
        let line = format!(
            "  frame {:>6}/{}  {phase:<9}  {contacts:>8} contacts  {:>9} held",
            self.played,
            self.total,
            Bytes(held).to_string(),
        );
        if stdout().is_terminal() {
            print!("\r{line}\x1b[K");
            // Progress that cannot be shown is no reason to stop.
            let _ = stdout().flush();
        } else if self.line.len().is_multiple_of(POINTS as usize / 10) {
            println!("{line}");
        }
    }

    fn clear_progress(&self) {
        if stdout().is_terminal() {
            print!("\r\x1b[K");
        }
    }
}

fn median(mut times: Vec<Duration>) -> Duration {
    let middle = times.len() / 2;
    *times.select_nth_unstable(middle).1
}

/// FNV-1a over the bits of every agent, in the order of the world.
fn checksum(world: &mut World) -> u64 {
    let mut agents = world.query::<(&Position, &Velocity)>();
    agents
        .iter(world)
        .flat_map(|(position, velocity)| [position.0.x, position.0.y, velocity.0.x, velocity.0.y])
        .flat_map(|number| number.to_bits().to_le_bytes())
        .fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        })
}

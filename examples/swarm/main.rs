//! swarm: tens of thousands of agents that flock, flee, hunt and collide, with every buffer in frame memory.
//!
//! ```sh
//! cargo run --release --example swarm                  # a window; space for a frenzy
//! cargo run --release --example swarm -- --fly         # the camera flies over the field, and the ground streams in
//! cargo run --release --example swarm -- --inspect     # with the memory panel open (F9)
//! cargo run --release --example swarm -- --exit-after 600 --screenshot swarm.png
//! cargo run --release --example swarm -- --headless    # the same in the terminal, with tables of who used what
//! cargo run --release --example swarm -- --compare     # frame memory, Vec and Local<Vec> side by side
//! ```
//!
//! | file | what it shows |
//! |---|---|
//! | `flock.rs` | grids and 30,000 short lists in a parallel loop: `FrameAlloc` and `FrameAlloc::shared` |
//! | `hunt.rs` | a search over the field: vectors in frame memory as arguments |
//! | `collide.rs` | a list whose length nobody knows beforehand, and its peak |
//! | `sparks.rs` | a list that is mostly empty |
//! | `grid.rs`, `memory.rs` | buffers that are generic over where they live |
//! | `frenzy.rs` | the peak itself |
//! | `agents.rs`, `field.rs`, `pose.rs` | the rest of the game, which needs no memory |
//! | `display.rs`, `window.rs`, `looks.rs`, `hud.rs`, `ending.rs` | the window |
//! | `tools.rs` | the plugins: budgets from a file that is watched, the memory panel |
//! | `terrain.rs` | the ground, streamed as the camera moves, in two megabytes |
//! | `mistakes.rs` | a leak and a budget that is too small, on purpose |
//! | `headless.rs`, `measure.rs`, `verify.rs`, `report.rs` | what it costs: tags, arenas, the heap audit |

mod agents;
mod args;
mod collide;
mod display;
mod ending;
mod field;
mod flock;
mod frenzy;
mod grid;
mod headless;
mod hud;
mod hunt;
mod looks;
mod measure;
mod memory;
mod mistakes;
mod pose;
mod report;
mod sparks;
mod terrain;
mod tools;
mod verify;
mod window;

/// Opens the panel and looks at every tab.
#[cfg(test)]
#[path = "../../tests/bevy/swarm_rendered.rs"]
mod played;

use std::process::ExitCode;

use bevy::prelude::*;
use clap::Parser;
use framealloc::HeapAudit;

use crate::args::{Args, Mem};

/// Counts who still allocates on the heap: the game, or Bevy.
#[global_allocator]
static HEAP: HeapAudit = HeapAudit::system();

/// What happens in a frame, in this order.
#[derive(SystemSet, Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Step {
    Steer,
    Move,
    Collide,
    Show,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let modes: &[Mem] = if args.compare || args.check {
        &Mem::ALL
    } else if args.headless {
        &[args.mem]
    } else {
        match display::obstacle() {
            None => return window::run(&args),
            Some(obstacle) if args.exit_after.is_some() => {
                eprintln!("No window: {obstacle}.");
                return ExitCode::FAILURE;
            }
            Some(obstacle) => {
                println!("No window: {obstacle}. Simulating in the terminal instead.");
                &[args.mem]
            }
        }
    };
    let runs: Vec<_> = modes.iter().map(|&mem| headless::run(&args, mem)).collect();
    report::print(&runs);
    verify::verify(&runs)
}

/// The game, without anything to look at. In a window and in the terminal it is the same.
fn add_game(app: &mut App, args: &Args, mem: Mem) {
    tools::add(app, args);
    app.configure_sets(
        Update,
        (Step::Steer, Step::Move, Step::Collide, Step::Show).chain(),
    );
    agents::add(app, args.agents);
    frenzy::add(app);
    flock::add(app, mem);
    hunt::add(app, mem);
    collide::add(app, mem);
    sparks::add(app, mem);
    pose::add(app);
    mistakes::add(app, args);
}

//! The command line.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};

/// A flock, its hunters, and where their memory comes from.
///
/// Opens a window; with --headless, or where there is no display or no graphics adapter, simulates in the terminal
/// and prints what every system's memory cost.
#[derive(Parser, Debug, Clone)]
#[command(name = "swarm")]
pub struct Args {
    /// Agents, hunters included.
    #[arg(long, default_value_t = 30_000, value_parser = clap::value_parser!(u32).range(100..=1_000_000))]
    pub agents: u32,

    /// Where the systems keep their buffers.
    #[arg(long, value_enum, default_value_t = Mem::Frame)]
    pub mem: Mem,

    /// Simulate in the terminal.
    #[arg(long)]
    pub headless: bool,

    /// Frames to measure, after a warm-up and before a cool-down.
    #[arg(long, default_value_t = 600, value_parser = clap::value_parser!(u32).range(40..))]
    pub frames: u32,

    /// Simulate in the terminal with all three kinds of memory, and compare them.
    #[arg(long)]
    pub compare: bool,

    /// As --compare, and end with an error unless frame memory did what it promises.
    #[arg(long)]
    pub check: bool,

    /// Fly over the field, near the ground, instead of looking at all of it.
    #[arg(long)]
    pub fly: bool,

    /// Open the memory panel at the start; F9 closes and opens it.
    #[arg(long)]
    pub inspect: bool,

    /// End after so many frames in the window, and tell what drew it. An error where there can be no window.
    #[arg(long, value_name = "FRAMES", conflicts_with_all = ["headless", "compare", "check"])]
    pub exit_after: Option<u32>,

    /// Save a picture of the window at the end.
    #[arg(long, value_name = "FILE", requires = "exit_after")]
    pub screenshot: Option<PathBuf>,

    /// Keep what should be forgotten, to see how a leak shows.
    #[arg(long)]
    pub leaky: bool,

    /// Ask for more than the budget now and then, to see who says so.
    #[arg(long)]
    pub over_budget: bool,

    /// Threads that run systems in parallel. Bevy's choice by default.
    #[arg(long)]
    pub threads: Option<usize>,
}

/// Where the systems keep their buffers.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mem {
    /// In frame memory.
    Frame,
    /// In vectors that are made anew each frame.
    Vec,
    /// In vectors that are kept from frame to frame.
    Local,
}

impl Mem {
    pub const ALL: [Self; 3] = [Self::Frame, Self::Vec, Self::Local];

    /// The name of each system's function for this kind of memory, which is the last part of its tag.
    pub fn system_name(self) -> &'static str {
        match self {
            Self::Frame => "in_frame_memory",
            Self::Vec => "in_new_vecs",
            Self::Local => "in_kept_vecs",
        }
    }

    pub fn title(self) -> &'static str {
        match self {
            Self::Frame => "frame memory",
            Self::Vec => "Vec, new each frame",
            Self::Local => "Local<Vec>, kept",
        }
    }
}

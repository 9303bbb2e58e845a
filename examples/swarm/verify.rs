//! What a run must hold, checked: no heap calls from the game's own systems, arenas that keep their size, and the same
//! game whatever its memory.

use std::process::ExitCode;

use framealloc::Bytes;

use crate::args::Mem;
use crate::headless::Run;
use crate::measure::{Owner, Phase};
use crate::mistakes;

/// Prints what holds and what does not.
pub fn verify(runs: &[Run]) -> ExitCode {
    let mut complaints = Vec::new();
    for run in runs.iter().filter(|run| run.mem == Mem::Frame) {
        no_heap_calls(run, &mut complaints);
        arenas_keep_their_size(run, &mut complaints);
    }
    same_game(runs, &mut complaints);
    for complaint in &complaints {
        eprintln!("FAILED: {complaint}");
    }
    if complaints.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn no_heap_calls(run: &Run, complaints: &mut Vec<String>) {
    let before = complaints.len();
    for phase in run.steady() {
        let calls = phase.rows(Owner::Game).filter(|row| row.audit.allocs > 0);
        for row in calls.filter(|row| !mistakes::is_one(row.tag)) {
            complaints.push(format!(
                "{} called the heap {} times for {} in {} frames ({})",
                row.tag,
                row.audit.allocs,
                Bytes(row.audit.bytes),
                phase.frames,
                phase.name,
            ));
        }
    }
    if complaints.len() == before {
        let frames: u32 = run.steady().iter().map(|phase| phase.frames).sum();
        println!(
            "holds: the game's own systems made no heap allocation in {frames} frames after the warm-up"
        );
    }
}

/// The thread that runs a system is not always the same, so with several of them arenas may be a little smaller or larger
/// at any one moment. What counts is that they do not grow beyond what they needed before.
fn arenas_keep_their_size(run: &Run, complaints: &mut Vec<String>) {
    let size = |bytes: usize| Bytes(bytes as u64);
    let [warm, calm, cool] = [&run.warm_up, &run.calm, &run.cool_down].map(Phase::arena_bytes);
    let peak = run
        .frenzy
        .most_arena_bytes
        .max(run.cool_down.most_arena_bytes);
    let outcome = format!(
        "arenas were {} after the warm-up, {} after {} calm frames, {} at the peak, and {} after it",
        size(warm),
        size(calm),
        run.calm.frames,
        size(peak),
        size(cool),
    );
    let before = run.warm_up.most_arena_bytes;
    if calm <= before && cool <= before {
        println!("holds: {outcome}");
    } else {
        complaints.push(format!(
            "{outcome}; they grew beyond {}, the most in the warm-up",
            size(before)
        ));
    }
}

fn same_game(runs: &[Run], complaints: &mut Vec<String>) {
    let Some((first, others)) = runs.split_first() else {
        return;
    };
    for other in others
        .iter()
        .filter(|other| other.checksum != first.checksum)
    {
        complaints.push(format!(
            "the game in {} ended as {:016x}, in {} as {:016x}",
            first.mem.title(),
            first.checksum,
            other.mem.title(),
            other.checksum,
        ));
    }
    if !others.is_empty() && others.iter().all(|other| other.checksum == first.checksum) {
        println!(
            "holds: all {} games ended the same, {:016x}",
            runs.len(),
            first.checksum
        );
    }
}

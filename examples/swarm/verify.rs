//! What a run must hold, checked: no heap calls from the game's own systems, arenas that keep their size, and the same
//! game whatever its memory.

use std::process::ExitCode;

use framealloc::Bytes;

use crate::args::Mem;
use crate::headless::Run;
use crate::measure::Owner;

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
    for phase in run.measured() {
        for row in phase.rows(Owner::Game).filter(|row| row.audit.allocs > 0) {
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
        let frames: u32 = run.measured().iter().map(|phase| phase.frames).sum();
        println!(
            "holds: the game's own systems made no heap allocation in {frames} frames after the warm-up"
        );
    }
}

fn arenas_keep_their_size(run: &Run, complaints: &mut Vec<String>) {
    let warm = run.warm_up.arena_bytes();
    let calm = run.calm.arena_bytes();
    let cool = run.cool_down.arena_bytes();
    if calm == warm && cool == warm {
        println!(
            "holds: arenas were {} after the warm-up, {} calm frames later, and after a peak of {}",
            Bytes(warm as u64),
            run.calm.frames,
            Bytes(run.frenzy.most_held.max(run.cool_down.most_held)),
        );
    } else {
        complaints.push(format!(
            "arenas were {} after the warm-up, {} after {} calm frames, {} after a frenzy and its cool-down",
            Bytes(warm as u64),
            Bytes(calm as u64),
            run.calm.frames,
            Bytes(cool as u64),
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

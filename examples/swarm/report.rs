//! The tables that a headless run ends with.

use comfy_table::{CellAlignment, ContentArrangement, LineStyle, Table, presets};
use framealloc::Bytes;
use framealloc::tags::{TagUsage, TrafficTotals};

use crate::headless::Run;
use crate::measure::{Owner, Phase};

/// Bevy's systems that are listed one by one.
const LISTED: usize = 6;

pub fn print(runs: &[Run]) {
    if let Some(run) = runs.first() {
        print_run(run);
    }
    if runs.len() > 1 {
        print_comparison(runs);
    }
}

fn print_run(run: &Run) {
    println!(
        "\n{}, {} agents: memory by system, per calm frame ({:.2} ms of CPU)",
        run.mem.title(),
        run.agents,
        run.calm.time_per_frame.as_secs_f64() * 1e3
    );
    println!("{}", systems(&run.calm));
    println!("\nArenas by thread, at the end");
    println!("{}", arenas(run));
    println!(
        "\ncontacts: {} calm, {} at the peak; caught: {}; checksum {:016x}",
        run.calm_contacts, run.tally.most_contacts, run.tally.caught, run.checksum
    );
}

fn table(headings: &[&str]) -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::UTF8_HORIZONTAL_ONLY.row_separator(LineStyle::none()))
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header(headings);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

fn systems(phase: &Phase) -> Table {
    let mut table = table(&["system", "frame memory", "heap calls", "heap bytes"]);
    let mut add = |name: &str, frame_bytes: u64, heap: TrafficTotals| {
        table.add_row([
            name.to_owned(),
            per_frame_bytes(frame_bytes, phase),
            per_frame(heap.allocs, phase),
            per_frame_bytes(heap.bytes, phase),
        ]);
    };
    let sorted = |owner| {
        let mut rows: Vec<&TagUsage> = phase.rows(owner).collect();
        rows.sort_by_key(|row| {
            (
                std::cmp::Reverse(row.frame_bytes + row.audit.bytes),
                row.tag,
            )
        });
        rows
    };
    for row in sorted(Owner::Game) {
        add(row.tag.path(), row.frame_bytes, row.audit);
    }
    for row in sorted(Owner::ParallelLoop) {
        let name = format!("  Bevy's tasks for {}", row.tag.path());
        add(&name, row.frame_bytes, row.audit);
    }
    let bevy = sorted(Owner::Bevy);
    let (listed, others) = bevy.split_at(bevy.len().min(LISTED));
    for row in listed {
        add(row.tag.path(), row.frame_bytes, row.audit);
    }
    if !others.is_empty() {
        let (frame_bytes, heap) = total(others.iter().copied());
        add(
            &format!("{} other systems of Bevy", others.len()),
            frame_bytes,
            heap,
        );
    }
    let (frame_bytes, heap) = total(phase.rows(Owner::Untagged));
    add("(no system: the executor, idle workers)", frame_bytes, heap);
    table
}

fn total<'r>(rows: impl Iterator<Item = &'r TagUsage>) -> (u64, TrafficTotals) {
    rows.fold(
        (0, TrafficTotals::default()),
        |(frame_bytes, mut heap), row| {
            heap.allocs += row.audit.allocs;
            heap.bytes += row.audit.bytes;
            heap.frees += row.audit.frees;
            heap.freed_bytes += row.audit.freed_bytes;
            (frame_bytes + row.frame_bytes, heap)
        },
    )
}

fn arenas(run: &Run) -> Table {
    let mut table = table(&["thread", "capacity", "last frame", "peak frame", "in all"]);
    for arena in run.arenas() {
        table.add_row([
            arena.thread.clone(),
            Bytes(arena.capacity as u64).to_string(),
            Bytes(arena.frame_bytes as u64).to_string(),
            Bytes(arena.peak_frame_bytes as u64).to_string(),
            Bytes(arena.total_bytes).to_string(),
        ]);
    }
    table
}

fn print_comparison(runs: &[Run]) {
    println!("\nThe game's own systems, by where their buffers are");
    let mut table = table(&[
        "buffers in",
        "heap calls/frame",
        "heap bytes/frame",
        "frame memory/frame",
        "held, calm",
        "at the peak",
        "after it",
        "CPU time",
    ]);
    let first = runs[0].calm.time_per_frame.as_secs_f64();
    for run in runs {
        let (frame_bytes, heap) = total(run.calm.rows(Owner::Game));
        table.add_row([
            run.mem.title().to_owned(),
            per_frame(heap.allocs, &run.calm),
            per_frame_bytes(heap.bytes, &run.calm),
            per_frame_bytes(frame_bytes, &run.calm),
            Bytes(run.calm.held).to_string(),
            Bytes(run.frenzy.most_held.max(run.cool_down.most_held)).to_string(),
            Bytes(run.cool_down.held).to_string(),
            format!("{:.2}x", run.calm.time_per_frame.as_secs_f64() / first),
        ]);
    }
    println!("{table}");
    if cfg!(debug_assertions) {
        println!(
            "This build is not optimised, and overwrites what is freed: its times say nothing."
        );
    }
    println!("\nHeld between frames, from the first to the last (each line to the same scale)");
    let most = runs
        .iter()
        .flat_map(|run| &run.line)
        .copied()
        .max()
        .unwrap_or(0);
    for run in runs {
        println!("{:>20}  {}", run.mem.title(), sparkline(&run.line, most));
    }
    println!();
}

/// A line of bars, the highest of which stands for `most`.
fn sparkline(values: &[u64], most: u64) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    values
        .iter()
        .map(|&value| match value {
            0 => ' ',
            value => BARS[((value * 8).div_ceil(most.max(1)) as usize).clamp(1, 8) - 1],
        })
        .collect()
}

/// A count per frame; a few in a whole run are not rounded to none.
fn per_frame(count: u64, phase: &Phase) -> String {
    let mean = count as f64 / f64::from(phase.frames);
    match count {
        0 => "0".to_owned(),
        _ if mean < 0.1 => format!("{count} in {} frames", phase.frames),
        _ => format!("{mean:.1}"),
    }
}

fn per_frame_bytes(bytes: u64, phase: &Phase) -> String {
    match bytes {
        0 => "-".to_owned(),
        _ => Bytes(bytes / u64::from(phase.frames)).to_string(),
    }
}

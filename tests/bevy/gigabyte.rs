//! A gigabyte through 64 MiB, in a process of its own, whose memory is looked at.
#![allow(
    dead_code,
    reason = "this test shares modules with others, and needs part of them"
)]

#[path = "sources.rs"]
mod sources;
#[path = "streams.rs"]
mod streams;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use bevy::prelude::*;
use framealloc::bevy::{
    AllocResource, StreamReady, StreamedAsset, StreamedAssets, StreamingSettings,
};

use sources::{Behaviour, Synthetic, is_made_of, pattern_of};
use streams::{reserved, streaming_app, totals, update_until};

fn headless_app() -> App {
    let mut app = App::new();
    app.add_plugins(MinimalPlugins.set(TaskPoolPlugin {
        task_pool_options: TaskPoolOptions::with_num_threads(6),
    }));
    app
}

/// The most bytes that were ever reserved, as another thread sees it all the time.
fn watch_peak(alloc: &AllocResource) -> impl FnOnce() -> usize {
    let (alloc, stop) = (alloc.clone(), Arc::new(AtomicBool::new(false)));
    let told = Arc::clone(&stop);
    let watcher = std::thread::spawn(move || {
        let mut peak = 0;
        while !told.load(SeqCst) {
            peak = peak.max(alloc.streaming().total_reserved());
            std::thread::yield_now();
        }
        peak
    });
    move || {
        stop.store(true, SeqCst);
        watcher.join().unwrap()
    }
}

/// Bytes of the process that are in memory.
fn resident() -> Option<usize> {
    let pages = std::fs::read_to_string("/proc/self/statm").ok()?;
    pages
        .split(' ')
        .nth(1)?
        .parse::<usize>()
        .ok()
        .map(|pages| pages * 4096)
}

#[test]
fn a_gigabyte_goes_through_64_mebibytes() {
    const FILES: usize = 1024;
    const BUDGET: usize = 64 << 20;
    let source = Synthetic::new();
    let mut app = streaming_app(&source, BUDGET);
    app.world_mut().resource_mut::<StreamingSettings>().keep_for = 1;
    let names: BTreeMap<Entity, String> = (0..FILES)
        .map(|number| {
            let name = format!("tile{number}");
            source.add(&name, 1 << 20, Behaviour::Fine);
            let asset = StreamedAsset::new(format!("made://{name}"));
            (app.world_mut().spawn(asset).id(), name)
        })
        .collect();
    let verified = Arc::new(Mutex::new(BTreeSet::new()));
    let noted = Arc::clone(&verified);
    app.add_systems(
        Update,
        move |mut ready: MessageReader<StreamReady>, assets: StreamedAssets| {
            for message in ready.read() {
                // What is evicted again already is asked for by this, and comes once more.
                if let Some(bytes) = assets.get(message.entity) {
                    let pattern = pattern_of(&names[&message.entity]);
                    assert!(bytes.len() == 1 << 20 && is_made_of(&bytes, &pattern));
                    noted.lock().unwrap().insert(message.entity);
                }
            }
        },
    );
    let alloc = app.world().resource::<AllocResource>().clone();
    let peak = watch_peak(&alloc);
    let before = resident();
    let mut most_resident = before;
    update_until(&mut app, |app| {
        assert!(reserved(app) <= BUDGET);
        most_resident = most_resident.max(resident());
        verified.lock().unwrap().len() == FILES
    });
    let peak = peak();
    assert!(peak <= BUDGET, "{peak}");
    assert!(peak > BUDGET / 2, "the budget is made use of");
    if let (Some(before), Some(most)) = (before, most_resident) {
        assert!(most - before < BUDGET + (48 << 20), "{before} {most}");
    }
    let totals = totals(&app);
    assert!(totals.loaded_bytes >= 1 << 30);
    assert!(totals.evictions >= (FILES - 64) as u64);
    assert_eq!(totals.failures, 0);
}

//! Random spawning, despawning, changing, pinning, reading and cancelling, against a plain model.

use std::collections::{BTreeMap, BTreeSet};

use bevy::prelude::*;
use framealloc::StreamPriority;
use framealloc::bevy::{
    AllocResource, StreamedAsset, StreamedAssets, StreamedState, StreamingSettings,
};
use proptest::prelude::*;

use crate::sources::{Behaviour, Synthetic, bytes_of, is_made_of, pattern_of};
use crate::streams::{is_ready, read, reserved, state, streaming_app, totals, update_until};

const FILES: usize = 8;
const PLACES: usize = 12;
const BUDGET: usize = 60_000;

/// Sizes of the files. Together they are twice the budget, and the last but one is larger than it.
fn size_of(file: usize) -> usize {
    [0, 1, 4096, 20_000, 30_000, 59_000, 60_001, 7000][file]
}

#[derive(Debug, Clone)]
enum Step {
    Put {
        place: usize,
        file: usize,
        priority: usize,
        pinned: bool,
    },
    Remove(usize),
    Despawn(usize),
    Read(usize),
    Cancel(usize),
    Retry(usize),
    Budget(usize),
    Update(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let place = || 0..PLACES;
    let put = (place(), 0..FILES, 0..4_usize, prop::bool::weighted(0.1)).prop_map(
        |(place, file, priority, pinned)| Step::Put {
            place,
            file,
            priority,
            pinned,
        },
    );
    let step = prop_oneof![
        4 => put,
        1 => place().prop_map(Step::Remove),
        1 => place().prop_map(Step::Despawn),
        3 => place().prop_map(Step::Read),
        1 => place().prop_map(Step::Cancel),
        1 => place().prop_map(Step::Retry),
        1 => (1..=2_usize).prop_map(Step::Budget),
        4 => (1..20_usize).prop_map(Step::Update),
    ];
    prop::collection::vec(step, 1..60)
}

fn check(steps: Vec<Step>) {
    let source = Synthetic::new();
    for file in 0..FILES {
        // Some files cannot seek, some break half-way, some recover.
        let behaviour = match file {
            3 => Behaviour::CannotSeek,
            4 => Behaviour::Breaks {
                after: 10_000,
                times: 2,
            },
            _ => Behaviour::Fine,
        };
        source.add(&file.to_string(), size_of(file), behaviour);
    }
    let mut app = streaming_app(&source, BUDGET);
    {
        let mut settings = app.world_mut().resource_mut::<StreamingSettings>();
        settings.keep_for = 2;
        settings.chunk_size = 5000;
        settings.per_frame = 3;
    }
    let alloc = app.world().resource::<AllocResource>().clone();
    let mut places: [Option<Entity>; PLACES] = [None; PLACES];
    let mut wants = BTreeMap::new();

    for step in steps {
        let ask = |app: &mut App, place: usize, cancel: bool| {
            let Some(entity) = places[place] else { return };
            app.world_mut()
                .run_system_cached_with(
                    |In((entity, cancel)): In<(Entity, bool)>, assets: StreamedAssets| match cancel
                    {
                        true => assets.cancel(entity),
                        false => assets.retry(entity),
                    },
                    (entity, cancel),
                )
                .unwrap();
        };
        match step {
            Step::Put {
                place,
                file,
                priority,
                pinned,
            } => {
                let mut asset = StreamedAsset::new(format!("made://{file}"))
                    .with_priority(StreamPriority::ALL[priority]);
                if pinned {
                    asset = asset.pinned();
                }
                let entity =
                    *places[place].get_or_insert_with(|| app.world_mut().spawn_empty().id());
                app.world_mut().entity_mut(entity).insert(asset);
                wants.insert(entity, file);
            }
            Step::Remove(place) => {
                if let Some(entity) = places[place] {
                    app.world_mut().entity_mut(entity).remove::<StreamedAsset>();
                    wants.remove(&entity);
                }
            }
            Step::Despawn(place) => {
                if let Some(entity) = places[place].take() {
                    app.world_mut().despawn(entity);
                    wants.remove(&entity);
                }
            }
            Step::Read(place) => {
                if let Some(entity) = places[place] {
                    let bytes = read(&mut app, entity);
                    // What is read may be the file from before the last frame, but is never anything else.
                    if let Some(bytes) = bytes {
                        let is_some_file = (0..FILES).any(|file| {
                            bytes.len() == size_of(file)
                                && is_made_of(&bytes, &pattern_of(&file.to_string()))
                        });
                        assert!(is_some_file);
                    }
                }
            }
            Step::Cancel(place) => ask(&mut app, place, true),
            Step::Retry(place) => ask(&mut app, place, false),
            Step::Budget(parts) => {
                app.world_mut().resource_mut::<StreamingSettings>().budget = Some(BUDGET / parts);
            }
            Step::Update(frames) => (0..frames).for_each(|_| app.update()),
        }
        let stats = alloc.streaming().stats();
        assert!(stats.total_reserved <= BUDGET);
    }

    // Once nobody changes anything, all that can be loaded is loaded when it is asked for, one after the other.
    app.world_mut().resource_mut::<StreamingSettings>().budget = Some(BUDGET);
    let entities: Vec<_> = wants
        .iter()
        .map(|(&entity, &file)| (entity, file))
        .collect();
    for &(entity, _) in &entities {
        // No pins, and no priorities that keep others out.
        let path = format!("made://{}", wants[&entity]);
        app.world_mut()
            .entity_mut(entity)
            .insert(StreamedAsset::new(path));
    }
    for (entity, file) in entities {
        let place = places.iter().position(|&it| it == Some(entity)).unwrap();
        let is_too_large = size_of(file) > BUDGET;
        let mut asked = 0;
        update_until(&mut app, |app| {
            // It may have been cancelled by an ask that is heard only now.
            asked += 1;
            if asked % 100 == 0 && matches!(state(app, entity), Some(StreamedState::Cancelled)) {
                app.world_mut()
                    .run_system_cached_with(
                        |In(entity): In<Entity>, assets: StreamedAssets| assets.retry(entity),
                        entity,
                    )
                    .unwrap();
            }
            match is_too_large {
                true => matches!(state(app, entity), Some(StreamedState::Failed(_))),
                false => read(app, entity) == Some(bytes_of(&file.to_string(), size_of(file))),
            }
        });
        assert!(is_too_large || is_ready(&mut app, entity), "{place}");
    }
    let files: BTreeSet<_> = wants.values().collect();
    update_until(&mut app, |app| totals(app).files == files.len());
    for entity in places.into_iter().flatten() {
        app.world_mut().despawn(entity);
    }
    // Loads that were given up close their files on the IO pool, in their own time, and their streams go in a later frame.
    update_until(&mut app, |app| {
        reserved(app) == 0
            && totals(app).files == 0
            && source.open() == 0
            && alloc.streaming().stats().allocation_count == 0
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_done_nothing_leaks_and_every_file_can_be_had(steps in steps()) {
        check(steps);
    }
}

//! The budget: eviction, loading again, priorities, distance.

use bevy::prelude::*;
use framealloc::StreamPriority;
use framealloc::bevy::{
    StreamEvicted, StreamFocus, StreamedAsset, StreamedState, StreamingSettings,
};

use crate::sources::{Behaviour, Synthetic, bytes_of};
use crate::streams::{Inbox, is_ready, read, reserved, state, streaming_app, totals, update_until};

const SIZE: usize = 10_000;

fn tile(app: &mut App, source: &Synthetic, name: &str) -> Entity {
    source.add(name, SIZE, Behaviour::Fine);
    let asset = StreamedAsset::new(format!("made://{name}"));
    app.world_mut().spawn(asset).id()
}

fn set_keep_for(app: &mut App, frames: u64) {
    app.world_mut().resource_mut::<StreamingSettings>().keep_for = frames;
}

#[test]
fn what_was_evicted_is_loaded_again_when_it_is_asked_for() {
    let source = Synthetic::new();
    let mut app = streaming_app(&source, 2 * SIZE);
    set_keep_for(&mut app, 10);
    let evicted = Inbox::<StreamEvicted>::in_app(&mut app);
    let a = tile(&mut app, &source, "a");
    let b = tile(&mut app, &source, "b");
    update_until(&mut app, |app| is_ready(app, a) && is_ready(app, b));
    let c = tile(&mut app, &source, "c");
    // `b` is in use, so that `a` has to go.
    update_until(&mut app, |app| {
        assert!(read(app, b).is_some());
        is_ready(app, c)
    });
    app.update();
    assert_eq!(state(&mut app, a), Some(StreamedState::Evicted));
    let gone: Vec<_> = evicted
        .lock()
        .unwrap()
        .iter()
        .map(|it| (it.entity, it.size))
        .collect();
    assert_eq!(gone, [(a, SIZE)]);
    for _ in 0..100 {
        app.update();
    }
    assert_eq!(
        state(&mut app, a),
        Some(StreamedState::Evicted),
        "nobody wants it"
    );

    update_until(&mut app, |app| read(app, a).is_some());
    assert_eq!(read(&mut app, a), Some(bytes_of("a", SIZE)));
    assert_eq!((reserved(&app), source.opened("a")), (2 * SIZE, 2));
}

#[test]
fn files_that_are_all_in_use_do_not_push_each_other_out() {
    let source = Synthetic::new();
    let mut app = streaming_app(&source, 2 * SIZE);
    let tiles: Vec<_> = ["a", "b", "c", "d"]
        .map(|name| tile(&mut app, &source, name))
        .into();
    update_until(&mut app, |app| totals(app).ready == 2);
    for _ in 0..500 {
        for &tile in &tiles {
            let _ = read(&mut app, tile);
        }
        app.update();
    }
    let totals = totals(&app);
    assert_eq!((totals.ready, totals.evictions, totals.loads), (2, 0, 2));
}

#[test]
fn a_higher_priority_makes_room_at_once_and_a_lower_one_waits() {
    let source = Synthetic::new();
    let mut app = streaming_app(&source, 2 * SIZE);
    set_keep_for(&mut app, u64::MAX);
    let a = tile(&mut app, &source, "a");
    let b = tile(&mut app, &source, "b");
    update_until(&mut app, |app| is_ready(app, a) && is_ready(app, b));
    for (name, priority) in [("high", StreamPriority::High), ("low", StreamPriority::Low)] {
        source.add(name, SIZE, Behaviour::Fine);
        let asset = StreamedAsset::new(format!("made://{name}")).with_priority(priority);
        app.world_mut().spawn(asset);
    }
    update_until(&mut app, |app| {
        totals(app).evictions == 1 && totals(app).ready == 2
    });
    for _ in 0..100 {
        app.update();
    }
    let totals = totals(&app);
    assert_eq!((totals.ready, totals.waiting, totals.evictions), (2, 1, 1));

    // As soon as there is room, the one that waits gets it.
    app.world_mut().despawn(a);
    app.world_mut().despawn(b);
    update_until(&mut app, |app| self::totals(app).loads == 4);
}

#[test]
fn what_is_pinned_stays() {
    let source = Synthetic::new();
    let mut app = streaming_app(&source, 2 * SIZE);
    source.add("pinned", SIZE, Behaviour::Fine);
    let asset = StreamedAsset::new("made://pinned");
    let pinned = app.world_mut().spawn(asset.clone().pinned()).id();
    update_until(&mut app, |app| is_ready(app, pinned));
    for name in ["1", "2", "3", "4"] {
        source.add(name, SIZE, Behaviour::Fine);
        let other = StreamedAsset::new(format!("made://{name}"));
        app.world_mut()
            .spawn(other.with_priority(StreamPriority::Critical));
    }
    set_keep_for(&mut app, 0);
    update_until(&mut app, |app| totals(app).loads == 5);
    assert!(is_ready(&mut app, pinned));

    // Without the pin it goes.
    app.world_mut().entity_mut(pinned).insert(asset);
    source.add("5", SIZE, Behaviour::Fine);
    let other = StreamedAsset::new("made://5").with_priority(StreamPriority::Critical);
    app.world_mut().spawn(other);
    update_until(&mut app, |app| {
        state(app, pinned) == Some(StreamedState::Evicted)
    });
}

#[test]
fn lowering_the_budget_evicts_and_raising_it_lets_in_what_waits() {
    let source = Synthetic::new();
    let mut app = streaming_app(&source, 4 * SIZE);
    app.world_mut()
        .resource_mut::<StreamingSettings>()
        .in_flight = 1;
    set_keep_for(&mut app, u64::MAX);
    for name in ["a", "b", "c", "d", "e"] {
        tile(&mut app, &source, name);
    }
    update_until(&mut app, |app| totals(app).ready == 4);
    app.world_mut().resource_mut::<StreamingSettings>().budget = Some(SIZE);
    update_until(&mut app, |app| {
        totals(app).ready == 1 && reserved(app) == SIZE
    });
    app.world_mut().resource_mut::<StreamingSettings>().budget = Some(2 * SIZE);
    update_until(&mut app, |app| totals(app).ready == 2);
    assert_eq!(source.order().last().unwrap(), "e");
}

#[test]
fn a_moving_focus_streams_what_is_near_and_lets_go_of_what_is_far() {
    let source = Synthetic::new();
    let mut app = streaming_app(&source, 5 * SIZE);
    app.add_plugins(TransformPlugin);
    let focus = StreamFocus {
        near: 1.5,
        far: 2.5,
    };
    let camera = app.world_mut().spawn((focus, Transform::default())).id();
    let tiles: Vec<_> = (0..20)
        .map(|place| {
            let name = format!("tile{place}");
            source.add(&name, SIZE, Behaviour::Fine);
            let asset = StreamedAsset::new(format!("made://{name}")).by_distance();
            let place = Transform::from_xyz(place as f32, 0.0, 0.0);
            app.world_mut().spawn((asset, place)).id()
        })
        .collect();
    app.update();
    for step in 0..20 {
        let mut place = app.world_mut().get_mut::<Transform>(camera).unwrap();
        place.translation.x = step as f32;
        update_until(&mut app, |app| {
            assert!(reserved(app) <= 5 * SIZE);
            let near = tiles[step.max(2) - 2..]
                .iter()
                .take(if step < 2 { step + 3 } else { 5 });
            near.copied()
                .collect::<Vec<_>>()
                .into_iter()
                .all(|tile| is_ready(app, tile))
        });
    }
    // Only what came near was loaded, each once: the room was taken from what lay behind.
    let totals = totals(&app);
    assert_eq!((totals.loads, totals.failures), (20, 0));
    assert_eq!(totals.ready, 5);

    // On the way back, everything is loaded again by itself.
    app.world_mut()
        .get_mut::<Transform>(camera)
        .unwrap()
        .translation
        .x = 0.0;
    update_until(&mut app, |app| {
        (0..3).all(|place| is_ready(app, tiles[place]))
    });
    assert_eq!(state(&mut app, tiles[10]), Some(StreamedState::Evicted));
}

#[test]
fn the_nearest_come_first_and_what_is_too_far_is_not_loaded() {
    let source = Synthetic::new();
    let mut app = streaming_app(&source, 1 << 20);
    app.world_mut()
        .resource_mut::<StreamingSettings>()
        .in_flight = 1;
    let focus = StreamFocus {
        near: 2.0,
        far: 10.0,
    };
    app.world_mut().spawn((focus, GlobalTransform::default()));
    let mut far = Entity::PLACEHOLDER;
    for place in [11.0, 7.0, 1.0, 9.5, 3.0] {
        let name = format!("{place}");
        source.add(&name, SIZE, Behaviour::Fine);
        let asset = StreamedAsset::new(format!("made://{name}")).by_distance();
        let entity = app
            .world_mut()
            .spawn((asset, GlobalTransform::from_xyz(place, 0.0, 0.0)));
        if place > 10.0 {
            far = entity.id();
        }
    }
    update_until(&mut app, |app| totals(app).ready == 4);
    assert_eq!(source.order(), ["1", "3", "7", "9.5"]);
    assert_eq!(state(&mut app, far), Some(StreamedState::Idle));
    // It is loaded all the same when somebody asks.
    update_until(&mut app, |app| read(app, far).is_some());
}

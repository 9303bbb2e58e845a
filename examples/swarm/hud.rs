//! What the game costs, in the window's corner: written in frame memory, a few times a second.

use bevy::prelude::*;
use framealloc::Bytes;
use framealloc::bevy::{AllocResource, FrameAlloc};
use framealloc::tags::TagTotals;

use crate::agents::Population;
use crate::collide::Tally;
use crate::measure::{Owner, arena_bytes, aside};

/// Frames between two looks. Totals are for looking at, not for every frame.
const EVERY: u32 = 30;

#[derive(Component)]
struct Hud;

#[derive(Default)]
struct LastLook {
    frame: u32,
    totals: TagTotals,
}

pub fn add(app: &mut App) {
    app.add_systems(Startup, spawn).add_systems(Last, refresh);
}

fn spawn(mut commands: Commands) {
    commands
        .spawn((
            Node {
                position_type: PositionType::Absolute,
                top: px(12),
                left: px(12),
                padding: UiRect::axes(px(12), px(8)),
                ..default()
            },
            BackgroundColor(Color::srgba(0.0, 0.0, 0.02, 0.72)),
        ))
        .with_child((
            Hud,
            Text::default(),
            TextFont::from_font_size(14.0),
            TextColor(Color::srgb(0.72, 0.86, 1.0)),
        ));
}

fn refresh(
    frame: FrameAlloc,
    alloc: Res<AllocResource>,
    population: Res<Population>,
    tally: Res<Tally>,
    mut last: Local<LastLook>,
    mut hud: Single<&mut Text, With<Hud>>,
) {
    last.frame += 1;
    if !last.frame.is_multiple_of(EVERY) {
        return;
    }
    let (totals, arenas) = {
        let _aside = aside();
        (TagTotals::capture(), alloc.arenas())
    };
    let spent = totals.since(&last.totals);
    last.totals = totals;

    let (mut frame_bytes, mut game, mut others) = (0, 0, 0);
    for row in spent.rows() {
        match Owner::of(row.tag) {
            Owner::Game => {
                frame_bytes += row.frame_bytes;
                game += row.audit.allocs;
            }
            Owner::Measuring => {}
            Owner::ParallelLoop | Owner::Bevy | Owner::Untagged => others += row.audit.allocs,
        }
    }
    let every = u64::from(EVERY);
    let text = frame.alloc_fmt(format_args!(
        "{} prey, {} hunters, {} caught\n\
         {} contacts, {} at the most\n\
         frame memory  {} a frame, arenas {}\n\
         heap calls a frame  game {}, Bevy {}",
        population.prey,
        population.hunters,
        tally.caught,
        tally.contacts,
        tally.most_contacts,
        Bytes(frame_bytes / every),
        Bytes(arena_bytes(&arenas) as u64),
        game / every,
        others / every,
    ));
    hud.0.clear();
    hud.0.push_str(text);
}

//! The plugin in a full app: `DefaultPlugins` with pipelined rendering, headless, on software Vulkan.
//!
//! One test a process: the audit counts the process's allocations. Needs a Vulkan driver; Mesa's `lavapipe` will do
//! (`mesa-vulkan-drivers` on Debian and Ubuntu).

mod rendered;
mod untagged_watch;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::thread::ThreadId;

use bevy::prelude::*;
use bevy::render::{ExtractSchedule, Render, RenderApp, RenderStartup};
use framealloc::bevy::{AllocResource, FrameAlloc, SmartAllocPlugin};
use framealloc::tags::TagId;

use rendered::picture;
use untagged_watch::{audit, stacks_looked_at};

const FRAMES: u64 = 60;

/// What systems saw: their world, their tag, their world's frame, their thread.
#[derive(Resource, Clone, Default)]
struct Seen(Arc<Mutex<Vec<Sighting>>>);

#[derive(Debug)]
struct Sighting {
    system: &'static str,
    tag: &'static str,
    frame: u64,
    thread: ThreadId,
}

impl Seen {
    fn note<F>(&self, system: &F, frame: &FrameAlloc, alloc: &AllocResource) {
        let own = frame.alloc_slice_fill(1 << 16, 0xA5_u8);
        assert!(own.iter().all(|&byte| byte == 0xA5));
        self.0.lock().unwrap().push(Sighting {
            system: std::any::type_name_of_val(system),
            tag: TagId::current().path(),
            frame: alloc.frame_number(),
            thread: std::thread::current().id(),
        });
    }
}

fn simulates(frame: FrameAlloc, alloc: Res<AllocResource>, seen: Res<Seen>) {
    seen.note(&simulates, &frame, &alloc);
}

fn extracts(frame: FrameAlloc, alloc: Res<AllocResource>, seen: Res<Seen>) {
    seen.note(&extracts, &frame, &alloc);
}

fn renders(frame: FrameAlloc, alloc: Res<AllocResource>, seen: Res<Seen>) {
    seen.note(&renders, &frame, &alloc);
}

fn starts_rendering(frame: FrameAlloc, alloc: Res<AllocResource>, seen: Res<Seen>) {
    seen.note(&starts_rendering, &frame, &alloc);
}

fn set_up(mut commands: Commands) {
    commands.spawn((Camera2d, Msaa::Off));
    for i in 0..50 {
        let position = Vec3::new(i as f32 * 6.0 - 150.0, 0.0, 0.0);
        let sprite = Sprite::from_color(Color::WHITE, Vec2::splat(4.0));
        commands.spawn((sprite, Transform::from_translation(position)));
    }
    commands.spawn(Text::new("frame"));
}

fn moves_and_counts(
    mut sprites: Query<&mut Transform, With<Sprite>>,
    mut text: Single<&mut Text>,
    mut count: Local<u32>,
) {
    *count += 1;
    text.0 = format!("frame {}", *count);
    for mut sprite in &mut sprites {
        sprite.translation.y += 0.1;
    }
}

fn app(seen: &Seen) -> App {
    let mut app = App::new();
    // Ours comes first: the worlds that later plugins make are found all the same.
    app.add_plugins(SmartAllocPlugin)
        .add_plugins(picture::plugins())
        .insert_resource(seen.clone())
        .add_systems(Startup, set_up)
        .add_systems(Update, (simulates, moves_and_counts));
    app.sub_app_mut(RenderApp)
        .insert_resource(seen.clone())
        .add_systems(RenderStartup, starts_rendering)
        .add_systems(ExtractSchedule, extracts)
        .add_systems(Render, renders);
    picture::draw_into_a_picture(&mut app, UVec2::new(320, 180));
    picture::finish(&mut app);
    assert!(
        app.get_sub_app(RenderApp).is_none(),
        "rendering is pipelined: its world is on its own thread"
    );
    app
}

#[test]
fn both_worlds_of_a_full_app_have_frames_and_every_system_that_allocates_is_named() {
    let seen = Seen::default();
    let mut app = app(&seen);
    // The first frames build schedules and pipelines.
    audit(50, || {
        for _ in 0..20 {
            app.update();
        }
    });
    let audit = audit(50, || {
        for _ in 0..FRAMES {
            app.update();
        }
    });
    assert!(stacks_looked_at() > 100, "the watch is asleep");
    drop(app);

    let seen = std::mem::take(&mut *seen.0.lock().unwrap());
    for sighting in &seen {
        assert_eq!(sighting.system, sighting.tag);
        assert!(sighting.frame > 0, "{sighting:?}");
    }
    let of = |system: &'static str| {
        seen.iter()
            .filter(move |sighting| sighting.system.ends_with(system))
    };
    assert_eq!(of("starts_rendering").count(), 1);
    let updates: Vec<u64> = of("simulates").map(|sighting| sighting.frame).collect();
    assert_eq!(updates, (1..=20 + FRAMES).collect::<Vec<_>>());
    let extractions: Vec<u64> = of("extracts").map(|sighting| sighting.frame).collect();
    assert_eq!(extractions, (1..=20 + FRAMES).collect::<Vec<_>>());
    let rendered: Vec<u64> = of("renders").map(|sighting| sighting.frame).collect();
    assert!(
        rendered.len() as u64 > FRAMES,
        "the renderer was ready in {} frames",
        rendered.len()
    );
    assert!(
        rendered.is_sorted(),
        "a frame of the render world is not closed while it renders: {rendered:?}"
    );
    let threads: BTreeSet<String> = seen.iter().map(|s| format!("{:?}", s.thread)).collect();
    println!("{} threads ran systems with frame memory", threads.len());

    let mut rows: Vec<_> = audit.allocs.iter().collect();
    rows.sort_by_key(|(_, calls)| std::cmp::Reverse(**calls));
    for (path, calls) in &rows {
        println!("{:>8.1} a frame  {path}", **calls as f64 / FRAMES as f64);
    }
    println!(
        "{:>8.1} a frame  untagged",
        audit.untagged as f64 / FRAMES as f64
    );
    let named = |prefix: &str| rows.iter().any(|(path, _)| path.starts_with(prefix));
    assert!(named("bevy_full_app::moves_and_counts"), "the game's own");
    assert!(named("bevy_ui::layout"), "Bevy's, in the main world");
    assert!(named("bevy_sprite_render::"), "Bevy's, in the render world");
}

//! What everything looks like: three pictures made in code, and colours by speed.

use bevy::asset::RenderAssetUsages;
use bevy::prelude::*;
use bevy::render::render_resource::{Extent3d, TextureDimension, TextureFormat};
use framealloc::tags::{TagId, TagScope};

use crate::Step;
use crate::agents::{Hunter, Position, Velocity};
use crate::field::Field;
use crate::sparks::Spark;

const BACKGROUND: Color = Color::srgb(0.012, 0.016, 0.035);

pub fn add(app: &mut App) {
    app.insert_resource(ClearColor(BACKGROUND))
        .add_systems(PostStartup, dress)
        .add_systems(Update, (colour_agents, colour_sparks).in_set(Step::Show));
}

/// Gives everything a sprite.
fn dress(
    mut commands: Commands,
    mut images: ResMut<Assets<Image>>,
    field: Res<Field>,
    agents: Query<Entity, With<Position>>,
    sparks: Query<Entity, With<Spark>>,
) {
    let sprite = |image: &Handle<Image>, size: Vec2, color: Color| Sprite {
        image: image.clone(),
        custom_size: Some(size),
        color,
        ..default()
    };

    // A bright head at the right end, and a tail that fades to the left.
    let comet = images.add(picture(64, 32, |place| {
        let head = (1.0 - (place - Vec2::new(0.62, 0.0)).length() / 0.38).max(0.0);
        let width = (place.x + 1.0) * 0.2;
        let tail = (place.x + 1.0) / 1.6 * (1.0 - place.y.abs() / width.max(0.01));
        let tail = if place.x < 0.62 { tail.max(0.0) } else { 0.0 };
        (head.sqrt() + tail * 0.55).min(1.0)
    }));
    for agent in &agents {
        commands
            .entity(agent)
            .insert(sprite(&comet, Vec2::new(11.0, 5.5), Color::WHITE));
    }

    let glow = images.add(picture(32, 32, |place| {
        (1.0 - place.length()).max(0.0).powf(1.6)
    }));
    for spark in &sparks {
        commands
            .entity(spark)
            .insert(sprite(&glow, Vec2::splat(9.0), Color::NONE));
    }

    // A dark disc with a rim of light.
    let disc = images.add(picture(256, 256, |place| {
        let distance = place.length();
        let rim = (1.0 - (distance - 0.93).abs() / 0.06).max(0.0);
        if distance < 0.93 {
            0.35 + 0.65 * rim
        } else {
            rim
        }
    }));
    for pillar in field.pillars {
        commands.spawn((
            sprite(
                &disc,
                Vec2::splat(pillar.radius * 2.0 / 0.95),
                Color::srgba(0.16, 0.22, 0.42, 0.8),
            ),
            Transform::from_translation(pillar.centre.extend(-1.0)),
        ));
    }
}

/// A white picture whose opacity is a function of the place, from (-1, -1) to (1, 1).
fn picture(width: u32, height: u32, opacity: impl Fn(Vec2) -> f32) -> Image {
    let size = Vec2::new(width as f32, height as f32);
    let pixels = (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
    let texels = pixels
        .map(|(x, y)| (Vec2::new(x as f32, y as f32) + 0.5) / size * 2.0 - 1.0)
        .flat_map(|place| {
            [
                255,
                255,
                255,
                (opacity(place).clamp(0.0, 1.0) * 255.0) as u8,
            ]
        })
        .collect();
    Image::new(
        Extent3d {
            width,
            height,
            depth_or_array_layers: 1,
        },
        TextureDimension::D2,
        texels,
        TextureFormat::Rgba8UnormSrgb,
        RenderAssetUsages::RENDER_WORLD,
    )
}

fn colour_agents(mut agents: Query<(&mut Sprite, &Velocity, Has<Hunter>)>) {
    const COLD: LinearRgba = LinearRgba::new(0.02, 0.10, 0.75, 0.75);
    const WARM: LinearRgba = LinearRgba::new(0.02, 0.85, 0.80, 0.85);
    const HOT: LinearRgba = LinearRgba::new(1.0, 0.75, 0.35, 0.95);
    const HUNTER: LinearRgba = LinearRgba::new(1.0, 0.03, 0.18, 1.0);
    // See `flock`: what Bevy allocates to spread the loop is told apart.
    let _bevys_own = TagScope::enter(TagId::current().child("par_iter"));
    agents
        .par_iter_mut()
        .for_each(|(mut sprite, velocity, hunts)| {
            let heat = ((velocity.0.length() - 40.0) / 110.0).clamp(0.0, 1.0);
            let colour = if hunts {
                HUNTER
            } else if heat < 0.5 {
                COLD.mix(&WARM, heat * 2.0)
            } else {
                WARM.mix(&HOT, heat * 2.0 - 1.0)
            };
            sprite.color = colour.into();
        });
}

fn colour_sparks(mut sparks: Query<(&mut Sprite, &Spark)>) {
    for (mut sprite, spark) in &mut sparks {
        sprite.color = LinearRgba::new(1.0, 0.55, 0.15, spark.glow.max(0.0)).into();
    }
}

//! The field that the agents live on: its size, its pillars, and the step of time.

use bevy::prelude::*;

use crate::grid::GridShape;

/// Seconds that a frame simulates. Fixed, so that a run is the same on every machine.
pub const STEP: f32 = 1.0 / 60.0;

/// Room for each agent: the field grows with their number, so that density stays.
const AREA_PER_AGENT: f32 = 64.0;

/// An obstacle that nobody can enter.
#[derive(Clone, Copy, Debug)]
pub struct Pillar {
    pub centre: Vec2,
    pub radius: f32,
}

/// A field around the origin.
#[derive(Resource, Clone, Debug)]
pub struct Field {
    /// Half its width and height.
    pub half: Vec2,
    pub pillars: [Pillar; 5],
}

impl Field {
    pub fn for_agents(agents: u32) -> Self {
        let height = (agents as f32 * AREA_PER_AGENT * 9.0 / 16.0).sqrt();
        let half = Vec2::new(height * 16.0 / 9.0, height) / 2.0;
        let pillar = |x: f32, y: f32, radius: f32| Pillar {
            centre: half * Vec2::new(x, y),
            radius: half.y * radius,
        };
        Self {
            half,
            pillars: [
                pillar(-0.62, 0.36, 0.13),
                pillar(-0.28, -0.48, 0.17),
                pillar(0.22, 0.52, 0.11),
                pillar(0.52, -0.22, 0.19),
                pillar(0.82, 0.55, 0.08),
            ],
        }
    }

    /// A grid over the field whose cells are about `cell` wide.
    pub fn grid(&self, cell: f32) -> GridShape {
        GridShape::new(self.half, cell)
    }

    /// The push of what is too close: the field's edge, and the pillars. Zero where there is room.
    pub fn repulsion(&self, position: Vec2) -> Vec2 {
        const MARGIN: f32 = 24.0;
        let beyond = (position.abs() - (self.half - MARGIN)).max(Vec2::ZERO);
        let mut push = -position.signum() * beyond / MARGIN;
        for pillar in &self.pillars {
            let away = position - pillar.centre;
            let gap = away.length() - pillar.radius;
            if gap < MARGIN {
                let outwards = away.normalize_or(Vec2::X);
                // A little sideways as well, so that a flock parts and flows around.
                push += (outwards + outwards.perp() * 0.4) * (1.0 - gap / MARGIN).min(2.0);
            }
        }
        push
    }

    /// The nearest place to `position` that is on the field and in no pillar.
    pub fn keep_inside(&self, position: Vec2) -> Vec2 {
        let mut position = position.clamp(-self.half, self.half);
        for pillar in &self.pillars {
            let away = position - pillar.centre;
            if away.length_squared() < pillar.radius * pillar.radius {
                position = pillar.centre + away.normalize_or(Vec2::X) * pillar.radius;
            }
        }
        position
    }
}

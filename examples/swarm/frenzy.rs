//! The peak: now and then everybody is drawn into the nearest whirlpool, and touches many times as many as usual.
//!
//! This is what scratch memory is judged by. A buffer that is kept has to hold the peak, and goes on holding it.

use bevy::prelude::*;

use crate::Step;

/// Frames that a frenzy lasts.
pub const LENGTH: u32 = 120;
/// From one whirlpool to the next.
const SPACING: f32 = 280.0;

#[derive(Resource, Clone, Copy, Debug, Default)]
pub struct Frenzy {
    left: u32,
}

impl Frenzy {
    pub fn begin(&mut self) {
        self.left = LENGTH;
    }

    pub fn is_on(self) -> bool {
        self.left > 0
    }

    /// How an agent is drawn in: inwards, and around.
    pub fn pull(self, position: Vec2) -> Vec2 {
        if !self.is_on() {
            return Vec2::ZERO;
        }
        let centre = (position / SPACING).round() * SPACING;
        let inwards = (centre - position).normalize_or_zero();
        inwards * 1_100.0 + inwards.perp() * 500.0
    }
}

pub fn add(app: &mut App) {
    app.init_resource::<Frenzy>()
        .add_systems(Update, calm_down.in_set(Step::Move));
}

fn calm_down(mut frenzy: ResMut<Frenzy>) {
    if frenzy.is_on() {
        frenzy.left -= 1;
    }
}

//! The peak: now and then everybody is drawn into a whirlpool, and each has ten times as many neighbours as usual.
//!
//! This is what scratch memory is judged by. A buffer that is kept has to hold the peak, and goes on holding it.

use bevy::prelude::*;

use crate::Step;
use crate::field::Field;

/// Frames that a frenzy lasts.
pub const LENGTH: u32 = 90;

#[derive(Resource, Clone, Copy, Debug, Default)]
pub struct Frenzy {
    left: u32,
    centre: Vec2,
    count: u32,
}

impl Frenzy {
    /// Starts one, each time elsewhere.
    pub fn begin(&mut self, field: &Field) {
        let places = [
            Vec2::new(0.05, -0.05),
            Vec2::new(-0.4, 0.05),
            Vec2::new(0.55, 0.3),
        ];
        self.centre = places[self.count as usize % places.len()] * field.half;
        self.count += 1;
        self.left = LENGTH;
    }

    pub fn is_on(&self) -> bool {
        self.left > 0
    }

    /// How an agent is drawn in: inwards, and around.
    pub fn pull(&self, position: Vec2) -> Vec2 {
        if !self.is_on() {
            return Vec2::ZERO;
        }
        let inwards = (self.centre - position).normalize_or_zero();
        inwards * 420.0 + inwards.perp() * 220.0
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

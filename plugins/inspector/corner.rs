//! A few lines in a corner of the window, like a counter of frames.

use bevy_ecs::prelude::*;
use bevy_egui::egui::{self, Align2, Color32, Frame, Id, Margin, Order, RichText, Sense, vec2};

use super::panel::{Panel, find};
use super::state::{Corner, MemoryInspector};
use super::tabs::overview::corner_figures;
use super::theme;

/// Digits that there is room for, so that nothing moves while figures change.
const DIGITS: f32 = 26.0;

impl Corner {
    fn anchor(self) -> (Align2, egui::Vec2) {
        match self {
            Self::TopLeft => (Align2::LEFT_TOP, vec2(8.0, 8.0)),
            Self::TopRight => (Align2::RIGHT_TOP, vec2(-8.0, 8.0)),
            Self::BottomLeft => (Align2::LEFT_BOTTOM, vec2(8.0, -8.0)),
            Self::BottomRight => (Align2::RIGHT_BOTTOM, vec2(-8.0, -8.0)),
        }
    }
}

/// Paints it. A click opens the panel.
pub(super) fn show(world: &mut World, context: &egui::Context, corner: Corner) {
    world.resource_scope(|world, mut panel: Mut<Panel>| {
        let mut inspector = world.resource::<MemoryInspector>().clone();
        let Some(alloc) = find(world, &mut inspector.alloc) else {
            return;
        };
        panel.refresh(world, &alloc, &inspector, context.input(|input| input.time));
        let Some(look) = panel.live.clone() else {
            return;
        };
        let (anchor, offset) = corner.anchor();
        let response = egui::Area::new(Id::new("framealloc corner"))
            .anchor(anchor, offset)
            .order(Order::Foreground)
            .interactable(true)
            .show(context, |ui| {
                let digit = ui.fonts_mut(|fonts| fonts.glyph_width(&theme::figures(), '0'));
                // Over a game of any colour.
                let frame = Frame::new()
                    .fill(Color32::from_black_alpha(190))
                    .corner_radius(4.0)
                    .inner_margin(Margin::symmetric(8, 5))
                    .show(ui, |ui| {
                        ui.set_width(DIGITS * digit);
                        ui.spacing_mut().item_spacing.y = 1.0;
                        for (what, figure) in corner_figures(&look) {
                            let text = format!("{what:<10} {figure:>15}");
                            let text = RichText::new(text).font(theme::figures());
                            let label = egui::Label::new(text.color(Color32::from_gray(0xE6)));
                            ui.add(label.selectable(false).extend());
                        }
                    });
                let id = ui.id().with("open");
                ui.interact(frame.response.rect, id, Sense::click())
            })
            .inner;
        if response.clicked() {
            world.resource_mut::<MemoryInspector>().open = true;
        }
    });
}

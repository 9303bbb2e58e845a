//! The buttons above the tabs' contents: pause, pins, search, copies, the allocator that is looked at.

use bevy_ecs::world::World;
use bevy_egui::egui::{self, Key, RichText, Ui};

use super::panel::{Format, Panel};
use super::state::{InspectedAlloc, InspectorTab, MemoryInspector};
use super::value::grouped;
use crate::bevy::{AllocResource, SubAppAllocs};

impl Panel {
    pub fn controls(
        &mut self,
        world: &World,
        alloc: &AllocResource,
        inspector: &mut MemoryInspector,
        ui: &mut Ui,
    ) {
        ui.horizontal_wrapped(|ui| {
            ui.toggle_value(&mut inspector.paused, "Pause")
                .on_hover_text("Let the figures stand still.");
            self.pins(ui);
            if inspector.tab != InspectorTab::Overview {
                let search = egui::TextEdit::singleline(&mut inspector.search)
                    .hint_text("Search")
                    .desired_width(130.0);
                let search = ui.add(search);
                if search.has_focus() && ui.input(|input| input.key_pressed(Key::Escape)) {
                    inspector.search.clear();
                }
                if ui
                    .button("Copy text")
                    .on_hover_text("Copy the whole table, columns parted by tabs.")
                    .clicked()
                {
                    self.copies = Some(Format::Text);
                }
                if ui
                    .button("Copy JSON")
                    .on_hover_text("Copy the whole table, with exact figures.")
                    .clicked()
                {
                    self.copies = Some(Format::Json);
                }
            } else if ui
                .button("Copy JSON")
                .on_hover_text("Copy everything: the allocator's snapshot.")
                .clicked()
            {
                ui.ctx().copy_text(alloc.snapshot().to_json());
            }
            if ui
                .button("Save snapshot")
                .on_hover_text("Write what the allocator holds to a file, for `cargo fa diff` and other tools.")
                .clicked()
            {
                self.saver.save(alloc, &inspector.snapshot_directory);
            }
            choose(world, &mut inspector.alloc, ui);
        });
    }

    fn pins(&mut self, ui: &mut Ui) {
        match self
            .pinned
            .each_ref()
            .map(|pin| pin.as_ref().map(|look| look.frame))
        {
            [None, _] => {
                if ui
                    .button("Pin frame")
                    .on_hover_text("Keep these figures, and show how others differ from them.")
                    .clicked()
                {
                    self.pinned = [self.live.clone(), None];
                    self.made_for = None;
                }
            }
            [Some(first), second] => {
                let other = match second {
                    Some(second) => format!("frame {}", grouped(second)),
                    None => "now".to_owned(),
                };
                ui.label(RichText::new(format!("frame {} to {other}", grouped(first))).strong());
                if second.is_none()
                    && ui
                        .button("Pin second")
                        .on_hover_text("Compare the pinned frame with this one from now on.")
                        .clicked()
                {
                    self.pinned[1] = self.live.clone();
                    self.made_for = None;
                }
                if ui.button("Unpin").clicked() {
                    self.pinned = Default::default();
                    self.made_for = None;
                }
            }
        }
    }
}

/// Which allocator to look at, where there are several.
fn choose(world: &World, alloc: &mut InspectedAlloc, ui: &mut Ui) {
    let Some(sub_apps) = world.get_resource::<SubAppAllocs>() else {
        return;
    };
    if sub_apps.iter().next().is_none() {
        return;
    }
    egui::ComboBox::from_id_salt("allocator")
        .selected_text(alloc.title())
        .show_ui(ui, |ui| {
            let sub_apps = sub_apps
                .iter()
                .map(|(name, _)| InspectedAlloc::SubApp(name.to_owned()));
            for choice in std::iter::once(InspectedAlloc::Main).chain(sub_apps) {
                let title = choice.title().to_owned();
                ui.selectable_value(alloc, choice, title);
            }
        })
        .response
        .on_hover_text("Whose arenas, budgets and streams are shown. Tags, pools and heap are the whole process's.");
}

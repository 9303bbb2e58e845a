//! [`MemoryInspectorPlugin`]: the panel in a window of the game's, behind a key.
//!
//! While neither the panel nor the corner is in sight, a frame costs a look at the keyboard and one at a switch: nothing is
//! read, counted or remembered.

use std::path::PathBuf;

use bevy_app::{App, AppExit, Last, Plugin, PreUpdate};
use bevy_ecs::prelude::*;
use bevy_ecs::schedule::common_conditions::on_message;
use bevy_egui::{EguiContext, EguiPlugin, EguiPrimaryContextPass, PrimaryEguiContext, egui};
use bevy_input::{ButtonInput, InputSystems, keyboard::KeyCode};
use bevy_render::RenderPlugin;

use super::corner;
use super::panel::{Panel, ui_for_memory};
use super::settings::{Keeper, Settings};
use super::sleep;
use super::state::{Corner, MemoryInspector};

/// A panel that shows where the game's memory goes, behind F9.
///
/// ```no_run
/// use bevy::prelude::*;
/// use framealloc::bevy::{MemoryInspectorPlugin, SmartAllocPlugin};
///
/// App::new()
///     .add_plugins((DefaultPlugins, SmartAllocPlugin, MemoryInspectorPlugin::default()))
///     .run();
/// ```
///
/// Add it after `DefaultPlugins`; where there is no renderer, as on a server, there is no panel.
///
/// It adds bevy_egui's `EguiPlugin` if that is not there, so add your own before it. An egui that came for the panel alone
/// sleeps while the panel is out of sight, until something else is in `EguiPrimaryContextPass`. The panel is painted into the
/// primary egui context, which bevy_egui gives to the first camera. With Shift, the key shows the corner: a few lines that stay
/// in sight. From code, [`MemoryInspector`] does the same.
///
/// What is typed and clicked in the panel reaches the game as well, unless its systems ask first, as in
/// `obey_keys.run_if(not(egui_wants_any_keyboard_input))`: conditions of bevy_egui's, which has one for the pointer, too.
///
/// A click on a column's title sorts a table, a drag at its edge makes it wider, and a right click on a cell copies it. The window,
/// the order of rows and the widths of columns are remembered from run to run.
///
/// The panel is a system like all others: what it costs stands in its own table, as `framealloc::bevy::inspector::…`.
#[derive(Debug, Clone, PartialEq)]
pub struct MemoryInspectorPlugin {
    /// The key that opens and closes the panel, and with Shift the corner. F9 unless set; `None` leaves it to the game.
    pub key: Option<KeyCode>,
    /// Whether the panel is open at first, unless the settings file says otherwise.
    pub open: bool,
    /// The corner that is in sight at first, unless the settings file says otherwise.
    pub corner: Option<Corner>,
    /// Where layout and settings are remembered: `target/framealloc/inspector.json` unless set. The file is written once the
    /// panel was used. With `None`, each run begins anew.
    pub settings_file: Option<PathBuf>,
}

impl Default for MemoryInspectorPlugin {
    fn default() -> Self {
        Self {
            key: Some(KeyCode::F9),
            open: false,
            corner: None,
            settings_file: Some(PathBuf::from("target/framealloc/inspector.json")),
        }
    }
}

impl MemoryInspectorPlugin {
    /// The panel, open at its start.
    pub fn opened() -> Self {
        Self {
            open: true,
            ..Self::default()
        }
    }
}

/// The panel's systems.
#[derive(SystemSet, Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MemoryInspectorSystems {
    /// Looks at the key, in `PreUpdate`.
    Input,
    /// Paints, in `EguiPrimaryContextPass`.
    Paint,
}

/// The key, for the system that looks at it.
#[derive(Resource)]
struct ToggleKey(KeyCode);

impl Plugin for MemoryInspectorPlugin {
    fn build(&self, app: &mut App) {
        let read = self.settings_file.as_deref().and_then(Settings::read);
        if !app.world().contains_resource::<MemoryInspector>() {
            let mut inspector = MemoryInspector {
                open: self.open,
                corner: self.corner,
                ..MemoryInspector::default()
            };
            if let Some(read) = &read {
                inspector.open = read.open || self.open;
                inspector.corner = read.corner.or(self.corner);
                inspector.tab = read.tab;
            }
            app.insert_resource(inspector);
        }
        let settings = read.unwrap_or_default();
        let mut panel = Panel::default();
        panel.keeper = Keeper::new(self.settings_file.clone(), settings.clone());
        panel.settings = settings;
        app.insert_resource(panel);
        app.register_type::<MemoryInspector>();
        if !app.is_plugin_added::<EguiPlugin>() {
            if !app.is_plugin_added::<RenderPlugin>() {
                tracing::debug!(
                    "MemoryInspectorPlugin: no panel, since no renderer was added before it"
                );
                return;
            }
            app.add_plugins(EguiPlugin::default());
            sleep::install(app);
        }
        if let Some(key) = self.key {
            app.insert_resource(ToggleKey(key)).add_systems(
                PreUpdate,
                toggle_panel
                    .run_if(key_is_pressed)
                    .after(InputSystems)
                    .in_set(MemoryInspectorSystems::Input),
            );
        }
        app.add_systems(
            EguiPrimaryContextPass,
            memory_panel
                .run_if(is_in_sight)
                .in_set(MemoryInspectorSystems::Paint),
        )
        .add_systems(Last, keep_settings.run_if(on_message::<AppExit>));
    }
}

/// A condition, which costs less than a system that looks and has nothing to do.
fn key_is_pressed(keys: Option<Res<ButtonInput<KeyCode>>>, key: Res<ToggleKey>) -> bool {
    keys.is_some_and(|keys| keys.just_pressed(key.0))
}

fn toggle_panel(keys: Res<ButtonInput<KeyCode>>, mut inspector: ResMut<MemoryInspector>) {
    if keys.any_pressed([KeyCode::ShiftLeft, KeyCode::ShiftRight]) {
        inspector.corner = match inspector.corner {
            None => Some(Corner::default()),
            Some(_) => None,
        };
    } else {
        inspector.open = !inspector.open;
    }
}

fn is_in_sight(inspector: Res<MemoryInspector>, mut was: Local<bool>) -> bool {
    let is = inspector.is_in_sight();
    // Once more after it was closed, for the settings.
    std::mem::replace(&mut *was, is) || is
}

/// Its name is what the panel's own memory is charged to.
fn memory_panel(
    world: &mut World,
    contexts: &mut QueryState<&mut EguiContext, With<PrimaryEguiContext>>,
) {
    let Ok(mut context) = contexts.single_mut(world) else {
        return;
    };
    let context = context.get_mut().clone();
    let inspector = world.resource::<MemoryInspector>();
    let (open, corner) = (inspector.open, inspector.corner);
    if let Some(corner) = corner {
        corner::show(world, &context, corner);
    }
    if open {
        window(world, &context);
    }
    let now = context.input(|input| input.time);
    note_settings(world, now, !open && corner.is_none());
}

fn window(world: &mut World, context: &egui::Context) {
    let remembered = world.resource::<Panel>().settings.window;
    let screen = context.content_rect();
    let rect = match remembered {
        Some([left, top, width, height]) => {
            egui::Rect::from_min_size(egui::pos2(left, top), egui::vec2(width, height))
        }
        None => screen.shrink(24.0),
    };
    // As much of it as a screen of 720 lines has room for; more is a click on its edge away.
    let size = rect.size().min(screen.size() - egui::vec2(16.0, 16.0));
    let size = match remembered {
        Some(_) => size,
        None => size.min(egui::vec2(960.0, 600.0)),
    };
    let mut open = true;
    let shown = egui::Window::new("Memory")
        .id(egui::Id::new("framealloc memory inspector"))
        .open(&mut open)
        .default_rect(egui::Rect::from_min_size(rect.min, size))
        .min_size([420.0, 260.0])
        .resizable(true)
        .constrain_to(screen)
        .show(context, |ui| ui_for_memory(world, ui));
    if let Some(shown) = shown
        && shown.inner.is_some()
    {
        let rect = shown.response.rect;
        let window = [rect.left(), rect.top(), rect.width(), rect.height()];
        world.resource_mut::<Panel>().settings.window = Some(window.map(f32::round));
    }
    if !open {
        world.resource_mut::<MemoryInspector>().open = false;
    }
}

fn note_settings(world: &mut World, now: f64, at_once: bool) {
    let inspector = world.resource::<MemoryInspector>().clone();
    let mut panel = world.resource_mut::<Panel>();
    let settings = panel.settings.noting(&inspector);
    panel.keeper.keep(&settings, now, at_once);
}

/// When the game ends.
fn keep_settings(world: &mut World) {
    note_settings(world, f64::INFINITY, true);
}

//! egui sleeps while nobody looks.
//!
//! bevy_egui runs some thirty systems a frame, whether or not anything is painted. Where the inspector brought them into the
//! game, and nothing but the inspector paints, they are skipped while panel and corner are out of sight.
//!
//! Invariants: what is decided holds for a whole frame, since egui's passes begin and end in different schedules. Nobody
//! else's egui sleeps: there is one context, the primary one, and one system that paints into it.
//! egui falls asleep with an empty screen and nothing held, so that it wakes up with no key that is stuck.

use bevy_app::{App, Main, PostUpdate, PreUpdate};
use bevy_ecs::prelude::*;
use bevy_egui::input::EguiWantsInput;
use bevy_egui::{
    EguiContext, EguiPostUpdateSet, EguiPreUpdateSet, EguiPrimaryContextPass, PrimaryEguiContext,
};

use super::state::MemoryInspector;
use crate::bevy::SmartAllocSystems;

/// Frames without anything to paint after which the screen is empty, in the render world too.
const EMPTY_AFTER: u8 = 3;

#[derive(Resource, Default)]
struct Sleep {
    asleep: bool,
    /// Frames that nothing was painted in, at most `EMPTY_AFTER`.
    idle: u8,
    /// The context that was there in the last frame.
    context: Option<Entity>,
}

/// Lets the egui that the inspector has added sleep.
pub(super) fn install(app: &mut App) {
    app.init_resource::<Sleep>().add_systems(
        Main,
        decide
            .after(SmartAllocSystems::BeginFrame)
            .before(Main::run_main),
    );
    app.configure_sets(
        PreUpdate,
        (
            EguiPreUpdateSet::InitContexts.run_if(is_awake),
            EguiPreUpdateSet::ProcessInput.run_if(is_awake),
            EguiPreUpdateSet::BeginPass.run_if(is_awake),
        ),
    );
    app.configure_sets(
        PostUpdate,
        (
            EguiPostUpdateSet::EndPass.run_if(is_awake),
            EguiPostUpdateSet::ProcessOutput.run_if(is_awake),
            EguiPostUpdateSet::PostProcessOutput.run_if(is_awake),
        ),
    );
}

fn is_awake(sleep: Res<Sleep>) -> bool {
    !sleep.asleep
}

fn decide(
    mut sleep: ResMut<Sleep>,
    inspector: Res<MemoryInspector>,
    schedules: Res<Schedules>,
    mut contexts: Query<(Entity, &mut EguiContext, Has<PrimaryEguiContext>)>,
    wants: Option<Res<EguiWantsInput>>,
) {
    let only = contexts.single_mut().ok().filter(|only| only.2);
    let context = only.as_ref().map(|only| only.0);
    let is_idle = !inspector.is_in_sight()
        && context.is_some()
        && context == sleep.context
        && nobody_else_paints(&schedules);
    sleep.context = context;
    if !is_idle {
        sleep.idle = 0;
        sleep.asleep = false;
        return;
    }
    if sleep.asleep {
        return;
    }
    sleep.idle = (sleep.idle + 1).min(EMPTY_AFTER);
    let is_held = only.is_some_and(|(_, mut context, _)| {
        context.bypass_change_detection().get_mut().input(|input| {
            input.modifiers.any() || !input.keys_down.is_empty() || input.pointer.any_down()
        })
    });
    let is_wanted = wants.is_some_and(|wants| wants.wants_any_input());
    sleep.asleep = sleep.idle == EMPTY_AFTER && !is_held && !is_wanted;
}

/// Whether the inspector's system is the only one that paints into the primary context.
fn nobody_else_paints(schedules: &Schedules) -> bool {
    schedules
        .get(EguiPrimaryContextPass)
        .is_some_and(|pass| pass.graph().systems.len() == 1)
}
